"""Cleaning, on cases written out; `test_benchmarks.py` compares it with NLTK on whole reviews."""

import subprocess
import sys
import unicodedata

import numpy as np
import pandas as pd
import pytest

from sentiment_helpers import clean, many_texts, text


@pytest.mark.parametrize(
    ("review", "words"),
    [
        ("A<br /><br />fine film", ["fine", "film"]),
        ("<!-- a note --><a href='x>'>link", ["link"]),
        ("i <3 it, 2 < 3 and 5 > 4", []),
        ("Isn't it GOOD?", ["n't", "good"]),
        ("don’t don`t don‘t", ["n't", "n't", "n't"]),
        ("I cannot, no: nor never", ["not", "no", "nor", "never"]),
        ("10/10 1990s 3rd 007", []),
        ("Tom &amp; Jerry&#39;s", ["tom", "jerry"]),
        ("good.The end...really", ["good", "end", "really"]),
        ("a well-made rock'n'roll café--yes", ["well-made", "rock'n'roll", "café", "yes"]),
        ("_great_ *fun* (wow!)", ["great", "fun", "wow"]),
        ("good\x85film\u3000noir", ["good", "film", "noir"]),
        ("go\0od\ud800film", ["good", "film"]),
        (f"{'a' * 997}n't {'a' * 998}n't", ["a" * 997, "n't", "a" * 998 + "n't"]),
        ("a film (<sp?) next.<br /><br />> &lt;i&gt;", ["film", "sp", "next"]),
        (f"good&#{'1' * 5000}; &amp;#{'1' * 5000};film", ["good", "film"]),
        ("FİLM İyi", ["film", "iyi"]),
        *((word, [word]) for word in "हिन्दी திரைப்படம் ภาพยนตร์ดี فِيلْمٌ סֶרֶט צִ'ק x\u0323y".split()),
        ("\u0301film 1\u20e3film x\u0323y1 don \u0301t", ["film", "film", "don"]),
        ("", []),
    ],
)
def test_clean(review, words):
    assert clean(review) == words


@pytest.mark.parametrize("read", [clean, lambda text: list(many_texts.read([text], clean))])
def test_any_text_is_read_in_time_that_grows_with_its_length(read):
    """These take minutes where a pattern scans a text again from each of its characters."""
    pieces = (
        "<!-- ' \" a' a. n't & &#1 a- cannot ( &amp; \u0301\u0323 \u02bc \u200d x\u0323".split()
    )
    for piece in [*pieces, "<a "]:
        assert isinstance(read(piece * 100_000), list)


# NLTK's list of 179 words, as `nltk.corpus.stopwords.words("english")` gives it.
NLTK = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves
he him his himself she she's her hers herself it it's its itself they them their theirs themselves
what which who whom this that that'll these those am is are was were be been being have has had
having do does did doing a an the and but if or because as until while of at by for with about
against between into through during before after above below to from up down in out on off over
under again further then once here there when where why how all any both each few more most other
some such no nor not only own same so than too very s t can will just don don't should should've now
d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn hasn't
haven haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't
wasn wasn't weren weren't won won't wouldn wouldn't
""".split()


def test_stop_words_are_nltks_without_negations():
    assert len(NLTK) == 179
    short_forms = {word for word in NLTK if f"{word}'t" in NLTK or word.endswith("n't")}
    expected = {*NLTK} - {"no", "nor", "not", "ain"} - short_forms
    assert expected | {"ca", "wo", "sha", "ai"} == text.STOP_WORDS
    assert not text.STOP_WORDS & text.NEGATIONS
    assert clean("It could be more, but I can't, won't, shan't and ain't") == [
        "could", "n't", "n't", "n't", "n't",
    ]  # fmt: skip


APOSTROPHES = (
    *"'‘’`´\x91\x92\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u201b\u2032\u2035\ua78c\uff07\uff40",
    *("&#39;", "&apos;", "&rsquo;", "&#146;", "&#x2019;", "&prime;"),
    *("&amp;#39;", "&amp;apos;", "&amp;rsquo;", "&amp;amp;#39;", "&amp;#x02BC;"),
)


@pytest.mark.parametrize("apostrophe", APOSTROPHES)
def test_every_apostrophe_is_read(apostrophe):
    review = "“Don't” like, isn't it's\x85 (DIDN'T).".replace("'", apostrophe)
    assert clean(review) == ["n't", "like", "n't", "n't"]
    assert text.tokens(review) == ["do", "n't", "like", "is", "n't", "it", "'s", "did", "n't"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *((f"ter{invisible}rible", "terrible") for invisible in (
            *"\xad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069",
            *"\ufe0f\ufeff\0\x08\x7f\x81\U000e0001",
            *("&shy;", "&amp;shy;", "&zwnj;", "&#8203;", "\u200b\xad"),
        )),
        ("did\u200bn\u2060't\xad", "didn't"),
        *((unicodedata.normalize("NFD", word), word) for word in ("cliché", "NAÏVE", "한국")),
        ("cliche\u200d\u0301", "cliché"),
        ("well\u2010made, well\u2011made", "well-made, well-made"),
        ("\x93don't\x94 film\x97yes", "“don't” film—yes"),
        ("don\x92t\x97no", "don't—no"),
        ("\x8cuvre ma\x9e", "œuvre maž"),
        ("\ufeffgood \u200b film", "good film"),
        ("good&amp;nbsp;film &amp;quot;x&amp;quot;", "good film x"),
        ("It didn't… work", "It didn't... work"),
    ],
)  # fmt: skip
def test_what_nobody_sees_changes_nothing(written, read):
    assert clean(written) == clean(read)
    assert text.tokens(written) == text.tokens(read)


FRAME = pd.DataFrame({"review": ["good", "", "bad"], "label": [1, 0, 0]})


def test_texts():
    column, texts = FRAME["review"], ["good", "", "bad"]
    arrays = column, FRAME[["review"]], column.to_numpy(str), column.to_numpy(object)
    others = texts, tuple(texts), pd.Index(column), iter(texts), dict(enumerate(texts)).values()
    for given in (*arrays, *others):
        assert list(text.each_text(given)) == texts


@pytest.mark.parametrize(
    ("given", "says"),
    [
        *((one, f"a list or one column of texts is needed, not {type(one).__name__}") for one in (
            FRAME, FRAME[:0], FRAME[[]], FRAME[["review", "review"]], FRAME[["review"]].to_numpy(),
            np.array("good"), {"good": 1}, {"good"}, frozenset(), b"good", bytearray(), 3, None,
        )),
        (FRAME[["label"]], "text 0 is 1, which is no string"),
        ("good", "a list or one column of texts is needed"),
        ([FRAME], "text 0 is review label 0 good 1 1 .* which is no string"),
        (["good", pd.NA], "text 1 is <NA>, which is no string"),
        ([["good"]], r"text 0 is \['good'\]"),
    ],
)  # fmt: skip
def test_what_holds_no_texts(given, says):
    with pytest.raises(ValueError, match=says) as error:
        list(text.each_text(given))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("review", "words"),
    [
        ("It ISN’T <br />good: not at all!", ["it", "is", "n't", "good", "not", "at", "all", "!"]),
        ("7/10?!", ["7", "10", "?", "!"]),
        ("it's John's, they'll", ["it", "'s", "john", "'s", "they", "'ll"]),
        ("a well-made rock'n'roll 'film'", ["a", "well-made", "rock'n'roll", "film"]),
        ("'a film' I can't—won't see", "a film i ca n't wo n't see".split()),
        ("... -- ,", []),
    ],
)
def test_tokens(review, words):
    assert text.tokens(review) == words


def test_tokens_hold_the_words_of_clean(reviews):
    """Nothing but stop words, numbers and marks is lost between the two."""
    for review in reviews["review"][:300].str.replace(r"\d", " ", regex=True):
        kept = [t for t in text.tokens(review) if t not in text.STOP_WORDS and t.isalpha()]
        assert [w for w in clean(review) if w.isalpha()] == kept


def test_a_user_without_a_home():
    """And without an entry in the list of users."""
    code = "import os, pwd; del os.environ['HOME']; pwd.getpwuid = {}.__getitem__\n"
    code += "from sentiment_helpers.text import clean; print(clean('A good film'))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("['good', 'film']\n", "")

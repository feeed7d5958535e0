"""Many texts at once, against their plain twins, one text at a time."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment_helpers import clean, many_texts, text, tokens

PARTS = (
    "' ’ ` \" '' “ ” « - -- – . ... , : ; ! ? ( ) [ { 1 10 _ * / cannot gimme gonna gotta lemme "
    "wanna Can not can\0not n't DON'T 's' it’s s'm' 'ta 'tis d'ye more'n ll a b. Good well-made "
    "<br /> < <a > <!-- --> &amp;lt; &#39; &amp;amp;#39; &quot; &nbsp; & &#0; \0 \ud800 \udc00 "
    "İ ı gımme Σ ΟΣ' ſ 'tiſ K é e\u0301 \u0301\u0323 \u0344 中 ٣ \u00ad \u200b \u034f \ufe0f \x7f "
    "\x92 \x93 \x94 \x97 \x8c don\x92t \u02bc \uff07 \u2011 \u1fef \u037e हिन्दी צִ'ק q\u0323 1\u20e3"
).split(" ")
SPACE = st.sampled_from("  \t\n\r\x0b\x1c\x85\xa0\u2028\u3000")
PART = st.sampled_from(PARTS) | SPACE | st.text(st.characters(), max_size=2)
# Treebank's rules read pieces of up to 1,000 characters.
LONG = st.builds(lambda part, size: (part * 1010)[:size], PART, st.integers(995, 1010))
TEXT = st.lists(st.integers(0, 99).flatmap(lambda n: PART if n else LONG), max_size=20).map("".join)


def read_back(texts, words_of):
    """The words of each text, by way of their places in an index."""
    found = []
    for corpus in many_texts.read(texts, words_of):
        names = sorted(set(corpus.words) - {"\n"})
        places, ends, known = corpus.places({name: place for place, name in enumerate(names)})
        words = [names[place] for place in places]
        found += [words[start:end] for start, end in pairwise(ends)]
        assert known.tolist() == [len(some) for some in found[-len(known) :]]
    return found


@given(st.lists(TEXT, max_size=5))
@example(["it's. it's", "'s' x's'.) \"it's.\"", f"{'a' * 997}n't {'a' * 998}n't"])
def test_the_words_of_any_text(texts):
    for words_of in (clean, tokens):
        assert read_back(texts, words_of) == [words_of(one) for one in texts]


@pytest.mark.parametrize("slice_", [1, 2, 1024])
@pytest.mark.parametrize("words_of", [clean, tokens])
def test_the_words_of_reviews(reviews, monkeypatch, slice_, words_of):
    monkeypatch.setattr(many_texts, "SLICE", slice_)
    monkeypatch.setattr(many_texts, "SLICES", 3)
    texts = ["", *reviews["review"][:100], "  It isn't\tgood\x1fat all ", "x"]
    assert read_back(texts, words_of) == [words_of(review) for review in texts]


def test_little_is_given_to_treebank_at_a_time(reviews, monkeypatch):
    """Its patterns raise TimeoutError after 5 seconds; the words stay the same."""
    texts, given_, real = reviews["review"][:50], [], text.treebank.tokenize
    expected = read_back(texts, tokens)
    monkeypatch.setattr(text.treebank, "tokenize", lambda t: given_.append(len(t)) or real(t))
    monkeypatch.setattr(many_texts, "PORTION", 5)
    assert read_back(texts, tokens) == expected
    assert len(given_) > 10
    assert max(given_) < 300


@pytest.mark.slow
def test_pieces_end_where_python_splits():
    """At every character that Unicode has."""
    for start in range(0, sys.maxunicode + 1, 2**15):
        texts = [f"a{chr(code)}b" for code in range(start, start + 2**15)]
        (corpus,) = many_texts.read(texts, clean)
        assert np.diff(corpus.ends).tolist() == [len(text.pieces(one)) for one in texts]


def test_counts():
    (corpus,) = many_texts.read(["good good film x", "zzz", "film"], clean)
    places, ends, known = corpus.places({"film": 0, "bad": 1, "good": 2})
    assert (places.tolist(), ends.tolist()) == ([2, 2, 0, -1, -1, 0], [0, 4, 5, 6])
    assert known.tolist() == [3, 0, 1]


def test_no_texts():
    (corpus,) = many_texts.read([], clean)
    assert corpus.ends.tolist() == [0]
    assert read_back([], tokens) == []
    for texts, says in (
        ("one", "a list or one column of texts is needed"),
        (["x", None], "text 1 is None"),
    ):
        with pytest.raises(ValueError, match=says):
            list(many_texts.read(texts, clean))

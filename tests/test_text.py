"""Cleaning, on cases written out; `test_benchmarks.py` compares it with NLTK on whole reviews."""

import pytest

from sentiment_helpers import clean, text
from sentiment_helpers.fast import many_texts


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
        ("", []),
    ],
)
def test_clean(review, words):
    assert clean(review) == words


@pytest.mark.parametrize("read", [clean, lambda text: list(many_texts.read([text], clean))])
def test_any_text_is_read_in_time_that_grows_with_its_length(read):
    """These take minutes where a pattern scans a text again from each of its characters."""
    for piece in (
        "<!--",
        "<a ",
        "'",
        '"',
        "a'",
        "a.",
        "n't",
        "&",
        "&#1",
        "a-",
        "cannot",
        "(",
    ):
        assert isinstance(read(piece * 100_000), list)


def test_stop_words_hold_no_negation():
    assert not text.STOP_WORDS & text.NEGATIONS


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

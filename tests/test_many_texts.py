"""Many texts at once, against one at a time."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from sentiment_helpers import clean, text, tokens
from sentiment_helpers.fast import many_texts

TEXTS = [
    "Good, good film!",
    "",
    "  It isn't\tgood\x1fat all ",
    "\ud800caf\udc00 İSTANBUL ΣΟΦΟΣ",
    "x",
]


def read_back(texts, words_of):
    """The words of each text, by way of their places in an index."""
    found = []
    for some in many_texts.read(texts, words_of):
        names = sorted(set(some.words) - {"\n"})
        places, ends = some.places({name: place for place, name in enumerate(names)})
        words = [names[place] for place in places]
        found += [words[start:end] for start, end in pairwise(ends)]
    return found


@pytest.mark.parametrize("batch", [1, 2, 1024])
@pytest.mark.parametrize(
    ("words_of", "one"), [(text.chunk_words, clean), (text.chunk_tokens, tokens)]
)
def test_the_words_of_each_text(reviews, monkeypatch, batch, words_of, one):
    monkeypatch.setattr(many_texts, "BATCH", batch)
    monkeypatch.setattr(many_texts, "BATCHES", 3)
    texts = TEXTS + reviews["review"][:50].tolist()
    assert read_back(texts, words_of) == [one(review) for review in texts]


def test_chunks_part_where_python_parts_them():
    """At every character that Unicode has."""
    for start in range(0, sys.maxunicode + 1, 2**15):
        texts = [f"a{chr(code)}b" for code in range(start, start + 2**15)]
        (some,) = many_texts.read(texts, list)
        assert np.diff(some.ends).tolist() == [len(text.chunks(review)) for review in texts]


def test_counts():
    (some,) = many_texts.read(["good good film", "zzz", "film"], text.chunk_words)
    counts, words = some.counts({"film": 0, "bad": 1, "good": 2})
    assert words.tolist() == [3, 1, 1]
    assert counts.toarray().tolist() == [[1, 0, 2], [0, 0, 0], [1, 0, 0]]
    assert counts.dtype == np.float32


def test_no_texts():
    assert list(many_texts.read([], text.chunk_words)) == []


def test_refused():
    for texts, says in (("one", "put it into a list"), (["x", None], "text 1 is None")):
        with pytest.raises(ValueError, match=says):
            list(many_texts.read(texts, text.chunk_words))

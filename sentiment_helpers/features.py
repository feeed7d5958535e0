"""From texts to arrays: scikit-learn transformers over GloVe vectors. No networks."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.glove import Glove
from sentiment_helpers.text import chunk_words, chunks

FREQUENT_WORDS = 50_000
"""How many of GloVe's most frequent words a fitted `MeanEmbedding` knows beside those of its
training reviews, so that a saved model reads new reviews well and stays under 20 MB."""


class MeanEmbedding(TransformerMixin, BaseEstimator):
    """A review as the mean of the vectors of its distinct known words (report, 2nd step).

    `fit` decides which vectors are kept: those of the words in the training reviews and of
    GloVe's `FREQUENT_WORDS`, rounded to float16. Only these are used from then on, so a model
    that is saved and loaded computes exactly what it computed before.

    Args:
        glove: the vectors to choose from.

    Attributes:
        glove_: the chosen vectors, a `Glove` of (V, D) float32.
    """

    def __init__(self, glove: Glove):
        self.glove = glove

    def fit(self, texts: Iterable[str], y=None) -> "MeanEmbedding":
        """Choose the vectors to keep; `y` is ignored. Raises as `transform` does."""
        index = self.glove.index
        distinct = set().union(*map(chunks, _checked(texts)))
        used = {index[w] for chunk in distinct for w in chunk_words(chunk) if w in index}
        rows = sorted(used.union(range(min(FREQUENT_WORDS, len(index)))))
        vectors = self.glove.vectors[rows].astype(np.float16).astype(np.float32)
        self.glove_ = Glove(self.glove.name, [self.glove.words[row] for row in rows], vectors)
        return self

    def transform(self, texts: Iterable[str]) -> np.ndarray:
        """(N, D) float32: a row for each text, zeros where no word is known.

        Raises:
            ValueError: `texts` is one string instead of several, or holds something else.
        """
        check_is_fitted(self)
        bags = _bags(texts, self.glove_)
        known = np.diff(bags.indptr)  # (N,) distinct known words of each review
        return (bags @ self.glove_.vectors) / np.maximum(known, 1)[:, None].astype(np.float32)

    def get_state(self) -> dict:
        """What `transform` needs, as tensors and plain values."""
        check_is_fitted(self)
        return {
            "name": self.glove_.name,
            "words": "\n".join(self.glove_.words),
            "vectors": torch.from_numpy(self.glove_.vectors.astype(np.float16)),
        }

    @classmethod
    def from_state(cls, state: dict) -> "MeanEmbedding":
        """A fitted transformer again; its `glove` is just the vectors that it kept."""
        vectors = state["vectors"].numpy().astype(np.float32)
        embedding = cls(Glove(state["name"], state["words"].split("\n"), vectors))
        embedding.glove_ = embedding.glove
        return embedding


class Coverage(NamedTuple):
    """How much of some reviews a table of vectors knows."""

    words: int  # that `clean` leaves, repeated ones included
    known: int  # of these
    without: int  # reviews with no known word

    @property
    def share(self) -> float:
        """The part of the words that is known; NaN where there are none."""
        return self.known / self.words if self.words else float("nan")


def coverage(texts: Iterable[str], glove: Glove) -> Coverage:
    """How many words of `texts` are in `glove`, and how many texts have none that is."""
    words = known = without = 0
    counts = _PerChunk(
        lambda chunk: (len(w := chunk_words(chunk)), sum(word in glove.index for word in w))
    )
    for text in _checked(texts):
        in_text = known_in_text = 0
        for chunk in chunks(text):
            in_chunk, known_in_chunk = counts[chunk]
            in_text += in_chunk
            known_in_text += known_in_chunk
        words += in_text
        known += known_in_text
        without += known_in_text == 0
    return Coverage(words, known, without)


class _PerChunk(dict):
    """Remembers what a function returns for each distinct chunk of text."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def __missing__(self, chunk: str):
        value = self[chunk] = self.function(chunk)
        return value


def _bags(texts: Iterable[str], glove: Glove) -> csr_array:
    """(N, V) float32: 1 where a review holds a word of `glove`, however often."""
    index = glove.index
    rows_of = _PerChunk(lambda chunk: [index[w] for w in chunk_words(chunk) if w in index])
    columns, ends = [], [0]
    for text in _checked(texts):
        bag = set().union(*[rows_of[chunk] for chunk in set(chunks(text))])
        columns.append(np.fromiter(sorted(bag), np.int32, len(bag)))
        ends.append(ends[-1] + len(bag))
    columns = np.concatenate(columns) if columns else np.empty(0, np.int32)
    shape = (len(ends) - 1, len(glove.words))
    return csr_array((np.ones(len(columns), np.float32), columns, ends), shape=shape)


def _checked(texts: Iterable[str]) -> Iterable[str]:
    """The texts one by one; `ValueError` where they are not texts."""
    if isinstance(texts, str):
        raise ValueError("one text was given where several are expected: put it into a list")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {number} is {text!r}, which is no string")
        yield text

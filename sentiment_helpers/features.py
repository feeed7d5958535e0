"""From texts to arrays: scikit-learn transformers over GloVe vectors. No networks."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.classifiers.bounds import (
    MAX_ID,
    MAX_LENGTH,
    Number,
    check_vectors,
    distinct_words,
    increasing,
)
from sentiment_helpers.fast.many_texts import MISSING, NO_TEXTS, Corpus, known_words, read
from sentiment_helpers.glove import MAX_VALUES, Glove
from sentiment_helpers.text import chunk_tokens, chunk_words, chunks

FREQUENT_WORDS = 50_000
"""How many of GloVe's most frequent words a fitted `MeanEmbedding` knows beside those of its
training reviews, so that a saved model reads new reviews well and stays under 20 MB."""


def check_range(name: str, value, low: float, high: float) -> None:
    """`ValueError` where `value` is no number from `low` to `high`, or no whole number where both
    are whole numbers. True and False are no numbers."""
    kind, word = (Integral, "whole number") if isinstance(low, int) else (Real, "number")
    if (
        isinstance(value, bool | np.bool_)
        or not isinstance(value, kind)
        or not low <= value <= high
    ):
        raise ValueError(f"{name} is {value!r:.80}; it must be a {word} from {low:,} to {high:,}")


class CorpusTransformer(TransformerMixin, BaseEstimator):
    """Texts to rows of an array, by way of corpora. `_words_of` says what a chunk's words are,
    `_learn` takes what it needs from corpora, `_rows` makes of one the array (N, …) and counts the
    words of each text and the known ones of these, (N,) each."""

    _words_of: ClassVar[Callable[[list[str]], list[str]]]
    _parameter_constraints: ClassVar[dict[str, list]] = {"glove": [Glove]}

    def fit(self, texts: Iterable[str], y=None) -> Self:
        """Learn from texts; `y` is ignored. Raises as `transform` does, and `ValueError` for a
        parameter out of range (scikit-learn's `InvalidParameterError`)."""
        self._validate_params()
        return self._learn(read(texts, self._words_of))

    def transform(self, texts: Iterable[str]) -> np.ndarray:
        """A row for each text, see the class.

        Raises:
            ValueError: `texts` is one string instead of several, or holds something else.
        """
        return self.transform_counted(texts)[0]

    def transform_counted(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `transform` gives; and, (N,) int64, each text's number of words and of known ones.
        Raises as `transform` does."""
        check_is_fitted(self)
        return self._all(read(texts, self._words_of))

    def fit_transform(self, texts: Iterable[str], y=None) -> np.ndarray:
        """What `fit` and then `transform` give, with the texts read once."""
        self._validate_params()
        corpora = list(read(texts, self._words_of))
        return self._learn(corpora)._all(corpora)[0]

    def _all(self, corpora: Iterable[Corpus]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = [self._rows(corpus) for corpus in corpora] or [self._rows(NO_TEXTS)]
        rows, words, known = zip(*parts, strict=True)
        return np.concatenate(rows), np.concatenate(words), np.concatenate(known)


class MeanEmbedding(CorpusTransformer):
    """A review as the mean of the vectors of its distinct known words (report, 2nd step): (N, D)
    float32, zeros where no word is known.

    `fit` decides which vectors are kept: those of the words in the training reviews and of
    GloVe's `FREQUENT_WORDS`, rounded to float16. Only these are used from then on, so a model
    that is saved and loaded computes exactly what it computed before.

    Args:
        glove: the vectors to choose from.

    Attributes:
        glove_: the chosen vectors, a `Glove` of (V, D) float32.
    """

    _words_of = staticmethod(chunk_words)

    def __init__(self, glove: Glove):
        self.glove = glove

    def _learn(self, corpora: Iterable[Corpus]) -> Self:
        index = self.glove.index
        words = {word for corpus in corpora for word in corpus.words}
        used = {index[word] for word in words if word in index}
        rows = sorted(used.union(range(min(FREQUENT_WORDS, len(index)))))
        kept = [self.glove.words[row] for row in rows]
        vectors = self.glove.vectors[rows]
        check_vectors(vectors, kept)
        vectors = vectors.astype(np.float16).astype(np.float32)
        self.glove_ = Glove(self.glove.name, kept, vectors)
        return self

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bags, words = corpus.counts(self.glove_.index)  # (N, V), (N,)
        known = bags.sum(axis=1).astype(np.int64)  # (N,)
        bags.data[:] = 1  # a word counts once, however often it stands there
        distinct = np.diff(bags.indptr)  # (N,)
        means = bags @ self.glove_.vectors / np.maximum(distinct, 1)[:, None].astype(np.float32)
        return means, words, known

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
        """A fitted transformer again; its `glove` is just the vectors that it kept. `ValueError`
        where there are not as many words, or vectors of more than `glove.MAX_VALUES`."""
        count, size = state["vectors"].shape
        if size > MAX_VALUES:
            raise ValueError(f"vectors of {size:,} values are more than {MAX_VALUES:,}")
        words = distinct_words(state["words"], count)
        vectors = state["vectors"].numpy().astype(np.float32)
        embedding = cls(Glove(state["name"], words, vectors))
        embedding.glove_ = embedding.glove
        return embedding


PADDING, UNKNOWN = 0, 1
"""The two ids that are no words; a word's id is its row in GloVe's table plus 2."""


class TokenIds(CorpusTransformer):
    """A review as the ids of its words in order: every word, and each "!" and "?": (N, max_length)
    int32, right-padded with 0. A text without any word is one unknown word.

    A word's id is its row in `glove` plus 2, so that it means the same in every fold and every
    process; 0 is padding, 1 an unknown word. A hyphenated word that is unknown is read as its
    parts. `fit` only notes which words the training reviews hold: those are the known ones.

    Args:
        glove: whose words have ids.
        max_length: words kept of a review, at most `MAX_LENGTH`; of a longer one its beginning
            and its end, a half each.

    Attributes:
        ids_: the id of each known word.
    """

    _words_of = staticmethod(chunk_tokens)
    _parameter_constraints = CorpusTransformer._parameter_constraints | {
        "max_length": [Number(Integral, 1, MAX_LENGTH, closed="both")]
    }

    def __init__(self, glove: Glove, max_length: int = 400):
        self.glove = glove
        self.max_length = max_length

    def origins(self, text: str) -> list[int]:
        """For each id that `transform` gives for `text`, which piece of it (`text.pieces`) it is
        from; nothing for a text without any word."""
        words = self._read_as(chunk_tokens(chunks(text)))
        end = np.array([word == "\n" for word in words], bool)
        return self._kept(end.cumsum()[~end]).tolist()

    def _learn(self, corpora: Iterable[Corpus]) -> Self:
        index = self.glove.index
        words = {word for corpus in corpora for word in corpus.words}
        words |= {part for word in words for part in word.split("-")}
        self.ids_ = {word: index[word] + 2 for word in words if word in index}
        return self

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ids, ends = corpus._replace(words=self._read_as(corpus.words)).places(self.ids_)
        known = known_words(ids, ends)
        ids[ids == MISSING] = UNKNOWN
        rows = np.zeros((len(known), self.max_length), np.int32)
        rows[:, 0] = UNKNOWN
        for row, (start, end) in zip(rows, pairwise(ends), strict=True):
            kept = self._kept(ids[start:end])
            row[: len(kept)] = kept
        return rows, np.diff(ends), known

    def _kept(self, values: np.ndarray) -> np.ndarray:
        """Of the values for a review's words in order, those of the words that are read."""
        if len(values) <= self.max_length:
            return values
        end = self.max_length // 2
        return np.concatenate([values[: self.max_length - end], values[len(values) - end :]])

    def _read_as(self, words: list[str]) -> list[str]:
        """The words with the parts of hyphenated ones that are unknown in their place."""
        return [
            part for word in words for part in ((word,) if word in self.ids_ else word.split("-"))
        ]

    def get_state(self) -> dict:
        """What `transform` needs, as tensors and plain values."""
        check_is_fitted(self)
        return {
            "words": "\n".join(self.ids_),
            "ids": torch.tensor(list(self.ids_.values()), dtype=torch.int32),
            "max_length": self.max_length,
        }

    @classmethod
    def from_state(cls, state: dict) -> "TokenIds":
        """A fitted transformer again; its `glove` is only the words that it knew, no vectors.
        `ValueError` where words, ids or length cannot be its own."""
        ids = state["ids"].tolist()
        words = distinct_words(state["words"], len(ids))
        length = state["max_length"]
        if type(length) is not int or not 1 <= length <= MAX_LENGTH:
            raise ValueError(f"max_length is {length!r:.80}, not between 1 and {MAX_LENGTH}")
        increasing(state["ids"].sort().values, UNKNOWN + 1, MAX_ID)
        transformer = cls(Glove("words", words, np.empty((len(words), 0))), length)
        transformer.ids_ = dict(zip(words, ids, strict=True))
        return transformer


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
    for corpus in read(texts, chunk_words):
        places, ends = corpus.places(glove.index)
        of_each = known_words(places, ends)
        words += len(places)
        known += int(of_each.sum())
        without += int((of_each == 0).sum())
    return Coverage(words, known, without)

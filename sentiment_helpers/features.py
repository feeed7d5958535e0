"""Vectorization: scikit-learn transformers that make arrays of texts, with GloVe's word vectors."""

import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Integral, Real
from typing import Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.fast.many_texts import MISSING, Corpus, read
from sentiment_helpers.glove import MAX_DIMENSIONS, Glove
from sentiment_helpers.text import TOKEN, clean, pieces, split_contraction, tokens

FREQUENT_WORDS = 50_000  # enough for new reviews, and a saved `MeanEmbedding` is under 20 MB
PADDING, UNKNOWN = 0, 1  # ids that are no words; a word's id is its row in GloVe's table plus 2
# Bounds of a saved model, and so of its memory: words read of a review, and ids. The longest of
# 50,000 reviews has 2,800 words; GloVe's largest table has 2.2 million rows.
MAX_LENGTH, MAX_ID = 2**14, 2**24


class CorpusTransformer(TransformerMixin, BaseEstimator):
    """Texts to the rows of an array. A subclass has `_words_of`, which is `text.clean` or
    `text.tokens`; `_learn`, which gets the distinct words of the training texts; and `_rows`, which
    is `transform_counted` for a corpus."""

    def fit(self, texts: Iterable[str], y=None) -> Self:
        """Learn from texts; `y` is ignored. `ValueError` as in `transform`, or wrong parameters."""
        self._check_parameters()
        self._learn({word for corpus in read(texts, self._words_of) for word in corpus.words})
        return self

    def transform(self, texts: Iterable[str]) -> np.ndarray:
        """A row for each text, see the class. `ValueError` as in `text.each_text`."""
        return self.transform_counted(texts)[0]

    def transform_counted(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `transform` gives; and, (N,) int64 each, how many words each text has, and how many
        of these are known. `ValueError` as in `transform`."""
        check_is_fitted(self)
        parts = [self._rows(corpus) for corpus in read(texts, self._words_of)]
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def fit_transform(self, texts: Iterable[str], y=None) -> np.ndarray:
        """What `fit` and then `transform` give; the texts are read once."""
        self._check_parameters()
        corpora = list(read(texts, self._words_of))
        self._learn({word for corpus in corpora for word in corpus.words})
        return np.concatenate([self._rows(corpus)[0] for corpus in corpora])

    def _check_parameters(self) -> None:
        if not isinstance(self.glove, Glove):
            raise ValueError(f"glove is {self.glove!r:.80}; it must be what load_glove returns")


class MeanEmbedding(CorpusTransformer):
    """A review as the mean of the vectors of its distinct known words (report, 2nd step): (N, D)
    float32, zeros where no word is known.

    `fit` keeps, as `glove_`, the vectors of the words in the training reviews and of the
    `FREQUENT_WORDS` first words of `glove`, rounded to float16. `transform` uses no others, so
    that a saved model computes the same.
    """

    _words_of = staticmethod(clean)

    def __init__(self, glove: Glove):
        self.glove = glove

    def _learn(self, words: set[str]) -> None:
        index = self.glove.index
        used = {index[word] for word in words if word in index}
        rows = sorted(used.union(range(min(FREQUENT_WORDS, len(index)))))
        kept = [self.glove.words[row] for row in rows]
        vectors = self.glove.vectors[rows]  # (V, D)
        check_vectors(vectors, kept)
        self.glove_ = Glove(self.glove.name, kept, vectors.astype(np.float16).astype(np.float32))

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bags, words, known = corpus.counts(self.glove_.index)  # (N, V), (N,), (N,)
        bags.data[:] = 1  # a word counts once, however often it occurs
        distinct = np.maximum(np.diff(bags.indptr), 1)[:, None].astype(np.float32)  # (N, 1)
        return bags @ self.glove_.vectors / distinct, words, known

    def get_state(self) -> dict:
        """What `transform` needs, as tensors and plain values."""
        check_is_fitted(self)
        return {
            "name": self.glove_.name,
            "words": "\n".join(self.glove_.words),
            "vectors": torch.from_numpy(self.glove_.vectors.astype(np.float16)),
        }

    @classmethod
    def from_state(cls, state: dict) -> Self:
        """The fitted transformer that gave `state`; `ValueError` if none can have given it."""
        count, size = state["vectors"].shape
        if size > MAX_DIMENSIONS:
            raise ValueError(f"vectors of {size:,} values are more than {MAX_DIMENSIONS:,}")
        words = distinct_words(state["words"], count)
        embedding = cls(Glove(state["name"], words, state["vectors"].numpy().astype(np.float32)))
        embedding.glove_ = embedding.glove
        return embedding


class TokenIds(CorpusTransformer):
    """A review as the ids of its words in order, and of each "!" and "?": (N, max_length) int32,
    padded on the right with 0. A text without words is one unknown word, 1.

    A word's id is its row in `glove` plus 2, so that it means the same in every fold and every
    process. `fit` gives `ids_`, the ids of the known words: those of the training reviews. An
    unknown word with hyphens is read as its parts.

    Args:
        glove: its words have ids.
        max_length: words read of a review, half at its beginning, half at its end; 1 to 16,384.
    """

    _words_of = staticmethod(tokens)

    def __init__(self, glove: Glove, max_length: int = 400):
        self.glove = glove
        self.max_length = max_length

    def origins(self, text: str) -> list[int]:
        """From which of its `text.pieces` each id of `text` is; [] for a text without words."""
        words = [self._known_parts(TOKEN.findall(split_contraction(p))) for p in pieces(text)]
        numbers = [number for number, some in enumerate(words) for _ in some]
        return self._both_ends(np.array(numbers, int)).tolist()

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_range("max_length", self.max_length, 1, MAX_LENGTH)

    def _learn(self, words: set[str]) -> None:
        index = self.glove.index
        words = words | {part for word in words for part in word.split("-")}
        self.ids_ = {word: index[word] + 2 for word in words if word in index}

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        corpus = corpus._replace(words=self._known_parts(corpus.words))
        ids, ends, known = corpus.places(self.ids_)  # (W,), (N + 1,), (N,)
        ids[ids == MISSING] = UNKNOWN
        rows = np.zeros((len(known), self.max_length), np.int32)
        rows[:, 0] = UNKNOWN
        for row, (start, end) in zip(rows, pairwise(ends), strict=True):
            read_ids = self._both_ends(ids[start:end])
            row[: len(read_ids)] = read_ids
        return rows, np.diff(ends), known

    def _both_ends(self, values: np.ndarray) -> np.ndarray:
        """Of a value for each word of a review, those of the words that are read."""
        if len(values) <= self.max_length:
            return values
        half = self.max_length // 2
        return np.delete(values, slice(self.max_length - half, len(values) - half))

    def _known_parts(self, words: list[str]) -> list[str]:
        """`words`, but unknown ones with hyphens as their parts."""
        return [part for w in words for part in ([w] if w in self.ids_ else w.split("-"))]

    def get_state(self) -> dict:
        """What `transform` needs, as tensors and plain values."""
        check_is_fitted(self)
        return {
            "words": "\n".join(self.ids_),
            "ids": torch.tensor(list(self.ids_.values()), dtype=torch.int32),
            "max_length": self.max_length,
        }

    @classmethod
    def from_state(cls, state: dict) -> Self:
        """The fitted transformer that gave `state`; `ValueError` if none can have given it."""
        ids = state["ids"].tolist()
        words = distinct_words(state["words"], len(ids))
        increasing(state["ids"].sort().values, UNKNOWN + 1, MAX_ID)
        transformer = cls(Glove("words", words, np.empty((len(words), 0))), state["max_length"])
        transformer._check_parameters()
        transformer.ids_ = dict(zip(words, ids, strict=True))
        return transformer


def check_range(name: str, value, low: float, high: float) -> None:
    """`ValueError` where `value` is no number from `low` to `high`, or no whole number where both
    are whole numbers. True and False are no numbers."""
    kind, word = (Integral, "whole number") if isinstance(low, int) else (Real, "number")
    known = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
    if not known or sys.float_info.max < value < high:  # a whole number that no float can hold
        raise ValueError(f"{name} is {value!r:.80}; it must be a {word} from {low:,} to {high:,}")


def check_vectors(vectors: np.ndarray, words: Sequence[str]) -> None:
    """`ValueError` with the first of `words` (V,) whose vector, of (V, D), is not finite or too
    large for float16, in which models keep vectors."""
    wrong = ~(np.abs(vectors) <= np.finfo(np.float16).max).all(axis=1)  # (V,)
    if wrong.any():
        word = f"{words[wrong.argmax()]!r:.80}"
        raise ValueError(f"the vector of {word} holds NaN, infinity or a value beyond ±65,504")


def distinct_words(text: str, count: int) -> list[str]:
    """The words of a saved table, a line each; `ValueError` if not `count` distinct ones."""
    words = text.split("\n") if count else []
    if not len(words) == len(set(words)) == count:
        raise ValueError(f"{count} distinct words are needed, and there are {len(set(words))}")
    return words


def increasing(values: torch.Tensor, low: int, high: int) -> np.ndarray:
    """Saved ids (N,) as an array; `ValueError` unless they increase, from `low` to below `high`."""
    ids = values.numpy()
    within = np.concatenate([[low - 1], ids, [high]])
    if not (within[1:] > within[:-1]).all():
        raise ValueError(f"ids are not increasing from {low} on, below {high}")
    return ids

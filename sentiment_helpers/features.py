"""Vectorization: scikit-learn transformers that make arrays of texts, with GloVe's word vectors."""

import sys
from collections.abc import Iterable, Sequence
from itertools import compress, pairwise
from numbers import Integral, Real
from typing import Self

import numpy as np
import torch
from pandas.util import hash_array
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.glove import Glove
from sentiment_helpers.many_texts import MISSING, Corpus, read
from sentiment_helpers.text import clean, each_text, tokens

FREQUENT_WORDS = 50_000  # enough for new reviews, and a saved `MeanEmbedding` is under 20 MB
PADDING, UNKNOWN = 0, 1  # ids that are no words; a word's id is its row in GloVe's table plus 2
MAX_LENGTH = 2**14  # words read of a review; the longest of 50,000 reviews has 2,800


class CorpusTransformer(TransformerMixin, BaseEstimator):
    """Texts to the rows of an array. A subclass has `_words_of` (`text.clean` or `text.tokens`);
    `_learn`, for the distinct words of the training texts; `_rows`, from a corpus, as
    `transform_counted`; and `get_state`, all that `transform` needs, as tensors and plain values,
    from which `from_state` makes it again. `ValueError` where something is wrong."""

    def fit(self, texts: Iterable[str], y=None) -> Self:
        """Learn from texts; `y` is ignored."""
        self.fit_transform(texts)
        return self

    def fit_transform(self, texts: Iterable[str], y=None) -> np.ndarray:
        """What `fit` and then `transform` give; the texts are read once."""
        self._check_parameters()
        texts = list(each_text(texts))
        corpora, self.taught_ = list(read(texts, self._words_of)), np.sort(_hashes(texts))
        self._learn({word for corpus in corpora for word in corpus.words})
        return np.concatenate([self._rows(corpus)[0] for corpus in corpora])

    def transform(self, texts: Iterable[str]) -> np.ndarray:
        """A row for each text, see the class."""
        return self.transform_counted(texts)[0]

    def transform_counted(self, texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `transform` gives; and, (N,) int64 each, how many words each text has, and how many
        of these are known."""
        check_is_fitted(self)
        parts = map(self._rows, read(texts, self._words_of))
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def taught_by(self, texts: list[str]) -> np.ndarray:
        """Which of the texts `fit` has read, (N,) bool. It keeps their hashes, `taught_`."""
        return np.isin(_hashes(texts), self.taught_)

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
        of_table = enumerate(self.glove.words)
        rows = [row for row, word in of_table if row < FREQUENT_WORDS or word in words]
        kept, vectors = [self.glove.words[row] for row in rows], self.glove.vectors[rows]  # (V, D)
        check_vectors(vectors, kept)
        self.glove_ = Glove(self.glove.name, kept, vectors.astype(np.float16).astype(np.float32))

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places, ends, known = corpus.places(self.glove_.index)  # (W,), (N + 1,), (N,)
        places, bounds = places[places != MISSING], np.append(0, known.cumsum())
        shape = len(known), len(self.glove_.words)
        bags = csr_array((np.ones(len(places), bool), places, bounds), shape)
        bags.sum_duplicates()  # a word counts once, however often it occurs
        distinct = np.maximum(np.diff(bags.indptr), 1)[:, None].astype(np.float32)  # (N, 1)
        return bags @ self.glove_.vectors / distinct, np.diff(ends), known

    def get_state(self) -> dict:
        words, vectors = "\n".join(self.glove_.words), self.glove_.vectors.astype(np.float16)
        return {"name": self.glove_.name, "words": words, "vectors": torch.from_numpy(vectors)}

    @classmethod
    def from_state(cls, state: dict) -> Self:
        words, vectors = state["words"].split("\n"), state["vectors"].float().numpy()
        embedding = cls(Glove(state["name"], words, vectors))
        embedding._learn({*words})
        return embedding


class TokenIds(CorpusTransformer):
    """A review as the ids of its words in order, and of each "!" and "?": (N, max_length) int32,
    padded on the right with 0. A text without words is one unknown word, 1.

    A word's id is its row in `glove` plus 2, so that it means the same in every fold and every
    process. `fit` gives `ids_`, the ids of the known words: those of the training reviews. An
    unknown word with hyphens is read as its parts. Of a review with more than `max_length` words,
    1 to 16,384, half of them are read at its beginning and half at its end.
    """

    _words_of = staticmethod(tokens)

    def __init__(self, glove: Glove, max_length: int = 400):
        self.glove = glove
        self.max_length = max_length

    def both_ends(self, values: np.ndarray) -> np.ndarray:
        """Of a value for each word of a review, in order, those of the words that are read."""
        if len(values) <= self.max_length:
            return values
        half = self.max_length // 2
        return np.delete(values, slice(self.max_length - half, len(values) - half))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_range("max_length", self.max_length, 1, MAX_LENGTH)

    def _learn(self, words: set[str]) -> None:
        index = self.glove.index
        words = words | {part for word in words if "-" in word for part in word.split("-")}
        self.ids_ = {word: index[word] + 2 for word in sorted(words) if word in index}

    def _rows(self, corpus: Corpus) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = ((w,) if "-" not in w or w in self.ids_ else w.split("-") for w in corpus.words)
        corpus = corpus._replace(words=[word for some in parts for word in some])
        ids, ends, known = corpus.places(self.ids_)  # (W,), (N + 1,), (N,)
        ids = np.where(ids == MISSING, UNKNOWN, ids)
        rows = np.zeros((len(known), self.max_length), np.int32)
        rows[:, 0] = UNKNOWN
        for row, (start, end) in zip(rows, pairwise(ends), strict=True):
            read_ids = self.both_ends(ids[start:end])
            row[: len(read_ids)] = read_ids
        return rows, np.diff(ends), known

    def get_state(self) -> dict:
        ids = torch.tensor(list(self.ids_.values()), dtype=torch.int32)
        return {"words": "\n".join(self.ids_), "ids": ids, "max_length": self.max_length}

    @classmethod
    def from_state(cls, state: dict) -> Self:
        words, ids = state["words"].splitlines(), state["ids"].numpy()  # (V,)
        wrong = ids.dtype != np.int32 or ids.min(initial=UNKNOWN + 1) <= UNKNOWN
        if wrong or len(np.unique(ids)) < len(ids):
            raise ValueError(f"words need distinct whole ids above {UNKNOWN}")
        transformer = cls(Glove("words", words, np.empty((len(ids), 0))), state["max_length"])
        transformer._check_parameters()
        transformer.ids_ = dict(zip(words, ids.tolist(), strict=True))
        return transformer


def _hashes(texts: list[str]) -> np.ndarray:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]  # half a character
    return hash_array(np.array(texts, dtype=object)).view(np.int64)  # PyTorch's files take these


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
    for word in compress(words, ~(np.abs(vectors) <= np.finfo(np.float16).max).all(axis=1)):
        raise ValueError(
            f"the vector of {word!r:.80} holds NaN, infinity or a value beyond ±65,504"
        )

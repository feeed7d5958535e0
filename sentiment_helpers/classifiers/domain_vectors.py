"""Vectors of words and of word pairs from co-occurrence in the training reviews, no labels."""

from typing import Self

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn
from torch.nn.functional import pad

from sentiment_helpers.features import UNKNOWN

WINDOW = 5  # words farther apart than this do not count as co-occurring
MIN_PAIR_COUNT = 8  # of a pair with a vector, in the training reviews
SLICE = 4096  # reviews counted together, so that lists of co-occurrences stay small


def domain_vectors(
    ids: np.ndarray, num_words: int, size: int, random_state: int = 1234
) -> np.ndarray:
    """Vectors of words from their co-occurrence in reviews: (num_words, size) float32, see
    `embed_counts`. `ids` (N, T) are the reviews' words, 0-padded; ids 0 and 1 have zeros."""
    counts = csr_array((num_words, num_words), dtype=np.float32)
    for start in range(0, len(ids), SLICE):
        words = np.where(ids[start : start + SLICE] > UNKNOWN, ids[start : start + SLICE], -1)
        for distance in range(1, min(WINDOW, ids.shape[1] - 1) + 1):
            counts = _count(counts, words[:, :-distance], words[:, distance:], distance)
    return embed_counts(counts + counts.T, size, random_state)


def embed_counts(counts: csr_array, size: int, random_state: int) -> np.ndarray:
    """Vectors (R, size) float32 for the rows of `counts` (R, C), from the words near them.

    Positive pointwise mutual information, contexts smoothed with exponent 0.75; then a truncated
    singular value decomposition, the singular values to the power of a half (Levy, Goldberg and
    Dagan 2015). The values have a standard deviation of 1; rows without counts have zeros.
    """
    counts = counts.tocoo()
    totals, contexts = counts.sum(axis=1), counts.sum(axis=0) ** 0.75  # (R,), (C,)
    row, column = counts.coords
    information = np.log(counts.data * contexts.sum() / (totals[row] * contexts[column]))
    above = information > 0
    positive = csr_array((information[above], (row[above], column[above])), shape=counts.shape)
    found = min(size, *counts.shape)
    left, values, _ = randomized_svd(positive, found, random_state=random_state)
    left[totals == 0] = 0  # exactly, not up to rounding
    vectors = np.zeros((len(left), size), np.float32)
    vectors[:, :found] = left * np.sqrt(values)
    return vectors / max(vectors.std(), 1e-12)


def _count(counts: csr_array, rows: np.ndarray, columns: np.ndarray, distance: int) -> csr_array:
    """`counts`, and how often each row stands at a distance from each column: the nearer the
    heavier. Both are (N, T) numbers; those below 0 do not count."""
    at = (np.minimum(rows, columns) >= 0).nonzero()
    weights = np.full(len(at[0]), 1 - (distance - 1) / WINDOW, np.float32)
    return counts + coo_array((weights, (rows[at], columns[at])), shape=counts.shape).tocsr()


def pair_keys(ids):
    """The first id times 2³² plus the second, (N, T - 1) int64, of all neighbours in `ids` (N, T)
    int64, which is an array or a tensor."""
    return (ids[:, :-1] << 32) + ids[:, 1:]


class PairVectors(nn.Module):
    """Fixed vectors of pairs of neighbouring words: what "not good" stands beside, say.

    Johnson and Zhang (2015) call such vectors region embeddings. A value takes one byte.

    Args:
        num_pairs: P, the known pairs; row 0 stands for all others and has zeros.
        size: the values of a vector.

    Attributes:
        keys: (P + 1,) int64, increasing, see `pair_keys`.
        values: (P + 1, size) int8; times `scale`, (size,) float32, they are the vectors.
    """

    def __init__(self, num_pairs: int, size: int):
        super().__init__()
        self.size = size
        self.register_buffer("keys", torch.zeros(num_pairs + 1, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(num_pairs + 1, size, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(size, dtype=torch.float32))

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, size) float32: at each word of `ids` (B, T), the vector of the pair it ends."""
        keys = pair_keys(ids.long())  # (B, T - 1)
        rows = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        rows = pad(rows.masked_fill(self.keys[rows] != keys, 0), (1, 0))  # (B, T)
        return self.values[rows] * self.scale

    @classmethod
    def learned(
        cls, ids: np.ndarray, num_words: int, size: int, spread: float, random_state: int
    ) -> Self:
        """Vectors of the pairs that occur `MIN_PAIR_COUNT` times in the reviews `ids` (N, T): see
        `embed_counts`, of the words up to `WINDOW` places before a pair and after it. The values
        have a standard deviation of `spread`."""
        words = np.where(ids > UNKNOWN, ids, -1)
        keys = pair_keys(ids.astype(np.int64))  # (N, T - 1)
        keys[np.minimum(words[:, :-1], words[:, 1:]) < 0] = 0
        found, times = np.unique(keys, return_counts=True)
        found = np.append(0, found[(found > 0) & (times >= MIN_PAIR_COUNT)])
        counts = csr_array((len(found), num_words), dtype=np.float32)
        for start in range(0, len(ids), SLICE):
            some, beside = keys[start : start + SLICE], words[start : start + SLICE]
            rows = np.searchsorted(found, some).clip(max=len(found) - 1)
            rows[(found[rows] != some) | (rows == 0)] = -1
            for distance in range(1, min(WINDOW, ids.shape[1] - 2) + 1):
                before, after = beside[:, : -distance - 1], beside[:, distance + 1 :]
                counts = _count(counts, rows[:, distance:], before, distance)
                counts = _count(counts, rows[:, :-distance], after, distance)
        vectors = torch.from_numpy(embed_counts(counts, size, random_state) * spread)
        pairs = cls(len(found) - 1, size)
        pairs.keys[:] = torch.from_numpy(found)
        pairs.scale[:] = vectors.abs().amax(dim=0) / 127
        pairs.values[:] = (vectors / pairs.scale.clamp_min(1e-12)).round()
        return pairs

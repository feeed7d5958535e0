"""Vectors of words, and of pairs of words, from what stands beside them in the training reviews."""

from threading import Lock

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from sentiment_helpers.features import UNKNOWN
from sentiment_helpers.networks import PairVectors, pair_keys

WINDOW = 5  # words farther apart than this do not count as co-occurring
MIN_PAIR_COUNT = 8  # of a pair with a vector, in the training reviews
SLICE = 4096  # reviews counted together, so that lists of co-occurrences stay small
_limiting = Lock()  # the limit holds for the whole process


def domain_vectors(ids: np.ndarray, num_words: int, size: int, random_state: int) -> np.ndarray:
    """Vectors (num_words, size) float32 of the words in reviews `ids` (N, T), 0-padded, from the
    words up to `WINDOW` places before and after them: see `embed_counts`."""
    words = np.where(ids > UNKNOWN, ids, 0)
    after = _count_after(words, words, (num_words, num_words))
    return embed_counts(after + after.T, size, random_state)


def pair_vectors(ids: np.ndarray, num_words: int, size: int, random_state: int) -> PairVectors:
    """The same of the pairs of words that occur `MIN_PAIR_COUNT` times."""
    words = np.where(ids > UNKNOWN, ids, 0).astype(np.int64)
    keys = pair_keys(words)  # (N, T - 1)
    found, places, times = np.unique(keys, return_inverse=True, return_counts=True)
    kept = (found > 0) & (times >= MIN_PAIR_COUNT)
    rows = (kept * kept.cumsum())[places].reshape(keys.shape)
    counts = _count_after(rows, words, (kept.sum() + 1, num_words))
    counts += _count_after(rows[:, ::-1], words[:, ::-1], counts.shape)
    vectors = torch.from_numpy(embed_counts(counts, size, random_state))
    pairs = PairVectors(kept.sum(), size)
    pairs.keys[1:] = torch.from_numpy(found[kept])
    pairs.scale[:] = vectors.abs().amax(dim=0) / 127
    pairs.values[:] = (vectors / pairs.scale.clamp_min(1e-12)).round()
    return pairs


def _count_after(rows: np.ndarray, words: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """How often each word follows each row, the nearer the heavier: (rows, words). `rows` (N, ≤ T),
    of words or of pairs, and `words` (N, T) are numbers; 0 does not count."""
    counts = csr_array(shape, dtype=np.float32)
    more = words.shape[1] - rows.shape[1]  # the words of a pair after its first
    for start in range(0, len(words), SLICE):
        some, beside = rows[start : start + SLICE], words[start : start + SLICE]
        for distance in range(1, WINDOW + 1):
            row, word = some[:, :-distance], beside[:, distance + more :]
            at = np.minimum(row, word) > 0
            weights = np.full(at.sum(), WINDOW + 1 - distance, np.float32)
            counts += coo_array((weights, (row[at], word[at])), shape=shape).tocsr()
    return counts


def embed_counts(counts: csr_array, size: int, random_state: int) -> np.ndarray:
    """Vectors (R, size) float32 for the rows of `counts` (R, C): positive pointwise mutual
    information, contexts smoothed with exponent 0.75; then a truncated singular value
    decomposition, the singular values to the power of a half (Levy, Goldberg and Dagan 2015).
    The values have a standard deviation of 1; rows without counts have zeros."""
    counts = counts.tocoo()
    totals, contexts = counts.sum(axis=1), counts.sum(axis=0) ** 0.75  # (R,), (C,)
    row, column = counts.coords
    information = np.log(counts.data * contexts.sum() / (totals[row] * contexts[column]))
    above = information > 0
    positive = csr_array((information[above], (row[above], column[above])), shape=counts.shape)
    with _limiting, threadpool_limits(1, "blas"):  # with more threads, the last bits would differ
        found = min(size, *counts.shape)
        left, values, _ = randomized_svd(positive, found, random_state=random_state)
    left[totals == 0] = 0  # exactly, not up to rounding
    vectors = np.pad(left * np.sqrt(values), ((0, 0), (0, size - found)))
    return vectors / max(vectors.std(), 1e-12)

"""Extra dimensions for word vectors, from co-occurrence in the training reviews."""

import numpy as np
from scipy.sparse import coo_array, csr_array
from sklearn.utils.extmath import randomized_svd

from sentiment_helpers.features import UNKNOWN

WINDOW = 5  # words farther apart than this do not count as co-occurring


def domain_vectors(
    ids: np.ndarray, num_words: int, size: int, random_state: int = 1234
) -> np.ndarray:
    """Vectors of words from their co-occurrence in reviews: (num_words, size) float32.

    `ids` (N, T) are the reviews' words, 0-padded. Positive pointwise mutual information of words
    at most `WINDOW` apart, nearer ones with more weight, contexts smoothed with exponent 0.75;
    then a truncated singular value decomposition, the singular values to the power of a half
    (Levy, Goldberg and Dagan 2015). No labels are used. The values have a standard deviation of
    1; ids 0 and 1, and words that co-occur with none, have zeros.
    """
    counts = csr_array((num_words, num_words), dtype=np.float32)
    for start in range(0, len(ids), 4096):  # slices, so that memory does not grow with the reviews
        rows = ids[start : start + 4096]
        for distance in range(1, min(WINDOW, rows.shape[1] - 1) + 1):
            first, second = rows[:, :-distance].ravel(), rows[:, distance:].ravel()
            words = (np.minimum(first, second) > UNKNOWN).nonzero()[0]
            weight = np.full(len(words), 1 - (distance - 1) / WINDOW, np.float32)
            pairs = (weight, (first[words], second[words]))
            counts = counts + coo_array(pairs, shape=counts.shape).tocsr()
    counts = (counts + counts.T).tocoo()
    totals = counts.sum(axis=0)  # (num_words,)
    contexts = totals**0.75
    row, column = counts.coords
    information = np.log(counts.data * contexts.sum() / (totals[row] * contexts[column]))
    above = information > 0
    positive = csr_array((information[above], (row[above], column[above])), shape=counts.shape)
    found = min(size, num_words - 1)
    left, values, _ = randomized_svd(positive, found, random_state=random_state)
    vectors = np.zeros((num_words, size), np.float32)
    vectors[UNKNOWN + 1 :, :found] = (left * np.sqrt(values))[UNKNOWN + 1 :]
    return vectors / max(vectors.std(), 1e-12)

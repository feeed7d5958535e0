"""A linear model of words, pairs and triples: the baseline for networks that read in order."""

from typing import Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.utils.validation import check_is_fitted, validate_data

from sentiment_helpers.classifiers import base
from sentiment_helpers.classifiers.word_birnn import check_ids
from sentiment_helpers.features import UNKNOWN

MIN_REVIEWS = 3  # training reviews that contain a gram with a weight
FACTOR = np.int64(0x9E3779B97F4A7C15 - 2**64)  # of Fibonacci hashing: 2⁶⁴ by the golden ratio


class BagClassifier(base.BinaryClassifier):
    """Naive-Bayes-weighted logistic regression on grams: words, and pairs and triples of
    neighbours (Wang and Manning 2012).

    Takes ids (N, T) from `TokenIds`. A gram counts once a review, weighted by the log-ratio of its
    frequencies in both classes, smoothed by 1. `grams_` (V,) int32 are sorted keys, see `_grams`;
    `weights_` (V,) float16 add up to log-odds; `n_train_` reviews taught it.
    """

    title = "bag of words, pairs and triples"
    kept = ("n_features_in_", "n_train_", "grams_", "weights_", "intercept_")

    def fit(self, X, y) -> Self:
        """Learn from ids X (N, T) and labels y (N,) of two classes; else `ValueError`."""
        check_ids(X)
        X, y = validate_data(self, X, y, dtype=np.int64)
        self._find_classes(y)
        grams, counts = np.unique(_grams(X)[0], return_counts=True)
        self.grams_, positive = grams[counts >= MIN_REVIEWS], y == self.classes_[1]
        if not len(self.grams_):
            raise ValueError(f"no word occurs in {MIN_REVIEWS} reviews")
        rows = self._rows(X)
        frequencies = MultinomialNB(alpha=1).fit(rows, positive).feature_log_prob_  # (2, V)
        ratio = frequencies[1] - frequencies[0]
        rows.data = ratio[rows.indices]
        regression = LogisticRegression(C=0.1, solver="liblinear").fit(rows, positive)
        self.weights_ = (regression.coef_[0] * ratio).astype(np.float16)
        self.intercept_, self.n_train_ = float(regression.intercept_[0]), len(y)
        return self

    def decision_function(self, X) -> np.ndarray:
        """Log-odds (N,) float64 of the positive class for ids X (N, T)."""
        check_is_fitted(self)
        check_ids(X)
        X = validate_data(self, X, dtype=np.int64, reset=False)
        return self._rows(X) @ self.weights_.astype(np.float64) + self.intercept_

    def _rows(self, X: np.ndarray) -> csr_array:
        """Which of `grams_` each review has, (N, V) float64."""
        keys, sizes = _grams(X)
        places = np.searchsorted(self.grams_, keys).astype(np.int32)
        known = np.append(self.grams_, 0)[places] == keys  # 0 is no key
        ends = np.append(0, known.cumsum(dtype=np.int32))[np.append(0, sizes.cumsum())]
        shape = len(X), len(self.grams_)
        return csr_array((np.ones(known.sum()), places[known], ends.astype(np.int32)), shape)


def _grams(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct grams of each review in `ids` (N, T) int64, one review after another, as keys
    (M,) int32; and how many each review has, (N,). A key is a hash of one, two or three ids, which
    makes files small; one gram in 10,000 shares its key."""
    grams, known = [ids * FACTOR], [ids > UNKNOWN]
    for further in (1, 2):  # words
        grams.append((grams[-1][:, :-1] + ids[:, further:]) * FACTOR)
        known.append(known[-1][:, :-1] & known[0][:, further:])
    keys = (np.concatenate(grams, axis=1) >> 32).astype(np.int32)
    keys = np.sort(keys * np.concatenate(known, axis=1), axis=1)  # 0: no gram
    new = keys != 0
    new[:, 1:] &= keys[:, 1:] != keys[:, :-1]
    return keys[new], new.sum(axis=1)

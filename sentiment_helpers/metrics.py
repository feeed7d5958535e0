"""Figures of a model's predictions, and their confidence intervals."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support, roc_auc_score


class Scores(NamedTuple):
    """Figures on one set of rows; precision, recall and F1 are of the positive class."""

    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float


def evaluate(labels: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Scores of `probabilities` (N,) of class 1 against `labels` (N,) of 0 and 1.

    A probability above 0.5 predicts class 1. The area under the ROC curve is NaN if only one class
    occurs; precision, recall and F1 are 0 where they divide by 0. `ValueError` for no rows.
    """
    check_rows(labels, probabilities)
    labels, predictions = np.asarray(labels).astype(int), np.asarray(probabilities) > 0.5
    *precision_recall_f1, _ = precision_recall_fscore_support(
        labels, predictions, average="binary", zero_division=0
    )
    both = len(np.unique(labels)) == 2
    return Scores(
        log_loss(labels, probabilities, labels=[0, 1]),
        accuracy_score(labels, predictions),
        *map(float, precision_recall_f1),
        float(roc_auc_score(labels, probabilities)) if both else float("nan"),
    )


def intervals(
    labels: np.ndarray, probabilities: np.ndarray, n_resamples: int = 1000, random_state: int = 1234
) -> dict[str, tuple[float, float]]:
    """95 % confidence intervals (low, high) of accuracy, F1 and area under the ROC curve, by name.

    Percentiles of `n_resamples` bootstrap samples of the rows (Efron and Tibshirani 1993). They
    say how far this one model's figures would vary on other reviews of the same kind. The area's
    are NaN if a sample holds only one class. `ValueError` for no rows.
    """
    check_rows(labels, probabilities)
    # The area depends on the order of probabilities only, and small integers are sorted faster.
    order = np.unique(probabilities, return_inverse=True)[1]
    order = order.astype(np.min_scalar_type(len(order)))
    samples = (np.asarray(labels) == 1, np.asarray(probabilities) > 0.5, order)
    rng, found = np.random.default_rng(random_state), []
    for start in range(0, n_resamples, 100):  # 100 times the rows are in memory at once
        rows = rng.integers(0, len(order), (min(n_resamples - start, 100), len(order)))
        found.append(_accuracy_f1_auc(*(sample[rows] for sample in samples)))
    bounds = np.quantile(np.concatenate(found, axis=1), [0.025, 0.975], axis=1)  # (2, 3)
    return dict(zip(("accuracy", "f1", "roc_auc"), map(tuple, bounds.T.tolist()), strict=True))


def _accuracy_f1_auc(positive: np.ndarray, predicted: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Accuracy, F1 and area (3, M) of M samples, from labels, predictions and the order of
    probabilities, (M, N) each."""
    positives, n = positive.sum(1), positive.shape[1]
    f1 = 2 * (positive & predicted).sum(1) / np.maximum(positives + predicted.sum(1), 1)
    # The area is the share of pairs in the right order: the Mann–Whitney U over all pairs.
    ranks = np.where(positive, rankdata(order, axis=1), 0).sum(1)
    pairs = positives * (n - positives)
    auc = (ranks - positives * (positives + 1) / 2) / np.where(pairs, pairs, np.nan)
    return np.stack([(positive == predicted).mean(1), f1, auc])


def check_rows(labels: np.ndarray, *others: np.ndarray) -> None:
    """`ValueError` unless there are rows, with as many `others` (N,) as `labels` (N,)."""
    if not len(labels) or any(len(other) != len(labels) for other in others):
        raise ValueError("one row or more is needed, with as many predictions as labels")

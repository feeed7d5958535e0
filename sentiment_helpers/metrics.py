"""Figures of a model's predictions, and their confidence intervals."""

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, rankdata
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
    occurs; precision, recall and F1 are 0 where they divide by 0.
    """
    labels, predictions = np.asarray(labels).astype(int), np.asarray(probabilities) > 0.5
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predictions, average="binary", zero_division=0
    )
    both = len(np.unique(labels)) == 2
    return Scores(
        loss=log_loss(labels, probabilities, labels=[0, 1]),
        accuracy=accuracy_score(labels, predictions),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        roc_auc=float(roc_auc_score(labels, probabilities)) if both else float("nan"),
    )


def intervals(
    labels: np.ndarray, probabilities: np.ndarray, n_resamples: int = 1000, random_state: int = 1234
) -> dict[str, tuple[float, float]]:
    """95 % confidence intervals (low, high) of accuracy, F1 and area under the ROC curve, by name.

    Percentiles of `n_resamples` bootstrap samples of the rows (Efron and Tibshirani 1993). They
    say how far this one model's figures would vary on other reviews of the same kind.
    """
    # The area depends on the order of probabilities only, and small integers are sorted faster.
    order = np.unique(probabilities, return_inverse=True)[1]
    order = order.astype(np.min_scalar_type(len(order)))
    samples = (np.asarray(labels) == 1, np.asarray(probabilities) > 0.5, order)
    found = bootstrap(
        samples, _accuracy_f1_auc, paired=True, vectorized=True, method="percentile",
        n_resamples=n_resamples, rng=np.random.default_rng(random_state),
        batch=100,  # rows times batch values are in memory at once
    ).confidence_interval  # fmt: skip
    bounds = map(tuple, np.transpose(found).tolist())
    return dict(zip(("accuracy", "f1", "roc_auc"), bounds, strict=True))


def _accuracy_f1_auc(
    positive: np.ndarray, predicted: np.ndarray, order: np.ndarray, axis: int = -1
) -> np.ndarray:
    """Accuracy, F1 and area (3, …) of many samples at once, from labels, predictions and the order
    of probabilities, (…, N) each."""
    positives, n = positive.sum(axis), positive.shape[axis]
    f1 = 2 * (positive & predicted).sum(axis) / (positives + predicted.sum(axis))
    # The area is the share of pairs in the right order: the Mann–Whitney U over all pairs.
    ranks = np.where(positive, rankdata(order, axis=axis), 0).sum(axis)
    auc = (ranks - positives * (positives + 1) / 2) / (positives * (n - positives))
    return np.stack([(positive == predicted).mean(axis), f1, auc])

"""How good predictions are, and how sure that is. Draws nothing."""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)


class Scores(NamedTuple):
    """Figures of one model on one set of rows; precision, recall and F1 of the positive class."""

    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float


def evaluate(labels: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Scores of `probabilities` (N,) of class 1 against `labels` (N,) of 0 and 1.

    A probability above 0.5 predicts class 1. A figure without a meaning is NaN or 0: the area
    under the ROC curve is NaN where only one class occurs, precision is 0 where none is predicted.
    """
    labels = np.asarray(labels).astype(int)
    predictions = np.asarray(probabilities) > 0.5
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


def accuracy_interval(labels: np.ndarray, predictions: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of an accuracy on (N,) labels (Wilson 1927)."""
    right = np.asarray(labels) == np.asarray(predictions)
    interval = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return interval.low, interval.high


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The p-value of the exact McNemar test that two models, by their predictions (N,) for the
    same rows, are wrong equally often (Dietterich 1998)."""
    right_first = np.asarray(labels) == np.asarray(first)
    right_second = np.asarray(labels) == np.asarray(second)
    only_first = int((right_first & ~right_second).sum())
    only_second = int((~right_first & right_second).sum())
    if only_first + only_second == 0:
        return 1.0
    return binomtest(only_first, only_first + only_second).pvalue

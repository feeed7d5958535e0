"""Figures of a model's predictions, and their confidence intervals."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, precision_recall_fscore_support, roc_auc_score

RESAMPLES, SEED = 1000, 1234


class Scores(NamedTuple):
    """Figures on one set of rows; precision, recall and F1 are of the positive class."""

    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    roc_auc: float


def evaluate(labels: np.ndarray, probabilities: np.ndarray) -> Scores:
    """Scores of `probabilities` (N,) of class 1 against `labels` (N,) of 0 and 1; above 0.5 is read
    as 1. The area under the ROC curve is NaN if only one class occurs; precision, recall and F1 are
    0 where they divide by 0. `ValueError` for no rows."""
    check_rows(labels, probabilities)
    labels, read = np.asarray(labels).astype(int), np.asarray(probabilities) > 0.5
    found = precision_recall_fscore_support(labels, read, average="binary", zero_division=0)
    loss, accuracy = log_loss(labels, probabilities, labels=[0, 1]), (labels == read).mean()
    area = roc_auc_score(labels, probabilities) if len(np.unique(labels)) == 2 else np.nan
    return Scores(*map(float, (loss, accuracy, *found[:3], area)))


def intervals(
    labels: np.ndarray, probabilities: np.ndarray, films: np.ndarray | None = None
) -> dict[str, tuple[float, float]]:
    """95 % confidence intervals (low, high) of accuracy, F1 and area under the ROC curve, by name:
    percentiles of `RESAMPLES` bootstrap samples of the rows (Efron and Tibshirani 1993), or of the
    `films` (N,), each with all of its rows. They say how far this one model's figures would vary on
    other reviews of the same kind, or on other films. The area's are NaN if a sample holds only one
    class. `ValueError` for no rows."""
    check_rows(labels, probabilities)
    # The figures need only the number of rows of each class at each of K distinct probabilities.
    distinct, place = np.unique(probabilities, return_inverse=True)
    above, cell = distinct > 0.5, 2 * place + (np.asarray(labels) == 1)  # (K,), (N,)
    unit = np.arange(len(cell)) if films is None else pd.factorize(films)[0]  # (N,)
    rng, count, found = np.random.default_rng(SEED), unit.max() + 1, []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, count, count), minlength=count)[unit]  # (N,)
        drawn = np.bincount(cell, times, minlength=2 * len(distinct))
        negative, positive = drawn.reshape(-1, 2).T  # (K,) each
        right, wrong = positive[above].sum(), negative[above].sum()  # of those read as positive
        positives, negatives = positive.sum(), negative.sum()
        accuracy = (right + negatives - wrong) / (positives + negatives)
        f1 = 2 * right / max(positives + right + wrong, 1)
        # The share of pairs in the right order; a pair with equal probabilities counts half.
        ordered = (positive * (negative.cumsum() - negative / 2)).sum()
        found.append((accuracy, f1, ordered / (positives * negatives or np.nan)))
    low, high = np.quantile(found, [0.025, 0.975], axis=0).tolist()
    return dict(zip(("accuracy", "f1", "roc_auc"), zip(low, high, strict=True), strict=True))


def check_rows(labels: np.ndarray, *others: np.ndarray) -> None:
    """`ValueError` unless there are rows, with as many `others` (N,) as `labels` (N,)."""
    if not len(labels) or any(len(other) != len(labels) for other in others):
        raise ValueError("one row or more is needed, with as many predictions as labels")

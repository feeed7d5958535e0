"""How good predictions are, and how sure that is. Draws nothing."""

from typing import NamedTuple

import numpy as np
from scipy.stats import bootstrap, rankdata
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


def evaluate(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> Scores:
    """Scores of `probabilities` (N,) of class 1 against `labels` (N,) of 0 and 1; with `weights`
    (N,), each row counts that many times.

    A probability above 0.5 predicts class 1. A figure without a meaning is NaN or 0: the area
    under the ROC curve is NaN where only one class occurs, precision is 0 where none is predicted.
    """
    labels = np.asarray(labels).astype(int)
    predictions = np.asarray(probabilities) > 0.5
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predictions, average="binary", zero_division=0, sample_weight=weights
    )
    both = len(np.unique(labels)) == 2
    auc = roc_auc_score(labels, probabilities, sample_weight=weights) if both else float("nan")
    return Scores(
        loss=log_loss(labels, probabilities, labels=[0, 1], sample_weight=weights),
        accuracy=accuracy_score(labels, predictions, sample_weight=weights),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        roc_auc=float(auc),
    )


class Tally:
    """`evaluate` of rows that come in parts, in the same memory for any number of them.

    All figures are exact but the area under the ROC curve, for which probabilities in the same one
    of 2²⁰ equal intervals are taken to be equal.
    """

    BINS = 2**20

    def __init__(self):
        self._counts = np.zeros((2, self.BINS), np.int64)
        self._loss = 0.0  # the sum over rows

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Take in rows, see `evaluate`."""
        # A probability of 0.5 falls below the middle, as it does in `evaluate`.
        bins = np.ceil(probabilities * self.BINS).astype(np.int64).clip(min=1) - 1
        np.add.at(self._counts, (labels, bins), 1)
        self._loss += log_loss(labels, probabilities, labels=[0, 1], normalize=False)

    def scores(self) -> Scores | None:
        """The figures of all rows so far; None without any."""
        labels, bins = self._counts.nonzero()
        if not len(labels):
            return None
        counts = self._counts[labels, bins]
        scores = evaluate(labels, (bins + 0.5) / self.BINS, counts)
        return scores._replace(loss=float(self._loss / counts.sum()))


def intervals(
    labels: np.ndarray, probabilities: np.ndarray, n_resamples: int = 1000, random_state: int = 1234
) -> dict[str, tuple[float, float]]:
    """95 % intervals (low, high) of accuracy, F1 and area under the ROC curve, by name.

    Bootstrap over the rows, percentiles of `n_resamples` draws (Efron and Tibshirani 1993): how
    far the figures of this one model would move on other reviews of the same kind.
    """
    # Only the order of probabilities matters to the area, and small integers are sorted faster.
    order = np.unique(probabilities, return_inverse=True)[1]
    order = order.astype(np.min_scalar_type(len(order)))
    samples = (np.asarray(labels) == 1, np.asarray(probabilities) > 0.5, order)
    found = bootstrap(
        samples,
        _accuracy_f1_auc,
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=n_resamples,
        batch=100,  # rows times batch values are in memory at once
        rng=np.random.default_rng(random_state),
    ).confidence_interval
    names = ("accuracy", "f1", "roc_auc")
    return dict(zip(names, zip(found.low.tolist(), found.high.tolist(), strict=True), strict=True))


def _accuracy_f1_auc(
    positive: np.ndarray, predicted: np.ndarray, order: np.ndarray, axis: int = -1
) -> np.ndarray:
    """The three figures of many draws at once, (3, …) from (…, N): labels, predictions, and
    numbers in the order of the probabilities."""
    positives, n = positive.sum(axis), positive.shape[axis]
    f1 = 2 * (positive & predicted).sum(axis) / (positives + predicted.sum(axis))
    # The area is the share of pairs in the right order: Mann and Whitney's U over all pairs.
    ranks = np.where(positive, rankdata(order, axis=axis), 0).sum(axis)
    auc = (ranks - positives * (positives + 1) / 2) / (positives * (n - positives))
    return np.stack([(positive == predicted).mean(axis), f1, auc])

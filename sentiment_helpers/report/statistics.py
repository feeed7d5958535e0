"""Paired tests: two models on the same rows, or on the same seeds."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, sem, t


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The p-value of McNemar's exact test (Dietterich 1998) of two models that predict `first` and
    `second` (N,) for the same rows with `labels` (N,): are they wrong equally often?"""
    first_right, second_right = np.equal(labels, first), np.equal(labels, second)
    one_right = first_right[first_right != second_right]  # the rows that only one of them has right
    return binomtest(int(one_right.sum()), len(one_right)).pvalue if len(one_right) else 1.0


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm–Bonferroni adjusted p-values (Holm 1979), in the order of `p_values`."""
    p_values = np.asarray(p_values)
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    adjusted = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    return adjusted[np.argsort(order)]


def paired_difference(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """How much higher the figures of `first` are than those of `second`, pair by pair: the mean
    difference and its 95 % interval (Student's t). With a pair for each seed, the interval covers
    the variation of training, not of the rows. `ValueError` for fewer than two pairs, or a figure
    without a partner."""
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"two or more pairs are needed, got {len(first)} and {len(second)}")
    difference = np.subtract(first, second)
    mean = float(difference.mean())
    margin = float(t.ppf(0.975, len(difference) - 1) * sem(difference))
    return mean, mean - margin, mean + margin

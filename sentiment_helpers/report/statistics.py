"""Paired tests: two models on the same rows, or on the same seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, ttest_rel


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The p-value of McNemar's exact test (Dietterich 1998): are two models, by their predictions
    (N,) for the same rows with `labels` (N,), wrong equally often?"""
    first_right, second_right = np.equal(labels, first), np.equal(labels, second)
    only_first = int((first_right & ~second_right).sum())
    only_second = int((~first_right & second_right).sum())
    if only_first + only_second == 0:
        return 1.0
    return binomtest(only_first, only_first + only_second).pvalue


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Holm–Bonferroni adjusted p-values (Holm 1979), in the order of `p_values`."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    return adjusted


class Difference(NamedTuple):
    """The mean of paired differences and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def supported(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.4f}, 95 % interval {self.low:+.4f} to {self.high:+.4f}"


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """How much higher the figures of `first` are than those of `second`, pair by pair (Student's
    t). With one pair a seed, the interval covers the variation of training, not of the rows.
    `ValueError` for fewer than two pairs, or a figure without a partner."""
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"two or more pairs are needed, got {len(first)} and {len(second)}")
    difference = np.subtract(first, second)
    if np.ptp(difference) == 0:  # no variation, so no width
        return Difference(*[float(difference[0])] * 3)
    interval = ttest_rel(first, second).confidence_interval(0.95)
    return Difference(float(difference.mean()), float(interval.low), float(interval.high))

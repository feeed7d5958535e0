"""Paired tests of models on the same rows or seeds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, ttest_rel


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


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values for as many questions asked at once, in their order (Holm 1979): one below 0.05
    stands even though the others were asked, too."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    adjusted = np.empty_like(p_values)
    factors = np.arange(len(p_values), 0, -1)
    adjusted[order] = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    return adjusted


class Difference(NamedTuple):
    """The mean of paired differences, and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def supported(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def paired_difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """How much higher figures of `first` are than those of `second`, pair by pair (Student's t).

    With pairs of seeds, this is the variation of training alone: the rows stay the same.

    Raises:
        ValueError: not as many in one as in the other, or fewer than two pairs.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"two or more pairs are needed, {len(first)} and {len(second)} given")
    difference = np.subtract(first, second)
    if np.ptp(difference) == 0:  # no variation, so no width
        return Difference(*[float(difference[0])] * 3)
    interval = ttest_rel(first, second).confidence_interval(0.95)
    return Difference(float(difference.mean()), float(interval.low), float(interval.high))

"""Figures against cases worked out by hand."""

import math

import numpy as np
import pytest

from sentiment_helpers import accuracy_interval, evaluate, mcnemar


def test_evaluate_by_hand():
    labels = np.array([1, 1, 1, 0, 0])
    probabilities = np.array([0.9, 0.8, 0.4, 0.6, 0.1])
    scores = evaluate(labels, probabilities)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.roc_auc == pytest.approx(5 / 6)  # of six pairs, one is in the wrong order
    loss = -sum(map(math.log, [0.9, 0.8, 0.4, 0.4, 0.9])) / 5
    assert scores.loss == pytest.approx(loss)


def test_one_class_only():
    scores = evaluate(np.zeros(3), np.full(3, 0.2))
    assert (scores.accuracy, scores.precision, scores.f1) == (1, 0, 0)
    assert math.isnan(scores.roc_auc)


def test_accuracy_interval():
    """Wilson's interval for 80 of 100, from his formula."""
    right, n, z = 0.8, 100, 1.959964
    middle = (right + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(right * (1 - right) / n + z**2 / (4 * n**2))
    low, high = accuracy_interval(np.ones(100), np.arange(100) < 80)
    assert (low, high) == (pytest.approx(middle - half), pytest.approx(middle + half))


def test_mcnemar_by_hand():
    """Five rows only the first has right, one only the second: p = 2 (1 + 6) / 2^6."""
    labels = np.ones(10)
    first = np.array([1] * 8 + [0] * 2)
    second = np.array([0] * 5 + [1] * 4 + [0])
    assert mcnemar(labels, first, second) == pytest.approx(14 / 64)
    assert mcnemar(labels, second, first) == pytest.approx(14 / 64)
    assert mcnemar(labels, first, first) == 1

"""Figures against cases worked out by hand, and against SciPy and statsmodels."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from sentiment_helpers import evaluate, intervals, metrics


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
    of_one_class = evaluate(np.zeros(3), np.full(3, 0.2))
    assert (of_one_class.accuracy, of_one_class.precision, of_one_class.f1) == (1, 0, 0)
    assert math.isnan(of_one_class.roc_auc)


def test_bootstrapped_intervals_are_scipys(monkeypatch):
    """Of figures that are scikit-learn's, ties included."""
    monkeypatch.setattr(metrics, "RESAMPLES", 150)
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, 60), rng.random(60).round(1)
    names = ("accuracy", "f1", "roc_auc")
    found = bootstrap(
        (labels, probabilities), lambda y, p: [getattr(evaluate(y, p), name) for name in names],
        paired=True, n_resamples=150, method="percentile", vectorized=False,
        rng=np.random.default_rng(metrics.SEED),
    ).confidence_interval  # fmt: skip
    measured = intervals(labels, probabilities)
    assert list(measured) == list(names)
    for name, low, high in zip(names, *found, strict=True):
        assert measured[name] == pytest.approx((low, high))


def test_intervals_against_formulas():
    """Near Wilson's interval of an accuracy, and Hanley and McNeil's standard error of an area."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 1000)
    probabilities = 1 / (1 + np.exp(-rng.normal(2.0 * labels - 1.0)))
    scores, found = evaluate(labels, probabilities), intervals(labels, probabilities)
    wilson = proportion_confint(round(scores.accuracy * 2000), 2000, method="wilson")
    assert found["accuracy"] == pytest.approx(wilson, abs=0.003)
    area = scores.roc_auc
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = math.sqrt((area * (1 - area) + 999 * (q1 + q2 - 2 * area**2)) / 1000**2)
    expected = (area - 1.96 * error, area + 1.96 * error)
    assert found["roc_auc"] == pytest.approx(expected, abs=0.003)
    assert found["f1"][0] < scores.f1 < found["f1"][1]
    assert intervals(labels, probabilities) == found


def test_intervals_count_films():
    """Four copies of each row are one film: the interval is that of the rows, not half as wide."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    positive = np.clip(labels * 0.3 + rng.random(200) * 0.7, 0, 1)
    alone, copies = intervals(labels, positive), (np.repeat(labels, 4), np.repeat(positive, 4))
    assert intervals(*copies, films=np.repeat(np.arange(200), 4)) == alone
    low, high = intervals(*copies)["accuracy"]
    assert high - low < 0.6 * (alone["accuracy"][1] - alone["accuracy"][0])

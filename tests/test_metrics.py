"""Figures against cases worked out by hand, and against statsmodels."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from sentiment_helpers import evaluate, intervals, metrics
from sentiment_helpers.report.comparisons import holm, mcnemar, paired_difference


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


def test_bootstrapped_intervals_are_scipys():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, 60), rng.random(60).round(1)
    found = bootstrap(
        (labels, probabilities), lambda y, p: evaluate(y, p)[1::2], paired=True, n_resamples=150,
        method="percentile", rng=np.random.default_rng(1234),
    ).confidence_interval  # fmt: skip
    expected = dict(zip(("accuracy", "recall", "roc_auc"), zip(*found, strict=True), strict=True))
    measured = intervals(labels, probabilities, n_resamples=150)
    for name in ("accuracy", "roc_auc"):
        assert measured[name] == pytest.approx(expected[name])


def test_bootstrapped_figures_are_scikit_learns():
    """Of each of several draws, ties included."""
    labels = np.random.default_rng(0).integers(0, 2, (4, 50))
    probabilities = np.random.default_rng(1).random((4, 50)).round(1)
    accuracy, f1, auc = metrics._accuracy_f1_auc(labels == 1, probabilities > 0.5, probabilities)
    for row in range(4):
        scores = evaluate(labels[row], probabilities[row])
        assert accuracy[row] == pytest.approx(scores.accuracy)
        assert f1[row] == pytest.approx(scores.f1)
        assert auc[row] == pytest.approx(scores.roc_auc)


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
    assert intervals(labels, probabilities, random_state=1) != found


def test_mcnemar_by_hand():
    """Five rows only the first has right, one only the second: p = 2 (1 + 6) / 2^6."""
    labels = np.ones(10)
    first = np.array([1] * 8 + [0] * 2)
    second = np.array([0] * 5 + [1] * 4 + [0])
    assert mcnemar(labels, first, second) == pytest.approx(14 / 64)
    assert mcnemar(labels, second, first) == pytest.approx(14 / 64)
    assert mcnemar(labels, first, first) == 1


def test_mcnemar_is_statsmodels():
    rng = np.random.default_rng(0)
    labels, first, second = rng.integers(0, 2, (3, 60))
    counts = [
        [((first == labels) == a) & ((second == labels) == b) for b in (True, False)]
        for a in (True, False)
    ]
    expected = contingency_tables.mcnemar(np.sum(counts, axis=2), exact=True).pvalue
    assert mcnemar(labels, first, second) == pytest.approx(expected)


def test_holm():
    """By hand: 0.01 × 3; then 0.02 × 2; then 0.03 × 1, but not below the one before."""
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, 0.8]) == pytest.approx([1, 1])
    p_values = np.random.default_rng(0).random(45) ** 4
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_paired_difference():
    """Differences 1, 2, 3: mean 2, standard error 1/√3, t of 0.975 with 2 degrees 4.3027."""
    found = paired_difference([2, 4, 6], [1, 2, 3])
    assert found == pytest.approx((2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    first, second = np.random.default_rng(0).random((2, 5))
    expected = DescrStatsW(first - second).tconfint_mean()
    assert paired_difference(first, second)[1:] == pytest.approx(expected)
    assert paired_difference([5, 6], [1, 2]) == (4, 4, 4)
    with pytest.raises(ValueError, match="two or more pairs"):
        paired_difference([1], [2])

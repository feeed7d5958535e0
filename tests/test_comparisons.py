"""Tables and sentences about results follow from their figures."""

import numpy as np
import pytest

from sentiment_helpers.report import comparisons


def test_the_table_has_the_reports_figures_beside_ours(made_up):
    results = [made_up("gru-5", "0100"), made_up("lstm-5", "0101"), made_up("gru-5", "0000", 7)]
    table = comparisons.table(comparisons.first_runs(results))
    assert list(table) == [
        (title, place) for title in ("GRU-5", "LSTM-5") for place in ("report", "here")
    ]
    report, here = table["GRU-5"]["report"], table["GRU-5"]["here"]
    assert (report["valid", "accuracy"], here["valid", "accuracy"]) == (0.82744, 0.75)
    assert (report["training", "seconds"], here["training", "seconds"]) == (114, 1.0)
    assert (report["training", "epochs"], here["training", "epochs"]) == (15, 15)
    assert np.isnan(report["valid", "roc_auc"])  # the report gives none


def test_scores_and_verdicts():
    """The first model is wrong in 40 of 60 rows, the others in none: p = 2 / 2⁴⁰, times 3."""
    labels = np.arange(60) % 2
    right = np.where(labels == 1, 0.9, 0.1)
    models = {"a": np.where(np.arange(60) < 40, 1 - right, right), "b": right, "c": right}
    table = comparisons.scores_table(models, labels)
    assert table["a"]["accuracy"] == pytest.approx(1 / 3)
    assert table["b"]["accuracy 95 %"] == "1.0000–1.0000"
    said = comparisons.verdicts(models, labels)
    assert said[0].startswith("b is more accurate than a: 0.6667 apart, p = 5.5e-12 ")
    assert said[1].startswith("c is more accurate than a")
    assert said[2].startswith("c is not significantly more accurate than b: 0.0000 apart, p = 1 ")
    against = comparisons.verdicts(models, labels, against="b")
    assert [sentence.partition(":")[0] for sentence in against] == [
        "b is more accurate than a", "c is not significantly more accurate than b",
    ]  # fmt: skip
    assert "p = 3.6e-12" in against[0]  # two questions, not three


def test_seeds_table(made_up):
    results = [made_up("gru-5", text, seed) for seed, text in enumerate(("0101", "0100"))]
    assert comparisons.seeds_table(results).loc["GRU-5"].tolist() == pytest.approx(
        [2, 0.875, 0.125 * 2**0.5]
    )


def test_mcnemar_table():
    """Six rows in which only b is wrong, none in which only another one is: p = 2 / 2⁶."""
    labels = np.arange(10) % 2
    predictions = {"a": labels, "b": np.where(np.arange(10) < 6, 1 - labels, labels), "c": labels}
    table = comparisons.mcnemar_table(predictions, labels)
    assert table["p"].tolist() == pytest.approx([1 / 32, 1, 1 / 32])
    assert table["p (Holm)"].tolist() == pytest.approx([3 / 32, 1, 3 / 32])
    assert table["difference"].tolist() == pytest.approx([0.6, 0, -0.6])


@pytest.mark.parametrize(
    ("gru", "lstm", "verdict"),
    [(8, 2, ". GRU-5 is better."), (2, 8, ". LSTM-5 is better."), (5, 5, ". No significant")],
)
def test_findings_follow_the_figures(gru, lstm, verdict, made_up):
    labels = np.arange(1000) % 2
    results = []
    for seed in range(4):
        for name, right in (("gru-5", gru), ("lstm-5", lstm)):
            share = 500 + 40 * right + 3 * (seed * right % 4)
            read = np.where(np.arange(1000) < share, labels, 1 - labels)
            results.append(made_up(name, "".join(map(str, read)), seed, (0.4, 0.6)))
    report, seeds, rows, useless = comparisons.findings(results, labels)
    assert "0.0057 apart" in report
    assert "no network is significantly better" in report
    assert verdict in seeds
    assert "4 seeds" in seeds
    assert f"Of 1 pair of networks trained once, {int(gru != lstm)} differ" in rows.replace(
        "pairs", "pair"
    )
    assert useless.endswith("GRU-5, LSTM-5.")


def test_findings_of_one_seed_compare_no_seeds(made_up):
    labels = np.arange(10) % 2
    found = comparisons.findings(
        [made_up("gru-5", "0101010101"), made_up("lstm-5", "01" * 5)], labels
    )
    assert not any("seeds" in sentence for sentence in found)

"""Tables about results follow from their figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sentiment_helpers.report import comparisons
from sentiment_helpers.report.experiments import REPORT_REVIEWS, report_table

ROOT = Path(__file__).parents[1]


def test_the_table_has_the_reports_figures_beside_ours(made_up):
    table = comparisons.table(pd.DataFrame([made_up("gru-5", "0100"), made_up("lstm-5", "0101")]))
    assert list(table) == [
        (title, place) for title in ("GRU-5", "LSTM-5") for place in ("report", "here")
    ]
    assert table.index.nlevels == 2
    report, here = table["GRU-5"]["report"], table["GRU-5"]["here"]
    assert (report["valid", "accuracy"], here["valid", "accuracy"]) == (0.82744, 0.75)
    assert (report["training", "seconds"], here["training", "seconds"]) == (114, 1.0)
    assert (report["training", "epochs"], here["training", "epochs"]) == (15, 15)
    assert np.isnan(report["valid", "roc_auc"])  # the report gives none


def test_scores_and_comparisons():
    """Model a is wrong in 40 of 60 rows, the others in none: p = 2 / 2⁴⁰, and times 2 or 3."""
    labels = np.arange(60) % 2
    right = np.where(labels == 1, 0.9, 0.1)
    models = {"a": np.where(np.arange(60) < 40, 1 - right, right), "b": right, "c": right}
    table = comparisons.scores_table(models, labels, against="a")[:-2]
    assert table["a"]["accuracy"] == "0.3333"
    assert table["b"]["accuracy 95 %"] == "1.0000–1.0000"
    for against, differences, p_values in (
        ("b", ["-0.6667", "", "+0.0000"], ["3.6e-12", "", "1"]),
        ("a", ["", "+0.6667", "+0.6667"], ["", "3.6e-12", "3.6e-12"]),
    ):
        compared = comparisons.scores_table(models, labels, against=against)
        assert compared.index.tolist() == [
            *table.index, f"accuracy, minus {against}", "p (McNemar, Holm)",
        ]  # fmt: skip
        assert compared.iloc[-2].tolist() == differences
        assert compared.iloc[-1].tolist() == p_values
        assert compared.loc["accuracy"].tolist() == table.loc["accuracy"].tolist()
    alone = comparisons.scores_table({"b": right}, labels, against="b")
    assert list(alone.index) == list(table.index)


SHORT, LONG = "good film " * 3, "good film " * 30  # 6 and 60 words
READ = pd.DataFrame({"review": [LONG, SHORT, LONG + "b", LONG + "c", LONG + "d"],
                     "label": [1, 1, 0, 1, 0]}, index=[7, 3, 9, 4, 1])  # fmt: skip


def test_examples():
    """Among reviews of 40 to 90 words. A kind without a review is left out."""
    positive = np.array([0.95, 0.999, 0.8, 0.52, 0.1])
    assert comparisons.examples(READ, positive) == {
        "surest right, labelled positive:": LONG,
        "surest wrong, labelled negative:": LONG + "b",
        "least sure, labelled positive:": LONG + "c",
    }
    all_right = np.array([0.6, 0.7, 0.2, 0.9, 0.4])
    assert list(comparisons.examples(READ, all_right)) == [
        "surest right, labelled positive:", "least sure, labelled positive:",
    ]  # fmt: skip
    all_wrong = comparisons.examples(READ, 1 - all_right)
    assert [kind.partition(",")[0] for kind in all_wrong] == ["surest wrong", "least sure"]
    short = READ.assign(review=SHORT)
    assert set(comparisons.examples(short, positive).values()) == {SHORT}
    assert list(READ) == ["review", "label"]


def test_surest_mistakes():
    table = comparisons.surest_mistakes(READ, np.array([0.3, 0.999, 0.8, 0.52, 0.9]))
    assert table.index.tolist() == [1, 9, 7]
    assert table["probability"].tolist() == [0.9, 0.8, 0.3]
    assert table["review"].str.len().tolist() == [160] * 3
    many = pd.concat([READ] * 4, ignore_index=True)
    six = comparisons.surest_mistakes(many, np.linspace(0.9, 0.6, 20))
    assert six.index.tolist() == [2, 4, 7, 9, 12, 14]
    assert comparisons.surest_mistakes(READ, READ["label"].to_numpy() * 0.9).empty


def test_seeds_table(made_up):
    results = [made_up("gru-5", text, seed) for seed, text in enumerate(("0101", "0100"))]
    assert comparisons.seeds_table(pd.DataFrame(results)).loc["GRU-5"].tolist() == pytest.approx(
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


def test_pairs_table(made_up):
    """Differences 0.1, 0.2 and 0.3: standard error 0.1/√3, t of 0.975 with 2 degrees 4.3027. The
    fourth seed, and a pair of which one network is missing, are left out."""
    labels, results = np.arange(100) % 2, []
    for seed, right in enumerate((80, 80, 80, 99)):
        for name, wrong in (("lstm-5", 100 - right + 10 * (seed + 1)), ("gru-5", 100 - right)):
            read = np.where(np.arange(100) < wrong, 1 - labels, labels)
            results.append(made_up(name, "".join(map(str, read)), seed))
    results[6] = made_up("gru-14-skip", "01", 3)
    table = comparisons.pairs_table(pd.DataFrame(results))
    assert table.index.tolist() == ["GRU-5 minus LSTM-5"]
    margin = 4.3027 * 0.1 / 3**0.5
    assert table.iloc[0].tolist() == pytest.approx([3, 0.2, 0.2 - margin, 0.2 + margin], abs=1e-4)
    assert comparisons.pairs_table(pd.DataFrame(results[:2])).empty  # one seed


def test_the_reports_networks_are_no_further_apart_than_equally_good_ones():
    """The figures stand in the first notebook's text."""
    accuracies = report_table().query("notebook != 'earlier'")["valid_accuracy"]
    gap, mean, rows = np.ptp(accuracies), accuracies.mean(), round(REPORT_REVIEWS / 5)
    p = 2 * norm.sf(gap / np.sqrt(2 * mean * (1 - mean) / rows))
    cells = json.loads((ROOT / "notebooks" / "1_stacked_birnn.ipynb").read_text("utf-8"))["cells"]
    (text,) = [t for c in cells if "What the figures support" in (t := "".join(c["source"]))]
    for figure in (f"{gap:.4f} apart", f"about {rows:,} rows", f"with probability {p:.2f}"):
        assert figure in text

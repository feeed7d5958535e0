"""Tables and sentences about results follow from their figures."""

import numpy as np
import pandas as pd
import pytest

from sentiment_helpers.report import comparisons


def test_the_table_has_the_reports_figures_beside_ours(made_up):
    results = [made_up("gru-5", "0100"), made_up("lstm-5", "0101"), made_up("gru-5", "0000", 7)]
    table = comparisons.table(comparisons.first_runs(results))
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
    assert comparisons.surest_mistakes(READ, np.full(5, 0.9), count=1).index.tolist() == [9]
    assert comparisons.surest_mistakes(READ, READ["label"].to_numpy() * 0.9).empty


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

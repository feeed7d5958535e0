"""Tables about results follow from their figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, norm

from sentiment_report import comparisons
from sentiment_report.experiments import REPORT_REVIEWS, report_table

ROOT = Path(__file__).parents[1]


def test_the_table_has_the_reports_figures_beside_ours(made_up):
    table = comparisons.table(
        pd.DataFrame([made_up("gru-5", "0100"), made_up("lstm-5", "0101")])
    ).data
    assert list(table) == [
        (title, place) for title in ("GRU-5", "LSTM-5") for place in ("report", "here")
    ]
    report, here = table["GRU-5"]["report"], table["GRU-5"]["here"]
    assert (report["valid", "accuracy"], here["valid", "accuracy"]) == (0.82744, 0.75)
    assert (report["training", "seconds"], here["training", "seconds"]) == (114, 1.0)
    assert (report["training", "epochs"], here["training", "epochs"]) == (15, 15)
    assert np.isnan(report["valid", "roc_auc"])  # the report gives none


def test_scores_and_comparisons():
    """Model a is wrong in 40 of 60 rows, the others in none, so z is 39 / √40; p times 2."""
    labels = np.arange(60) % 2
    right = np.where(labels == 1, 0.9, 0.1)
    models = {"a": np.where(np.arange(60) < 40, 1 - right, right), "b": right, "c": right}
    table = comparisons.scores_table(models, labels, against="a")[:-2]
    assert table["a"]["accuracy"] == "0.3333"
    assert table["b"]["accuracy 95 %"] == "1.0000–1.0000"
    for against, differences, p_values in (
        ("b", ["-0.6667", "", "+0.0000"], ["1.4e-09", "", "1"]),
        ("a", ["", "+0.6667", "+0.6667"], ["", "1.4e-09", "1.4e-09"]),
    ):
        compared = comparisons.scores_table(models, labels, against=against)
        assert compared.index[-2:].tolist() == [f"accuracy, minus {against}", "p (McNemar, Holm)"]
        assert compared.iloc[-2].tolist() == differences
        assert compared.iloc[-1].tolist() == p_values
    alone = comparisons.scores_table({"b": right}, labels, against="b")
    assert list(alone.index) == list(table.index)


def test_p_values():
    """Of the rows that only one model has right, it has half if the two are equally good. Rows of
    one film count once: three copies of each row change next to nothing. Holm's factors are 3, 2,
    1, and no p-value falls below a smaller one."""
    labels, *values = np.random.default_rng(0).integers(0, 2, (4, 600))
    values[2] = np.where(values[2], labels, 0)
    predictions = dict(zip("abc", values, strict=True))
    table = comparisons.mcnemar_table(predictions, labels)
    for row in table.itertuples():
        one, other = (predictions[name] == labels for name in (row.first, row.second))
        alone = one[one != other]
        exact = binomtest(int(alone.sum()), len(alone)).pvalue
        assert row.p == pytest.approx(exact, rel=0.05)
    ordered = table.sort_values("p")
    expected = np.maximum.accumulate(ordered["p"] * [3, 2, 1]).clip(upper=1)
    assert ordered["p (Holm)"].tolist() == pytest.approx(expected.tolist())
    copies = {name: np.repeat(values, 3) for name, values in predictions.items()}
    films = np.repeat(np.arange(600), 3)
    films = pd.Series(films, index=films[::-1])  # whose index is another one
    again = comparisons.mcnemar_table(copies, np.repeat(labels, 3), films=films)
    pd.testing.assert_frame_equal(again, table, rtol=0.05)


def test_the_surest_come_first():
    reviews = pd.DataFrame({"review": list("abcd"), "label": [1, 0, 1, 0]}, index=[7, 3, 9, 4])
    table = comparisons.by_sureness(reviews, np.array([0.6, 0.97, 0.01, 0.5]))
    assert table.index.tolist() == [9, 3, 7, 4]
    assert table["probability"].tolist() == [0.01, 0.97, 0.6, 0.5]
    assert table["right"].tolist() == [False, False, True, True]
    assert list(reviews) == ["review", "label"]


@pytest.mark.filterwarnings("error")
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
    assert table.index.tolist() == ["gru-5 minus lstm-5"]
    expected = [3, 0.8, 0.6, 0.2, 0.2 - 4.3027 * 0.1 / 3**0.5, 0.2 + 4.3027 * 0.1 / 3**0.5]
    assert table.iloc[0].tolist() == pytest.approx(expected, abs=1e-4)
    assert comparisons.pairs_table(pd.DataFrame(results[:2])).empty  # one seed
    # Equal differences have an interval of one value, as where all networks stay at chance.
    two = pd.DataFrame({"a": [5, 6], "b": [1, 2]})
    equal = comparisons.paired_differences(two, {"": ["a", "b"]})
    assert equal.loc["", ["difference", "low", "high"]].tolist() == [4, 4, 4]


def test_the_reports_networks_are_no_further_apart_than_equally_good_ones():
    """The figures stand in the first notebook's text."""
    accuracies = report_table().query("notebook in ('plain', 'skip')")["valid_accuracy"]
    gap, mean, rows = np.ptp(accuracies), accuracies.mean(), round(REPORT_REVIEWS / 5)
    p = 2 * norm.sf(gap / np.sqrt(2 * mean * (1 - mean) / rows))
    cells = json.loads((ROOT / "notebooks" / "1_stacked_birnn.ipynb").read_text("utf-8"))["cells"]
    (text,) = [t for c in cells if "What the figures support" in (t := "".join(c["source"]))]
    for figure in (f"{gap:.4f} apart", f"about {rows:,} rows", f"with probability {p:.2f}"):
        assert figure in text

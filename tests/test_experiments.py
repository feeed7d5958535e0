"""The report's rows as data, run again on a few real reviews, and what is said of them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sentiment_helpers import MeanEmbedding, experiments, load_glove
from sentiment_helpers.experiments import PLAIN, REPORT, SKIP

FEW = {"max_epochs": 2, "lr": 0.01}


@pytest.fixture(scope="module")
def sets(reviews):
    X = MeanEmbedding(load_glove()).fit_transform(reviews["review"][:600])
    y = reviews["label"].to_numpy()[:600]
    return (X[:400], y[:400]), (X[400:], y[400:])


@pytest.fixture(scope="module")
def results(sets):
    return experiments.run_all(["gru-5", "lstm-5"], *sets, random_states=[1, 2], **FEW)


def test_the_rows_of_the_report():
    assert (len(PLAIN), len(SKIP)) == (6, 4)
    assert REPORT.loc["gru-5", "valid_accuracy"] == 0.82744
    assert REPORT.loc["lstm-14-skip", "train_loss"] == 0.37845
    deep = experiments.classifier("lstm-14-skip", random_state=7)
    assert (deep.cell_type, deep.num_layers, deep.hidden_size) == ("lstm", 14, 8)
    assert (deep.skip_connections, deep.dropout, deep.max_norm) == (True, 0.05, 0.75)
    assert (deep.lr, deep.max_epochs, deep.patience, deep.random_state) == (1e-4, 15, 2, 7)
    light = experiments.classifier("gru-5-light")
    assert (light.skip_connections, light.dropout, light.max_norm) == (False, 0.01, 0.7)


def test_a_run_is_the_classifiers_own(sets, results):
    """In a worker process, as in this one."""
    fitted = experiments.classifier("lstm-5", random_state=2, **FEW).fit(
        *sets[0], validation=sets[1]
    )
    result = results[3]
    assert (result.experiment, result.random_state) == ("lstm-5", 2)
    assert result.predicted.tolist() == fitted.predict(sets[1][0]).tolist()
    assert result.valid["accuracy"] == fitted.score(*sets[1])
    assert result.valid["loss"] == fitted.history_["valid_loss"].min()
    low, high = result.intervals["accuracy"]
    assert low < result.valid["accuracy"] < high
    assert (len(result.roc), result.roc[0] <= result.roc[-1]) == (101, True)
    again = experiments.run("lstm-5", *sets, random_state=2, **FEW)
    assert replace(again, seconds=0) == replace(result, seconds=0)


def test_results_are_written_and_read(sets, results, tmp_path, caplog):
    path = tmp_path / "plain.json"
    data = experiments.described("bundled", "tiny", *sets)
    assert experiments.read_results(path, data) == []
    assert "has not been run" in caplog.text
    experiments.write_results(path, results, data)
    assert json.loads(path.read_text("utf-8"))["data"]["train_rows"] == 400
    read = experiments.read_results(path, data)
    assert [(r.title, r.valid, r.history) for r in read] == [
        (r.title, r.valid, r.history) for r in results
    ]
    assert experiments.read_results(path, data | {"reviews": "others"}) == []
    assert "measured on other data" in caplog.text


def test_the_table_has_the_reports_figures_beside_ours(results):
    table = experiments.table(experiments.first_runs(results))
    titles = [result.title for result in experiments.first_runs(results)]
    assert list(table) == [(title, place) for title in titles for place in ("report", "here")]
    report, here = table[titles[0]]["report"], table[titles[0]]["here"]
    assert report["valid", "accuracy"] == 0.82744
    assert here["valid", "accuracy"] == results[0].valid["accuracy"]
    assert (report["training", "epochs"], here["training", "epochs"]) == (15, 2)
    assert np.isnan(report["valid", "roc_auc"])  # the report gives none


def test_scores_and_verdicts():
    """40 rows of 60 that only the first model reads right: p = 2 / 2⁴⁰."""
    labels = np.arange(60) % 2
    right = np.where(labels == 1, 0.9, 0.1)
    models = {"a": np.where(np.arange(60) < 40, 1 - right, right), "b": right, "c": right}
    table = experiments.scores_table(models, labels)
    assert table["a"]["accuracy"] == pytest.approx(1 / 3)
    assert table["b"]["accuracy 95 %"] == "1.0000–1.0000"
    said = experiments.verdicts(models, labels)
    assert said[0].startswith("b is more accurate than a: 0.6667 apart, p = 5.5e-12 ")
    assert said[1].startswith("c is more accurate than a")
    assert said[2].startswith("c cannot be told from b: 0.0000 apart, p = 1 ")


def test_seeds_table(made_up):
    results = [made_up("gru-5", text, seed) for seed, text in enumerate(("0101", "0100"))]
    assert experiments.seeds_table(results).loc["GRU-5"].tolist() == pytest.approx(
        [2, 0.875, 0.125 * 2**0.5]
    )


def test_mcnemar_table():
    """Six rows that only the first reads right, none that only the second does: p = 2 / 2⁶."""
    labels = np.arange(10) % 2
    predictions = {"a": labels, "b": np.where(np.arange(10) < 6, 1 - labels, labels), "c": labels}
    table = experiments.mcnemar_table(predictions, labels)
    assert table["p"].tolist() == pytest.approx([1 / 32, 1, 1 / 32])
    assert table["p (Holm)"].tolist() == pytest.approx([3 / 32, 1, 3 / 32])
    assert table["difference"].tolist() == pytest.approx([0.6, 0, -0.6])


@pytest.mark.parametrize(
    ("gru", "lstm", "verdict"),
    [(8, 2, "is supported"), (2, 8, "is contradicted"), (5, 5, "is not supported")],
)
def test_findings_follow_the_figures(gru, lstm, verdict, made_up):
    labels = np.arange(1000) % 2
    results = []
    for seed in range(4):
        for name, right in (("gru-5", gru), ("lstm-5", lstm)):
            share = 500 + 40 * right + 3 * (seed * right % 4)
            read = np.where(np.arange(1000) < share, labels, 1 - labels)
            results.append(made_up(name, "".join(map(str, read)), seed, (0.4, 0.6)))
    report, seeds, rows, asleep = experiments.findings(results, labels)
    assert "0.0057 apart" in report
    assert "no network can be called better" in report
    assert verdict in seeds
    assert "4 seeds" in seeds
    assert f"Of 1 pair of networks trained once, {int(gru != lstm)} differ" in rows.replace(
        "pairs", "pair"
    )
    assert asleep.endswith("GRU-5, LSTM-5.")


def test_findings_of_one_seed_compare_no_seeds(made_up):
    labels = np.arange(10) % 2
    found = experiments.findings(
        [made_up("gru-5", "0101010101"), made_up("lstm-5", "01" * 5)], labels
    )
    assert not any("seeds" in sentence for sentence in found)


def test_the_first_assignment_learns(reviews):
    model = experiments.tfidf_logistic_regression()
    model.fit(reviews["review"][:1500], reviews["label"][:1500])
    assert model.score(reviews["review"][1500:], reviews["label"][1500:]) > 0.75
    parameters = model[-1].get_params()
    assert (parameters["C"], parameters["solver"], parameters["max_iter"]) == (0.8, "saga", 500)
    assert pd.isna(REPORT.loc["tfidf-logistic", "valid_accuracy"])

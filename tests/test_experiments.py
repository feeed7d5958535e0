"""The report's rows as data, and run again on a few real reviews."""

import json
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location

import pandas as pd
import pytest
import torch

from sentiment_helpers import BiRNN, MeanEmbedding, load_glove
from sentiment_helpers.report import experiments
from sentiment_helpers.report.experiments import report_rows, report_table

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
    assert [len(report_rows(name)) for name in ("plain", "skip", "earlier")] == [6, 4, 2]
    assert report_table().loc["gru-5", "valid_accuracy"] == 0.82744
    assert report_table().loc["lstm-14-skip", "train_loss"] == 0.37845
    deep = experiments.classifier("lstm-14-skip", random_state=7)
    assert (deep.cell_type, deep.num_layers, deep.hidden_size) == ("lstm", 14, 8)
    assert (deep.skip_connections, deep.dropout, deep.max_norm) == (True, 0.05, 0.75)
    assert (deep.lr, deep.max_epochs, deep.patience, deep.random_state) == (1e-4, 15, 2, 7)
    light = experiments.classifier("gru-5-light")
    assert (light.skip_connections, light.dropout, light.max_norm) == (False, 0.01, 0.7)


def test_the_csv_is_read_when_it_is_needed(monkeypatch):
    specification = spec_from_file_location("anew", experiments.__file__)
    module = module_from_spec(specification)
    with monkeypatch.context() as patched:
        patched.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("read at import"))
        specification.loader.exec_module(module)
    assert module.report_table().equals(report_table())


def test_gradient_norms():
    network, x, y = BiRNN(3, num_layers=2), torch.randn(8, 4, 3), (torch.arange(8) % 2).float()
    norms = experiments.gradient_norms(network, x, y)
    assert all(weight.grad is None for weight in network.parameters())
    torch.nn.functional.binary_cross_entropy_with_logits(network.eval()(x), y).backward()
    assert norms == {n: pytest.approx(w.grad.norm().item()) for n, w in network.named_parameters()}


def test_a_run_is_a_fit_of_the_classifier(sets, results):
    """In a worker process and in this one."""
    fitted = experiments.classifier("lstm-5", random_state=2, **FEW).fit(
        *sets[0], validation=sets[1]
    )
    result = results[3]
    assert (result.experiment, result.random_state) == ("lstm-5", 2)
    assert result.predicted.tolist() == fitted.predict(sets[1][0]).tolist()
    assert result.valid["accuracy"] == fitted.score(*sets[1])
    assert result.valid["loss"] == pytest.approx(fitted.history_["valid_loss"].min(), abs=1e-6)
    low, high = result.intervals["accuracy"]
    assert low < result.valid["accuracy"] < high
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
    older = path.read_text("utf-8").replace('{"experiment"', '{"roc": [0.5], "experiment"')
    path.write_text(older, "utf-8")
    assert experiments.read_results(path, data) == read
    assert experiments.read_results(path, data | {"reviews": "others"}) == []
    assert "measured on other data" in caplog.text


def test_the_first_assignment_learns(reviews):
    model = experiments.tfidf_logistic_regression()
    model.fit(reviews["review"][:1500], reviews["label"][:1500])
    assert model.score(reviews["review"][1500:], reviews["label"][1500:]) > 0.75
    parameters = model[-1].get_params()
    assert (parameters["C"], parameters["solver"], parameters["max_iter"]) == (0.8, "saga", 500)
    assert pd.isna(report_table().loc["tfidf-logistic", "valid_accuracy"])

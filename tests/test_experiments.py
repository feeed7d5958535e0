"""The report's rows as data, and run again on a few real reviews."""

import pandas as pd
import pytest
import torch
from joblib import Memory

from sentiment_helpers import BiRNN, BiRNNClassifier, MeanEmbedding, load_glove
from sentiment_report import experiments
from sentiment_report.experiments import report_rows, report_table

FEW = {"max_epochs": 2, "lr": 0.01}


@pytest.fixture(scope="module")
def sets(reviews):
    X = MeanEmbedding(load_glove()).fit_transform(reviews["review"][:600])
    y = reviews["label"].to_numpy()[:600]
    return (X[:400], y[:400]), (X[400:], y[400:])


@pytest.fixture(scope="module")
def results(sets):
    return experiments.run_all(*[["gru-5", "lstm-5"]] * 2, *sets, [1, 2], Memory(None), **FEW)


def same(some, others, but=("seconds",)):
    """Whether two tables of results are equal, except for some columns."""
    tables = [t.assign(predicted=t["predicted"].map(tuple)) for t in (some, others)]
    rows = [table.drop(columns=list(but)).to_dict("records") for table in tables]
    return rows[0] == rows[1]


def test_the_rows_of_the_report():
    assert [len(report_rows(name)) for name in ("plain", "skip", "earlier")] == [6, 4, 2]
    assert report_table().loc["gru-5", "valid_accuracy"] == 0.82744
    assert report_table().loc["lstm-14-skip", "train_loss"] == 0.37845
    deep = experiments.classifier("lstm-14-skip", random_state=7)
    assert (deep.cell_type, deep.num_layers, deep.hidden_size) == ("lstm", 14, 8)
    assert (deep.skip_connections, deep.dropout, deep.max_norm) == (True, 0.05, 0.75)
    assert (deep.lr, deep.max_epochs, deep.patience, deep.random_state) == (1e-4, 15, 2, 7)
    assert experiments.classifier("gru-5-light").max_norm == 0.7


def test_gradient_norms():
    network, x, y = BiRNN(3, num_layers=2), torch.randn(8, 4, 3), (torch.arange(8) % 2).float()
    norms = experiments.gradient_norms(network, x, y)
    assert all(weight.grad is None for weight in network.parameters())
    torch.nn.functional.binary_cross_entropy_with_logits(network.eval()(x), y).backward()
    assert norms == {n: pytest.approx(w.grad.norm().item()) for n, w in network.named_parameters()}
    alone = experiments.gradient_norms(network, x[:, :1], y)  # one word: nothing to recur over
    assert {norm for name, norm in alone.items() if "weight_hh" in name} == {0}
    assert all(norm > 0 for name, norm in alone.items() if "weight_ih" in name)
    network.register_parameter("unused", torch.nn.Parameter(torch.ones(2)))
    assert experiments.gradient_norms(network, x, y)["unused"] == 0


def test_a_run_is_a_fit_of_the_classifier(sets, results):
    """In a worker process and in this one."""
    fitted = experiments.classifier("lstm-5", random_state=2, **FEW)
    fitted.fit(*sets[0], validation=sets[1])
    result = results.loc[3]
    assert (result["experiment"], result["random_state"]) == ("lstm-5", 2)
    assert result["predicted"].tolist() == fitted.predict(sets[1][0]).tolist()
    assert result["valid_accuracy"] == fitted.score(*sets[1])
    best = fitted.history_.loc[fitted.best_epoch_]
    for name in ("train_f1", "train_roc_auc", "valid_loss"):
        assert result[name] == pytest.approx(best[name], abs=1e-6)
    low, high = result["interval"]
    assert low < result["valid_accuracy"] < high
    again = experiments.run("lstm-5", *sets, random_state=2, **FEW)
    assert same(pd.DataFrame([again]), results[3:])


def test_results_are_kept(sets, results, tmp_path, capsys):
    """Whatever the order of the rows, and from one process for another; another argument is
    another training."""
    memory = Memory(tmp_path, verbose=0)
    first = experiments.run_all(["gru-5"], [], *sets, [1], memory, **FEW)
    assert "kept" not in capsys.readouterr().out
    again = experiments.run_all(["lstm-5", "gru-5"], [], *sets, [1], memory, **FEW)
    assert "1 of 2 trainings: kept from an earlier run\n" in capsys.readouterr().out
    assert same(again[1:], first, but=[])  # the seconds, too
    assert same(again, results.loc[[1, 0]])
    experiments.run_all(["gru-5"], [], *sets, [1], memory, **FEW | {"lr": 0.02})
    experiments.run_all(["gru-5"], [], sets[1], sets[0], [1], memory, **FEW)
    assert "kept" not in capsys.readouterr().out


def test_a_stopped_training_is_no_result(sets, tmp_path, monkeypatch):
    """The classifier keeps the best epoch; the rows of the report are trained in full or not."""
    fit = BiRNNClassifier.fit

    def interrupted(self, *rows, **options):
        fit(self, *rows, **options).stopped_ = "interrupted"
        return self

    monkeypatch.setattr(BiRNNClassifier, "fit", interrupted)
    kept = Memory(tmp_path, verbose=0).cache(experiments.run)
    with pytest.raises(KeyboardInterrupt):
        kept("gru-5", *sets, **FEW)
    assert not kept.check_call_in_cache("gru-5", *sets, **FEW)


def test_the_first_assignment_learns(reviews):
    model = experiments.tfidf_logistic_regression()
    model.fit(reviews["review"][:1500], reviews["label"][:1500])
    assert model.score(reviews["review"][1500:], reviews["label"][1500:]) > 0.75
    parameters = model[-1].get_params()
    assert (parameters["C"], parameters["solver"], parameters["max_iter"]) == (0.8, "saga", 500)
    assert pd.isna(report_table().loc["tfidf-logistic", "valid_accuracy"])

"""The shipped models with other seeds, and on a made-up folder with aclImdb's layout."""

import json

import numpy as np
import pandas as pd
import pytest

import sentiment_helpers as sh
from sentiment_helpers.report import shipped
from sentiment_helpers.report.__main__ import main
from sentiment_helpers.storage import files
from sentiment_helpers.storage.files import FileError


@pytest.fixture
def tiny_models(glove, monkeypatch):
    """`shipped.models`, but tiny, over the vectors `glove`."""
    tiny = {"max_epochs": 2, "hidden_size": 3, "batch_size": 8, "domain_size": 2, "pair_size": 2}
    tiny |= {"pretraining_epochs": 0}
    untrained = shipped.models

    def models(*arguments):
        found = untrained(*arguments)
        for _, classifier in found.values():
            known = classifier.get_params()
            classifier.set_params(**{name: tiny[name] for name in tiny if name in known})
        return found

    monkeypatch.setattr(shipped, "models", models)
    monkeypatch.setattr(sh, "load_glove", lambda name: glove)


@pytest.fixture
def halves(glove, tiny_models, tmp_path, monkeypatch):
    """The folder `data/aclImdb` with 80 reviews to learn from and 24 others; tiny models."""
    rng = np.random.default_rng(0)
    for half, count in (("train", 40), ("test", 12)):
        for label, frequent in (("pos", "good"), ("neg", "bad")):
            folder = tmp_path / "data" / "aclImdb" / half / label
            folder.mkdir(parents=True)
            for number in range(count):
                text = " ".join(rng.choice(["good", "bad", "film", "dull", frequent], 9))
                (folder / f"{number}_9.txt").write_text(f"{text} {half} {number}", "utf-8")
    monkeypatch.setattr(files, "project_folder", lambda: tmp_path)
    return tmp_path / "data" / "aclImdb"


def changed(monkeypatch, method, change):
    """`change` is called with what this method of the bag returns."""
    real = getattr(sh.BagClassifier, method)

    def instead(*arguments, **options):
        change(found := real(*arguments, **options))
        return found

    monkeypatch.setattr(sh.BagClassifier, method, instead)


def test_models_blends_and_published_figures(halves, tmp_path):
    path = tmp_path / "official.json"
    assert main(["official", str(path)]) == 0
    table = shipped.read_official(path)
    own = ["report's GRU", "bag", "plain", "skip", "plain + bag", "skip + bag"]
    assert table.index.tolist() == own + [model for model, *_ in shipped.PUBLISHED]
    assert table.columns.tolist() == shipped.COLUMNS[1:]
    assert set(table["source"][own]) == {"official split; 80 teach, 24 test"}
    assert (table.loc["BERT, fine-tuned"] == ["0.9089", "", "", "", "", shipped.LLMS]).all()
    assert 0.5 < float(table.loc["bag", "roc_auc"]) < 1
    # The test half plays no part in training: with its labels exchanged, what was right is wrong.
    (halves / "test" / "pos").rename(halves / "test" / "other")
    (halves / "test" / "neg").rename(halves / "test" / "pos")
    (halves / "test" / "other").rename(halves / "test" / "neg")
    shipped.run_official(path)
    exchanged = shipped.read_official(path)
    for figure in ("accuracy", "roc_auc"):
        both = table.loc[own, figure].astype(float) + exchanged.loc[own, figure].astype(float)
        assert both.tolist() == pytest.approx([1] * len(own), abs=2e-4)


def test_what_learned_from_all_rows_is_measured(halves, tmp_path, monkeypatch):
    learned = []

    def replace(bag):
        learned.append(bag.n_train_)
        bag.decision_function = lambda X: np.zeros(len(X))

    changed(monkeypatch, "refit", replace)
    shipped.run_official(tmp_path / "official.json")
    assert learned == [80]
    table = shipped.read_official(tmp_path / "official.json")
    assert table.loc["bag", "roc_auc"] == "0.5000"
    alone, blended = table.loc[["plain", "plain + bag"], "roc_auc"].astype(float)
    assert min(abs(blended - alone), abs(blended - (1 - alone))) < 2e-4  # of either weight's sign


@pytest.mark.parametrize("method", ["fit", "refit"])
def test_an_interrupted_training_ends_the_run(method, halves, tmp_path, monkeypatch):
    trained = []

    def interrupt(bag):
        trained.append(bag)
        bag.stopped_ = "interrupted"

    changed(monkeypatch, method, interrupt)
    assert main(["official", str(tmp_path / "results" / "official.json")]) == 130
    assert len(trained) == 1
    assert list((tmp_path / "results").iterdir()) == []


def test_refusals_in_one_sentence(halves, tmp_path, caplog, capsys):
    path = tmp_path / "official.json"
    assert shipped.read_official(path) is None
    assert "official.json is not there: `make official` writes it" in caplog.text
    for other in ("no JSON", "[]", '{"data": {"rows": 3}, "results": []}'):
        path.write_text(other, "utf-8")
        with pytest.raises(
            FileError, match="is not what `make official` writes with these settings"
        ):
            shipped.read_official(path)
    (halves / "test").rename(tmp_path / "elsewhere")
    assert main(["official", str(path)]) == 2
    assert capsys.readouterr().err.startswith("the reviews have no official split")
    assert path.read_text("utf-8") == other


@pytest.fixture
def trained(glove, tiny_models, monkeypatch):
    """120 reviews and tiny models; a list of the seeds of the trainings."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    rng, rows = np.random.default_rng(0), []
    for number in range(120):
        words = rng.choice(["good", "bad", "film", "dull", ("bad", "good")[number % 2]], 9)
        rows.append((" ".join([*words, str(number)]), number % 2))
    monkeypatch.setattr(
        sh, "load_reviews", lambda _: pd.DataFrame(rows, columns=["review", "label"])
    )
    seen, real = [], shipped.models

    def recorded(glove, random_state):
        seen.append(random_state)
        return real(glove, random_state)

    monkeypatch.setattr(shipped, "models", recorded)
    return seen


def test_each_network_and_seed_once_and_resumed(trained, tmp_path):
    path = tmp_path / "seeds.json"
    assert main(["seeds", str(path)]) == 0
    assert trained == [1, 1, 2, 2, 3, 3]
    table = shipped.read_seeds(path)
    names = ("bag", "plain", "plain + bag", "skip", "skip + bag")
    done = sorted(zip(table["model"], table["random_state"], strict=True))
    assert done == [(name, seed) for name in names for seed in (1, 2, 3)]
    assert (table[table["model"] == "bag"]["roc_auc"] > 0.7).all()
    assert table[table["model"] == "plain"]["loss"].nunique() == 3  # another seed, another network
    content = json.loads(path.read_text("utf-8"))
    left = [one for one in content["results"] if (one["model"], one["random_state"]) != ("skip", 2)]
    path.write_text(json.dumps(content | {"results": left}), "utf-8")
    trained.clear()
    assert main(["seeds", str(path)]) == 0
    assert trained == [2]
    again, before = (
        one.set_index(["model", "random_state"]) for one in (shipped.read_seeds(path), table)
    )
    pd.testing.assert_frame_equal(again.sort_index(), before.sort_index())

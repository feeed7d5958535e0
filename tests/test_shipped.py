"""The shipped models with other seeds, on all reviews, and on a made-up folder like aclImdb's."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

import sentiment_helpers as sh
from sentiment_report import shipped
from sentiment_report.__main__ import main

TINY = {"max_epochs": 2, "hidden_size": 3, "batch_size": 8, "domain_size": 2, "pair_size": 2}


@pytest.fixture
def started(glove, monkeypatch):
    """Tiny networks over the vectors `glove`, in this process; how each one was asked for."""
    monkeypatch.setattr(shipped, "SEEDS", (1, 2, 3))
    networks, asked = sh.WordBiRNNClassifier, []

    def network(glove, **options):
        asked.append(options)
        return networks(glove, **options, **TINY)

    monkeypatch.setattr(sh, "WordBiRNNClassifier", network)
    monkeypatch.setattr(sh, "load_glove", lambda name: glove)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    return asked


@pytest.fixture
def reviews(monkeypatch):
    """The bundled reviews: 120, of which each says its label by most of its words."""
    words, labels = ["good", "bad", "film", "not"], np.arange(120) % 2
    rng = np.random.default_rng(0)
    texts = [" ".join([*rng.choice([*words, words[1 - n]], 9), str(rng.random())]) for n in labels]
    reviews = pd.DataFrame({"review": texts, "label": labels, "film": np.arange(120) // 2})
    monkeypatch.setattr(sh, "load_reviews", lambda _: reviews)
    return reviews


def test_each_network_and_seed_once_and_resumed(started, reviews, tmp_path, monkeypatch):
    path, read = tmp_path / "seeds.json", shipped.SEEDS_RESULTS.read
    monkeypatch.setenv("HOME", str(tmp_path))
    main(["seeds", "~/seeds.json"])
    assert [one["random_state"] for one in started] == [1, 1, 1, 2, 2, 3, 3]
    table = read(path)
    names = ("bag", "plain", "plain + bag", "skip", "skip + bag")
    films = table[table["split"] == "films"]
    done = sorted(zip(films["model"], films["random_state"], strict=True))
    assert done == [(name, seed) for name in names for seed in (1, 2, 3)]
    assert table["model"][table["split"] == "random"].tolist() == ["plain", "bag", "plain + bag"]
    assert (table[table["model"] == "bag"]["roc_auc"] > 0.7).all()
    assert table[table["model"] == "plain"]["loss"].nunique() == 4  # another seed, another network
    content = json.loads(path.read_text("utf-8"))
    left = [one for one in content["results"] if (one["model"], one["random_state"]) != ("skip", 2)]
    path.write_text(json.dumps(content | {"results": left}), "utf-8")
    started.clear()
    main(["seeds", str(path)])
    assert [one["random_state"] for one in started] == [2]
    again, before = (
        one.set_index(["model", "split", "random_state"]) for one in (read(path), table)
    )
    pd.testing.assert_frame_equal(again.sort_index(), before.sort_index())


def test_models_of_all_reviews_on_the_official_half(started, reviews, tmp_path, monkeypatch):
    """Only figures depend on the test half: with its labels exchanged, what was right is wrong."""
    folder = tmp_path / "models"
    main(["models", str(folder)])
    first, second = started  # their defaults are those of the notebooks
    assert first == {"random_state": 1234, "verbose": True}
    assert second == first | {"num_layers": 3, "skip_connections": True}
    assert sorted(path.name for path in folder.iterdir()) == ["RNN.pt", "RNNSkip.pt"]
    for path in folder.iterdir():
        members = sh.load(path)[-1].named_estimators_
        assert {member.n_train_ for member in members.values()} == {114}
    tables = []
    for exchanged in (0, 1):
        half = reviews.assign(half=np.repeat(["train", "test"], 60))
        half["label"] ^= exchanged
        monkeypatch.setattr(sh, "load_reviews", lambda _, half=half: half)
        main(["official", str(folder / "official.json")])
        table = shipped.OFFICIAL_RESULTS.read(folder / "official.json").set_index("model")
        sets = ["official half", "sentences", "sentences with a negation", "another split"]
        assert table["reviews"].unique().tolist() == sets
        tables.append(table[~table["reviews"].str.startswith("sentences")])
    own = ["plain", "bag", "plain + bag", "skip", "skip + bag"]
    assert tables[0].index[:5].tolist() == own
    assert [*tables[0].reset_index()] == ["model", "reviews", *shipped.COLUMNS[2:]]
    for figure in ("accuracy", "roc_auc"):
        both = sum(table.loc[own, figure].astype(float) for table in tables)
        assert both.tolist() == pytest.approx([1] * len(own), abs=2e-4)
    saved = hashlib.sha256((folder / "RNNSkip.pt").read_bytes()).hexdigest()
    assert tables[0].loc["skip", ["source", "sha256"]].tolist() == ["RNNSkip.pt", saved]
    published = tables[0].loc["BERT, fine-tuned", ["accuracy", "roc_auc", "source"]].tolist()
    assert published == ["0.9089", "", "github.com/rasbt/LLMs-from-scratch"]


def test_no_models_yet(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["official", str(tmp_path / "official.json")])
    assert capsys.readouterr().err.startswith(f"cannot read {tmp_path / 'RNN.pt'}")
    assert list(tmp_path.iterdir()) == []

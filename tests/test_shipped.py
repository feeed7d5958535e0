"""The shipped models with other seeds, and on a made-up folder with aclImdb's layout."""

import json

import numpy as np
import pandas as pd
import pytest

import sentiment_helpers as sh
from sentiment_helpers import files
from sentiment_report import shipped
from sentiment_report.__main__ import main


@pytest.fixture
def tiny_models(glove, monkeypatch):
    """`shipped.models`, but tiny, over the vectors `glove`; the seeds that they were made with."""
    tiny = {"max_epochs": 2, "hidden_size": 3, "batch_size": 8, "domain_size": 2, "pair_size": 2}
    tiny, seeds, untrained = tiny | {"pretraining_epochs": 0}, [], shipped.models

    def models(glove, random_state=1234, **options):
        seeds.append(random_state)
        found = untrained(glove, random_state, **options)
        for _, classifier in found.values():
            known = classifier.get_params()
            classifier.set_params(**{name: tiny[name] for name in tiny if name in known})
        return found

    monkeypatch.setattr(shipped, "models", models)
    monkeypatch.setattr(sh, "load_glove", lambda name: glove)
    return seeds


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


def test_models_blends_and_published_figures(halves, tmp_path, monkeypatch):
    path, read = tmp_path / "official.json", shipped.OFFICIAL_RESULTS.read
    learned, real = [], shipped.refit
    monkeypatch.setattr(shipped, "refit", lambda *of: learned.append(len(of[1])) or real(*of))
    main(["official", str(path)])
    assert learned == [80] * 4  # in the end, each model learns from all rows
    table = read(path).set_index("model")
    own = ["report's GRU", "bag", "plain", "skip", "plain + bag", "skip + bag"]
    assert table.index[:6].tolist() == own
    assert table.columns.tolist() == shipped.COLUMNS[1:]
    assert set(table["source"][own]) == {"official split; 80 teach, 24 test"}
    published = table.loc["BERT, fine-tuned", ["accuracy", "roc_auc", "source"]].tolist()
    assert published == ["0.9089", "", "another split; github.com/rasbt/LLMs-from-scratch"]
    assert 0.5 < float(table.loc["bag", "roc_auc"]) < 1
    # The test half plays no part in training: with its labels exchanged, what was right is wrong.
    (halves / "test" / "pos").rename(halves / "test" / "other")
    (halves / "test" / "neg").rename(halves / "test" / "pos")
    (halves / "test" / "other").rename(halves / "test" / "neg")
    shipped.run_official(path)
    exchanged = read(path).set_index("model")
    for figure in ("accuracy", "roc_auc"):
        both = table.loc[own, figure].astype(float) + exchanged.loc[own, figure].astype(float)
        assert both.tolist() == pytest.approx([1] * len(own), abs=2e-4)


def test_without_an_official_split(halves, tmp_path, capsys):
    (halves / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="2"):
        main(["official", str(tmp_path / "official.json")])
    assert capsys.readouterr().err.startswith("the reviews have no official split")
    assert not (tmp_path / "official.json").exists()


def test_each_network_and_seed_once_and_resumed(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    words, labels = ["good", "bad", "film", "dull"], np.arange(120) % 2
    rng = np.random.default_rng(0)
    texts = [" ".join([*rng.choice([*words, words[1 - n]], 9), str(rng.random())]) for n in labels]
    reviews = pd.DataFrame({"review": texts, "label": labels})
    monkeypatch.setattr(sh, "load_reviews", lambda _: reviews)
    path, read, trained = tmp_path / "seeds.json", shipped.SEEDS_RESULTS.read, tiny_models
    monkeypatch.setenv("HOME", str(tmp_path))
    main(["seeds", "~/seeds.json"])
    assert trained == [1, 1, 2, 2, 3, 3]
    table = read(path)
    names = ("bag", "plain", "plain + bag", "skip", "skip + bag")
    done = sorted(zip(table["model"], table["random_state"], strict=True))
    assert done == [(name, seed) for name in names for seed in (1, 2, 3)]
    assert (table[table["model"] == "bag"]["roc_auc"] > 0.7).all()
    assert table[table["model"] == "plain"]["loss"].nunique() == 3  # another seed, another network
    content = json.loads(path.read_text("utf-8"))
    left = [one for one in content["results"] if (one["model"], one["random_state"]) != ("skip", 2)]
    path.write_text(json.dumps(content | {"results": left}), "utf-8")
    trained.clear()
    main(["seeds", "~/seeds.json"])
    assert trained == [2]
    again, before = (one.set_index(["model", "random_state"]) for one in (read(path), table))
    pd.testing.assert_frame_equal(again.sort_index(), before.sort_index())


def test_the_notebooks_networks():
    """With the defaults of each notebook."""
    models = shipped.models(sh.Glove("one", ["good"], np.ones((1, 2), np.float32)), random_state=7)
    titles = [model[-1].title for model in models.values()]
    assert titles[::2] == ["GRU 5×8", "LSTM 1×64, words in order"]
    assert titles[3] == "LSTM 3×64 skip, words in order"
    assert {model[-1].random_state for model in models.values()} == {7}

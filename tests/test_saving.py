"""What is loaded predicts exactly what was saved; anything else is refused."""

import copy
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sentiment_helpers import (
    BagClassifier,
    BiRNN,
    BiRNNClassifier,
    Blend,
    FeedForwardClassifier,
    MeanEmbedding,
    TokenIds,
    WordBiRNN,
    WordBiRNNClassifier,
    load,
    load_glove,
    save,
    score_csv,
)
from sentiment_helpers.classifiers.domain_vectors import PairVectors
from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.pt_file import CheckpointError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def model(reviews):
    model = make_pipeline(
        MeanEmbedding(load_glove()),
        BiRNNClassifier("lstm", num_layers=5, skip_connections=True, max_epochs=2, device="cpu"),
    )
    return model.fit(reviews["review"][:300], reviews["label"][:300])


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.pt"
    save(model, path)
    return path


@pytest.fixture(scope="module")
def short(saved):
    """The same file with 1,000 of its words, which is read sooner."""
    content, path = pt_file.read(saved), saved.with_name("short.pt")
    words = first(content)["words"].split("\n")[:1000]
    first(content).update(words="\n".join(words), vectors=first(content)["vectors"][:1000])
    pt_file.write(content, path)
    return path


def test_exactly_the_same_predictions(model, reviews, device, same, tmp_path):
    save(model, tmp_path / "m.pt")
    loaded = load(tmp_path / "m.pt")
    texts = reviews["review"][300:600]
    assert same(loaded.predict_proba(texts), model.predict_proba(texts))
    saved, again = model[-1], loaded[-1]
    assert again.history_.equals(saved.history_)
    assert (again.n_train_, again.n_valid_) == (saved.n_train_, saved.n_valid_) == (270, 30)
    assert time.time() - 3600 < again.trained_ == saved.trained_ <= time.time()
    save(model, tmp_path / "again.pt")
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "m.pt").read_bytes()
    assert again.get_params() == saved.get_params() | {"device": "auto"}
    assert (again.best_epoch_, again.classes_.tolist()) == (saved.best_epoch_, [0, 1])


def test_files_without_the_newest_parameters(saved, model, tmp_path):
    """They have what was done before there was a parameter."""
    content = pt_file.read(saved)
    for name in ("optimizer", "class_weight"):
        del last(content)["parameters"][name]
    for name in ("n_train", "n_valid", "trained"):
        del last(content)[name]
    pt_file.write(content, tmp_path / "old.pt")
    old = load(tmp_path / "old.pt")
    assert old[-1].get_params() == model[-1].get_params() | {"device": "auto"}
    assert (old[-1].n_train_, old[-1].n_valid_, old[-1].trained_) == (0, 0, 0)
    save(old, tmp_path / "again.pt")
    assert last(pt_file.read(tmp_path / "again.pt"))["trained"] == 0
    assert load(tmp_path / "again.pt")[-1].trained_ == 0
    texts = ["A good film.", "", "bad"]
    assert (old.predict_proba(texts) == model.predict_proba(texts)).all()


def test_older_files_of_words_in_order(glove, tmp_path):
    """They had no pairs and no language model, which are the defaults now."""
    plain = {"hidden_size": 2, "pair_size": 0, "pretraining_epochs": 0, "max_epochs": 1}
    model = make_pipeline(TokenIds(glove), WordBiRNNClassifier(glove, **plain))
    save(model.fit(["good film", "dull film"] * 18, [1, 0] * 18), tmp_path / "m.pt")
    content = pt_file.read(tmp_path / "m.pt")
    for name in ("pair_size", "pretraining_epochs"):
        del last(content)["parameters"][name]
    del last(content)["perplexity"]
    pt_file.write(content, tmp_path / "old.pt")
    old = load(tmp_path / "old.pt")
    assert (old[-1].pair_size, old[-1].pretraining_epochs, old[-1].perplexity_) == (0, 0, [])
    assert (old.predict_proba(["good"]) == model.predict_proba(["good"])).all()


KINDS = (BagClassifier, BiRNNClassifier, FeedForwardClassifier, WordBiRNNClassifier)


@pytest.mark.parametrize("kind", KINDS)
def test_trained_saved_loaded_and_scored(kind, glove, device, same, tmp_path):
    """On each device, with other parameters than the defaults."""
    choices = {"class_weight": {0: 0.5, 1: np.float32(2)}, "max_epochs": 1, "device": device}
    choices |= {"optimizer": "rmsprop"} if kind is not BagClassifier else {}
    choices |= {"embeddings": glove, "hidden_size": 4} if kind is WordBiRNNClassifier else {}
    texts = ["good film", "dull film", "film not bad", "bad film"] * 9
    reader = MeanEmbedding if kind in (BiRNNClassifier, FeedForwardClassifier) else TokenIds
    model = make_pipeline(reader(glove), kind(**choices)).fit(texts, [1, 0] * 18)
    save(model, tmp_path / "m.pt")
    loaded = load(tmp_path / "m.pt")
    assert next(loaded[-1].network_.parameters()).device.type == device
    for name in set(choices) - {"device", "embeddings"}:
        assert getattr(loaded[-1], name) == choices[name]
    expected = model.predict_proba(texts)
    assert same(loaded.predict_proba(texts), expected)
    (tmp_path / "reviews.csv").write_text("\n".join(["review", *texts]), "utf-8")
    score_csv(loaded, tmp_path / "reviews.csv", tmp_path / "scored.csv")
    scored = np.loadtxt(tmp_path / "scored.csv", delimiter=",", skiprows=1, usecols=1)
    np.testing.assert_allclose(scored, expected[:, 1], atol=1e-4)


def test_tensors_and_plain_values_only(saved):
    content = torch.load(saved, weights_only=True)
    assert list(content) == ["format", "version", "steps", "state_dict"]
    assert (content["format"], content["version"]) == ("sentiment_helpers pipeline", 3)
    assert first(content)["vectors"].dtype == torch.float16
    assert saved.stat().st_size < 20e6


def test_the_weights_are_those_of_the_network(model, saved, words_model, saved_words):
    """And fit into a network that is made with the same parameters, without any estimator."""
    network = BiRNN(50, "lstm", num_layers=5, skip_connections=True)
    network.load_state_dict(torch.load(saved, weights_only=True)["state_dict"])
    for name, weight in model[-1].network_.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight)
    weights = torch.load(saved_words, weights_only=True)["state_dict"]
    choices = {"skip_connections": True, "pooling": "attention+max", "shortcut": True}
    size = weights["embedding.weight"].shape
    choices["pairs"] = PairVectors(len(weights["pairs.keys"]) - 1, 5)
    network = WordBiRNN(*size, cell_type="lstm", num_layers=3, hidden_size=8, **choices)
    network.load_state_dict(weights)
    for name, weight in words_model[-1].network_.state_dict().items():
        assert torch.equal(network.state_dict()[name], weight)


def first(content):
    return content["steps"][0]["state"]


def last(content):
    return content["steps"][1]["state"]


def weight(content, value, name="out.bias"):
    content["state_dict"][name] = value


def parameter(content, **values):
    last(content)["parameters"].update(values)


def vectors(content, value):
    first(content)["vectors"] = value


OTHER = "other parts or values than `save` writes"
CHANGES = {
    "newer": (lambda c: c.update(version=4), "version 4, and 3 is read: .* update"),
    "older": (lambda c: c.update(version=2), "version 2, and 3 is read: save the model again"),
    "first": (lambda c: c.update(version=1), "version 1, and 3 is read: save the model again"),
    "no number": (lambda c: c.update(version="3"), "version '3', and 3 is read"),
    "no version": (lambda c: c.pop("version"), "version None, and 3 is read"),
    "half a number": (lambda c: c.update(version=3.0), OTHER),
    "another's": (lambda c: c.update(format="x"), "save did not write it"),
    "more": (lambda c: c.update(more=1), OTHER),
    "more of a step": (lambda c: first(c).update(more=1), OTHER),
    "weights twice": (lambda c: last(c).update(weights=c["state_dict"]), OTHER),
    "no weights": (lambda c: c.pop("state_dict"), "state_dict"),
    "no weight": (lambda c: c["state_dict"].popitem(), "weights are not those"),
    "no tensor": (lambda c: weight(c, 1.0), "no attribute"),
    "shape": (lambda c: weight(c, torch.zeros(2)), "weights are not those"),
    "dtype": (lambda c: weight(c, torch.zeros(1).double()), OTHER),
    "not finite": (lambda c: weight(c, torch.tensor([torch.nan])), "not finite"),
    "infinite": (lambda c: vectors(c, first(c)["vectors"] / 0), "not finite"),
    "layers": (lambda c: parameter(c, num_layers=10**9), "num_layers is 1000000000"),
    "more layers": (lambda c: parameter(c, num_layers=1000), "too few"),
    "size": (lambda c: parameter(c, hidden_size=10**6), "hidden_size is 1000000"),
    "another size": (lambda c: parameter(c, hidden_size=10), "weights are not those"),
    "dropout": (lambda c: parameter(c, dropout=1.5), r"dropout is 1\.5"),
    "cell": (lambda c: parameter(c, cell_type="os"), "cell_type is 'os'"),
    "device": (lambda c: parameter(c, device="cpu"), OTHER),
    "optimizer": (lambda c: parameter(c, optimizer="lion"), "optimizer is 'lion'; it must be one"),
    "no optimizer": (lambda c: parameter(c, optimizer=None), "optimizer is None"),
    "class_weight": (lambda c: parameter(c, class_weight="heavy"), "class_weight"),
    "other labels": (lambda c: parameter(c, class_weight={0: 1.0, 2: 1.0}), "not in class_weight"),
    "weightless": (lambda c: parameter(c, class_weight={0: 1.0, 1: 0.0}), "class_weight is 0"),
    "no rate": (lambda c: last(c)["parameters"].pop("lr"), OTHER),
    "unknown": (lambda c: parameter(c, more=1), "unexpected keyword"),
    "many features": (lambda c: last(c).update(n_features_in=10**9), "is 1000000000; it must be"),
    "other features": (lambda c: last(c).update(n_features_in=10), "weights are not those"),
    "no features": (lambda c: last(c).update(n_features_in=-1), "n_features_in is -1"),
    "classes": (lambda c: last(c).update(classes=[1, 1]), "not two in order"),
    "history": (lambda c: last(c).update(history="[{}]"), "epoch"),
    "no history": (lambda c: last(c).update(history="x"), "Expecting value"),
    "nested": (lambda c: last(c).update(history="[" * 10**6), "recursion"),
    "epoch": (lambda c: last(c).update(best_epoch=7), "best_epoch is 7"),
    "rows": (lambda c: last(c).update(n_train=-1), "n_train is -1; it must be"),
    "no rows": (lambda c: last(c).update(n_valid=None), "n_valid is None"),
    "true rows": (lambda c: last(c).update(n_valid=True), "n_valid is True"),
    "when": (lambda c: last(c).update(trained="today"), "trained is 'today'"),
    "a fraction": (lambda c: last(c).update(trained=1.5), r"trained is 1\.5"),
    "far away": (lambda c: last(c).update(trained=10**18), "trained is 1000000"),
    "words": (lambda c: first(c).update(words="a\na"), "distinct words are needed"),
    "vectors": (lambda c: vectors(c, first(c)["vectors"].float()), OTHER),
    "columns": (lambda c: vectors(c, first(c)["vectors"][:, :7]), "features"),
    "class": (lambda c: c["steps"][0].update({"class": "OneHotEncoder"}), "OneHotEncoder"),
    "another class": (lambda c: c["steps"][1].update({"class": "BagClassifier"}), "unexpected"),
    "classifier first": (lambda c: c["steps"].reverse(), "BiRNNClassifier"),
    "one step": (lambda c: c["steps"].pop(), "not enough values"),
}


def check_refused(saved, path, change, says):
    """A file with one value changed is refused in a sentence that names it."""
    content = pt_file.read(saved)
    change(content)
    pt_file.write(content, path)
    with pytest.raises(CheckpointError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("kind", CHANGES)
def test_refused_content(short, tmp_path, kind):
    check_refused(short, tmp_path / "m.pt", *CHANGES[kind])


def test_nothing_large_is_made_of_a_small_file(short, tmp_path, monkeypatch):
    content = pt_file.read(short)
    parameter(content, hidden_size=2**14)
    pt_file.write(content, tmp_path / "m.pt")
    made = []
    monkeypatch.setattr(
        BiRNNClassifier,
        "build_network",
        lambda self, real=BiRNNClassifier.build_network: made.append(real(self)) or made[-1],
    )
    with pytest.raises(CheckpointError, match="weights are not those"):
        load(tmp_path / "m.pt")
    assert [w.device.type for network in made for w in network.parameters()][:1] == ["meta"]
    assert len(made) == 1


WORDS = {
    "max_length": (lambda c: first(c).update(max_length=10**9), "max_length is 1000000000"),
    "ids": (lambda c: first(c)["ids"].fill_(2**31 - 1), "not increasing"),
    "padding": (lambda c: first(c)["ids"].sub_(first(c)["ids"].min()), "not increasing"),
    "kept ids": (lambda c: last(c).update(ids=last(c)["ids"].flip(0)), "not increasing"),
    "large": (lambda c: last(c)["ids"][-1:].fill_(2**30), "not increasing"),
    "embeddings": (lambda c: parameter(c, embeddings="x"), "embeddings is 'x'"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_refused_words(saved_words, tmp_path, kind):
    check_refused(saved_words, tmp_path / "m.pt", *WORDS[kind])


@pytest.mark.parametrize("classifier", [BagClassifier, FeedForwardClassifier])
def test_the_other_classifiers(classifier, reviews, tmp_path):
    glove = load_glove()
    reader = TokenIds(glove) if classifier is BagClassifier else MeanEmbedding(glove)
    model = make_pipeline(reader, classifier(max_epochs=1))
    model.fit(reviews["review"][:100], reviews["label"][:100])
    save(model, tmp_path / "m.pt")
    again = load(tmp_path / "m.pt")
    texts = [*reviews["review"][100:200], ""]
    assert (again.predict_proba(texts) == model.predict_proba(texts)).all()
    assert again[-1].history_.equals(model[-1].history_)


def test_weights_alone(tmp_path):
    """A state_dict as PyTorch's users save it is answered with what to do with it."""
    for weights in (nn.Linear(2, 1).state_dict(), dict(nn.Linear(2, 1).state_dict())):
        torch.save(weights, tmp_path / "w.pt")
        with pytest.raises(CheckpointError, match=r"save did not write it.*load_state_dict"):
            load(tmp_path / "w.pt")


@pytest.mark.parametrize("content", [[], None, {}, {"format": [[]]}, torch.zeros(2), 3])
def test_other_content(tmp_path, content):
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"m\.pt holds no model to load: .* did not write it"):
        load(tmp_path / "m.pt")


def test_numbers_from_a_search(model, reviews, tmp_path):
    """NumPy's numbers, as `RandomizedSearchCV` draws them, are saved as Python's."""
    texts, labels = reviews["review"][:100], reviews["label"][:100]
    classifier = BiRNNClassifier(num_layers=np.int64(1), lr=np.float64(1e-3), max_epochs=1)
    model = make_pipeline(model[0], classifier).fit(texts, labels)
    save(model, tmp_path / "m.pt")
    loaded = load(tmp_path / "m.pt")
    assert (loaded.predict_proba(texts) == model.predict_proba(texts)).all()
    assert type(loaded[-1].lr) is float


@pytest.mark.parametrize(
    "change",
    [
        {"weights": [float("inf")]},
        {"weights": [1.0, 1.0]},
        {"weights": [[1.0]]},
        {"weights": ["1.0"]},
        {"intercept": float("nan")},
        {"intercept": None},
        {"classes": [0, 2]},
        {"models": {}},
        {"models": {}, "weights": []},
        {"models": None},
        {"more": 1},
    ],
)
def test_refused_blends(short, reviews, tmp_path, change):
    both = Blend([("one", load(short))]).fit(reviews["review"][300:400], reviews["label"][300:400])
    save(both, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt").weights_ == both.weights_
    content = pt_file.read(tmp_path / "m.pt")
    pt_file.write(content | change, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"m\.pt holds no model to load"):
        load(tmp_path / "m.pt")
    pt_file.write(content | {"models": {1: content["models"]["one"]}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="names, classes or weights do not fit"):
        load(tmp_path / "m.pt")


def test_what_could_not_be_loaded_is_not_saved(model, tmp_path):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken[-1].network_.out.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match="a weight or a vector is not finite"):
        save(broken, tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"PK\x03\x04 cut off"])
def test_refused_bytes(tmp_path, content):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.pt"):
        load(tmp_path / "m.pt")


STEPS = (
    "save a pipeline of one of MeanEmbedding, TokenIds and one of BagClassifier, BiRNNClassifier, "
    "FeedForwardClassifier, WordBiRNNClassifier \\(of a search, its best_estimator_\\)$"
)


def test_what_cannot_be_saved(model, glove, tmp_path):
    """Each is answered with what to save instead."""
    tfidf = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0])
    blend = Blend([("one", model), ("TF-IDF", tfidf)]).fit(["good", "bad"], [1, 0])
    for refused, says in [
        (tfidf, "TfidfVectorizer and LogisticRegression"),
        (blend, "TfidfVectorizer and LogisticRegression"),
        (make_pipeline(model[0], DummyClassifier()), "MeanEmbedding and DummyClassifier"),
        (make_pipeline(*model, "passthrough"), "MeanEmbedding and BiRNNClassifier and str"),
        (make_pipeline(model[0]), "MeanEmbedding"),
        (GridSearchCV(model, {}), "GridSearchCV"),
        (RandomizedSearchCV(model, {}), "RandomizedSearchCV"),
        (make_pipeline(model[0], GridSearchCV(model[-1], {})), "MeanEmbedding and GridSearchCV"),
        (model[-1], "BiRNNClassifier"),
        (model[0], "MeanEmbedding"),
        (CalibratedClassifierCV(model), "CalibratedClassifierCV"),
        (FrozenEstimator(model), "FrozenEstimator"),
        (make_pipeline(model), "Pipeline"),
        (model[-1].network_, "BiRNN"),
        (None, "NoneType"),
    ]:
        says = f"^{says} cannot be saved: {STEPS}"
        with pytest.raises(ValueError, match=says) as error:
            save(refused, tmp_path / "m.pt")
        assert len(str(error.value).splitlines()) == 1
    for unfitted in [make_pipeline(MeanEmbedding(glove), BiRNNClassifier()), Blend([])]:
        with pytest.raises(NotFittedError):
            save(unfitted, tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


def test_failed_save_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "m.pt"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*m\.pt"):
        save(model, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture(scope="module")
def words_model(reviews):
    glove = load_glove()
    classifier = WordBiRNNClassifier(
        glove,
        "lstm",
        3,
        8,
        skip_connections=True,
        domain_size=5,
        pair_size=5,
        max_epochs=1,
        device="cpu",
    )
    model = make_pipeline(TokenIds(glove, max_length=50), classifier)
    return model.fit(reviews["review"][:300], reviews["label"][:300])


@pytest.fixture(scope="module")
def saved_words(words_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "words.pt"
    save(words_model, path)
    return path


def test_a_network_that_reads_words_predicts_the_same(
    words_model, saved_words, reviews, device, same
):
    """Without any GloVe table; its vectors are kept as float16."""
    model, loaded = words_model, load(saved_words)
    texts = [*reviews["review"][300:500], "", "not-so-good café"]
    assert same(loaded.predict_proba(texts), model.predict_proba(texts))
    assert loaded[-1].title == model[-1].title
    content = torch.load(saved_words, weights_only=True)
    assert content["state_dict"]["embedding.weight"].dtype == torch.float16
    loaded[-1].network_.cpu()
    assert torch.equal(loaded[-1].network_.embedding.weight, model[-1].network_.embedding.weight)

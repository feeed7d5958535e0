"""What is loaded predicts exactly what was saved; anything else is refused."""

import copy
import os

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BiRNNClassifier,
    Blend,
    MeanEmbedding,
    TokenIds,
    load,
    load_glove,
    save,
)
from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.pt_file import CheckpointError


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


def test_exactly_the_same_predictions(model, reviews, tmp_path):
    save(model, tmp_path / "m.pt")
    loaded = load(tmp_path / "m.pt")
    texts = reviews["review"][300:600]
    assert (loaded.predict_proba(texts) == model.predict_proba(texts)).all()
    saved, again = model[-1], loaded[-1]
    assert again.history_.equals(saved.history_)
    assert again.get_params() == saved.get_params() | {"device": "auto"}
    assert (again.best_epoch_, again.classes_.tolist()) == (saved.best_epoch_, [0, 1])


def test_tensors_and_plain_values_only(model, tmp_path):
    save(model, tmp_path / "m.pt")
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    assert (content["format"], content["version"]) == ("sentiment_helpers pipeline", 2)
    assert content["steps"][0]["state"]["vectors"].dtype == torch.float16
    assert (tmp_path / "m.pt").stat().st_size < 20e6


def first(content):
    return content["steps"][0]["state"]


def last(content):
    return content["steps"][1]["state"]


def weight(content, value, name="out.bias"):
    last(content)["weights"][name] = value


def parameter(content, **values):
    last(content)["parameters"].update(values)


CHANGES = {
    "newer": (lambda c: c.update(version=3), "version 3, newer than 2: update"),
    "older": (lambda c: c.update(version=1), "version 1, which is not read"),
    "no number": (lambda c: c.update(version="2"), "version '2', which is not read"),
    "another's": (lambda c: c.update(format="x"), "not written by"),
    "more": (lambda c: c.update(more=1), "other parts than it should"),
    "no weight": (lambda c: last(c)["weights"].popitem(), "weights are not those"),
    "no tensor": (lambda c: weight(c, 1.0), "AttributeError"),
    "shape": (lambda c: weight(c, torch.zeros(2)), "weights are not those"),
    "dtype": (lambda c: weight(c, torch.zeros(1).double()), "torch.float64 of"),
    "not finite": (lambda c: weight(c, torch.tensor([torch.nan])), "not finite"),
    "layers": (lambda c: parameter(c, num_layers=10**9), "'num_layers' parameter .* must be"),
    "more layers": (lambda c: parameter(c, num_layers=1000), "too few"),
    "size": (lambda c: parameter(c, hidden_size=10**6), "'hidden_size' parameter .* must be"),
    "another size": (lambda c: parameter(c, hidden_size=10), "weights are not those"),
    "dropout": (lambda c: parameter(c, dropout=1.5), "'dropout' parameter .* must be"),
    "cell": (lambda c: parameter(c, cell_type="os"), "cell_type is 'os'"),
    "unknown": (lambda c: parameter(c, more=1), "unexpected keyword"),
    "many features": (lambda c: last(c).update(n_features_in=10**9), "is 1000000000, not 1 to"),
    "other features": (lambda c: last(c).update(n_features_in=10), "weights are not those"),
    "no features": (lambda c: last(c).update(n_features_in=-1), "number of features is -1"),
    "classes": (lambda c: last(c).update(classes=[1, 1]), "not two in order"),
    "history": (lambda c: last(c).update(history=[{"epoch": 1}]), "history is not that"),
    "epoch": (lambda c: last(c).update(best_epoch=7), "history is not that"),
    "words": (lambda c: first(c).update(words="a\na"), "distinct words are needed"),
    "vectors": (lambda c: first(c).update(vectors=first(c)["vectors"].float()), "torch.float32 of"),
    "columns": (
        lambda c: first(c).update(vectors=first(c)["vectors"][:, :7].clone()),
        "features",
    ),
    "class": (lambda c: c["steps"][0].update({"class": "OneHotEncoder"}), "KeyError"),
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
def test_refused_content(saved, tmp_path, kind):
    """Files with a right checksum, of which one value is changed."""
    check_refused(saved, tmp_path / "m.pt", *CHANGES[kind])


def test_nothing_large_is_made_of_a_small_file(saved, tmp_path, monkeypatch):
    content = pt_file.read(saved)
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
    "embeddings": (lambda c: parameter(c, embeddings="x"), "'embeddings' parameter"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_refused_words(saved_words, tmp_path, kind):
    check_refused(saved_words, tmp_path / "m.pt", *WORDS[kind])


def tfidf(content, **parameters):
    first(content)["parameters"].update(parameters)


def large(content):
    first(content)["idf"].fill_(1.7e308)


LINEAR = {
    "files": (lambda c: tfidf(c, input="filename"), "input = 'filename'"),
    "endless": (lambda c: tfidf(c, token_pattern="(a+)+$"), "token_pattern"),
    "long": (lambda c: tfidf(c, ngram_range=(1, 10**6)), "ngram_range"),
    "true": (lambda c: tfidf(c, binary=1), "binary = 1"),
    "intercepts": (lambda c: last(c).update(intercept=torch.zeros(2).double()), "not float64 of"),
    "rows": (lambda c: last(c).update(coef=torch.zeros(30, 2).double()), "not float64 of"),
    "whole": (lambda c: last(c).update(coef=torch.zeros(1, 2).long()), "int64 of"),
    "half": (lambda c: first(c).update(idf=torch.ones(2).half()), "float16 of"),
    "idf": (lambda c: first(c).update(idf=torch.ones(3).double()), "not float64 of"),
    "large": (large, "too large"),
    "classes": (lambda c: last(c).update(classes=None), "not two in order"),
    "reversed": (lambda c: last(c).update(classes=[1, 0]), "not two in order"),
    "text": (lambda c: last(c).update(classes="ab"), "not two in order"),
}


@pytest.mark.parametrize("kind", LINEAR)
def test_refused_linear_models(tmp_path, kind):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0])
    save(model, tmp_path / "m.pt")
    check_refused(tmp_path / "m.pt", tmp_path / "m.pt", *LINEAR[kind])


def test_what_a_file_would_not_keep_is_not_saved(tmp_path):
    texts, floats = ["good", "bad", "dull"], TfidfVectorizer(dtype=np.float32)
    for model, labels, says in [
        (make_pipeline(floats, LogisticRegression()), [1, 0, 0], "dtype"),
        (make_pipeline(TfidfVectorizer(), LogisticRegression()), [0, 1, 2], "of two classes"),
    ]:
        with pytest.raises(ValueError, match=says):
            save(model.fit(texts, labels), tmp_path / "m.pt")


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
    ("change", "says"),
    [
        ({"weights": [float("inf")]}, "not finite"),
        ({"weights": [1.0, 1.0]}, "one weight for each"),
        ({"weights": [[1.0]]}, "one weight for each"),
        ({"intercept": float("nan")}, "not finite"),
        ({"classes": [0, 2]}, "different classes"),
        ({"models": {}}, "ValueError"),
    ],
)
def test_refused_together(model, reviews, tmp_path, change, says):
    both = Blend([("one", model)]).fit(reviews["review"][300:400], reviews["label"][300:400])
    save(both, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt").weights_ == both.weights_
    content = pt_file.read(tmp_path / "m.pt")
    pt_file.write(content | change, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=says):
        load(tmp_path / "m.pt")
    pt_file.write(content | {"models": {1: content["models"]["one"]}}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="no names"):
        load(tmp_path / "m.pt")


def test_what_could_not_be_loaded_is_not_saved(model, tmp_path):
    broken = copy.deepcopy(model)
    with torch.no_grad():
        broken[-1].network_.out.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match="not written, since it could not be loaded"):
        save(broken, tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"PK\x03\x04 cut off"])
def test_refused_bytes(tmp_path, content):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.pt"):
        load(tmp_path / "m.pt")


def test_refused_pipelines(glove, tmp_path):
    path = tmp_path / "m.pt"
    with pytest.raises(ValueError, match="cannot be saved"):
        save(make_pipeline(DummyClassifier()), path)
    unfitted = [
        make_pipeline(MeanEmbedding(glove), BiRNNClassifier()),
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        make_pipeline(LogisticRegression()),
        Blend([]),
    ]
    for model in unfitted:
        with pytest.raises(NotFittedError):
            save(model, path)
    assert not path.exists()


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
    classifier = BiRNNClassifier(
        "lstm", 3, 8, skip_connections=True, embeddings=glove, domain_size=5, max_epochs=1,
        pooling="attention+max", word_dropout=0.3, device="cpu",
    )  # fmt: skip
    model = make_pipeline(TokenIds(glove, max_length=50), classifier)
    return model.fit(reviews["review"][:300], reviews["label"][:300])


@pytest.fixture(scope="module")
def saved_words(words_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "words.pt"
    save(words_model, path)
    return path


def test_a_network_that_reads_words_predicts_the_same(words_model, saved_words, reviews):
    """Without any GloVe table; its vectors are kept as float16."""
    model, loaded = words_model, load(saved_words)
    texts = [*reviews["review"][300:500], "", "not-so-good café"]
    assert (loaded.predict_proba(texts) == model.predict_proba(texts)).all()
    assert loaded[-1].title == model[-1].title
    content = torch.load(saved_words, weights_only=True)
    assert content["steps"][1]["state"]["weights"]["embedding.weight"].dtype == torch.float16
    assert torch.equal(loaded[-1].network_.embedding.weight, model[-1].network_.embedding.weight)

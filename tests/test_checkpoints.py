"""What is loaded predicts exactly what was saved; anything else is refused."""

import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BiRNNClassifier,
    CheckpointError,
    MeanEmbedding,
    Together,
    TokenIds,
    checkpoints,
    load,
    load_glove,
    save,
)


@pytest.fixture(scope="module")
def model(reviews):
    model = make_pipeline(
        MeanEmbedding(load_glove()),
        BiRNNClassifier("lstm", num_layers=5, skip_connections=True, max_epochs=2, device="cpu"),
    )
    return model.fit(reviews["review"][:300], reviews["label"][:300])


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
    assert (content["format"], content["version"]) == ("sentiment_helpers pipeline", 1)
    assert content["steps"][0]["state"]["vectors"].dtype == torch.float16
    assert (tmp_path / "m.pt").stat().st_size < 20e6


class Runs:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code ran')",))


def damaged(content):
    del content["steps"][1]["state"]["weights"]["out.bias"]
    return content


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: Runs(), "no file of tensors and plain values"),
        (lambda c: c["steps"][1]["state"]["weights"], "not written by"),
        (lambda c: c | {"version": 2}, "newer than 1"),
        (damaged, "damaged"),
    ],
)
def test_refused_content(model, tmp_path, change, says):
    path = tmp_path / "m.pt"
    save(model, path)
    torch.save(change(torch.load(path, weights_only=True)), path)
    with pytest.raises(CheckpointError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"no tensors here", b"PK\x03\x04 cut off"])
def test_refused_bytes(tmp_path, content):
    (tmp_path / "m.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.pt"):
        load(tmp_path / "m.pt")


def test_missing_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*No such file"):
        load(tmp_path / "none.pt")


def test_refused_pipelines(glove, tmp_path):
    path = tmp_path / "m.pt"
    with pytest.raises(ValueError, match="cannot be saved"):
        save(make_pipeline(DummyClassifier()), path)
    unfitted = [
        make_pipeline(MeanEmbedding(glove), BiRNNClassifier()),
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        make_pipeline(LogisticRegression()),
        Together([]),
    ]
    for model in unfitted:
        with pytest.raises(NotFittedError):
            save(model, path)
    assert not path.exists()


def test_failed_save_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "m.pt"
    path.write_bytes(b"old")

    def full(content, file):
        file.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints.torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        save(model, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_that_reads_words_predicts_the_same(reviews, tmp_path):
    """Without any GloVe table; its vectors are kept as float16."""
    glove = load_glove()
    classifier = BiRNNClassifier(
        "lstm", 3, 8, skip_connections=True, embeddings=glove, domain_size=5, max_epochs=1,
        pooling="attention+max", word_dropout=0.3, device="cpu",
    )  # fmt: skip
    model = make_pipeline(TokenIds(glove, max_length=50), classifier)
    model.fit(reviews["review"][:300], reviews["label"][:300])
    save(model, tmp_path / "m.pt")
    loaded = load(tmp_path / "m.pt")
    texts = [*reviews["review"][300:500], "", "not-so-good café"]
    assert (loaded.predict_proba(texts) == model.predict_proba(texts)).all()
    assert loaded[-1].title == classifier.title
    content = torch.load(tmp_path / "m.pt", weights_only=True)
    assert content["steps"][1]["state"]["weights"]["embedding.weight"].dtype == torch.float16
    assert torch.equal(loaded[-1].network_.embedding.weight, classifier.network_.embedding.weight)

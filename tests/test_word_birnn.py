"""The classifier that reads words in order."""

import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    Glove,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
)
from sentiment_helpers.classifiers import word_birnn

WORDS = "good bad not film the a was it of at".split()
SMALL = {
    "cell_type": "lstm",
    "num_layers": 1,
    "hidden_size": 16,
    "dropout": 0.0,
    "output_dropout": 0.0,
    "word_dropout": 0.0,
    "shortcut": False,
    "domain_size": 0,
    "pair_size": 0,
    "pretraining_epochs": 0,
    "schedule": "constant",
    "pooling": "attention+max",
    "lr": 0.02,
    "embedding_lr": 0.02,
    "max_epochs": 8,
    "max_norm": 5.0,
    "batch_size": 32,
    "device": "cpu",
}


@pytest.fixture(scope="module")
def ordered():
    """Texts in which only the order of words tells: "not good … bad" or "good … not bad"."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    filler = [rng.choice(WORDS[3:], 6).tolist() for _ in labels]
    kinds = {0: ("not good", "bad"), 1: ("good", "not bad")}
    texts = [
        " ".join([kinds[y][0], *words[:3], kinds[y][1], *words[3:]])
        for y, words in zip(labels, filler, strict=True)
    ]
    glove = Glove("ten", WORDS, rng.normal(size=(10, 5)).astype(np.float32))
    return texts, labels, glove


def word_model(glove, **changes):
    return make_pipeline(
        TokenIds(glove, max_length=12), WordBiRNNClassifier(glove, **SMALL | changes)
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_words_in_order_tell_what_their_mean_cannot(ordered, cell, device):
    texts, labels, glove = ordered
    words = word_model(glove, cell_type=cell, device=device).fit(texts[:300], labels[:300])
    assert words.score(texts[300:], labels[300:]) > 0.95
    mean = make_pipeline(
        MeanEmbedding(glove), BiRNNClassifier(num_layers=1, hidden_size=4, lr=0.02)
    ).fit(texts[:300], labels[:300])
    assert mean.score(texts[300:], labels[300:]) < 0.7


def test_recurrent_weights_do_learn_from_words(ordered):
    texts, labels, glove = ordered
    fitted = word_model(glove, max_epochs=1).fit(texts, labels)[-1]
    torch.manual_seed(fitted.random_state)
    before = fitted.build_network().state_dict()
    after = fitted.network_.state_dict()
    changed = [not torch.equal(before[name], after[name]) for name in before if "hh" in name]
    assert changed
    assert all(changed)


def test_words_seen_once_are_unknown(glove):
    texts = ["good film", "good bad", "bad dull", "film good"] * 2 + ["not bad"]
    labels = [1, 1, 0, 1] * 2 + [0]
    model = word_model(glove, max_epochs=1).fit(texts, labels)
    kept = [glove.words[i - 2] for i in model[-1].ids_]
    assert kept == ["good", "film", "bad", "dull"][: len(kept)]
    assert "not" not in kept
    assert (model.predict_proba(["not film"]) == model.predict_proba(["n't film"])).all()
    assert (model.predict_proba(["not film"]) != model.predict_proba(["bad film"])).any()


def test_frozen_and_domain_vectors(ordered):
    texts, labels, glove = ordered
    frozen = word_model(glove, embedding_lr=0, domain_size=3, max_epochs=2).fit(texts, labels)[-1]
    weight = frozen.network_.embedding.weight.detach().numpy()
    assert weight.shape == (2 + len(frozen.ids_), 8)
    known = glove.vectors[frozen.ids_ - 2]
    assert (weight[2:, :5] == known.astype(np.float16)).all()
    assert weight[2:, 5:].std() == pytest.approx(known.std(), rel=0.2)
    tuned = word_model(glove, max_epochs=2).fit(texts, labels)[-1]
    assert (tuned.network_.embedding.weight[2:].detach().numpy() != known).any()
    assert not tuned.network_.embedding.weight[0].any()


def test_a_longer_or_empty_review_changes_no_other(ordered):
    texts, labels, glove = ordered
    model = word_model(glove, word_dropout=0.2, max_epochs=2).fit(texts, labels)
    together = model.predict_proba(["good film", " ".join(texts[0].split() * 3), ""])
    for text, row in zip(["good film", "", "zzz"], together[[0, 2, 2]], strict=True):
        assert model.predict_proba([text])[0] == pytest.approx(row, abs=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_words_bit_for_bit(ordered, optimizer, device, same):
    texts, labels, glove = ordered
    changes = {"word_dropout": 0.3, "domain_size": 3, "pair_size": 2, "max_epochs": 2}
    changes |= {"schedule": "linear", "pretraining_epochs": 1}
    changes |= {"optimizer": optimizer, "device": device}
    first = word_model(glove, **changes).fit(texts, labels)
    torch.rand(7)
    second = clone(first).fit(texts, labels)
    assert second[-1].embeddings is glove  # shared, not copied
    weights = (model[-1].network_.state_dict() for model in (first, second))
    assert all(same(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))


def test_features_are_refused_where_ids_are_expected(glove):
    for classifier in (WordBiRNNClassifier(glove), BagClassifier()):
        with pytest.raises(ValueError, match="ids from TokenIds are expected"):
            classifier.fit(np.ones((4, 3)), [0, 1, 0, 1])


def test_title_says_that_words_are_read(glove):
    assert WordBiRNNClassifier(glove).title == "LSTM 1×64, words in order"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("embedding_lr", [-1, np.nan, True]),
        ("word_dropout", [1, -0.1]),
        ("output_dropout", [1]),
        ("layer_dropout", [1]),
        ("domain_size", [-1, 2**14 + 1, 1.5]),
        ("pooling", ["mean", None]),
        ("schedule", ["cosine", None]),
        ("shortcut", ["no"]),
        ("embeddings", ["glove.6B.50d", None]),
    ],
)
def test_refused_parameters(ordered, name, values):
    texts, labels, glove = ordered
    ids = TokenIds(glove, 12).fit_transform(texts)
    for value in values:
        with pytest.raises(ValueError, match=name):
            WordBiRNNClassifier(**{"embeddings": glove} | SMALL | {name: value}).fit(ids, labels)


def test_fitted_on_other_words(ordered, glove):
    """What an earlier `fit` kept decides nothing in a later one."""
    texts, labels, words = ordered
    classifier = word_model(words, max_epochs=1).fit(texts, labels)[-1]
    ids = np.random.default_rng(0).integers(2, 8, (40, 4))
    classifier.set_params(embeddings=glove).fit(ids, np.arange(40) % 2)
    assert classifier.ids_.max() < 8
    assert classifier.network_.embedding.weight.shape[1] == 3


def test_order_and_company_of_rows(ordered):
    """Up to rounding in float32, which another place in a batch changes; over a dozen words it
    stays below 1e-5 on every processor."""
    texts, labels, glove = ordered
    model = word_model(glove, max_epochs=2).fit(texts, labels)
    expected = model.decision_function(texts[:40])
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(model.decision_function(texts[:40][::-1])[::-1], expected, **close)
    for size in (1, 3, 7, 19):
        batches = [texts[at : at + size] for at in range(0, 40, size)]
        found = np.concatenate([model.decision_function(batch) for batch in batches])
        np.testing.assert_allclose(found[:40], expected, **close)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_embeddings_that_float16_cannot_hold(ordered, value):
    """Those of words that are kept: others take no part."""
    texts, labels, glove = ordered
    vectors = np.array(glove.vectors)
    vectors[3] = value
    with pytest.raises(ValueError, match="the vector of 'film' holds NaN, infinity or a value bey"):
        word_model(Glove("wrong", WORDS, vectors)).fit(texts, labels)


def test_vectors_that_training_moves_too_far(ordered):
    """No fitted model of NaN is left, not even of an earlier `fit`."""
    texts, labels, glove = ordered
    model = word_model(glove, max_epochs=1).fit(texts, labels)
    model[-1].set_params(embedding_lr=1e5)
    with pytest.raises(ValueError, match=r"beyond ±65,504, .*: give lower learning rates"):
        model.fit(texts, labels)
    with pytest.raises(NotFittedError):
        model.predict(texts)


def test_long_vectors_are_refused(ordered, monkeypatch):
    texts, labels, glove = ordered
    fitted = word_model(glove, max_epochs=1).fit(texts, labels)[-1]
    monkeypatch.setattr(word_birnn, "MAX_SIZE", 4)
    with pytest.raises(ValueError, match=r"word vectors is 5; it must be .* from 1 to 4"):
        WordBiRNNClassifier.from_state(fitted.get_state())
    with pytest.raises(ValueError, match=r"word vectors is 5; it must be .* from 1 to 4"):
        word_model(glove).fit(texts, labels)


def test_ids_of_another_table(ordered):
    """And nothing is allocated by their size."""
    texts, labels, glove = ordered
    X = TokenIds(glove, 12).fit_transform(texts).astype(np.int64)
    quick = {"embeddings": glove, **SMALL, "max_epochs": 1}
    fitted = WordBiRNNClassifier(**quick).fit(X, labels)
    loaded = WordBiRNNClassifier.from_state(fitted.get_state())
    for wrong in (-1, len(WORDS) + 2, 2**40):
        other = X.copy()
        other[3, 2] = wrong
        for method in (
            fitted.predict,
            fitted.attention_weights,
            lambda X: WordBiRNNClassifier(**quick).fit(X, labels),
            lambda X: WordBiRNNClassifier(**quick).fit(X, labels, validation=(X, labels)),
        ):
            with pytest.raises(ValueError, match=f"{wrong} is no id of these vectors, whose ids"):
                method(other)
    other[3, 2] = 2**24
    with pytest.raises(ValueError, match="16777216 is no id"):
        loaded.predict(other)
    other[3, 2] = 2**24 - 1
    tracemalloc.start()
    unknown = loaded._positions(other)[3, 2]
    assert unknown == 1
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_no_word_that_is_kept(glove):
    """Where each occurs once: all are unknown, and none co-occurs with another."""
    X = np.array([[2, 1], [3, 1], [4, 1], [5, 1]])
    classifier = WordBiRNNClassifier(glove, **SMALL | {"max_epochs": 1, "domain_size": 2})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, [0, 1, 0, 1], validation=(X, [0, 1, 0, 1]))
    assert len(classifier.ids_) == 0

"""The classifier that reads words in order."""

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

WORDS = "good bad not film the a was it of at".split()
SMALL = {
    "cell_type": "lstm", "num_layers": 1, "hidden_size": 16, "dropout": 0.0, "output_dropout": 0.0,
    "word_dropout": 0.0, "shortcut": False, "domain_size": 0, "pair_size": 0,
    "schedule": "constant", "pooling": "attention+max", "lr": 0.02,
    "embedding_lr": 0.02, "max_epochs": 8, "max_norm": 5.0, "batch_size": 32, "device": "cpu",
}  # fmt: skip


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
    return make_pipeline(TokenIds(glove, 12), WordBiRNNClassifier(glove, **SMALL | changes))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_words_in_order_tell_what_their_mean_cannot(ordered, cell, device):
    texts, labels, glove = ordered
    words = word_model(glove, cell_type=cell, device=device).fit(texts[:300], labels[:300])
    assert words.score(texts[300:], labels[300:]) > 0.95
    assert words[-1].title == f"{cell.upper()} 1×16, words in order"
    mean = make_pipeline(
        MeanEmbedding(glove), BiRNNClassifier(num_layers=1, hidden_size=4, lr=0.02)
    ).fit(texts[:300], labels[:300])
    assert mean.score(texts[300:], labels[300:]) < 0.7
    fitted = words[-1]
    torch.manual_seed(fitted.random_state)
    before, after = fitted.build_network().state_dict(), fitted.network_.state_dict()
    recurrent = [name for name in before if "hh" in name]  # which one word would not teach
    assert recurrent
    assert not any(torch.equal(before[name], after[name].cpu()) for name in recurrent)


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


def test_attention_of_each_word(ordered):
    texts, labels, glove = ordered
    model = word_model(glove, max_epochs=1, pair_size=2).fit(texts, labels)
    ids = model[0].transform(["good film", *texts[:3], ""])
    weights = model[-1].attention_weights(ids)
    assert weights.shape == ids.shape
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert not weights[ids == 0].any()
    np.testing.assert_allclose(model[-1].attention_weights(ids[:1]), weights[:1], atol=1e-6)
    without = word_model(glove, max_epochs=1, pooling="max").fit(texts, labels)[-1]
    with pytest.raises(ValueError, match="with pooling 'max' has no attention"):
        without.attention_weights(ids)


def test_order_and_company_of_rows(ordered):
    """Up to rounding in float32, which another place in a batch changes; over a dozen words it
    stays below 1e-5 on every processor. So with longer or empty reviews in it."""
    texts, labels, glove = ordered
    model = word_model(glove, max_epochs=2).fit(texts, labels)
    texts = [*texts[:38], "", "good film", " ".join(texts[0].split() * 3)]
    expected = model.decision_function(texts)
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(model.decision_function(texts[::-1])[::-1], expected, **close)
    for size in (1, 3, 7, 19):
        parts = [texts[at : at + size] for at in range(0, 41, size)]
        found = np.concatenate([model.decision_function(part) for part in parts])
        np.testing.assert_allclose(found, expected, **close)
    for ids in (model[0].transform(["zzz"]), np.zeros((1, 12), int)):  # no word is known, or none
        np.testing.assert_allclose(model[-1].decision_function(ids), expected[38:39], **close)


def test_features_are_refused_where_ids_are_expected(glove):
    for classifier in (WordBiRNNClassifier(glove), BagClassifier()):
        with pytest.raises(ValueError, match="ids from TokenIds are expected"):
            classifier.fit(np.ones((4, 3)), [0, 1, 0, 1])


def test_fitted_on_other_words(ordered, glove):
    """What an earlier `fit` kept decides nothing in a later one."""
    texts, labels, words = ordered
    classifier = word_model(words, max_epochs=1).fit(texts, labels)[-1]
    ids = np.random.default_rng(0).integers(2, 8, (40, 4))
    classifier.set_params(embeddings=glove).fit(ids, np.arange(40) % 2)
    assert classifier.ids_.max() < 8
    assert classifier.network_.embedding.weight.shape[1] == 3


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
    for classifier in [WordBiRNNClassifier(glove, **SMALL)]:
        model = make_pipeline(TokenIds(glove, 12), classifier.set_params(max_epochs=1))
        model.fit(texts, labels)
        classifier.set_params(embedding_lr=1e5)
        with pytest.raises(ValueError, match=r"beyond ±65,504: give lower learning rates"):
            model.fit(texts, labels)
        with pytest.raises(NotFittedError):
            model.predict(texts)


@pytest.mark.parametrize("wrong", [-1, len(WORDS) + 2, 2**40])
def test_ids_of_another_table(ordered, wrong):
    texts, labels, glove = ordered
    X = TokenIds(glove, 12).fit_transform(texts).astype(np.int64)
    fresh = WordBiRNNClassifier(glove, **SMALL | {"max_epochs": 1})
    fitted, other = clone(fresh).fit(X, labels), X.copy()
    other[3, 2] = wrong
    for method in (
        fitted.predict,
        fitted.attention_weights,
        lambda X: clone(fresh).fit(X, labels),
        lambda ids: clone(fresh).fit(X, labels, validation=(ids, labels)),
    ):
        with pytest.raises(
            ValueError, match=f"an id of TokenIds with these vectors is {wrong}; it must"
        ):
            method(other)


def test_no_word_that_is_kept(glove):
    """Where each occurs once: all are unknown, and none co-occurs with another."""
    X = np.array([[2, 1], [3, 1], [4, 1], [5, 1]])
    classifier = WordBiRNNClassifier(glove, **SMALL | {"max_epochs": 1, "domain_size": 2})
    classifier.set_params(pair_size=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, [0, 1, 0, 1], validation=(X, [0, 1, 0, 1]))
    assert len(classifier.ids_) == 0
    assert classifier.stopped_ == "max_epochs"

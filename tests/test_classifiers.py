"""The classifiers as scikit-learn citizens."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    FeedForwardClassifier,
    Glove,
    MeanEmbedding,
    TokenIds,
    training,
)

QUICK = {"num_layers": 1, "hidden_size": 4, "lr": 0.02, "max_epochs": 4, "batch_size": 16}


def make_data(n=120):
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    return X, np.where(X[:, 0] + X[:, 1] > 0, "good", "bad")


def weights(classifier):
    return torch.cat([w.flatten() for w in classifier.network_.state_dict().values()])


def test_learns_and_predicts():
    X, y = make_data()
    classifier = BiRNNClassifier(**QUICK).fit(X[:90], y[:90], validation=(X[90:], y[90:]))
    assert classifier.score(X, y) > 0.85
    assert classifier.classes_.tolist() == ["bad", "good"]
    probabilities = classifier.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert ((probabilities[:, 1] > 0.5) == (classifier.predict(X) == "good")).all()
    history = classifier.history_
    assert list(history.index) == [1, 2, 3, 4]
    sides = {f"{side}_{name}" for side in ("train", "valid")
             for name in ("loss", "accuracy", "precision", "recall", "f1", "roc_auc")}  # fmt: skip
    assert sides | {"gradient_norm", "seconds"} == set(history.columns)
    assert classifier.best_epoch_ == history["valid_loss"].idxmin()


def test_without_validation_a_tenth_is_set_aside():
    X, y = make_data()
    classifier = BiRNNClassifier(**QUICK).fit(X, y)
    assert len(classifier.valid_probabilities_[1]) == 12


def test_bit_for_bit_in_one_process_and_in_two(tmp_path):
    X, y = make_data()
    np.savez(tmp_path / "data.npz", X=X, y=y)
    first = weights(BiRNNClassifier(**QUICK).fit(X, y))
    torch.manual_seed(5)
    torch.rand(3)
    assert torch.equal(first, weights(BiRNNClassifier(**QUICK).fit(X, y)))
    assert not torch.equal(first, weights(BiRNNClassifier(**QUICK, random_state=1).fit(X, y)))
    code = (
        "import sys, numpy as np, torch; from sentiment_helpers import BiRNNClassifier\n"
        f"data = np.load('data.npz'); c = BiRNNClassifier(**{QUICK}).fit(data['X'], data['y'])\n"
        "weights = [w.flatten() for w in c.network_.state_dict().values()]\n"
        "torch.save(torch.cat(weights), 'weights.pt')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert torch.equal(first, torch.load(tmp_path / "weights.pt"))


@pytest.mark.parametrize(
    "classifier",
    [
        BiRNNClassifier(**QUICK | {"max_epochs": 20}),
        FeedForwardClassifier(lr=0.02, batch_size=16),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_scikit_learns_own_checks(classifier):
    """Without an exception; the one skipped is for the array API, which is switched off."""
    results = check_estimator(classifier, on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "skipped" for result in results) <= 1


def test_feed_forward_learns():
    X, y = make_data()
    classifier = FeedForwardClassifier(lr=0.02, batch_size=16)
    classifier.fit(X[:90], y[:90], validation=(X[90:], y[90:]))
    assert classifier.score(X, y) > 0.85
    assert classifier.network_.hidden.weight.shape == (16, 5)


def test_recurrent_weights_get_no_gradient_from_one_step():
    """What the notebooks show: with T = 1, weight_hh stays what it was."""
    X, y = make_data()
    classifier = BiRNNClassifier(**QUICK)
    fitted = clone(classifier).fit(X, y)
    torch.manual_seed(classifier.random_state)
    fresh = fitted.build_network().state_dict()
    for name, weight in fitted.network_.state_dict().items():
        assert torch.equal(weight, fresh[name]) == ("weight_hh" in name), name


@pytest.mark.parametrize(
    ("labels", "says"), [(np.zeros(120), "two classes"), (np.arange(120) % 3, "two classes")]
)
def test_refused_labels(labels, says):
    with pytest.raises(ValueError, match=says):
        BiRNNClassifier(**QUICK).fit(make_data()[0], labels)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr", [0, -1, np.nan, "x"]),
        ("max_norm", [0, np.nan]),
        ("embedding_lr", [-1, np.inf * 0]),
        ("batch_size", [0, 2.5]),
        ("max_epochs", [0]),
        ("patience", [0]),
        ("num_layers", [0, "3"]),
        ("dropout", [-0.1, 1.0, "a"]),
        ("word_dropout", [1]),
        ("cell_type", ["cnn", None]),
        ("pooling", ["mean"]),
        ("schedule", ["cosine"]),
        ("random_state", [-1, None, 2**32]),
        ("embeddings", ["glove.6B.50d"]),
        ("device", ["gpu"]),
    ],
)
def test_refused_parameters(name, values):
    """In scikit-learn's manner: when it is fitted, and with the parameter's name."""
    X, y = make_data()
    for value in values:
        with pytest.raises(ValueError, match=name):
            BiRNNClassifier(**QUICK | {name: value}).fit(X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0), ("batch_size", 0), ("max_epochs", 0), ("patience", 0), ("random_state", -1),
        ("device", "gpu"), ("verbose", "loud"), ("hidden_size", 0), ("dropout", 1), ("max_norm", 0),
    ],
)  # fmt: skip
def test_refused_parameters_of_the_other_classifiers(name, value):
    X, y = make_data()
    with pytest.raises(ValueError, match=name):
        FeedForwardClassifier(**{name: value}).fit(X, y)
    if name in BagClassifier().get_params():
        with pytest.raises(ValueError, match=name):
            BagClassifier(**{name: value}).fit(np.ones((40, 3), int), np.arange(40) % 2)


def test_few_rows():
    X, y = make_data()
    rows = np.concatenate([np.flatnonzero(y == label)[:2] for label in np.unique(y)])
    assert BiRNNClassifier(**QUICK).fit(X[rows], y[rows]).predict(X[:1]).shape == (1,)
    with pytest.raises(ValueError, match="two rows of each class"):
        BiRNNClassifier(**QUICK).fit(X[rows[:3]], y[rows[:3]])
    pair = X[rows[1:3]], y[rows[1:3]]
    BiRNNClassifier(**QUICK).fit(*pair, validation=(X[:1], y[:1]))
    for validation in (None, (X, y)):
        with pytest.raises(ValueError, match="labels of two classes are needed, 1 class found"):
            BiRNNClassifier(**QUICK).fit(X[:1], y[:1], validation=validation)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        BiRNNClassifier(**QUICK).fit(X[:0], y[:0])


def test_fewer_rows_than_a_batch():
    X, y = make_data(30)
    first, second = (
        BiRNNClassifier(**QUICK | {"batch_size": size}).fit(X, y, validation=make_data())
        for size in (30, 1000)
    )
    assert torch.equal(weights(first), weights(second))


def test_refused_validation():
    X, y = make_data()

    def refused(*validation):
        with pytest.raises(ValueError) as caught:  # noqa: PT011, each message is looked at
            BiRNNClassifier(**QUICK).fit(X, y, validation=validation)
        return str(caught.value)

    assert "0 sample(s)" in refused(X[:0], y[:0])
    assert (
        refused(X[:, :4], y) == "X has 4 features, but BiRNNClassifier is expecting 5 features "
        "as input."
    )
    assert "inconsistent numbers of samples: [120, 119]" in refused(X, y[1:])
    assert refused(X, np.full(120, "other")) == (
        "validation labels ['other'] are not among ['bad' 'good']"
    )
    assert "[0 1] are not among ['bad' 'good']" in refused(X, np.arange(120) % 2)
    assert "requires y to be passed" in refused(X, None)


def test_row_that_is_not_finite_is_named():
    """As the caller counts, though rows are shuffled when some are set aside."""
    X, y = make_data()
    wrong = X.astype(np.float64)
    wrong[37, 2] = np.nan
    wrong[90, 0] = np.inf
    says = "^row {} of the {}inputs is not finite: column {} holds {}"
    fitted = BiRNNClassifier(**QUICK).fit(X, y)
    for classifier in (BiRNNClassifier(**QUICK), FeedForwardClassifier()):
        with pytest.raises(ValueError, match=says.format(37, "training ", 2, "NaN")):
            classifier.fit(wrong, y)
        with pytest.raises(ValueError, match=says.format(50, "validation ", 0, "infinity")):
            classifier.fit(X, y, validation=(wrong[40:], y[40:]))
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(ValueError, match=says.format(37, "", 2, "NaN")):
            getattr(fitted, method)(wrong)


@pytest.mark.filterwarnings("ignore:overflow")
def test_number_too_large_for_the_network():
    X, y = make_data()
    X = X.astype(np.float64)
    X[5, 1] = 1e300
    with pytest.raises(ValueError, match=r"row 5 .* column 1 holds .* a number too large"):
        BiRNNClassifier(**QUICK).fit(X, y)


def test_what_is_no_table_of_numbers_is_refused_by_scikit_learn():
    X, y = make_data()
    fitted = BiRNNClassifier(**QUICK).fit(X, y)
    for method in (lambda X: BiRNNClassifier(**QUICK).fit(X, y), fitted.predict):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            method(csr_array(X))
        with pytest.raises(ValueError, match="Complex data not supported"):
            method(X + 1j)
        with pytest.raises(ValueError, match="could not convert string"):
            method(np.where(X > 2, "much", X.astype(object)))
        with pytest.raises(ValueError, match="Expected 2D array"):
            method(X[:, 0])


def test_later_loss_that_is_not_finite(monkeypatch):
    """The classifier is fitted, with the best epoch before it."""
    real, calls = training.predict_logits, []

    def predict(*arguments):
        calls.append(arguments)
        lost = len(calls) > 4  # after two epochs of two sides
        return real(*arguments) * (float("nan") if lost else 1)

    X, y = make_data()
    with monkeypatch.context() as patch:
        patch.setattr(training, "predict_logits", predict)
        with pytest.warns(RuntimeWarning, match="epoch 3: lower lr .* the weights of epoch 2"):
            classifier = BiRNNClassifier(**QUICK).fit(X, y)
    assert (classifier.stopped_, classifier.best_epoch_) == ("not finite", 2)
    assert list(classifier.history_.index) == [1, 2]
    assert np.isfinite(classifier.predict_proba(X)).all()
    again = BiRNNClassifier.from_state(classifier.get_state())
    assert again.stopped_ == "not finite"
    assert (again.predict_proba(X) == classifier.predict_proba(X)).all()


def test_refused_inputs():
    X, y = make_data()
    with pytest.raises(ValueError, match="NaN"):
        BiRNNClassifier(**QUICK).fit(np.full_like(X, np.nan), y)
    fitted = BiRNNClassifier(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="4 features"):
        fitted.predict(X[:, :4])


WORDS = "good bad not film the a was it of at".split()
SMALL = {
    "cell_type": "lstm",
    "num_layers": 1,
    "hidden_size": 16,
    "dropout": 0.0,
    "pooling": "attention+max",
    "lr": 0.02,
    "embedding_lr": 0.02,
    "max_epochs": 8,
    "max_norm": 5.0,
    "batch_size": 32,
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
        TokenIds(glove, max_length=12), BiRNNClassifier(embeddings=glove, **SMALL | changes)
    )


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_words_in_order_tell_what_their_mean_cannot(ordered, cell):
    texts, labels, glove = ordered
    words = word_model(glove, cell_type=cell).fit(texts[:300], labels[:300])
    assert words.score(texts[300:], labels[300:]) > 0.95
    mean = make_pipeline(MeanEmbedding(glove), BiRNNClassifier(**QUICK)).fit(
        texts[:300], labels[:300]
    )
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


def test_words_bit_for_bit(ordered):
    texts, labels, glove = ordered
    changes = {"word_dropout": 0.3, "domain_size": 3, "max_epochs": 2, "schedule": "linear"}
    first = word_model(glove, **changes).fit(texts, labels)
    torch.rand(7)
    second = clone(first).fit(texts, labels)
    assert second[-1].embeddings is glove  # shared, not copied
    weights = (model[-1].network_.state_dict() for model in (first, second))
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))


def test_features_are_refused_where_ids_are_expected(glove):
    for classifier in (BiRNNClassifier(embeddings=glove), BagClassifier()):
        with pytest.raises(ValueError, match="ids from TokenIds are expected"):
            classifier.fit(np.ones((4, 3)), [0, 1, 0, 1])


def test_title_says_that_words_are_read(glove):
    assert BiRNNClassifier("lstm", 1, 64, embeddings=glove).title == "LSTM 1×64, words in order"


def test_fitted_on_words_then_on_features(ordered):
    """What an earlier `fit` kept decides nothing in a later one."""
    texts, labels, glove = ordered
    classifier = word_model(glove, max_epochs=1).fit(texts, labels)[-1]
    X, y = make_data()
    classifier.set_params(embeddings=None, pooling="last").fit(X, y)
    assert not hasattr(classifier, "ids_")
    assert classifier.predict(X).shape == y.shape

"""The classifiers as scikit-learn citizens."""

import copy
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import InvalidParameterError
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
from sentiment_helpers.classifiers import base, birnn

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


def test_numbers_too_large_and_truth_values_are_refused():
    """At once, and not by what first cannot take them."""
    bounds = {
        "hidden_size": 2**14, "num_layers": 1024, "domain_size": 2**14, "batch_size": 2**31 - 1,
        "max_epochs": 2**31 - 1, "patience": 2**31 - 1, "random_state": 2**32 - 1,
        "lr": 10**308, "max_norm": 10**308, "embedding_lr": 10**308,
    }  # fmt: skip
    X, y = make_data()
    for name, most in bounds.items():
        BiRNNClassifier(**{name: most})._validate_params()
        for value in (most * 2, 10**400, True):
            with pytest.raises(InvalidParameterError, match=f"'{name}' parameter"):
                BiRNNClassifier(**QUICK | {name: value}).fit(X, y)
    for value in (2**14 + 1, True):
        with pytest.raises(InvalidParameterError, match="'hidden_size' parameter"):
            FeedForwardClassifier(value).fit(X, y)


def test_numpys_numbers_are_taken(tmp_path):
    """As a search over parameters gives them; a file has plain ones."""
    X, y = make_data()
    ids = np.random.default_rng(0).integers(0, 8, (120, 6))
    numbers = {
        "hidden_size": np.int64(4), "batch_size": np.int32(16), "max_epochs": np.int8(2),
        "patience": np.uint8(2), "lr": np.float32(0.02), "max_norm": np.float64(np.inf),
        "random_state": np.int64(3), "dropout": np.float32(0.1),
    }  # fmt: skip
    layers = {"num_layers": np.int64(2), "embedding_lr": np.float32(0.1)}
    words = layers | {"domain_size": np.int64(2), "word_dropout": np.float64(0.1)}
    glove = Glove("six", list("abcdef"), np.eye(6, dtype=np.float32))
    for classifier, inputs in (
        (FeedForwardClassifier(**numbers), X),
        (BiRNNClassifier(**numbers | layers), X),
        (BiRNNClassifier(embeddings=glove, **numbers | words), ids),
    ):
        classifier.fit(inputs, y, resume=tmp_path / f"{classifier.title}.pt")
        state = classifier.get_state()
        assert {type(v) for v in state["parameters"].values()} <= {int, float, str, bool}
        again = type(classifier).from_state(state)
        assert (again.predict_proba(inputs) == classifier.predict_proba(inputs)).all()


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
    assert refused(X, [None] * 120) == "validation labels [None] are not among ['bad' 'good']"


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


def changed(*path):
    """A change of what stands in a state under some keys."""

    def change(state, value):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


ROWS = [{"epoch": 1, "k": 0.0}, {"epoch": 2, "j": 0.0}]
STATES = {
    "features": (changed("n_features_in"), [0, 2**14 + 1, 10**9, True, 5.0, "5"], "of features"),
    "hidden": (changed("parameters", "hidden_size"), [2**14 + 1, 10**400, True], "'hidden_size'"),
    "layers": (changed("parameters", "num_layers"), [1025, 10**400], "'num_layers'"),
    "deep": (changed("parameters", "num_layers"), [1024], "too few"),
    "classes": (
        changed("classes"),
        ["ab", {0: 0, 1: 1}, (0, 1), [0, 1, 2], [1, 0], [0, 1.0], [False, 1], [[0], [1]],
         [0.0, float("nan")], [None, None], None],
        "the classes are",
    ),
    "history": (changed("history"), [[], None, {}, ROWS, "x", [1, 2]], "history is not"),
    "keys": (changed("history", 1, "more"), [0.0], "history is not"),
    "kinds": (changed("history", 1, "seconds"), [1, "1", None, [0.0]], "history is not"),
    "numbers": (changed("history", 1, "epoch"), [1, 3, 2.0, True], "history is not"),
    "losses": (changed("history", 1, "valid_loss"), [float("nan")], "history is not"),
    "best": (changed("best_epoch"), [0, 5, True, 1.0], "history is not"),
    "stopped": (changed("stopped"), ["so", None, 1], "history is not"),
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
def test_states_that_no_classifier_has(kind, monkeypatch):
    """Each is refused before any table is made of it."""
    X, y = make_data()
    state = BiRNNClassifier(**QUICK).fit(X, y).get_state()
    BiRNNClassifier.from_state(copy.deepcopy(state))
    change, values, says = STATES[kind]
    monkeypatch.setattr(base.pd, "DataFrame", None)
    for value in values:
        wrong = copy.deepcopy(state)
        change(wrong, value)
        with pytest.raises(ValueError, match=says):
            BiRNNClassifier.from_state(wrong)


def test_history_of_one_class_in_the_validation_rows():
    """The area under its ROC curve is NaN."""
    X, y = make_data()
    good = y == "good"
    fitted = BiRNNClassifier(**QUICK).fit(X, y, validation=(X[good], y[good]))
    assert fitted.history_["valid_roc_auc"].isna().all()
    assert BiRNNClassifier.from_state(fitted.get_state()).history_.equals(fitted.history_)


def test_a_history_has_an_end(monkeypatch):
    X, y = make_data()
    state = BiRNNClassifier(**QUICK).fit(X, y).get_state()
    monkeypatch.setattr(base, "MAX_EPOCHS", 3)
    with pytest.raises(ValueError, match="history is not that of a training"):
        BiRNNClassifier.from_state(state)


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
    monkeypatch.setattr(birnn, "MAX_SIZE", 4)
    with pytest.raises(ValueError, match="words' vectors have 5 values, not 1 to 4"):
        BiRNNClassifier.from_state(fitted.get_state())
    with pytest.raises(ValueError, match="words' vectors have 5 values, not 1 to 4"):
        word_model(glove).fit(texts, labels)


def test_ids_of_another_table(ordered):
    """And nothing is allocated by their size."""
    texts, labels, glove = ordered
    X = TokenIds(glove, 12).fit_transform(texts).astype(np.int64)
    quick = {"embeddings": glove, **SMALL, "max_epochs": 1}
    fitted = BiRNNClassifier(**quick).fit(X, labels)
    loaded = BiRNNClassifier.from_state(fitted.get_state())
    for wrong in (-1, len(WORDS) + 2, 2**40):
        other = X.copy()
        other[3, 2] = wrong
        for method in (
            fitted.predict,
            fitted.attention_weights,
            lambda X: BiRNNClassifier(**quick).fit(X, labels),
            lambda X: BiRNNClassifier(**quick).fit(X, labels, validation=(X, labels)),
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
    """Where each occurs once: all are unknown, and none has company."""
    X = np.array([[2, 1], [3, 1], [4, 1], [5, 1]])
    classifier = BiRNNClassifier(embeddings=glove, domain_size=2, **SMALL | {"max_epochs": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier.fit(X, [0, 1, 0, 1], validation=(X, [0, 1, 0, 1]))
    assert len(classifier.ids_) == 0

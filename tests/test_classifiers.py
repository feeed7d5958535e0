"""The classifiers as scikit-learn citizens."""

import copy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    FeedForwardClassifier,
    Glove,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    load_glove,
    training,
)
from sentiment_helpers.fast import processor

QUICK = {
    "num_layers": 1, "hidden_size": 4, "lr": 0.02, "max_epochs": 4, "batch_size": 16,
    "device": "cpu",
}  # fmt: skip


def make_data(n=120):
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    return X, np.where(X[:, 0] + X[:, 1] > 0, "good", "bad")


def weights(classifier):
    return torch.cat([w.flatten() for w in classifier.network_.state_dict().values()])


def each_kind(glove, **changes):
    """A quick classifier of each kind, and features or ids to train it on."""
    ids = np.random.default_rng(0).integers(0, 8, (120, 6))
    words = {"hidden_size": 4, "domain_size": 2, "pair_size": 3, "max_epochs": 1}
    return [
        (BiRNNClassifier(**QUICK | changes), make_data()[0]),
        (FeedForwardClassifier(max_epochs=1, **changes), make_data()[0]),
        (BagClassifier(max_epochs=1, **changes), ids),
        (WordBiRNNClassifier(glove, **words, **changes), ids),
    ]


def test_learns_and_predicts(device):
    X, y = make_data()
    classifier = BiRNNClassifier(**QUICK | {"device": device}).fit(
        X[:90], y[:90], validation=(X[90:], y[90:])
    )
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
    assert (classifier.n_train_, classifier.n_valid_) == (108, 12)
    classifier.fit(X[:40], y[:40], validation=(X[90:], y[90:]))
    assert (classifier.n_train_, classifier.n_valid_) == (40, 30)


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
        BiRNNClassifier(**QUICK | {"lr": 0.05, "max_epochs": 8}),
        pytest.param(
            FeedForwardClassifier(lr=0.05, batch_size=16, max_epochs=8), marks=pytest.mark.slow
        ),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_scikit_learns_own_checks(classifier):
    """Without an exception; the one skipped is for the array API, which is switched off."""
    results = check_estimator(classifier, on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "skipped" for result in results) <= 1


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.02), ("rmsprop", 0.02), ("sgd", 0.2)])
def test_feed_forward_learns(device, optimizer, lr):
    X, y = make_data()
    classifier = FeedForwardClassifier(lr=lr, batch_size=16, device=device, optimizer=optimizer)
    classifier.fit(X[:90], y[:90], validation=(X[90:], y[90:]))
    assert classifier.score(X, y) > 0.85
    assert classifier.network_.hidden.weight.shape == (16, 5)


def test_balanced_classes_count_as_repeated_rows():
    """Nine rows of one class for each of the other, in training and in validation; and as weights
    by label do, but for a factor."""
    X, y = make_data()
    rare, common = np.flatnonzero(y == "good")[:10], np.flatnonzero(y == "bad")
    rows = np.concatenate([rare[:5], common[:45]])
    valid = np.concatenate([rare[5:], common[5:14]])  # five for nine: not as in training
    choices = {"dropout": 0.0, "optimizer": "sgd", "lr": 0.5, "max_epochs": 3, "batch_size": 1000}

    def trained(class_weight, times):
        sides = [np.repeat(part, np.where(y[part] == "good", times, 1)) for part in (rows, valid)]
        (inputs, labels), validation = [(X[part], y[part]) for part in sides]
        classifier = FeedForwardClassifier(**choices, class_weight=class_weight)
        classifier.fit(inputs, labels, validation=validation)
        history = classifier.history_[["train_loss", "valid_loss"]].to_numpy()
        return history, weights(classifier).numpy()

    for found, expected in zip(trained("balanced", 1), trained(None, 9), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    by_label = trained({"good": 5.0, "bad": 5 / 9}, 1)
    for found, expected in zip(trained("balanced", 1), by_label, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.abs(trained(None, 1)[0] - by_label[0]).max() > 0.1


@pytest.mark.parametrize("number", range(4), ids=["BiRNN", "feed-forward", "bag", "words"])
def test_balanced_classes_find_more_of_the_rare_one(number, reviews, monkeypatch):
    """On real reviews, one of ten of which is positive."""
    monkeypatch.setattr(processor, "SMALL_NETWORK", 1e9)  # sooner, where other work needs a core
    glove, words = load_glove(), {"hidden_size": 8, "domain_size": 0, "lr": 0.01}
    words |= {"pair_size": 0, "pretraining_epochs": 0}
    sides = [reviews[reviews["label"] == label] for label in (0, 1)]
    train, rest = sides[0][:540], sides[0][540:740]
    rare, other = sides[1][:60], sides[1][60:260]
    texts, labels = [*train["review"], *rare["review"]], [0] * 540 + [1] * 60
    found = []
    for class_weight in (None, "balanced"):
        classifier = (
            BiRNNClassifier(num_layers=1, lr=0.01, max_epochs=8, class_weight=class_weight),
            FeedForwardClassifier(lr=0.01, class_weight=class_weight),
            BagClassifier(class_weight=class_weight),
            WordBiRNNClassifier(glove, **words, class_weight=class_weight),
        )[number]
        reader = MeanEmbedding(glove) if number < 2 else TokenIds(glove, 100)
        model = make_pipeline(reader, classifier).fit(texts, labels)
        asked = [*rest["review"], *other["review"]]
        found.append(recall_score([0] * 200 + [1] * 200, model.predict(asked)))
    assert found[1] > found[0] + 0.2


def test_recurrent_weights_get_no_gradient_from_one_step():
    """What the notebooks show: with T = 1, weight_hh stays what it was."""
    X, y = make_data()
    classifier = BiRNNClassifier(**QUICK)
    fitted = clone(classifier).fit(X, y)
    torch.manual_seed(classifier.random_state)  # which gives the same weights as `fit` draws
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
        ("batch_size", [0, 2.5]),
        ("max_epochs", [0]),
        ("patience", [0]),
        ("num_layers", [0, "3"]),
        ("dropout", [-0.1, 1.0, "a"]),
        ("cell_type", ["cnn", None]),
        ("skip_connections", ["no", 1]),
        ("random_state", [-1, None, 2**32]),
        ("device", ["gpu", "xla", *(["cuda"] if not torch.cuda.is_available() else [])]),
        ("optimizer", ["lion", "Adam", "", None, 5, ["adam"]]),
        ("class_weight", ["heavy", True, 2.0, {"good": 1.0, "fine": 2.0}]),
        ("class_weight", [{"good": 1.0, "bad": value} for value in (0, -1, np.nan, np.inf)]),
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
        ("device", "gpu"), ("verbose", "loud"), ("class_weight", "heavy"), ("optimizer", "lion"),
        ("hidden_size", 0), ("dropout", 1), ("max_norm", 0),
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
    """At once, with the range that is allowed."""
    X, y = make_data()
    for name, (_, most) in BiRNNClassifier.ranges.items():
        BiRNNClassifier(**{name: most})._check_parameters()
        for value in (10**400, True) if most == float("inf") else (most * 2, 10**400, True):
            with pytest.raises(ValueError, match=f"^{name} is .*; it must be a .*number from"):
                BiRNNClassifier(**QUICK | {name: value}).fit(X, y)
    for value in (2**14 + 1, True):
        with pytest.raises(ValueError, match=r"^hidden_size is .* a whole number from 1 to 16,384"):
            FeedForwardClassifier(value).fit(X, y)


def test_numpys_numbers_are_taken(tmp_path):
    """As a search over parameters gives them; a file has plain ones."""
    X, y = make_data()
    ids = np.random.default_rng(0).integers(0, 8, (120, 6))
    numbers = {
        "hidden_size": np.int64(4), "batch_size": np.int32(16), "max_epochs": np.int8(2),
        "patience": np.uint8(2), "lr": np.float32(0.02), "max_norm": np.float64(np.inf),
        "random_state": np.int64(3), "dropout": np.float32(0.1), "class_weight": "balanced",
    }  # fmt: skip
    layers = {"num_layers": np.int64(2)}
    words = layers | {
        "domain_size": np.int64(2),
        "pair_size": np.int8(2),
        "word_dropout": np.float64(0.1),
    }
    words |= {"embedding_lr": np.float32(0.1)}
    glove = Glove("six", list("abcdef"), np.eye(6, dtype=np.float32))
    for classifier, inputs in (
        (FeedForwardClassifier(**numbers), X),
        (BiRNNClassifier(**numbers | layers), X),
        (WordBiRNNClassifier(glove, **numbers | words), ids),
    ):
        classifier.fit(inputs, y, resume=tmp_path / f"{classifier.title}.pt")
        state = classifier.get_state()
        assert {type(v) for v in state["parameters"].values()} <= {int, float, str, bool}
        again = type(classifier).from_state(state)
        assert (again.predict_proba(inputs) == classifier.predict_proba(inputs)).all()


@pytest.mark.parametrize(
    "classifier",
    [
        BiRNNClassifier(**QUICK),
        BiRNNClassifier("lstm", 5, 8, skip_connections=True, max_epochs=1),
        BiRNNClassifier("rnn", 3, 8, max_epochs=1),
        FeedForwardClassifier(max_epochs=1),
    ],
    ids=lambda classifier: classifier.title,
)
def test_the_other_rows_of_a_batch_change_nothing(classifier):
    """On every processor: prediction is in float64, where another order of additions does not
    show in twelve digits."""
    X, y = make_data()
    classifier.fit(X, y)
    X = X[:70]
    expected = classifier.decision_function(X)
    close = {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(classifier.decision_function(X[::-1])[::-1], expected, **close)
    for places in [*([place] for place in range(1, 70)), range(1, 70)]:
        parts = np.split(X, places)
        found = np.concatenate([classifier.decision_function(part) for part in parts])
        np.testing.assert_allclose(found, expected, **close)


def test_trainings_in_threads_do_not_disturb_each_other():
    """Nor what else draws random numbers meanwhile; global settings are as before."""
    X, y = make_data()
    torch.manual_seed(1)
    expected_draws, threads = torch.rand(3), torch.get_num_threads()
    classifier = BiRNNClassifier(**QUICK | {"dropout": 0.3, "num_layers": 2})
    alone = weights(clone(classifier).fit(X, y))
    torch.manual_seed(1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: weights(clone(classifier).fit(X, y)), range(8)))
    assert all(torch.equal(alone, one) for one in found)
    assert torch.equal(torch.rand(3), expected_draws)
    assert torch.get_num_threads() == threads


def test_a_default_dtype_of_float64_changes_nothing(glove):
    _, y = make_data()
    for classifier, inputs in each_kind(glove, device="cpu", class_weight="balanced"):
        expected = clone(classifier).fit(inputs, y)
        torch.set_default_dtype(torch.float64)
        try:
            found = clone(classifier).fit(inputs, y)
            loaded = type(found).from_state(found.get_state())
            probabilities = loaded.predict_proba(inputs)
        finally:
            torch.set_default_dtype(torch.float32)
        assert torch.equal(weights(found), weights(expected))
        assert (probabilities == expected.predict_proba(inputs)).all()


class LacksFloat64(TorchDispatchMode):
    """A device without float64 and float16, as Apple's GPUs have no float64. An operation that
    gives such values from others is refused, but for what was moved to the CPU before."""

    def __init__(self, patch):
        super().__init__()
        self.on_cpu = {}  # storages by address, so that none is used again
        to, from_numpy = torch.Tensor.to, torch.from_numpy

        def cpu(tensor):  # here, PyTorch would give the same tensor again
            return self.keep(tensor.clone())

        def move(tensor, *where, **choices):
            moved = to(tensor, *where, **choices)
            return self.check(moved) if where and isinstance(where[0], torch.device) else moved

        patch.setattr(torch.Tensor, "cpu", cpu)
        patch.setattr(torch.Tensor, "to", move)
        patch.setattr(torch, "from_numpy", lambda values: self.keep(from_numpy(values)))

    def keep(self, tensor):
        self.on_cpu[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    def check(self, tensor):
        if tensor.dtype in (torch.float64, torch.float16):
            raise TypeError(f"the device is asked for {tensor.dtype}")
        return tensor

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        if function == torch.ops.aten.lift_fresh.default:  # what was made from NumPy's values
            return result
        values = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        values = [x.untyped_storage().data_ptr() for x in values if x.is_floating_point()]
        kept = all(address in self.on_cpu for address in values)
        for tensor in [x for x in tree_leaves(result) if isinstance(x, torch.Tensor)]:
            if kept and (values or tensor.dtype == torch.float64):  # zeros are of any device
                self.keep(tensor)
            else:
                self.check(tensor)
        return result


def test_no_device_is_asked_for_float64_or_float16(glove, tmp_path, monkeypatch):
    """In training, going on with it, prediction, saving and loading."""
    _, y = make_data()
    for classifier, inputs in each_kind(glove, class_weight="balanced"):
        expected = clone(classifier).fit(inputs, y).predict_proba(inputs)
        with monkeypatch.context() as patch, LacksFloat64(patch):
            for _ in range(2):
                classifier.fit(inputs, y, resume=tmp_path / f"{classifier.title}.pt")
            again = type(classifier).from_state(classifier.get_state())
            assert (again.predict_proba(inputs) == expected).all()
            if isinstance(classifier, WordBiRNNClassifier):
                again.attention_weights(inputs)
            with pytest.raises(TypeError, match="device is asked for"):
                classifier.network_.double()


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


def changed(*path):
    """A change of what stands in a state under some keys."""

    def change(state, value):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


STATES = {
    "features": (changed("n_features_in"), [0, 2**14 + 1, 10**9, True, 5.0, "5"], "n_features_in"),
    "hidden": (changed("parameters", "hidden_size"), [2**14 + 1, 10**400, True], "hidden_size"),
    "layers": (changed("parameters", "num_layers"), [1025, 10**400], "num_layers"),
    "deep": (changed("parameters", "num_layers"), [1024], "too few"),
    "wide": (changed("parameters", "hidden_size"), [2**14, 5], "weights are not those"),
    "classes": (
        changed("classes"),
        ["ab", {0: 0, 1: 1}, (0, 1), [0, 1, 2], [1, 0], [0, 1.0], [False, 1], [[0], [1]],
         [0.0, float("nan")], [None, None], None],
        "the classes are",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
def test_states_that_no_classifier_has(kind):
    X, y = make_data()
    state = BiRNNClassifier(**QUICK).fit(X, y).get_state()
    BiRNNClassifier.from_state(copy.deepcopy(state))
    change, values, says = STATES[kind]
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

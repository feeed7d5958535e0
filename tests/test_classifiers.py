"""The classifiers as scikit-learn citizens."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from sentiment_helpers import (
    BiRNNClassifier,
    WordBiRNNClassifier,
    load_glove,
)
from sentiment_helpers.features import MAX_LENGTH

QUICK = {
    "num_layers": 1, "hidden_size": 4, "lr": 0.02, "max_epochs": 4, "batch_size": 16,
    "device": "cpu",
}  # fmt: skip
NAN, INFINITY = float("nan"), float("inf")
KINDS = [BiRNNClassifier, WordBiRNNClassifier]
kinds = pytest.mark.parametrize("kind", KINDS)


def make_data(n=120):
    X = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    return X, np.where(X[:, 0] + X[:, 1] > 0, "good", "bad")


def weights(classifier):
    return torch.cat([w.flatten() for w in classifier.network_.state_dict().values()])


def quick(kind, glove, **changes):
    """A classifier that trains quickly, with all that draws random numbers; its inputs, labels."""
    X, y = make_data()
    choices = {"max_epochs": 2, "batch_size": 16, "device": "cpu"}
    choices |= {"num_layers": 2, "hidden_size": 4, "dropout": 0.3}
    if kind is WordBiRNNClassifier:
        choices |= {"embeddings": glove, "domain_size": 2, "pair_size": 3}
    ids = np.random.default_rng(0).integers(0, 8, (120, 6))
    return kind(**choices | changes), X if kind is BiRNNClassifier else ids, y


@pytest.mark.parametrize(("optimizer", "lr"), [("adam", 0.02), ("rmsprop", 0.02), ("sgd", 0.2)])
def test_learns_and_predicts(device, optimizer, lr):
    X, y = make_data()
    changes = {"device": device, "optimizer": optimizer, "lr": lr}
    classifier = BiRNNClassifier(**QUICK | changes)
    classifier.fit(X[:90], y[:90], validation=(X[90:], y[90:]))
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
    assert (classifier.n_train_, classifier.n_valid_) == (90, 30)
    classifier.fit(X, y)  # a tenth is set aside
    assert (classifier.n_train_, classifier.n_valid_) == (108, 12)
    assert len(classifier.valid_probabilities_[1]) == 12


def test_bit_for_bit_in_one_process_and_in_two(glove, tmp_path):
    cases = [quick(kind, glove) for kind in KINDS]
    (tmp_path / "cases.pickle").write_bytes(pickle.dumps(cases))
    found = [weights(clone(classifier).fit(X, y)) for classifier, X, y in cases]
    for expected, (classifier, X, y) in zip(found, cases, strict=True):
        torch.manual_seed(5)
        assert torch.equal(expected, weights(clone(classifier).fit(X, y)))
        other = clone(classifier).set_params(random_state=1).fit(X, y)
        assert not torch.equal(expected, weights(other))
    code = (
        "import pickle, torch\n"
        "cases = pickle.load(open('cases.pickle', 'rb'))\n"
        "found = [classifier.fit(X, y).network_.state_dict() for classifier, X, y in cases]\n"
        "torch.save([torch.cat([w.flatten() for w in d.values()]) for d in found], 'found.pt')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert all(map(torch.equal, found, torch.load(tmp_path / "found.pt")))


@kinds
def test_trainings_in_threads_do_not_disturb_each_other(kind, glove):
    """Nor what else draws random numbers meanwhile; global settings are as before."""
    classifier, X, y = quick(kind, glove)
    torch.manual_seed(1)
    expected_draws, threads = torch.rand(3), torch.get_num_threads()
    alone = weights(clone(classifier).fit(X, y))
    torch.manual_seed(1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: weights(clone(classifier).fit(X, y)), range(8)))
    assert all(torch.equal(alone, one) for one in found)
    assert torch.equal(torch.rand(3), expected_draws)
    assert torch.get_num_threads() == threads


@kinds
def test_settings_of_pytorch_change_nothing(kind, glove, setting):
    classifier, X, y = quick(kind, glove)
    found = []
    for block in (nullcontext, setting):
        with block():
            fitted = clone(classifier).fit(X, y)
            found.append([fitted.predict_proba(X)])
            if kind is WordBiRNNClassifier:
                found[-1].append(fitted.attention_weights(X))
        found[-1].append(weights(fitted).numpy())
    assert all(map(np.array_equal, *found))


def test_scikit_learns_own_checks():
    """Without an exception; the one skipped is for the array API, which is switched off."""
    results = check_estimator(
        BiRNNClassifier(**QUICK | {"lr": 0.05, "max_epochs": 8}), on_skip=None
    )
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    assert sum(result["status"] == "skipped" for result in results) <= 1


def test_copies_share_the_vectors():
    """Also pickled ones, which name the table."""
    ids, glove = np.random.default_rng(0).integers(0, 8, (40, 6)), load_glove()
    choices = {"hidden_size": 2, "domain_size": 0, "pair_size": 0, "max_epochs": 1}
    fitted = WordBiRNNClassifier(glove, **choices).fit(ids, np.arange(40) % 2)
    assert clone(fitted).embeddings is glove
    pickled = pickle.dumps(fitted)
    assert len(pickled) < 100_000
    copies = [pickle.loads(pickled) for _ in range(2)]
    assert copies[0].embeddings is copies[1].embeddings
    assert (copies[0].predict_proba(ids) == fitted.predict_proba(ids)).all()


WHOLE, REAL = [0, -1, 2.5, "3", None, True, 10**400], [0, -1, NAN, "x", None, True, 10**400]
SHARE = [-0.1, 1.0, NAN, "a", True]
WRONG = {
    "lr": [*REAL, INFINITY], "max_norm": REAL, "embedding_lr": [-1, NAN, True, INFINITY],
    "batch_size": [*WHOLE, 2**31], "max_epochs": WHOLE, "patience": WHOLE,
    "num_layers": [*WHOLE, MAX_LENGTH + 1], "hidden_size": [*WHOLE, MAX_LENGTH + 1],
    "domain_size": [-1, 1.5, MAX_LENGTH + 1], "pair_size": [-1, 1.5, MAX_LENGTH + 1],
    "random_state": [-1, None, 2**32, 1.0, True],
    "dropout": SHARE, "word_dropout": SHARE, "output_dropout": SHARE, "layer_dropout": SHARE,
    "cell_type": ["cnn", None, 5], "pooling": ["mean", None], "schedule": ["cosine", None],
    "optimizer": ["lion", "Adam", "", None, 5, ["adam"]], "embeddings": ["glove.6B.50d", None],
    "skip_connections": ["no", 1], "shortcut": ["no", None], "verbose": ["loud", 0],
    "device": ["gpu", "xla", *(["cuda"] if not torch.cuda.is_available() else [])],
}  # fmt: skip


@kinds
def test_refused_parameters(kind, glove):
    """In scikit-learn's manner: when it is fitted, and with the parameter's name. All are known."""
    parameters = kind().get_params()
    assert set(parameters) <= set(WRONG)
    for name in parameters:
        for value in WRONG[name]:
            classifier, X, y = quick(kind, glove, **{name: value})
            with pytest.raises(ValueError, match=name) as caught:
                classifier.fit(X, y)
            assert len(str(caught.value)) < 250


def test_few_rows():
    X, y = make_data()
    rows = np.concatenate([np.flatnonzero(y == label)[:2] for label in np.unique(y)])
    assert BiRNNClassifier(**QUICK).fit(X[rows], y[rows]).predict(X[:1]).shape == (1,)
    with pytest.raises(ValueError, match="too few"):
        BiRNNClassifier(**QUICK).fit(X[rows[:3]], y[rows[:3]])
    for seed in range(5):  # what is set aside has both classes
        rare = BiRNNClassifier(**QUICK | {"random_state": seed}).fit(X, np.arange(120) % 10 == 0)
        assert rare.history_["valid_roc_auc"].notna().all()
    pair = X[rows[1:3]], y[rows[1:3]]
    BiRNNClassifier(**QUICK).fit(*pair, validation=(X[:1], y[:1]))
    for labels, found in ((np.zeros(120), "1 class"), (np.arange(120) % 3, "3 classes")):
        for validation in (None, (X, y)):
            says = f"labels of two classes are needed, {found} found"
            with pytest.raises(ValueError, match=says):
                BiRNNClassifier(**QUICK).fit(X, labels, validation=validation)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        BiRNNClassifier(**QUICK).fit(X[:0], y[:0])


def test_refused_validation():
    X, y = make_data()

    def refused(*validation):
        with pytest.raises(ValueError) as caught:  # noqa: PT011, each message is looked at
            BiRNNClassifier(**QUICK).fit(X, y, validation=validation)
        return str(caught.value)

    others = "validation labels {} are not among ['bad' 'good']"
    assert "0 sample(s)" in refused(X[:0], y[:0])
    assert "X has 4 features, but BiRNNClassifier is expecting 5" in refused(X[:, :4], y)
    assert "inconsistent numbers of samples: [120, 119]" in refused(X, y[1:])
    assert refused(X, np.full(120, "other")) == others.format("['other']")
    assert refused(X, np.arange(120) % 2) == others.format("[0 1]")
    assert refused(X, [None] * 120) == others.format("[None]")
    assert "requires y to be passed" in refused(X, None)


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("value", [np.nan, 1e300])  # the latter is infinite in float32
def test_values_that_are_not_finite(value):
    X, y = make_data()
    wrong = X.astype(np.float64)
    wrong[37, 2] = value
    fitted = BiRNNClassifier(**QUICK).fit(X, y)
    for refused in (
        lambda: clone(fitted).fit(wrong, y),
        lambda: clone(fitted).fit(X, y, validation=(wrong, y)),
        lambda: fitted.decision_function(wrong),
    ):
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            refused()


@pytest.mark.parametrize(
    "choices",
    [QUICK, {"cell_type": "lstm", "skip_connections": True}, {"cell_type": "RNN", "num_layers": 3}],
)
def test_the_other_rows_of_a_batch_change_nothing(choices):
    """But the last bits of a logit, in which another order of additions shows."""
    X, y = make_data()
    classifier = BiRNNClassifier(**choices | {"max_epochs": 1}).fit(X, y)
    X = X[:70]
    expected = classifier.decision_function(X)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(classifier.decision_function(X[::-1])[::-1], expected, **close)
    for places in [*([place] for place in range(1, 70)), range(1, 70)]:
        parts = np.split(X, places)
        found = np.concatenate([classifier.decision_function(part) for part in parts])
        np.testing.assert_allclose(found, expected, **close)

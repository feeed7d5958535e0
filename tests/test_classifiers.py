"""The classifiers as scikit-learn citizens."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from sentiment_helpers import (
    BiRNNClassifier,
    FeedForwardClassifier,
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


def test_refused_inputs():
    X, y = make_data()
    with pytest.raises(ValueError, match="NaN"):
        BiRNNClassifier(**QUICK).fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="not among"):
        BiRNNClassifier(**QUICK).fit(X, y, validation=(X, np.full(120, "other")))
    fitted = BiRNNClassifier(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="4 features"):
        fitted.predict(X[:, :4])

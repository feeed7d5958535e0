"""Models as one: the weights, what is refused, learning again from all rows."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import (
    BagClassifier,
    TokenIds,
    WordBiRNNClassifier,
    blend,
)


class LogOdds(ClassifierMixin, BaseEstimator):
    """A fitted model whose log-odds are its input, more or less."""

    classes_ = np.array([0, 1])

    def __init__(self, noise=0.0):
        self.noise = noise

    def __sklearn_is_fitted__(self):
        return True

    def fit(self):
        raise AssertionError("it is not trained again")

    def decision_function(self, X):
        rng = np.random.default_rng(int(self.noise))
        return np.ravel(X) + self.noise * rng.normal(size=len(X))


def test_weights_are_those_of_a_logistic_regression():
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=(4000, 1)) * 2
    labels = (rng.random(4000) < 1 / (1 + np.exp(-log_odds[:, 0]))).astype(int)
    models = [("right", LogOdds()), ("noisy", LogOdds(noise=3.0))]
    together = blend(models).fit(log_odds, labels)
    assert together.named_estimators_["right"] is models[0][1]
    assert together.final_estimator_.coef_[0] == pytest.approx([1, 0], abs=0.1)
    assert together.final_estimator_.intercept_ == pytest.approx(0, abs=0.1)
    plain = LogisticRegression(C=np.inf)
    plain.fit(np.column_stack([m.decision_function(log_odds) for _, m in models]), labels)
    np.testing.assert_allclose(together.final_estimator_.coef_, plain.coef_)
    positive = together.predict_proba(log_odds)[:, 1]
    assert ((positive > 0.5) == together.predict(log_odds)).all()


@pytest.fixture
def members(glove):
    """Texts, labels, and classifiers of the same ids, the bag first."""
    texts, labels = ["good film", "bad film", "not good", "not bad"] * 10, [1, 0, 0, 1] * 10
    ids = TokenIds(glove, 6).fit_transform(texts)
    choices = {"hidden_size": 2, "domain_size": 2, "pair_size": 2, "lr": 0.05}
    words = WordBiRNNClassifier(glove, **choices).fit(ids, labels)
    return texts, labels, [("bag", BagClassifier().fit(ids, labels)), ("words", words)]


def test_blends_of_blends(members, glove):
    texts, labels, models = members
    reader = TokenIds(glove, 6).fit(texts)
    inner = blend(models).fit(reader.transform(texts), labels)
    model = make_pipeline(reader, inner)
    outer = blend([("all", model), ("bag", make_pipeline(reader, models[0][1]))])
    outer.fit(texts, labels)
    both = outer.decision_function(texts)
    weights, (added,) = outer.final_estimator_.coef_[0], outer.final_estimator_.intercept_
    log_odds = [one.decision_function(texts) for one in outer.named_estimators_.values()]
    np.testing.assert_allclose(both, weights @ np.array(log_odds) + added, rtol=1e-6, atol=1e-6)
    with pytest.raises(NotFittedError):
        blend([("new", BagClassifier())]).fit(texts, labels)

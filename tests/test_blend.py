"""Models as one: the weights, what is refused, learning again from all rows."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    blend,
)
from sentiment_helpers.classifiers import refit, weighted


class LogOdds(ClassifierMixin, BaseEstimator):
    """A fitted model whose log-odds are its input, more or less."""

    def __init__(self, noise=0.0, classes=(0, 1)):
        self.noise, self.classes = noise, classes

    classes_ = property(lambda self: np.array(self.classes))

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


def test_given_weights():
    models, X = [("one", LogOdds(classes=(2, 5))), ("two", LogOdds(1, (2, 5)))], [[1.0], [-3.0]]
    both = weighted(models, np.array([[0.5, 2.0]]), np.array([0.25]), X)
    one, two = (model.decision_function(X) for _, model in models)
    expected = 0.5 * one + 2 * two + 0.25
    assert both.decision_function(X) == pytest.approx(expected)
    assert both.predict(X).tolist() == np.where(expected > 0, 5, 2).tolist()
    with pytest.raises(ValueError, match="the models' classes differ"):
        weighted([*models, ("three", LogOdds())], np.ones((1, 3)), np.zeros(1), X)


@pytest.fixture
def members(glove):
    """Texts, labels, and classifiers of the same ids, the bag first."""
    texts, labels = ["good film", "bad film", "not good", "not bad"] * 10, [1, 0, 0, 1] * 10
    ids = TokenIds(glove, 6).fit_transform(texts)
    choices = {"hidden_size": 2, "domain_size": 2, "pair_size": 2, "lr": 0.05}
    words = WordBiRNNClassifier(glove, **choices).fit(ids, labels)
    return texts, labels, [("bag", BagClassifier().fit(ids, labels)), ("words", words)]


def test_a_text_is_read_once_and_blends_learn_again(members, glove):
    texts, labels, models = members
    reader = TokenIds(glove, 6).fit(texts)
    inner = blend(models).fit(reader.transform(texts), labels)
    model = make_pipeline(reader, inner)
    outer = blend([("all", model), ("bag", make_pipeline(reader, models[0][1]))])
    outer.fit(texts, labels)
    again = refit(outer, texts, labels)
    for old, new in ((outer, again), (inner, again.named_estimators_["all"][-1])):
        assert (new.final_estimator_.coef_ == old.final_estimator_.coef_).all()
        assert (new.final_estimator_.intercept_ == old.final_estimator_.intercept_).all()
    for name, old in models:
        new = again.named_estimators_["all"][-1].named_estimators_[name]
        assert (old.n_train_, new.n_train_, new.n_twin_) == (36, 40, 36)
        assert new.history_.equals(old.history_)
        assert new.get_params() == old.get_params()
        fresh = type(old)(**old.get_params() | {"max_epochs": old.best_epoch_})
        ids = again.named_estimators_["all"][0].transform(texts)
        fresh.fit(ids, labels, validation=(ids, labels))
        assert fresh.best_epoch_ == old.best_epoch_  # or its last weights are not those it has
        assert (new.predict_proba(ids) == fresh.predict_proba(ids)).all()


def test_what_can_learn_again(members, glove):
    """Also twice, and with other steps before it; not what is foreign or has not learned."""
    texts, labels, models = members
    scaled = make_pipeline(MeanEmbedding(glove), StandardScaler(), BiRNNClassifier(max_epochs=1))
    again = refit(refit(scaled.fit(texts[:30], labels[:30]), texts, labels), texts, labels)
    assert again[-1].n_twin_ == scaled[-1].n_train_
    assert again[1].n_samples_seen_ == 40
    for unfitted in (blend(models), make_pipeline(TokenIds(glove), WordBiRNNClassifier(glove))):
        with pytest.raises(NotFittedError):
            refit(unfitted, texts, labels)
    foreign = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels)
    with pytest.raises(AttributeError, match="LogisticRegression"):
        refit(foreign, texts, labels)
    with pytest.raises(NotFittedError):
        blend([("new", BagClassifier())]).fit(texts, labels)

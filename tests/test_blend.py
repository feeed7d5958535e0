"""Models as one: the weights, what is refused, saving."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BiRNNClassifier, Blend, MeanEmbedding, load, load_glove, save
from sentiment_helpers.report.experiments import tfidf_pairs


class LogOdds(ClassifierMixin, BaseEstimator):
    """A fitted model whose log-odds are the text itself."""

    classes_ = np.array([0, 1])
    fitted_ = True

    def __init__(self, noise=0.0):
        self.noise = noise

    def __sklearn_is_fitted__(self):
        return True

    def fit(self):
        pass

    def decision_function(self, texts):
        rng = np.random.default_rng(int(self.noise))
        return np.array([float(text) for text in texts]) + self.noise * rng.normal(size=len(texts))


def test_weights_are_those_of_a_logistic_regression():
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=4000) * 2
    labels = (rng.random(4000) < 1 / (1 + np.exp(-log_odds))).astype(int)
    texts = [str(value) for value in log_odds]
    right, noisy = LogOdds(), LogOdds(noise=3.0)
    together = Blend([("right", right), ("noisy", noisy)]).fit(texts, labels)
    assert together.weights_ == pytest.approx([1, 0], abs=0.1)
    assert together.intercept_ == pytest.approx(0, abs=0.1)
    assert together.title == "right + noisy"
    positive = together.predict_proba(texts)[:, 1]
    assert ((positive > 0.5) == together.predict(texts)).all()


def test_other_labels_are_refused():
    with pytest.raises(ValueError, match=r"right knows \[0 1\], but y holds \[1 2\]"):
        Blend([("right", LogOdds())]).fit(["1.0", "2.0"], [1, 2])


def test_each_model_gets_the_texts_of_any_table(members, reviews):
    """A foreign one, TF-IDF, would read a table as the names of its columns."""
    rows = reviews[400:430]
    blend = Blend(members).fit(rows[["review"]], rows["label"])
    assert (
        blend.weights_ == Blend(members).fit(list(rows["review"]), rows["label"]).weights_
    ).all()
    expected = blend.decision_function(rows["review"])
    for texts in (rows[["review"]], iter(rows["review"]), rows["review"].to_numpy()):
        assert (blend.decision_function(texts) == expected).all()
    for wrong in (rows, {"good": 1}, rows[["review"]].to_numpy(), "good"):
        with pytest.raises(ValueError, match=r"is needed, not|several are expected"):
            blend.predict(wrong)
    with pytest.raises(ValueError, match="is needed, not DataFrame"):
        Blend(members).fit(rows, rows["label"])
    with pytest.raises(ValueError, match="text 1 is None"):
        blend.predict(["good", None])


def test_unfitted(glove):
    with pytest.raises(NotFittedError):
        Blend([("right", LogOdds())]).predict(["1.0"])
    with pytest.raises(NotFittedError):
        Blend([("pairs", tfidf_pairs())]).fit(["good", "bad"], [1, 0])


@pytest.fixture(scope="module")
def members(reviews):
    rows = reviews[:400]
    network = make_pipeline(MeanEmbedding(load_glove()), BiRNNClassifier(max_epochs=1))
    return [
        ("network", network.fit(rows["review"], rows["label"])),
        ("TF-IDF", tfidf_pairs().fit(rows["review"], rows["label"])),
    ]


def test_saved_and_loaded(members, reviews, tmp_path):
    others = reviews[400:700]
    blend = Blend([("one", members[0][1]), ("two", members[0][1])])
    blend.fit(others["review"], others["label"])
    save(blend, tmp_path / "t.pt")
    again = load(tmp_path / "t.pt")
    assert (again.predict_proba(others["review"]) == blend.predict_proba(others["review"])).all()
    assert again.title == "one + two"
    assert again.classes_.tolist() == [0, 1]


def test_members_are_not_trained_again(members, reviews):
    others = reviews[400:500]
    before = members[1][1][-1].coef_.copy()
    Blend(members).fit(others["review"], others["label"])
    assert (members[1][1][-1].coef_ == before).all()
    assert clone(Blend(members)).get_params()["models"][0][0] == "network"

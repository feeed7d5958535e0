"""Several fitted models as one."""

from typing import Self

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.classifiers.base import LogOddsClassifier
from sentiment_helpers.text import each_text


class Blend(LogOddsClassifier):
    """The weighted sum of several models' log-odds, which corrects some of each one's mistakes.

    `fit` leaves the models as they are. It chooses only the weights: those of a logistic regression
    on the log-odds (Wolpert 1992), as in scikit-learn's `StackingClassifier` with `cv="prefit"`.

    Args:
        models: (name, model) pairs; each is fitted, takes texts and has a `decision_function`.

    Attributes:
        classes_: the two labels, sorted; the second one is the positive class.
        weights_: (models,) float64, of each model's log-odds.
        intercept_: what is added to their sum.
    """

    def __init__(self, models: list[tuple[str, ClassifierMixin]]):
        self.models = models

    @property
    def title(self) -> str:
        return " + ".join(name for name, _ in self.models)

    def fit(self, X, y) -> Self:
        """Choose the weights on texts (N,) and labels (N,) that no model was trained on.

        Raises:
            ValueError: the models were trained on other labels than those in `y`; see `each_text`.
        """
        for name, model in self.models:
            check_is_fitted(model)
            if not np.array_equal(model.classes_, np.unique(y)):
                raise ValueError(f"{name} knows {model.classes_}, but y holds {np.unique(y)}")
        regression = LogisticRegression(C=np.inf).fit(self._log_odds(X), y)
        self.classes_ = regression.classes_
        self.weights_ = regression.coef_[0]
        self.intercept_ = float(regression.intercept_[0])
        return self

    def __getitem__(self, name: str) -> ClassifierMixin:
        """One of the models, by its name; `KeyError` for another name."""
        return dict(self.models)[name]

    def decision_function(self, X) -> np.ndarray:
        """Log-odds (N,) of the positive class for texts (N,); `ValueError` as in `fit`."""
        check_is_fitted(self)
        return self.combine(self._log_odds(X))

    def combine(self, log_odds: np.ndarray) -> np.ndarray:
        """The blend's log-odds (N,) from those of its models, (N, models)."""
        return log_odds.astype(np.float64) @ self.weights_ + self.intercept_

    def _log_odds(self, X) -> np.ndarray:
        texts = list(each_text(X))  # for each model: a foreign one would take any table
        columns = [model.decision_function(texts) for _, model in self.models]
        return np.column_stack(columns).astype(np.float64)  # (N, models)


def refit(model: Pipeline | Blend, texts, labels) -> Pipeline | Blend:
    """The same recipe on more reviews, texts (N,) and labels (N,): a new model like `model`, which
    is a fitted pipeline that ends in one of this package's classifiers (see their `refit`), or a
    `Blend` of such pipelines, whose weights stay. Errors as in their `fit`; `ValueError` for other
    models, and for words in order that were loaded, since a file holds no `Glove`."""
    check_is_fitted(model)
    if isinstance(model, Blend):
        again = Blend([(name, refit(one, texts, labels)) for name, one in model.models])
        again.classes_, again.weights_ = model.classes_, model.weights_.copy()
        again.intercept_ = model.intercept_
        return again
    name, classifier = model.steps[-1]
    if not hasattr(classifier, "refit"):
        raise ValueError(f"{type(classifier).__name__} cannot learn again: fit a new one")
    features = clone(model[:-1])
    X = features.fit_transform(texts, labels)
    return Pipeline([*features.steps, (name, classifier.refit(X, labels))])

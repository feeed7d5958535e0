"""Fitted pipelines as .pt files: tensors and plain values only. Scores nothing."""

import os
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.bags import BagClassifier
from sentiment_helpers.classifiers import BiRNNClassifier, FeedForwardClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds
from sentiment_helpers.files import written_whole
from sentiment_helpers.together import Together

FORMAT = "sentiment_helpers pipeline"
VERSION = 1


class CheckpointError(ValueError):
    """A file that should hold a saved pipeline does not; says which file and why."""


def save(model: Pipeline | Together, path: str | os.PathLike) -> None:
    """Write a fitted pipeline, or several as one, to `path`, whole or not at all.

    Its steps are this package's estimators, or scikit-learn's `TfidfVectorizer` and
    `LogisticRegression`. The file carries all that scoring needs, the words and vectors included,
    and the history of the training. It loads with `torch.load(weights_only=True)`: nothing in it
    is code.

    Raises:
        ValueError: a step is none of these estimators (`NotFittedError`: not fitted).
        OSError: `path` cannot be written.
    """
    content = {"format": FORMAT, "version": VERSION} | _content(model)
    with written_whole(path) as temporary:
        torch.save(content, temporary)


def load(path: str | os.PathLike) -> Pipeline | Together:
    """The model that `save` wrote to `path`; it predicts exactly what it predicted then.

    Raises:
        CheckpointError: `path` is missing, or holds no model that this version can read.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception as error:  # torch raises many kinds for bytes that are no tensors
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} is no file of tensors and plain values: {reason}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by sentiment_helpers.save")
    if content["version"] > VERSION:
        raise CheckpointError(
            f"{path} has format version {content['version']}, newer than {VERSION}: "
            "update sentiment_helpers"
        )
    try:
        return _model(content)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def _content(model: Pipeline | Together) -> dict:
    """A fitted model as tensors and plain values; `_model` is its opposite."""
    if isinstance(model, Together):
        check_is_fitted(model)
        return {
            "models": {name: _content(member) for name, member in model.models},
            "classes": model.classes_.tolist(),
            "weights": model.weights_.tolist(),
            "intercept": model.intercept_,
        }
    steps = []
    for _, step in model.steps:
        name = type(step).__name__
        if name not in _STEPS:
            raise ValueError(f"{step!r} cannot be saved; these can: {', '.join(_STEPS)}")
        get_state, _ = _STEPS[name]
        steps.append({"class": name, "state": get_state(step)})
    return {"steps": steps}


def _model(content: dict) -> Pipeline | Together:
    if "models" in content:
        model = Together([(name, _model(member)) for name, member in content["models"].items()])
        model.classes_ = np.array(content["classes"])
        model.weights_ = np.array(content["weights"])
        model.intercept_ = content["intercept"]
        return model
    return make_pipeline(*(_STEPS[step["class"]][1](step["state"]) for step in content["steps"]))


def _tfidf_state(vectorizer: TfidfVectorizer) -> dict:
    parameters = vectorizer.get_params()
    if own := [k for k, value in parameters.items() if callable(value) and value != np.float64]:
        raise ValueError(f"a TfidfVectorizer with its own {', '.join(own)} cannot be saved")
    del parameters["dtype"], parameters["vocabulary"]
    return {
        "parameters": parameters,
        "words": "\n".join(vectorizer.get_feature_names_out()),
        "idf": torch.from_numpy(vectorizer.idf_),
    }


def _tfidf(state: dict) -> TfidfVectorizer:
    vectorizer = TfidfVectorizer(vocabulary=state["words"].split("\n"), **state["parameters"])
    vectorizer.idf_ = state["idf"].numpy()
    return vectorizer


def _regression_state(regression: LogisticRegression) -> dict:
    check_is_fitted(regression)
    return {
        "classes": regression.classes_.tolist(),
        "coef": torch.from_numpy(regression.coef_),
        "intercept": torch.from_numpy(regression.intercept_),
    }


def _regression(state: dict) -> LogisticRegression:
    regression = LogisticRegression()
    regression.classes_ = np.array(state["classes"])
    regression.coef_ = state["coef"].numpy()
    regression.intercept_ = state["intercept"].numpy()
    regression.n_features_in_ = regression.coef_.shape[1]
    return regression


# For each step that can be saved: from it to its state, and back.
_OWN = (MeanEmbedding, TokenIds, BiRNNClassifier, FeedForwardClassifier, BagClassifier)
_STEPS = {step.__name__: (step.get_state, step.from_state) for step in _OWN} | {
    "TfidfVectorizer": (_tfidf_state, _tfidf),
    "LogisticRegression": (_regression_state, _regression),
}

"""Saves fitted models as .pt files, and loads them again without trusting the file."""

import os

import numpy as np
import torch
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.classifiers.bag import BagClassifier
from sentiment_helpers.classifiers.base import ADDED
from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.classifiers.feed_forward import FeedForwardClassifier
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds
from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.files import resolve
from sentiment_helpers.storage.pt_file import CheckpointError

HEADER = {"format": "sentiment_helpers pipeline", "version": 3}
TRANSFORMERS = {kind.__name__: kind for kind in (MeanEmbedding, TokenIds)}
CLASSIFIERS = (BagClassifier, BiRNNClassifier, FeedForwardClassifier, WordBiRNNClassifier)
CLASSIFIERS = {kind.__name__: kind for kind in CLASSIFIERS}


def save(model: Pipeline | Blend, path: str | os.PathLike) -> None:
    """Write a fitted model to `path`, whole or not at all: a pipeline of `MeanEmbedding` or
    `TokenIds` and one of this package's classifiers, or a `Blend` of such pipelines.

    The file holds all that scoring needs, the words and vectors included, and the history of the
    training. A pipeline's weights are `torch.load(path, weights_only=True)["state_dict"]`.

    `ValueError` if `model` is something else, is not fitted (`NotFittedError`), or could not be
    loaded again: a weight is not finite, say. `OSError` if `path` cannot be written.
    """
    content = HEADER | _content(model)
    _checked_model(content)
    pt_file.write(content, path)


def load(path: str | os.PathLike) -> Pipeline | Blend:
    """The model that `save` wrote to `path`; it predicts exactly what it predicted then. Where
    there is no such path, it is one in the project's folder.

    The file may come from anybody: nothing in it is run, and each value is checked. What is
    missing, since it is newer than the file, is read as in `base.ADDED`.

    `CheckpointError` if `path` is missing, or holds no model that this version can load.
    """
    content = pt_file.read(resolve(path))
    try:
        return _checked_model(content)
    except Exception as error:  # values of the wrong kind fail in many ways
        raise CheckpointError(f"{path} holds no model to load: {error!s:.400}") from None


def _content(model: Pipeline | Blend) -> dict:
    """A fitted model as tensors and plain values; `_model` is its opposite."""
    if isinstance(model, Blend):
        check_is_fitted(model)
        return {
            "models": {name: _content(member) for name, member in model.models},
            "classes": model.classes_.tolist(),
            "weights": model.weights_.tolist(),
            "intercept": model.intercept_,
        }
    steps = model.steps if isinstance(model, Pipeline) else [("", model)]
    kinds = [type(step).__name__ for _, step in steps]
    if len(kinds) != 2 or kinds[0] not in TRANSFORMERS or kinds[1] not in CLASSIFIERS:
        raise ValueError(
            f"{' and '.join(kinds)} cannot be saved: save a pipeline of one of "
            f"{', '.join(TRANSFORMERS)} and one of {', '.join(CLASSIFIERS)} (of a search, its "
            f"best_estimator_)"
        )
    states = [step.get_state() for _, step in model.steps]
    weights = states[1].pop("weights")
    steps = [{"class": k, "state": state} for k, state in zip(kinds, states, strict=True)]
    return {"steps": steps, "state_dict": weights}


def _model(content: dict) -> Pipeline | Blend:
    if "models" not in content:
        transformer, classifier = content["steps"]
        state = classifier["state"] | {"weights": content["state_dict"]}
        return make_pipeline(
            TRANSFORMERS[transformer["class"]].from_state(transformer["state"]),
            CLASSIFIERS[classifier["class"]].from_state(state),
        )
    model = Blend([(name, _model(member)) for name, member in content["models"].items()])
    *weights, intercept = np.array([*content["weights"], content["intercept"]], np.float64)
    model.classes_ = np.array(content["classes"])
    model.weights_, model.intercept_ = np.array(weights), float(intercept)
    if (
        len(weights) != len(model.models)
        or not np.isfinite([*weights, intercept]).all()
        or any(member.classes_.tolist() != content["classes"] for _, member in model.models)
        or any(type(name) is not str for name, _ in model.models)
    ):
        raise ValueError("the blend's names, classes or weights do not fit its models")
    return model


def _checked_model(content: dict) -> Pipeline | Blend:
    """The model in `content`, if it can score and `save` would write the same content again."""
    if type(content) is not dict or content.get("format") != HEADER["format"]:
        raise ValueError(
            "sentiment_helpers.save did not write it. A state_dict belongs to a network: "
            "network.load_state_dict(torch.load(path, weights_only=True))"
        )
    if content.get("version") != HEADER["version"]:
        raise ValueError(
            f"it has format version {content.get('version')!r:.80}, and {HEADER['version']} is "
            f"read: save the model again, or update sentiment_helpers"
        )
    model = _model(content)
    if not _same(content, HEADER | _content(model)):
        raise ValueError("it has other parts or values than `save` writes")
    if not np.isfinite(model.predict_proba(["", "A good film."])).all():
        raise ValueError("its probabilities are not finite")
    return model


def _same(given, expected) -> bool:
    """Whether two contents have the same types, dtypes, shapes and values, all of them finite."""
    if type(given) is not type(expected):
        return False
    if isinstance(given, torch.Tensor):
        if not given.isfinite().all():
            raise ValueError("a weight or a vector is not finite")
        return given.dtype == expected.dtype and torch.equal(given, expected)
    if isinstance(given, dict):
        expected = {
            k: v for k, v in expected.items() if k in given or k not in ADDED or ADDED[k] != v
        }
        return list(given) == list(expected) and all(_same(given[k], expected[k]) for k in given)
    if isinstance(given, list):
        return len(given) == len(expected) and all(map(_same, given, expected))
    return given == expected

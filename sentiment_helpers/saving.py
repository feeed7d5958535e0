"""Fitted pipelines as .pt files, and back; nothing of a file is believed. Scores nothing."""

import os
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.classifiers.bag import BagClassifier
from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.classifiers.bounds import checked_classes
from sentiment_helpers.classifiers.feed_forward import FeedForwardClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds
from sentiment_helpers.storage import pt_file
from sentiment_helpers.storage.pt_file import CheckpointError

FORMAT = "sentiment_helpers pipeline"
VERSION = 2


def save(model: Pipeline | Blend, path: str | os.PathLike) -> None:
    """Write a fitted pipeline, or several as one, to `path`, whole or not at all.

    Its steps are this package's estimators, or scikit-learn's `TfidfVectorizer` and
    `LogisticRegression`. The file carries all that scoring needs, the words and vectors included,
    and the history of the training. It loads with `torch.load(weights_only=True)`: nothing in it
    is code. Only what `load` would take is written.

    Raises:
        ValueError: a step is none of these estimators, or holds what no file may: values that are
            not finite, say (`NotFittedError`: not fitted).
        OSError: `path` cannot be written.
    """
    content = {"format": FORMAT, "version": VERSION} | _content(model)
    try:
        _checked(content)
    except Exception as error:
        raise ValueError(f"{path} is not written, since it could not be loaded: {error}") from error
    pt_file.write(content, path)


def load(path: str | os.PathLike) -> Pipeline | Blend:
    """The model that `save` wrote to `path`; it predicts exactly what it predicted then.

    Whoever made the file, nothing in it is run; it is checked by `pt_file.read`, and then each
    value against what the estimators take, tensors against the parameters, and the whole against
    what `save` would write of the model.

    Raises:
        CheckpointError: `path` is missing, or holds no model that this version can read.
    """
    path = Path(path)
    content = pt_file.read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} was not written by sentiment_helpers.save")
    version = content.get("version")
    if type(version) is not int or version < VERSION:
        raise CheckpointError(f"{path} has format version {version!r:.80}, which is not read")
    if version > VERSION:
        raise CheckpointError(
            f"{path} has format version {version}, newer than {VERSION}: update sentiment_helpers"
        )
    try:
        return _checked(content)
    except Exception as error:  # values of the wrong kind fail in many ways
        reason = f"{type(error).__name__}: {error}"[:300]
        raise CheckpointError(
            f"{path} holds no model that can have been saved ({reason})"
        ) from None


def _checked(content: dict) -> Pipeline | Blend:
    """The model of some content, if that is what `_content` gives of the model, too, and if it can
    score."""
    model = _model(content)
    again = {"format": FORMAT, "version": VERSION} | _content(model)
    if difference := _differs(content, again):
        raise ValueError(difference)
    if not np.isfinite(model.predict_proba(["", "A good film."])).all():
        raise ValueError("its probabilities are not finite")
    return model


def _differs(given, expected, where: str = "content") -> str | None:
    """Where two values first differ, or where a tensor is not finite; None: nowhere."""
    if type(given) is not type(expected):
        return f"{where} is {type(given).__name__}, not {type(expected).__name__}"
    if isinstance(given, torch.Tensor):
        if (given.dtype, given.shape) != (expected.dtype, expected.shape):
            return (
                f"{where} is {given.dtype} of {tuple(given.shape)}, "
                f"not {expected.dtype} of {tuple(expected.shape)}"
            )
        if not torch.isfinite(given).all():
            return f"{where} holds a value that is not finite"
        return None if torch.equal(given, expected) else f"{where} has values that no model keeps"
    if isinstance(given, dict | list | tuple):
        keys = given.keys() if isinstance(given, dict) else range(len(given))
        others = expected.keys() if isinstance(given, dict) else range(len(expected))
        if list(keys) != list(others):
            return f"{where} has other parts than it should"
        parts = (_differs(given[key], expected[key], f"{where}[{key!r}]") for key in keys)
        return next(filter(None, parts), None)
    same = given == expected or (given != given and expected != expected)
    return None if same else f"{where} is {given!r:.80}, not {expected!r:.80}"


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
    steps = []
    for _, step in model.steps:
        name = type(step).__name__
        if name not in _STEPS:
            raise ValueError(f"{step!r} cannot be saved; these can: {', '.join(_STEPS)}")
        get_state, _ = _STEPS[name]
        steps.append({"class": name, "state": get_state(step)})
    return {"steps": steps}


def _model(content: dict) -> Pipeline | Blend:
    if "models" in content:
        model = Blend([(name, _model(member)) for name, member in content["models"].items()])
        if any(type(name) is not str for name, _ in model.models):
            raise ValueError("the models have no names")
        model.classes_ = np.array(content["classes"])
        model.weights_ = np.array(content["weights"], np.float64)
        if model.weights_.shape != (len(model.models),):
            raise ValueError("there is not one weight for each model")
        model.intercept_ = content["intercept"]
        if not np.isfinite([*model.weights_, model.intercept_]).all():
            raise ValueError("a weight is not finite")
        if any(member.classes_.tolist() != content["classes"] for _, member in model.models):
            raise ValueError("the models know different classes")
        return model
    reader, classifier = (_STEPS[step["class"]][1](step["state"]) for step in content["steps"])
    return make_pipeline(reader, classifier)


# Of a TfidfVectorizer's parameters, those that a file may hold, and which values. Others could name
# files to be read instead of texts, or patterns that never end.
_TFIDF = {
    "tokenizer": (None,),
    "preprocessor": (None,),
    "analyzer": ("word", "char", "char_wb"),
    "token_pattern": (r"(?u)\b\w\w+\b", r"(?u)\b\w+\b", r"\b\w+\b", r"\w+", r"\S+"),
    "ngram_range": tuple((low, high) for high in range(1, 6) for low in range(1, high + 1)),
    "lowercase": (False, True),
    "strip_accents": ("ascii", "unicode", None),
    "binary": (False, True),
    "norm": ("l1", "l2", None),
    "smooth_idf": (False, True),
    "sublinear_tf": (False, True),
    "use_idf": (True,),
    "input": ("content",),
    "encoding": ("utf-8",),
    "decode_error": ("strict",),
}


def _tfidf_parameters(parameters: dict) -> dict:
    """The parameters that count in scoring; `ValueError` where a file may not hold them."""
    for name, allowed in _TFIDF.items():
        if not any(type(v) is type(parameters[name]) and v == parameters[name] for v in allowed):
            raise ValueError(
                f"a TfidfVectorizer with {name} = {parameters[name]!r:.80} cannot be saved"
            )
    stop_words = parameters["stop_words"]
    if not (stop_words in (None, "english") or isinstance(stop_words, list)):
        raise ValueError("a TfidfVectorizer's stop words can be saved as a list")
    return {name: parameters[name] for name in (*_TFIDF, "stop_words")}


def _tfidf_state(vectorizer: TfidfVectorizer) -> dict:
    if vectorizer.dtype != np.float64:
        raise ValueError("a TfidfVectorizer of another dtype than np.float64 cannot be saved")
    return {
        "parameters": _tfidf_parameters(vectorizer.get_params()),
        "words": "\n".join(vectorizer.get_feature_names_out()),
        "idf": torch.from_numpy(vectorizer.idf_),
    }


def _tfidf(state: dict) -> TfidfVectorizer:
    parameters = _tfidf_parameters(state["parameters"])
    vectorizer = TfidfVectorizer(vocabulary=state["words"].split("\n"), **parameters)
    if not (state["idf"] < 1e6).all():  # the rarest of 10¹⁰⁰ words has 231
        raise ValueError("an inverse document frequency is too large")
    vectorizer.idf_ = _array(state["idf"], len(vectorizer.vocabulary))
    return vectorizer


def _regression_state(regression: LogisticRegression) -> dict:
    check_is_fitted(regression)
    if len(regression.classes_) != 2:
        raise ValueError("a LogisticRegression of two classes can be saved")
    return {
        "classes": regression.classes_.tolist(),
        "coef": torch.from_numpy(regression.coef_),
        "intercept": torch.from_numpy(regression.intercept_),
    }


def _regression(state: dict) -> LogisticRegression:
    regression = LogisticRegression()
    regression.classes_ = checked_classes(state["classes"])
    regression.n_features_in_ = state["coef"].shape[-1]
    regression.coef_ = _array(state["coef"], 1, regression.n_features_in_)
    regression.intercept_ = _array(state["intercept"], 1)
    return regression


def _array(tensor: torch.Tensor, *shape: int) -> np.ndarray:
    """A tensor as an array; `ValueError` where it is not float64 of that shape."""
    if tensor.dtype != torch.float64 or tensor.shape != shape:
        raise ValueError(f"{tensor.dtype} of {tuple(tensor.shape)} is not float64 of {shape}")
    return tensor.numpy()


# For each step that can be saved: from it to its state, and back.
_OWN = (MeanEmbedding, TokenIds, BiRNNClassifier, FeedForwardClassifier, BagClassifier)
_STEPS = {step.__name__: (step.get_state, step.from_state) for step in _OWN} | {
    "TfidfVectorizer": (_tfidf_state, _tfidf),
    "LogisticRegression": (_regression_state, _regression),
}

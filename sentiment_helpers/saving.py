"""Saves fitted models as .pt files, and loads them again without running what is in the file."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from sklearn.base import ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted

from sentiment_helpers.classifiers import blend, device_of, own_settings
from sentiment_helpers.classifiers.bag import BagClassifier
from sentiment_helpers.classifiers.base import BinaryClassifier, NetworkClassifier
from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds, check_range
from sentiment_helpers.files import FileError, resolve, written_whole

HEADER = {"format": "sentiment_helpers model", "version": 5}
READERS = {kind.__name__: kind for kind in (MeanEmbedding, TokenIds)}
CLASSIFIERS = {k.__name__: k for k in (BagClassifier, BiRNNClassifier, WordBiRNNClassifier)}


class CheckpointError(FileError):
    """A file that should hold a saved model does not; the message says which file and why."""


@own_settings()
def save(model: ClassifierMixin, path: str | os.PathLike) -> None:
    """Write a fitted model to `path`, whole or not at all: a pipeline of `MeanEmbedding` or
    `TokenIds` and a classifier of this package or a `blend` of them; or a `blend` of pipelines.

    The file holds all that scoring needs, and the history of the training. A network's weights are
    `torch.load(path, weights_only=True)["state_dict"]`, or below `["models"][name]` of a blend.
    `ValueError` if `model` is something else, is not fitted (`NotFittedError`), or has a weight
    that is not finite. `OSError` if `path` cannot be written.
    """
    buffer = io.BytesIO()
    torch.save(HEADER | _content(model), buffer)
    with written_whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


@own_settings()
def load(path: str | os.PathLike) -> ClassifierMixin:
    """The model that `save` wrote to `path`; it predicts exactly what it predicted then. Where
    there is no such path, it is one in the project's folder.

    The file may come from anybody: no code in it is run, and its values are checked.
    `CheckpointError` if `path` is missing, damaged, or holds no model that this version can load.
    """
    place, fails = resolve(path), f"cannot read {path}"
    try:
        if place.exists() and not place.is_file():
            raise ValueError("it is a folder, or no regular file")
        with zipfile.ZipFile(place) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"it is damaged: {damaged} has a wrong checksum")
        content = torch.load(place, map_location="cpu", weights_only=True)
        fails = f"{path} holds no model to load"
        if not isinstance(content, dict) or content.get("format") != HEADER["format"]:
            advice = "network.load_state_dict(torch.load(path, weights_only=True))"
            raise ValueError(f"sentiment_helpers.save did not write it; for a state_dict, {advice}")
        if (version := content.get("version")) != HEADER["version"]:
            known = f"it has format version {version!r:.80}, and {HEADER['version']} is read"
            raise ValueError(f"{known}: update this package, or train and save the model again")
        return _model(content)
    except pickle.UnpicklingError:
        reason = "it is damaged, or holds more than tensors and plain values"
    except KeyError as error:
        reason = f"{error} is missing"
    except Exception as error:  # bytes and values of the wrong kind fail in many ways
        reason = getattr(error, "strerror", None) or str(error) or "it is damaged"
        reason = reason.split(". In PyTorch")[0]  # what follows is advice to trust the file
    raise CheckpointError(f"{fails}: {reason:.400}")


def _content(model: ClassifierMixin, reads_texts: bool = True) -> dict:
    """A fitted model as tensors and plain values; `_model` is its opposite."""
    kinds = [type(s).__name__ for _, s in getattr(model, "steps", [("", model)])]
    if reads_texts and len(kinds) == 2 and kinds[0] in READERS:
        check_is_fitted(model[0])
        reader = {"class": kinds[0], "state": model[0].get_state()}
        reader["taught"] = torch.from_numpy(model[0].taught_)
        return {"reader": reader, **_content(model[1], reads_texts=False)}
    if kinds == ["StackingClassifier"] and model.cv == "prefit":
        check_is_fitted(model)
        models, weights = model.named_estimators_, model.final_estimator_
        return {
            "class": "blend",
            "models": {name: _content(one, reads_texts) for name, one in models.items()},
            "weights": weights.coef_[0].tolist(),
            "intercept": float(weights.intercept_[0]),
        }
    if reads_texts or kinds[0] not in CLASSIFIERS:
        known = f"one of {', '.join(READERS)} and one of {', '.join(CLASSIFIERS)}, or a blend"
        advice = f"save a pipeline of {known} (of a search, its best_estimator_)"
        raise ValueError(f"{' and '.join(kinds)} cannot be saved: {advice}")
    check_is_fitted(model)
    found = {name: getattr(model, name) for name in model.kept}
    found = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in found.items()}
    content = {"class": kinds[0], "classes": model.classes_.tolist(), "found": found}
    if not isinstance(model, NetworkClassifier):
        return content
    weights = {name: weight.cpu().clone() for name, weight in model.network_.state_dict().items()}
    _check_finite(weights)
    names = model.get_params().keys() - {"device", "verbose", "embeddings"}
    return content | {
        "parameters": model._values(*sorted(names)),
        "history": json.dumps(model.history_.reset_index().to_dict("records")),
        "best_epoch": model.best_epoch_,
        "stopped": model.stopped_,
        "state_dict": {n: w.half() if n == "embedding.weight" else w for n, w in weights.items()},
    }


def _model(content: dict, inputs: Sequence = ("", "A good film.")) -> ClassifierMixin:
    """The model that gave `content`, and that takes such `inputs`, which are two. `ValueError`, or
    another error, where there can be none."""
    if stored := content.get("reader"):
        reader = READERS[stored["class"]].from_state(stored["state"])
        reader.taught_ = stored["taught"].numpy()
        model = make_pipeline(reader, _model(content | {"reader": None}, reader.transform(inputs)))
    elif content["class"] == "blend":
        members = [(name, _model(one, inputs)) for name, one in content["models"].items()]
        coef = np.array([content["weights"]])
        classes = [one.classes_.tolist() for _, one in members]
        if coef.shape != (1, len(members)):
            raise ValueError(f"{coef.size} weights do not fit {len(members)} models")
        if classes != [classes[0]] * len(members):
            raise ValueError("the models' classes differ")
        model = blend(members).fit(inputs, classes[0])  # any weights, before its own
        model.final_estimator_.coef_ = coef
        model.final_estimator_.intercept_ = np.array([content["intercept"]])
    else:
        model = _classifier(content)
    if not np.isfinite(model.decision_function(inputs)).all():
        raise ValueError("its log-odds are not finite")
    return model


def _classifier(content: dict) -> BinaryClassifier:
    classifier = CLASSIFIERS[content["class"]](**content.get("parameters", {}))
    classifier._find_classes(np.array(content["classes"]))
    if classifier.classes_.tolist() != content["classes"]:
        raise ValueError(f"the classes are {content['classes']!r:.80}, not two in order")
    for name in classifier.kept:
        value = content["found"][name]
        setattr(classifier, name, value.numpy() if isinstance(value, torch.Tensor) else value)
    if not isinstance(classifier, NetworkClassifier):
        _check_finite({"weights": content["found"]["weights_"]})
        return classifier
    classifier._check_parameters()
    with torch.device("meta"):  # shapes without values
        network = classifier.build_network().float()  # whatever the default dtype is
    stored = content["state_dict"].items()
    weights = {n: w.float() if w.is_floating_point() else w for n, w in stored}
    _check_finite(weights)
    network.load_state_dict(weights, assign=True)  # refuses other names and shapes
    classifier.network_ = network.to(device_of(classifier.device)).eval()
    classifier.history_ = pd.DataFrame(json.loads(content["history"])).set_index("epoch")
    check_range("best_epoch", content["best_epoch"], 1, len(classifier.history_))
    classifier.best_epoch_, classifier.stopped_ = content["best_epoch"], content["stopped"]
    return classifier


def _check_finite(weights: dict[str, torch.Tensor]) -> None:
    if not all(weight.isfinite().all() for weight in weights.values()):
        raise ValueError("a weight is not finite: train the model again")

"""Fitted pipelines as .pt files: tensors and plain values only. Scores nothing."""

import os
from pathlib import Path

import torch
from sklearn.pipeline import Pipeline, make_pipeline

from sentiment_helpers.classifiers import BiRNNClassifier, FeedForwardClassifier
from sentiment_helpers.features import MeanEmbedding, TokenIds
from sentiment_helpers.files import written_whole

FORMAT = "sentiment_helpers pipeline"
VERSION = 1
_STEPS = {
    step.__name__: step
    for step in (MeanEmbedding, TokenIds, BiRNNClassifier, FeedForwardClassifier)
}


class CheckpointError(ValueError):
    """A file that should hold a saved pipeline does not; says which file and why."""


def save(pipeline: Pipeline, path: str | os.PathLike) -> None:
    """Write a fitted pipeline of this package's estimators to `path`, whole or not at all.

    The file carries all that scoring needs, the words and vectors included, and the history of
    the training. It loads with `torch.load(weights_only=True)`: nothing in it is code.

    Raises:
        ValueError: a step is none of this package's estimators (`NotFittedError`: not fitted).
        OSError: `path` cannot be written.
    """
    steps = []
    for _, step in pipeline.steps:
        if type(step).__name__ not in _STEPS:
            raise ValueError(f"{step!r} cannot be saved; these can: {', '.join(_STEPS)}")
        steps.append({"class": type(step).__name__, "state": step.get_state()})
    with written_whole(path) as temporary:
        torch.save({"format": FORMAT, "version": VERSION, "steps": steps}, temporary)


def load(path: str | os.PathLike) -> Pipeline:
    """The pipeline that `save` wrote to `path`; it predicts exactly what it predicted then.

    Raises:
        CheckpointError: `path` is missing, or holds no pipeline that this version can read.
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
        return make_pipeline(
            *(_STEPS[step["class"]].from_state(step["state"]) for step in content["steps"])
        )
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None

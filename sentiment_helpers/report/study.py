"""Depths, skip connections and poolings on words in order, by seed: `make study`. No figures."""

import json
import logging
import os
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.features import TokenIds
from sentiment_helpers.glove import Glove, load_glove
from sentiment_helpers.metrics import evaluate
from sentiment_helpers.networks import POOLINGS, WordBiRNN
from sentiment_helpers.report.experiments import write_results
from sentiment_helpers.reviews import load_reviews, split_reviews
from sentiment_helpers.storage.files import FileError
from sentiment_helpers.training import gradient_norms

DEPTHS = (2, 4, 8, 14)
SEEDS = (1, 2, 3, 4, 5)
TRAIN_ROWS, VALID_ROWS, MAX_LENGTH = 4000, 3000, 120
GRADIENT_ROWS = 256
DEPTH_SETTINGS = {"hidden_size": 16, "pooling": "attention+max"}
POOLING_SETTINGS = {"hidden_size": 32, "num_layers": 1}
SHARED = {
    "cell_type": "lstm",
    "dropout": 0.1,
    "word_dropout": 0.2,
    "output_dropout": 0.3,
    "lr": 2e-3,
    "embedding_lr": 1e-3,
    "schedule": "linear",
    "max_norm": 1.0,
    "max_epochs": 5,
    "patience": 2,
}
DATA = {
    "reviews": "bundled",
    "glove": "glove.6B.50d",
    "rows": [TRAIN_ROWS, VALID_ROWS],
    "max_length": MAX_LENGTH,
    "parameters": SHARED,
}
_log = logging.getLogger(__name__)


class StudyFileError(FileError):
    """A file of a study that this version cannot go on with; says which one and why."""


@dataclass(frozen=True)
class Training:
    """One training of the study, all of it plain values.

    Attributes:
        num_layers, hidden_size, skip_connections, pooling, random_state: of `BiRNNClassifier`.
        best_epoch: the one whose weights were measured.
        loss, accuracy, roc_auc: on the `VALID_ROWS`.
        seconds: of training, while another one may have used the other core.
        gradients: before training, the norm of the loss's gradient in the input weights of each
            layer of the forward stack, for `GRADIENT_ROWS` reviews; by the weight's name, as from
            `training.gradient_norms`.
    """

    num_layers: int
    hidden_size: int
    skip_connections: bool
    pooling: str
    random_state: int
    best_epoch: int
    loss: float
    accuracy: float
    roc_auc: float
    seconds: float
    gradients: dict[str, float]

    @property
    def parameters(self) -> dict:
        names = ("num_layers", "hidden_size", "skip_connections", "pooling", "random_state")
        return {name: getattr(self, name) for name in names}


def trainings() -> list[dict]:
    """The parameters of each training of the study, a seed at a time."""
    planned = []
    for seed in SEEDS:
        own = [
            {"num_layers": depth, "skip_connections": skip} | DEPTH_SETTINGS
            for depth in DEPTHS
            for skip in (False, True)
        ]
        own += [{"pooling": p, "skip_connections": False} | POOLING_SETTINGS for p in POOLINGS]
        planned += [one | {"random_state": seed} for one in own]
    return planned


def run_study(path: str | os.PathLike) -> None:
    """Run all `trainings` that `path` does not hold yet; after each one the file is written anew,
    so that a study that was cut off goes on where it was.

    They learn from a part of the training reviews and are measured on another part of them; the
    validation reviews of the notebooks are not looked at.

    Raises:
        StudyFileError: `path` holds something else, or a study with other settings.
        OSError: `path` cannot be read or written.
    """
    done = read_study(path) if Path(path).exists() else []
    finished = [one.parameters for one in done]
    planned = [one for one in trainings() if one not in finished]
    sets = _sets()
    results = Parallel(n_jobs=-1, return_as="generator_unordered")(
        delayed(train)(one, *sets) for one in planned
    )
    for result in tqdm(results, total=len(planned), unit="training", file=sys.stdout):
        done.append(result)
        write_results(path, done, DATA)


def read_study(path: str | os.PathLike) -> list[Training]:
    """The trainings that `run_study` wrote; none, and a message, where there is no such file.
    Raises as it does."""
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        _log.warning("%s is not there: `make study` writes it", path)
        return []
    try:
        content = json.loads(text)
        if content["data"] == DATA:
            return [Training(**one) for one in content["results"]]
    except (ValueError, TypeError, KeyError):
        raise StudyFileError(f"{path} holds no study: give another file") from None
    raise StudyFileError(f"{path} is a study with other settings: move it away to start a new one")


def study_table(results: list[Training]) -> pd.DataFrame:
    """The trainings as a table, a row each, without their gradients."""
    names = [field.name for field in fields(Training) if field.name != "gradients"]
    return pd.DataFrame([[getattr(one, name) for name in names] for one in results], columns=names)


def gradients(results: list[Training], num_layers: int) -> dict[str, dict[str, float]]:
    """For "plain" and "skip" networks of so many layers, the geometric mean over seeds of
    `Training.gradients`, as `plots.gradient_norms` takes them."""
    found = {}
    for name, skip in (("plain", False), ("skip", True)):
        kind = (num_layers, skip)
        norms = [r.gradients for r in results if (r.num_layers, r.skip_connections) == kind]
        found[name] = np.exp(np.log(pd.DataFrame(norms)).mean()).to_dict()
    return found


def train(parameters: dict, glove: Glove, rows: tuple, valid: tuple) -> Training:
    """Train one network on (ids, labels) and measure it on others."""
    start = time.perf_counter()
    classifier = BiRNNClassifier(embeddings=glove, **SHARED | parameters)
    classifier.fit(*rows, validation=valid)
    seconds = time.perf_counter() - start
    scores = evaluate(valid[1], classifier.predict_proba(valid[0])[:, 1])
    return Training(
        **parameters,
        best_epoch=classifier.best_epoch_,
        loss=round(scores.loss, 6),
        accuracy=scores.accuracy,
        roc_auc=round(scores.roc_auc, 6),
        seconds=round(seconds, 1),
        gradients=_gradients(parameters, glove, *rows),
    )


def _gradients(parameters: dict, glove: Glove, ids: np.ndarray, labels: np.ndarray) -> dict:
    """What `Training.gradients` holds."""
    named = {key: value for key, value in parameters.items() if key != "random_state"}
    torch.manual_seed(parameters["random_state"])
    network = WordBiRNN(
        len(glove.words) + 2, glove.vectors.shape[1], cell_type=SHARED["cell_type"], **named
    )
    with torch.no_grad():
        network.embedding.weight[2:] = torch.from_numpy(np.array(glove.vectors))
    some = torch.tensor(ids[:GRADIENT_ROWS]), torch.tensor(labels[:GRADIENT_ROWS]).float()
    norms = gradient_norms(network, *some)
    return {
        weight.removeprefix("body."): float(f"{norm:.4g}")
        for weight, norm in norms.items()
        if "forward_stack" in weight and "weight_ih" in weight
    }


def _sets() -> tuple[Glove, tuple, tuple]:
    """Vectors, and (ids, labels) to learn from and to measure on."""
    rows, _ = split_reviews(load_reviews(DATA["reviews"]))
    parts = train_test_split(
        rows, train_size=TRAIN_ROWS, test_size=VALID_ROWS, stratify=rows["label"], random_state=0
    )
    glove = load_glove(DATA["glove"])
    ids = TokenIds(glove, MAX_LENGTH).fit(parts[0]["review"])
    sets = ((ids.transform(part["review"]), part["label"].to_numpy()) for part in parts)
    return glove, *sets

"""The study: depths, skip connections and poolings on words in order, with several seeds."""

import os
import time
from functools import cache

import numpy as np
import pandas as pd
import torch

from sentiment_helpers.classifiers import untrained
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_helpers.features import TokenIds
from sentiment_helpers.glove import Glove, load_glove
from sentiment_helpers.metrics import evaluate
from sentiment_helpers.networks import POOLINGS, WordBiRNN
from sentiment_helpers.reviews import film_parts, load_reviews, split_reviews
from sentiment_report import experiments
from sentiment_report.results_file import ResultsFile

DEPTHS = (2, 4, 8, 14)  # layers with weights
SEEDS = (1, 2, 3, 4, 5)
TRAIN_ROWS, VALID_ROWS, GRADIENT_ROWS, MAX_LENGTH = 4000, 3000, 256, 120
SHARED = {
    "cell_type": "lstm", "dropout": 0.1, "word_dropout": 0.2, "output_dropout": 0.3,
    "lr": 2e-3, "embedding_lr": 1e-3, "schedule": "linear", "max_norm": 1.0,
    "max_epochs": 5, "patience": 2,
}  # fmt: skip
GLOVE_ALONE = {"domain_size": 0, "pair_size": 0, "layer_dropout": 0.0, "shortcut": False}
DATA = {
    "reviews": "bundled", "films": "apart", "glove": "glove.6B.50d",
    "rows": [TRAIN_ROWS, VALID_ROWS], "max_length": MAX_LENGTH, "parameters": SHARED,
}  # fmt: skip
PARAMETERS = ("num_layers", "hidden_size", "skip_connections", "pooling", "random_state")
# `loss`, `accuracy` and `roc_auc` are of the `VALID_ROWS`; `gradients`: `gradient_norms` of the
# forward stack's input weights before training, from the first `GRADIENT_ROWS`.
COLUMNS = [*PARAMETERS, "best_epoch", "loss", "accuracy", "roc_auc", "seconds", "gradients"]
RESULTS = ResultsFile("study", DATA, COLUMNS)


def trainings() -> list[dict]:
    """The parameters of all trainings of the study, seed by seed."""
    networks = [(1, 32, False, pooling) for pooling in POOLINGS]
    for depth in DEPTHS:  # with skip connections, every second layer has no weights
        networks.append((depth, 16, False, "attention+max"))
        networks.append((2 * depth - 1, 16, True, "attention+max"))
    rows = [(*network, seed) for seed in SEEDS for network in networks]
    return [dict(zip(PARAMETERS, row, strict=True)) for row in rows]


def run_study(path: str | os.PathLike) -> None:
    """Run the `trainings` that the file `path` lacks. All use training reviews only, never the
    held-out ones. Errors as in `ResultsFile`."""
    RESULTS.run_missing(path, train, trainings())


def train(parameters: dict) -> list[dict]:
    """Train one network and measure it: one row of `COLUMNS`."""
    glove, rows, valid = _sets()
    start = time.perf_counter()
    classifier = WordBiRNNClassifier(embeddings=glove, **GLOVE_ALONE | SHARED | parameters)
    classifier.fit(*rows, validation=valid)
    seconds = time.perf_counter() - start
    scores = evaluate(valid[1], classifier.predict_proba(valid[0])[:, 1])
    shape = parameters | {"cell_type": SHARED["cell_type"]}
    seed, size = shape.pop("random_state"), glove.vectors.shape[1]
    network = untrained(lambda: WordBiRNN(len(glove.words) + 2, size, **shape), seed)
    with torch.no_grad():
        network.embedding.weight[2:] = torch.from_numpy(np.array(glove.vectors))
    ids, labels = (torch.tensor(values[:GRADIENT_ROWS]) for values in rows)
    norms = pd.Series(experiments.gradient_norms(network, ids, labels.float()))
    norms = norms.filter(regex=experiments.INPUT_WEIGHTS, axis=0)
    return [parameters | {
        "best_epoch": classifier.best_epoch_,
        "loss": round(scores.loss, 6),
        "accuracy": scores.accuracy,
        "roc_auc": round(scores.roc_auc, 6),
        "seconds": round(seconds, 1),
        "gradients": {n.removeprefix("body."): float(f"{v:.4g}") for n, v in norms.items()},
    }]  # fmt: skip


@cache
def _sets() -> tuple[Glove, tuple, tuple]:
    """The vectors, and (ids, labels) for training and for measuring."""
    rows, _ = split_reviews(load_reviews(DATA["reviews"]), films=True)
    sizes = zip(film_parts(rows, 0.2, 0), (TRAIN_ROWS, VALID_ROWS), strict=True)
    parts = [rows.iloc[numbers].sample(size, random_state=0) for numbers, size in sizes]
    glove = load_glove(DATA["glove"])
    ids = TokenIds(glove, MAX_LENGTH).fit(parts[0]["review"])
    return glove, *((ids.transform(part["review"]), part["label"].to_numpy()) for part in parts)

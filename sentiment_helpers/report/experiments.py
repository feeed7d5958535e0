"""The report's experiments: its figures as a table, and each one run again."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor
from tqdm import tqdm

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.metrics import evaluate, intervals
from sentiment_helpers.storage.files import written_whole

REPORT_REVIEWS = 45_008
INPUT_WEIGHTS = "forward_stack.*weight_ih"  # names of the forward stack's input weights
FIGURES = ("loss", "precision", "recall", "f1", "accuracy", "roc_auc")
_log = logging.getLogger(__name__)


@cache
def report_table() -> pd.DataFrame:
    """The report's own figures, of the last epoch: a row for each experiment, by its name. Column
    `notebook` is "plain" (six networks), "skip" (four) or "earlier" (two earlier assignments)."""
    types = {"num_layers": "Int64", "hidden_size": "Int64", "skip_connections": "boolean"}
    path = Path(__file__).with_name("report_results.csv")
    return pd.read_csv(path, index_col="experiment", dtype=types)


def report_rows(notebook: str) -> list[str]:
    """The names of the rows of `report_table` with this `notebook`."""
    return report_table().query("notebook == @notebook").index.tolist()


@dataclass(frozen=True)
class Result:
    """The outcome of one training, in plain values that JSON can hold."""

    experiment: str  # the row of `report_table`, or another name
    title: str  # the network in a few words
    random_state: int
    epochs: int
    best_epoch: int
    stopped: str  # this and the history: see `training.History`
    seconds: float  # of training; other trainings may have used the other cores meanwhile
    train: dict[str, float]  # figures of the best epoch, by name
    valid: dict[str, float]  # likewise
    intervals: dict[str, Sequence[float]]  # of validation figures, see `metrics.intervals`
    predictions: str  # a character 0 or 1 for each validation row, in order
    history: list[dict[str, float]]

    @property
    def predicted(self) -> np.ndarray:
        """`predictions` as an integer array (N,)."""
        return np.array(list(self.predictions), dtype=int)


def classifier(name: str, **changes) -> BiRNNClassifier:
    """An untrained classifier with the parameters in a row of `report_table`, and `changes`."""
    (parameters,) = report_table().loc[[name], "cell_type":"lr"].to_dict("records")
    return BiRNNClassifier(**parameters | changes)


def run(name: str, train: tuple, valid: tuple, **changes) -> Result:
    """Train `classifier(name, **changes)` on `train` and measure it on `valid`, both (features,
    labels). The same arguments give the same result, except for `seconds`. `KeyboardInterrupt`
    also where the training, interrupted after an epoch, kept the best one."""
    start = time.perf_counter()
    fitted = classifier(name, **changes).fit(*train, validation=valid)
    if fitted.stopped_ == "interrupted":
        raise KeyboardInterrupt
    return measured(name, fitted, valid, time.perf_counter() - start)


def measured(name: str, fitted: BiRNNClassifier, valid: tuple, seconds: float) -> Result:
    """The `Result` of a classifier that was fitted in `seconds`, on `valid` (features, labels)."""
    labels, probabilities = valid[1], fitted.predict_proba(valid[0])[:, 1]
    best = fitted.history_.loc[fitted.best_epoch_]
    return Result(
        experiment=name,
        title=fitted.title + (f", dropout {fitted.dropout}" if name.endswith("light") else ""),
        random_state=fitted.random_state,
        epochs=len(fitted.history_),
        best_epoch=fitted.best_epoch_,
        stopped=fitted.stopped_,
        seconds=seconds,
        train={figure: float(best[f"train_{figure}"]) for figure in FIGURES},
        valid=evaluate(labels, probabilities)._asdict(),
        intervals=intervals(labels, probabilities),
        predictions="".join(np.where(probabilities > 0.5, "1", "0")),
        history=fitted.history_.drop(columns="seconds").round(6).reset_index().to_dict("records"),
    )


def run_all(
    names: Iterable[str],
    train: tuple,
    valid: tuple,
    random_states: Iterable[int],
    memory: Memory | None = None,
    **changes,
) -> list[Result]:
    """`run` each row with each seed, in parallel on all cores, with a progress bar. joblib
    distributes the work: to a Dask cluster inside `joblib.parallel_config(backend="dask")`.
    Results are kept in `memory` as soon as they are there, and those that it has are not computed
    again."""
    kept = (memory or Memory(None)).cache(run)
    jobs = [
        ((name, train, valid), {"random_state": seed, **changes})
        for seed, name in product(random_states, names)
    ]
    if memory and (known := sum(kept.check_call_in_cache(*a, **options) for a, options in jobs)):
        print(f"{known} of {len(jobs)} trainings: kept from an earlier run")
    # Without `max_nbytes` workers would get other kinds of arrays, which count as other arguments.
    parallel, done = Parallel(n_jobs=-1, return_as="generator", max_nbytes=None), []
    results = parallel(delayed(kept)(*arguments, **options) for arguments, options in jobs)
    bar = tqdm(results, total=len(jobs), unit="row", file=sys.stdout, dynamic_ncols=True)
    for result in bar:
        done.append(result)
        accuracy = result.valid["accuracy"]
        bar.set_postfix_str(f"{result.title}: {result.epochs} epochs, accuracy {accuracy:.3f}")
    return done


def search(classifier: BiRNNClassifier, X: np.ndarray, y: np.ndarray, trials: int) -> pd.DataFrame:
    """`RandomizedSearchCV` of `trials` hyperparameters of `classifier` with three folds of
    features `X` (N, D) and labels `y` (N,): a row for each, the best first."""
    choices = {
        "cell_type": ["rnn", "lstm", "gru"], "num_layers": [1, 2, 3, 5, 8],
        "hidden_size": [8, 16, 32, 64], "dropout": [0.0, 0.05, 0.2],
        "lr": loguniform(1e-4, 1e-2),
    }  # fmt: skip
    found = RandomizedSearchCV(
        clone(classifier).set_params(verbose=False), choices, n_iter=trials, cv=3, n_jobs=-1,
        random_state=classifier.random_state,
    ).fit(X, y)  # fmt: skip
    table = pd.DataFrame(found.cv_results_["params"])
    for name in ("mean_test_score", "std_test_score", "mean_fit_time"):
        table[name] = found.cv_results_[name]
    return table.sort_values("mean_test_score", ascending=False)


def write_results(path: str | os.PathLike, results: list, data: dict) -> None:
    """Write results as JSON, completely or not at all; `data` says what they were measured on."""
    lines = ",\n".join(json.dumps(result, default=asdict) for result in results)  # a line each
    text = f'{{"data": {json.dumps(data)},\n"results": [\n{lines}\n]}}\n'
    with written_whole(path) as temporary:
        temporary.write_text(text, "utf-8")


def read_rows(
    path: str | os.PathLike, data: dict, names: Iterable[str], missing: str
) -> list[dict] | None:
    """The values with these `names` of each result in a file from `write_results`; None if its
    `data` differ. Empty, with `missing` in a logged message, if there is no such file."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        _log.warning("%s is not there: %s", path, missing)
        return []
    if content["data"] == data:
        return [{name: one[name] for name in names} for one in content["results"]]
    return None


def gradient_norms(network: torch.nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """The norm of the loss's gradient in each weight of `network`, by the weight's name, for one
    batch without dropout. Weights and their gradients do not change."""
    network.eval()
    names, weights = zip(*network.named_parameters(), strict=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), labels)
    gradients = torch.autograd.grad(loss, weights)
    return {name: g.norm().item() for name, g in zip(names, gradients, strict=True)}


def tfidf_logistic_regression() -> Pipeline:
    """The report's first assignment, on texts."""
    regression = LogisticRegression(
        C=0.8, class_weight="balanced", max_iter=500, solver="saga", random_state=1234
    )
    return make_pipeline(CountVectorizer(), TfidfTransformer(), regression)


def tfidf_pairs() -> Pipeline:
    """The same with word pairs, and the settings that suit them: the logarithm of counts, only what
    two reviews contain, and weaker regularisation."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return make_pipeline(vectorizer, LogisticRegression(C=30.0, max_iter=200))

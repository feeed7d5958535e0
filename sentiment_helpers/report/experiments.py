"""The report's experiments: as data, and run again. Compares nothing."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.pipeline import Pipeline, make_pipeline
from tqdm import tqdm

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.metrics import evaluate, intervals
from sentiment_helpers.storage.files import written_whole

REPORT_REVIEWS = 45_008
REPORT = pd.read_csv(Path(__file__).with_name("report_results.csv"), index_col="experiment")
"""The report's figures, a row for each experiment: ten networks, and its two earlier assignments
(`notebook` is "earlier"). Train and validation figures of the last epoch."""
PLAIN, SKIP = (REPORT.index[REPORT["notebook"] == name].tolist() for name in ("plain", "skip"))
FIGURES = ("loss", "precision", "recall", "f1", "accuracy", "roc_auc")
FALSE_POSITIVE_RATES = np.linspace(0, 1, 101)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What one training gave; all of it plain values, so that it can be written as JSON.

    Attributes:
        experiment: the row's name in `REPORT`, or another one.
        title: the network in a few words.
        random_state: the seed.
        epochs, best_epoch, stopped: as in `training.History`.
        seconds: of training, while other rows may have used the other cores.
        train, valid: figures of the best epoch, by name; train where the trainer took them.
        intervals: 95 % intervals of validation figures, see `metrics.intervals`.
        roc: the true positive rate at each of `FALSE_POSITIVE_RATES`.
        predictions: for each validation row in order, a character 0 or 1.
        history: one dictionary an epoch, see `training.History`.
    """

    experiment: str
    title: str
    random_state: int
    epochs: int
    best_epoch: int
    stopped: str
    seconds: float
    train: dict[str, float]
    valid: dict[str, float]
    intervals: dict[str, Sequence[float]]
    roc: list[float]
    predictions: str
    history: list[dict[str, float]]

    @property
    def predicted(self) -> np.ndarray:
        """`predictions` as an array (N,) of 0 and 1."""
        return np.array(list(self.predictions), dtype=int)


def classifier(name: str, **changes) -> BiRNNClassifier:
    """An untrained classifier at the report's hyperparameters for a row of `REPORT`."""
    row = REPORT.loc[name]
    parameters = {
        "cell_type": row["cell_type"].lower(),
        "num_layers": int(row["num_layers"]),
        "hidden_size": int(row["hidden_size"]),
        "dropout": float(row["dropout"]),
        "skip_connections": row["skip_connections"] in (True, "True"),
        "lr": float(row["learning_rate"]),
        "max_norm": float(row["max_norm"]),
    }
    return BiRNNClassifier(**parameters | changes)


def run(name: str, train: tuple, valid: tuple, **changes) -> Result:
    """Train a row of `REPORT` on (features, labels) and measure it on others.

    `changes` are parameters of `BiRNNClassifier`, `random_state` for instance. The same arguments
    give the same result, but for the seconds.
    """
    start = time.perf_counter()
    fitted = classifier(name, **changes).fit(*train, validation=valid)
    return measured(name, fitted, valid, time.perf_counter() - start)


def measured(name: str, fitted: BiRNNClassifier, valid: tuple, seconds: float) -> Result:
    """What a classifier, fitted in so many seconds, comes to on (features, labels)."""
    labels, probabilities = valid[1], fitted.predict_proba(valid[0])[:, 1]
    best = fitted.history_.loc[fitted.best_epoch_]
    false_positives, true_positives, _ = roc_curve(labels, probabilities)
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
        roc=np.interp(FALSE_POSITIVE_RATES, false_positives, true_positives).round(4).tolist(),
        predictions="".join(np.where(probabilities > 0.5, "1", "0")),
        history=fitted.history_.drop(columns="seconds").round(6).reset_index().to_dict("records"),
    )


def run_all(
    names: Iterable[str],
    train: tuple,
    valid: tuple,
    random_states: Iterable[int] = (1234,),
    **changes,
) -> list[Result]:
    """`run` each row with each seed, as many at a time as there are cores, with a progress bar.

    Work is handed out by joblib: inside `joblib.parallel_config(backend="dask")`, for instance,
    the same rows run on a Dask cluster.
    """
    tasks = [(name, seed) for seed in random_states for name in names]
    results = Parallel(n_jobs=-1, return_as="generator")(
        delayed(run)(name, train, valid, random_state=seed, **changes) for name, seed in tasks
    )
    bar = tqdm(results, total=len(tasks), unit="row", file=sys.stdout, dynamic_ncols=True)
    done = []
    for result in bar:
        done.append(result)
        accuracy = result.valid["accuracy"]
        bar.set_postfix_str(f"{result.title}: {result.epochs} epochs, accuracy {accuracy:.3f}")
    return done


def write_results(path: str | os.PathLike, results: list[Result], data: dict) -> None:
    """Write results as JSON, whole or not at all; `data` says what they were measured on."""
    lines = ",\n".join(json.dumps(asdict(result)) for result in results)  # a line each
    with written_whole(path) as temporary:
        temporary.write_text(
            f'{{"data": {json.dumps(data)},\n"results": [\n{lines}\n]}}\n', "utf-8"
        )


def read_results(path: str | os.PathLike, data: dict) -> list[Result]:
    """What `write_results` wrote for the same `data`; nothing, and a message, where there is no
    such file or it was measured on other data, so that its rows cannot be compared."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        _log.warning("%s is not there: the notebook that writes it has not been run", path)
        return []
    if content["data"] != data:
        _log.warning("%s was measured on other data: run the notebook that writes it again", path)
        return []
    return [Result(**result) for result in content["results"]]


def described(reviews: str, glove: str, train: tuple, valid: tuple) -> dict:
    """What identifies the data that results were measured on: names, sizes and the labels."""
    labels = "".join(np.where(valid[1] == 1, "1", "0"))
    return {"reviews": reviews, "glove": glove, "train_rows": len(train[1]), "labels": labels}


def tfidf_logistic_regression() -> Pipeline:
    """The report's first assignment, on texts. (`l1_ratio=0` is its `penalty="l2"` today.)"""
    regression = LogisticRegression(
        C=0.8, l1_ratio=0, class_weight="balanced", tol=1e-4, max_iter=500, solver="saga",
        random_state=1234,
    )  # fmt: skip
    return make_pipeline(CountVectorizer(), TfidfTransformer(), regression)


def tfidf_pairs() -> Pipeline:
    """The same of words and pairs of words, with what such models have won with since: the
    logarithm of counts, none that is in one review only, and weaker regularisation."""
    return make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=30.0, max_iter=200),
    )

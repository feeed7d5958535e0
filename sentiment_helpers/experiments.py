"""The report's experiments: as data, run again, and set beside its figures. Draws nothing."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import norm
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_curve
from sklearn.pipeline import Pipeline, make_pipeline
from tqdm import tqdm

from sentiment_helpers.classifiers import BiRNNClassifier
from sentiment_helpers.files import written_whole
from sentiment_helpers.metrics import evaluate, holm, intervals, mcnemar, paired_difference

REPORT_REVIEWS = 45_008
REPORT = pd.read_csv(Path(__file__).with_name("report_results.csv"), index_col="experiment")
"""The report's figures, a row for each experiment: ten networks, and its two earlier assignments
(`notebook` is "earlier"). Train and validation figures of the last epoch."""
PLAIN, SKIP = (REPORT.index[REPORT["notebook"] == name].tolist() for name in ("plain", "skip"))
PAIRS = (("gru-5", "lstm-5"), ("gru-14-skip", "gru-14"), ("lstm-14-skip", "lstm-14"))
"""What the report concludes from one training each: the first is better than the second."""
FIGURES = ("loss", "precision", "recall", "f1", "accuracy", "roc_auc")
FALSE_POSITIVE_RATES = np.linspace(0, 1, 101)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What one training gave; all of it plain values, so that it can be written as JSON.

    Attributes:
        experiment: the row's name in `REPORT`.
        title: the network in a few words.
        random_state: the seed.
        epochs, best_epoch, stopped: as in `training.History`.
        seconds: of training, while other rows may have used the other cores.
        train, valid: figures of the best epoch, by name.
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
    seconds = time.perf_counter() - start
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
        valid={figure: float(best[f"valid_{figure}"]) for figure in FIGURES},
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
    content = {"data": data, "results": [asdict(result) for result in results]}
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), "utf-8")


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


def table(results: list[Result]) -> pd.DataFrame:
    """Two columns for each row of the report: its figures, and those measured here."""
    columns = {}
    for result in results:
        report = REPORT.loc[result.experiment]
        columns[result.title, "report"] = {
            **{(s, f): report.get(f"{s}_{f}") for s in ("train", "valid") for f in FIGURES},
            ("training", "epochs"): report["epochs"],
            ("training", "seconds"): report["seconds"],
        }
        columns[result.title, "here"] = {
            **{(s, f): getattr(result, s)[f] for s in ("train", "valid") for f in FIGURES},
            ("training", "epochs"): result.epochs,
            ("training", "best epoch"): result.best_epoch,
            ("training", "seconds"): round(result.seconds, 1),
        }
    figures = list(columns[results[0].title, "here"])
    return pd.DataFrame.from_dict(columns, orient="index")[figures].T


def first_runs(results: list[Result]) -> list[Result]:
    """The first result of each experiment, without its further seeds."""
    first = {}
    for result in results:
        first.setdefault(result.experiment, result)
    return list(first.values())


def seeds_table(results: list[Result]) -> pd.DataFrame:
    """Validation accuracy of each network over its seeds: how many, mean, standard deviation."""
    accuracies = pd.DataFrame(
        [(result.title, result.random_state, result.valid["accuracy"]) for result in results],
        columns=["network", "seed", "accuracy"],
    )
    return accuracies.groupby("network", sort=False)["accuracy"].agg(["count", "mean", "std"])


def mcnemar_table(predictions: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """McNemar's test for every two models on the same rows, with Holm's correction for all."""
    rows = [
        (
            *pair,
            np.mean(predictions[pair[0]] == labels) - np.mean(predictions[pair[1]] == labels),
            mcnemar(labels, *(predictions[name] for name in pair)),
        )
        for pair in combinations(predictions, 2)
    ]
    found = pd.DataFrame(rows, columns=["first", "second", "difference", "p"])
    return found.assign(**{"p (Holm)": holm(found["p"])})


def scores_table(probabilities: dict[str, np.ndarray], labels: np.ndarray) -> pd.DataFrame:
    """Figures of several models, by name, on the same rows, with 95 % intervals; a column each."""
    columns = {}
    for name, values in probabilities.items():
        bounds = {
            f"{f} 95 %": f"{a:.4f}–{b:.4f}" for f, (a, b) in intervals(labels, values).items()
        }
        columns[name] = evaluate(labels, values)._asdict() | bounds
    return pd.DataFrame(columns)


def verdicts(probabilities: dict[str, np.ndarray], labels: np.ndarray) -> list[str]:
    """For every two models, by name, whether one is more accurate on these rows, in words."""
    pairs = mcnemar_table({name: p > 0.5 for name, p in probabilities.items()}, labels)
    said = []
    for first, second, difference, _, p in pairs.itertuples(index=False):
        better, worse = (first, second) if difference > 0 else (second, first)
        verdict = "is more accurate than" if p < 0.05 else "cannot be told from"
        said.append(
            f"{better} {verdict} {worse}: {abs(difference):.4f} apart, p = {p:.2g} "
            "(McNemar's exact test, Holm's correction)."
        )
    return said


def tfidf_logistic_regression() -> Pipeline:
    """The report's first assignment, on texts. (`l1_ratio=0` is its `penalty="l2"` today.)"""
    regression = LogisticRegression(
        C=0.8, l1_ratio=0, class_weight="balanced", tol=1e-4, max_iter=500, solver="saga",
        random_state=1234,
    )  # fmt: skip
    return make_pipeline(CountVectorizer(), TfidfTransformer(), regression)


def findings(results: list[Result], labels: np.ndarray) -> list[str]:
    """What the figures support and what not, in sentences that are made from them."""
    return [_of_the_report(), *_of_seeds(results), *_of_rows(results, labels)]


def _of_the_report() -> str:
    accuracies = REPORT.loc[PLAIN + SKIP, "valid_accuracy"]
    low, high, rows = accuracies.min(), accuracies.max(), round(REPORT_REVIEWS / 5)
    error = np.sqrt(2 * accuracies.mean() * (1 - accuracies.mean()) / rows)
    p = 2 * norm.sf((high - low) / error)
    return (
        f"The report: its best and worst network are {high - low:.4f} apart in validation accuracy "
        f"on about {rows:,} rows. Two networks that are equally good, picked beforehand and with "
        f"independent mistakes, would be as far apart with probability {p:.2f}. "
        f"On these figures alone, {'no' if p > 0.05 else 'a'} network can be called better."
    )


def _of_seeds(results: list[Result]) -> Iterator[str]:
    accuracies = pd.DataFrame(
        [(result.experiment, result.random_state, result.valid["accuracy"]) for result in results],
        columns=["experiment", "seed", "accuracy"],
    ).pivot(index="seed", columns="experiment", values="accuracy")
    titles = {result.experiment: result.title for result in results}
    for first, second in PAIRS:
        if not {first, second} <= titles.keys():
            continue
        both = accuracies[[first, second]].dropna()
        if len(both) < 2:
            continue
        found = paired_difference(both[first], both[second])
        if not found.supported:
            verdict = "is not supported"
        else:
            verdict = "is supported" if found.mean > 0 else "is contradicted"
        yield (
            f"{titles[first]} less {titles[second]}, {len(both)} seeds on the same rows: "
            f"{found.mean:+.4f} in validation accuracy, 95 % interval {found.low:+.4f} to "
            f"{found.high:+.4f}. "
            f"That {titles[first]} is better {verdict} here."
        )


def _of_rows(results: list[Result], labels: np.ndarray) -> Iterator[str]:
    rows = first_runs(results)
    pairs = mcnemar_table({r.title: r.predicted for r in rows}, labels)
    different = int((pairs["p (Holm)"] < 0.05).sum())
    yield (
        f"Of {len(pairs)} pairs of networks trained once, {different} differ in accuracy on the "
        f"{len(labels):,} validation rows (McNemar's exact test, Holm's correction, 5 %)."
    )
    asleep = [
        r.title for r in rows if r.intervals["roc_auc"][0] <= 0.5 <= r.intervals["roc_auc"][1]
    ]
    if asleep:
        yield f"No better than a coin (the interval of the AUC holds 0.5): {', '.join(asleep)}."

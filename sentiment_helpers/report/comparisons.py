"""Results set beside the report's and beside each other, as tables and in words. Trains nothing."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from sentiment_helpers.metrics import evaluate, intervals
from sentiment_helpers.report.experiments import (
    FIGURES,
    PLAIN,
    REPORT,
    REPORT_REVIEWS,
    SKIP,
    Result,
)
from sentiment_helpers.report.statistics import holm, mcnemar, paired_difference
from sentiment_helpers.report.study import DEPTHS, Training, study_table

PAIRS = (("gru-5", "lstm-5"), ("gru-14-skip", "gru-14"), ("lstm-14-skip", "lstm-14"))
"""What the report concludes from one training each: the first is better than the second."""


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
    groups = _accuracies(results).groupby("network", sort=False)
    return groups["accuracy"].agg(["count", "mean", "std"])


def _accuracies(results: list[Result]) -> pd.DataFrame:
    """A line for each training: `experiment`, `network` (its title), `seed`, `accuracy`."""
    lines = [(r.experiment, r.title, r.random_state, r.valid["accuracy"]) for r in results]
    return pd.DataFrame(lines, columns=["experiment", "network", "seed", "accuracy"])


def mcnemar_table(
    predictions: dict[str, np.ndarray], labels: np.ndarray, against: str | None = None
) -> pd.DataFrame:
    """McNemar's test for every two models on the same rows, with Holm's correction for all; or for
    the one named `against` and each of the others."""
    rows = [
        (
            *pair,
            np.mean(predictions[pair[0]] == labels) - np.mean(predictions[pair[1]] == labels),
            mcnemar(labels, *(predictions[name] for name in pair)),
        )
        for pair in combinations(predictions, 2)
        if against is None or against in pair
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


def verdicts(
    probabilities: dict[str, np.ndarray], labels: np.ndarray, against: str | None = None
) -> list[str]:
    """For every two models, by name, whether one is more accurate on these rows, in words; or for
    the one named `against` and each of the others. Predictions of 0 and 1 will do, too."""
    predictions = {name: values > 0.5 for name, values in probabilities.items()}
    pairs = mcnemar_table(predictions, labels, against)
    said = []
    for first, second, difference, _, p in pairs.itertuples(index=False):
        better, worse = (first, second) if difference > 0 else (second, first)
        verdict = "is more accurate than" if p < 0.05 else "cannot be told from"
        said.append(
            f"{better} {verdict} {worse}: {abs(difference):.4f} apart, p = {p:.2g} "
            "(McNemar's exact test, Holm's correction)."
        )
    return said


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
    accuracies = _accuracies(results).pivot(index="seed", columns="experiment", values="accuracy")
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


def depths_table(results: list[Training]) -> pd.DataFrame:
    """Validation accuracy of plain and skip networks of each depth in a study: means over the
    seeds, and the mean difference of both with its 95 % interval. A row each; only depths with two
    seeds or more."""
    rows = {}
    for depth, plain, skip in _plain_and_skip(results):
        found = paired_difference(skip, plain)
        rows[depth] = {
            "seeds": len(plain),
            "plain": plain.mean(),
            "skip": skip.mean(),
            "skip less plain": found.mean,
            "low": found.low,
            "high": found.high,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("layers")


def poolings_table(results: list[Training]) -> pd.DataFrame:
    """Validation figures of each pooling in a study: means over the seeds, and the accuracy's
    standard deviation."""
    table = study_table(results)
    groups = table[~table["num_layers"].isin(DEPTHS)].groupby("pooling", sort=False)
    return groups.agg(
        seeds=("accuracy", "count"),
        accuracy=("accuracy", "mean"),
        deviation=("accuracy", "std"),
        roc_auc=("roc_auc", "mean"),
        loss=("loss", "mean"),
    )


def depth_findings(results: list[Training]) -> list[str]:
    """What a study says of skip connections, a sentence for each depth, made from its figures."""
    said = []
    for depth, plain, skip in _plain_and_skip(results):
        found = paired_difference(skip, plain)
        verdict = "cannot be told apart"
        if found.supported:
            verdict = "differ: skip is better" if found.mean > 0 else "differ: plain is better"
        said.append(
            f"{depth} layers, {len(plain)} seeds on the same rows: skip less plain is "
            f"{found.mean:+.4f} in accuracy, 95 % interval {found.low:+.4f} to {found.high:+.4f}. "
            f"They {verdict}."
        )
    return said


def _plain_and_skip(results: list[Training]) -> Iterator[tuple[int, pd.Series, pd.Series]]:
    """For each depth of a study, the accuracies of both kinds by seed, where both are there."""
    table = study_table(results)
    for depth in DEPTHS:
        of_depth = table[table["num_layers"] == depth]
        both = of_depth.pivot(index="random_state", columns="skip_connections", values="accuracy")
        if both.shape[1] == 2 and len(both := both.dropna()) > 1:
            yield depth, both[False], both[True]

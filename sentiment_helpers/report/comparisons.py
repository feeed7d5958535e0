"""Compares results with the report's and with each other, in tables and in sentences."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import norm

from sentiment_helpers.metrics import check_rows, evaluate, intervals
from sentiment_helpers.report.experiments import FIGURES, REPORT_REVIEWS, Result, report_table
from sentiment_helpers.report.statistics import Difference, holm, mcnemar, paired_difference
from sentiment_helpers.report.study import DEPTHS
from sentiment_helpers.runs import Run

PAIRS = (("gru-5", "lstm-5"), ("gru-14-skip", "gru-14"), ("lstm-14-skip", "lstm-14"))
"""The report concludes, from one training each, that the first is better than the second."""


def table(results: list[Result]) -> pd.DataFrame:
    """Two columns for each result: the report's figures and those measured here."""
    rows = {f"{side}_{name}": (side, name) for side in ("train", "valid") for name in FIGURES}
    rows |= {name: ("training", name) for name in ("epochs", "best epoch", "seconds")}
    columns = {}
    for result in results:
        here = pd.json_normalize(vars(result), sep="_").loc[0].rename({"best_epoch": "best epoch"})
        here["seconds"] = round(result.seconds, 1)
        columns[result.title, "report"] = report_table().loc[result.experiment].reindex(rows)
        columns[result.title, "here"] = here.reindex(rows)
    index = pd.MultiIndex.from_tuples(rows.values())
    return pd.DataFrame(columns, [*rows]).set_axis(index).astype(float)


def first_runs(results: list[Result]) -> list[Result]:
    """The first result of each experiment, without its further seeds."""
    names = [result.experiment for result in results]
    return [results[names.index(name)] for name in dict.fromkeys(names)]


def seeds_table(results: list[Result]) -> pd.DataFrame:
    """Validation accuracy of each network over its seeds: count, mean, standard deviation."""
    accuracies = [(result.title, result.valid["accuracy"]) for result in results]
    table = pd.DataFrame(accuracies, columns=["network", "accuracy"])
    return table.groupby("network", sort=False)["accuracy"].agg(["count", "mean", "std"])


def mcnemar_table(
    predictions: dict[str, np.ndarray], labels: np.ndarray, against: str | None = None
) -> pd.DataFrame:
    """McNemar's exact test for every two models, or for `against` and each other one, by their
    `predictions` (N,) for the same rows: names, difference in accuracy, p, Holm-adjusted p.
    `ValueError` for no rows."""
    check_rows(labels, *predictions.values())
    pairs = [pair for pair in combinations(predictions, 2) if against is None or against in pair]
    table = pd.DataFrame(pairs, columns=["first", "second"])
    accuracies = {name: np.mean(values == labels) for name, values in predictions.items()}
    table["difference"] = table["first"].map(accuracies) - table["second"].map(accuracies)
    table["p"] = [mcnemar(labels, predictions[one], predictions[other]) for one, other in pairs]
    return table.assign(**{"p (Holm)": holm(table["p"])})


def scores_table(
    probabilities: dict[str, np.ndarray], labels: np.ndarray, against: str
) -> pd.DataFrame:
    """Figures of several models on the same rows, with 95 % intervals, as texts: a column for each.
    The last rows compare each one with the model `against`: the difference in accuracy, its p."""
    columns, accuracies = {}, {}
    for name, values in probabilities.items():
        scores = evaluate(labels, values)._asdict()
        accuracies[name] = scores["accuracy"]
        columns[name] = {figure: f"{value:.4f}" for figure, value in scores.items()}
        for figure, (low, high) in intervals(labels, values).items():
            columns[name][f"{figure} 95 %"] = f"{low:.4f}–{high:.4f}"
    predictions = {name: values > 0.5 for name, values in probabilities.items()}
    for _, *pair, _, _, p in mcnemar_table(predictions, labels, against).itertuples():
        other = pair[pair[0] == against]
        difference = accuracies[other] - accuracies[against]
        columns[other][f"accuracy, minus {against}"] = f"{difference:+.4f}"
        columns[other]["p (McNemar, Holm)"] = f"{p:.2g}"
    return pd.DataFrame(columns).fillna("")


def examples(reviews: pd.DataFrame, probabilities: np.ndarray) -> dict[str, str]:
    """The texts that were read most surely right, most surely wrong and least surely, by a
    description. Reviews of 40 to 90 words where there are some, otherwise all."""
    table = reviews.assign(sure=np.abs(probabilities - 0.5), read=probabilities > 0.5)
    short = table["review"].str.split().str.len().between(40, 90)
    table = (table[short] if short.any() else table).sort_values("sure")
    right = table["read"] == table["label"]
    kinds = {"surest right": table[right][-1:], "surest wrong": table[~right][-1:]}
    kinds["least sure"] = table[:1]
    return {
        f"{kind}, labelled {'positive' if row.label else 'negative'}:": row.review
        for kind, rows in kinds.items()
        for row in rows.itertuples()
    }


def surest_mistakes(
    reviews: pd.DataFrame, probabilities: np.ndarray, count: int = 6
) -> pd.DataFrame:
    """The beginnings of the wrongly read reviews, the surest first; empty where all are right."""
    table = reviews[["review", "label"]].assign(probability=probabilities)
    wrong = table[(table["probability"] > 0.5) != table["label"]]
    surest = wrong.sort_values("probability", key=lambda p: (p - 0.5).abs(), ascending=False)
    return surest.head(count).assign(review=surest["review"].str[:160])


def runs_table(run: Run) -> pd.DataFrame:
    """The lines of `run.log()`, the most accurate first, with p-values of McNemar's exact test
    against the first one (Holm–Bonferroni adjusted). This run is marked."""
    table, positive, labels = run.log()
    best, *others = table["run"]
    p = [mcnemar(labels, positive[best] > 0.5, positive[other] > 0.5) for other in others]
    marks = np.where(table["run"] == run.folder.name, " ← this run", "")
    table = table.assign(run=table["run"] + marks).set_index("run")
    return table.assign(**{"p (against the best)": [np.nan, *holm(p)]})


def findings(results: list[Result], labels: np.ndarray) -> Iterator[str]:
    """Sentences about the conclusions that the report's figures and `results` support."""
    networks = report_table().query("notebook != 'earlier'")["valid_accuracy"]
    gap, count = networks.max() - networks.min(), round(REPORT_REVIEWS / 5)
    p = 2 * norm.sf(gap / np.sqrt(2 * networks.mean() * (1 - networks.mean()) / count))
    yield (
        f"The report: its best and worst network are {gap:.4f} apart in validation accuracy on "
        f"about {count:,} rows. Two equally good networks, chosen beforehand and with independent "
        f"errors, are at least as far apart with probability {p:.2f}. By these figures "
        f"alone, {'no' if p > 0.05 else 'a'} network is significantly better than another."
    )
    accuracies = [(r.experiment, r.random_state, r.valid["accuracy"]) for r in results]
    accuracies = pd.DataFrame(accuracies, columns=range(3)).pivot(index=1, columns=0, values=2)
    rows = first_runs(results)
    titles = {result.experiment: result.title for result in rows}
    for pair in PAIRS:
        both = accuracies.reindex(columns=pair).dropna()
        if len(both) > 1:
            first, second = (titles[experiment] for experiment in pair)
            yield (
                f"Validation accuracy of {first} minus {second}, {len(both)} seeds on the same "
                f"rows: {paired_difference(*both.to_numpy().T).verdict(first, second)}"
            )
    pairs = mcnemar_table({r.title: r.predicted for r in rows}, labels)
    yield (
        f"Of {len(pairs)} pairs of networks trained once, {(pairs['p (Holm)'] < 0.05).sum()} "
        f"differ in accuracy on the {len(labels):,} validation rows (McNemar's exact test, Holm's "
        f"correction, 5 %)."
    )
    bounds = {result.title: result.intervals["roc_auc"] for result in rows}
    if useless := [title for title, (low, high) in bounds.items() if low <= 0.5 <= high]:
        yield f"No better than chance (the interval of the AUC contains 0.5): {', '.join(useless)}."


def depths_table(results: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of plain and skip networks in a `read_study` table, a row for each depth with two
    seeds or more: means over the seeds, and the mean difference with its 95 % interval."""
    accuracies = results.query("num_layers in @DEPTHS").pivot(
        index="random_state", columns=["num_layers", "skip_connections"], values="accuracy"
    )
    rows = []
    for depth in DEPTHS:
        both = accuracies.reindex(columns=[(depth, False), (depth, True)]).dropna().to_numpy()
        if len(both) > 1:
            rows.append((depth, len(both), *both.mean(0), *paired_difference(*both.T[::-1])))
    names = ["layers", "seeds", "plain", "skip", "skip minus plain", "low", "high"]
    return pd.DataFrame(rows, columns=names).set_index("layers")


def depth_findings(results: pd.DataFrame) -> list[str]:
    """A sentence for each row of `depths_table`: do plain and skip networks differ?"""
    return [
        f"{depth} layers: accuracy of skip minus plain, {seeds} seeds on the same rows: "
        f"{Difference(*difference).verdict('Skip', 'Plain')}"
        for depth, seeds, _, _, *difference in depths_table(results).itertuples()
    ]


def poolings_table(results: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds for each pooling in a `read_study` table, and the standard deviation of
    the accuracy."""
    groups = results.query("num_layers not in @DEPTHS").groupby("pooling", sort=False)
    table = groups["accuracy"].agg(seeds="count", accuracy="mean", deviation="std")
    return table.join(groups[["roc_auc", "loss"]].mean())

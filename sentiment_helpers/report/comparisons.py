"""Compares results with the report's and with each other: paired tests, tables."""

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binomtest, sem, t

from sentiment_helpers.metrics import check_rows, evaluate, intervals
from sentiment_helpers.report.experiments import FIGURES, report_table
from sentiment_helpers.report.study import DEPTHS
from sentiment_helpers.runs import Run

PAIRS = (("gru-5", "lstm-5"), ("gru-14-skip", "gru-14"), ("lstm-14-skip", "lstm-14"))
"""The report concludes, from one training each, that the first is better than the second."""


def table(results: pd.DataFrame) -> pd.DataFrame:
    """Two columns for each row of `run_all`: the report's figures and those measured here."""
    rows = {f"{side}_{name}": (side, name) for side in ("train", "valid") for name in FIGURES}
    rows |= {name: ("training", name) for name in ("epochs", "best epoch", "seconds")}
    columns = {}
    for _, result in results.iterrows():
        columns[result["title"], "report"] = report_table().loc[result["experiment"]]
        columns[result["title"], "here"] = result
    index = pd.MultiIndex.from_tuples(rows.values())
    return pd.DataFrame(columns, [*rows]).set_axis(index).astype(float)


def seeds_table(results: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy of each network over its seeds: count, mean, standard deviation."""
    accuracies = results.groupby("title", sort=False)["valid_accuracy"]
    return accuracies.agg(["count", "mean", "std"]).rename_axis("network")


def mcnemar_table(
    predictions: dict[str, np.ndarray], labels: np.ndarray, against: str | None = None
) -> pd.DataFrame:
    """McNemar's exact test for every two models, or for each one and `against`, by their
    `predictions` (N,) for the same rows: names, difference in accuracy, p, Holm-adjusted p.
    `ValueError` for no rows."""
    check_rows(labels, *predictions.values())
    pairs = list(combinations(predictions, 2))
    if against is not None:
        pairs = [(name, against) for name in predictions if name != against]
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
    columns = {}
    for name, values in probabilities.items():
        scores = evaluate(labels, values)._asdict()
        columns[name] = {figure: f"{value:.4f}" for figure, value in scores.items()}
        for figure, (low, high) in intervals(labels, values).items():
            columns[name][f"{figure} 95 %"] = f"{low:.4f}–{high:.4f}"
    predictions = {name: values > 0.5 for name, values in probabilities.items()}
    for _, other, _, difference, _, p in mcnemar_table(predictions, labels, against).itertuples():
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


def surest_mistakes(reviews: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    """The beginnings of the six surest wrongly read reviews, the surest first."""
    table = reviews[["review", "label"]].assign(probability=probabilities)
    wrong = table[(table["probability"] > 0.5) != table["label"]]
    surest = wrong.sort_values("probability", key=lambda p: (p - 0.5).abs(), ascending=False)
    return surest.head(6).assign(review=surest["review"].str[:160])


def runs_table(run: Run) -> pd.DataFrame:
    """The lines of `run.log()`, the most accurate first, with p-values of McNemar's exact test
    against the first one (Holm–Bonferroni adjusted). This run is marked."""
    table, positive, labels = run.log()
    predictions = {number: positive[number] > 0.5 for number in table["run"]}
    p = mcnemar_table(predictions, labels, against=table["run"].iloc[0])["p (Holm)"]
    marks = np.where(table["run"] == run.folder.name, " ← this run", "")
    table = table.assign(run=table["run"] + marks).set_index("run")
    return table.assign(**{"p (against the best)": [np.nan, *p]})


def pairs_table(results: pd.DataFrame) -> pd.DataFrame:
    """How much higher the validation accuracy of the first of `PAIRS` is than the second's, for
    each pair with two seeds or more: the mean difference and its 95 % interval."""
    accuracies = results.pivot(index="random_state", columns="title", values="valid_accuracy")
    titles, rows = dict(zip(results["experiment"], results["title"], strict=True)), []
    for pair in PAIRS:
        titles_of_pair = [titles.get(experiment) for experiment in pair]
        both = accuracies.reindex(columns=titles_of_pair).dropna().to_numpy()
        if len(both) > 1:
            rows.append((" minus ".join(titles_of_pair), len(both), *paired_difference(*both.T)))
    return pd.DataFrame(rows, columns=["pair", "seeds", "mean", "low", "high"]).set_index("pair")


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


def poolings_table(results: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds for each pooling in a `read_study` table, and the standard deviation of
    the accuracy."""
    groups = results.query("num_layers not in @DEPTHS").groupby("pooling", sort=False)
    table = groups["accuracy"].agg(seeds="count", accuracy="mean", deviation="std")
    return table.join(groups[["roc_auc", "loss"]].mean())


def mcnemar(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The p-value of McNemar's exact test (Dietterich 1998) of two models that predict `first` and
    `second` (N,) for the same rows with `labels` (N,): are they wrong equally often?"""
    first_right, second_right = np.equal(labels, first), np.equal(labels, second)
    one_right = first_right[first_right != second_right]  # the rows that only one of them has right
    return binomtest(int(one_right.sum()), len(one_right)).pvalue if len(one_right) else 1.0


def holm(p_values: ArrayLike) -> np.ndarray:
    """Holm–Bonferroni adjusted p-values (Holm 1979), in the order of `p_values`."""
    p_values = np.asarray(p_values)
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    adjusted = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    return adjusted[np.argsort(order)]


def paired_difference(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """How much higher the figures of `first` are than those of `second`, pair by pair: the mean
    difference and its 95 % interval (Student's t). With a pair for each seed, the interval covers
    the variation of training, not of the rows. `ValueError` for fewer than two pairs, or a figure
    without a partner."""
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"two or more pairs are needed, got {len(first)} and {len(second)}")
    difference = np.subtract(first, second)
    mean = float(difference.mean())
    margin = float(t.ppf(0.975, len(difference) - 1) * sem(difference))
    return mean, mean - margin, mean + margin

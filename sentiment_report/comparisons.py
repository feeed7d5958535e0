"""Compares results with the report's and with each other: paired tests, tables."""

from itertools import combinations

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from sentiment_helpers.metrics import check_rows, evaluate, intervals
from sentiment_helpers.runs import Run
from sentiment_report.experiments import FIGURES, REPORT_REVIEWS, report_table
from sentiment_report.study import DEPTHS

PAIRS = (("gru-5", "lstm-5"), ("gru-14-skip", "gru-14"), ("lstm-14-skip", "lstm-14"))
"""The report concludes, from one training each, that the first is better than the second."""
PAIRS += (("gru-14-skip", "gru-7"), ("lstm-14-skip", "lstm-7"))  # 7 layers with weights in each
PAIRS += (("gru-27-skip", "gru-14"), ("lstm-27-skip", "lstm-14"))  # 14 layers with weights


def table(results: pd.DataFrame, here: str = "") -> Styler:
    """Two columns for each row of `run_all`: the report's figures, and those measured `here`."""
    rows = {f"{side}_{name}": (side, name) for side in ("train", "valid") for name in FIGURES}
    rows |= {name: ("training", name) for name in ("epochs", "best epoch", "seconds")}
    columns = {}
    for _, result in results.iterrows():
        columns[result["title"], "report"] = report_table().loc[result["experiment"]]
        columns[result["title"], "here"] = result
    index = pd.MultiIndex.from_tuples(rows.values())
    figures = pd.DataFrame(columns, [*rows]).set_axis(index).astype(float)
    caption = f"report: glove.6B.300d, {REPORT_REVIEWS:,} reviews; here: {here}"
    shown = figures.style.format(precision=4, na_rep="").set_caption(caption)
    return shown.format("{:g}", subset=(["training"], slice(None)), na_rep="")


def mcnemar_table(
    predictions: dict[str, np.ndarray],
    labels: np.ndarray,
    against: str | None = None,
    films: np.ndarray | None = None,
) -> pd.DataFrame:
    """McNemar's test for every two models, or for each one and `against`: are they wrong equally
    often, by their `predictions` (N,) for the same rows with `labels` (N,)? With `films` (N,), a
    film's rows count together (Durkalski et al. 2003). Columns: names, difference in accuracy, p,
    Holm-adjusted p. `ValueError` for no rows."""
    check_rows(labels, *predictions.values())
    pairs = list(combinations(predictions, 2))
    if against is not None:
        pairs = [(name, against) for name in predictions if name != against]
    table = pd.DataFrame(pairs, columns=["first", "second"])
    right = pd.DataFrame({name: values == labels for name, values in predictions.items()}) * 1
    gained = pd.DataFrame({p: right[p[0]] - right[p[1]] for p in pairs}, index=right.index)
    table["difference"] = gained.mean().to_numpy()
    clusters = gained if films is None else gained.groupby(np.asarray(films)).sum()
    less = (abs(clusters.sum()) - 1).clip(lower=0)  # Edwards' correction, for small counts
    table["p"] = 2 * norm.sf(less / np.sqrt((clusters**2).sum()).clip(lower=1))
    adjusted = multipletests(table["p"], method="holm")[1] if pairs else []
    return table.assign(**{"p (Holm)": adjusted})


def scores_table(
    probabilities: dict[str, np.ndarray] | pd.DataFrame,
    labels: np.ndarray,
    against: str,
    films: np.ndarray | None = None,
) -> pd.DataFrame:
    """Figures of several models on the same rows, with 95 % intervals, as texts: a column for each.
    The last rows compare each one with the model `against`: the difference in accuracy, its p.
    Intervals and p count `films` (N,), if there are any, instead of rows."""
    columns = {}
    for name, values in probabilities.items():
        scores = evaluate(labels, values)._asdict()
        columns[name] = {figure: f"{value:.4f}" for figure, value in scores.items()}
        for figure, (low, high) in intervals(labels, values, films).items():
            columns[name][f"{figure} 95 %"] = f"{low:.4f}–{high:.4f}"
    predictions = {name: values > 0.5 for name, values in probabilities.items()}
    compared = mcnemar_table(predictions, labels, against, films)
    for _, other, _, difference, _, p in compared.itertuples():
        columns[other][f"accuracy, minus {against}"] = f"{difference:+.4f}"
        columns[other]["p (McNemar, Holm)"] = f"{p:.2g}"
    return pd.DataFrame(columns).fillna("")


def by_sureness(reviews: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    """The table `reviews` with the columns `probability`, of class 1, and `right`, whether it is
    on the label's side of one half; the surest rows first."""
    table = reviews.assign(probability=probabilities)
    table["right"] = (table["probability"] > 0.5) == table["label"]
    return table.iloc[np.argsort(-np.abs(probabilities - 0.5), kind="stable")]


def runs_table(run: Run, part: str) -> Styler:
    """The runs of `run.log(part)`, the best first: what differs, p against it (McNemar, Holm)."""
    table, number = run.log(part).sort_values("accuracy", ascending=False), int(run.folder.name)
    labels, films = (table.pop(name)[number] for name in ("labels", "films"))
    predictions = {name: positive > 0.5 for name, positive in table.pop("positive").items()}
    kept = [n for n in table if n == "accuracy" or table[n].nunique() >= min(len(table), 2)]
    p = mcnemar_table(predictions, labels, table.index[0], films)["p (Holm)"]
    table = table[kept].assign(**{"p (against the best)": ["", *map("{:.2g}".format, p)]})
    return table.rename({number: f"{number} ← this run"}).style.format(precision=4, na_rep="")


def pairs_table(results: pd.DataFrame) -> pd.DataFrame:
    """`paired_differences` of the validation accuracies of `PAIRS` in a `run_all` table."""
    accuracies = results.pivot(index="random_state", columns="experiment", values="valid_accuracy")
    return paired_differences(accuracies, {" minus ".join(pair): pair for pair in PAIRS})


def depths_table(results: pd.DataFrame) -> pd.DataFrame:
    """`paired_differences` of the accuracies of skip and plain networks in the study's table, a
    row for each number of layers with weights."""
    accuracies = results.query("num_layers > 1").pivot(
        index="random_state", columns=["num_layers", "skip_connections"], values="accuracy"
    )
    pairs = {n: [(2 * n - 1, True), (n, False)] for n in DEPTHS}
    table = paired_differences(accuracies, pairs).rename_axis("layers with weights")
    return table.rename(columns={"first": "skip", "second": "plain"})


def paired_differences(accuracies: pd.DataFrame, pairs: dict) -> pd.DataFrame:
    """By how much the first of two columns of `accuracies` exceeds the second, for each of the
    `pairs`, by its name, that has two rows or more. A row is a seed: the interval covers the
    variation of training. Columns: `seeds`; `first` and `second`, their means; `difference`, its
    mean; `low` and `high`, the mean's 95 % interval (Student's t)."""
    rows = {}
    for name, pair in pairs.items():
        both = accuracies.reindex(columns=pair).dropna().to_numpy(float)
        if len(both) > 1:
            difference = DescrStatsW(both[:, 0] - both[:, 1])
            interval = difference.tconfint_mean()
            rows[name] = [len(both), *both.mean(0), difference.mean, *interval]
    names = ["seeds", "first", "second", "difference", "low", "high"]
    return pd.DataFrame.from_dict(rows, "index", columns=names)

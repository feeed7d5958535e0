"""Figures for the report's experiments and the study, drawn like those of `plots`."""

from inspect import getsource
from textwrap import dedent

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.axes import Axes

from sentiment_helpers import plots
from sentiment_helpers.plots import BLUE, GREEN, GREY, METRICS, ORANGE
from sentiment_report.experiments import INPUT_WEIGHTS, report_table
from sentiment_report.study import DEPTHS


def comparison(results: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Validation accuracy of each row of `run_all` with its 95 % interval, sorted. Hollow marks are
    the report's, measured on its own reviews and vectors."""
    ax = plots.axes_or_new(ax, figsize=(8, 1.2 + 0.32 * len(results)))
    results = results.sort_values("valid_accuracy", kind="stable")
    y, values = range(len(results)), results["valid_accuracy"].to_numpy()
    errors = abs(np.transpose(results["interval"].tolist()) - values)  # (2, results)
    ax.errorbar(values, y, xerr=errors, fmt="o", color=BLUE, capsize=3, label="here")
    report = report_table().loc[results["experiment"], "valid_accuracy"]
    ax.plot(report, y, "D", color=ORANGE, fillstyle="none", label="report")
    ax.set_yticks(y, results["title"])
    ax.set(xlabel=f"validation {METRICS['accuracy']}, 95 % interval", ylim=(-0.6, len(y) - 0.4))
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    ax.axis(not results.empty)
    return ax


def gradient_norms(norms: dict[str, dict[str, float]], ax: Axes | None = None) -> Axes:
    """Gradient norms of the forward stack's input weights, layer by layer. `norms` holds results of
    `experiments.gradient_norms`, by the network's name."""
    ax = plots.axes_or_new(ax)
    for name, values in norms.items():
        drawn = pd.Series(values, dtype=float).filter(regex=INPUT_WEIGHTS, axis=0)
        ax.plot(range(1, len(drawn) + 1), drawn.to_numpy(), marker="o", label=name)
    ax.set(xlabel="layer with weights (1: lowest)", ylabel="gradient norm, weight_ih", yscale="log")
    return plots.over_whole_numbers(ax)


def depths(results: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy of plain and skip networks in the study's table over the number of layers with
    weights: a mark for each seed, a line through the means."""
    ax = plots.axes_or_new(ax)
    for name, skip, marker, colour in (("skip", True, "s", BLUE), ("plain", False, "o", ORANGE)):
        chosen = results[(results["num_layers"] > 1) & (results["skip_connections"] == skip)]
        weights = (chosen["num_layers"] + skip) // (1 + skip)  # layers that have them
        means = chosen.groupby(weights)["accuracy"].mean()
        ax.plot(weights, chosen["accuracy"], marker, color=colour, markersize=4, alpha=0.5)
        ax.plot(means, color=colour, label=f"{name}, mean of seeds")
    plots.over_whole_numbers(ax).set(xlabel="layers with weights", ylabel=METRICS["accuracy"])
    return ax


def evaluation(labels: np.ndarray, probabilities: dict[str, np.ndarray]) -> np.ndarray:
    """ROC curves and calibration of models, and the confusion matrix of the first one, in one
    figure; returns its Axes."""
    _, axes = plt.subplots(1, 3, figsize=(15, 3.9), layout="constrained")
    first, positive = next(iter(probabilities.items()))
    plots.roc_curves(labels, probabilities, axes[0]).set_title("ROC")
    plots.calibration(labels, probabilities, axes[1]).set_title("calibration")
    plots.confusion_matrix(labels, positive > 0.5, axes[2]).set_title(first)
    return axes


def gradients_by_depth(results: pd.DataFrame) -> np.ndarray:
    """`gradient_norms` of plain and skip networks in the study's table, for each depth: the
    geometric means over the seeds."""
    found = results.groupby(["num_layers", "skip_connections"])["gradients"].agg(list).to_dict()
    _, axes = plt.subplots(1, len(DEPTHS), figsize=(15, 3.2), sharey=True, layout="constrained")
    for ax, depth in zip(axes, DEPTHS, strict=True):
        means, kinds = {}, {"skip": (2 * depth - 1, True), "plain": (depth, False)}
        for name, kind in kinds.items():
            norms = pd.DataFrame(found.get(kind, []))
            means[name] = np.exp(np.log(norms).mean()).to_dict()
        gradient_norms(means, ax).set_title(f"{depth} layers with weights")
        ax.label_outer()
    return axes


def draw_network(num_layers: int, skip_connections: bool, ax: Axes | None = None) -> Axes:
    """The two stacks of a `BiRNN` from bottom to top, with its skip connections as arcs."""
    numbers = range(1, num_layers + 1, 2 if skip_connections else 1)
    top, height = len(numbers) + 1, 0.58  # of the last box, and of each: rows are 1 apart
    ax = plots.axes_or_new(ax, figsize=(7, 0.43 * (top + 1)))
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "color": GREY}
    ends = "review (B, T, D) → dropout", "both last states (B, 2H) → linear → logit (B,)"
    boxes = ax.barh([0, top], 12, height, -6, color=(GREY, 0.1), edgecolor=GREY)
    ax.bar_label(boxes, ends, label_type="center", fontsize=9)
    for x, side, angle, name in ((-3.5, -6, 180, "forward"), (3.5, 6, 0, "backward")):
        texts = [f"{name} layer {n}" + " + layer 1" * (skip_connections and n > 1) for n in numbers]
        boxes = ax.barh(range(1, top), 5, height, x - 2.5, color=(BLUE, 0.1), edgecolor=BLUE)
        ax.bar_label(boxes, texts, label_type="center", fontsize=9)
        for y in range(top):
            ax.annotate("", (x, y + 1 - height / 2), (x, y + height / 2), arrowprops=arrow)
        arc = {"connectionstyle": f"arc,angleA={angle},angleB={angle},armA=22,armB=22,rad=8"}
        for y in range(2, top) if skip_connections else ():
            ax.annotate("", (side, y), (side, 1), arrowprops=arrow | arc | {"color": GREEN})
    ax.set(xlim=(-7.5, 7.5), ylim=(-0.5, top + 0.5))
    ax.axis("off")
    return ax


def source(*shown) -> Markdown:
    """The code of functions and classes, as a notebook shows it."""
    blocks = (f"```python\n{dedent(getsource(one))}```\n" for one in shown)
    return Markdown("\n".join(['<div style="font-family: monospace">\n', *blocks, "</div>"]))

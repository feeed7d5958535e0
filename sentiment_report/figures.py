"""Figures for the report's experiments and the study, drawn like those of `plots`."""

from inspect import getsource
from textwrap import dedent

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.axes import Axes

from sentiment_helpers import plots
from sentiment_helpers.plots import BLUE, COLOURS, GREEN, GREY, METRICS, ORANGE
from sentiment_report.experiments import INPUT_WEIGHTS, report_table
from sentiment_report.study import DEPTHS


def comparison(results: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Validation accuracy of each row of `run_all` with its 95 % interval, sorted. Hollow marks are
    the report's, measured on its own reviews and vectors."""
    ax = plots.axes_or_new(ax, figsize=(8, 1.2 + 0.42 * len(results)))
    results = results.sort_values("valid_accuracy", kind="stable")
    y, values = range(len(results)), results["valid_accuracy"].to_numpy()
    errors = abs(np.transpose(results["interval"].tolist()) - values)  # (2, results)
    ax.errorbar(values, y, xerr=errors, fmt="o", color=BLUE, capsize=3, label="here")
    report = report_table().loc[results["experiment"], "valid_accuracy"]
    ax.plot(report, y, "D", color=ORANGE, fillstyle="none", label="report")
    ax.set_yticks(y, results["title"])
    ax.set(xlabel=f"validation {METRICS['accuracy']}, 95 % interval")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left")
    return ax


def gradient_norms(norms: dict[str, dict[str, float]], ax: Axes | None = None) -> Axes:
    """Gradient norms of the forward stack's input weights, layer by layer. `norms` holds results of
    `experiments.gradient_norms`, by the network's name."""
    ax = plots.axes_or_new(ax)
    for name, values in norms.items():
        drawn = pd.Series(values, dtype=float).filter(regex=INPUT_WEIGHTS, axis=0)
        ax.plot(range(1, len(drawn) + 1), drawn.to_numpy(), marker="o", label=name)
    ax.set(xlabel="layer with weights (1 reads the review)", yscale="log")
    ax.set_ylabel("gradient norm of weight_ih")
    return plots.over_whole_numbers(ax)


def depths(results: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy of plain and skip networks in the study's table over the number of layers with
    weights: a mark for each seed, a line through the means."""
    ax = plots.axes_or_new(ax)
    for name, skip, marker in (("skip", True, "s"), ("plain", False, "o")):
        chosen = results[(results["num_layers"] > 1) & (results["skip_connections"] == skip)]
        weights = (chosen["num_layers"] + skip) // (1 + skip)  # layers that have them
        means, (colour, *_) = chosen.groupby(weights)["accuracy"].mean(), COLOURS[not skip :]
        ax.plot(weights, chosen["accuracy"], marker, color=colour, markersize=4, alpha=0.5)
        ax.plot(means, color=colour, label=f"{name}, mean of seeds")
    plots.over_whole_numbers(ax).set(xlabel="layers with weights", ylabel=METRICS["accuracy"])
    return ax


def roc_and_calibration(labels: np.ndarray, probabilities: dict[str, np.ndarray]) -> np.ndarray:
    """ROC curves and calibration in one figure; returns its Axes."""
    _, axes = plt.subplots(1, 2, figsize=(12, 5.5), layout="constrained")
    plots.roc_curves(labels, probabilities, axes[0]).set_title("ROC")
    plots.calibration(labels, probabilities, axes[1]).set_title("calibration")
    return axes


def gradients_by_depth(results: pd.DataFrame) -> np.ndarray:
    """`gradient_norms` of plain and skip networks in the study's table, for each depth: the
    geometric means over the seeds."""
    found = results.groupby(["num_layers", "skip_connections"])["gradients"].agg(list).to_dict()
    _, axes = plt.subplots(1, len(DEPTHS), figsize=(15, 4), sharey=True, layout="constrained")
    for ax, depth in zip(axes, DEPTHS, strict=True):
        means, kinds = {}, {"skip": (2 * depth - 1, True), "plain": (depth, False)}
        for name, kind in kinds.items():
            norms = pd.DataFrame(found.get(kind, []))
            means[name] = np.exp(np.log(norms).mean()).to_dict()
        gradient_norms(means, ax).set_title(f"{depth} layers with weights")
    return axes


def draw_network(num_layers: int, skip_connections: bool, ax: Axes | None = None) -> Axes:
    """The two stacks of a `BiRNN` from bottom to top, with its skip connections as arcs."""
    ax = plots.axes_or_new(ax, figsize=(7, 1.5 + 0.42 * num_layers))
    numbers = range(1, num_layers + 1, 2 if skip_connections else 1)
    top, box = len(numbers) + 1, {"boxstyle": "round,pad=0.3", "facecolor": "white"}
    centred, arrow = {"ha": "center", "va": "center"}, {"arrowstyle": "-|>", "color": GREY}
    for x, side, name, colour in ((1, -1, "forward", BLUE), (3, 1, "backward", ORANGE)):
        for height, number in enumerate(numbers, 1):
            skip, below = skip_connections and number > 1, x if height > 1 else 2
            ax.annotate("", (x, height - 0.2), (below, height - 0.8), arrowprops=arrow)
            if skip:
                arc = {"connectionstyle": f"arc3,rad={0.25 * side}", "color": GREEN}
                at = x + 0.62 * side
                ax.annotate("", (at, height), (at, 1), arrowprops=arrow | arc)
            text = f"{name} layer {number}" + " + layer 1" * skip
            ax.text(x, height, text, fontsize=9, bbox=box | {"edgecolor": colour}, **centred)
        ax.annotate("", (2, top - 0.2), (x, top - 0.8), arrowprops=arrow)
    ax.text(2, 0, "review: T word vectors (B, T, D), dropout", bbox=box, **centred)
    ax.text(2, top, "both last states (B, 2H) → linear → logit (B,)", bbox=box, **centred)
    ax.set(xlim=(-0.3, 4.3), ylim=(-0.5, top + 0.5))
    ax.axis("off")
    return ax


def source(*shown) -> Markdown:
    """The code of functions and classes, as a notebook shows it."""
    return Markdown("\n".join(f"```python\n{dedent(getsource(one))}```" for one in shown))

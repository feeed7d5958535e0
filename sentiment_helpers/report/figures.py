"""The report's own figures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from sentiment_helpers.highlights import Highlights
from sentiment_helpers.networks import layer_numbers
from sentiment_helpers.plots import (
    BLUE,
    GREEN,
    GREY,
    METRICS,
    ORANGE,
    _axes,
    _over_whole_numbers,
    _styles,
)
from sentiment_helpers.report.experiments import REPORT, Result
from sentiment_helpers.report.study import DEPTHS, Training, study_table


def comparison(results: list[Result], metric: str = "accuracy", ax: Axes | None = None) -> Axes:
    """All rows with their 95 % intervals on one axis, the best on top; a hollow mark shows what
    the report measured, on its own reviews and vectors."""
    ax = _axes(ax, figsize=(8, 1.2 + 0.42 * len(results)))
    ordered = sorted(results, key=lambda result: result.valid[metric])
    heights = range(len(ordered))
    values = np.array([result.valid[metric] for result in ordered])
    bounds = np.array([result.intervals[metric] for result in ordered]).T  # (2, rows)
    ax.errorbar(
        values, heights, xerr=abs(bounds - values), fmt="o", color=BLUE, capsize=3, label="here"
    )
    if (column := f"valid_{metric}") in REPORT:
        report = REPORT.loc[[result.experiment for result in ordered], column]
        ax.plot(report, heights, "D", color=ORANGE, fillstyle="none", label="report")
    ax.set_yticks(heights, [result.title for result in ordered])
    ax.set(xlabel=f"validation {METRICS[metric]}, 95 % interval")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left")
    return ax


def gradient_norms(norms: dict[str, dict[str, float]], ax: Axes | None = None) -> Axes:
    """Gradient norms of the input weights of the forward stack, layer by layer, of several
    networks: for each network's name, what `training.gradient_norms` returned."""
    ax = _axes(ax)
    for (colour, marker), (name, values) in zip(_styles(norms), norms.items(), strict=True):
        layers = {
            int(weight.split(".")[-2]): norm
            for weight, norm in values.items()
            if "forward_stack" in weight and "weight_ih" in weight
        }
        ax.plot(list(layers), list(layers.values()), color=colour, marker=marker, label=name)
    ax.set(xlabel="layer (1 reads the review)", ylabel="gradient norm of weight_ih", yscale="log")
    return _over_whole_numbers(ax)


def depths(results: list[Training], ax: Axes | None = None) -> Axes:
    """Accuracy over the number of layers, plain and skip, of a study: a mark for each seed, a
    line through the means."""
    ax = _axes(ax)
    table = study_table(results)
    table = table[table["num_layers"].isin(DEPTHS)]
    for skip, name, colour, marker, side in ((False, "plain", BLUE, "o", -1),
                                             (True, "skip", ORANGE, "s", 1)):  # fmt: skip
        chosen = table[table["skip_connections"] == skip]
        x = chosen["num_layers"] + 0.12 * side
        ax.plot(x, chosen["accuracy"], marker, color=colour, markersize=4, alpha=0.5)
        means = chosen.groupby("num_layers")["accuracy"].mean()
        ax.plot(means, color=colour, label=f"{name}, mean of seeds")
    ax.set(xlabel="layers", ylabel=METRICS["accuracy"], xticks=DEPTHS)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def poolings(results: list[Training], ax: Axes | None = None) -> Axes:
    """Accuracy of each pooling of a study: a mark for each seed, a bar at the mean."""
    ax = _axes(ax)
    table = study_table(results)
    table = table[~table["num_layers"].isin(DEPTHS)]
    for number, (_, chosen) in enumerate(groups := table.groupby("pooling", sort=False)):
        ax.plot([number] * len(chosen), chosen["accuracy"], "o", color=BLUE, markersize=5)
        ax.hlines(chosen["accuracy"].mean(), number - 0.3, number + 0.3, color=ORANGE)
    ax.set_xticks(range(len(groups)), [name for name, _ in groups])
    ax.set(xlabel="pooling", ylabel=METRICS["accuracy"])
    ax.grid(axis="y", alpha=0.3)
    return ax


def draw_network(num_layers: int, skip_connections: bool, ax: Axes | None = None) -> Axes:
    """The two stacks of a `BiRNN` as boxes and arrows, bottom to top; skips as arcs."""
    ax = _axes(ax, figsize=(7, 1.5 + 0.42 * num_layers))
    numbers = layer_numbers(num_layers, skip_connections)
    box = {"boxstyle": "round,pad=0.3", "facecolor": "white"}
    top = len(numbers) + 1
    for x, side, name in ((1, -1, "forward"), (3, 1, "backward")):
        for height, number in enumerate(numbers, 1):
            plus = " + layer 1" if skip_connections and number > 1 else ""
            ax.text(x, height, f"{name} layer {number}{plus}", ha="center", va="center",
                    bbox=box | {"edgecolor": BLUE if side < 0 else ORANGE}, fontsize=9)  # fmt: skip
            if plus:
                ax.add_patch(_arrow((x + 0.62 * side, 1), (x + 0.62 * side, height), GREEN, side))
            if height > 1:
                ax.add_patch(_arrow((x, height - 0.8), (x, height - 0.2)))
        ax.add_patch(_arrow((2, 0.15), (x, 0.8)))
        ax.add_patch(_arrow((x, top - 0.8), (2, top - 0.2)))
    ax.text(2, 0, "review: T word vectors (B, T, D), dropout", ha="center", va="center", bbox=box)
    ax.text(2, top, "both last states (B, 2H) → linear → logit (B,)", ha="center", va="center",
            bbox=box)  # fmt: skip
    ax.set(xlim=(-0.3, 4.3), ylim=(-0.5, top + 0.5))
    ax.axis("off")
    return ax


def mark_quick() -> None:
    """In a notebook: from here on every new figure, and every table shown, says that it is of a
    quick run and no result."""
    from IPython import get_ipython  # only where there is a notebook
    from pandas.io.formats.style import Styler

    plt.rcParams["figure.hooks"] = [f"{__name__}:_mark_figure"]
    html = get_ipython().display_formatter.formatters["text/html"]
    for kind in (pd.DataFrame, Styler, Highlights):
        html.for_type(kind, _marked_table)


def _mark_figure(figure: Figure) -> None:
    figure.text(0.995, 0.995, "quick", ha="right", va="top", color=ORANGE, weight="bold")


def _marked_table(table: pd.DataFrame | Highlights) -> str:
    return f'<p style="color:{ORANGE}"><b>quick</b></p>{table._repr_html_()}'


def _arrow(start, end, colour=GREY, bend=0.0) -> FancyArrowPatch:
    style = f"arc3,rad={0.25 * bend}"
    return FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=10, color=colour, connectionstyle=style
    )

"""Figures. Every function draws on `ax` (a new one without it), returns it and shows nothing."""

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

# Okabe and Ito's palette: told apart by every kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, GREY = "#56B4E9", "#E69F00", "#595959"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER), "osD^vP"

SIDES = {"train": (BLUE, "o", "training"), "valid": (ORANGE, "s", "validation")}
METRICS = {
    "loss": "loss (nats a review)",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "accuracy (share of reviews)",
}


def learning_curve(history: pd.DataFrame, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """One figure of `BiRNNClassifier.history_` over the epochs, training and validation; a
    dashed line marks the epoch whose weights were kept."""
    ax = _axes(ax)
    for side, (colour, marker, name) in SIDES.items():
        ax.plot(history[f"{side}_{metric}"], color=colour, marker=marker, markersize=4, label=name)
    ax.axvline(
        history["valid_loss"].idxmin(),
        color=GREY,
        linestyle="--",
        linewidth=1,
        label="weights kept",
    )
    ax.set(xlabel="epoch", ylabel=METRICS[metric])
    return _over_whole_numbers(ax)


def learning_curves(history: pd.DataFrame) -> np.ndarray:
    """The five learning curves of the report side by side; returns their Axes."""
    _, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for ax, metric in zip(axes.flat, METRICS, strict=False):
        learning_curve(history, metric, ax)
    axes.flat[-1].remove()
    return axes.flat[:-1]


def roc_curves(
    labels: np.ndarray, probabilities: dict[int | str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """ROC curves on the same rows: of the epochs in `BiRNNClassifier.valid_probabilities_`, the
    later the darker, or of up to six models by name."""
    if epochs := all(isinstance(name, int) for name in probabilities):
        colours = plt.get_cmap("cividis_r")(np.linspace(0.1, 1, len(probabilities)))
    else:
        colours = [colour for colour, _ in _styles(probabilities)]
    ax = _axes(ax)
    for colour, (name, values) in zip(colours, probabilities.items(), strict=True):
        RocCurveDisplay.from_predictions(
            labels,
            values,
            ax=ax,
            name=f"epoch {name}" if epochs else name,
            curve_kwargs={"color": colour},
        )
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="chance")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(loc="lower right")
    return ax


def calibration(
    labels: np.ndarray, probabilities: dict[str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """How often reviews that got a probability are positive, for up to six models by name: on the
    diagonal, a probability means what it says. Ten groups with as many reviews in each."""
    ax = _axes(ax)
    for (colour, marker), (name, values) in zip(
        _styles(probabilities), probabilities.items(), strict=True
    ):
        CalibrationDisplay.from_predictions(
            labels, values, n_bins=10, strategy="quantile", name=name, ax=ax,
            color=colour, marker=marker, markersize=4,
        )  # fmt: skip
    ax.set(xlabel="mean probability (of ten groups)", ylabel="share of positive reviews")
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left")
    return ax


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, ax: Axes | None = None) -> Axes:
    """How many reviews of each class were read as which."""
    ax = _axes(ax)
    ConfusionMatrixDisplay.from_predictions(
        labels, predictions, display_labels=["negative", "positive"], cmap="Blues", ax=ax
    )
    ax.set(xlabel="predicted (reviews)", ylabel="true (reviews)")
    return ax


def _styles(models: Collection) -> list[tuple[str, str]]:
    """A colour and a mark for each model."""
    if len(models) > len(COLOURS):
        raise ValueError(f"{len(models)} models, but colours for {len(COLOURS)}: draw fewer")
    return list(zip(COLOURS, MARKERS, strict=True))[: len(models)]


def _over_whole_numbers(ax: Axes) -> Axes:
    """Lines over epochs or layers: ticks at whole numbers, a grid and a legend."""
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def _axes(ax: Axes | None, figsize=(6, 4.5)) -> Axes:
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax

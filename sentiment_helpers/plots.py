"""Figures of any model. Each function draws on `ax`, or on new Axes, and returns the Axes."""

from collections.abc import Collection

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

from sentiment_helpers.metrics import check_rows

# Okabe and Ito's palette, which colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, GREY = "#56B4E9", "#E69F00", "#595959"
COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER), "osD^vP"

METRICS = {
    "loss": "loss (nats a review)",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "accuracy": "accuracy (share of reviews)",
}


def learning_curve(history: pd.DataFrame, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """One of `METRICS` over the epochs of a classifier's `history_`, for training and validation
    rows. A dashed line marks the epoch whose weights are kept."""
    ax = axes_or_new(ax)
    ax.plot(history[f"train_{metric}"], color=BLUE, marker="o", markersize=4, label="training")
    ax.plot(history[f"valid_{metric}"], color=ORANGE, marker="s", markersize=4, label="validation")
    best = history["valid_loss"].idxmin()
    ax.axvline(best, color=GREY, linestyle="--", linewidth=1, label="weights kept")
    ax.set(xlabel="epoch", ylabel=METRICS[metric])
    return over_whole_numbers(ax)


def learning_curves(history: pd.DataFrame) -> np.ndarray:
    """The report's five learning curves in one figure; returns an array of their Axes."""
    _, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for ax, metric in zip(axes.flat, METRICS, strict=False):
        learning_curve(history, metric, ax)
    axes.flat[-1].remove()
    return axes.flat[:-1]


def roc_curves(
    labels: np.ndarray, probabilities: dict[int | str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """ROC curves on the same rows with `labels` (N,), one for each entry of `probabilities`.

    Keys are epochs, as in a classifier's `valid_probabilities_` (later ones are darker), or names
    of up to six models (`ValueError` for more or no rows). Values: probabilities (N,) of class 1.
    """
    check_rows(labels, *probabilities.values())
    if all(isinstance(key, int) for key in probabilities):
        colours = plt.get_cmap("cividis_r")(np.linspace(0.1, 1, len(probabilities)))
        probabilities = {f"epoch {key}": values for key, values in probabilities.items()}
    else:
        colours = [colour for colour, _ in styles(probabilities).values()]
    ax = axes_or_new(ax)
    for colour, (name, values) in zip(colours, probabilities.items(), strict=True):
        RocCurveDisplay.from_predictions(labels, values, name=name, ax=ax)
        ax.lines[-1].set_color(colour)  # scikit-learn 1.6 has no `curve_kwargs`
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="chance")
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    ax.legend(loc="lower right")
    return ax


def calibration(
    labels: np.ndarray, probabilities: dict[str, np.ndarray], ax: Axes | None = None
) -> Axes:
    """The share of positive reviews in ten equal groups by predicted probability, for up to six
    models. A well calibrated model lies on the diagonal. Arguments as for `roc_curves`."""
    check_rows(labels, *probabilities.values())
    ax = axes_or_new(ax)
    for name, (colour, marker) in styles(probabilities).items():
        CalibrationDisplay.from_predictions(
            labels, probabilities[name], n_bins=10, strategy="quantile", name=name, ax=ax,
            color=colour, marker=marker, markersize=4,
        )  # fmt: skip
    ax.set(xlabel="mean probability (of ten groups)", ylabel="share of positive reviews")
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left")
    return ax


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, ax: Axes | None = None) -> Axes:
    """The number of reviews for each true and predicted class, both (N,) of 0 and 1, which need not
    both occur. `ValueError` for no rows."""
    check_rows(labels, predictions)
    classes, ax = np.union1d(labels, predictions), axes_or_new(ax)
    ConfusionMatrixDisplay.from_predictions(
        labels, predictions, labels=classes if len(classes) > 1 else [0, 1],
        display_labels=["negative", "positive"], cmap="Blues", ax=ax,
    )  # fmt: skip
    ax.set(xlabel="predicted (reviews)", ylabel="true (reviews)")
    return ax


def styles(models: Collection[str]) -> dict[str, tuple[str, str]]:
    """A (colour, marker) pair for each of up to six models, by name; `ValueError` for more."""
    if len(models) > len(COLOURS):
        raise ValueError(f"{len(models)} models, but colours for {len(COLOURS)}: draw fewer")
    return dict(zip(models, zip(COLOURS, MARKERS, strict=True), strict=False))


def over_whole_numbers(ax: Axes) -> Axes:
    """Finish lines over epochs or layers: ticks at whole numbers, a grid and a legend."""
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] = (6, 4.5)) -> Axes:
    """`ax`, or without one the Axes of a new figure of `figsize` inches."""
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax

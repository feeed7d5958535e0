"""Figures of any model. Each function draws on `ax`, or on new Axes, and returns the Axes."""

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
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)

METRICS = {"loss": "loss (nats a review)", "precision": "precision", "recall": "recall"}
METRICS |= {"f1": "F1", "accuracy": "accuracy (share of reviews)"}


def learning_curve(history: pd.DataFrame, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """One of `METRICS` over the epochs of a classifier's `history_`, for training and validation
    rows. A dashed line marks the epoch whose weights are kept."""
    ax = axes_or_new(ax)
    ax.plot(history[f"train_{metric}"], "o-", label="training")
    ax.plot(history[f"valid_{metric}"], "s-", label="validation")
    ax.axvline(history["valid_loss"].idxmin(), color=GREY, linestyle="--", label="weights kept")
    ax.set(xlabel="epoch", ylabel=METRICS[metric])
    return over_whole_numbers(ax)


def learning_curves(history: pd.DataFrame) -> list[Axes]:
    """The report's five learning curves in one figure."""
    figure, places = plt.figure(figsize=(13, 7), layout="constrained"), enumerate(METRICS, 1)
    return [learning_curve(history, metric, figure.add_subplot(2, 3, n)) for n, metric in places]


def roc_curves(labels: np.ndarray, probabilities: dict, ax: Axes | None = None) -> Axes:
    """ROC curves on the same rows with `labels` (N,) of probabilities (N,): of a classifier's
    `valid_probabilities_`, later epochs darker, or of models by name. `ValueError` for no rows."""
    check_rows(labels, *probabilities.values())
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="chance")
    if all(isinstance(key, int) for key in probabilities):
        probabilities = {f"epoch {key}": values for key, values in probabilities.items()}
        colours = plt.get_cmap("cividis_r")(np.linspace(0.1, 1, len(probabilities)))
        ax.set_prop_cycle(color=colours)
    for name, values in probabilities.items():
        RocCurveDisplay.from_predictions(labels, values, name=name, ax=ax)
    return ax


def calibration(labels: np.ndarray, probabilities: dict, ax: Axes | None = None) -> Axes:
    """The share of positive reviews in ten equal groups by predicted probability, for each model.
    A well calibrated one lies on the diagonal. `ValueError` for no rows."""
    check_rows(labels, *probabilities.values())
    ax, groups = axes_or_new(ax), {"n_bins": 10, "strategy": "quantile"}
    for name, values in probabilities.items():
        CalibrationDisplay.from_predictions(labels, values, name=name, ax=ax, **groups)
    return ax


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, ax: Axes | None = None) -> Axes:
    """The number of reviews for each true and predicted class, both (N,) of 0 and 1, which need not
    both occur. `ValueError` for no rows."""
    check_rows(labels, predictions)
    ax, names = axes_or_new(ax), {"labels": [0, 1], "display_labels": ["negative", "positive"]}
    ConfusionMatrixDisplay.from_predictions(labels, predictions, **names, cmap="Blues", ax=ax)
    return ax


def over_whole_numbers(ax: Axes) -> Axes:
    """Finish lines over epochs or layers: ticks at whole numbers, a grid and a legend."""
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] = (6, 4.5)) -> Axes:
    """`ax`, or without one the Axes of a new figure of `figsize` inches. Its next lines have the
    `COLOURS`, in turn."""
    ax = plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax
    ax.set_prop_cycle(color=COLOURS)
    return ax

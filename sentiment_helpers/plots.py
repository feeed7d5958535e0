"""Figures of any model. Each function draws on `ax`, or on new Axes, and returns the Axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

from sentiment_helpers.metrics import check_rows

# Okabe and Ito's palette, which colour-blind readers can distinguish. BLUE: the network studied, on
# reviews that did not teach it; SKY: on its training reviews; ORANGE: what it is compared with;
# GREEN: both together; GREY: chance, guides. In a text, GREEN is positive and AMBER is negative.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
BLACK, AMBER, SKY, GREY = "#000000", "#E69F00", "#56B4E9", "#595959"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, BLACK, AMBER)  # the last three: other models

METRICS = {"loss": "loss (nats a review)", "precision": "precision", "recall": "recall"}
METRICS |= {"f1": "F1", "accuracy": "accuracy (share of reviews)"}


def learning_curve(history: pd.DataFrame, metric: str = "loss", ax: Axes | None = None) -> Axes:
    """One of `METRICS` over the epochs of `history_`, and the epoch whose weights are kept."""
    ax = axes_or_new(ax)
    ax.plot(history[f"train_{metric}"], "o-", color=SKY, label="training")
    ax.plot(history[f"valid_{metric}"], "s-", color=BLUE, label="validation")
    ax.axvline(history["valid_loss"].idxmin(), color=GREY, linestyle="--", label="weights kept")
    ax.set(xlabel="epoch", ylabel=METRICS[metric])
    return over_whole_numbers(ax)


def learning_curves(history: pd.DataFrame) -> list[Axes]:
    """The report's five learning curves in one figure."""
    figure, places = plt.figure(figsize=(15, 3), layout="constrained"), enumerate(METRICS, 1)
    return [learning_curve(history, metric, figure.add_subplot(1, 5, n)) for n, metric in places]


def roc_curves(labels: np.ndarray, probabilities: dict, ax: Axes | None = None) -> Axes:
    """ROC curves on the same rows with `labels` (N,) of probabilities (N,): of a classifier's
    `valid_probabilities_`, later epochs darker, or of models by name. `ValueError` for no rows."""
    check_rows(labels, *probabilities.values())
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="chance")
    if all(isinstance(key, int) for key in probabilities):
        probabilities = {f"epoch {key}": values for key, values in probabilities.items()}
        ax.set_prop_cycle(color=plt.cm.Blues(np.linspace(1, 0.3, len(probabilities))[::-1]))
    for name, values in probabilities.items():
        RocCurveDisplay.from_predictions(labels, values, name=name, ax=ax)
    ax.set(xlabel="false positive rate", ylabel="true positive rate")
    return ax


def calibration(labels: np.ndarray, probabilities: dict, ax: Axes | None = None) -> Axes:
    """Shares of positive reviews in ten groups by probability. `ValueError` for no rows."""
    check_rows(labels, *probabilities.values())
    ax, groups = axes_or_new(ax), {"n_bins": 10, "strategy": "quantile", "ref_line": False}
    ax.plot([0, 1], [0, 1], ":", color=GREY, label="well calibrated")
    for name, values in probabilities.items():
        CalibrationDisplay.from_predictions(labels, values, name=name, ax=ax, **groups)
    ax.set(xlabel="predicted probability, mean of a group", ylabel="share of positive reviews")
    return ax


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, ax: Axes | None = None) -> Axes:
    """The reviews of each true and predicted class, (N,) of 0 and 1. `ValueError` for no rows."""
    check_rows(labels, predictions)
    names = {"labels": [0, 1], "display_labels": ["negative", "positive"], "colorbar": False}
    draw = ConfusionMatrixDisplay.from_predictions
    return draw(labels, predictions, **names, cmap="Blues", ax=axes_or_new(ax)).ax_


def over_whole_numbers(ax: Axes) -> Axes:
    """Finish lines over epochs or layers: ticks at whole numbers, a grid and a legend."""
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.grid(alpha=0.3)
    if empty := np.isinf(ax.dataLim.x0):
        ax.set_axis_off()
    ax.legend(title="no results yet" if empty else None)
    return ax


def axes_or_new(ax: Axes | None, figsize: tuple[float, float] = (5, 3.5)) -> Axes:
    """`ax`, or new Axes of `figsize` inches. Its next lines have the `COLOURS`, in turn."""
    ax = plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax
    ax.set_prop_cycle(color=COLOURS)
    return ax

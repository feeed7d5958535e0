"""Each figure draws on the given Axes or on new ones, and shows nothing by itself."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sentiment_helpers import evaluate, intervals, plots

matplotlib.use("Agg")
LABELS = np.array([0, 1, 0, 1])
PROBABILITIES = {1: np.array([0.4, 0.5, 0.6, 0.7]), 6: np.array([0.1, 0.9, 0.2, 0.8])}
COLUMNS = [f"{side}_{metric}" for side in ("train", "valid") for metric in plots.METRICS]
HISTORY = pd.DataFrame({name: [0.5, 0.4, 0.45] for name in COLUMNS}, index=[1, 2, 3])


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (plots.learning_curve, (HISTORY, "f1")),
        (plots.roc_curves, (LABELS, PROBABILITIES)),
        (plots.confusion_matrix, (LABELS, LABELS)),
        (plots.calibration, (LABELS, {"a": PROBABILITIES[1], "b": PROBABILITIES[6]})),
    ],
)
def test_given_and_new_axes(function, arguments, monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: pytest.fail("show() was called"))
    ax = plt.figure().add_subplot()
    assert function(*arguments, ax=ax) is ax
    assert ax.has_data() or ax.texts
    assert function(*arguments) is not ax


def test_learning_curves_show_both_sides_and_the_kept_epoch():
    axes = plots.learning_curves(HISTORY)
    assert [ax.get_ylabel() for ax in axes] == list(plots.METRICS.values())
    for ax in axes:
        names = [text.get_text() for text in ax.get_legend().get_texts()]
        assert names == ["training", "validation", "weights kept"]
        assert ax.get_xlabel() == "epoch"
        assert ax.lines[2].get_xdata()[0] == 2
        assert [line.get_color() for line in ax.lines] == [plots.SKY, plots.BLUE, plots.GREY]


def test_one_epoch_has_one_tick():
    ax = plots.learning_curve(HISTORY[:1])
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_roc_curves_name_their_epochs_and_areas():
    ax = plots.roc_curves(LABELS, PROBABILITIES)
    names = [t.get_text() for t in ax.get_legend().texts]
    assert names == ["chance", "epoch 1 (AUC = 0.75)", "epoch 6 (AUC = 1.00)"]
    first, last = (sum(line.get_color()[:3]) for line in ax.lines[1:])
    assert first > last  # later epochs are darker, and so is a single one
    (only,) = plots.roc_curves(LABELS, {1: PROBABILITIES[1]}).lines[1:]
    assert sum(only.get_color()[:3]) == last


FEW = {
    "one class": ([1, 1, 1], [0.9, 0.2, 0.7]),
    "the other class": ([0, 0, 0], [0.9, 0.2, 0.7]),
    "one row": ([1], [0.9]),
    "constant": ([0, 1, 1], [0.5, 0.5, 0.5]),
    "one of one class": ([0, 1, 1], [0.2, 0.5, 0.9]),
}
MEASURES = {
    "roc": lambda y, p: plots.roc_curves(y, {"a": p, "b": 1 - p}),
    "calibration": lambda y, p: plots.calibration(y, {"a": p, "b": 1 - p}),
    "confusion": lambda y, p: plots.confusion_matrix(y, p > 0.5),
    "evaluate": evaluate,
    "intervals": intervals,
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("rows", FEW)
def test_few_rows_and_one_class(rows, measure):
    labels, probabilities = map(np.array, FEW[rows])
    shown = MEASURES[measure](labels, probabilities)
    if isinstance(shown, plt.Axes):
        shown.figure.canvas.draw()
    if measure == "confusion":
        counts = np.bincount(2 * labels + (probabilities > 0.5), minlength=4)
        assert [int(cell.get_text()) for cell in shown.texts] == counts.tolist()
        assert [t.get_text() for t in shown.get_xticklabels()] == ["negative", "positive"]
    if measure == "intervals":
        scores = evaluate(labels, probabilities)
        for name in ("accuracy", "f1"):
            low, high = shown[name]
            assert low <= getattr(scores, name) <= high


@pytest.mark.parametrize("measure", MEASURES)
def test_no_rows(measure):
    with pytest.raises(ValueError, match="one row or more is needed, with as many predictions as"):
        MEASURES[measure](np.zeros(0, int), np.zeros(0))


def test_six_models_have_colours():
    models = {f"model {n}": PROBABILITIES[1] for n in range(6)}
    for draw in (plots.roc_curves, plots.calibration):
        _, *curves = draw(LABELS, models).lines
        assert [curve.get_color() for curve in curves] == list(plots.COLOURS)

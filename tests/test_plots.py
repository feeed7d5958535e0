"""Each figure draws on the given Axes or on new ones, and shows nothing by itself."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from sentiment_helpers import BiRNN, plots
from sentiment_helpers.report import figures

matplotlib.use("Agg")
LABELS = np.array([0, 1, 0, 1])
PROBABILITIES = {1: np.array([0.4, 0.5, 0.6, 0.7]), 6: np.array([0.1, 0.9, 0.2, 0.8])}
HISTORY = pd.DataFrame(
    {f"{s}_{m}": [0.5, 0.4, 0.45] for s in ("train", "valid") for m in plots.METRICS},
    index=[1, 2, 3],
)
NORMS = {
    name: {weight: 1.0 for weight, _ in BiRNN(3, num_layers=3).named_parameters()}
    for name in ("plain", "skip")
}


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
        (figures.gradient_norms, (NORMS,)),
        (figures.draw_network, (5, True)),
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


def test_roc_curves_name_their_epochs_and_areas():
    names = [t.get_text() for t in plots.roc_curves(LABELS, PROBABILITIES).get_legend().texts]
    assert names == ["epoch 1 (AUC = 0.75)", "epoch 6 (AUC = 1.00)", "chance"]


def test_gradient_norms_are_drawn_layer_by_layer():
    ax = figures.gradient_norms(NORMS)
    assert [line.get_label() for line in ax.lines] == ["plain", "skip"]
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]


def test_diagram_names_the_layers_that_exist():
    texts = {t.get_text() for t in figures.draw_network(5, skip_connections=True).texts}
    assert {"forward layer 1", "backward layer 5 + layer 1"} <= texts
    assert "forward layer 2" not in texts


def test_comparison_is_sorted_and_shows_the_report(made_up):
    results = [made_up("gru-5", "0111"), made_up("lstm-5", "0101"), made_up("gru-8", "1010")]
    ax = figures.comparison(results)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["GRU-8", "GRU-5", "LSTM-5"]
    marks = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    assert marks["here"].lines[0].get_xdata().tolist() == [0.0, 0.75, 1.0]
    assert marks["report"].get_xdata().tolist() == [0.82677, 0.82744, 0.82783]
    assert marks["report"].get_fillstyle() == "none"


def test_quick_runs_are_marked():
    shell = InteractiveShell.instance()
    table = pd.DataFrame({"accuracy": [0.5]})
    try:
        with plt.rc_context():
            figures.mark_quick()
            axes = plots.learning_curve(HISTORY), plots.learning_curves(HISTORY)[0]
            drawn = [ax.figure for ax in axes]
            shown = [shell.display_formatter.format(t)[0] for t in (table, table.style)]
    finally:
        InteractiveShell.clear_instance()
    assert [[text.get_text() for text in figure.texts] for figure in drawn] == [["quick"]] * 2
    assert all("<b>quick</b>" in one["text/html"] for one in shown)
    assert all("accuracy" in one["text/html"] for one in shown)
    assert not plots.learning_curve(HISTORY).figure.texts


def test_six_models_have_colours():
    models = {f"model {n}": PROBABILITIES[1] for n in range(6)}
    curves = plots.roc_curves(LABELS, models).lines[:-1]
    assert [curve.get_color() for curve in curves] == list(plots.COLOURS)
    assert len(plots.calibration(LABELS, models).lines) == 7
    with pytest.raises(ValueError, match="7 models, but colours for 6"):
        plots.roc_curves(LABELS, models | {"one more": PROBABILITIES[1]})

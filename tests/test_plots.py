"""Each figure draws on the given Axes or on new ones, and shows nothing by itself."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sentiment_helpers import BiRNN, evaluate, intervals, plots
from sentiment_helpers.report import comparisons, figures, study

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
    ax = figures.comparison(pd.DataFrame(results))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["GRU-8", "GRU-5", "LSTM-5"]
    marks = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    assert marks["here"].lines[0].get_xdata().tolist() == [0.0, 0.75, 1.0]
    assert marks["report"].get_xdata().tolist() == [0.82677, 0.82744, 0.82783]
    assert marks["report"].get_fillstyle() == "none"


FEW = {
    "one class": ([1, 1, 1], [0.9, 0.2, 0.7]),
    "the other class": ([0, 0, 0], [0.9, 0.2, 0.7]),
    "nothing positive": ([0, 0, 0], [0.1, 0.2, 0.3]),
    "one row": ([1], [0.9]),
    "constant": ([0, 1, 1], [0.5, 0.5, 0.5]),
    "one of one class": ([0, 1, 1], [0.2, 0.5, 0.9]),
}
MEASURES = {
    "roc": lambda y, p: plots.roc_curves(y, {"a": p, "b": 1 - p}),
    "calibration": lambda y, p: plots.calibration(y, {"a": p, "b": 1 - p}),
    "confusion": lambda y, p: plots.confusion_matrix(y, (p > 0.5).astype(int)),
    "evaluate": evaluate,
    "intervals": intervals,
    "mcnemar": lambda y, p: comparisons.mcnemar_table({"a": p > 0.5, "b": p < 0.5}, y),
    "one model": lambda y, p: comparisons.mcnemar_table({"a": p > 0.5}, y),
    "scores": lambda y, p: comparisons.scores_table({"a": p, "b": 1 - p}, y, against="a"),
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
    with pytest.raises(
        ValueError, match="one row or more is needed, with as many predictions as labels"
    ):
        MEASURES[measure](np.zeros(0, int), np.zeros(0))


def test_no_results(made_up):
    """As where a file of results is not there yet, or holds one network only."""
    some = pd.DataFrame([made_up("gru-5", "1"), made_up("gru-5", "0")])
    for results in (some[:0], some[:1], some[1:]):
        assert comparisons.table(results).shape == (15, 2 * len(results))
        assert len(comparisons.seeds_table(results)) == len(results)
        assert comparisons.pairs_table(results).empty
        assert len(figures.comparison(results).get_yticks()) == len(results)
    names = "num_layers skip_connections pooling random_state accuracy roc_auc loss".split()
    one = pd.DataFrame([[2, False, "last", 1, 0.5, 0.5, 0.5]], columns=names)
    for results, poolings in ((one[:0], 0), (one, 0), (one.assign(num_layers=1), 1)):
        for draw in (figures.depths, figures.poolings):
            draw(results).figure.canvas.draw()
        assert len(comparisons.depths_table(results)) == 0
        assert len(comparisons.poolings_table(results)) == poolings
    figures.gradient_norms({}).figure.canvas.draw()
    plots.learning_curves(HISTORY[:1])


def test_losses_stand_side_by_side():
    axes = figures.losses({"plain": HISTORY, "skip": HISTORY + 1})
    assert [ax.get_title() for ax in axes] == ["plain", "skip"]
    assert [ax.lines[1].get_ydata()[0] for ax in axes] == [0.5, 1.5]
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert len(figures.losses({"one": HISTORY})) == 1


def test_roc_and_calibration_stand_side_by_side():
    axes = figures.roc_and_calibration(LABELS, {"a": PROBABILITIES[1], "b": PROBABILITIES[6]})
    assert [ax.get_title() for ax in axes] == ["ROC", "calibration"]
    assert [len(ax.lines) for ax in axes] == [3, 3]
    assert axes[0].figure is axes[1].figure


def test_gradients_by_depth():
    """A figure for each depth of the study, with the same scale."""
    rows = [(depth, skip, {"forward_stack.layers.1.weight_ih": 0.1 * depth})
            for depth in study.DEPTHS for skip in (False, True)]  # fmt: skip
    names = ["num_layers", "skip_connections", "gradients"]
    axes = figures.gradients_by_depth(pd.DataFrame(rows, columns=names))
    assert [ax.get_title() for ax in axes] == [f"{depth} layers" for depth in study.DEPTHS]
    for ax, depth in zip(axes, study.DEPTHS, strict=True):
        assert [line.get_label() for line in ax.lines] == ["plain", "skip"]
        assert ax.lines[0].get_ydata() == pytest.approx([0.1 * depth])
        assert ax.get_ylim() == axes[0].get_ylim()


def test_six_models_have_colours():
    models = {f"model {n}": PROBABILITIES[1] for n in range(6)}
    curves = plots.roc_curves(LABELS, models).lines[:-1]
    assert [curve.get_color() for curve in curves] == list(plots.COLOURS)
    assert len(plots.calibration(LABELS, models).lines) == 7
    with pytest.raises(ValueError, match="7 models, but colours for 6"):
        plots.roc_curves(LABELS, models | {"one more": PROBABILITIES[1]})


def test_perplexity():
    assert figures.perplexity([5.0]) is None
    (line,) = figures.perplexity([5.0, 3.0]).lines
    assert line.get_xydata().tolist() == [[1, 5], [2, 3]]

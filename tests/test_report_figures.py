"""Figures and tables of the report's experiments and the study, also without any results."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sentiment_helpers import BiRNN
from sentiment_report import comparisons, figures, study

matplotlib.use("Agg")
NORMS = dict.fromkeys(["plain", "skip"], dict.fromkeys(BiRNN(3, num_layers=3).state_dict(), 1.0))


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_tables_of_few_rows_and_of_one_class():
    for labels, positive in (([1, 1, 1], [0.9, 0.2, 0.7]), ([0, 0], [0.1, 0.2]), ([1], [0.9])):
        y, p = np.array(labels), np.array(positive)
        assert len(comparisons.mcnemar_table({"a": p > 0.5, "b": p < 0.5}, y)) == 1
        assert comparisons.mcnemar_table({"a": p > 0.5}, y).empty
        assert len(comparisons.scores_table({"a": p, "b": 1 - p}, y, against="a")) == 11
    with pytest.raises(ValueError, match="one row or more is needed"):
        comparisons.mcnemar_table({"a": np.zeros(0)}, np.zeros(0, int))


def test_networks_are_drawn_layer_by_layer():
    ax = plt.figure().add_subplot()
    assert figures.gradient_norms(NORMS, ax) is ax
    assert [line.get_label() for line in ax.lines] == ["plain", "skip"]
    assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
    drawn = figures.draw_network(5, skip_connections=True)
    texts = {t.get_text() for t in drawn.texts}
    assert {"forward layer 1", "backward layer 5 + layer 1"} <= texts
    assert "forward layer 2" not in texts


@pytest.mark.parametrize("skip", [False, True])
def test_arrows_lead_from_edge_to_edge(skip):
    """Up from each box but the last, and from the first layer to each later one."""
    ax = figures.draw_network(13, skip_connections=skip)
    arrows = [text for text in ax.texts if not text.get_text()]
    numbers = 7 if skip else 13
    assert len(arrows) == 2 * (numbers + 1 + (numbers - 1) * skip)
    for arrow in arrows:
        for x, y in (arrow.xy, arrow.xyann):
            assert any(_on_edge(box, x, y) for box in ax.patches)
    assert ax.figure.get_size_inches()[1] <= (4.2 if skip else 7)


def _on_edge(box, x, y):
    left, low, right, high = box.get_bbox().extents
    beside = low <= y <= high and np.isclose(x, [left, right]).any()
    return beside or (left <= x <= right and np.isclose(y, [low, high]).any())


def test_comparison_is_sorted_and_shows_the_report(made_up):
    results = [made_up("gru-5", "0111"), made_up("lstm-5", "0101"), made_up("gru-8", "1010")]
    ax = figures.comparison(pd.DataFrame(results))
    assert [text.get_text() for text in ax.get_yticklabels()] == ["GRU-8", "GRU-5", "LSTM-5"]
    marks = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    assert marks["here"].lines[0].get_xdata().tolist() == [0.0, 0.75, 1.0]
    assert marks["report"].get_xdata().tolist() == [0.82677, 0.82744, 0.82783]
    assert marks["report"].get_fillstyle() == "none"


def of_study(accuracy, seed, num_layers, skip=False, pooling="attention+max"):
    norms = {"forward_stack.layers.1.weight_ih_l0": 10.0**seed}
    return [num_layers, 16, skip, pooling, seed, 1, 0.5, accuracy, 0.8, 1.0, norms]


@pytest.fixture
def results():
    """Of a study: at 2 layers no difference, at 14 a large one."""
    rows = []
    for seed, noise in ((1, 0.01), (2, -0.01), (3, 0.0)):
        for depth, plain, skip in ((2, 0.8 + noise, 0.8 - noise), (14, 0.5, 0.8 + noise)):
            rows += [of_study(plain, seed, depth), of_study(skip, seed, 2 * depth - 1, skip=True)]
        rows.append(of_study(0.6 + noise, seed, 1, pooling="last"))
    return pd.DataFrame(rows, columns=study.COLUMNS)


def test_depths(results):
    """Layers with weights: with skip connections, 2 of 3 and 14 of 27."""
    table = comparisons.depths_table(results)
    assert table.index.tolist() == [2, 14]
    assert table.loc[14, ["plain", "skip", "difference"]].tolist() == pytest.approx([0.5, 0.8, 0.3])
    assert table.loc[2, "low"] < 0 < table.loc[2, "high"]
    assert table.loc[14, "low"] > 0
    assert table["seeds"].tolist() == [3, 3]
    lines = {line.get_label(): line for line in figures.depths(results).lines}
    assert lines["plain, mean of seeds"].get_ydata().tolist() == pytest.approx([0.8, 0.5])
    assert lines["skip, mean of seeds"].get_xdata().tolist() == [2, 14]
    assert comparisons.depths_table(results.query("random_state == 1")).empty


def test_gradients_are_geometric_means_over_seeds(results):
    """A figure for each depth, with the same scale."""
    axes = figures.gradients_by_depth(results)
    titles = [ax.get_title() for ax in axes]
    assert titles == [f"{depth} layers with weights" for depth in study.DEPTHS]
    assert axes[0].get_ylim() == axes[3].get_ylim()
    for ax in axes[[0, 3]]:
        assert [line.get_label() for line in ax.lines] == ["skip", "plain"]
        assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, pytest.approx(100)]]] * 2
    assert [line.get_xydata().tolist() for line in axes[1].lines] == [[], []]


def test_no_results(made_up, results, tmp_path, caplog):
    """As where a file of results is not there yet, or holds one network only."""
    none = study.RESULTS.read(tmp_path / "none.json")
    assert "none.json is not there: `make study` writes it" in caplog.text
    some = pd.DataFrame([made_up("gru-5", "1"), made_up("gru-5", "0")])
    for few in (some[:0], some[:1]):
        assert comparisons.table(few).data.shape == (15, 2 * len(few))
        assert comparisons.pairs_table(few).empty
        assert len(figures.comparison(few).get_yticks()) == len(few)
    for few in (none, results[:1], results[-1:]):
        figures.depths(few).figure.canvas.draw()
        figures.gradients_by_depth(few)
        assert comparisons.depths_table(few).empty
    for ax in (figures.gradient_norms({}), figures.depths(none), figures.comparison(some[:0])):
        ax.figure.canvas.draw()
        assert not ax.axison
    assert figures.depths(none).get_legend().get_title().get_text() == "no results yet"
    assert figures.depths(results).axison

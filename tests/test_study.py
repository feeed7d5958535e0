"""The study: its plan, its file, and the tables and figures made from it."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from sentiment_helpers import Glove
from sentiment_helpers.report import comparisons, figures, study
from sentiment_helpers.report.__main__ import KINDS, main


@pytest.fixture
def small(monkeypatch):
    """A study of four trainings on forty reviews of a few words."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    words = "good bad film dull".split()
    rng = np.random.default_rng(0)
    glove = Glove("four", words, rng.normal(size=(4, 5)).astype(np.float32))
    sets = [(rng.integers(2, 6, (40, 4)).astype(np.int32), np.arange(40) % 2)] * 2
    network = {"hidden_size": 3, "pooling": "attention+max", "random_state": 1}
    planned = [
        network | {"num_layers": depth, "skip_connections": skip}
        for depth in (2, 4)
        for skip in (False, True)
    ]
    monkeypatch.setattr(study, "_sets", lambda: (glove, *sets))
    monkeypatch.setattr(study, "trainings", lambda: planned)
    return planned


def test_each_depth_kind_pooling_and_seed_is_planned_once():
    planned = study.trainings()
    assert len(planned) == len(study.SEEDS) * (2 * len(study.DEPTHS) + 4)
    assert all(set(one) == set(study.PARAMETERS) for one in planned)
    assert [one for n, one in enumerate(planned) if one in planned[:n]] == []
    assert {one["random_state"] for one in planned[:12]} == {study.SEEDS[0]}


def test_an_interrupted_study_is_resumed(small, tmp_path):
    path = tmp_path / "study.json"
    assert main(["study", str(path)]) == 0
    whole = json.loads(path.read_text("utf-8"))
    results = whole["results"]
    done = [{name: one[name] for name in study.PARAMETERS} for one in results]
    assert [done.count(one) for one in small] == [1] * len(done)
    path.write_text(json.dumps(whole | {"results": results[:3]}), "utf-8")
    study.run_study(path)
    again = json.loads(path.read_text("utf-8"))
    assert again["data"] == whole["data"]
    assert again["results"][:3] == results[:3]
    assert again["results"][3] | {"seconds": 0} == results[3] | {"seconds": 0}
    norms = results[3]["gradients"]
    assert next(iter(norms)) == "forward_stack.layers.1.weight_ih_l0"
    assert all(norm > 0 for norm in norms.values())


def test_training_leaves_the_global_generator_alone(small):
    before = torch.random.get_rng_state()
    study.train(small[0], *study._sets())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "text",
    [
        '{"data": {"rows": 3}, "results": []}',
        f'{{"data": {json.dumps(study.DATA)}, "results": [{{"loss": 1}}]}}',
        "[]",
        "no JSON",
    ],
)
def test_another_file_is_not_overwritten(text, small, tmp_path, capsys):
    path = tmp_path / "other.json"
    path.write_text(text, "utf-8")
    assert main(["study", str(path)]) == 2
    error = capsys.readouterr().err
    assert "is not what `make study` writes with these settings: move it away" in error
    assert error.count("\n") == 1
    assert path.read_text("utf-8") == text


def test_a_path_that_cannot_be_written_is_refused_before_any_training(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(study, "_sets", lambda: pytest.fail("the study has started"))
    (tmp_path / "file").touch()
    for path, place in ((tmp_path, tmp_path), (tmp_path / "file" / "study.json", "file")):
        assert main(["study", str(path)]) == 2
        error = capsys.readouterr().err
        assert str(place) in error
        assert error.endswith(" directory\n")
        assert error.count("\n") == 1


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setitem(KINDS, "study", interrupted)
    assert main(["study", "study.json"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def made_up(accuracy, seed, num_layers, skip=False, pooling="attention+max"):
    norms = {"forward_stack.layers.1.weight_ih_l0": 10.0**seed}
    return [num_layers, 16, skip, pooling, seed, 1, 0.5, accuracy, 0.8, 1.0, norms]


@pytest.fixture
def results():
    """At 2 layers no difference, at 14 a large one."""
    rows = []
    for seed, noise in ((1, 0.01), (2, -0.01), (3, 0.0)):
        for depth, plain, skip in ((2, 0.8 + noise, 0.8 - noise), (14, 0.5, 0.8 + noise)):
            rows += [made_up(plain, seed, depth), made_up(skip, seed, depth, skip=True)]
        for pooling, accuracy in (("last", 0.6), ("max", 0.7)):
            rows.append(made_up(accuracy + noise, seed, 1, pooling=pooling))
    return pd.DataFrame(rows, columns=study.COLUMNS)


def test_depths(results):
    table = comparisons.depths_table(results)
    assert table.index.tolist() == [2, 14]
    assert table.loc[14, ["plain", "skip", "skip minus plain"]].tolist() == pytest.approx(
        [0.5, 0.8, 0.3]
    )
    assert table.loc[2, "low"] < 0 < table.loc[2, "high"]
    assert table.loc[14, "low"] > 0
    assert table["seeds"].tolist() == [3, 3]
    lines = {line.get_label(): line for line in figures.depths(results).lines}
    assert lines["plain, mean of seeds"].get_ydata().tolist() == pytest.approx([0.8, 0.5])


def test_one_seed_says_nothing_about_a_difference(results):
    one = results[results["random_state"] == 1]
    assert comparisons.depths_table(one).empty


def test_poolings(results):
    table = comparisons.poolings_table(results)
    assert table["accuracy"].tolist() == pytest.approx([0.6, 0.7])
    assert table["deviation"].tolist() == pytest.approx([0.01, 0.01])
    ax = figures.poolings(results)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["last", "max"]
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 3]


def test_gradients_are_geometric_means_over_seeds(results):
    two, four, _, fourteen = figures.gradients_by_depth(results)
    for ax in (two, fourteen):
        assert [line.get_label() for line in ax.lines] == ["plain", "skip"]
        assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, pytest.approx(100)]]] * 2
    assert [line.get_xydata().tolist() for line in four.lines] == [[], []]


def test_without_a_study_tables_and_figures_are_empty(tmp_path, caplog):
    results = study.read_study(tmp_path / "none.json")
    assert len(results) == 0
    assert "none.json is not there: `make study` writes it" in caplog.text
    assert comparisons.depths_table(results).empty
    assert comparisons.poolings_table(results).empty
    figures.depths(results)
    figures.poolings(results)
    figures.gradients_by_depth(results)

"""The study of depths: what is planned, that it goes on where it was, what is said of it."""

import json

import numpy as np
import pytest

from sentiment_helpers import Glove
from sentiment_helpers.__main__ import main
from sentiment_helpers.report import comparisons, figures, study

FIGURES = {"best_epoch": 1, "loss": 0.5, "roc_auc": 0.8, "seconds": 1.0}


def made_up(accuracy, **parameters) -> study.Training:
    given = {"hidden_size": 16, "pooling": "attention+max", "skip_connections": False}
    weights = {"forward_stack.layers.1.weight_ih_l0": 10.0 ** parameters["random_state"]}
    return study.Training(**given | parameters, accuracy=accuracy, gradients=weights, **FIGURES)


@pytest.fixture
def small(monkeypatch):
    """A study of four trainings on forty reviews of a few words."""
    words = "good bad film dull".split()
    rng = np.random.default_rng(0)
    glove = Glove("four", words, rng.normal(size=(4, 5)).astype(np.float32))
    ids = rng.integers(2, 6, (40, 4)).astype(np.int32)
    labels = np.arange(40) % 2
    planned = [
        {
            "num_layers": depth, "skip_connections": skip, "hidden_size": 3,
            "pooling": "attention+max", "random_state": 1,
        }
        for depth in (2, 4)
        for skip in (False, True)
    ]  # fmt: skip
    monkeypatch.setattr(study, "_sets", lambda: (glove, (ids, labels), (ids, labels)))
    monkeypatch.setattr(study, "trainings", lambda: planned)
    return planned


def test_every_depth_kind_pooling_and_seed_is_planned():
    planned = study.trainings()
    assert len(planned) == len(study.SEEDS) * (2 * len(study.DEPTHS) + 4)
    assert [one for n, one in enumerate(planned) if one in planned[:n]] == []
    assert {one["random_state"] for one in planned[:12]} == {study.SEEDS[0]}


def test_goes_on_where_it_was(small, tmp_path):
    path = tmp_path / "study.json"
    assert main(["study", str(path)]) == 0
    whole = study.read_study(path)
    assert len(whole) == len(small)
    assert all(one.parameters in small for one in whole)
    content = json.loads(path.read_text("utf-8"))
    kept = content["results"][:3]
    path.write_text(json.dumps(content | {"results": kept}), "utf-8")
    study.run_study(path)
    again = study.read_study(path)
    assert [one.seconds for one in again[:3]] == [one["seconds"] for one in kept]
    missing = next(one for one in whole if one not in again[:3])
    figures = (again[3].parameters, again[3].loss, again[3].gradients)
    assert figures == (missing.parameters, missing.loss, missing.gradients)
    assert next(iter(missing.gradients)) == "forward_stack.layers.1.weight_ih_l0"
    assert all(norm > 0 for norm in missing.gradients.values())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"data": {"rows": 3}, "results": []}', "other settings: move it away"),
        ("[]", "holds no study"),
        ("no JSON", "holds no study"),
    ],
)
def test_another_file_is_not_written_over(text, says, small, tmp_path, capsys):
    path = tmp_path / "other.json"
    path.write_text(text, "utf-8")
    assert main(["study", str(path)]) == 2
    assert says in capsys.readouterr().err
    assert path.read_text("utf-8") == text


@pytest.fixture
def results():
    """At 2 layers no difference, at 14 a large one."""
    found = []
    for seed, noise in ((1, 0.01), (2, -0.01), (3, 0.0)):
        for depth, plain, skip in ((2, 0.8 + noise, 0.8 - noise), (14, 0.5, 0.8 + noise)):
            found.append(made_up(plain, num_layers=depth, random_state=seed))
            found.append(made_up(skip, num_layers=depth, random_state=seed, skip_connections=True))
        for pooling, accuracy in (("last", 0.6), ("max", 0.7)):
            one = {"num_layers": 1, "pooling": pooling, "random_state": seed}
            found.append(made_up(accuracy + noise, **one))
    return found


def test_depths(results):
    table = comparisons.depths_table(results)
    assert table.index.tolist() == [2, 14]
    assert table.loc[14, ["plain", "skip", "skip less plain"]].tolist() == pytest.approx(
        [0.5, 0.8, 0.3]
    )
    assert table.loc[2, "low"] < 0 < table.loc[2, "high"]
    two, fourteen = comparisons.depth_findings(results)
    assert two.startswith("2 layers, 3 seeds")
    assert two.endswith("They cannot be told apart.")
    assert "+0.3000" in fourteen
    assert fourteen.endswith("They differ: skip is better.")
    lines = {line.get_label(): line for line in figures.depths(results).lines}
    assert lines["plain, mean of seeds"].get_ydata().tolist() == pytest.approx([0.8, 0.5])


def test_one_seed_says_nothing_of_a_difference(results):
    one = [result for result in results if result.random_state == 1]
    assert comparisons.depth_findings(one) == []
    assert comparisons.depths_table(one).empty


def test_poolings(results):
    table = comparisons.poolings_table(results)
    assert table["accuracy"].tolist() == pytest.approx([0.6, 0.7])
    assert table["deviation"].tolist() == pytest.approx([0.01, 0.01])
    ax = figures.poolings(results)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["last", "max"]
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 3]


def test_gradients_are_geometric_means_over_seeds(results):
    found = study.gradients(results, 14)
    assert list(found) == ["plain", "skip"]
    assert found["skip"]["forward_stack.layers.1.weight_ih_l0"] == pytest.approx(100)
    assert study.gradients(results, 8) == {"plain": {}, "skip": {}}


def test_without_a_study_the_notebooks_draw_nothing(tmp_path, caplog):
    results = study.read_study(tmp_path / "none.json")
    assert results == []
    assert "none.json is not there: `make study` writes it" in caplog.text
    assert comparisons.depths_table(results).empty
    assert comparisons.poolings_table(results).empty
    assert comparisons.depth_findings(results) == []
    figures.depths(results)
    figures.poolings(results)
    figures.gradient_norms(study.gradients(results, 2))

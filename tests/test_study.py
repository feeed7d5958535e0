"""The study: its plan and its file."""

import hashlib
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from sentiment_helpers import Glove
from sentiment_report import shipped, study
from sentiment_report.__main__ import KINDS, main

MODELS = Path(__file__).parents[1] / "models"


def status(*arguments) -> int:
    """The exit status of the command; 0 where it just returns."""
    try:
        main(list(map(str, arguments)))
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def small(monkeypatch):
    """A study of four trainings on forty reviews of a few words."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    rng = np.random.default_rng(0)
    glove = Glove("four", "good bad film dull".split(), rng.normal(size=(4, 5)).astype(np.float32))
    sets = [(rng.integers(2, 6, (40, 4)).astype(np.int32), np.arange(40) % 2)] * 2
    planned = [one for one in study.trainings() if one["num_layers"] in (2, 3)][:4]
    monkeypatch.setattr(study, "_sets", lambda: (glove, *sets))
    monkeypatch.setattr(study, "trainings", lambda: planned)
    return planned


def test_each_depth_kind_pooling_and_seed_is_planned_once():
    planned = study.trainings()
    assert len(planned) == len(study.SEEDS) * (2 * len(study.DEPTHS) + 4)
    assert all(set(one) == set(study.PARAMETERS) for one in planned)
    assert [one for n, one in enumerate(planned) if one in planned[:n]] == []
    assert {one["random_state"] for one in planned[:12]} == {study.SEEDS[0]}


def test_the_committed_files_are_complete():
    table = study.RESULTS.read(MODELS / "study.json")
    done = table[list(study.PARAMETERS)].to_dict("records")
    assert all(one in done for one in study.trainings())
    seeds = shipped.SEEDS_RESULTS.read(MODELS / "seeds.json").query("split == 'films'")
    assert set(seeds.groupby("model")["random_state"].agg(sorted).map(tuple)) == {shipped.SEEDS}
    official = shipped.OFFICIAL_RESULTS.read(MODELS / "official.json").query("sha256 != ''")
    for file, measured in official[["source", "sha256"]].drop_duplicates().itertuples(index=False):
        assert hashlib.sha256((MODELS / file).read_bytes()).hexdigest() == measured
    assert set(official["source"]) == set(shipped.FILES.values())


def test_an_interrupted_study_is_resumed(small, tmp_path):
    path, before = tmp_path / "study.json", torch.random.get_rng_state()
    assert status("study", path) == 0
    assert torch.equal(torch.random.get_rng_state(), before)
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


def test_refused_before_any_training(small, monkeypatch, tmp_path, capsys):
    """Another file is not overwritten; a path that cannot be written is named."""
    monkeypatch.setattr(study, "_sets", lambda: pytest.fail("the study has started"))
    path, wrong = tmp_path / "other.json", {"data": study.DATA, "results": [{"loss": 1}]}
    for text in ("no JSON", "[]", '{"data": {"rows": 3}, "results": []}', json.dumps(wrong)):
        path.write_text(text, "utf-8")
        assert status("study", path) == 2
        error = capsys.readouterr().err
        assert "is not what `make study` writes with these settings: move it away" in error
        assert error.count("\n") == 1
        assert path.read_text("utf-8") == text
    for place in (tmp_path, path / "study.json"):
        assert status("study", place) == 2
        error = capsys.readouterr().err
        assert str(tmp_path) in error
        assert error.endswith(" directory\n")
        assert error.count("\n") == 1


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    monkeypatch.setitem(KINDS, "study", Mock(side_effect=KeyboardInterrupt))
    assert status("study", "study.json") == 130
    assert capsys.readouterr().err == "interrupted\n"

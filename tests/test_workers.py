"""Texts scored here and in other processes, which give the same and never outlive this one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sentiment_helpers import (
    BagClassifier,
    Blend,
    TokenIds,
    load,
    load_glove,
    score_csv,
    scoring,
)
from sentiment_helpers.scoring import _score_in_order, score_texts
from sentiment_helpers.storage.pt_file import CheckpointError

MODEL = Path(__file__).parents[1] / "models" / "RNN-report.pt"


@pytest.fixture(scope="module")
def model():
    return load(MODEL)


def test_known_words_of_each_kind_of_model(reviews):
    texts, labels = reviews["review"][:200], reviews["label"][:200]
    bag = make_pipeline(TokenIds(load_glove()), BagClassifier(max_epochs=1)).fit(texts, labels)
    some = ["the film zzzz", "qqqq!", "a é"]
    both = Blend([("bag", bag), ("again", bag)]).fit(texts, labels)
    none = make_pipeline(FunctionTransformer(), DummyClassifier()).fit(texts, labels)
    words = {"words": 7, "known": 4, "without_known_word": 0}
    for model, counted in [(bag, words), (both, words), (none, {})]:
        probabilities, counts = score_texts(model, some)
        assert counts == {"scored": 3} | counted
        assert probabilities == pytest.approx(model.predict_proba(some)[:, 1], abs=1e-7)


def test_workers_write_the_same_bytes(model, rated_file, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", 150)  # more parts than are under way at once
    reports = [
        score_csv(model, rated_file, tmp_path / str(workers), workers=workers) for workers in (1, 2)
    ]
    assert (tmp_path / "2").read_bytes() == (tmp_path / "1").read_bytes()
    assert replace(reports[0], seconds=0) == replace(reports[1], seconds=0)
    with pytest.raises(ValueError, match="workers is 0"):
        score_csv(model, rated_file, workers=0)


def test_no_more_is_read_than_keeps_them_busy(model):
    taken = []

    def parts():
        for number in range(20):
            taken.append(number)
            yield ["good"], number

    for done, (number, probabilities, _) in enumerate(_score_in_order(model, parts(), workers=2)):
        assert number == done
        assert len(taken) <= done + 5
        assert probabilities == pytest.approx(model.predict_proba(["good"])[:, 1])
    assert len(taken) == 20


def test_processes_share_the_cores(model, monkeypatch):
    given = []
    monkeypatch.setattr(scoring, "cpu_count", lambda: 7)
    monkeypatch.setattr(
        scoring, "ProcessPoolExecutor", lambda *_, env, **__: given.append(env) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        list(_score_in_order(model, [], workers=3))
    assert given == [{"OMP_NUM_THREADS": "2"}]


def test_wide_models_score_few_reviews_at_once(model, reviews, monkeypatch):
    texts = reviews["review"][:50].tolist()
    (expected, counts), sizes = score_texts(model, texts), []
    monkeypatch.setattr(scoring, "VALUES_AT_ONCE", 1000)
    real = scoring._score_together
    monkeypatch.setattr(scoring, "_score_together", lambda m, t: sizes.append(len(t)) or real(m, t))
    probabilities, counted = score_texts(model, texts)
    assert sizes == [20, 20, 10]  # of 50 values each
    assert counted == counts
    assert probabilities == pytest.approx(expected, abs=1e-7)
    for members in ([("a", model)], [("a", make_pipeline(FunctionTransformer())), ("b", model)]):
        assert scoring._values_per_review(Blend(members)) == 50


class NoNumber(DummyClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def test_a_probability_that_is_no_number(rated_file, tmp_path):
    model = make_pipeline(FunctionTransformer(), NoNumber()).fit([[0], [1]], [0, 1])
    with pytest.raises(CheckpointError, match="not finite: train it again"):
        score_csv(model, rated_file, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dies", [lambda *_: os._exit(1), lambda *_: os.abort()])
def test_a_worker_that_dies(model, rated_file, tmp_path, monkeypatch, dies):
    monkeypatch.setattr(scoring, "_score_with_file", dies)
    with pytest.raises(ChildProcessError, match="use fewer than 2"):
        score_csv(model, rated_file, tmp_path / "out.csv", workers=2)
    assert list(tmp_path.iterdir()) == []


def test_workers_need_a_model_that_can_be_saved(rated_file):
    model = make_pipeline(FunctionTransformer(), DummyClassifier()).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="2 workers need a model that can be saved: a pipeline"):
        score_csv(model, rated_file, workers=2)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(rated_file, tmp_path, sent):
    """As a terminal does it, with a signal to each process; or as `kill` does, to the first."""
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "sentiment_helpers", "score", str(MODEL), "-", "--output",
               str(folder / "out.csv"), "--workers", "2"]  # fmt: skip
    rows = rated_file.read_bytes()
    rows += rows.partition(b"\n")[2] * 30
    options = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(command, **options) as process:
        process.stdin.write(rows)
        process.stdin.close()
        while not folder.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
        error = process.stderr.read()
    assert (process.returncode, error) == (130, b"interrupted\n")
    assert list(folder.iterdir()) == []


def test_workers_end_with_their_parent(tmp_path):
    """Which is killed while they score the same text again and again."""
    code = (
        "import sentiment_helpers as sh\n"
        "from sentiment_helpers.scoring import _score_in_order as score_in_order\n"
        "from itertools import repeat\n"
        "if __name__ == '__main__':\n"
        "    parts = repeat((['a good film'], 0))\n"
        f"    for _ in score_in_order(sh.load({str(MODEL)!r}), parts, 2): print('.', flush=True)\n"
    )
    (tmp_path / "score.py").write_text(code)
    command = [sys.executable, str(tmp_path / "score.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(2) == b".\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        process.kill()
    end = time.monotonic() + 20
    while any(alive(pid) for pid in children) and time.monotonic() < end:
        time.sleep(0.05)
    assert [pid for pid in children if alive(pid)] == []


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"

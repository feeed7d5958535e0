"""Texts scored here and in other processes: the same results, and no process outlives this one."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
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
from sentiment_helpers.scoring import score_texts
from sentiment_helpers.storage.pt_file import CheckpointError

MODEL = Path(__file__).parents[1] / "models" / "RNN-report.pt"
MOMENTS = (0.05, 0.2, 0.6, 1.5, 5)  # seconds after the first worker starts


@pytest.fixture(scope="module")
def model():
    return load(MODEL)


def test_blank_texts_are_not_scored(model):
    probabilities, counts = score_texts(model, ["good", " \n", "", "bad"])
    assert np.isnan(probabilities).tolist() == [False, True, True, False]
    assert probabilities[[0, 3]] == pytest.approx(model.predict_proba(["good", "bad"])[:, 1])
    assert counts["scored"] == 2
    assert score_texts(model, [])[0].shape == (0,)


def test_each_kind_of_model_reads_texts_once(reviews, monkeypatch):
    """The words are counted then, for a blend by its first model."""
    texts, labels = reviews["review"][:200], reviews["label"][:200]
    glove = load_glove()
    bag = make_pipeline(TokenIds(glove), BagClassifier(max_epochs=1)).fit(texts, labels)
    pairs = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, labels)
    blend = Blend([("bag", bag), ("pairs", pairs)]).fit(texts, labels)
    outer = Blend([("bag", bag), ("blend", blend)]).fit(texts, labels)
    foreign = make_pipeline(FunctionTransformer(), DummyClassifier()).fit(texts, labels)
    some = ["the film zzzz", "qqqq!", "a é"]
    counted = {"scored": 3, "words": 7, "known": 4, "without_known_word": 0}
    expected = [model.predict_proba(some)[:, 1] for model in (bag, blend, pairs, foreign, outer)]
    reads, read = [], TokenIds.transform_counted
    monkeypatch.setattr(TokenIds, "transform_counted", lambda *a: reads.append(1) or read(*a))
    for model, counts in [
        (bag, counted), (blend, counted), (pairs, {"scored": 3}), (foreign, {"scored": 3}),
    ]:  # fmt: skip
        probabilities, found = score_texts(model, some)
        assert found == counts
        assert (probabilities == expected.pop(0)).all()
    assert len(reads) == 2
    assert (score_texts(outer, some)[0] == expected[0]).all()


def test_workers_write_the_same_but_for_last_digits(model, rated_file, tmp_path, monkeypatch):
    monkeypatch.setattr(scoring, "ROWS_AT_ONCE", 150)  # more blocks than are read ahead
    reports, rows, texts = [], [], []
    for workers in (1, 2):
        reports.append(score_csv(model, rated_file, tmp_path / f"{workers}", workers=workers))
        rows.append(pd.read_csv(tmp_path / f"{workers}", sep="\t"))
        written = (tmp_path / f"{workers}").read_text()
        texts.append(re.sub(r"\t[0-9.e-]+\t([01]\n)", r"\t\1", written))
    assert texts[0] == texts[1]
    assert rows[0]["probability"].to_numpy() == pytest.approx(rows[1]["probability"], abs=1e-5)
    assert reports[0].scores == pytest.approx(reports[1].scores, abs=1e-5)
    first, second = (replace(report, rows_per_second=0, scores=None) for report in reports)
    assert first == second


def test_number_of_workers(model, rated_file):
    for number in (0, 1.5, 1025):
        with pytest.raises(ValueError, match=f"workers is {number}"):
            score_csv(model, rated_file, workers=number)


def test_workers_need_a_model_that_can_be_saved(rated_file, tmp_path):
    foreign = make_pipeline(FunctionTransformer(), DummyClassifier()).fit([[0], [1]], [0, 1])
    with pytest.raises(ValueError, match="2 workers need a model that can be saved: FunctionTr"):
        score_csv(foreign, rated_file, tmp_path / "out.csv", workers=2)
    assert list(tmp_path.iterdir()) == []


def test_few_blocks_are_read_ahead(model):
    """However slowly the results are taken."""
    read, before = [], set(multiprocessing.active_children())

    def blocks():
        for number in range(20):
            read.append(number)
            yield ["good"], number

    scored = scoring._score_in_order(model, blocks(), workers=2)
    for done, (number, probabilities, counts) in enumerate(scored):
        assert number == done
        assert len(read) <= done + 5
        assert probabilities == pytest.approx(model.predict_proba(["good"])[:, 1])
        assert counts["known"] == 1
        time.sleep(0.02)
    assert len(read) == 20
    assert set(multiprocessing.active_children()) <= before


def test_workers_share_the_cores(model, monkeypatch):
    monkeypatch.setattr(scoring, "cpu_count", lambda: 7)
    given = []
    monkeypatch.setattr(
        scoring, "ProcessPoolExecutor", lambda *_, env, **__: given.append(env) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        list(scoring._score_in_order(model, [], workers=3))
    code = "import torch, pyarrow; print(torch.get_num_threads(), pyarrow.cpu_count())"
    threads = subprocess.check_output([sys.executable, "-c", code], env=os.environ | given[0])
    assert threads == b"2 2\n"


def test_wide_models_score_few_reviews_at_once(model, reviews, monkeypatch):
    texts = reviews["review"][:50].tolist()
    expected, counts = score_texts(model, texts)
    sizes, together = [], scoring._score_together
    monkeypatch.setattr(scoring, "VALUES_AT_ONCE", 1000)
    monkeypatch.setattr(
        scoring, "_score_together", lambda m, t: sizes.append(len(t)) or together(m, t)
    )
    probabilities, found = score_texts(model, texts)
    assert sizes == [20, 20, 10]  # of 50 values each
    assert found == counts
    assert probabilities == pytest.approx(expected, abs=1e-7)
    for members in ([("a", model)], [("a", make_pipeline(FunctionTransformer())), ("b", model)]):
        assert scoring._values_per_review(Blend(members)) == 50


class NoNumber(DummyClassifier):
    def predict_proba(self, X):
        return np.full((len(X), 2), np.nan)


def test_a_probability_that_is_not_finite(rated_file, tmp_path):
    model = make_pipeline(FunctionTransformer(), NoNumber()).fit([[0], [1]], [0, 1])
    with pytest.raises(CheckpointError, match="not finite: train it again"):
        score_csv(model, rated_file, tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies(model, rated_file, tmp_path, monkeypatch):
    before = set(multiprocessing.active_children())
    monkeypatch.setattr(scoring, "_score_with_file", lambda *_: os._exit(1))
    with pytest.raises(ChildProcessError, match="use fewer than 2"):
        score_csv(model, rated_file, tmp_path / "out.csv", workers=2)
    assert list(tmp_path.iterdir()) == []
    assert set(multiprocessing.active_children()) <= before


def alive(session):
    """The processes of a session, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            command = (folder / "cmdline").read_text()
        except OSError:  # it has ended
            continue
        if int(of) == session and state != "Z":
            found[int(folder.name)] = command
    return found


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.002)
    return value


def workers_of(session):
    return [pid for pid, command in alive(session).items() if "popen_loky" in command]


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "to", "quick"),
    [
        (signal.SIGKILL, "a worker", MOMENTS[1:2]),
        (signal.SIGINT, "all", MOMENTS[:1]),  # as a terminal does
        (signal.SIGINT, "the command", ()),
        (signal.SIGTERM, "the command", ()),
    ],
)
def test_ended_at_any_moment(rated_file, tmp_path, cases, tried, sent, to, quick):
    """One sentence, the documented status, and no process or file is left."""
    rows = rated_file.read_bytes()
    (tmp_path / "in").write_bytes(rows + rows.partition(b"\n")[2] * 30)
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "sentiment_helpers", "score", MODEL, tmp_path / "in",
               "--output", tmp_path / "out" / "out.csv", "--workers", "2"]  # fmt: skip
    options = {"env": os.environ | {"TMPDIR": str(tmp_path / "temporary")}}
    options |= {"stderr": subprocess.PIPE, "start_new_session": True}
    for moment in MOMENTS if cases >= 2000 else quick:
        with subprocess.Popen(command, **options) as process:
            (worker, *_) = wait_for(lambda: workers_of(process.pid), 120)
            time.sleep(moment)
            start = time.monotonic()
            if to == "all":
                os.killpg(process.pid, sent)
            else:
                os.kill(worker if to == "a worker" else process.pid, sent)
            error = process.stderr.read().decode()
        assert wait_for(lambda: not alive(process.pid), 20)
        assert time.monotonic() - start < 20
        if to == "a worker":
            assert process.returncode == 2
            assert re.fullmatch("a worker process died, .* use fewer than 2\n", error)
        else:
            assert (process.returncode, error) == (130, "interrupted\n")
        assert [*(tmp_path / "out").iterdir(), *(tmp_path / "temporary").iterdir()] == []
        tried["commands with two workers, ended while they start or score"][
            f"by {sent.name} to {to}"
        ] += 1


@pytest.mark.slow
def test_workers_end_with_their_parent(tmp_path):
    """A script without a main guard, killed while it scores the same text again and again."""
    (tmp_path / "script.py").write_text(
        "from itertools import repeat\n"
        "from sentiment_helpers import load, scoring\n"
        "blocks = repeat((['a good film'], 0))\n"
        f"for _ in scoring._score_in_order(load({str(MODEL)!r}), blocks, 2):\n"
        "    print('.', flush=True)\n"
    )
    (tmp_path / "temporary").mkdir()
    options = {"stdout": subprocess.PIPE, "start_new_session": True, "stderr": subprocess.DEVNULL}
    options["env"] = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen([sys.executable, tmp_path / "script.py"], **options) as process:
        assert process.stdout.read(2) == b".\n"
        assert len(workers_of(process.pid)) == 2
        process.kill()
        assert wait_for(lambda: not alive(process.pid), 20)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_ctrl_c_in_a_finalizer_is_not_lost():
    """Python ignores exceptions in `__del__`."""
    code = (
        "import signal, sys, time\n"
        "from sentiment_helpers.__main__ import _interrupt_again\n"
        "sys.unraisablehook = _interrupt_again\n"
        "class Interrupted:\n"
        "    def __del__(self): signal.raise_signal(signal.SIGINT)\n"
        "class Wrong:\n"
        "    def __del__(self): 1 / 0\n"
        "Wrong()\n"
        "try:\n"
        "    Interrupted()\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.stdout == b"interrupted\n"
    assert ended.stderr.count(b"Exception ignored") == ended.stderr.count(b"ZeroDivision") == 1

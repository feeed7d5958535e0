"""Processes killed at any moment, and two that write one file: it is the old one or the new."""

import random
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from sentiment_helpers import load, load_glove, save, score_csv

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]
ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "RNN-report.pt"


@pytest.fixture(scope="module")
def processes():
    """Each is a copy of one that has imported everything and done nothing yet."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.test_killed", "sentiment_helpers.scoring"])
    run(context.Process(target=load_glove))
    return context


def run(process):
    process.start()
    process.join()
    assert process.exitcode == 0


def scoring(folder):
    score_csv(load(MODEL), folder / "in.csv", folder / "result", overwrite=True)


def scoring_compressed(folder):
    score_csv(load(MODEL), folder / "in.csv", folder / "result.gz", overwrite=True)


def saving(folder):
    save(load(MODEL), folder / "result")


def parsing(folder):
    load_glove(folder / "vectors.txt")


@pytest.fixture
def folder(reviews, tmp_path):
    reviews[:300].to_csv(tmp_path / "in.csv", index=False)
    glove = load_glove()
    with (tmp_path / "vectors.txt").open("w", encoding="utf-8") as file:
        for word, values in zip(glove.words[:3000], glove.vectors, strict=False):
            file.write(" ".join([word, *map(repr, values.tolist())]) + "\n")
    return tmp_path


@pytest.mark.parametrize(
    ("work", "name"), [(scoring, "result"), (scoring_compressed, "result.gz"), (saving, "result")]
)
def test_killed_at_any_moment(processes, folder, cases, tried, work, name):
    result, old = folder / name, b"what was there before"
    run(processes.Process(target=work, args=(folder,)))
    new = result.read_bytes()
    seconds = lasts(processes, work, folder)
    rng, before = random.Random(cases), set(folder.iterdir())
    counts = tried[f"processes killed while {work.__name__.replace('_', ' ')}"]
    for _ in range(max(cases // 10, 10)):
        result.write_bytes(old)
        kill(processes.Process(target=work, args=(folder,)), rng.uniform(0, 1.2 * seconds))
        now = result.read_bytes()
        assert now in (old, new)
        counts["with the old file" if now == old else "with the new file"] += 1
        stray = set(folder.iterdir()) - before
        assert all(path.name.startswith(".") and path.suffix == ".part" for path in stray)
        for path in stray:
            tried["unfinished files that they left"]["hidden, and taken for nothing"] += 1
            path.unlink()
    if cases >= 2000:
        assert len(counts) == 2  # some were killed before the end, some after it


def lasts(processes, work, folder):
    start = time.perf_counter()
    run(processes.Process(target=work, args=(folder,)))
    return time.perf_counter() - start


def kill(process, after):
    process.start()
    time.sleep(after)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)


def caches(folder):
    return sorted(path for path in folder.glob("vectors.txt.*"))


def test_killed_while_a_cache_is_filled(processes, folder, cases, tried):
    """What is left of it is never opened as vectors."""
    seconds, expected = lasts(processes, parsing, folder), load_glove().vectors[:3000]
    rng = random.Random(cases)
    for _ in range(max(cases // 10, 10)):
        for path in folder.glob("*vectors.txt.*"):
            path.unlink()
        kill(processes.Process(target=parsing, args=(folder,)), rng.uniform(0, 1.2 * seconds))
        made = len(caches(folder))
        glove = load_glove(folder / "vectors.txt")
        assert np.array_equal(glove.vectors, expected)
        assert len(glove.words) == 3000
        assert len(caches(folder)) == 2
        tried["processes killed while filling a GloVe cache"][f"with {made} of 2 files"] += 1


def at_once(barrier, work, folder):
    barrier.wait()
    work(folder)


@pytest.mark.parametrize("work", [saving, parsing, scoring])
def test_two_processes_write_the_same_file(processes, folder, cases, tried, work):
    work(folder)
    written = [folder / "result"] if work is not parsing else caches(folder)
    expected = [path.read_bytes() for path in written]
    before = set(folder.iterdir())
    for _ in range(max(cases // 40, 5)):
        for path in written:
            path.unlink()
        barrier = processes.Barrier(2)
        both = [processes.Process(target=at_once, args=(barrier, work, folder)) for _ in "ab"]
        for process in both:
            process.start()
        for process in both:
            process.join()
            assert process.exitcode == 0
        assert [path.read_bytes() for path in written] == expected
        assert set(folder.iterdir()) == before
        tried[f"pairs of processes {work.__name__} at once"]["with one whole result"] += 1

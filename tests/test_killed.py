"""Processes killed at any moment: a file is the old one or the new one."""

import random
import signal
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from sentiment_helpers import load, load_glove, save, score_csv

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]
MODEL = Path(__file__).parents[1] / "models" / "RNN-report.pt"


@pytest.fixture(scope="module")
def processes():
    """Each is a copy of one that has imported everything and done nothing yet."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.test_killed", "sentiment_helpers.scoring"])
    run(context.Process(target=load_glove))
    return context


def run(process, kill_after=None):
    process.start()
    if kill_after is not None:
        time.sleep(kill_after)
        process.kill()
    process.join()
    assert process.exitcode in ((0,) if kill_after is None else (0, -signal.SIGKILL))


def score(folder):
    score_csv(load(MODEL), folder / "in.csv", folder / "out.csv.gz", overwrite=True)


def save_model(folder):
    save(load(MODEL), folder / "m.pt")


def read_vectors(folder):
    load_glove(folder / "vectors.txt")


@pytest.fixture
def folder(reviews, tmp_path):
    reviews[:300].to_csv(tmp_path / "in.csv", index=False)
    glove = load_glove()
    with (tmp_path / "vectors.txt").open("w", encoding="utf-8") as file:
        for word, values in zip(glove.words[:3000], glove.vectors, strict=False):
            file.write(" ".join([word, *map(repr, values.tolist())]) + "\n")
    return tmp_path


@pytest.mark.parametrize("work", [score, save_model, read_vectors])
def test_killed_at_any_moment(processes, folder, cases, tried, work):
    """What was there before stays, or the whole new file is there; for vectors, it is a cache."""
    given, old = set(folder.iterdir()), b"what was there before"
    start = time.perf_counter()
    run(processes.Process(target=work, args=(folder,)))
    seconds = time.perf_counter() - start
    new = {path: path.read_bytes() for path in set(folder.iterdir()) - given}
    counts = tried[f"processes killed: {work.__name__.replace('_', ' ')}"]
    rng = random.Random(cases)
    for _ in range(max(cases // 10, 10)):
        for path in new:
            path.unlink() if work is read_vectors else path.write_bytes(old)
        process = processes.Process(target=work, args=(folder,))
        run(process, rng.uniform(0, 1.2 * seconds))
        if work is read_vectors:
            counts["with a cache" if all(map(Path.exists, new)) else "without one"] += 1
            assert np.array_equal(load_glove(folder / "vectors.txt").vectors,
                                  load_glove().vectors[:3000])  # fmt: skip
        else:
            (there,) = {path.read_bytes() for path in new}
            assert there in (old, *new.values())
            counts["with the old file" if there == old else "with the new file"] += 1
        for path in set(folder.iterdir()) - given - new.keys():
            assert path.name.startswith(".")
            assert path.suffix == ".part"  # hidden, and taken for nothing
            path.unlink()
    if cases >= 2000:
        assert len(counts) == 2  # some were killed before the end, some after it

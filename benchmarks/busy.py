"""Measures the same work on quiet cores and beside busy processes, as on a shared server."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import sentiment_helpers as sh
from benchmarks.measure import alone
from benchmarks.stages import MODELS, bundled
from sentiment_report import experiments

BUSY_PER_CORE = 2
HEAD = """| work | quiet | beside busy processes | CPU, busy / quiet | target |
|---|---|---|---|---|"""


class Seconds(NamedTuple):
    """Of wall time, and of all cores together."""

    wall: float
    cpu: float


def scoring(rows: int) -> Seconds:
    """Score a file with words in order."""
    model = sh.load(MODELS / "RNN.pt")
    with TemporaryDirectory() as folder:
        source = Path(folder) / "reviews.csv"
        bundled(rows)[["review"]].to_csv(source, index=False)
        return _seconds(lambda: sh.score_csv(model, source, f"{source}.scored"))


def words_in_order(rows: int) -> Seconds:
    """An epoch of LSTM 1×64 on words in order, from reviews to trained weights."""
    reviews, glove = bundled(rows), sh.load_glove()
    ids = sh.TokenIds(glove).fit_transform(reviews["review"])
    small = {"max_epochs": 1, "hidden_size": 64, "pair_size": 0, "domain_size": 0}
    classifier = sh.WordBiRNNClassifier(glove, **small)
    return _seconds(lambda: classifier.fit(ids, reviews["label"].to_numpy()))


def report_network(rows: int) -> Seconds:
    """Three epochs of the report's network."""
    reviews = bundled(rows)
    X = sh.MeanEmbedding(sh.load_glove()).fit_transform(reviews["review"])
    classifier = experiments.classifier("gru-5", max_epochs=3)
    return _seconds(lambda: classifier.fit(X, reviews["label"].to_numpy()))


def busy(rows: int | None = None) -> list[str]:
    """A row for each work."""
    works = (
        ("scoring {:,} rows, words in order", scoring, rows or 2000),
        ("an epoch of LSTM 1×64, {:,} reviews in order", words_in_order, rows or 2000),
        ("three epochs of GRU 5×8, {:,} rows", report_network, rows or 20_000),
    )
    found = []
    for title, work, count in works:
        quiet = alone(work, count)
        with busy_processes():
            beside = alone(work, count)
        cells = [f"{s.wall:.1f} s, {s.cpu:.1f} s of CPU" for s in (quiet, beside)]
        ratio = f"**{beside.cpu / quiet.cpu:.2f} ×**"
        found.append(f"| {' | '.join([title.format(count), *cells, ratio, '≤ 1.3 ×'])} |")
    return found


@contextmanager
def busy_processes() -> Iterator[None]:
    """In this block, `BUSY_PER_CORE` processes for each core do nothing but count."""
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(BUSY_PER_CORE * os.cpu_count())]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _seconds(work: Callable) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)

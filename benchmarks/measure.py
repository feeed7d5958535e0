"""Measures seconds and bytes of a function, and checks that two methods give the same results."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHORT = 10.0  # seconds; a shorter function runs three times, and the shortest time counts


class NotTheSame(AssertionError):
    """The two methods give different results."""


@dataclass(frozen=True)
class Run:
    """Seconds, and bytes of peak memory beyond what the process used before."""

    seconds: float
    memory: int | None


@dataclass(frozen=True)
class Line:
    """A row of the table; nothing is compared where `usual` is None."""

    stage: str
    ours: Run
    usual: Run | None
    target: str


def alone(function: Callable, *arguments):
    """The result of `function` in a new process, unaffected by what ran before."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(function, *arguments).result()


def measured(function: Callable, repeats: int = 3) -> tuple[object, Run]:
    """The result of `function`, its shortest time and the memory of its first run."""
    before = memory("VmRSS", reset=True)
    times, result = [], None
    for repeat in range(repeats):
        begin = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - begin)
        if repeat == 0:
            peak = memory("VmHWM")
        if times[0] > SHORT:
            break
    return result, Run(min(times), None if peak is None else peak - before)


def memory(kind: str, reset: bool = False) -> int | None:
    """Bytes of memory that this process uses now ("VmRSS"), or its peak since the last `reset`
    ("VmHWM"). None if the system is not Linux."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        return None
    if reset:
        clear.write_text("5")
    line = next(line for line in status.read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024


@contextmanager
def one_core() -> Iterator[None]:
    """Run the block, and the threads started in it, on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def check(name: str, ours, usual, tolerance: float) -> None:
    """Raise `NotTheSame` if any value differs by more than `tolerance`."""
    ours, usual = np.asarray(ours), np.asarray(usual)
    if ours.shape != usual.shape:
        raise NotTheSame(f"{name}: shape {ours.shape} here, {usual.shape} with the usual method")
    same = ours == usual if tolerance == 0 else abs(ours - usual) <= tolerance
    if not same.all():
        raise NotTheSame(f"{name}: {(~same).sum():,} of {same.size:,} values differ")

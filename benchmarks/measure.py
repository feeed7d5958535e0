"""Seconds and bytes of one side of a comparison, and whether both sides computed the same."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHORT = 10.0  # seconds: what takes less is run three times, and the least time counts


class NotTheSame(AssertionError):
    """The two sides of a comparison computed different things."""


@dataclass(frozen=True)
class Run:
    """What one side came to: seconds, and bytes of memory beyond what was there before."""

    seconds: float
    memory: int | None


@dataclass(frozen=True)
class Line:
    """A line of the table; without `theirs`, nothing is compared."""

    stage: str
    ours: Run
    theirs: Run | None
    target: str


def alone(function: Callable, *arguments):
    """What `function` returns in a process of its own, where nothing before it left anything."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(function, *arguments).result()


def measured(function: Callable, repeats: int = 3) -> tuple[object, Run]:
    """What `function` returns, the least seconds it took, and the memory of the first time."""
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
    """Bytes of this process's memory now (VmRSS), or at most (VmHWM) since the last `reset`; None
    where the system is not Linux."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        return None
    if reset:
        clear.write_text("5")
    line = next(line for line in status.read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) * 1024


@contextmanager
def one_core() -> Iterator[None]:
    """This process, and the threads that it starts inside, on one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def check(name: str, ours, theirs, tolerance: float) -> None:
    """Raise `NotTheSame` where a value differs by more than `tolerance`."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise NotTheSame(f"{name}: {ours.shape} here, {theirs.shape} there")
    same = ours == theirs if tolerance == 0 else abs(ours - theirs) <= tolerance
    if not same.all():
        raise NotTheSame(f"{name}: {(~same).sum():,} of {same.size:,} values differ")

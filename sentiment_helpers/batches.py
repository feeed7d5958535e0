"""Rows in batches: reviews of similar lengths together, and large batches for predictions. And
the threads, each of which takes a whole piece of work."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, local
from typing import NamedTuple

import joblib
import torch
from torch import Generator, Tensor, nn

EVAL_WORDS = 2**15  # columns times rows of a batch without gradients
SORTED_BATCHES = 50  # batches whose rows are sorted by length
_here, _setting = local(), Lock()  # of `one_thread`


class Rows(NamedTuple):
    """Inputs (N, …) and labels (N,) float32 of 0 and 1; perhaps lengths (N,) int64 on the CPU: how
    many leading columns are no padding."""

    inputs: Tensor
    labels: Tensor
    lengths: Tensor | None = None

    def batches(self, batch_size: int, order: Generator) -> Iterator["Rows"]:
        """All rows, in batches and in a new order. Rows of similar lengths are together."""
        numbers = torch.randperm(len(self.inputs), generator=order)
        batches = numbers.split(batch_size)
        if self.lengths is not None:
            batches = []
            for part in numbers.split(batch_size * SORTED_BATCHES):
                batches += part[self.lengths[part].argsort(stable=True)].split(batch_size)
            batches = [batches[i] for i in torch.randperm(len(batches), generator=order)]
        return map(self.chosen, batches)

    def chosen(self, numbers: Tensor) -> "Rows":
        """The rows with these numbers, as wide as the longest of them."""
        rows = Rows(*(part if part is None else part[numbers.to(part.device)] for part in self))
        longest = None if rows.lengths is None else int(rows.lengths.max())
        return rows._replace(inputs=rows.inputs[:, :longest])

    def halves(self) -> list["Rows"]:
        """The rows in two pieces, for two threads, or in one: where they are on a GPU, or so short
        that threads would not pay."""
        if self.lengths is None or not self.inputs.is_cpu or len(self.inputs) < 2:
            return [self]
        return [self.chosen(torch.arange(start, len(self.inputs), 2)) for start in (0, 1)]


def predict_logits(network: nn.Module, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Logits (N,) of inputs (N, T, …), computed without dropout, in large batches with the longest
    rows first. Which rows share a batch changes only the last bits, since matrix libraries then add
    in another order."""
    if lengths is None:
        lengths = torch.full((len(inputs),), inputs.shape[1])
    network.eval()
    order, parts = lengths.argsort(stable=True, descending=True).to(inputs.device), []
    while len(order):
        size = max(EVAL_WORDS // int(lengths[order[0]]), 1)
        parts.append(order[:size])
        order = order[size:]

    def compute(rows: Tensor) -> Tensor:
        with torch.inference_mode():
            return network(inputs[rows, : lengths[rows[0]]])

    logits = torch.empty(len(inputs), dtype=torch.float32, device=inputs.device)
    run = each if inputs.is_cpu else map
    with one_thread():
        for rows, found in zip(parts, run(compute, parts), strict=True):
            logits[rows] = found
    return logits


@contextmanager
def one_thread() -> Iterator[None]:
    """In this block, one thread computes each operation of this thread; `each` has more threads, as
    many as PyTorch and the machine allow.

    Threads inside an operation wait for each other, which on busy cores takes many times longer
    than the operation. So do numbers below 1e-38, where Adam's averages of a rare word's weights
    end: they count as 0.
    """
    if hasattr(_here, "pool"):  # in such a block already
        yield
        return
    flushed = (torch.full((), 1e-40, dtype=torch.float32) * 1).item() == 0
    threads, _here.pool = compute_alone(), None
    try:
        if (count := min(threads, joblib.cpu_count())) > 1:
            _here.pool = ThreadPoolExecutor(count, initializer=compute_alone)
        yield
    finally:
        if _here.pool:
            _here.pool.shutdown(cancel_futures=True)
        del _here.pool
        if threads > 1:  # or later threads would be limited, too
            torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def compute_alone() -> int:
    """From now on, one thread computes what this thread asks for; returns how many there were."""
    torch.set_flush_denormal(True)
    with _setting:
        if (threads := torch.get_num_threads()) > 1:
            torch.set_num_threads(1)  # for this thread, and for those that start later
            with ThreadPoolExecutor(1) as other:  # only for the latter
                other.submit(torch.set_num_threads, threads)
    return threads


def each(function: Callable, *given: Sequence) -> list:
    """What `map` gives for equally long sequences, whose items are pieces of work. In a block of
    `one_thread`, they are computed side by side."""
    pool = getattr(_here, "pool", None)
    return [*(pool.map if pool and len(given[0]) > 1 else map)(function, *given)]

"""Rows in batches: reviews of similar lengths together, and large batches for predictions."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, Thread, local
from typing import NamedTuple

import joblib
import torch
from torch import Generator, Tensor, nn
from torch.autograd.function import once_differentiable

EVAL_WORDS = 2**15  # columns times rows of a batch without gradients
SORTED_BATCHES = 50  # batches whose rows are sorted by length
_here, _setting = local(), Lock()  # of `one_thread`


class Rows(NamedTuple):
    """Inputs (N, …) and labels (N,) float32 of 0 and 1; perhaps lengths (N,) int64 on the CPU: how
    many leading columns are no padding; and weights (N,) float32 of the rows in the loss."""

    inputs: Tensor
    labels: Tensor
    lengths: Tensor | None = None
    weights: Tensor | None = None

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


def predict_logits(network: nn.Module, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Logits (N,) of inputs (N, T, …), computed without dropout, in large batches with the longest
    rows first. Which rows share a batch changes only the last bits, since matrix libraries then add
    in another order."""
    if lengths is None:
        lengths = torch.full((len(inputs),), inputs.shape[1])
    network.eval()
    logits = torch.empty(len(inputs), dtype=torch.float32, device=inputs.device)
    order = lengths.argsort(stable=True, descending=True).to(inputs.device)
    with torch.inference_mode(), one_thread():
        while len(order):
            longest = int(lengths[order[0]])
            rows = order[: max(EVAL_WORDS // longest, 1)]
            logits[rows], order = network(inputs[rows, :longest]), order[len(rows) :]
    return logits


@contextmanager
def one_thread() -> Iterator[None]:
    """In this block, one thread computes each operation of this thread; `side_by_side` has another.

    Threads inside an operation wait for each other, which on busy cores takes many times longer
    than the operation. So do numbers below 1e-38, where Adam's averages of a rare word's weights
    end: they count as 0.
    """
    if hasattr(_here, "spare"):  # in such a block already
        yield
        return
    flushed = (torch.full((), 1e-40, dtype=torch.float32) * 1).item() == 0
    threads, _here.spare = compute_alone(), None
    if min(threads, joblib.cpu_count()) > 1:
        _here.spare = ThreadPoolExecutor(1, initializer=compute_alone)
    try:
        yield
    finally:
        if _here.spare:
            _here.spare.shutdown()
        del _here.spare
        if threads > 1:  # or later threads would be limited, too
            torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def compute_alone() -> int:
    """From now on, one thread computes what this thread asks for; returns how many there were."""
    torch.set_flush_denormal(True)
    with _setting:
        if (threads := torch.get_num_threads()) > 1:
            torch.set_num_threads(1)  # for this thread, and for those that start later
            other = Thread(target=torch.set_num_threads, args=(threads,))  # only for the latter
            other.start()
            other.join()
    return threads


def side_by_side(modules: Sequence[nn.Module], inputs: Sequence[tuple]) -> Sequence[Tensor]:
    """What two modules give for their inputs. On a CPU, in a block of `one_thread`, they compute
    at the same time, and so do their gradients; values are the same to the last bit."""
    spare = getattr(_here, "spare", None)
    if spare is None or not inputs[0][0].is_cpu:
        return [module(*given) for module, given in zip(modules, inputs, strict=True)]
    parts = [[*given, *module.parameters()] for module, given in zip(modules, inputs, strict=True)]
    sizes, grad = (len(inputs[0]), len(parts[0])), torch.is_grad_enabled()
    return _SideBySide.apply(spare, modules, grad, sizes, *parts[0], *parts[1])


class _SideBySide(torch.autograd.Function):
    @staticmethod
    def forward(ctx, spare, modules, grad, sizes, *tensors):
        def compute(module, given):
            with torch.set_grad_enabled(grad):
                leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in given]
                return [*leaves, *module.parameters()], module(*leaves)

        inputs = [tensors[at : at + sizes[0]] for at in (0, sizes[1])]
        ctx.spare, ctx.computed = spare, _both(spare, compute, modules, inputs)
        return tuple(output.detach() for _, output in ctx.computed)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        def compute(computed, gradient):
            weights, output = computed
            wanted = [weight for weight in weights if weight.requires_grad]
            found = iter(torch.autograd.grad(output, wanted, gradient, allow_unused=True))
            return [next(found) if weight.requires_grad else None for weight in weights]

        first, second = _both(ctx.spare, compute, ctx.computed, gradients)
        return None, None, None, None, *first, *second


def _both(spare: ThreadPoolExecutor, compute: Callable, *given: Sequence) -> list:
    """As `map`, for two pieces of work, the second one in the other thread."""
    one, other = zip(*given, strict=True)
    second = spare.submit(compute, *other)
    return [compute(*one), second.result()]

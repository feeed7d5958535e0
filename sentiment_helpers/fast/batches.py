"""Rows in batches: rows of similar lengths together, and large batches for predictions.

The plain twin is a batch of any rows, as wide as all columns. Logits agree but for their last bits
(test_fast.py).
"""

import copy
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Generator, Tensor, nn

from sentiment_helpers.fast.processor import denormals_flushed

EVAL_ROWS = 8192  # in a batch without gradients
EVAL_WORDS = 2**15  # columns times rows of such a batch, where rows have lengths
SORTED_BATCHES = 50  # batches whose rows are sorted by length


class Rows(NamedTuple):
    """Inputs (N, …) and labels (N,) float32 of 0 and 1; perhaps lengths (N,) int64 on the CPU: how
    many leading columns are no padding; and weights (N,) float32 of the rows in the loss."""

    inputs: Tensor
    labels: Tensor
    lengths: Tensor | None = None
    weights: Tensor | None = None

    def check(self, side: str) -> Self:
        """These rows. `ValueError` where there are none, other numbers of inputs and labels, an
        input that is not finite, or a label other than 0 and 1."""
        inputs, labels, count = self.inputs, self.labels, len(self.inputs)
        if count != len(labels):
            raise ValueError(f"there are {count} rows of {side} inputs and {len(labels)} labels")
        if not count:
            raise ValueError(f"there are no {side} inputs: give at least one row")
        check_finite(inputs.cpu().numpy(), f"{side} inputs")
        wrong = ((labels != 0) & (labels != 1)).nonzero()
        if len(wrong):
            row = int(wrong[0, 0])
            raise ValueError(f"row {row} of the {side} labels is {labels[row].item()}, not 0 or 1")
        return self

    def draw_batches(self, batch_size: int, order: Generator) -> Iterator[tuple]:
        """Inputs, labels and weights of each batch, in a new order."""
        for rows in self._draw_numbers(batch_size, order):
            weights = None if self.weights is None else self.weights[rows]
            yield _select(self.inputs, rows, self.lengths), self.labels[rows], weights

    def _draw_numbers(self, batch_size: int, order: Generator) -> Iterable[Tensor]:
        numbers = torch.randperm(len(self.inputs), generator=order)
        if self.lengths is None:
            return numbers.split(batch_size)
        batches = []
        for some in numbers.split(batch_size * SORTED_BATCHES):
            batches += some[self.lengths[some].argsort(stable=True)].split(batch_size)
        return [batches[n] for n in torch.randperm(len(batches), generator=order).tolist()]


def predict_logits(
    network: nn.Module,
    inputs: Tensor,
    lengths: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Logits (N,) of inputs (N, …), computed in `dtype` in large batches without dropout.

    The other rows and their order change only the last bits of a logit: matrix libraries add in
    another order at another place of a batch. In float64, logits agree to 1e-12. In float32,
    rounding grows with the words of a review.
    """
    if dtype != torch.float32:  # which some devices do not have
        network, inputs = copy.deepcopy(network).cpu().to(dtype), inputs.cpu()
    network.eval()
    logits = torch.empty(len(inputs), dtype=dtype, device=inputs.device)
    with torch.inference_mode(), denormals_flushed():
        for rows, batch in _evaluation_batches(inputs, lengths):
            logits[rows] = network(batch.to(dtype) if batch.is_floating_point() else batch)
    return logits


def _evaluation_batches(
    inputs: Tensor, lengths: Tensor | None
) -> Iterator[tuple[Tensor | slice, Tensor]]:
    """Row numbers and inputs of large batches; with lengths, the longest rows first."""
    if lengths is None:
        for start in range(0, len(inputs), EVAL_ROWS):
            rows = slice(start, start + EVAL_ROWS)
            yield rows, inputs[rows]
        return
    order = lengths.argsort(stable=True, descending=True)
    while len(order):
        size = max(EVAL_WORDS // int(lengths[order[0]]), 1)
        rows, order = order[:size], order[size:]
        yield rows, _select(inputs, rows, lengths)


def _select(inputs: Tensor, rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Some rows of `inputs`, as wide as the longest of them."""
    chosen = inputs[rows.to(inputs.device)]
    return chosen if lengths is None else chosen[:, : int(lengths[rows].max())]


def check_finite(inputs: np.ndarray, name: str) -> None:
    """`ValueError` that names the first row of `inputs` (N, …), from 0, that is not finite."""
    finite = np.isfinite(inputs)
    if finite.all():
        return
    row, *column = place = tuple(np.argwhere(~finite)[0].tolist())
    held = "NaN" if np.isnan(inputs[place]) else "infinity (inf) or a number too large"
    holder = f"column {column[0]}" if len(column) == 1 else "it"
    raise ValueError(f"row {row} of the {name} is not finite: {holder} holds {held}")

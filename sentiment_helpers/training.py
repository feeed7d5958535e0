"""A trainer that knows nothing of the network it trains, nor of what its rows mean."""

import copy
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from sentiment_helpers.fast.flat_adam import Steps, shares
from sentiment_helpers.storage import training_state

EVAL_BATCH_SIZE = 8192  # rows; large, because evaluation keeps nothing for gradients
EVAL_VALUES = 2**15  # columns times rows of a batch whose rows have lengths, such as words
SORTED_TOGETHER = 50  # batches whose rows are sorted by length, so that each has like ones
SMALL_NETWORK = 100_000  # weights; the report's networks have at most 50,000
ROC_EVERY = 5  # epochs between two that keep their validation probabilities, as in the report


class EarlyStopping:
    """Stops once `patience` epochs were not better than the best one before them.

    Such epochs are counted whether or not they follow one another (report, 5th step: "patience
    two regardless if consecutive"). A loss equal to the best is not better.

    Args:
        patience: how many epochs without a new best validation loss end the training.
    """

    def __init__(self, patience: int):
        self.patience = patience
        self.best_loss = float("inf")
        self.best_epoch = 0  # 0: none yet
        self.misses = 0
        self._weights = None

    def step(self, epoch: int, loss: float, network: nn.Module) -> bool:
        """Take in an epoch's validation loss; True where training should stop now."""
        if loss < self.best_loss:
            weights = copy.deepcopy(network.state_dict())
            self._weights, self.best_loss, self.best_epoch = weights, loss, epoch
        else:
            self.misses += 1
        return self.misses >= self.patience

    def restore(self, network: nn.Module) -> None:
        """Give the network the weights of the best epoch; nothing happens before the first."""
        if self._weights is not None:
            network.load_state_dict(self._weights)


@dataclass
class History:
    """What a training went through.

    Attributes:
        epochs: one dictionary an epoch: `epoch` (from 1), `seconds`, `gradient_norm` (mean over
            batches, before clipping), `train_loss`, `valid_loss`, and what `metrics` returned
            under `train_…` and `valid_…`.
        best_epoch: the epoch whose weights the network has now.
        stopped: why it ended: "max_epochs", "patience", "interrupted", or "not finite" where the
            loss of the next epoch, which is not in `epochs`, was NaN or infinite.
        probabilities: for epochs 1, 6, 11, … and the last one, those of the validation rows.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = "max_epochs"
    probabilities: dict[int, np.ndarray] = field(default_factory=dict)


def fit(
    network: nn.Module,
    train: tuple[Tensor, Tensor],
    valid: tuple[Tensor, Tensor],
    *,
    lengths: tuple[Tensor | None, Tensor | None] = (None, None),
    lr: float = 1e-4,
    other_lr: Mapping[str, float] | None = None,
    schedule: str = "constant",
    batch_size: int = 64,
    max_epochs: int = 15,
    patience: int = 2,
    max_norm: float = 0.75,
    random_state: int = 1234,
    resume: str | os.PathLike | None = None,
    metrics: Callable[[np.ndarray, np.ndarray], Mapping[str, float]] | None = None,
    description: str | None = None,
) -> History:
    """Train `network` with Adam on binary cross-entropy, and leave it with its best weights.

    Args:
        network: maps a batch of inputs (B, …) to logits (B,).
        train, valid: inputs (N, …) and labels (N,) float32 of 0 and 1, on the network's device.
        lengths: of the rows in train and valid, (N,) int64 on the CPU: how many of a row's
            leading columns mean something; None: all. With them, a batch has rows of like
            lengths, cut to the longest.
        lr: Adam's learning rate.
        other_lr: learning rates of weights whose names begin with a key.
        schedule: "constant"; or "linear", learning rates that rise for the first `WARM_UP` of all
            steps in `max_epochs` and then fall to 0.
        batch_size: rows a step; the order is drawn anew each epoch.
        max_epochs, patience: the most epochs, and see `EarlyStopping`.
        max_norm: gradients with a greater norm, over all weights, are scaled down to it.
        random_state: seeds order and dropout; the global generators are left as they were.
        resume: a file that holds the state of the training after each epoch, written whole. Where
            it is there already, the training goes on from it, and ends as if it had never been
            cut off, bit for bit on one machine; the network must have the weights it started with
            then. A training that had ended comes back at once.
        metrics: from labels and probabilities (N,) to figures by name, taken each epoch.
        description: with it, a progress bar of that name shows each epoch's figures.

    Both sides of an epoch's figures are taken after it, with the same weights and dropout off:
    sums over rows, divided by rows. Ctrl-C ends the training and keeps the best epoch so far
    (before the end of the first epoch there is none, and it is raised); with `resume`, the same
    call goes on from there.

    Raises:
        ValueError: a side has no rows, other numbers of inputs and labels, an input that is not
            finite, or a label other than 0 and 1; the schedule is unknown; the first epoch's loss
            is not finite; or `resume` holds something else than the state of this training.
        TypeError: `resume` is no path.
        OSError: `resume` cannot be written.

    Warns:
        RuntimeWarning: a later epoch's loss is not finite; training ends, and the best epoch is
            kept.
    """
    sides = {"train": (*train, lengths[0]), "valid": (*valid, lengths[1])}
    _check("training", *train)
    _check("validation", *valid)
    lrs = {"": lr, **(other_lr or {})}
    state = None
    if resume is not None:
        parameters = {
            "lrs": lrs, "schedule": schedule, "batch_size": batch_size, "max_epochs": max_epochs,
            "patience": patience, "max_norm": max_norm, "random_state": random_state,
            "device": train[0].device.type,
        }  # fmt: skip
        fingerprint = training_state.fingerprint(network, chain(*sides.values()), parameters)
        state = training_state.read(resume, fingerprint)
    history, stopping = History(), EarlyStopping(patience)
    batches = -(-len(train[0]) // batch_size)
    step = Steps(network, lrs, shares(schedule, batches * max_epochs), max_norm)
    order = torch.Generator().manual_seed(random_state)
    bar = tqdm(
        total=max_epochs,
        desc=description,
        disable=description is None,
        file=sys.stdout,
        dynamic_ncols=True,
        bar_format="{desc} |{bar:10}| {n}/{total} epochs {elapsed}{postfix}",
    )
    devices = [train[0].device] if train[0].is_cuda else []
    parts = training_state.Parts(
        network, step, order, stopping, history, devices, batches, len(valid[0])
    )
    try:
        with torch.random.fork_rng(devices), _threads_for(network), bar:
            torch.manual_seed(random_state)
            if state is not None:
                parts.restore(state, resume)
                bar.update(len(history.epochs))
            while history.stopped == "max_epochs" and len(history.epochs) < max_epochs:
                epoch = len(history.epochs) + 1
                start = time.perf_counter()
                norm = _train_epoch(network, *train, lengths[0], step, batch_size, order)
                row = {"epoch": epoch, "gradient_norm": norm}
                for side, rows in sides.items():
                    figures, probabilities = _figures(network, *rows, metrics)
                    row |= {f"{side}_{name}": value for name, value in figures.items()}
                row["seconds"] = time.perf_counter() - start
                if not np.isfinite(row["train_loss"] + row["valid_loss"]):
                    wrong = f"the loss is not finite in epoch {epoch}: lower lr ({lr})"
                    if not history.epochs:
                        raise ValueError(f"{wrong}, or scale the inputs down")
                    history.stopped = "not finite"
                    kept = f"the weights of epoch {stopping.best_epoch} are kept"
                    warnings.warn(f"{wrong} to train on; {kept}", RuntimeWarning, stacklevel=2)
                    break
                history.epochs.append(row)
                if stopping.step(epoch, row["valid_loss"], network):
                    history.stopped = "patience"
                if (epoch - 1) % ROC_EVERY != 1:
                    history.probabilities.pop(epoch - 1, None)
                history.probabilities[epoch] = probabilities.astype(np.float32)
                if resume is not None:
                    training_state.write(resume, fingerprint, parts.state())
                bar.set_postfix_str(_summary(row), refresh=False)
                bar.update()
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        history.stopped = "interrupted"
        print(f"Interrupted: epoch {stopping.best_epoch} is the best so far, and is kept.")
    finally:
        stopping.restore(network)
        for weight in network.parameters():  # no longer parts of one tensor, see `Steps`
            weight.data = weight.data.clone()
        network.eval()
        history.best_epoch = stopping.best_epoch
    return history


def predict_logits(network: nn.Module, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Logits (N,) of inputs (N, …), dropout off, in large batches, without gradients. `lengths` as
    in `fit`; the order of the rows, and what is in a batch with them, changes nothing."""
    network.eval()
    with torch.inference_mode(), _denormals_flushed():
        if lengths is None:
            return torch.cat([network(batch) for batch in inputs.split(EVAL_BATCH_SIZE)])
        logits = torch.empty(len(inputs), device=inputs.device)
        order = lengths.argsort(stable=True, descending=True)
        while len(order):
            size = max(EVAL_VALUES // int(lengths[order[0]]), 1)
            batch, order = order[:size], order[size:]
            logits[batch] = network(_cut(inputs, batch, lengths))
        return logits


def gradient_norms(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """The norm of the loss's gradient in each weight of `network`, by the weight's name, for one
    batch with dropout off. The network's weights and gradients stay as they are."""
    network.eval()
    names, weights = zip(*network.named_parameters(), strict=True)
    loss = binary_cross_entropy_with_logits(network(inputs), labels)
    gradients = torch.autograd.grad(loss, weights)
    return {name: g.norm().item() for name, g in zip(names, gradients, strict=True)}


def check_finite(inputs: Tensor | np.ndarray, name: str) -> None:
    """`ValueError` that names the first row of `inputs` (N, …), from 0, which is not finite."""
    of_array = isinstance(inputs, np.ndarray)
    finite = np.isfinite(inputs) if of_array else inputs.isfinite().cpu().numpy()
    if finite.all():
        return
    row, *column = place = tuple(np.argwhere(~finite)[0].tolist())
    held = "NaN" if np.isnan(inputs[place].item()) else "infinity (inf) or a number too large"
    holder = f"column {column[0]}" if len(column) == 1 else "it"
    raise ValueError(f"row {row} of the {name} is not finite: {holder} holds {held}")


def _check(side: str, inputs: Tensor, labels: Tensor) -> None:
    """`ValueError` where nothing can be learned from these rows, or nothing measured on them."""
    if len(inputs) != len(labels):
        raise ValueError(f"there are {len(inputs)} rows of {side} inputs and {len(labels)} labels")
    if not len(inputs):
        raise ValueError(f"there are no {side} inputs: give at least one row")
    check_finite(inputs, f"{side} inputs")
    wrong = ((labels != 0) & (labels != 1)).nonzero()
    if len(wrong):
        row = int(wrong[0, 0])
        raise ValueError(f"row {row} of the {side} labels is {labels[row].item()}, not 0 or 1")


@contextmanager
def _threads_for(network: nn.Module) -> Iterator[None]:
    """One thread while a small network is trained: more gain nothing on its short operations,
    and where other work keeps the cores busy they wait for one another, a hundred times slower."""
    threads = torch.get_num_threads()
    if sum(weight.numel() for weight in network.parameters()) < SMALL_NETWORK:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Numbers below 1e-38 count as 0: a processor takes many times longer for each of them, and
    Adam's averages for weights that are seldom used, those of a rare word, end there."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def _train_epoch(network, inputs, labels, lengths, step, batch_size, order) -> float:
    """One pass over shuffled rows; the mean over batches of the gradient norm before clipping."""
    network.train()
    norms = []
    with _denormals_flushed():
        for batch in _batches(len(inputs), lengths, batch_size, order):
            logits = network(_cut(inputs, batch, lengths))
            norms.append(step(binary_cross_entropy_with_logits(logits, labels[batch])))
    return torch.stack(norms).mean().item()


def _figures(network, inputs, labels, lengths, metrics) -> tuple[dict[str, float], np.ndarray]:
    """The loss and what `metrics` returns, as plain numbers, and the probabilities (N,)."""
    logits = predict_logits(network, inputs, lengths)
    loss = binary_cross_entropy_with_logits(logits, labels).item()
    probabilities = torch.sigmoid(logits.double()).cpu().numpy()
    figures = {}
    if metrics is not None and np.isfinite(loss):  # metrics of NaN may raise
        figures = metrics(labels.cpu().numpy(), probabilities)
    plain = {name: np.asarray(value).item() for name, value in figures.items()}
    return plain | {"loss": loss}, probabilities


def _batches(count: int, lengths: Tensor | None, batch_size: int, order) -> Iterable[Tensor]:
    """The rows of each batch in an order drawn anew; with `lengths`, like ones go together."""
    rows = torch.randperm(count, generator=order)
    if lengths is None:
        return rows.split(batch_size)
    batches = []
    for some in rows.split(batch_size * SORTED_TOGETHER):
        batches += some[lengths[some].argsort(stable=True)].split(batch_size)
    return [batches[number] for number in torch.randperm(len(batches), generator=order).tolist()]


def _cut(inputs: Tensor, rows: Tensor, lengths: Tensor | None) -> Tensor:
    """Some rows of `inputs`, as wide as the longest of them."""
    chosen = inputs[rows.to(inputs.device)]
    return chosen if lengths is None else chosen[:, : int(lengths[rows].max())]


def _summary(row: dict[str, float]) -> str:
    """An epoch's figures in a line for the progress bar."""
    return " · ".join(
        f"{side} loss {row[f'{side}_loss']:.4f}"
        + (f", accuracy {row[f'{side}_accuracy']:.3f}" if f"{side}_accuracy" in row else "")
        for side in ("train", "valid")
    )

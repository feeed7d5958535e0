"""The trainer: early stopping on the validation loss, for any network that returns logits."""

import copy
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

from sentiment_helpers.fast.batches import Rows, predict_logits
from sentiment_helpers.fast.flat_optimizer import FlatOptimizer, lr_factors, optimizer_of
from sentiment_helpers.fast.processor import denormals_flushed, threads_for
from sentiment_helpers.storage.training_state import StateFile

BAR = {"bar_format": "{desc} |{bar:10}| {elapsed}, {remaining} left{postfix}"}
BAR |= {"mininterval": 0.5, "dynamic_ncols": True}
MEASURED_ROWS = 5000  # of training, at most, where rows have lengths: measuring is slow there
ROC_EVERY = 5  # epochs between two whose validation probabilities are kept, as in the report


class EarlyStopping:
    """Stops at the `patience`-th epoch that was no better than the best one before it.

    These epochs count whether or not they are consecutive (report, 5th step: "patience two
    regardless if consecutive"). A loss equal to the best is not better.
    """

    def __init__(self, patience: int):
        self.patience = patience
        self.best_loss = float("inf")
        self.best_epoch = 0  # 0: none yet
        self.misses = 0
        self._weights = None

    def step(self, epoch: int, loss: float, network: nn.Module) -> bool:
        """Record an epoch's validation loss; returns whether training should stop now."""
        if loss < self.best_loss:
            weights = copy.deepcopy(network.state_dict())
            self._weights, self.best_loss, self.best_epoch = weights, loss, epoch
        else:
            self.misses += 1
        return self.misses >= self.patience

    def restore(self, network: nn.Module) -> None:
        """Give the network the weights of the best epoch; before the first, do nothing."""
        if self._weights is not None:
            network.load_state_dict(self._weights)


@dataclass
class History:
    """The course of a training.

    Attributes:
        epochs: a dictionary an epoch: `epoch` (from 1), `seconds`, `gradient_norm` (mean over
            batches, before clipping), `train_loss`, `valid_loss`, and what `metrics` returned
            under `train_…` and `valid_…`.
        best_epoch: the epoch whose weights the network has now.
        stopped: why it ended: "max_epochs", "patience", "interrupted", or "not finite" where the
            loss of the next epoch, which is not in `epochs`, was NaN or infinite.
        probabilities: those of the validation rows, for epochs 1, 6, 11, … and the last one.
    """

    epochs: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = "max_epochs"
    probabilities: dict[int, np.ndarray] = field(default_factory=dict)

    def record(self, row: dict[str, float], probabilities: np.ndarray) -> None:
        self.epochs.append(row)
        if len(self.epochs) % ROC_EVERY != 2:  # the last epoch was no 1, 6, 11, …
            self.probabilities.pop(len(self.epochs) - 1, None)
        self.probabilities[len(self.epochs)] = probabilities.astype(np.float32)


class Training(NamedTuple):
    """All that changes while `fit` runs: `order` draws the order of rows, `noise` the dropouts."""

    network: nn.Module
    step: FlatOptimizer
    stopping: EarlyStopping
    history: History
    order: Generator
    noise: Generator


def fit(
    network: nn.Module,
    train: tuple[Tensor, ...],
    valid: tuple[Tensor, ...],
    *,
    optimizer: str = "adam",
    lr: float = 1e-4,
    embedding_lr: float | None = None,
    schedule: str = "constant",
    batch_size: int = 64,
    max_epochs: int = 15,
    patience: int = 2,
    max_norm: float = 0.75,
    random_state: int = 1234,
    resume: str | os.PathLike | None = None,
    metrics: Callable[[np.ndarray, np.ndarray], Mapping[str, float]] | None = None,
    description: str | None = None,
    keep_last: bool = False,
) -> History:
    """Train `network` on binary cross-entropy; it ends with its best weights.

    Args:
        network: maps a batch of inputs (B, …) to logits (B,).
        train, valid: inputs (N, …) and labels (N,) float32 on the network's device, perhaps with
            lengths (N,) and weights (N,); see `Rows`.
        optimizer: "adam", "adamw", "rmsprop", or "sgd" with a momentum of 0.9, which needs a
            greater `lr`. The rest are PyTorch's defaults, such as AdamW's weight decay of 0.01.
        lr, embedding_lr, max_norm: see `FlatOptimizer`.
        schedule: "constant"; or "linear": the learning rates rise for the first
            `flat_optimizer.WARM_UP` of all steps in `max_epochs`, then fall to 0.
        batch_size: rows a step; the order is drawn anew each epoch.
        max_epochs, patience: the most epochs, and see `EarlyStopping`.
        random_state: seeds order and dropout. Modules with an attribute `generator`, such as
            `networks.Dropout`, draw from one of this call's own; the global ones play no part.
        resume: a file with the state of the training, written whole after each epoch. An existing
            one is resumed: the result is the same as without the interruption, bit for bit on one
            CPU with the same number of threads. The network must have its first weights.
        metrics: from labels and probabilities (N,) to figures by name, computed each epoch.
        description: the title of a progress bar, and of a line an epoch; None shows nothing.
        keep_last: the last epoch counts as the best one, whatever its loss.

    An epoch's figures are computed after it without dropout: means over rows, losses weighted.
    Where rows have lengths, those of training come from every n-th row, `MEASURED_ROWS` at most.
    Ctrl-C ends the training and keeps the best epoch so far; in the first epoch it is raised.

    Raises:
        ValueError: an unknown optimizer or schedule; rows that cannot be used, see `Rows.check`;
            the first epoch's loss is not finite; or `resume` is no state of this training.
        TypeError: `resume` is no path.
        OSError: `resume` cannot be written.

    Warns:
        RuntimeWarning: a later epoch's loss is not finite. Training ends with the best epoch.
    """
    make = optimizer_of(optimizer)
    batches = math.ceil(len(train[0]) / batch_size)  # of an epoch
    factors = lr_factors(schedule, max_epochs * batches)
    train, valid = Rows(*train).check("training"), Rows(*valid).check("validation")
    shown = BAR | {"desc": description, "disable": description is None, "file": sys.stdout}
    with threads_for(network), tqdm(total=max_epochs * batches, **shown) as bar:
        rates = (optimizer, lr, embedding_lr, schedule, max_norm)
        settings = (*rates, batch_size, max_epochs, patience, random_state, keep_last)
        saved = StateFile(resume, network, [*train, *valid], settings)
        step = FlatOptimizer(network, make, lr, embedding_lr, factors, max_norm)
        history, stopping = History(), EarlyStopping(patience)
        order = Generator().manual_seed(random_state)
        noise = Generator(train.inputs.device).manual_seed(random_state)
        training = Training(network, step, stopping, history, order, noise)
        set_generator(network, noise)
        try:
            saved.restore(training)
            bar.update(len(history.epochs) * batches)
            while history.stopped == "max_epochs" and len(history.epochs) < max_epochs:
                bar.set_postfix_str(f"epoch {len(history.epochs) + 1} of {max_epochs}")
                row, probabilities = _run_epoch(training, train, valid, batch_size, metrics, bar)
                if not math.isfinite(row["train_loss"] + row["valid_loss"]):
                    _refuse_loss(row["epoch"], lr, stopping.best_epoch)
                    history.stopped = "not finite"
                    break
                history.record(row, probabilities)
                loss = -row["epoch"] if keep_last else row["valid_loss"]
                if stopping.step(row["epoch"], loss, network):
                    history.stopped = "patience"
                saved.save(training)
                if not bar.disable:
                    bar.write(_summary(row))
            bar.total = bar.n  # the bar is full, also where patience ended the training
        except KeyboardInterrupt:
            if not history.epochs:
                raise
            history.stopped = "interrupted"
            print(f"Interrupted: epoch {stopping.best_epoch} is the best so far, and is kept.")
        finally:
            _finish(training)
    return history


def _run_epoch(
    training: Training, train: Rows, valid: Rows, batch_size: int, metrics, bar: tqdm
) -> tuple[dict[str, float], np.ndarray]:
    """Train on all rows once and measure: the epoch's figures, and the probabilities (N,) of the
    validation rows."""
    start, network, norms = time.perf_counter(), training.network.train(), []
    with denormals_flushed():
        for inputs, *targets in train.draw_batches(batch_size, training.order):
            norms.append(training.step(binary_cross_entropy_with_logits(network(inputs), *targets)))
            bar.update()
    epoch = len(training.history.epochs) + 1
    row = {"epoch": epoch, "gradient_norm": torch.stack(norms).mean().item()}
    train = train if train.lengths is None else train.at_most(MEASURED_ROWS)
    for side, rows in (("train", train), ("valid", valid)):
        figures, probabilities = _measure(network, rows, metrics)
        row |= {f"{side}_{name}": value for name, value in figures.items()}
    return row | {"seconds": time.perf_counter() - start}, probabilities


def _measure(network: nn.Module, rows: Rows, metrics) -> tuple[dict[str, float], np.ndarray]:
    """The loss and what `metrics` returned, as plain numbers, and the probabilities (N,)."""
    logits = predict_logits(network, rows.inputs, rows.lengths)
    loss = binary_cross_entropy_with_logits(logits, rows.labels, rows.weights).item()
    loss /= 1 if rows.weights is None else rows.weights.mean().item()
    probabilities = torch.sigmoid(logits.cpu().to(torch.float64)).numpy()
    known = metrics is not None and math.isfinite(loss)  # metrics of NaN may raise
    figures = metrics(rows.labels.cpu().numpy(), probabilities) if known else {}
    return {k: np.asarray(v).item() for k, v in figures.items()} | {"loss": loss}, probabilities


def _refuse_loss(epoch: int, lr: float, best_epoch: int) -> None:
    wrong = f"the loss is not finite in epoch {epoch}: lower lr ({lr})"
    if not best_epoch:
        raise ValueError(f"{wrong}, or scale the inputs down")
    wrong += f" to train on; the weights of epoch {best_epoch} are kept"
    warnings.warn(wrong, RuntimeWarning, stacklevel=3)


def _finish(training: Training) -> None:
    """Leave the network with its best weights and without the training's tensors."""
    training.stopping.restore(training.network)
    training.step.release()
    set_generator(training.network, None)
    training.network.eval()
    training.history.best_epoch = training.stopping.best_epoch


def set_generator(network: nn.Module, generator: Generator | None) -> None:
    """From which generator dropouts draw; None: PyTorch's global one."""
    for module in network.modules():
        if hasattr(module, "generator"):
            module.generator = generator


def _summary(row: dict[str, float]) -> str:
    names = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
    figures = (f"{n.replace('_', ' ')} {row[n]:.4f}" for n in names if n in row)
    return f"epoch {row['epoch']}: {', '.join(figures)}"

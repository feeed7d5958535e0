"""The trainer: a loop over epochs, and early stopping on the validation loss."""

import copy
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from sentiment_helpers.batches import Rows, each, one_thread, predict_logits
from sentiment_helpers.metrics import evaluate

OPTIMIZERS = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9, fused=True),
}
SCHEDULES = ("constant", "linear")
WARM_UP = 0.05  # the part of all steps in which the schedule "linear" rises
BAR = "{desc} |{bar:10}| {elapsed}, {remaining} left{postfix}"
SHOWN = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
MEASURED_ROWS = 5000  # of training, at most, where rows have lengths: measuring is slow there
ROC_EVERY = 5  # epochs between two whose validation probabilities are kept, as in the report


def showable(text: str) -> str:
    """`text`, with a question mark for each character that standard output cannot show."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


class EarlyStopping:
    """Stops at the `patience`-th epoch that was no better than the best one before it, consecutive
    or not (report, 5th step: "patience two regardless if consecutive"). Equal is not better."""

    def __init__(self, patience: int):
        self.patience, self.misses = patience, 0
        self.best_epoch, self.best_loss, self._weights = 0, math.inf, None  # none yet

    def step(self, epoch: int, loss: float, network: nn.Module) -> bool:
        """Record an epoch's validation loss; returns whether training should stop now."""
        if loss < self.best_loss:
            weights = copy.deepcopy(network.state_dict())
            self._weights, self.best_loss, self.best_epoch = weights, loss, epoch
        else:
            self.misses += 1
        return self.misses == self.patience

    def restore(self, network: nn.Module) -> None:
        """Give the network the weights of the best epoch; before the first, do nothing."""
        if self._weights is not None:
            network.load_state_dict(self._weights)


class History(NamedTuple):
    """The course of a training."""

    epochs: list[dict[str, float]]  # `epoch`, `seconds`, `gradient_norm`, `train_…` and `valid_…`
    best_epoch: int  # from 1; the network has its weights
    stopped: str  # by "max_epochs", "patience", "interrupted", or a next loss that is "not finite"
    probabilities: dict[int, np.ndarray]  # of validation, after epochs 1, 6, 11, … and the last


def fit(network: nn.Module, train: Rows, valid: Rows, *, patience=2, **settings) -> History:
    """Train `network`, from inputs (B, …) to logits (B,), on binary cross-entropy. It ends with the
    weights of its best epoch, see `EarlyStopping`; `settings` are those of `epochs`.

    Each epoch is measured after it, without dropout; where rows have lengths, on every n-th row of
    training, `MEASURED_ROWS` at most. Ctrl-C ends the training, as does a loss that is not finite,
    with a `RuntimeWarning`. In the first epoch, they raise `KeyboardInterrupt` and `ValueError`.
    """
    stopping, course, probabilities = EarlyStopping(patience), [], {}
    stopped, start, count = "max_epochs", time.perf_counter(), len(train.inputs)
    every = 1 if train.lengths is None else math.ceil(count / MEASURED_ROWS)
    measured = train.chosen(torch.arange(0, count, every))
    try:
        with closing(epochs(network, train, **settings)) as running:
            for row in running:
                epoch = row["epoch"]
                for side, rows in (("train", measured), ("valid", valid)):
                    figures, found = measure(network, rows)
                    row |= {f"{side}_{name}": value for name, value in figures.items()}
                if not math.isfinite(row["train_loss"] + row["valid_loss"]):
                    wrong = f"the loss is not finite in epoch {epoch}: lower lr"
                    if not course:
                        raise ValueError(f"{wrong}, or scale the inputs down")
                    says = f"{wrong}; the weights of epoch {stopping.best_epoch} are kept"
                    warnings.warn(says, RuntimeWarning, stacklevel=2)
                    stopped = "not finite"
                    break
                course.append(row | {"seconds": time.perf_counter() - start})
                probabilities[epoch], start = found.astype(np.float32), time.perf_counter()
                if settings.get("description") is not None:
                    figures = (f"{name.replace('_', ' ')} {row[name]:.4f}" for name in SHOWN)
                    tqdm.write(f"epoch {epoch}: {', '.join(figures)}")
                if stopping.step(epoch, row["valid_loss"], network):
                    stopped = "patience"
                    break
    except KeyboardInterrupt:
        if not stopping.best_epoch:
            raise
        stopped = "interrupted"
        print(f"Interrupted: the weights are of epoch {stopping.best_epoch}, the best so far.")
    finally:
        stopping.restore(network)
        network.eval()
    kept = {e: p for e, p in probabilities.items() if e % ROC_EVERY == 1 or e == len(course)}
    return History(course, stopping.best_epoch, stopped, kept)


def measure(network: nn.Module, rows: Rows) -> tuple[dict[str, float], np.ndarray]:
    """Figures of `rows` by name, only a loss where it is not finite; and probabilities (N,)."""
    logits = predict_logits(network, rows.inputs, rows.lengths)
    loss = binary_cross_entropy_with_logits(logits, rows.labels).item()
    labels = rows.labels.cpu().numpy()
    probabilities = logits.cpu().to(torch.float64).sigmoid().numpy()
    figures = evaluate(labels, probabilities)._asdict() if math.isfinite(loss) else {}
    return figures | {"loss": loss}, probabilities


def epochs(
    network: nn.Module,
    rows: Rows,
    *,
    optimizer: str = "adam",
    lr: float = 1e-4,
    embedding_lr: float | None = None,
    schedule: str = "constant",
    batch_size: int = 64,
    max_epochs: int = 15,
    max_norm: float = 0.75,
    random_state: int = 1234,
    description: str | None = None,
) -> Iterator[dict[str, float]]:
    """Train `network` epoch by epoch to lower a batch's mean binary cross-entropy. After each
    epoch, yields its number `epoch`, from 1, and the mean `gradient_norm` before clipping.

    Args:
        optimizer: one of `OPTIMIZERS`, with PyTorch's defaults; "sgd" needs a greater `lr`.
        lr, embedding_lr: learning rates, the second of each `nn.Embedding`; None: `lr`.
        schedule: "constant"; or "linear": rates rise for `WARM_UP` of all steps, then fall to 0.
        batch_size: rows a step; the order is drawn anew each epoch.
        max_norm: gradients with a greater norm, over all weights, are scaled down to it.
        random_state: seeds order and dropout. Modules with an attribute `generator`, such as
            `networks.Dropout`, draw each from one of its own; the global ones play no part.
        description: the title of a progress bar; None shows nothing.
    """
    steps = max_epochs * math.ceil(len(rows.inputs) / batch_size)
    learning = OPTIMIZERS[optimizer](_groups(network, lr, embedding_lr))
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    rates = LambdaLR(learning, lambda done: _factor(schedule, done + 1, steps))
    order = Generator().manual_seed(random_state)
    shared = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    networks = nn.ModuleList([network, copy.deepcopy(network, shared)])  # one for each half
    drawing = [module for module in networks.modules() if hasattr(module, "generator")]
    for number, module in enumerate(drawing):  # its own, since threads have no order
        module.generator = Generator(rows.inputs.device).manual_seed(random_state + number)
    shown = {"desc": showable(description or ""), "disable": description is None}
    shown |= {"file": sys.stdout, "mininterval": 0.5, "dynamic_ncols": True, "bar_format": BAR}
    try:
        with one_thread(), tqdm(total=steps, **shown) as bar:
            for epoch in range(1, max_epochs + 1):
                bar.set_postfix_str(f"epoch {epoch} of {max_epochs}")
                batches, norms = rows.batches(batch_size, order), []
                for norm in one_epoch(networks, weights, batches, learning, max_norm):
                    norms.append(norm)
                    rates.step()
                    bar.update()
                yield {"epoch": epoch, "gradient_norm": torch.stack(norms).mean().item()}
    finally:
        learning.zero_grad()
        for module in drawing:
            module.generator = None


def one_epoch(networks, weights, batches, optimizer: Optimizer, max_norm) -> Iterator[Tensor]:
    """Take a step down the mean loss of each batch of `Rows`; yields the norm of its gradient
    before clipping. The `networks` share their `weights`; each has half a batch and a thread."""
    networks.train()
    for batch in batches:
        halves = batch.halves()
        of_half = partial(_gradients, weights, len(batch.inputs))
        found = each(of_half, networks[: len(halves)], halves)
        for weight, first, *rest in zip(weights, *found, strict=True):
            weight.grad = sum(rest, first)
        norm = nn.utils.clip_grad_norm_(weights, max_norm)
        optimizer.step()
        yield norm


def _gradients(weights, count: int, network: nn.Module, rows: Rows) -> tuple[Tensor, ...]:
    """What these rows add to the gradient of the mean loss of `count` rows."""
    logits = network(rows.inputs)  # (B,)
    losses = binary_cross_entropy_with_logits(logits, rows.labels, reduction="sum")
    return torch.autograd.grad(losses / count, weights, materialize_grads=True)


def _factor(schedule: str, step: int, steps: int) -> float:
    """The factor of the learning rate in a step, from 1."""
    rise, end = max(round(WARM_UP * steps), 1), steps + 1  # it is 0 after the last step
    return 1.0 if schedule == "constant" else min(step / rise, (end - step) / (end - rise))


def _groups(network: nn.Module, lr: float, embedding_lr: float | None) -> list[dict]:
    """The weights with their learning rates; those that have no gradient stay as they are."""
    words = {m.weight for m in network.modules() if isinstance(m, nn.Embedding)}
    others = [weight for weight in network.parameters() if weight not in words]
    of_words = lr if embedding_lr is None else embedding_lr
    return [{"params": others, "lr": lr}, {"params": [*words], "lr": of_words}]

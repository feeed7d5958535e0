"""A trainer that knows nothing of the network it trains, nor of what its rows mean."""

import copy
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import tqdm

EVAL_BATCH_SIZE = 8192  # rows; large, because evaluation keeps nothing for gradients
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
        stopped: why it ended: "max_epochs", "patience" or "interrupted".
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
    lr: float = 1e-4,
    batch_size: int = 64,
    max_epochs: int = 15,
    patience: int = 2,
    max_norm: float = 0.75,
    random_state: int = 1234,
    metrics: Callable[[np.ndarray, np.ndarray], Mapping[str, float]] | None = None,
    description: str | None = None,
) -> History:
    """Train `network` with Adam on binary cross-entropy, and leave it with its best weights.

    Args:
        network: maps a batch of inputs (B, …) to logits (B,).
        train, valid: inputs (N, …) and labels (N,) float32 of 0 and 1, on the network's device.
        lr: Adam's learning rate.
        batch_size: rows a step; the order is drawn anew each epoch.
        max_epochs, patience: the most epochs, and see `EarlyStopping`.
        max_norm: gradients with a greater norm, over all weights, are scaled down to it.
        random_state: seeds order and dropout; the global generators are left as they were.
        metrics: from labels and probabilities (N,) to figures by name, taken each epoch.
        description: with it, a progress bar of that name shows each epoch's figures.

    Both sides of an epoch's figures are taken after it, with the same weights and dropout off:
    sums over rows, divided by rows. Ctrl-C ends the training and keeps the best epoch so far
    (before the end of the first epoch there is none, and it is raised).

    Raises:
        ValueError: a loss is not finite: inputs hold NaN, or the learning rate is too high.
    """
    history, stopping = History(), EarlyStopping(patience)
    step = _stepper(network, lr, max_norm)
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
    try:
        with torch.random.fork_rng(devices), _threads_for(network), bar:
            torch.manual_seed(random_state)
            for epoch in range(1, max_epochs + 1):
                start = time.perf_counter()
                norm = _train_epoch(network, *train, step, batch_size, order)
                row = {"epoch": epoch, "gradient_norm": norm}
                for side, (inputs, labels) in (("train", train), ("valid", valid)):
                    logits = predict_logits(network, inputs)
                    probabilities = torch.sigmoid(logits.double()).cpu().numpy()
                    if metrics is not None:
                        figures = metrics(labels.cpu().numpy(), probabilities)
                        row |= {f"{side}_{name}": value for name, value in figures.items()}
                    row[f"{side}_loss"] = binary_cross_entropy_with_logits(logits, labels).item()
                row["seconds"] = time.perf_counter() - start
                if not np.isfinite(row["train_loss"] + row["valid_loss"]):
                    raise ValueError(
                        f"the loss is not finite in epoch {epoch}: look for NaN in the inputs, "
                        f"or lower lr ({lr})"
                    )
                last = probabilities.astype(np.float32)  # of the validation rows
                history.epochs.append(row)
                stop = stopping.step(epoch, row["valid_loss"], network)
                if epoch % ROC_EVERY == 1:
                    history.probabilities[epoch] = last
                bar.set_postfix_str(_summary(row), refresh=False)
                bar.update()
                if stop:
                    history.stopped = "patience"
                    break
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        history.stopped = "interrupted"
        print(f"Interrupted: epoch {stopping.best_epoch} is the best so far, and is kept.")
    finally:
        stopping.restore(network)
        network.eval()
        history.best_epoch = stopping.best_epoch
    if history.epochs:
        history.probabilities[history.epochs[-1]["epoch"]] = last
    return history


def predict_logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits (N,) of inputs (N, …), dropout off, in large batches, without gradients."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in inputs.split(EVAL_BATCH_SIZE)])


def gradient_norms(network: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """The norm of the loss's gradient in each weight of `network`, by the weight's name, for one
    batch with dropout off. The network's weights and gradients stay as they are."""
    network.eval()
    names, weights = zip(*network.named_parameters(), strict=True)
    loss = binary_cross_entropy_with_logits(network(inputs), labels)
    gradients = torch.autograd.grad(loss, weights)
    return {name: g.norm().item() for name, g in zip(names, gradients, strict=True)}


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


def _stepper(network: nn.Module, lr: float, max_norm: float) -> Callable[[Tensor], Tensor]:
    """A function that takes a batch's loss, moves the weights by a step of Adam, and returns the
    gradient's norm before clipping.

    From here on the network's weights are parts of one tensor: Adam and clipping take almost as
    long for each of forty small tensors as for all of them in one.
    """
    weights = [w for w in network.parameters() if w.requires_grad]
    flat = nn.Parameter(nn.utils.parameters_to_vector(weights).detach())
    nn.utils.vector_to_parameters(flat.data, weights)
    optimizer = torch.optim.Adam([flat], lr=lr, fused=True)

    def step(loss: Tensor) -> Tensor:
        gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
        flat.grad = torch.cat([gradient.flatten() for gradient in gradients])
        norm = nn.utils.clip_grad_norm_(flat, max_norm)
        optimizer.step()
        return norm

    return step


def _train_epoch(network, inputs, labels, step, batch_size, order) -> float:
    """One pass over shuffled rows; the mean over batches of the gradient norm before clipping."""
    network.train()
    rows = torch.randperm(len(inputs), generator=order).to(inputs.device)
    norms = []
    for batch in rows.split(batch_size):
        loss = binary_cross_entropy_with_logits(network(inputs[batch]), labels[batch])
        norms.append(step(loss))
    return torch.stack(norms).mean().item()


def _summary(row: dict[str, float]) -> str:
    """An epoch's figures in a line for the progress bar."""
    return " · ".join(
        f"{side} loss {row[f'{side}_loss']:.4f}"
        + (f", accuracy {row[f'{side}_accuracy']:.3f}" if f"{side}_accuracy" in row else "")
        for side in ("train", "valid")
    )

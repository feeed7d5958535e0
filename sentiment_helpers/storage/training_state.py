"""The state of a training in a file, from which one that was cut off goes on. Trains nothing."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sentiment_helpers.storage import pt_file

FORMAT = "sentiment_helpers training"
VERSION = 1


class Parts(NamedTuple):
    """What changes while a training runs.

    Attributes:
        network, order: its weights; the generator of the order of rows.
        step: has a `state` of plain values and tensors, and a `restore` that takes it.
        stopping, history: hold all that they know in their attributes.
        devices: the CUDA devices whose random numbers the training uses.
        batches, valid_rows: steps of an epoch, and probabilities after it.
    """

    network: nn.Module
    step: Any
    order: torch.Generator
    stopping: Any
    history: Any
    devices: list[torch.device]
    batches: int
    valid_rows: int

    def state(self) -> dict:
        """All that decides how the training goes on, as tensors and plain values."""
        probabilities = self.history.probabilities.items()
        return {
            "weights": self.network.state_dict(),
            "step": self.step.state(),
            "order": self.order.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": [torch.cuda.get_rng_state(device) for device in self.devices],
            "stopping": vars(self.stopping),
            "history": vars(self.history)
            | {"probabilities": {epoch: torch.from_numpy(p) for epoch, p in probabilities}},
        }

    def restore(self, state: dict, path: str | os.PathLike) -> None:
        """Put what `state` returned, perhaps in another process, and `path` kept, into these parts.

        Raises:
            pt_file.CheckpointError: it is nothing that they can have come to; they stay as they
                are.
        """
        try:
            wrong = self._wrong_in(state)
        except Exception as error:  # values of the wrong kind fail in many ways
            wrong = f"{type(error).__name__}: {error}"[:200]
        if wrong:
            raise pt_file.CheckpointError(
                f"{path} holds a state that this training cannot have come to ({wrong}): delete "
                f"it, or name another file"
            )
        self.network.load_state_dict(state["weights"])  # in place: optimizers hold on to weights
        self.step.restore(state["step"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["random"])
        for device, random in zip(self.devices, state["random_cuda"], strict=True):
            torch.cuda.set_rng_state(random, device)
        vars(self.stopping).update(state["stopping"])
        vars(self.history).update(state["history"])
        probabilities = self.history.probabilities.items()
        self.history.probabilities = {epoch: p.numpy() for epoch, p in probabilities}

    def _wrong_in(self, state: dict) -> str | None:
        """What no `state` after an epoch of these parts holds."""
        stopping, history = state["stopping"], state["history"]
        rows, probabilities = history["epochs"], history["probabilities"]
        expected = self.state()
        expected["stopping"] = expected["stopping"] | {"_weights": expected["weights"]}
        expected["history"] |= {
            "epochs": rows,
            "probabilities": dict.fromkeys(probabilities, torch.empty(self.valid_rows)),
        }
        if wrong := _other_kind(state, expected):
            return wrong
        for random in (state["order"], state["random"]):
            torch.Generator().set_state(random)
        best, count = rows[stopping["best_epoch"] - 1], len(rows)
        fits = (
            [row["epoch"] for row in rows] == list(range(1, count + 1))
            and all(row.keys() == rows[0].keys() for row in rows)
            and all(isinstance(value, int | float) for row in rows for value in row.values())
            and probabilities.keys() <= {*range(1, count + 1)}
            and state["step"]["taken"] == count * self.batches
            and (stopping["best_epoch"], stopping["best_loss"])
            == (best["epoch"], best["valid_loss"])
            and stopping["patience"] == self.stopping.patience
            and 0 <= stopping["misses"] < count
            and history["stopped"] in ("max_epochs", "patience")
        )
        return None if fits else "its epochs do not fit together"


def _other_kind(given, expected, where: str = "state") -> str | None:
    """Where a value has another type, other parts, dtypes or shapes than `expected`, or NaN; None:
    nowhere."""
    if isinstance(expected, list) and isinstance(given, list):
        given, expected = dict(enumerate(given)), dict(enumerate(expected))
    if isinstance(expected, dict):
        if not isinstance(given, dict) or given.keys() != expected.keys():
            return f"{where} has other parts"
        wrong = (_other_kind(given[key], expected[key], f"{where}[{key!r}]") for key in expected)
        return next(filter(None, wrong), None)
    if type(given) is not type(expected):
        return f"{where} is {type(given).__name__}"
    if isinstance(given, Tensor):
        if (given.dtype, given.shape) != (expected.dtype, expected.shape):
            return f"{where} is {given.dtype} of {tuple(given.shape)}"
        return f"{where} holds NaN" if given.isnan().any() else None
    return None


def write(path: str | os.PathLike, fingerprint: str, state: dict) -> None:
    """Write `state`, tensors and plain values, to `path`, whole or not at all.

    Raises:
        OSError: `path` cannot be written.
    """
    content = {"format": FORMAT, "version": VERSION, "fingerprint": fingerprint, "state": state}
    pt_file.write(content, path)


def read(path: str | os.PathLike, fingerprint: str) -> dict | None:
    """The state that `write` put into `path`; None where there is no such file.

    Raises:
        TypeError: `path` is no path.
        ValueError: `path` holds something else, or the state of a training with another
            fingerprint (`pt_file.CheckpointError`: it is damaged).
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"the file to resume from is {path!r:.80}, which is no path")
    if not Path(path).exists():
        return None
    content = pt_file.read(path)
    known = {"format": FORMAT, "version": VERSION}.items()
    parts = {"format", "version", "fingerprint", "state"}
    if type(content) is not dict or content.keys() != parts or not known <= content.items():
        raise ValueError(
            f"{path} holds no state of a training that this version can go on with: delete it, or "
            f"name another file"
        )
    if content["fingerprint"] != fingerprint:
        raise ValueError(
            f"{path} holds the state of another training, with other data, weights or parameters: "
            f"delete it, or name another file"
        )
    return content["state"]


def fingerprint(
    network: nn.Module, tensors: Iterable[Tensor | None], parameters: Mapping[str, object]
) -> str:
    """SHA-256 of all that a training starts from: the network with its weights, the tensors of
    its rows, and its parameters."""
    digest = hashlib.sha256(repr(dict(parameters)).encode())
    for name, module in network.named_modules():
        # What no weight shows, such as dropout; whether it is in training mode does not count.
        plain = {k: v for k, v in vars(module).items() if isinstance(v, bool | int | float | str)}
        plain.pop("training", None)
        digest.update(repr((name, type(module).__name__, plain)).encode())
    weights = network.state_dict(keep_vars=True)  # which of them are trained counts, too
    for name, tensor in [*weights.items(), *enumerate(tensors)]:
        if tensor is None:
            digest.update(repr((name, None)).encode())
            continue
        described = (name, tensor.dtype, tuple(tensor.shape), tensor.requires_grad)
        digest.update(repr(described).encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()

"""The state of a training in a file, from which an interrupted training continues."""

import os
from collections.abc import Iterable
from pathlib import Path

import joblib
import torch
from torch import Tensor, nn

from sentiment_helpers.storage import pt_file

FORMAT = "sentiment_helpers training"
VERSION = 4


class StateFile:
    """The file `path` for one training, which starts from `network`, `tensors` and `settings` (see
    `fingerprint`). Without a `path`, nothing is read or saved.

    `TypeError` if `path` is no path; `ValueError` if it holds something else, the state of another
    training, or is damaged (`pt_file.CheckpointError`).
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        network: nn.Module,
        tensors: Iterable[Tensor | None],
        settings: Iterable[object],
    ):
        self.path, self._state = path, None
        if path is not None:
            self._fingerprint = fingerprint(network, tensors, settings)
            self._state = self._read() if Path(path).exists() else None

    def _read(self) -> dict:
        content = pt_file.read(self.path)
        known = {"format": FORMAT, "version": VERSION}.items()
        parts = {"format", "version", "fingerprint", "state"}
        advice = "delete it, or name another file"
        if type(content) is not dict or content.keys() != parts or not known <= content.items():
            why = "no state of a training that this version can continue"
            raise ValueError(f"{self.path} holds {why}: {advice}")
        if content["fingerprint"] != self._fingerprint:
            why = "with other data, weights, parameters or number of threads"
            raise ValueError(f"{self.path} holds the state of another training, {why}: {advice}")
        return content["state"]

    def restore(self, training) -> None:
        """Bring `training`, a `training.Training`, to the state in the file, if there is one.
        `pt_file.CheckpointError` if the state is damaged."""
        if (state := self._state) is None:
            return
        try:
            training.network.load_state_dict(state["weights"])  # in place, as the optimizer needs
            training.step.restore(state["optimizer"])
            training.order.set_state(state["order"])
            training.noise.set_state(state["noise"])
            probabilities = {n: p.numpy() for n, p in state["history"]["probabilities"].items()}
            history = state["history"] | {"probabilities": probabilities}
            for part, kept in ((training.stopping, state["stopping"]), (training.history, history)):
                vars(part).update({name: kept[name] for name in vars(part)})
        except Exception as error:  # values of the wrong kind fail in many ways
            raise pt_file.CheckpointError(
                f"{self.path} holds a damaged state ({type(error).__name__}: {str(error)[:200]}): "
                f"delete it, or name another file"
            ) from None

    def save(self, training) -> None:
        """Write all that decides how `training` continues, whole or not at all. `OSError` if that
        is impossible."""
        if self.path is None:
            return
        history = vars(training.history)
        probabilities = {n: torch.from_numpy(p) for n, p in history["probabilities"].items()}
        state = {
            "weights": training.network.state_dict(),
            "optimizer": training.step.state(),
            "order": training.order.get_state(),
            "noise": training.noise.get_state(),
            "stopping": vars(training.stopping),
            "history": history | {"probabilities": probabilities},
        }
        content = {"format": FORMAT, "version": VERSION, "state": state}
        pt_file.write(content | {"fingerprint": self._fingerprint}, self.path)


def fingerprint(
    network: nn.Module, tensors: Iterable[Tensor | None], settings: Iterable[object]
) -> str:
    """A hash of all that decides a training: the network with its weights, the tensors of its rows,
    its settings, and the number of threads."""
    modules = []
    for name, module in network.named_modules():
        # Settings that are not in the weights, such as dropout; the training mode does not count.
        plain = {k: v for k, v in vars(module).items() if isinstance(v, bool | int | float | str)}
        modules.append((name, type(module).__name__, plain | {"training": None}))
    weights = network.state_dict(keep_vars=True)  # which of them are trained counts, too
    tensors = [None if t is None else _described(t) for t in [*weights.values(), *tensors]]
    return joblib.hash([*settings, torch.get_num_threads(), modules, [*weights], tensors])


def _described(tensor: Tensor) -> tuple:
    return tensor.detach().cpu().numpy(), tensor.device.type, tensor.requires_grad

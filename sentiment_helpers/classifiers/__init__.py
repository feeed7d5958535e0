"""Networks and the trainer as scikit-learn estimators; and several models as one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from torch import nn

_drawing = Lock()


def blend(models: list[tuple[str, ClassifierMixin]]):
    """Several fitted models as one, an unfitted `StackingClassifier` of scikit-learn's. `models`
    are (name, model) pairs that take the same inputs.

    `fit` leaves them as they are and chooses the weights of their log-odds by a logistic
    regression, for which it needs rows that taught none of them (Wolpert 1992).
    """
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression

    weights = LogisticRegression(C=np.inf)
    return StackingClassifier(models, weights, cv="prefit", stack_method="decision_function")


@contextmanager
def own_settings() -> Iterator[None]:
    """In this block, this thread has PyTorch's defaults: the CPU, gradients, no autocast."""
    cpu = nullcontext() if torch.empty(0).is_cpu else torch.device("cpu")  # which slows each call
    with cpu, torch.inference_mode(False), torch.autocast("cpu", enabled=False):
        yield


def untrained(build: Callable[[], nn.Module], random_state: int) -> nn.Module:
    """The network that `build` makes, in float32 on the CPU, with the weights that it has after
    `torch.manual_seed(random_state)`. The default dtype plays no part and stays as it is."""
    with _drawing, torch.device("cpu"), torch.random.fork_rng(devices=[]):
        dtype = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float32)
            torch.default_generator.manual_seed(random_state)
            return build()
        finally:
            torch.set_default_dtype(dtype)


def device_of(name: str) -> torch.device:
    """The device with a name that PyTorch knows; "auto": CUDA where there is a GPU."""
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=auto if name == "auto" else name).device
    except (RuntimeError, AssertionError):  # the latter where there is no CUDA
        raise ValueError(f'device is {name!r}; use "auto", "cpu" or "cuda"') from None

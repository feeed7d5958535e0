"""PyTorch's optimizers on all weights of a network at once.

On a CPU, a step and clipping take almost as long for each of forty small tensors as for one that
holds them all. The plain twin is the same optimizer on the network's own weights after
`torch.nn.utils.clip_grad_norm_` (test_fast.py).
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, repeat

import torch
from torch import Tensor, nn

WARM_UP = 0.05  # the part of all steps in which the schedule "linear" rises
OPTIMIZERS = {  # each of which treats a value without looking at the others
    "adam": partial(torch.optim.Adam, fused=True),
    "adamw": partial(torch.optim.AdamW, fused=True),
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


def optimizer_of(name: str) -> Callable[..., torch.optim.Optimizer]:
    """One of `OPTIMIZERS`; `ValueError` for another name."""
    if name not in list(OPTIMIZERS):  # of any type
        raise ValueError(f"optimizer is {name!r:.80}; it must be one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name]


def lr_factors(schedule: str, steps: int) -> Iterator[float]:
    """The factor of the learning rate for each step; `ValueError` for an unknown schedule."""
    if schedule == "constant":
        return repeat(1.0)
    if schedule == "linear":
        rise = max(round(WARM_UP * steps), 1)
        return (min(step / rise, 1 - (step - rise) / steps) for step in range(1, steps + 1))
    raise ValueError(f"schedule is {schedule!r:.80}; it must be constant or linear")


class FlatOptimizer:
    """Called with a batch's loss, it moves the weights by a step and returns the gradient's norm
    before clipping.

    While it is in use, the network's weights on a CPU are views of one tensor (of two, with an
    `embedding_lr`); `release` makes them independent again.

    Args:
        network: its weights that require a gradient are trained.
        make: one of `OPTIMIZERS`.
        lr, embedding_lr: learning rates, the second of `nn.Embedding` weights; None: `lr`.
        factors: for each step, the factor of both rates.
        max_norm: gradients with a greater norm, over all weights, are scaled down to it.
    """

    def __init__(
        self,
        network: nn.Module,
        make: Callable[..., torch.optim.Optimizer],
        lr: float,
        embedding_lr: float | None,
        factors: Iterator[float],
        max_norm: float,
    ):
        embeddings = {m.weight for m in network.modules() if isinstance(m, nn.Embedding)}
        own_rate = embeddings if embedding_lr is not None else set()
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        groups = [(lr, [weight for weight in trained if weight not in own_rate])]
        groups += [(embedding_lr, [weight for weight in trained if weight in own_rate])]
        self.rates, groups = zip(*[(rate, group) for rate, group in groups if group], strict=True)
        self.weights = [weight for group in groups for weight in group]
        self.moved = self.weights  # on a GPU, where cuDNN wants a layer's weights side by side
        if self.weights[0].is_cpu:
            self.moved = [nn.Parameter(nn.utils.parameters_to_vector(g).detach()) for g in groups]
            for flat, group in zip(self.moved, groups, strict=True):
                nn.utils.vector_to_parameters(flat.data, group)
            groups = self.moved
        self.optimizer = make([{"params": group} for group in groups])
        self.factors, self.max_norm, self.taken = factors, max_norm, 0

    def __call__(self, loss: Tensor) -> Tensor:
        gradients = torch.autograd.grad(loss, self.weights, materialize_grads=True)
        if self.moved is not self.weights:
            together = torch.cat([gradient.flatten() for gradient in gradients])
            gradients = together.split([flat.numel() for flat in self.moved])
        for weight, gradient in zip(self.moved, gradients, strict=True):
            weight.grad = gradient
        norm = nn.utils.clip_grad_norm_(self.moved, self.max_norm)
        factor = next(self.factors)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        self.taken += 1
        return norm

    def release(self) -> None:
        """Give each weight a tensor of its own, without a gradient."""
        self.optimizer.zero_grad()
        if self.moved is not self.weights:
            for weight in self.weights:
                weight.data = weight.data.clone()

    def state(self) -> dict:
        """The number of steps taken and the optimizer's averages, as plain values and tensors."""
        return {"taken": self.taken, "averages": self.optimizer.state_dict()["state"]}

    def restore(self, state: dict) -> None:
        """Continue after the steps of another run, whose weights the network has already."""
        self.taken = state["taken"]
        self.factors = islice(self.factors, self.taken, None)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state["averages"]})

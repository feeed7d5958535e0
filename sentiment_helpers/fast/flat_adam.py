"""A step of the optimizer, and how large it is. Knows no rows."""

from collections.abc import Iterator, Mapping
from itertools import islice, repeat

import torch
from torch import Tensor, nn

WARM_UP = 0.05  # the part of all steps in which the schedule "linear" rises
SCHEDULES = ("constant", "linear")


def shares(schedule: str, steps: int) -> Iterator[float]:
    """For each step, the part of the learning rate that it gets."""
    if schedule == "constant":
        return repeat(1.0)
    if schedule == "linear":
        rise = max(round(WARM_UP * steps), 1)
        return (min(step / rise, 1 - (step - rise) / steps) for step in range(1, steps + 1))
    raise ValueError(f"schedule is {schedule!r}; it must be constant or linear")


class Steps:
    """Called with a batch's loss, it moves the weights by a step of Adam, and returns the
    gradient's norm before clipping. `lrs`: by the beginning of a weight's name, the longest counts.

    From here on the network's weights are parts of one tensor for each learning rate: Adam and
    clipping take almost as long for each of forty small tensors as for all of them in one.
    """

    def __init__(
        self, network: nn.Module, lrs: Mapping[str, float], shares: Iterator[float], max_norm: float
    ):
        groups = {key: [] for key in lrs}
        for name, weight in network.named_parameters():
            if weight.requires_grad:
                groups[max((key for key in lrs if name.startswith(key)), key=len)].append(weight)
        groups = {key: weights for key, weights in groups.items() if weights}
        self.flat = []
        for weights in groups.values():
            self.flat.append(nn.Parameter(nn.utils.parameters_to_vector(weights).detach()))
            nn.utils.vector_to_parameters(self.flat[-1].data, weights)
        self.lrs = [lrs[key] for key in groups]
        settings = [{"params": [f], "lr": lr} for f, lr in zip(self.flat, self.lrs, strict=True)]
        self.optimizer = torch.optim.Adam(settings, fused=True)
        self.every = [weight for weights in groups.values() for weight in weights]
        self.sizes = [len(weights) for weights in groups.values()]
        self.shares = shares
        self.taken = 0
        self.max_norm = max_norm

    def __call__(self, loss: Tensor) -> Tensor:
        gradients = iter(torch.autograd.grad(loss, self.every, materialize_grads=True))
        for f, size in zip(self.flat, self.sizes, strict=True):
            f.grad = torch.cat([gradient.flatten() for gradient in islice(gradients, size)])
        norm = nn.utils.clip_grad_norm_(self.flat, self.max_norm)
        share = next(self.shares)
        for group, lr in zip(self.optimizer.param_groups, self.lrs, strict=True):
            group["lr"] = lr * share
        self.optimizer.step()
        self.taken += 1
        return norm

    def state(self) -> dict:
        """How many steps were taken, and Adam's averages: zeros before the first."""
        adam = self.optimizer.state_dict()["state"] or {
            number: {"step": torch.zeros(()), "exp_avg": zeros, "exp_avg_sq": zeros}
            for number, zeros in enumerate(map(torch.zeros_like, self.flat))
        }
        return {"taken": self.taken, "adam": adam}

    def restore(self, state: dict) -> None:
        """Go on after the steps of another run; the weights are not among what it needs."""
        self.taken = state["taken"]
        self.shares = islice(self.shares, self.taken, None)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state["adam"]})

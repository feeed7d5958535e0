"""The report's recurrent network as a classifier of features."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn

from sentiment_helpers.classifiers import base
from sentiment_helpers.networks import BiRNN
from sentiment_helpers.training import History, fit


@dataclass(eq=False, repr=False)  # scikit-learn's own equality and text
class BiRNNClassifier(base.NetworkClassifier):
    """The report's network and training as a scikit-learn classifier of two classes. It takes
    features (N, D), each row a sequence of length 1, as the report does.

    Args:
        lr, max_epochs, max_norm: see `training.epochs`. All others: see `networks.BiRNN` and
            `NetworkClassifier`.
    """

    cell_type: base.CellType = "gru"
    num_layers: base.Size = 5
    hidden_size: base.Size = 8
    dropout: base.Share = 0.05
    skip_connections: bool = False
    lr: base.Rate = 1e-4
    max_epochs: base.Count = 15
    max_norm: base.Norm = 0.75

    def build_network(self) -> BiRNN:
        """An untrained network for `n_features_in_` features."""
        return BiRNN(self.n_features_in_, **self._arguments_of(BiRNN))

    def _train(self, network: BiRNN, *rows, **settings) -> History:
        history = fit(BothDirections(network), *rows, **settings)
        for weight in network.parameters():  # shared no longer: a pickle would hold all with each
            weight.data = weight.data.clone()
        return history

    def _inputs(self, X: np.ndarray, device: torch.device) -> Tensor:
        """Features (N, D) as sequences of length 1, (N, 1, D)."""
        return torch.tensor(np.ascontiguousarray(X), device=device).unsqueeze(1)


class BothDirections(nn.Module):
    """A `BiRNN` that learns from reviews of one word, on which PyTorch's layers are dozens of
    operations on tiny tensors. Here, both directions share each one. The `BiRNN` is the plain twin
    and learns with it, since they share the weights, except `weight_hh`: the state before is zero.
    """

    def __init__(self, network: BiRNN):
        super().__init__()
        stacks = network.forward_stack.layers, network.backward_stack.layers
        pairs = [*zip(*(layers.values() for layers in stacks), strict=True)]
        self.one_step = ONE_STEP[type(pairs[0][0])]
        self.dropout, self.out = network.dropout, network.out
        self.skip_connections = network.forward_stack.skip_connections
        self.weights = nn.ParameterList(_shared(pair, "weight_ih_l0") for pair in pairs)
        self.b_ih, self.b_hh = (_shared(chain(*pairs), f"bias_{end}_l0") for end in ("ih", "hh"))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of reviews `x` (B, 1, D)."""
        h, first = self.dropout(x).squeeze(1).t().expand(2, -1, len(x)), None  # (2, D, B)
        biases = (b.unsqueeze(2).split(2) for b in (self.b_ih, self.b_hh))  # (2, G, 1) each
        for w, b_ih, b_hh in zip(self.weights, *biases, strict=True):
            h = self.one_step(torch.baddbmm(b_ih, w, h), b_hh)  # (2, H, B), from gates (2, G, B)
            if first is None:
                first = h
            elif self.skip_connections:
                h = h + first
        return self.out(torch.cat([*h]).t()).squeeze(1)


def _shared(layers: Iterable[nn.Module], name: str) -> nn.Parameter:
    """A weight of all layers, (layers, …), whose parts become the layers' own."""
    own = [getattr(layer, name) for layer in layers]
    shared = nn.Parameter(torch.stack([weight.detach() for weight in own]))
    for weight, part in zip(own, shared.detach(), strict=True):
        weight.data = part
    return shared


def _lstm(gates: Tensor, b: Tensor) -> Tensor:
    i, _, g, o = (gates + b).chunk(4, dim=1)  # the forget gate has nothing to forget
    return o.sigmoid() * (i.sigmoid() * g.tanh()).tanh()


def _gru(gates: Tensor, b: Tensor) -> Tensor:
    size = gates.shape[1] // 3 * 2
    r, z = (gates[:, :size] + b[:, :size]).sigmoid().chunk(2, dim=1)
    n = torch.addcmul(gates[:, size:], r, b[:, size:]).tanh()
    return torch.addcmul(n, z, n, value=-1)


ONE_STEP = {nn.RNN: lambda gates, b: (gates + b).tanh(), nn.LSTM: _lstm, nn.GRU: _gru}

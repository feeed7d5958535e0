"""A network's initial weights, drawn from one generator and no other."""

import math
from collections.abc import Callable

import torch
from torch import Generator, nn

from sentiment_helpers.networks import WordBiRNN


def untrained(build: Callable[[], nn.Module], random_state: int) -> nn.Module:
    """The network that `build` makes, in float32 on the CPU, with the weights that it would have
    after `torch.manual_seed(random_state)`; embeddings and buffers are zeros.

    PyTorch's global generator and default dtype play no part: the weights are the same in every
    thread.
    """
    with torch.device("meta"):  # where constructors draw nothing
        network = build()
    network = network.to_empty(device="cpu").float()
    for tensor in [*network.parameters(), *network.buffers()]:
        nn.init.zeros_(tensor)
    generator = Generator().manual_seed(random_state)
    for layer in network.modules():  # PyTorch's rules, in the order of its constructors
        if isinstance(layer, nn.RNNBase):
            bound = 1 / math.sqrt(layer.hidden_size)
            for weight in layer.parameters():
                nn.init.uniform_(weight, -bound, bound, generator=generator)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
            if layer.bias is not None:
                bound = 1 / math.sqrt(layer.in_features)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    if isinstance(network, WordBiRNN):
        network.open_forget_gates()
    return network

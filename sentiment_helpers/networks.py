"""The networks: tensors in, logits out. No training, no NumPy, no text.

Shapes: B reviews, T words, D embedding size, H hidden size.
"""

import torch
from torch import Tensor, nn

from sentiment_helpers.one_step import one_step

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class BiRNN(nn.Module):
    """Two separate stacks of recurrent layers, one for each direction, and one linear layer.

    The forward stack reads a review from its first word, the backward stack from its last; they
    meet only at the end, where their last states are concatenated. (`bidirectional=True` with
    several layers would mix the directions after every layer.) Report, 4th step.

    Args:
        input_size: D.
        cell_type: "rnn", "lstm" or "gru", in any case.
        num_layers: layers of each stack, those that a skip connection passes over included.
        hidden_size: H, the units of each layer.
        dropout: probability with which a value of the input is zeroed in training.
        skip_connections: see `Stack`.

    Raises:
        ValueError: an unknown cell type, a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        cell_type: str = "gru",
        num_layers: int = 5,
        hidden_size: int = 8,
        dropout: float = 0.05,
        skip_connections: bool = False,
    ):
        super().__init__()
        self.skip_connections = skip_connections
        if cell_type.lower() not in CELLS:
            raise ValueError(f"cell_type is {cell_type!r}; it must be one of {', '.join(CELLS)}")
        _check(dropout, input_size=input_size, num_layers=num_layers, hidden_size=hidden_size)
        self.dropout = nn.Dropout(dropout)
        stack = (CELLS[cell_type.lower()], input_size, hidden_size, num_layers, skip_connections)
        self.forward_stack = Stack(*stack)
        self.backward_stack = Stack(*stack)
        self.out = nn.Linear(2 * hidden_size, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B,) of reviews `x` (B, T, D) float32, right-padded.

        `lengths` (B,) int64 are their numbers of words, 1 to T; all T where it is None. What
        stands behind a review's last word never changes its logit.
        """
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1], device=x.device)
        x = self.dropout(x)  # (B, T, D)
        if x.shape[1] == 1 and (self.training or not torch.is_grad_enabled()):
            stacks = (self.forward_stack, self.backward_stack)
            layers = (list(stack.layers.values()) for stack in stacks)
            h = one_step(x.squeeze(1), *layers, self.skip_connections)  # (B, 2H)
            return self.out(h).squeeze(1)
        last = (lengths - 1).view(-1, 1, 1)  # (B, 1, 1)
        states = []
        for stack, read in (
            (self.forward_stack, x),
            (self.backward_stack, reverse_within(x, lengths)),
        ):
            h = stack(read)  # (B, T, H)
            states.append(h.gather(1, last.expand(-1, 1, h.shape[2])).squeeze(1))  # (B, H)
        return self.out(torch.cat(states, dim=1)).squeeze(1)  # (B,)


class Stack(nn.Module):
    """One direction's layers, counted from 1: each reads the whole output of the one before.

    With `skip_connections`, even layers are passed over (their input is their output, so they
    have no weights), and every odd layer from 3 on adds the output of layer 1 to its own. Report,
    end of the 5th step.
    """

    def __init__(
        self,
        cell: type[nn.RNNBase],
        input_size: int,
        hidden_size: int,
        num_layers: int,
        skip_connections: bool,
    ):
        super().__init__()
        self.skip_connections = skip_connections
        self.layers = nn.ModuleDict()
        for number in layer_numbers(num_layers, skip_connections):
            size = input_size if number == 1 else hidden_size
            self.layers[str(number)] = cell(size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output (B, T, H) for a batch `x` (B, T, D)."""
        first = None
        for layer in self.layers.values():
            x, _ = layer(x)  # (B, T, H)
            if first is None:
                first = x
            elif self.skip_connections:
                x = x + first
        return x


def layer_numbers(num_layers: int, skip_connections: bool) -> range:
    """The layers of a stack that exist: all, or without the even ones that a skip passes over."""
    return range(1, num_layers + 1, 2 if skip_connections else 1)


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Each review of `x` (B, T, D) reversed within its own length; padding stays where it is."""
    if x.shape[1] == 1:
        return x
    t = torch.arange(x.shape[1], device=x.device)  # (T,)
    back = lengths.unsqueeze(1) - 1 - t  # (B, T), below 0 on padding
    order = torch.where(back >= 0, back, t)  # (B, T)
    return x.gather(1, order.unsqueeze(2).expand_as(x))


class FeedForward(nn.Module):
    """The report's second assignment: a hidden layer of rectified units and a linear one.

    Args:
        input_size: D.
        hidden_size: the units of the hidden layer.
        dropout: probability with which a value of the input is zeroed in training.

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(self, input_size: int, hidden_size: int = 16, dropout: float = 0.01):
        super().__init__()
        _check(dropout, input_size=input_size, hidden_size=hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(input_size, hidden_size)
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of feature vectors `x` (B, D) float32."""
        h = torch.relu(self.hidden(self.dropout(x)))  # (B, H)
        return self.out(h).squeeze(1)  # (B,)


def _check(dropout: float, **sizes: int) -> None:
    if min(sizes.values()) < 1 or not 0 <= dropout < 1:
        given = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise ValueError(f"{given} must be at least 1, dropout={dropout} at least 0 and below 1")

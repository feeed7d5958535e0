"""The networks: tensors in, logits out. No training, no NumPy, no text.

Shapes: B reviews, T words, D embedding size, H hidden size.
"""

from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn import functional

from sentiment_helpers.fast.one_step import one_step

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = ("last", "max", "attention", "attention+max")
SHORTCUT_SCALE = 3.0  # a mean of hundreds of vectors is small beside the states


class BiRNN(nn.Module):
    """Two separate stacks of recurrent layers, one for each direction, and one linear layer.

    The forward stack reads a review from its first word, the backward stack from its last; they
    meet only at the end, where what was made of their states is concatenated. (`bidirectional=True`
    with several layers would mix the directions after every layer.) Report, 4th step.

    Args:
        input_size: D.
        cell_type: "rnn", "lstm" or "gru", in any case.
        num_layers: layers of each stack, those that a skip connection passes over included.
        hidden_size: H, the units of each layer.
        dropout: probability with which a value of the input is zeroed in training, the same
            values for all words of a review (Gal and Ghahramani 2016).
        skip_connections: see `Stack`.
        pooling: what is made of a review's states. "last": those after the last word read (the
            report's); "max": the greatest of each unit; "attention": their mean, weighted by a
            learned score (Yang et al. 2016); "attention+max": both.
        layer_dropout: as `dropout`, for the states between two layers.
        output_dropout: probability with which a value before the linear layer is zeroed.
        shortcut: whether the mean of a review's input vectors joins what is made of its states: a
            skip connection past all layers.

    Raises:
        ValueError: an unknown cell type or pooling, a size below 1 or a dropout outside [0, 1).
    """

    def __init__(
        self,
        input_size: int,
        cell_type: str = "gru",
        num_layers: int = 5,
        hidden_size: int = 8,
        dropout: float = 0.05,
        skip_connections: bool = False,
        pooling: str = "last",
        layer_dropout: float = 0.0,
        output_dropout: float = 0.0,
        shortcut: bool = False,
    ):
        super().__init__()
        self.skip_connections = skip_connections
        self.pooling = pooling
        self.shortcut = shortcut
        _one_of("cell_type", cell_type.lower(), CELLS)
        _one_of("pooling", pooling, POOLINGS)
        for probability in (dropout, layer_dropout, output_dropout):
            _check(probability, input_size=input_size, num_layers=num_layers,
                   hidden_size=hidden_size)  # fmt: skip
        self.dropout = nn.Dropout(dropout)
        self.output_dropout = nn.Dropout(output_dropout)
        stack = (CELLS[cell_type.lower()], input_size, hidden_size, num_layers, skip_connections)
        self.forward_stack = Stack(*stack, layer_dropout)
        self.backward_stack = Stack(*stack, layer_dropout)
        if "attention" in pooling:
            self.attention = nn.Sequential(
                nn.Linear(2 * hidden_size, hidden_size),
                nn.Tanh(),
                nn.Linear(hidden_size, 1, bias=False),
            )
        pooled_size = (pooling.count("+") + 1) * 2 * hidden_size
        self.out = nn.Linear(pooled_size + shortcut * input_size, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B,) of reviews `x` (B, T, D) float32, right-padded.

        `lengths` (B,) int64 are their numbers of words, 1 to T; all T where it is None. What
        stands behind a review's last word never changes its logit.
        """
        one_word = x.shape[1] == 1 and (self.training or not torch.is_grad_enabled())
        plain = self.pooling == "last" and self.forward_stack.dropout == 0 and not self.shortcut
        if one_word and plain:
            stacks = (self.forward_stack, self.backward_stack)
            layers = (list(stack.layers.values()) for stack in stacks)
            x = self.dropout(x.squeeze(1))  # (B, D)
            pooled = one_step(x, *layers, self.skip_connections)  # (B, 2H)
        else:
            if lengths is None:
                lengths = torch.full((len(x),), x.shape[1], device=x.device)
            pooled = self._pool(*self.states(x, lengths), lengths)  # (B, 2H), or (B, 4H)
            if self.shortcut:
                words = x.masked_fill(_padding(x, lengths).unsqueeze(2), 0)
                mean = words.sum(dim=1) / lengths.unsqueeze(1)  # (B, D)
                pooled = torch.cat([pooled, SHORTCUT_SCALE * mean], dim=1)
        return self.out(self.output_dropout(pooled)).squeeze(1)  # (B,)

    def states(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The last layers' states (B, T, H) of both stacks, those of the backward stack in the
        order in which it read: its last word first."""
        x = _same_for_all_words(x, self.dropout.p, self.training)
        return self.forward_stack(x), self.backward_stack(reverse_within(x, lengths))

    def attention_weights(self, forward: Tensor, backward: Tensor, lengths: Tensor) -> Tensor:
        """How much each word counts, (B, T): at least 0, 0 on padding, with a sum of 1."""
        h = torch.cat([forward, reverse_within(backward, lengths)], dim=2)  # (B, T, 2H)
        scores = self.attention(h).squeeze(2)  # (B, T)
        return scores.masked_fill(_padding(h, lengths), -torch.inf).softmax(dim=1)

    def _pool(self, forward: Tensor, backward: Tensor, lengths: Tensor) -> Tensor:
        pooled = []
        if self.pooling == "last":
            last = (lengths - 1).view(-1, 1, 1).expand(-1, 1, forward.shape[2])  # (B, 1, H)
            pooled += [h.gather(1, last).squeeze(1) for h in (forward, backward)]  # (B, H)
        if "attention" in self.pooling:
            weights = self.attention_weights(forward, backward, lengths)  # (B, T)
            pooled.append(torch.einsum("bt,bth->bh", weights, forward))
            of_backward = reverse_within(weights.unsqueeze(2), lengths).squeeze(2)
            pooled.append(torch.einsum("bt,bth->bh", of_backward, backward))
        if "max" in self.pooling:
            padding = _padding(forward, lengths).unsqueeze(2)  # (B, T, 1)
            pooled += [h.masked_fill(padding, -torch.inf).amax(dim=1) for h in (forward, backward)]
        return torch.cat(pooled, dim=1)


class WordBiRNN(nn.Module):
    """A `BiRNN` that is given ids and looks up their vectors.

    Args:
        num_ids: V; id 0 is padding, 1 an unknown word.
        input_size: D.
        word_dropout: probability with which a word is read as unknown in training.
        **parameters: of `BiRNN`.

    An LSTM's forget gates start open (a bias of 1: Jozefowicz et al. 2015), or else it would have
    to learn first to remember anything over hundreds of words.
    """

    def __init__(self, num_ids: int, input_size: int, word_dropout: float = 0.0, **parameters):
        super().__init__()
        self.body = BiRNN(input_size, **parameters)
        _check(word_dropout, num_ids=num_ids)
        self.word_dropout = word_dropout
        self.embedding = nn.Embedding(num_ids, input_size, padding_idx=0)
        for layer in self.body.modules():
            if isinstance(layer, nn.LSTM):
                size = layer.hidden_size
                with torch.no_grad():
                    layer.bias_ih_l0[size : 2 * size] += 1

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B,) of reviews `ids` (B, T) int64, right-padded with 0, a word at least each."""
        if self.training and self.word_dropout:
            dropped = torch.rand(ids.shape, device=ids.device) < self.word_dropout  # (B, T)
            ids = ids.masked_fill(dropped & (ids > 0), 1)
        return self.body(self.embedding(ids), _lengths(ids))

    def attention_weights(self, ids: Tensor) -> Tensor:
        """How much each word counts, (B, T), see `BiRNN.attention_weights`."""
        lengths = _lengths(ids)
        return self.body.attention_weights(*self.body.states(self.embedding(ids), lengths), lengths)


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
        dropout: float = 0.0,
    ):
        super().__init__()
        self.skip_connections = skip_connections
        self.dropout = dropout
        self.layers = nn.ModuleDict()
        for number in layer_numbers(num_layers, skip_connections):
            size = input_size if number == 1 else hidden_size
            self.layers[str(number)] = cell(size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output (B, T, H) for a batch `x` (B, T, D)."""
        first = None
        for layer in self.layers.values():
            if first is not None:
                x = _same_for_all_words(x, self.dropout, self.training)
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


def _lengths(ids: Tensor) -> Tensor:
    """The numbers of words (B,) of reviews `ids` (B, T), right-padded with 0."""
    return (ids > 0).sum(dim=1)


def _padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Where `x` (B, T, …) is padding: (B, T) bool."""
    return torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)


def _same_for_all_words(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout on `x` (B, T, D) that zeroes a value at every word of a review, or at none."""
    if not training or p == 0:
        return x
    return x * functional.dropout(x.new_ones(len(x), 1, x.shape[2]), p)


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


def _one_of(name: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")


def _check(dropout: float, **sizes: int) -> None:
    if min(sizes.values()) < 1 or not 0 <= dropout < 1:
        given = ", ".join(f"{name}={size}" for name, size in sizes.items())
        raise ValueError(f"{given} must be at least 1, dropout={dropout} at least 0 and below 1")

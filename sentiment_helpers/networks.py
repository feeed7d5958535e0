"""The networks: a batch of reviews in, a logit for each review out.

Shapes: B reviews in a batch, T words, D embedding size, H hidden size.
"""

import torch
from torch import Tensor, nn

from sentiment_helpers.fast.one_step import one_step

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = ("last", "max", "attention", "attention+max")
SHORTCUT_SCALE = 3.0  # a mean of hundreds of vectors is small compared with the states


class BiRNN(nn.Module):
    """Two separate stacks of recurrent layers, one for each direction, and one linear layer.

    The forward stack reads a review from its first word, the backward stack from its last. They
    meet only at the end, where their pooled states are concatenated. (`bidirectional=True` with
    several layers mixes the directions after every layer.) Report, 4th step.

    Args:
        input_size: D.
        cell_type: "rnn", "lstm" or "gru", in any case.
        num_layers: layers of each stack, counting those that a skip connection passes over.
        hidden_size: H, the units of each layer.
        dropout: probability of zeroing a value of the input in training, the same values for all
            words of a review (Gal and Ghahramani 2016).
        skip_connections: see `Stack`.
        pooling: how a review's states become one vector. "last": the states after the last word
            (the report's); "max": the maximum of each unit; "attention": their mean, weighted by
            a learned score (Yang et al. 2016); "attention+max": both.
        layer_dropout: as `dropout`, for the states between two layers.
        output_dropout: probability of zeroing a value before the linear layer.
        shortcut: add the mean of a review's input vectors to its pooled states: a skip connection
            past all layers.

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
        given = {"cell_type": (cell_type.lower(), CELLS), "pooling": (pooling, POOLINGS)}
        for name, (value, known) in given.items():
            if value not in known:
                raise ValueError(f"{name} is {value!r:.80}; it must be one of {', '.join(known)}")
        if min(input_size, num_layers, hidden_size) < 1:
            raise ValueError(f"{input_size=}, {num_layers=} and {hidden_size=} must be at least 1")
        self.dropout = Dropout(dropout)
        self.output_dropout = Dropout(output_dropout)
        stack = (CELLS[cell_type.lower()], input_size, hidden_size, num_layers, skip_connections)
        self.forward_stack = Stack(*stack, layer_dropout)
        self.backward_stack = Stack(*stack, layer_dropout)
        if "attention" in pooling:
            self.attention = nn.Sequential(
                nn.Linear(2 * hidden_size, hidden_size),
                nn.Tanh(),
                nn.Linear(hidden_size, 1, bias=False),
            )
        pooled_size = 2 * hidden_size * len(pooling.split("+")) + shortcut * input_size
        self.out = nn.Linear(pooled_size, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B,) of reviews `x` (B, T, D) float32, right-padded.

        `lengths` (B,) int64 are the numbers of words, 1 to T; None: T. Padding changes no logit.
        """
        if self._reads_one_word(x):
            layers = [[*s.layers.values()] for s in (self.forward_stack, self.backward_stack)]
            pooled = one_step(self.dropout(x.squeeze(1)), *layers, self.skip_connections)  # (B, 2H)
        else:
            if lengths is None:
                lengths = torch.full((len(x),), x.shape[1], device=x.device)
            pooled = self._pool(*self.states(x, lengths), lengths)  # (B, 2H), or (B, 4H)
            if self.shortcut:
                words = x.masked_fill(_padding(x, lengths).unsqueeze(2), 0)
                mean = words.sum(dim=1) / lengths.unsqueeze(1)  # (B, D)
                pooled = torch.cat([pooled, SHORTCUT_SCALE * mean], dim=1)
        return self.out(self.output_dropout(pooled)).squeeze(1)  # (B,)

    def _reads_one_word(self, x: Tensor) -> bool:
        """Whether `fast.one_step` gives the same as the stacks: for the report's network on
        sequences of length 1. It has no gradient for `weight_hh`, which is zero there; who asks
        for gradients outside of training wants to see that, and gets the stacks."""
        plain = self.pooling == "last" and self.forward_stack.dropout.p == 0 and not self.shortcut
        return plain and x.shape[1] == 1 and (self.training or not torch.is_grad_enabled())

    def states(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The last layers' states (B, T, H) of both stacks, each in its own reading order: the
        backward stack's first state belongs to the last word."""
        x = self.dropout(x)
        return self.forward_stack(x), self.backward_stack(reverse_within(x, lengths))

    def attention_weights(self, forward: Tensor, backward: Tensor, lengths: Tensor) -> Tensor:
        """The weight of each word, (B, T): 0 on padding, with a sum of 1 over a review."""
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
    """A `BiRNN` that takes ids and looks up their vectors.

    Args:
        num_ids: V; id 0 is padding, 1 an unknown word. All vectors start as zeros.
        input_size: the values of a word's vector.
        word_dropout: probability of reading a word as unknown in training, so without its pairs.
        pairs: from ids (B, T) to further values of each word, (B, T, `pairs.size`).
        **parameters: of `BiRNN`.

    An LSTM's forget gates start open (a bias of 1: Jozefowicz et al. 2015). Otherwise it would
    first have to learn to remember anything over hundreds of words.
    """

    def __init__(self, num_ids: int, input_size: int, word_dropout=0.0, pairs=None, **parameters):
        super().__init__()
        self.body = BiRNN(input_size + (pairs.size if pairs else 0), **parameters)
        self.pairs = pairs
        self.word_dropout = Dropout(word_dropout)
        zeros = torch.zeros(num_ids, input_size)  # PyTorch would draw values, for seconds
        self.embedding = nn.Embedding.from_pretrained(zeros, freeze=False, padding_idx=0)
        self.open_forget_gates()

    @torch.no_grad()
    def open_forget_gates(self) -> None:
        """Add 1 to the bias of each LSTM's forget gate."""
        for layer in self.body.modules():
            if isinstance(layer, nn.LSTM):
                layer.bias_ih_l0[layer.hidden_size : 2 * layer.hidden_size] += 1

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B,) of reviews `ids` (B, T) int64, right-padded with 0, a word at least each."""
        if self.training and self.word_dropout.p:
            draws = torch.empty(ids.shape, dtype=torch.float32, device=ids.device)  # (B, T)
            draws.uniform_(generator=self.word_dropout.generator)
            ids = ids.masked_fill((draws < self.word_dropout.p) & (ids > 0), 1)
        return self.body(self._vectors(ids), (ids > 0).sum(dim=1))

    def attention_weights(self, ids: Tensor) -> Tensor:
        """The weight of each word, (B, T), see `BiRNN.attention_weights`."""
        lengths = (ids > 0).sum(dim=1)  # (B,)
        return self.body.attention_weights(*self.body.states(self._vectors(ids), lengths), lengths)

    def _vectors(self, ids: Tensor) -> Tensor:
        words = self.embedding(ids)
        return torch.cat([words, self.pairs(ids)], dim=2) if self.pairs else words  # (B, T, D)


class Stack(nn.Module):
    """The layers of one direction, counted from 1; each reads the output of the one before.

    With `skip_connections`, even layers pass their input through, so they have no weights, and
    every odd layer from 3 on adds the output of layer 1 to its own. Report, end of the 5th step.
    """

    def __init__(self, cell, input_size, hidden_size, num_layers, skip_connections, dropout=0.0):
        super().__init__()
        self.skip_connections = skip_connections
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleDict()
        for number in layer_numbers(num_layers, skip_connections):
            size = input_size if number == 1 else hidden_size
            self.layers[str(number)] = cell(size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output (B, T, H) for a batch `x` (B, T, D)."""
        first = None
        for layer in self.layers.values():
            x, _ = layer(x if first is None else self.dropout(x))  # (B, T, H)
            if first is None:
                first = x
            elif self.skip_connections:
                x = x + first
        return x


def layer_numbers(num_layers: int, skip_connections: bool) -> range:
    """The numbers of a stack's layers: all, or only the odd ones with skip connections."""
    return range(1, num_layers + 1, 2 if skip_connections else 1)


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Each review of `x` (B, T, D) reversed within its own length; padding stays where it is."""
    if x.shape[1] == 1:
        return x
    t = torch.arange(x.shape[1], device=x.device)  # (T,)
    back = lengths.unsqueeze(1) - 1 - t  # (B, T), below 0 on padding
    order = torch.where(back >= 0, back, t)  # (B, T)
    return x.gather(1, order.unsqueeze(2).expand_as(x))


def _padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Where `x` (B, T, …) is padding: (B, T) bool."""
    return torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)


class Dropout(nn.Module):
    """Zeroes values with probability `p` in training and scales the others by 1 / (1 - p). In a
    batch (B, T, D), a value is zeroed at all words of a review or at none.

    Random numbers come from `generator`, PyTorch's global one where it is None. The trainer sets
    its own, so that trainings in threads do not disturb each other.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is {p}; it must be at least 0 and below 1")
        self.p = p
        self.generator = None

    def forward(self, x: Tensor) -> Tensor:
        """`x` (B, …), with some values zeroed in training."""
        if not self.training or self.p == 0:
            return x
        shape = (x.shape[0], 1, x.shape[2]) if x.dim() == 3 else x.shape
        kept = torch.empty(shape, dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(1 - self.p, generator=self.generator).div_(1 - self.p)

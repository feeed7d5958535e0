"""The networks: a batch of reviews in, a logit for each review out. Shapes: B reviews in a batch,
T words, D embedding size, H hidden size."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
POOLINGS = ("last", "max", "attention", "attention+max")
SHORTCUT_SCALE = 3.0  # a mean of hundreds of vectors is small compared with the states


class BiRNN(nn.Module):
    """Two separate stacks of recurrent layers, one for each direction, and one linear layer.

    The forward stack reads a review from its first word, the backward stack from its last. They
    meet only at the end (`bidirectional=True` mixes them after every layer). Report, 4th step.

    Args:
        input_size, hidden_size: D, and the H units of each layer.
        cell_type: "rnn", "lstm" or "gru", in any case.
        num_layers, skip_connections: see `Stack`.
        dropout, layer_dropout, output_dropout: probabilities, see `Dropout`, of zeroing a value of
            the input, of the states between two layers, or before the linear layer.
        pooling: how a review's states become one vector. "last": those after the last word read
            (the report's); "max": the maximum of each unit; "attention": their mean, weighted by
            a learned score (Yang et al. 2016); "attention+max": both.
        shortcut: the linear layer also reads the mean of a review's input vectors.

    `ValueError` for an unknown cell type or pooling, a size below 1 or a dropout outside [0, 1).
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
        if cell_type.lower() not in CELLS or pooling not in POOLINGS:
            known = f"one of {', '.join(CELLS)} and one of {', '.join(POOLINGS)}"
            raise ValueError(f"{cell_type=} and {pooling=} must be {known}")
        if min(input_size, num_layers, hidden_size) < 1:
            raise ValueError(f"{input_size=}, {num_layers=} and {hidden_size=} must be at least 1")
        self.pooling, self.shortcut = pooling, shortcut
        self.dropout, self.output_dropout = Dropout(dropout), Dropout(output_dropout)
        stack = (CELLS[cell_type.lower()], input_size, hidden_size, num_layers, skip_connections)
        self.forward_stack = Stack(*stack, layer_dropout)
        self.backward_stack = Stack(*stack, layer_dropout)
        if "attention" in pooling:
            hidden = nn.Linear(2 * hidden_size, hidden_size), nn.Tanh()
            self.attention = nn.Sequential(*hidden, nn.Linear(hidden_size, 1, bias=False))
        pooled_size = 2 * hidden_size * len(pooling.split("+")) + shortcut * input_size
        self.out = nn.Linear(pooled_size, 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits (B,) of reviews `x` (B, T, D) float32, right-padded after `lengths` (B,) int64
        words, 1 to T; None: T. Padding changes no logit."""
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1], device=x.device)
        pooled = self._pool(self.states(x, lengths), lengths)  # (B, 2H), or (B, 4H)
        if self.shortcut:
            inside = (~_padding(x, lengths)).to(x.dtype).transpose(1, 2)  # (B, 1, T)
            mean = (inside @ x).squeeze(1) / lengths.unsqueeze(1)
            pooled = torch.cat([pooled, SHORTCUT_SCALE * mean], dim=1)  # D more
        return self.out(self.output_dropout(pooled)).squeeze(1)  # (B,)

    def states(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Both last layers' states at each word, (B, T, 2H)."""
        x = self.dropout(x)
        backward = self.backward_stack(reverse_within(x, lengths))
        return torch.cat([self.forward_stack(x), reverse_within(backward, lengths)], dim=2)

    def attention_weights(self, h: Tensor, lengths: Tensor) -> Tensor:
        """The weight of each word with states `h`, (B, T): 0 on padding, with a sum of 1."""
        scores = self.attention(h).masked_fill(_padding(h, lengths), -torch.inf)  # (B, T, 1)
        return scores.squeeze(2).softmax(dim=1)

    def _pool(self, h: Tensor, lengths: Tensor) -> Tensor:
        pooled = []
        if self.pooling == "last":  # each direction's last word
            forward, backward = h.chunk(2, dim=2)  # (B, T, H)
            pooled += [forward[torch.arange(len(h), device=h.device), lengths - 1], backward[:, 0]]
        if "attention" in self.pooling:
            pooled.append(torch.einsum("bt,bth->bh", self.attention_weights(h, lengths), h))
        if "max" in self.pooling:
            pooled.append(h.masked_fill(_padding(h, lengths), -torch.inf).amax(dim=1))
        return torch.cat(pooled, dim=1)


class WordBiRNN(nn.Module):
    """A `BiRNN` that takes ids and looks up their vectors.

    Args:
        num_ids: V; id 0 is padding, 1 an unknown word. All vectors start as zeros.
        input_size: the values of a word's vector.
        word_dropout: probability of reading a word as unknown in training, so without its pairs.
        num_pairs, pair_size: of the `PairVectors` that it also reads; a size of 0: none.
        **options: of `BiRNN`.
    """

    def __init__(self, num_ids, input_size, word_dropout=0.0, num_pairs=0, pair_size=0, **options):
        super().__init__()
        self.body = BiRNN(input_size + pair_size, **options)
        self.pairs = PairVectors(num_pairs, pair_size) if pair_size else None
        self.word_dropout = Dropout(word_dropout)
        zeros = torch.zeros(num_ids, input_size)  # PyTorch would draw values, for seconds
        self.embedding = nn.Embedding.from_pretrained(zeros, freeze=False, padding_idx=0)
        for layer in self.body.modules():
            if isinstance(layer, nn.LSTM):  # open forget gates remember (Jozefowicz et al. 2015)
                layer.bias_ih_l0.data.chunk(4)[1].add_(1)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B,) of reviews `ids` (B, T) int64, right-padded with 0, a word at least each."""
        if self.training and self.word_dropout.p:
            draws = torch.empty(ids.shape, dtype=torch.float32, device=ids.device)  # (B, T)
            draws.uniform_(generator=self.word_dropout.generator)
            ids = ids.masked_fill((draws < self.word_dropout.p) & (ids > 0), 1)
        return self.body(*self._read(ids))

    def attention_weights(self, ids: Tensor) -> Tensor:
        """As from `BiRNN`, (B, T)."""
        x, lengths = self._read(ids)
        return self.body.attention_weights(self.body.states(x, lengths), lengths)

    def _read(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x, lengths = self.embedding(ids), (ids > 0).sum(dim=1)  # (B, T, D), (B,)
        return torch.cat([x, self.pairs(ids)], dim=2) if self.pairs else x, lengths


class PairVectors(nn.Module):
    """Fixed vectors of pairs of neighbouring words, such as "not good": the region embeddings of
    Johnson and Zhang (2015).

    Attributes:
        keys: (P,) int64, increasing, see `pair_keys`; the first stands for no pair.
        values, scale: (P, size) int8 and (size,) float32; their product is the vectors.
    """

    def __init__(self, num_pairs: int, size: int):
        super().__init__()
        self.size = size
        self.register_buffer("keys", torch.zeros(num_pairs + 1, dtype=torch.int64))
        self.register_buffer("values", torch.zeros(num_pairs + 1, size, dtype=torch.int8))
        self.register_buffer("scale", torch.zeros(size, dtype=torch.float32))

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T, size) float32: at each word of `ids` (B, T), the vector of the pair it ends."""
        keys = pair_keys(ids.long())  # (B, T - 1)
        rows = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        rows = pad(rows.masked_fill(self.keys[rows] != keys, 0), (1, 0))  # (B, T)
        return self.values[rows] * self.scale


def pair_keys(ids):
    """A number for each pair of neighbours in `ids` (N, T) int64, an array or a tensor: the first
    id times 2³² plus the second, (N, T - 1) int64; 0 where one of them is no known word."""
    first, second = ids[:, :-1], ids[:, 1:]
    return ((first << 32) + second) * ((first > 1) & (second > 1))


class Stack(nn.Module):
    """The layers of one direction, counted from 1; each reads the output of the one before. With
    `skip_connections`, even layers pass their input through, so that they do not exist, and every
    odd layer from 3 on adds the output of layer 1 to its own. Report, end of the 5th step."""

    def __init__(self, cell, input_size, hidden_size, num_layers, skip_connections, dropout=0.0):
        super().__init__()
        self.skip_connections, self.dropout = skip_connections, Dropout(dropout)
        self.layers = nn.ModuleDict()
        for number in range(1, num_layers + 1, 2 if skip_connections else 1):
            size = input_size if number == 1 else hidden_size
            self.layers[str(number)] = cell(size, hidden_size, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """The last layer's output (B, T, H) for a batch `x` (B, T, D)."""
        first, *others = self.layers.values()
        x = out_1 = first(x)[0]  # (B, T, H)
        for layer in others:
            x, _ = layer(self.dropout(x))
            if self.skip_connections:
                x = x + out_1
        return x


def reverse_within(x: Tensor, lengths: Tensor) -> Tensor:
    """Each review of `x` (B, T, D) reversed within its own length; padding stays where it is."""
    t = torch.arange(x.shape[1], device=x.device)  # (T,)
    back = lengths.unsqueeze(1) - 1 - t  # (B, T), below 0 on padding
    rows = len(t) * torch.arange(len(x), device=x.device).unsqueeze(1)  # (B, 1)
    order = (rows + torch.where(back >= 0, back, t)).flatten()  # whole words move, not values
    return x.flatten(0, 1).index_select(0, order).view_as(x)


def _padding(x: Tensor, lengths: Tensor) -> Tensor:
    """Where `x` (B, T, D) is padding: (B, T, 1) bool."""
    return (torch.arange(x.shape[1], device=x.device) >= lengths.unsqueeze(1)).unsqueeze(2)


class Dropout(nn.Module):
    """Zeroes values with probability `p` in training and scales the others by 1 / (1 - p). In a
    batch (B, T, D), a value is zeroed at all words of a review or at none (Gal and Ghahramani
    2016). Draws from `generator`, which the trainer sets; None: the global one.
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout is {p}; it must be at least 0 and below 1")
        self.p, self.generator = p, None

    def forward(self, x: Tensor) -> Tensor:
        """`x` (B, …), with some values zeroed in training."""
        if not self.training or self.p == 0:
            return x
        kept = torch.empty_like(x[:, :1] if x.dim() == 3 else x)
        return x * kept.bernoulli_(1 - self.p, generator=self.generator).div_(1 - self.p)

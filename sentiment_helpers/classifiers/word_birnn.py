"""A recurrent network that reads every word in order, as a classifier of ids."""

from dataclasses import dataclass

import numpy as np
import torch

from sentiment_helpers.classifiers import base, own_settings
from sentiment_helpers.classifiers.cooccurrence import domain_vectors, pair_vectors
from sentiment_helpers.features import PADDING, UNKNOWN, check_range, check_vectors
from sentiment_helpers.glove import Glove
from sentiment_helpers.networks import BiRNN, WordBiRNN

MAX_ID = 2**31 - 1
MIN_WORD_COUNT = 3  # of a word with a vector of its own, in the training reviews


@dataclass(eq=False, repr=False)  # scikit-learn's own equality and text
class WordBiRNNClassifier(base.NetworkClassifier):
    """Reads reviews word by word, as ids (N, T) from `TokenIds`, with vectors that it tunes.

    `fit` keeps the vectors of the words that occur at least `MIN_WORD_COUNT` times in its training
    rows, as `ids_` (V,) int32, sorted; all others are one unknown word. The defaults made the
    network in `models/RNN.pt`.

    Args:
        embeddings: the `Glove` whose ids `TokenIds` gave.
        word_dropout, pair_size: see `networks.WordBiRNN`; 0 pairs: none.
        domain_size: extra dimensions of each word's vector, see `cooccurrence.domain_vectors`.
        embedding_lr: the learning rate of the vectors; 0 leaves them as they are.
        lr, schedule, max_epochs, max_norm: see `training.epochs`. All others: see `networks.BiRNN`
            and `NetworkClassifier`.
    """

    reads = ", words in order"
    kept = (*base.NetworkClassifier.kept, "ids_", "num_pairs_", "vector_size_")

    embeddings: Glove | None = None
    cell_type: base.CellType = "lstm"
    num_layers: base.Size = 1
    hidden_size: base.Size = 128
    dropout: base.Share = 0.2
    skip_connections: bool = False
    pooling: base.Pooling = "attention+max"
    layer_dropout: base.Share = 0.2
    output_dropout: base.Share = 0.5
    word_dropout: base.Share = 0.3
    shortcut: bool = True
    domain_size: base.OptionalSize = 100
    pair_size: base.OptionalSize = 100
    embedding_lr: base.OptionalRate = 1e-3
    lr: base.Rate = 2e-3
    schedule: base.Schedule = "linear"
    max_epochs: base.Count = 4
    max_norm: base.Norm = 1.0

    def build_network(self) -> WordBiRNN:
        """An untrained network for the words in `ids_`, without their vectors."""
        options = self._arguments_of(BiRNN, WordBiRNN) | {"num_pairs": self.num_pairs_}
        return WordBiRNN(len(self.ids_) + 2, self.vector_size_, **options)

    def attention_weights(self, X) -> np.ndarray:
        """(N, T) float32: the weight of each word of ids `X` (N, T), with a sum of 1 over a review.
        `ValueError` if the network pools without attention; or as from `decision_function`."""
        if "attention" not in self.pooling:
            raise ValueError(f"{self.title} with pooling {self.pooling!r} has no attention")
        with own_settings(), torch.inference_mode():
            return self.network_.attention_weights(self._checked_inputs(X)).cpu().numpy()

    def _dtype(self, X) -> type:
        check_ids(X, len(self.embeddings.vectors) + 2 if self.embeddings else MAX_ID)
        return np.int32

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.embeddings, Glove | None):
            raise ValueError(f"embeddings is {self.embeddings!r:.80}; it must be a Glove")

    def _start(self, X: np.ndarray, device: torch.device) -> WordBiRNN:
        if self.embeddings is None:
            raise ValueError("embeddings is None: give the Glove whose ids TokenIds gave")
        ids, counts = np.unique(X, return_counts=True)
        self.ids_ = ids[(ids > UNKNOWN) & (counts >= MIN_WORD_COUNT)]
        known = self.embeddings.vectors[self.ids_ - 2]  # (V, D)
        check_vectors(known, [self.embeddings.words[i - 2] for i in self.ids_])
        size, spread = known.shape[1], known.std() if len(known) else 0  # of GloVe's values
        self.vector_size_ = int(size + self.domain_size)
        inputs, seed = self._inputs(X, device), self.random_state
        learn = inputs.cpu().numpy(), len(known) + 2
        pairs = pair_vectors(*learn, int(self.pair_size), seed) if self.pair_size else None
        self.num_pairs_ = len(pairs.keys) - 1 if pairs else 0
        network = super()._start(X, device)
        weight = network.embedding.weight.requires_grad_(bool(self.embedding_lr > 0))
        weight.data[2:, :size] = torch.from_numpy(known)
        if self.domain_size:
            domain = domain_vectors(*learn, self.domain_size, seed) * spread
            weight.data[:, size:] = torch.from_numpy(domain)
        if pairs:
            pairs.scale *= spread
            network.pairs = pairs.to(device)
        return network

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Ids (N, T) as rows of the network's vectors: known words from 2 on, in the order of
        `ids_`. A review without any word has an unknown one."""
        rows = np.full(self.ids_.max(initial=UNKNOWN) + 2, UNKNOWN, np.int32)
        rows[PADDING] = PADDING
        rows[self.ids_] = np.arange(len(self.ids_)) + 2
        inputs = rows[np.minimum(X, len(rows) - 1)]  # the last row is of no known word
        inputs[:, 0] = np.maximum(inputs[:, 0], UNKNOWN)
        return torch.from_numpy(inputs).to(device)


def check_ids(X, high: int = MAX_ID) -> None:
    """`ValueError` where `X` is not what `TokenIds` gives: whole numbers from 0 to below `high`."""
    ids = np.asarray(X)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError("ids from TokenIds are expected, not features")
    for number in (ids.min(initial=0), ids.max(initial=0)):
        check_range("an id of TokenIds with these vectors", int(number), 0, high - 1)

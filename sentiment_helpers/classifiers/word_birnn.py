"""A recurrent network that reads every word in order, as a classifier of ids."""

import os
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from sentiment_helpers.classifiers.base import (
    DROPOUT,
    MAX_LAYERS,
    MAX_SIZE,
    NetworkClassifier,
    check_ids,
)
from sentiment_helpers.classifiers.domain_vectors import PairVectors, domain_vectors
from sentiment_helpers.classifiers.pretraining import pretrain
from sentiment_helpers.features import (
    MAX_ID,
    PADDING,
    UNKNOWN,
    check_range,
    check_vectors,
    increasing,
)
from sentiment_helpers.glove import Glove
from sentiment_helpers.networks import WordBiRNN

MIN_WORD_COUNT = 3  # of a word with a vector of its own, in the training reviews


@dataclass(eq=False, repr=False)  # scikit-learn's own equality and text
class WordBiRNNClassifier(NetworkClassifier):
    """Reads reviews word by word, as ids (N, T) from `TokenIds`, with vectors that it tunes.

    `fit` keeps the vectors of the words that occur at least `MIN_WORD_COUNT` times in its training
    rows; all others are one unknown word. The defaults made the network in `models/RNN.pt`.

    Args:
        embeddings: the `Glove` whose ids `TokenIds` gave.
        cell_type, num_layers, hidden_size, dropout, skip_connections, pooling, layer_dropout,
            output_dropout, shortcut: see `networks.BiRNN`.
        word_dropout: see `networks.WordBiRNN`.
        domain_size: extra dimensions of each word's vector, from co-occurrence in the training
            reviews, see `domain_vectors`.
        pair_size: the values of the fixed vectors of word pairs, see `PairVectors`; 0: none.
        pretraining_epochs: of a language model that the stacks learn first, see `pretrain`.
        embedding_lr: the learning rate of the vectors; 0 leaves them as they are.
        lr, schedule, batch_size, max_epochs, patience, max_norm, optimizer: see `training.fit`.
        random_state, device, verbose, class_weight: as in `BiRNNClassifier`.

    Attributes:
        ids_: (V,) int32, the ids of the words that have vectors, sorted.
        perplexity_: a number for each epoch of the language model.
    """

    ranges = NetworkClassifier.ranges | {
        "num_layers": (1, MAX_LAYERS),
        "hidden_size": (1, MAX_SIZE),
        "dropout": DROPOUT,
        "layer_dropout": DROPOUT,
        "output_dropout": DROPOUT,
        "word_dropout": DROPOUT,
        "domain_size": (0, MAX_SIZE),
        "pair_size": (0, MAX_SIZE),
        "pretraining_epochs": (0, 2**31 - 1),
        "embedding_lr": (0.0, 1e12),
    }
    prediction_dtype = torch.float32  # float64 takes twice as long
    settings = (*NetworkClassifier.settings, "embedding_lr", "schedule")

    embeddings: Glove | None = None
    cell_type: str = "lstm"
    num_layers: int = 1
    hidden_size: int = 64
    dropout: float = 0.2
    skip_connections: bool = False
    pooling: str = "attention+max"
    layer_dropout: float = 0.2
    output_dropout: float = 0.5
    word_dropout: float = 0.3
    shortcut: bool = True
    domain_size: int = 100
    pair_size: int = 100
    pretraining_epochs: int = 1
    embedding_lr: float = 1e-3
    lr: float = 2e-3
    schedule: str = "linear"
    batch_size: int = 64
    max_epochs: int = 4
    patience: int = 2
    max_norm: float = 1.0
    random_state: int = 1234
    device: str = "auto"
    verbose: bool = False
    optimizer: str = "adam"
    class_weight: str | dict | None = None

    def fit(
        self,
        X,
        y,
        validation: tuple | None = None,
        resume: str | os.PathLike | None = None,
        unlabelled: np.ndarray | None = None,
    ) -> Self:
        """As `NetworkClassifier.fit`, on ids X (N, T). Vectors and the language model learn from
        the rows of X and from `unlabelled`, ids (M, T) of further reviews. A training that is
        resumed repeats the language model first; if that was stopped, it cannot be resumed."""
        self._fit(X, y, validation, resume, unlabelled)
        if len(self.perplexity_) < self.pretraining_epochs and len(self.ids_):
            self.stopped_ = "interrupted"
        return self

    def build_network(self) -> WordBiRNN:
        """An untrained network for the words in `ids_`, without their vectors."""
        names = (
            "cell_type", "num_layers", "hidden_size", "dropout", "skip_connections", "pooling",
            "layer_dropout", "output_dropout", "shortcut", "word_dropout",
        )  # fmt: skip
        pairs = PairVectors(self._num_pairs, int(self.pair_size)) if self.pair_size else None
        sizes = (len(self.ids_) + 2, self._vector_size)
        return WordBiRNN(*sizes, pairs=pairs, **self._values(*names))

    def attention_weights(self, X) -> np.ndarray:
        """(N, T) float32: the weight of each word of ids `X` (N, T), with a sum of 1 over a review.

        Raises:
            ValueError: the network pools without attention; or as from `decision_function`.
        """
        if "attention" not in self.pooling:
            raise ValueError(f"{self.title} with pooling {self.pooling!r} has no attention")
        X = self._validate("inputs", X)
        with torch.inference_mode():
            inputs = self._inputs(X, next(self.network_.parameters()).device)
            return self.network_.attention_weights(inputs).cpu().numpy()

    @property
    def title(self) -> str:
        """The network in a few words."""
        skip = " skip" if self.skip_connections else ""
        size = f"{self.num_layers}×{self.hidden_size}"
        return f"{self.cell_type.upper()} {size}{skip}, words in order"

    def _dtype(self, X) -> type:
        known = self.embeddings is not None
        check_ids(X, len(self.embeddings.vectors) + 2 if known else MAX_ID)
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
        self._vector_size = int(known.shape[1] + self.domain_size)
        check_range("the size of word vectors", self._vector_size, 1, MAX_SIZE)
        vectors = np.zeros((len(self.ids_) + 2, self._vector_size), np.float32)
        vectors[2:, : known.shape[1]] = known
        spread = known.std() if len(known) else 0  # of GloVe's values
        read, seed = self._positions(X), self.random_state
        if self.domain_size:
            domain = domain_vectors(read, len(vectors), self.domain_size, seed)
            vectors[:, known.shape[1] :] = domain * spread
        if self.pair_size:
            pairs = PairVectors.learned(read, len(vectors), int(self.pair_size), spread, seed)
            self._num_pairs = len(pairs.keys) - 1
        network = super()._start(X, device)
        network.embedding.weight.data.copy_(torch.from_numpy(vectors))
        network.embedding.weight.requires_grad_(bool(self.embedding_lr > 0))
        if self.pair_size:
            network.pairs = pairs.to(device)
        self.perplexity_ = []
        if self.pretraining_epochs and len(known):
            ids = torch.from_numpy(read).to(device)
            shown = f"{self.title}, text first" if self.verbose else None
            numbers = self._values("pretraining_epochs", "batch_size", "random_state")
            self.perplexity_ = pretrain(network, ids, *numbers.values(), shown)
        return network

    def _positions(self, X: np.ndarray) -> np.ndarray:
        """Ids as rows of the network's vectors: known words from 2 on, in the order of `ids_`. A
        review without any word has an unknown one."""
        rows = np.full(self.ids_.max(initial=UNKNOWN) + 2, UNKNOWN, np.int32)
        rows[PADDING] = PADDING
        rows[self.ids_] = np.arange(len(self.ids_)) + 2
        positions = rows[np.minimum(X, len(rows) - 1)]  # the last row is of no known word
        positions[:, 0] = np.maximum(positions[:, 0], UNKNOWN)
        return positions

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Ids (N, T) as rows of the network's vectors."""
        return torch.from_numpy(self._positions(X)).to(device)

    def _lengths(self, inputs: torch.Tensor) -> torch.Tensor:
        return (inputs > 0).sum(dim=1).cpu()

    def get_state(self) -> dict:
        """As in `NetworkClassifier`, with `ids`; the vectors are among the weights."""
        state = super().get_state()
        del state["parameters"]["embeddings"]
        return state | {"ids": torch.from_numpy(self.ids_), "perplexity": self.perplexity_}

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        classifier = super()._unfitted(state)
        classifier.ids_ = increasing(state["ids"], UNKNOWN + 1, MAX_ID)
        classifier._vector_size = state["weights"]["embedding.weight"].shape[1]
        check_range("the size of word vectors", classifier._vector_size, 1, MAX_SIZE)
        if classifier.pair_size:
            keys = increasing(state["weights"]["pairs.keys"], 0, 2**63 - 1)
            classifier._num_pairs = len(keys) - 1
        for value in (perplexity := list(state["perplexity"])):
            check_range("perplexity", value, 1.0, float("inf"))
        classifier.perplexity_ = perplexity
        return classifier

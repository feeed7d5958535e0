"""The recurrent and the feed-forward classifier. They open no files."""

import sys
from numbers import Integral, Real
from typing import Self

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from torch import nn

from sentiment_helpers.classifiers.base import NetworkClassifier
from sentiment_helpers.classifiers.bounds import (
    MAX_ID,
    MAX_LAYERS,
    MAX_SIZE,
    PROBABILITY,
    SIZE,
    Number,
    check_ids,
    check_vectors,
    increasing,
)
from sentiment_helpers.classifiers.domain_vectors import domain_vectors
from sentiment_helpers.fast.flat_adam import SCHEDULES
from sentiment_helpers.features import PADDING, UNKNOWN
from sentiment_helpers.glove import Glove
from sentiment_helpers.networks import POOLINGS, BiRNN, WordBiRNN

MIN_COUNT = 2
"""How often a word must occur in the training reviews to have a vector of its own."""


class BiRNNClassifier(NetworkClassifier):
    """The report's network and training as a scikit-learn classifier of two classes.

    It takes features (N, D), each row a sequence of length 1, as the report does. With
    `embeddings`, it takes ids (N, T) from `TokenIds` and reads each review word by word: `fit`
    keeps the vectors of the words that occur at least `MIN_COUNT` times in its training rows; all
    others are one unknown word.

    Args:
        cell_type, num_layers, hidden_size, dropout, skip_connections: see `networks.BiRNN`.
        lr, batch_size, max_epochs, patience, max_norm: see `training.fit`.
        random_state: seeds weights, order and dropout; the same data and parameters give the
            same weights, bit for bit, on one machine.
        device: "auto" is CUDA where there is a GPU, else the CPU; or any name PyTorch knows.
        verbose: show a progress bar with each epoch's figures.
        embeddings: the `Glove` whose ids `TokenIds` gave.
        domain_size: values that each word's vector has beside those of `embeddings`, made by `fit`
            from its training reviews without their labels, see `features.domain_vectors`.
        embedding_lr: the learning rate of the vectors; 0 leaves them as they are.
        pooling, layer_dropout, output_dropout, shortcut: see `networks.BiRNN`.
        word_dropout: see `networks.WordBiRNN`.
        schedule: see `training.fit`.

    Attributes:
        ids_: (V,) int32, with `embeddings`: the ids of the words that are kept, sorted.
    """

    _parameter_constraints = NetworkClassifier._parameter_constraints | {
        "cell_type": [str],
        "num_layers": [Number(Integral, 1, MAX_LAYERS, closed="both")],
        "hidden_size": SIZE,
        "dropout": PROBABILITY,
        "skip_connections": ["boolean"],
        "embeddings": [Glove, None],
        "domain_size": [Number(Integral, 0, MAX_SIZE, closed="both")],
        "embedding_lr": [Number(Real, 0, sys.float_info.max, closed="both")],
        "pooling": [StrOptions(set(POOLINGS))],
        "layer_dropout": PROBABILITY,
        "output_dropout": PROBABILITY,
        "shortcut": ["boolean"],
        "word_dropout": PROBABILITY,
        "schedule": [StrOptions(set(SCHEDULES))],
    }

    def __init__(
        self,
        cell_type: str = "gru",
        num_layers: int = 5,
        hidden_size: int = 8,
        dropout: float = 0.05,
        skip_connections: bool = False,
        lr: float = 1e-4,
        batch_size: int = 64,
        max_epochs: int = 15,
        patience: int = 2,
        max_norm: float = 0.75,
        random_state: int = 1234,
        device: str = "auto",
        verbose: bool = False,
        embeddings: Glove | None = None,
        domain_size: int = 0,
        embedding_lr: float = 1e-3,
        pooling: str = "last",
        layer_dropout: float = 0.0,
        output_dropout: float = 0.0,
        shortcut: bool = False,
        word_dropout: float = 0.0,
        schedule: str = "constant",
    ):
        self.cell_type = cell_type
        self.num_layers = num_layers
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.skip_connections = skip_connections
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.max_norm = max_norm
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.embeddings = embeddings
        self.domain_size = domain_size
        self.embedding_lr = embedding_lr
        self.pooling = pooling
        self.layer_dropout = layer_dropout
        self.output_dropout = output_dropout
        self.shortcut = shortcut
        self.word_dropout = word_dropout
        self.schedule = schedule

    def build_network(self) -> BiRNN | WordBiRNN:
        """An untrained network of these parameters: for `n_features_in_` features, or for the
        words in `ids_`, with no vectors yet."""
        names = (
            "cell_type", "num_layers", "hidden_size", "dropout", "skip_connections", "pooling",
            "layer_dropout", "output_dropout", "shortcut",
        )  # fmt: skip
        parameters = self._plain(*names)
        if not self._of_ids:
            return BiRNN(self.n_features_in_, **parameters)
        parameters |= self._plain("word_dropout")
        return WordBiRNN(len(self.ids_) + 2, self._vector_size, **parameters)

    def attention_weights(self, X) -> np.ndarray:
        """(N, T) float32: how much each word of ids `X` (N, T) counts in the pooled state, with a
        sum of 1 over a review.

        Raises:
            ValueError: the network reads no words, or pools without attention; or as from
                `decision_function`.
        """
        if not self._of_ids or "attention" not in self.pooling:
            raise ValueError(f"{self.title} with pooling {self.pooling!r} has no attention")
        X = self._checked("inputs", X)
        with torch.inference_mode():
            inputs = self._inputs(X, next(self.network_.parameters()).device)
            return self.network_.attention_weights(inputs).cpu().numpy()

    @property
    def title(self) -> str:
        skip = " skip" if self.skip_connections else ""
        read = ", words in order" if self._of_ids else ""
        return f"{self.cell_type.upper()} {self.num_layers}×{self.hidden_size}{skip}{read}"

    @property
    def _of_ids(self) -> bool:
        return self.embeddings is not None or hasattr(self, "ids_")

    def _dtype(self, X) -> type:
        if not self._of_ids:
            return np.float32
        check_ids(X, MAX_ID if self.embeddings is None else len(self.embeddings.vectors) + 2)
        return np.int32

    def _start(self, X: np.ndarray) -> nn.Module:
        if not self._of_ids:
            return self.build_network()
        ids, counts = np.unique(X, return_counts=True)
        self.ids_ = ids[(ids > UNKNOWN) & (counts >= MIN_COUNT)]
        known = self.embeddings.vectors[self.ids_ - 2]  # (V, D)
        check_vectors(known, [self.embeddings.words[i - 2] for i in self.ids_])
        self._vector_size = _bounded(int(known.shape[1] + self.domain_size))
        vectors = np.zeros((len(self.ids_) + 2, self._vector_size), np.float32)
        vectors[2:, : known.shape[1]] = known
        if self.domain_size:
            read = self._positions(X)
            domain = domain_vectors(read, len(vectors), self.domain_size, self.random_state)
            scale = known.std() if len(known) else 0  # as far apart as GloVe's
            vectors[:, known.shape[1] :] = domain * scale
        network = self.build_network()
        with torch.no_grad():
            network.embedding.weight.copy_(torch.from_numpy(vectors))
        network.embedding.weight.requires_grad_(bool(self.embedding_lr > 0))
        return network

    def _training(self) -> dict:
        rates = {"embedding": float(self.embedding_lr)} if self._of_ids else None
        return {"other_lr": rates, "schedule": self.schedule}

    def _positions(self, X: np.ndarray) -> np.ndarray:
        """Ids as rows of the network's vectors: known words from 2 on, in the order of `ids_`. A
        review without any word has an unknown one."""
        rows = np.full(self.ids_.max(initial=UNKNOWN) + 2, UNKNOWN, np.int32)
        rows[PADDING] = PADDING
        rows[self.ids_] = np.arange(len(self.ids_)) + 2
        positions = rows[np.minimum(X, len(rows) - 1)]  # the last row is of no word that is kept
        positions[:, 0] = np.maximum(positions[:, 0], UNKNOWN)
        return positions

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Features (N, D) as sequences of length 1, (N, 1, D); or ids as the network's, (N, T)."""
        if self._of_ids:
            return torch.from_numpy(self._positions(X)).to(device)
        return torch.tensor(X, device=device).unsqueeze(1)

    def _lengths(self, inputs: torch.Tensor) -> torch.Tensor | None:
        return (inputs > 0).sum(dim=1).cpu() if self._of_ids else None

    def get_state(self) -> dict:
        state = super().get_state()
        del state["parameters"]["embeddings"]
        if self._of_ids:
            state["ids"] = torch.from_numpy(self.ids_)
        return state

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        classifier = super()._unfitted(state)
        if "ids" in state:
            classifier.ids_ = increasing(state["ids"], UNKNOWN + 1, MAX_ID)
            classifier._vector_size = _bounded(state["weights"]["embedding.weight"].shape[1])
        return classifier


def _bounded(size: int) -> int:
    """The length of words' vectors; `ValueError` where no model may have such long ones."""
    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"words' vectors have {size:,} values, not 1 to {MAX_SIZE:,}")
    return size

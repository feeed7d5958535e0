"""The report's recurrent network as a classifier of features."""

import numpy as np
import torch

from sentiment_helpers.classifiers.base import DROPOUT, MAX_LAYERS, MAX_SIZE, NetworkClassifier
from sentiment_helpers.networks import BiRNN


class BiRNNClassifier(NetworkClassifier):
    """The report's network and training as a scikit-learn classifier of two classes.

    It takes features (N, D), each row a sequence of length 1, as the report does.

    Args:
        cell_type, num_layers, hidden_size, dropout, skip_connections: see `networks.BiRNN`.
        lr, batch_size, max_epochs, patience, max_norm, optimizer: see `training.fit`.
        random_state: seeds weights, order and dropout. The same data and parameters give the same
            weights, bit for bit on one CPU with as many threads, in any process or thread.
        device: "auto" is CUDA where there is a GPU, otherwise the CPU; or any name PyTorch knows.
        verbose: show a progress bar with each epoch's figures.
        class_weight: None, "balanced" or a weight by label, as in scikit-learn, where the training
            rows are counted. It weights both losses, and no other figure.
    """

    ranges = NetworkClassifier.ranges | {
        "num_layers": (1, MAX_LAYERS),
        "hidden_size": (1, MAX_SIZE),
        "dropout": DROPOUT,
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
        optimizer: str = "adam",
        class_weight: str | dict | None = None,
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
        self.optimizer = optimizer
        self.class_weight = class_weight

    def build_network(self) -> BiRNN:
        """An untrained network for `n_features_in_` features."""
        names = ("cell_type", "num_layers", "hidden_size", "dropout", "skip_connections")
        return BiRNN(self.n_features_in_, **self._values(*names))

    @property
    def title(self) -> str:
        """The network in a few words."""
        skip = " skip" if self.skip_connections else ""
        return f"{self.cell_type.upper()} {self.num_layers}×{self.hidden_size}{skip}"

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Features (N, D) as sequences of length 1, (N, 1, D)."""
        return super()._inputs(X, device).unsqueeze(1)

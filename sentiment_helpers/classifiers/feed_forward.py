"""The report's feed-forward network, and the classifier that trains it."""

import torch
from torch import Tensor, nn

from sentiment_helpers.classifiers.base import DROPOUT, MAX_SIZE, NetworkClassifier
from sentiment_helpers.networks import Dropout


class FeedForward(nn.Module):
    """The report's second assignment: a hidden layer of rectified units and a linear one.

    Args:
        input_size: D.
        hidden_size: the units of the hidden layer.
        dropout: probability of zeroing a value of the input in training.

    Raises:
        ValueError: a size below 1 or a dropout outside [0, 1).
    """

    def __init__(self, input_size: int, hidden_size: int = 16, dropout: float = 0.01):
        super().__init__()
        if min(input_size, hidden_size) < 1:
            raise ValueError(f"{input_size=} and {hidden_size=} must be at least 1")
        self.dropout = Dropout(dropout)
        self.hidden = nn.Linear(input_size, hidden_size)
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of feature vectors `x` (B, D) float32."""
        h = torch.relu(self.hidden(self.dropout(x)))  # (B, H)
        return self.out(h).squeeze(1)  # (B,)


class FeedForwardClassifier(NetworkClassifier):
    """The report's second assignment as a scikit-learn classifier of two classes.

    Args:
        hidden_size, dropout: see `networks.FeedForward`.
        lr, batch_size, max_epochs, patience, max_norm, optimizer: see `training.fit`; the report's
            network was stopped in its 21st epoch, and no clipping is mentioned.
        random_state, device, verbose, class_weight: as in `BiRNNClassifier`.
    """

    ranges = NetworkClassifier.ranges | {"hidden_size": (1, MAX_SIZE), "dropout": DROPOUT}

    def __init__(
        self,
        hidden_size: int = 16,
        dropout: float = 0.01,
        lr: float = 1e-4,
        batch_size: int = 64,
        max_epochs: int = 21,
        patience: int = 2,
        max_norm: float = float("inf"),
        random_state: int = 1234,
        device: str = "auto",
        verbose: bool = False,
        optimizer: str = "adam",
        class_weight: str | dict | None = None,
    ):
        self.hidden_size = hidden_size
        self.dropout = dropout
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

    def build_network(self) -> FeedForward:
        """An untrained network for `n_features_in_` features."""
        return FeedForward(self.n_features_in_, **self._values("hidden_size", "dropout"))

    @property
    def title(self) -> str:
        """The network in a few words."""
        return f"feed-forward {self.hidden_size}"

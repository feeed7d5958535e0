"""The report's feed-forward network as a classifier."""

from sentiment_helpers.classifiers.base import NetworkClassifier
from sentiment_helpers.classifiers.bounds import PROBABILITY, SIZE
from sentiment_helpers.networks import FeedForward


class FeedForwardClassifier(NetworkClassifier):
    """The report's second assignment as a scikit-learn classifier of two classes.

    Args:
        hidden_size, dropout: see `networks.FeedForward`.
        lr, batch_size, max_epochs, patience, max_norm: see `training.fit`; the report's network
            was stopped in its 21st epoch, and no clipping is mentioned.
        random_state, device, verbose: as in `BiRNNClassifier`.
    """

    _parameter_constraints = NetworkClassifier._parameter_constraints | {
        "hidden_size": SIZE,
        "dropout": PROBABILITY,
    }

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

    def build_network(self) -> FeedForward:
        return FeedForward(self.n_features_in_, **self._plain("hidden_size", "dropout"))

    @property
    def title(self) -> str:
        return f"feed-forward {self.hidden_size}"

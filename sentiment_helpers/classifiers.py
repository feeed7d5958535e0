"""Scikit-learn estimators that join a network to the trainer. They open no files."""

from typing import Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sentiment_helpers.features import PADDING, UNKNOWN, domain_vectors
from sentiment_helpers.glove import Glove
from sentiment_helpers.metrics import evaluate
from sentiment_helpers.networks import BiRNN, FeedForward, WordBiRNN
from sentiment_helpers.training import fit, predict_logits

MIN_COUNT = 2
"""How often a word must occur in the training reviews to have a vector of its own."""


class _NetworkClassifier(ClassifierMixin, BaseEstimator):
    """What the classifiers share: the trainer, and the same attributes once fitted.

    Each has a `title` for progress bars and figures, and a `build_network` that makes an untrained
    network for `n_features_in_` features.

    Attributes:
        classes_: the two labels, sorted; the second one is the positive class.
        network_: the trained network, with the weights of the best epoch.
        history_: a table with a row for each epoch; columns as in `training.History.epochs`.
        best_epoch_, stopped_, valid_probabilities_: as in `training.History`.
    """

    def fit(self, X, y, validation: tuple | None = None) -> Self:
        """Train on features (N, D) and labels (N,) of two classes.

        `validation` is another (features, labels) pair, which decides when to stop and which
        epoch is kept; without it, a tenth of the rows is set aside for that, stratified.

        Raises:
            ValueError: not two classes, a value that is not finite, or a parameter out of range.
        """
        X, y = validate_data(self, X, y, dtype=self._dtype(X))
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            count = "1 class" if len(self.classes_) == 1 else f"{len(self.classes_)} classes"
            raise ValueError(
                f"Only binary classification is supported: labels of two classes are needed, "
                f"{count} found"
            )
        if validation is None:
            X, X_valid, y, y_valid = train_test_split(
                X, y, test_size=max(len(y) // 10, 2), stratify=y, random_state=self.random_state
            )
        else:
            X_valid, y_valid = validation
            X_valid, y_valid = validate_data(
                self, X_valid, y_valid, dtype=self._dtype(X_valid), reset=False
            )
        device = _device(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            self.network_ = self._start(X).to(device)
        train, valid = self._inputs(X, device), self._inputs(X_valid, device)
        history = fit(
            self.network_,
            (train, self._targets(y, device)),
            (valid, self._targets(y_valid, device)),
            lengths=(self._lengths(train), self._lengths(valid)),
            lr=self.lr,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            max_norm=self.max_norm,
            random_state=self.random_state,
            metrics=lambda labels, probabilities: evaluate(labels, probabilities)._asdict(),
            description=self.title if self.verbose else None,
            **self._training(),
        )
        self._finish()
        self.history_ = pd.DataFrame(history.epochs).set_index("epoch")
        self.best_epoch_ = history.best_epoch
        self.stopped_ = history.stopped
        self.valid_probabilities_ = history.probabilities
        return self

    def decision_function(self, X) -> np.ndarray:
        """Logits (N,) of the positive class for features (N, D)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self._dtype(X), reset=False)
        inputs = self._inputs(X, next(self.network_.parameters()).device)
        return predict_logits(self.network_, inputs, self._lengths(inputs)).cpu().numpy()

    def predict_proba(self, X) -> np.ndarray:
        """(N, 2) float64: the probability of each of `classes_`."""
        positive = torch.sigmoid(torch.from_numpy(self.decision_function(X)).double()).numpy()
        return np.column_stack([1 - positive, positive])

    def predict(self, X) -> np.ndarray:
        """(N,) labels: the positive class where its probability is above one half."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def get_state(self) -> dict:
        """Parameters, weights and history, as tensors and plain values."""
        check_is_fitted(self)
        parameters = self.get_params()
        del parameters["device"], parameters["verbose"]  # of this machine and this run
        return {
            "parameters": parameters,
            "classes": self.classes_.tolist(),
            "n_features_in": self.n_features_in_,
            "weights": {name: w.cpu() for name, w in self.network_.state_dict().items()},
            "history": self.history_.reset_index().to_dict("records"),
            "best_epoch": self.best_epoch_,
            "stopped": self.stopped_,
        }

    @classmethod
    def from_state(cls, state: dict) -> Self:
        """A fitted classifier again, on this machine's device."""
        classifier = cls._unfitted(state)
        classifier.network_ = classifier.build_network()
        classifier.network_.load_state_dict(state["weights"])
        classifier.network_.to(_device(classifier.device)).eval()
        classifier.history_ = pd.DataFrame(state["history"]).set_index("epoch")
        classifier.best_epoch_ = state["best_epoch"]
        classifier.stopped_ = state["stopped"]
        return classifier

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        """With all that `build_network` asks for."""
        classifier = cls(**state["parameters"])
        classifier.classes_ = np.array(state["classes"])
        classifier.n_features_in_ = state["n_features_in"]
        return classifier

    def _targets(self, y: np.ndarray, device: torch.device) -> torch.Tensor:
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"validation labels {unknown[:5]} are not among {self.classes_}")
        return torch.from_numpy((y == self.classes_[1]).astype(np.float32)).to(device)

    # What a classifier that reads ids does otherwise.

    def _dtype(self, X) -> type:
        return np.float32

    def _start(self, X: np.ndarray) -> nn.Module:
        """The untrained network for training features `X`."""
        return self.build_network()

    def _training(self) -> dict:
        """Further arguments of `training.fit`."""
        return {}

    def _finish(self) -> None:
        """What is done with the trained network."""

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Features (N, D) as the network takes them."""
        return torch.tensor(X, device=device)

    def _lengths(self, inputs: torch.Tensor) -> torch.Tensor | None:
        """For `training.fit`: how many columns of each row mean something; None: all."""
        return None


class BiRNNClassifier(_NetworkClassifier):
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
        pooling, layer_dropout, output_dropout: see `networks.BiRNN`.
        word_dropout: see `networks.WordBiRNN`.
        schedule: see `training.fit`.

    Attributes:
        ids_: (V,) int32, with `embeddings`: the ids of the words that are kept, sorted.
    """

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
        self.word_dropout = word_dropout
        self.schedule = schedule

    def fit(self, X, y, validation: tuple | None = None) -> Self:
        vars(self).pop("ids_", None)  # of an earlier `fit`, whose words count no more
        return super().fit(X, y, validation)

    def build_network(self) -> BiRNN | WordBiRNN:
        """An untrained network of these parameters: for `n_features_in_` features, or for the
        words in `ids_`, with no vectors yet."""
        names = (
            "cell_type", "num_layers", "hidden_size", "dropout", "skip_connections", "pooling",
            "layer_dropout", "output_dropout",
        )  # fmt: skip
        parameters = {name: getattr(self, name) for name in names}
        if not self._of_ids:
            return BiRNN(self.n_features_in_, **parameters)
        return WordBiRNN(len(self.ids_) + 2, self._vector_size, self.word_dropout, **parameters)

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
        if not np.issubdtype(np.asarray(X).dtype, np.integer):
            raise ValueError("with embeddings, ids from TokenIds are expected, not features")
        return np.int32

    def _start(self, X: np.ndarray) -> nn.Module:
        if not self._of_ids:
            return self.build_network()
        ids, counts = np.unique(X, return_counts=True)
        self.ids_ = ids[(ids > UNKNOWN) & (counts >= MIN_COUNT)]
        self._vector_size = self.embeddings.vectors.shape[1] + self.domain_size
        known = self.embeddings.vectors[self.ids_ - 2]  # (V, D)
        vectors = np.zeros((len(self.ids_) + 2, self._vector_size), np.float32)
        vectors[2:, : known.shape[1]] = known
        if self.domain_size:
            read = self._positions(X)
            domain = domain_vectors(read, len(vectors), self.domain_size, self.random_state)
            vectors[:, known.shape[1] :] = domain * known.std()  # as far apart as GloVe's
        network = self.build_network()
        with torch.no_grad():
            network.embedding.weight.copy_(torch.from_numpy(vectors))
        network.embedding.weight.requires_grad_(self.embedding_lr > 0)
        return network

    def _training(self) -> dict:
        rates = {"embedding": self.embedding_lr} if self._of_ids else None
        return {"other_lr": rates, "schedule": self.schedule}

    def _finish(self) -> None:
        """Vectors become what a file keeps of them, so that a loaded model predicts the same."""
        if self._of_ids:
            weight = self.network_.embedding.weight.data
            weight.copy_(weight.half())

    def _positions(self, X: np.ndarray) -> np.ndarray:
        """Ids as rows of the network's vectors: known words from 2 on, in the order of `ids_`. A
        review without any word has an unknown one."""
        rows = np.full(max(X.max(initial=0), self.ids_.max(initial=0)) + 1, UNKNOWN, np.int32)
        rows[PADDING] = PADDING
        rows[self.ids_] = np.arange(len(self.ids_)) + 2
        positions = rows[X]
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
            state["weights"]["embedding.weight"] = state["weights"]["embedding.weight"].half()
        return state

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        classifier = super()._unfitted(state)
        if "ids" in state:
            classifier.ids_ = state["ids"].numpy()
            classifier._vector_size = state["weights"]["embedding.weight"].shape[1]
        return classifier


class FeedForwardClassifier(_NetworkClassifier):
    """The report's second assignment as a scikit-learn classifier of two classes.

    Args:
        hidden_size, dropout: see `networks.FeedForward`.
        lr, batch_size, max_epochs, patience, max_norm: see `training.fit`; the report's network
            was stopped in its 21st epoch, and no clipping is mentioned.
        random_state, device, verbose: as in `BiRNNClassifier`.
    """

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
        return FeedForward(self.n_features_in_, self.hidden_size, self.dropout)

    @property
    def title(self) -> str:
        return f"feed-forward {self.hidden_size}"


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)

"""What the classifiers share: a network and the trainer as a scikit-learn estimator."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Annotated, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sentiment_helpers.batches import Rows, predict_logits
from sentiment_helpers.classifiers import device_of, own_settings, untrained
from sentiment_helpers.features import MAX_LENGTH, check_range
from sentiment_helpers.networks import CELLS, POOLINGS
from sentiment_helpers.training import OPTIMIZERS, SCHEDULES, epochs, fit

# What a parameter may be: the least and the greatest number, or the known choices.
Count = Annotated[int, 1, 2**31 - 1]
Size = Annotated[int, 1, MAX_LENGTH]
OptionalSize = Annotated[int, 0, MAX_LENGTH]
OptionalRate = Annotated[float, 0.0, 1e12]
Rate = Annotated[float, 1e-12, 1e12]
Norm = Annotated[float, 1e-12, float("inf")]
Share = Annotated[float, 0.0, 0.999]
Seed = Annotated[int, 0, 2**32 - 1]
CellType = Annotated[str, *CELLS, *map(str.upper, CELLS), *map(str.title, CELLS)]
Pooling = Annotated[str, *POOLINGS]
Optimizer = Annotated[str, *OPTIMIZERS]
Schedule = Annotated[str, *SCHEDULES]


class BinaryClassifier(ClassifierMixin, BaseEstimator):
    """The base of all classifiers: a subclass has `fit`, which calls `_find_classes`, and
    `decision_function`."""

    def predict_proba(self, X) -> np.ndarray:
        """(N, 2) float64: the probability of each of `classes_`."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X) -> np.ndarray:
        """(N,) labels: the positive class where its probability is above one half."""
        positive = self.decision_function(X) > 0  # (N,)
        return self.classes_[positive.astype(int)]

    def _find_classes(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if (found := len(self.classes_)) != 2:
            needed = "Only binary classification is supported: labels of two classes are needed"
            raise ValueError(f"{needed}, {found} class{'es' * (found > 1)} found")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


@dataclass(eq=False, repr=False, kw_only=True)  # scikit-learn's own equality and text
class NetworkClassifier(BinaryClassifier):
    """The base of the classifiers that train a network.

    A subclass is a dataclass of parameters, each with a type that says what it may be. It has
    `build_network` for an untrained network, in `kept` what of `fit` a file keeps, and perhaps its
    own way to read features: the methods at the end.

    Args:
        batch_size, optimizer: see `training.epochs`; `patience`: see `training.EarlyStopping`.
        random_state: seeds weights, order and dropout. The same data and parameters give the same
            weights, bit for bit on one CPU, in any process or thread.
        device: "auto" is CUDA where there is a GPU, otherwise the CPU; or any name PyTorch knows.
        verbose: show a progress bar with each epoch's figures.

    Attributes:
        classes_: the two labels, sorted; the second one is the positive class.
        network_: the trained network, with the weights of the best epoch.
        history_: a row an epoch: seconds, the mean norm of its gradients, and the `metrics.Scores`
            of training and validation after it.
        best_epoch_, stopped_, valid_probabilities_: as in `training.History`.
        n_train_, n_valid_: how many rows it learned from, and how many chose the epoch.
        trained_: when `fit` ended, in seconds as from `time.time()`.
    """

    batch_size: Count = 64
    patience: Count = 2
    random_state: Seed = 1234
    device: str = "auto"
    verbose: bool = False
    optimizer: Optimizer = "adam"

    reads = ""
    kept = ("n_features_in_", "n_train_", "n_valid_", "trained_")
    _train = staticmethod(fit)  # or the same in less time

    @own_settings()
    def fit(self, X, y, validation: tuple | None = None) -> Self:
        """Train on features (N, D) and labels (N,) of two classes. `validation`, another (features,
        labels) pair, decides when to stop and which epoch is kept; None: a tenth of the rows is set
        aside for that, stratified.

        `ValueError`, and it is not fitted: not two classes, a value that is not finite, a parameter
        out of range, too few rows to set some aside, or a loss that is not finite in the first
        epoch. In a later one, a `RuntimeWarning`, and the best epoch before it is kept.
        """
        vars(self).pop("history_", None)  # it is not fitted until the end
        self._check_parameters()
        X, y = validate_data(self, X, y, dtype=self._dtype(X))
        self._find_classes(y)
        if validation is None:
            split = {"test_size": max(len(y) // 10, 2), "random_state": self.random_state}
            X, X_valid, y, y_valid = train_test_split(X, y, stratify=y, **split)
        else:
            dtype = self._dtype(validation[0])
            X_valid, y_valid = validate_data(self, *validation, dtype=dtype, reset=False)
        device = device_of(self.device)
        network = self._start(X, device)
        rows = self._rows(X, y, device), self._rows(X_valid, y_valid, device)
        settings = self._arguments_of(fit, epochs)
        settings["description"] = self.title if self.verbose else None
        history = self._train(network, *rows, **settings)
        if embedding := getattr(network, "embedding", None):  # rounded, as a file holds them
            embedding.weight.data = embedding.weight.data.half().float()
            if not embedding.weight.isfinite().all():
                raise ValueError("training moved vectors beyond ±65,504: give lower learning rates")
        self.network_ = network
        self.history_ = pd.DataFrame(history.epochs).set_index("epoch")
        _, self.best_epoch_, self.stopped_, self.valid_probabilities_ = history
        self.n_train_, self.n_valid_ = len(y), len(y_valid)
        self.trained_ = int(time.time())
        return self

    @own_settings()
    def decision_function(self, X) -> np.ndarray:
        """Log-odds (N,) of the positive class for features (N, D). `ValueError` for a value that is
        not finite, or another number of columns than in `fit`."""
        check_is_fitted(self)
        inputs = self._checked_inputs(X)
        logits = predict_logits(self.network_, inputs, self._lengths(inputs))
        return logits.cpu().to(torch.float64).numpy()

    @property
    def title(self) -> str:
        """The network in a few words, for figures; it counts the layers with weights."""
        skip, layers = "", self.num_layers
        if self.skip_connections:
            skip, layers = " skip", (layers + 1) // 2
        return f"{self.cell_type.upper()} {layers}×{self.hidden_size}{skip}{self.reads}"

    def _check_parameters(self) -> None:
        """`ValueError` where a parameter is not what its type says."""
        for name, parameter in signature(type(self)).parameters.items():
            kind, value = parameter.annotation, _plain(getattr(self, name))
            known = (True, False) if kind is bool else getattr(kind, "__metadata__", ())
            if known and type(known[0]) in (int, float):
                check_range(name, value, *known)
            elif known and (type(value), value) not in [(type(one), one) for one in known]:
                choices = ", ".join(map(str, known))
                raise ValueError(f"{name} is {value!r:.80}; it must be one of {choices}")

    def _rows(self, X, y: np.ndarray, device: torch.device) -> Rows:
        """Features `X` and labels `y` on a device."""
        unknown = pd.unique(y[~np.isin(y, self.classes_)])[:5]  # not sorted: None has no order
        if len(unknown):
            raise ValueError(f"validation labels {unknown} are not among {self.classes_}")
        inputs = self._inputs(X, device)
        labels = torch.tensor(y == self.classes_[1], dtype=torch.float32, device=device)
        return Rows(inputs, labels, self._lengths(inputs))

    def _values(self, *names: str) -> dict:
        """Parameters by name, NumPy's numbers as Python's: PyTorch and files take no others."""
        return {name: _plain(getattr(self, name)) for name in names}

    def _arguments_of(self, *takers: Callable) -> dict:
        """Those parameters that functions, or the constructors of networks, take."""
        taken = {name for taker in takers for name in signature(taker).parameters}
        return self._values(*(taken & self.get_params().keys()))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_")

    def _checked_inputs(self, X) -> Tensor:
        """Features `X`, of any kind, as the fitted network takes them."""
        X = validate_data(self, X, dtype=self._dtype(X), reset=False)
        return self._inputs(X, next(self.network_.parameters()).device)

    def _dtype(self, X) -> type:
        """The dtype of `X` (N, D); `ValueError` where the values cannot be inputs."""
        return np.float32

    def _start(self, X: np.ndarray, device: torch.device) -> nn.Module:
        """The network before it learns from labels, for features `X` of the reviews that teach."""
        return untrained(self.build_network, int(self.random_state)).to(device)

    def _lengths(self, inputs: Tensor) -> Tensor | None:
        """How many columns of each row of ids are no padding; None: all, of features."""
        ids = not inputs.is_floating_point()
        return (inputs > 0).sum(dim=1).clamp_min(1).cpu() if ids else None


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value

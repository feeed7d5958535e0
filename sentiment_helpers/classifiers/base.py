"""What the classifiers share: a network and the trainer as a scikit-learn estimator."""

import json
import os
import time
from inspect import signature
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from sentiment_helpers.classifiers.initial_weights import untrained
from sentiment_helpers.fast.batches import check_finite, predict_logits
from sentiment_helpers.fast.flat_optimizer import optimizer_of
from sentiment_helpers.features import MAX_ID, MAX_LENGTH, check_range
from sentiment_helpers.metrics import evaluate
from sentiment_helpers.training import MEASURED_ROWS, fit

MAX_SIZE, MAX_LAYERS = MAX_LENGTH, 1024  # the most features or hidden units, and layers
DROPOUT = (0.0, 0.999)
ORIGIN = ("n_train", "n_valid", "trained", "n_twin")  # where a model comes from
# What older files do not have, with the values that are read instead.
ADDED = {"optimizer": "adam", "class_weight": None, "pair_size": 0, "pretraining_epochs": 0}
ADDED |= {"perplexity": []} | dict.fromkeys(ORIGIN, 0)


class LogOddsClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of two classes whose `decision_function` gives the log-odds of the second."""

    def predict_proba(self, X) -> np.ndarray:
        """(N, 2) float64: the probability of each of `classes_`."""
        positive = expit(self.decision_function(X).astype(np.float64))
        return np.column_stack([1 - positive, positive])

    def predict(self, X) -> np.ndarray:
        """(N,) labels: the positive class where its probability is above one half."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class NetworkClassifier(LogOddsClassifier):
    """The base of the classifiers that train a network.

    A subclass has a `title` for figures, `build_network` for an untrained network, and in `ranges`
    the least and the greatest value of each number among its parameters. It may override the
    methods at the end, which read features.

    Attributes:
        classes_: the two labels, sorted; the second one is the positive class.
        network_: the trained network, with the weights of the best epoch.
        history_: a table with a row for each epoch; columns as in `training.History.epochs`.
        best_epoch_, stopped_, valid_probabilities_: as in `training.History`.
        n_train_, n_valid_: how many rows it learned from, and how many chose the epoch.
        n_twin_: after `refit`, how many rows the classifier learned from whose history it has.
        trained_: when `fit` ended, in seconds as from `time.time()`. All four are 0 if unknown.
    """

    ranges: ClassVar[dict[str, tuple]] = {
        "lr": (1e-12, 1e12),
        "batch_size": (1, 2**31 - 1),
        "max_epochs": (1, 2**31 - 1),
        "patience": (1, 2**31 - 1),
        "max_norm": (1e-12, float("inf")),
        "random_state": (0, 2**32 - 1),
    }
    prediction_dtype = torch.float64  # so that the other rows of a batch do not change a logit
    settings = ("optimizer", *ranges)

    def fit(
        self, X, y, validation: tuple | None = None, resume: str | os.PathLike | None = None
    ) -> Self:
        """Train on features (N, D) and labels (N,) of two classes.

        Args:
            validation: another (features, labels) pair, which decides when to stop and which
                epoch is kept; None: a tenth of the rows is set aside for that, stratified.
            resume: a file with the state of the training, see `training.fit`. In a pipeline:
                `model.fit(texts, labels, birnnclassifier__resume="runs/state.pt")`.

        Raises:
            ValueError: not two classes, a value that is not finite (its row is named, from 0), a
                parameter out of range, too few rows to set some aside, a loss that is not finite
                in the first epoch, word vectors beyond float16, or a file `resume` that holds no
                state of this training. The classifier is not fitted then.
            OSError: `resume` cannot be written.

        Warns:
            RuntimeWarning: the loss is not finite in a later epoch. The classifier is fitted, with
                the weights of the best epoch before it.
        """
        return self._fit(X, y, validation, resume)

    def _fit(self, X, y, validation, resume=None, unlabelled=None, keep_last=False) -> Self:
        """As `fit`. What needs no labels learns from `unlabelled` inputs (M, D), too; `keep_last`
        as in `training.fit`."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # of an earlier `fit`
        self._check_parameters()
        X, y = self._validate("training inputs", X, y, reset=True)
        self._find_classes(y)
        if validation is None:
            X, X_valid, y, y_valid = self._split(X, y)
        else:
            X_valid, y_valid = self._validate("validation inputs", *validation)
        weights, device = self._label_weights(y), _device(self.device)
        if unlabelled is None:
            network = self._start(X, device)
        else:
            more = self._validate("unlabelled inputs", unlabelled)
            network = self._start(np.concatenate([X, more]), device)
        history = fit(
            network,
            self._rows(X, y, weights, device),
            self._rows(X_valid, y_valid, weights, device),
            **self._values(*self.settings),
            resume=resume,
            metrics=lambda labels, probabilities: evaluate(labels, probabilities)._asdict(),
            description=self.title if self.verbose else None,
            keep_last=keep_last,
        )
        _round_embedding(network)
        self.network_ = network
        self.history_ = pd.DataFrame(history.epochs).set_index("epoch")
        self.best_epoch_ = history.best_epoch
        self.stopped_ = history.stopped
        self.valid_probabilities_ = history.probabilities
        self.n_train_, self.n_valid_, self.n_twin_ = len(y), len(y_valid), 0
        self.trained_ = int(time.time())
        return self

    def refit(self, X, y) -> Self:
        """A new classifier that learns as this one did, but from all rows of X (N, D) and y (N,):
        none is set aside, and it trains for `best_epoch_` epochs, in which a linear schedule falls
        to 0. History and figures stay those of this classifier, its twin. Errors as in `fit`."""
        check_is_fitted(self)
        epochs, some = self.best_epoch_, slice(None, None, len(y) // MEASURED_ROWS + 1)
        again = clone(self).set_params(max_epochs=epochs, patience=epochs)
        measured = X[some], np.asarray(y)[some]  # for the figures that it shows
        again._fit(X, y, validation=measured, keep_last=True)
        again.set_params(max_epochs=self.max_epochs, patience=self.patience)
        for name in ("history_", "best_epoch_", "valid_probabilities_", "n_valid_"):
            setattr(again, name, getattr(self, name))
        again.n_twin_ = self.n_twin_ or self.n_train_
        return again

    def decision_function(self, X) -> np.ndarray:
        """Logits (N,) of the positive class for features (N, D).

        Raises:
            ValueError: a value that is not finite (its row is named, from 0), or another number
                of columns than in `fit`.
        """
        check_is_fitted(self)
        device = next(self.network_.parameters()).device
        inputs = self._inputs(self._validate("inputs", X), device)
        lengths, dtype = self._lengths(inputs), self.prediction_dtype
        return predict_logits(self.network_, inputs, lengths, dtype).cpu().numpy()

    def get_state(self) -> dict:
        """Parameters, weights and history, as tensors and plain values."""
        check_is_fitted(self)
        parameters = self._values(*self.get_params())
        del parameters["device"], parameters["verbose"]  # of this machine and this run
        weights = {name: w.cpu() for name, w in self.network_.state_dict().items()}
        weights |= {n: w.half() for n, w in weights.items() if n == "embedding.weight"}
        return {
            "parameters": parameters,
            "classes": self.classes_.tolist(),
            "n_features_in": self.n_features_in_,
            "weights": weights,
            "history": json.dumps(self.history_.reset_index().to_dict("records")),
            "best_epoch": self.best_epoch_,
            "stopped": self.stopped_,
            **{name: getattr(self, f"{name}_") for name in ORIGIN},
        }

    @classmethod
    def from_state(cls, state: dict) -> Self:
        """A fitted classifier again, on this machine's device. `ValueError` where parameters are
        out of range or weights are not those of their network; before, nothing large is made."""
        state = ADDED | state
        classifier = cls._unfitted(state)
        weights = state["weights"]
        if getattr(classifier, "num_layers", 1) > len(weights):
            raise ValueError(f"{len(weights)} weights are too few for {classifier.title}")
        with torch.device("meta"):  # shapes without values
            network = classifier.build_network()
        kinds = [
            {n: (w.shape, "float" if w.is_floating_point() else w.dtype) for n, w in some.items()}
            for some in (weights, network.state_dict())
        ]
        if kinds[0] != kinds[1]:
            raise ValueError(f"the weights are not those of {classifier.title}")
        values = {n: w.float() if w.is_floating_point() else w for n, w in weights.items()}
        network.load_state_dict(values, assign=True)
        classifier.network_ = network.to(_device(classifier.device)).eval()
        classifier.history_ = pd.DataFrame(json.loads(state["history"])).set_index("epoch")
        check_range("best_epoch", state["best_epoch"], 1, len(classifier.history_))
        classifier.best_epoch_ = state["best_epoch"]
        classifier.stopped_ = state["stopped"]
        for name in ORIGIN:
            check_range(name, state[name], 0, 2**37)  # in seconds, the year 6325
            setattr(classifier, f"{name}_", state[name])
        return classifier

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        """With all that `build_network` needs."""
        known = signature(cls).parameters
        added = {name: value for name, value in ADDED.items() if name in known}
        classifier = cls(**added | state["parameters"])
        classifier._check_parameters()
        check_range("n_features_in", state["n_features_in"], 1, MAX_SIZE)
        classes = state["classes"]
        kinds = [type(label) for label in classes] if type(classes) is list else []
        one_kind = kinds in [[kind, kind] for kind in (int, str, float, bool)]
        if not (one_kind and classes[0] < classes[1]):
            raise ValueError(f"the classes are {classes!r:.80}, not two in order")
        classifier.classes_ = np.array(classes)
        classifier._label_weights(classifier.classes_)
        classifier.n_features_in_ = state["n_features_in"]
        return classifier

    def _check_parameters(self) -> None:
        """`ValueError` where a parameter is out of range."""
        optimizer_of(self.optimizer)
        for name, (low, high) in self.ranges.items():
            check_range(name, getattr(self, name), low, high)
        for name, parameter in signature(type(self)).parameters.items():
            kind, value = type(parameter.default), getattr(self, name)
            known = {bool: bool | np.bool_, str: str}.get(kind, object)
            if not isinstance(value, known):
                raise ValueError(f"{name} is {value!r:.80}; it must be of type {kind.__name__}")

    def _find_classes(self, y: np.ndarray) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            found = "1 class" if len(self.classes_) == 1 else f"{len(self.classes_)} classes"
            needed = "Only binary classification is supported: labels of two classes are needed"
            raise ValueError(f"{needed}, {found} found")

    def _split(self, X: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        """Training and validation rows: X, X_valid, y, y_valid."""
        if min((y == label).sum() for label in self.classes_) < 2:
            raise ValueError(
                f"two rows of each class are needed to set some aside for validation, and there "
                f"are {len(y)} rows in all: give more, or `validation`"
            )
        size = max(len(y) // 10, 2)
        return train_test_split(X, y, test_size=size, stratify=y, random_state=self.random_state)

    def _validate(self, name: str, *X_and_y, reset: bool = False):
        """`validate_data`, with a message that names the row of a number that is not finite."""
        dtype = self._dtype(X_and_y[0])
        valid = validate_data(self, *X_and_y, dtype=dtype, ensure_all_finite=False, reset=reset)
        check_finite(valid if len(X_and_y) == 1 else valid[0], name)
        return valid

    def _label_weights(self, y: np.ndarray) -> np.ndarray:
        """The weights (2,) float32 of `classes_`; `ValueError` where `class_weight` is wrong."""
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        for weight in weights.tolist():
            check_range("class_weight", weight, 1e-12, 1e12)
        return weights.astype(np.float32)

    def _rows(self, X, y: np.ndarray, weights: np.ndarray, device: torch.device) -> tuple:
        """Features `X` and labels `y` as rows for `training.fit`, see `Rows`."""
        unknown = pd.unique(y[~np.isin(y, self.classes_)])[:5]  # not sorted: None has no order
        if len(unknown):
            raise ValueError(f"validation labels {unknown} are not among {self.classes_}")
        inputs, positive = self._inputs(X, device), y == self.classes_[1]
        labels = torch.from_numpy(positive.astype(np.float32)).to(device)
        of_rows = torch.from_numpy(weights[positive.astype(int)]).to(device)
        return inputs, labels, self._lengths(inputs), of_rows if self.class_weight else None

    def _values(self, *names: str) -> dict:
        """Parameters by name, NumPy's numbers as Python's: PyTorch and files take no others."""
        values = {name: getattr(self, name) for name in names}
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_")

    def _dtype(self, X) -> type:
        """The dtype of `X` (N, D); `ValueError` where the values cannot be inputs."""
        return np.float32

    def _start(self, X: np.ndarray, device: torch.device) -> nn.Module:
        """The network before it learns from labels, for features `X` of the reviews that teach."""
        return untrained(self.build_network, int(self.random_state)).to(device)

    def _inputs(self, X: np.ndarray, device: torch.device) -> Tensor:
        """Features (N, D) as the network takes them."""
        return torch.tensor(np.ascontiguousarray(X), device=device)

    def _lengths(self, inputs: Tensor) -> Tensor | None:
        """How many columns of each row are no padding; None: all."""
        return None


def check_ids(X, high: int = MAX_ID) -> None:
    """`ValueError` where `X` is not what `TokenIds` gives: whole numbers from 0 to below `high`."""
    ids = np.asarray(X)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError("ids from TokenIds are expected, not features")
    if ids.size and not 0 <= (wrong := ids.min()) <= (wrong := ids.max()) < high:
        raise ValueError(
            f"{wrong} is no id of these vectors, whose ids are 0 to {high - 1}: give what TokenIds "
            f"makes of texts with the same vectors"
        )


def _round_embedding(network: nn.Module) -> None:
    """Round word vectors to float16, as a file holds them: a loaded model predicts the same."""
    embedding = getattr(network, "embedding", None)
    if embedding is None:
        return
    embedding.weight.data.copy_(embedding.weight.detach().cpu().half().float())
    if not embedding.weight.isfinite().all():
        raise ValueError(
            "training moved words' vectors beyond ±65,504, the most that a model keeps: give lower "
            "learning rates, or smaller vectors"
        )


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError):  # the latter where there is no CUDA
        raise ValueError(f'device is {name!r}; use "auto", "cpu" or "cuda"') from None

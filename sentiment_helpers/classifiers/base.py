"""What the classifiers share, above all those that train a network. Knows no network."""

import os
from numbers import Integral, Real
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Options
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sentiment_helpers.classifiers.bounds import COUNT, MAX_SIZE, POSITIVE, Number, checked_classes
from sentiment_helpers.metrics import Scores, evaluate
from sentiment_helpers.training import check_finite, fit, predict_logits

MAX_EPOCHS = 100_000  # that a saved history may have
ENDS = ("max_epochs", "patience", "interrupted", "not finite")  # of a training
_ROW = {"epoch": int, "gradient_norm": float, "seconds": float} | {
    f"{side}_{name}": float for side in ("train", "valid") for name in Scores._fields
}


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
    """What the classifiers share: the trainer, and the same attributes once fitted.

    Each has a `title` for progress bars and figures, and a `build_network` that makes an untrained
    network for `n_features_in_` features.

    Attributes:
        classes_: the two labels, sorted; the second one is the positive class.
        network_: the trained network, with the weights of the best epoch.
        history_: a table with a row for each epoch; columns as in `training.History.epochs`.
        best_epoch_, stopped_, valid_probabilities_: as in `training.History`.
    """

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "lr": POSITIVE,
        "batch_size": COUNT,
        "max_epochs": COUNT,
        "patience": COUNT,
        "max_norm": [*POSITIVE, Options(Real, {float("inf")})],
        "random_state": [Number(Integral, 0, 2**32 - 1, closed="both")],
        "device": [str],
        "verbose": ["boolean"],
    }

    def fit(
        self, X, y, validation: tuple | None = None, resume: str | os.PathLike | None = None
    ) -> Self:
        """Train on features (N, D) and labels (N,) of two classes.

        `validation` is another (features, labels) pair, which decides when to stop and which
        epoch is kept; without it, a tenth of the rows is set aside for that, stratified.

        `resume` names a file that holds the state of the training after each epoch, so that the
        same call goes on where an earlier one was cut off, see `training.fit`. In a pipeline:
        `model.fit(texts, labels, birnnclassifier__resume="runs/state.pt")`.

        Raises:
            ValueError: not two classes, a value that is not finite (its row is named, from 0), a
                parameter out of range (scikit-learn's `InvalidParameterError`), too few rows to
                set some aside, a loss that is not finite in the first epoch, words' vectors with
                values that float16 cannot hold, or a file `resume` that holds something else than
                the state of this training. The classifier is not fitted then.
            OSError: `resume` cannot be written.

        Warns:
            RuntimeWarning: the loss is not finite in a later epoch. The classifier is fitted, with
                the weights of the best epoch before it.
        """
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)  # of an earlier `fit`
        self._validate_params()
        X, y = self._checked("training inputs", X, y, reset=True)
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            count = "1 class" if len(self.classes_) == 1 else f"{len(self.classes_)} classes"
            raise ValueError(
                f"Only binary classification is supported: labels of two classes are needed, "
                f"{count} found"
            )
        if validation is None:
            if (y == self.classes_[0]).sum() < 2 or (y == self.classes_[1]).sum() < 2:
                raise ValueError(
                    f"two rows of each class are needed to set some aside for validation, and "
                    f"there are {len(y)} rows in all: give more, or `validation`"
                )
            X, X_valid, y, y_valid = train_test_split(
                X, y, test_size=max(len(y) // 10, 2), stratify=y, random_state=self.random_state
            )
        else:
            X_valid, y_valid = validation
            X_valid, y_valid = self._checked("validation inputs", X_valid, y_valid)
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
            **self._plain("lr", "batch_size", "max_epochs", "patience", "max_norm", "random_state"),
            resume=resume,
            metrics=lambda labels, probabilities: evaluate(labels, probabilities)._asdict(),
            description=self.title if self.verbose else None,
            **self._training(),
        )
        if embedding := getattr(self.network_, "embedding", None):
            kept = embedding.weight.half()  # as in a file, so that a loaded model predicts the same
            if not kept.isfinite().all():
                raise ValueError(
                    "training moved words' vectors beyond ±65,504, the most that a model keeps: "
                    "give lower learning rates, or smaller vectors"
                )
            embedding.weight.data.copy_(kept)
        self.history_ = pd.DataFrame(history.epochs).set_index("epoch")
        self.best_epoch_ = history.best_epoch
        self.stopped_ = history.stopped
        self.valid_probabilities_ = history.probabilities
        return self

    def decision_function(self, X) -> np.ndarray:
        """Logits (N,) of the positive class for features (N, D).

        Raises:
            ValueError: a value that is not finite (its row is named, from 0), or another number
                of columns than in `fit`.
        """
        check_is_fitted(self)
        X = self._checked("inputs", X)
        inputs = self._inputs(X, next(self.network_.parameters()).device)
        return predict_logits(self.network_, inputs, self._lengths(inputs)).cpu().numpy()

    def get_state(self) -> dict:
        """Parameters, weights and history, as tensors and plain values."""
        check_is_fitted(self)
        parameters = self._plain(*self.get_params())
        del parameters["device"], parameters["verbose"]  # of this machine and this run
        weights = {name: w.cpu() for name, w in self.network_.state_dict().items()}
        if "embedding.weight" in weights:
            weights["embedding.weight"] = weights["embedding.weight"].half()
        return {
            "parameters": parameters,
            "classes": self.classes_.tolist(),
            "n_features_in": self.n_features_in_,
            "weights": weights,
            "history": self.history_.reset_index().to_dict("records"),
            "best_epoch": self.best_epoch_,
            "stopped": self.stopped_,
        }

    @classmethod
    def from_state(cls, state: dict) -> Self:
        """A fitted classifier again, on this machine's device.

        Raises:
            ValueError: the parameters are out of range, the weights are not those of their
                network, or the history is none; nothing large is made before that is known.
        """
        classifier = cls._unfitted(state)
        history, weights = state["history"], state["weights"]
        if not _of_a_training(history, state["best_epoch"], state["stopped"]):
            raise ValueError("the history is not that of a training")
        if getattr(classifier, "num_layers", 1) > len(weights):
            raise ValueError(f"{len(weights)} weights are too few for {classifier.title}")
        with torch.device("meta"):  # shapes without values
            expected = classifier.build_network().state_dict()
        shapes = ({name: w.shape for name, w in some.items()} for some in (weights, expected))
        if next(shapes) != next(shapes):
            raise ValueError(f"the weights are not those of {classifier.title}")
        classifier.network_ = classifier.build_network()
        classifier.network_.load_state_dict(weights)
        classifier.network_.to(_device(classifier.device)).eval()
        classifier.history_ = pd.DataFrame(history).set_index("epoch")
        classifier.best_epoch_ = state["best_epoch"]
        classifier.stopped_ = state["stopped"]
        return classifier

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        """With all that `build_network` asks for."""
        classifier = cls(**state["parameters"])
        classifier._validate_params()
        features = state["n_features_in"]
        if type(features) is not int or not 1 <= features <= MAX_SIZE:
            raise ValueError(f"the number of features is {features!r:.80}, not 1 to {MAX_SIZE:,}")
        classifier.classes_ = checked_classes(state["classes"])
        classifier.n_features_in_ = features
        return classifier

    def _checked(self, name: str, *X_and_y, reset: bool = False):
        """`validate_data` with a sentence of its own for numbers that are not finite."""
        dtype = self._dtype(X_and_y[0])
        checked = validate_data(self, *X_and_y, dtype=dtype, ensure_all_finite=False, reset=reset)
        check_finite(checked if len(X_and_y) == 1 else checked[0], name)
        return checked

    def _targets(self, y: np.ndarray, device: torch.device) -> torch.Tensor:
        unknown = y[~np.isin(y, self.classes_)]  # nothing is sorted: None has no place in an order
        if len(unknown):
            unknown = pd.unique(unknown)[:5]
            raise ValueError(f"validation labels {unknown} are not among {self.classes_}")
        return torch.from_numpy((y == self.classes_[1]).astype(np.float32)).to(device)

    def _plain(self, *names: str) -> dict:
        """Parameters by name, NumPy's numbers as Python's: PyTorch and files take no others."""
        values = {name: getattr(self, name) for name in names}
        return {k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "history_")

    # What a classifier that reads ids does otherwise.

    def _dtype(self, X) -> type:
        return np.float32

    def _start(self, X: np.ndarray) -> nn.Module:
        """The untrained network for training features `X`."""
        return self.build_network()

    def _training(self) -> dict:
        """Further arguments of `training.fit`."""
        return {}

    def _inputs(self, X: np.ndarray, device: torch.device) -> torch.Tensor:
        """Features (N, D) as the network takes them."""
        return torch.tensor(X, device=device)

    def _lengths(self, inputs: torch.Tensor) -> torch.Tensor | None:
        """For `training.fit`: how many columns of each row mean something; None: all."""
        return None


def _of_a_training(history, best_epoch, stopped) -> bool:
    """Whether a saved history is one; asked before a table is made of it."""
    return (
        type(history) is list
        and type(best_epoch) is int
        and 1 <= best_epoch <= len(history) <= MAX_EPOCHS
        and stopped in ENDS
        and all(
            type(row) is dict
            and {name: type(value) for name, value in row.items()} == _ROW
            and row["epoch"] == epoch
            and all(v == v or name.endswith("roc_auc") for name, v in row.items())
            for epoch, row in enumerate(history, 1)
        )
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError:
        raise ValueError(f'device is {name!r}; "auto", "cpu" or "cuda" are meant') from None

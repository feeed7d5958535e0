"""What parameters, labels, ids and vectors may be: so much, and no more. Knows no estimator."""

import sys
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval

MAX_LENGTH, MAX_ID = 2**14, 2**24
"""What a saved model may ask for at most: words read of a review, and an id, so that memory
stays in bounds. The longest of 50,000 reviews has 2,800 words; GloVe's largest table, 2.2 million
rows."""
MAX_SIZE, MAX_LAYERS = MAX_LENGTH, 1024  # of features or hidden units; of layers
_LABELS = [[kind, kind] for kind in (int, str, float, bool)]


class Number(Interval):
    """An `Interval` in which True and False are no numbers."""

    def is_satisfied_by(self, val) -> bool:
        val = val.item() if isinstance(val, np.generic) else val
        return not isinstance(val, bool) and super().is_satisfied_by(val)


COUNT = [Number(Integral, 1, 2**31 - 1, closed="both")]
SIZE = [Number(Integral, 1, MAX_SIZE, closed="both")]
POSITIVE = [Number(Real, 0, sys.float_info.max, closed="right")]
PROBABILITY = [Number(Real, 0, 1, closed="left")]


def checked_classes(classes: list) -> np.ndarray:
    """The two labels (2,) of a saved classifier; `ValueError` where they are none: two whole
    numbers, floats, texts or truth values in order."""
    of_a_kind = type(classes) is list and [type(label) for label in classes] in _LABELS
    if not (of_a_kind and classes[0] < classes[1]):
        raise ValueError(f"the classes are {classes!r:.80}, not two in order")
    return np.array(classes)


def distinct_words(text: str, count: int) -> list[str]:
    """The words of a saved table, a line each; `ValueError` where they are not `count`, all
    distinct."""
    words = text.split("\n") if count else []
    if not len(words) == len(set(words)) == count:
        raise ValueError(f"{count} distinct words are needed, and there are {len(set(words))}")
    return words


def increasing(values: torch.Tensor, low: int, high: int) -> np.ndarray:
    """Saved ids (N,) of `low` and more, below `high`; `ValueError` where they do not increase."""
    ids = values.numpy()
    within = np.concatenate([[low - 1], ids, [high]])
    if not (within[1:] > within[:-1]).all():
        raise ValueError(f"ids are not increasing from {low} on, below {high}")
    return ids


def check_ids(X, high: int = MAX_ID) -> None:
    """`ValueError` where `X` cannot be what `TokenIds` gave: whole numbers from 0 on, below
    `high`."""
    ids = np.asarray(X)
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError("ids from TokenIds are expected, not features")
    if ids.size and not 0 <= (wrong := ids.min()) <= (wrong := ids.max()) < high:
        raise ValueError(
            f"{wrong} is no id of these vectors, whose ids are 0 to {high - 1}: give what TokenIds "
            f"makes of texts with the same vectors"
        )


def check_vectors(vectors: np.ndarray, words: Sequence[str]) -> None:
    """`ValueError` that names the first of `words` (V,) whose vector, of (V, D), is not finite or
    beyond what float16, as which models keep vectors, can hold."""
    most = np.finfo(np.float16).max
    wrong = (~(np.abs(vectors) <= most)).any(axis=1).nonzero()[0]
    if len(wrong):
        raise ValueError(
            f"the vector of {words[wrong[0]]!r:.80} holds NaN, infinity or a value beyond "
            f"±{most:,.0f}: give other vectors, or scale these down"
        )

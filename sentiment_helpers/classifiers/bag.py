"""The linear model of words and pairs of words that a network which reads them has to beat."""

from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from sentiment_helpers.classifiers.base import NetworkClassifier, check_ids
from sentiment_helpers.features import UNKNOWN, increasing

MIN_COUNT = 2
"""How many training reviews must hold a word or a pair for it to have a value."""
SLICE = 2048  # reviews whose pairs are looked up at a time


class Bag(nn.Module):
    """A value for each word and pair; a review's logit is the weighted sum of its ones.

    Args:
        idf: (V,) float32, how much each word or pair weighs; 0 for row 0, padding. A review's
            weights are scaled to a length of 1.
    """

    def __init__(self, idf: Tensor):
        super().__init__()
        self.register_buffer("idf", idf)
        self.embedding = nn.Embedding(len(idf), 1, padding_idx=0)
        nn.init.zeros_(self.embedding.weight)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits (B,) of reviews `rows` (B, W) int, distinct and right-padded with 0."""
        weights = self.idf[rows]  # (B, W)
        weights = weights / weights.norm(dim=1, keepdim=True).clamp_min(1e-12)
        values = self.embedding.weight
        total = embedding_bag(rows, values, mode="sum", per_sample_weights=weights, padding_idx=0)
        return total.squeeze(1) + self.bias  # (B,)


class BagClassifier(NetworkClassifier):
    """Which words and pairs of words a review holds, and nothing of their order beyond a pair.

    It takes ids (N, T) from `TokenIds`, as `BiRNNClassifier` does, and tunes one value for each
    word and each pair of neighbours that `MIN_COUNT` training reviews hold, weighted by inverse
    document frequency. A vector for each with a linear layer behind it would be the same function.
    Adam moves rare and frequent ones alike, which is what sets it apart from a logistic regression
    on TF-IDF: in spirit the naive-Bayes weights of Wang and Manning (2012).

    Args:
        lr, batch_size, max_epochs, patience: see `training.fit`.
        random_state, device, verbose: as in `BiRNNClassifier`.

    Attributes:
        grams_: (V,) int64, sorted: a word's id, or a pair's first id times 2³² plus its second.
    """

    title = "bag of words and pairs"
    max_norm = float("inf")

    def __init__(
        self,
        lr: float = 0.05,
        batch_size: int = 32,
        max_epochs: int = 4,
        patience: int = 2,
        random_state: int = 1234,
        device: str = "auto",
        verbose: bool = False,
    ):
        self.lr = lr
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def build_network(self) -> Bag:
        """An untrained network for the words and pairs in `grams_`, with no weights yet."""
        return Bag(torch.zeros(len(self.grams_) + 1))

    def _dtype(self, X) -> type:
        check_ids(X)
        return np.int64

    def _start(self, X: np.ndarray) -> Bag:
        grams, counts = np.unique(_grams(X), return_counts=True)
        kept = (grams > UNKNOWN) & (counts >= MIN_COUNT)
        self.grams_ = grams[kept]
        network = super()._start(X)
        network.idf[1:] = torch.from_numpy(np.log(len(X) / counts[kept]) + 1)
        return network

    def _inputs(self, X: np.ndarray, device: torch.device) -> Tensor:
        """Ids (N, T) as rows of the network's values, (N, W) int32, distinct, padded with 0."""
        parts = []
        for start in range(0, len(X), SLICE):
            grams = _grams(X[start : start + SLICE])
            places = np.searchsorted(self.grams_, grams).clip(max=max(len(self.grams_) - 1, 0))
            known = self.grams_[places] == grams if len(self.grams_) else np.zeros_like(grams, bool)
            rows = np.where(known, places + 1, 0).astype(np.int32)
            parts.append(-np.sort(-rows, axis=1)[:, : max(known.sum(axis=1).max(), 1)])
        width = max(part.shape[1] for part in parts)
        padded = [np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts]
        return torch.from_numpy(np.concatenate(padded)).to(device)

    def _lengths(self, inputs: Tensor) -> Tensor:
        return (inputs > 0).sum(dim=1).clamp_min(1).cpu()

    def get_state(self) -> dict:
        return super().get_state() | {"grams": torch.from_numpy(self.grams_)}

    @classmethod
    def _unfitted(cls, state: dict) -> Self:
        classifier = super()._unfitted(state)
        classifier.grams_ = increasing(state["grams"], UNKNOWN + 1, 2**63 - 1)
        return classifier


def _grams(ids: np.ndarray) -> np.ndarray:
    """The distinct words and pairs (N, 2T - 1) int64 of reviews `ids` (N, T), 0 in place of
    repeated and unknown ones."""
    words = np.where(ids > UNKNOWN, ids, 0).astype(np.int64)
    first, second = words[:, :-1], words[:, 1:]
    pairs = np.where((first > 0) & (second > 0), (first << 32) + second, 0)
    grams = np.sort(np.concatenate([words, pairs], axis=1), axis=1)
    grams[:, 1:][grams[:, 1:] == grams[:, :-1]] = 0
    return grams

"""A linear model of words and word pairs: the baseline for networks that read words in order."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from sentiment_helpers.classifiers import base
from sentiment_helpers.classifiers.word_birnn import check_ids
from sentiment_helpers.features import UNKNOWN
from sentiment_helpers.networks import pair_keys

MIN_REVIEWS = 2  # training reviews that contain a word or pair with a weight
REVIEWS_AT_ONCE = 2048  # looked up together, which bounds the memory


class Bag(nn.Module):
    """One weight for each word and pair. A review's logit is the sum of the weights of its words
    and pairs, times their inverse document frequencies `idf` (V,) float32, scaled to a Euclidean
    norm of 1. Row 0 is the padding, with an `idf` of 0."""

    def __init__(self, idf: Tensor):
        super().__init__()
        self.register_buffer("idf", idf)
        zeros = torch.zeros(len(idf), 1)
        self.embedding = nn.Embedding.from_pretrained(zeros, freeze=False, padding_idx=0)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits (B,) of reviews `rows` (B, W) int32 or int64: distinct, right-padded with 0."""
        idf = self.idf[rows]  # (B, W)
        idf = idf / idf.norm(dim=1, keepdim=True).clamp_min(1e-12)
        weights = self.embedding.weight  # (V, 1)
        total = embedding_bag(rows, weights, mode="sum", per_sample_weights=idf, padding_idx=0)
        return total.squeeze(1) + self.bias  # (B,)


@dataclass(eq=False, repr=False)  # scikit-learn's own equality and text
class BagClassifier(base.NetworkClassifier):
    """A bag of words and pairs of neighbouring words, weighted by inverse document frequency.

    Takes ids (N, T) from `TokenIds` and learns one weight for each word and pair that at least
    `MIN_REVIEWS` training reviews contain: `grams_` (V,) int64, sorted, are words' ids and pairs'
    keys, see `networks.pair_keys`. Adam takes steps
    of the same size for rare and frequent ones, which is the difference from logistic regression
    on TF-IDF; compare Wang and Manning (2012).
    """

    title = "bag of words and pairs"
    kept = (*base.NetworkClassifier.kept, "grams_")

    lr: base.Rate = 0.05
    batch_size: base.Count = 32
    max_epochs: base.Count = 4
    max_norm: base.Norm = float("inf")

    def build_network(self) -> Bag:
        """A network for the words and pairs in `grams_`, with all weights and idf 0."""
        return Bag(torch.zeros(len(self.grams_) + 1))

    def _dtype(self, X) -> type:
        check_ids(X)
        return np.int64

    def _start(self, X: np.ndarray, device: torch.device) -> Bag:
        grams, counts = np.unique(_words_and_pairs(X), return_counts=True)
        kept = (grams > UNKNOWN) & (counts >= MIN_REVIEWS)
        self.grams_ = grams[kept]
        network = super()._start(X, device)
        network.idf[1:] = torch.from_numpy(np.log(len(X) / counts[kept]) + 1)
        return network

    def _inputs(self, X: np.ndarray, device: torch.device) -> Tensor:
        """Ids (N, T) as rows (N, W) int32 of the network's weights, see `Bag.forward`."""
        rows = np.zeros((len(X), 2 * X.shape[1] - 1), np.int32)
        known = np.append(self.grams_, -1)  # which is no word and no pair
        for start in range(0, len(X), REVIEWS_AT_ONCE):
            part = slice(start, start + REVIEWS_AT_ONCE)
            grams = _words_and_pairs(X[part])
            places = np.searchsorted(self.grams_, grams)
            rows[part] = np.where(known[places] == grams, places + 1, 0)
        rows = -np.sort(-rows, axis=1)
        width = max(np.count_nonzero(rows, axis=1).max(), 1)
        return torch.tensor(rows[:, :width], device=device)


def _words_and_pairs(ids: np.ndarray) -> np.ndarray:
    """The words and pairs (N, 2T - 1) int64 of reviews `ids` (N, T), as in `grams_`; repeated and
    unknown ones are 0."""
    words = np.where(ids > UNKNOWN, ids, 0).astype(np.int64)
    grams = np.sort(np.concatenate([words, pair_keys(words)], axis=1), axis=1)
    grams[:, 1:][grams[:, 1:] == grams[:, :-1]] = 0
    return grams

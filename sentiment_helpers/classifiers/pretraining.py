"""What reviews teach before any label: vectors of words and of pairs of words, from what stands
beside them; and a language model, which is the stacks' first task."""

import math
from threading import Lock

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm import tqdm

from sentiment_helpers.batches import Rows
from sentiment_helpers.classifiers import untrained
from sentiment_helpers.features import UNKNOWN
from sentiment_helpers.networks import Dropout, PairVectors, WordBiRNN, pair_keys, reverse_within
from sentiment_helpers.training import epochs

WINDOW = 5  # words farther apart than this do not count as co-occurring
MIN_PAIR_COUNT = 8  # of a pair with a vector, in the training reviews
SLICE = 4096  # reviews counted together, so that lists of co-occurrences stay small
_limiting = Lock()  # the limit holds for the whole process
SAMPLE = 600  # words from which the right one is told
SHARE = 0.25  # of the positions, drawn anew each epoch
DROPOUT = 0.1
SETTINGS = {"lr": 3e-3, "embedding_lr": 5e-4, "max_norm": 1.0, "schedule": "linear"}


def domain_vectors(ids: np.ndarray, num_words: int, size: int, random_state: int) -> np.ndarray:
    """Vectors (num_words, size) float32 of the words in reviews `ids` (N, T), 0-padded, from the
    words up to `WINDOW` places before and after them: see `embed_counts`."""
    words = np.where(ids > UNKNOWN, ids, 0)
    after = _count_after(words, words, (num_words, num_words))
    return embed_counts(after + after.T, size, random_state)


def pair_vectors(ids: np.ndarray, num_words: int, size: int, random_state: int) -> PairVectors:
    """The same of the pairs of words that occur `MIN_PAIR_COUNT` times."""
    words = np.where(ids > UNKNOWN, ids, 0).astype(np.int64)
    keys = pair_keys(words)  # (N, T - 1)
    found, places, times = np.unique(keys, return_inverse=True, return_counts=True)
    kept = (found > 0) & (times >= MIN_PAIR_COUNT)
    rows = (kept * kept.cumsum())[places].reshape(keys.shape)
    counts = _count_after(rows, words, (kept.sum() + 1, num_words))
    counts += _count_after(rows[:, ::-1], words[:, ::-1], counts.shape)
    vectors = torch.from_numpy(embed_counts(counts, size, random_state))
    pairs = PairVectors(kept.sum(), size)
    pairs.keys[1:] = torch.from_numpy(found[kept])
    pairs.scale[:] = vectors.abs().amax(dim=0) / 127
    pairs.values[:] = (vectors / pairs.scale.clamp_min(1e-12)).round()
    return pairs


def _count_after(rows: np.ndarray, words: np.ndarray, shape: tuple[int, int]) -> csr_array:
    """How often each word follows each row, the nearer the heavier: (rows, words). `rows` (N, ≤ T),
    of words or of pairs, and `words` (N, T) are numbers; 0 does not count."""
    counts = csr_array(shape, dtype=np.float32)
    more = words.shape[1] - rows.shape[1]  # the words of a pair after its first
    for start in range(0, len(words), SLICE):
        some, beside = rows[start : start + SLICE], words[start : start + SLICE]
        for distance in range(1, WINDOW + 1):
            row, word = some[:, :-distance], beside[:, distance + more :]
            at = np.minimum(row, word) > 0
            weights = np.full(at.sum(), WINDOW + 1 - distance, np.float32)
            counts += coo_array((weights, (row[at], word[at])), shape=shape).tocsr()
    return counts


def embed_counts(counts: csr_array, size: int, random_state: int) -> np.ndarray:
    """Vectors (R, size) float32 for the rows of `counts` (R, C): positive pointwise mutual
    information, contexts smoothed with exponent 0.75; then a truncated singular value
    decomposition, the singular values to the power of a half (Levy, Goldberg and Dagan 2015).
    The values have a standard deviation of 1; rows without counts have zeros."""
    counts = counts.tocoo()
    totals, contexts = counts.sum(axis=1), counts.sum(axis=0) ** 0.75  # (R,), (C,)
    row, column = counts.coords
    information = np.log(counts.data * contexts.sum() / (totals[row] * contexts[column]))
    above = information > 0
    positive = csr_array((information[above], (row[above], column[above])), shape=counts.shape)
    with _limiting, threadpool_limits(1, "blas"):  # with more threads, the last bits would differ
        found = min(size, *counts.shape)
        left, values, _ = randomized_svd(positive, found, random_state=random_state)
    left[totals == 0] = 0  # exactly, not up to rounding
    vectors = np.pad(left * np.sqrt(values), ((0, 0), (0, size - found)))
    return vectors / max(vectors.std(), 1e-12)


class LanguageModel(nn.Module):
    """Each stack of a network predicts the next word that it will read: the forward stack the
    following one, the backward stack the preceding one (Dai and Le 2015). The vectors of words are
    both its input and, behind a linear layer, its output. Pairs are left out: a pair names the word
    that the backward stack has to guess.

    `counts` (V,) float32 says how often each id occurs; 0 for those that are no words. The trainer
    sets `generator`, which draws positions and samples, as that of the dropouts.
    """

    def __init__(self, network: WordBiRNN, counts: Tensor, random_state: int):
        super().__init__()
        self.stacks = nn.ModuleList([network.body.forward_stack, network.body.backward_stack])
        sizes = self.stacks[0].layers["1"].hidden_size, network.embedding.embedding_dim
        self.linear = untrained(
            lambda: nn.ModuleList(nn.Linear(*sizes) for _ in self.stacks), random_state
        ).to(counts.device)
        self.embedding, self.dropout = network.embedding, Dropout(DROPOUT)
        self.pair_size = network.pairs.size if network.pairs else 0
        self.generator = None
        self.proposal = counts**0.75 / (counts**0.75).sum()  # (V,)
        self.prior = (counts / counts.sum()).log()  # how frequent a word is need not be learned

    def forward(self, ids: Tensor) -> Tensor:
        """The cross-entropies (M,) of a part, `SHARE`, of the words in reviews `ids` (B, T),
        right-padded, in both directions. `SAMPLE` words, drawn by their frequency to the power of
        0.75, stand for all others (sampled softmax: Jean et al. 2015)."""
        sample = self.proposal.multinomial(SAMPLE, replacement=True, generator=self.generator)
        backward = reverse_within(ids.unsqueeze(2), (ids > 0).sum(dim=1)).squeeze(2)
        read = torch.cat([ids, backward])  # (2B, T)
        words = self.embedding(read)  # (2B, T, D)
        draws = torch.empty_like(words[:, 1:, 0]).uniform_(generator=self.generator)
        chosen = (read[:, 1:] > UNKNOWN) & (draws < SHARE)  # (2B, T - 1)
        x = pad(self.dropout(words), (0, self.pair_size))  # (2B, T, D)
        sides = zip(self.stacks, self.linear, x.chunk(2), chosen.chunk(2), strict=True)
        states = [linear(stack(part)[:, :-1][at]) for stack, linear, part, at in sides]
        states = torch.cat(states)  # (M, D)
        targets, vectors = read[:, 1:][chosen], words[:, 1:][chosen]  # (M,), (M, D)
        right = (states * vectors).sum(dim=1) + self.prior[targets]  # (M,)
        # A word that is drawn twice as often as others counts half as much.
        prior = self.prior[sample] - (SAMPLE * self.proposal[sample]).log()  # (SAMPLE,)
        others = states @ self.embedding(sample).t() + prior  # (M, SAMPLE)
        others = others.masked_fill(targets.unsqueeze(1) == sample, -torch.inf)
        logits = torch.cat([right.unsqueeze(1), others], dim=1)
        return cross_entropy(logits, torch.zeros_like(targets), reduction="none")


def pretrain(network: WordBiRNN, ids: Tensor, **settings) -> list[float]:
    """Train the stacks and the vectors of words as a `LanguageModel` of reviews `ids` (N, T), which
    are right-padded and on the network's device, with `settings` of `training.epochs`. Returns each
    epoch's perplexity, estimated from the samples."""
    ids, lengths = ids.long(), (ids > 0).sum(dim=1).cpu()
    counts = ids[ids > UNKNOWN].bincount(minlength=network.embedding.num_embeddings).float()
    model = LanguageModel(network, counts, settings["random_state"])
    rows, perplexities = Rows(ids, torch.zeros(len(ids)), lengths), []
    for row in epochs(model, rows, lambda half, rows: half(rows.inputs), **SETTINGS, **settings):
        perplexities.append(math.exp(row["loss"]))
        if settings["description"] is not None:
            tqdm.write(f"epoch {row['epoch']}: perplexity {perplexities[-1]:.1f}")
    return perplexities

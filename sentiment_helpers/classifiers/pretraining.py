"""Text teaches the stacks first: a language model of the reviews, before any label is seen."""

import math
import sys

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, pad
from tqdm import tqdm

from sentiment_helpers.classifiers.initial_weights import untrained
from sentiment_helpers.fast.batches import Rows
from sentiment_helpers.fast.flat_optimizer import FlatOptimizer, lr_factors, optimizer_of
from sentiment_helpers.fast.processor import denormals_flushed, threads_for
from sentiment_helpers.features import UNKNOWN
from sentiment_helpers.networks import Dropout, WordBiRNN, reverse_within
from sentiment_helpers.training import BAR, set_generator

SAMPLE = 600  # words from which the right one is told
SHARE = 0.25  # of the positions, drawn anew each epoch
LR, EMBEDDING_LR, MAX_NORM, DROPOUT = 3e-3, 5e-4, 1.0, 0.1


class LanguageModel(nn.Module):
    """Each stack of a network predicts the next word that it will read: the forward stack the
    following one, the backward stack the preceding one (Dai and Le 2015). The vectors of words are
    both its input and, behind a linear layer, its output. Pairs are left out: a pair names the word
    that the backward stack has to guess.

    Args:
        network: its stacks and its vectors of words are the ones that learn.
        counts: (V,) float32, how often each id occurs; 0 for those that are no words.
        generator: draws positions and samples; also those of the network's dropouts, if set there.
    """

    def __init__(self, network: WordBiRNN, counts: Tensor, generator: Generator):
        super().__init__()
        body, size = network.body, network.embedding.embedding_dim
        hidden_size = next(iter(body.forward_stack.layers.values())).hidden_size
        layers = untrained(
            lambda: nn.ModuleList(nn.Linear(hidden_size, size) for _ in range(2)),
            generator.initial_seed(),
        ).to(counts.device)
        self.embedding, self.dropout = network.embedding, Dropout(DROPOUT)
        self.stacks, self.layers = nn.ModuleList([body.forward_stack, body.backward_stack]), layers
        self.pair_size = network.pairs.size if network.pairs else 0
        self.generator = generator
        self.proposal = counts**0.75 / (counts**0.75).sum()  # (V,)
        self.prior = (counts / counts.sum()).log()  # how frequent a word is need not be learned

    def forward(self, ids: Tensor) -> Tensor:
        """The cross-entropies (M,) of a part, `SHARE`, of the words in reviews `ids` (B, T),
        right-padded, in both directions. `SAMPLE` words, drawn by their frequency to the power of
        0.75, stand for all others (sampled softmax: Jean et al. 2015)."""
        sample = self.proposal.multinomial(SAMPLE, replacement=True, generator=self.generator)
        # One that is drawn twice as often as others counts half as much.
        of_sample = self.prior[sample] - (SAMPLE * self.proposal[sample]).log()  # (SAMPLE,)
        lengths, vectors = (ids > 0).sum(dim=1), self.embedding(ids)  # (B,), (B, T, D)
        backward = reverse_within(ids.unsqueeze(2), lengths).squeeze(2)
        directions = ((ids, vectors), (backward, reverse_within(vectors, lengths)))
        sampled, losses = self.embedding(sample), []  # (SAMPLE, D)
        for (read, words), stack, linear in zip(directions, self.stacks, self.layers, strict=True):
            draws = torch.empty_like(read[:, 1:], dtype=torch.float32)  # (B, T - 1)
            draws.uniform_(generator=self.generator)
            chosen = (read[:, 1:] > UNKNOWN) & (draws < SHARE)
            x = pad(self.dropout(words), (0, self.pair_size))  # (B, T, D)
            states, targets = linear(stack(x)[:, :-1][chosen]), read[:, 1:][chosen]  # (M, D), (M,)
            right = (states * words[:, 1:][chosen]).sum(dim=1) + self.prior[targets]  # (M,)
            others = states @ sampled.t() + of_sample  # (M, SAMPLE)
            others = others.masked_fill(targets.unsqueeze(1) == sample, -torch.inf)
            logits = torch.cat([right.unsqueeze(1), others], dim=1)
            losses.append(cross_entropy(logits, torch.zeros_like(targets), reduction="none"))
        return torch.cat(losses)


def pretrain(
    network: WordBiRNN,
    ids: Tensor,
    max_epochs: int,
    batch_size: int,
    random_state: int,
    description: str | None = None,
) -> list[float]:
    """Train the stacks and the vectors of words as a `LanguageModel` of reviews `ids` (N, T), on
    the network's device, right-padded. Returns the perplexity of each epoch, as estimated from the
    samples. Ctrl-C ends it with what has been learned."""
    ids, lengths = ids.long(), (ids > 0).sum(dim=1).cpu()
    counts = ids.flatten().bincount(minlength=network.embedding.num_embeddings).float()
    counts[: UNKNOWN + 1] = 0
    order = Generator().manual_seed(random_state)
    noise = Generator(ids.device).manual_seed(random_state)
    model = LanguageModel(network, counts, noise).train()
    steps = max_epochs * math.ceil(len(ids) / batch_size)
    factors = lr_factors("linear", steps)
    step = FlatOptimizer(model, optimizer_of("adam"), LR, EMBEDDING_LR, factors, MAX_NORM)
    shown = BAR | {"desc": description, "disable": description is None, "file": sys.stdout}
    rows, perplexities = Rows(ids, torch.zeros(len(ids)), lengths), []
    set_generator(model, noise)
    try:
        with threads_for(network), denormals_flushed(), tqdm(total=steps, **shown) as bar:
            for epoch in range(1, max_epochs + 1):
                bar.set_postfix_str(f"epoch {epoch} of {max_epochs}")
                means = []
                for some, *_ in rows.draw_batches(batch_size, order):
                    if len(losses := model(some)):
                        step(loss := losses.mean())
                        means.append(loss.detach())
                    bar.update()
                perplexities.append(torch.stack(means).mean().exp().item() if means else 1.0)
                if not bar.disable:
                    bar.write(f"epoch {epoch}: perplexity {perplexities[-1]:.1f}")
    except KeyboardInterrupt:
        print("Interrupted: what the stacks have learned so far is kept.")
    finally:
        step.release()
        set_generator(network, None)
    return perplexities

"""With each of `fast/` switched off, the plain code gives the same; `many_texts` has a file of its
own."""

import copy
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sentiment_helpers import BiRNN, BiRNNClassifier, WordBiRNN, training
from sentiment_helpers.fast import batches
from sentiment_helpers.fast.batches import Rows, predict_logits
from sentiment_helpers.fast.flat_optimizer import OPTIMIZERS, FlatOptimizer, lr_factors

PLAIN = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


def trained(seed=0):
    """The history and the weights of a short training of the report's network."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 5)).astype(np.float32)
    y = (X[:, 0] + 0.5 * rng.normal(size=200) > 0).astype(int)
    fitted = BiRNNClassifier("gru", 5, 4, skip_connections=True, lr=0.01, max_epochs=3).fit(X, y)
    return fitted.history_.drop(columns="seconds"), fitted.network_.state_dict()


def switched_off(monkeypatch, what):
    if what == "one_step":
        monkeypatch.setattr(BiRNN, "_reads_one_word", lambda *_: False)
    elif what == "processor":
        monkeypatch.setattr(training, "threads_for", lambda network: nullcontext())
        monkeypatch.setattr(training, "denormals_flushed", nullcontext)
        monkeypatch.setattr(batches, "denormals_flushed", nullcontext)
    else:
        monkeypatch.setattr(training, "FlatOptimizer", PlainOptimizer)


class PlainOptimizer:
    """The twin of `FlatOptimizer`."""

    def __init__(self, network, make, lr, embedding_lr, factors, max_norm):
        plain = next(PLAIN[name] for name, known in OPTIMIZERS.items() if known is make)
        embeddings = {n for n, m in network.named_modules() if isinstance(m, nn.Embedding)}
        named = [(n.rpartition(".")[0] in embeddings, w) for n, w in network.named_parameters()]
        rates = {False: lr, True: lr if embedding_lr is None else embedding_lr}
        groups = [
            {"params": [w for is_embedding, w in named if is_embedding is kind], "lr": rate}
            for kind, rate in rates.items()
        ]
        self.optimizer = plain(groups)
        self.rates = list(rates.values())
        self.weights, self.factors, self.max_norm = list(network.parameters()), factors, max_norm

    def __call__(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.weights, self.max_norm)
        factor = next(self.factors)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimizer.step()
        return norm

    def release(self):
        pass


@pytest.mark.parametrize("what", ["one_step", "flat_optimizer", "processor"])
def test_switched_off(monkeypatch, what):
    fast_history, fast_weights = trained()
    switched_off(monkeypatch, what)
    history, weights = trained()
    np.testing.assert_allclose(history, fast_history, rtol=1e-3, atol=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, fast_weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("is_cpu", [True, False])
def test_steps_are_those_of_pytorchs_optimizer(name, is_cpu, monkeypatch):
    """With two learning rates, a schedule, and gradients that are clipped; with the weights in one
    tensor, and where they are, as on a GPU."""
    networks = [WordBiRNN(9, 4, num_layers=2, hidden_size=3, dropout=0.0).double()]
    networks.append(copy.deepcopy(networks[0]))
    before = copy.deepcopy(networks[0].state_dict())
    arguments = {"lr": 0.01, "embedding_lr": 0.002, "max_norm": 0.05, "make": OPTIMIZERS[name]}
    kinds = [(FlatOptimizer, networks[0]), (PlainOptimizer, networks[1])]
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "is_cpu", is_cpu, raising=False)
        steps = [kind(one, factors=lr_factors("linear", 20), **arguments) for kind, one in kinds]
    places = {weight.untyped_storage().data_ptr() for weight in networks[0].parameters()}
    assert (len(places) == 2) == is_cpu
    for _ in range(20):
        ids, labels = torch.randint(1, 9, (6, 5)), torch.randint(0, 2, (6,)).double()
        norms = [
            step(binary_cross_entropy_with_logits(network(ids), labels))
            for step, network in zip(steps, networks, strict=True)
        ]
        torch.testing.assert_close(*norms)
    for ours, plain in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-7, atol=1e-9)
    steps[0].release()
    for name, weight in networks[0].named_parameters():
        assert weight.grad is None
        assert weight.untyped_storage().nbytes() == weight.nbytes
        assert not torch.equal(weight, before[name])


@pytest.mark.parametrize("pooling", ["last", "attention+max"])
def test_batches_of_similar_lengths_change_no_logit(pooling):
    network = WordBiRNN(9, 4, num_layers=2, hidden_size=3, pooling=pooling).eval().double()
    lengths = torch.randint(1, 30, (200,))
    ids = torch.randint(1, 9, (200, 30)) * (torch.arange(30) < lengths.unsqueeze(1))
    with torch.inference_mode():
        plain = network(ids)
    torch.testing.assert_close(predict_logits(network, ids, lengths, torch.float64), plain)
    rows = Rows(ids, torch.zeros(200), lengths)
    read = sum((inputs > 0).sum() for inputs, *_ in rows.draw_batches(16, torch.Generator()))
    assert read == lengths.sum()

"""Reviews of one word: the same outputs and gradients as PyTorch's own layers."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.recipe import RecipeBiRNN, copy_weights, train
from sentiment_helpers import BiRNN
from sentiment_helpers.fast.one_step import one_step
from sentiment_helpers.training import fit

NETWORKS = [
    (cell, num_layers, skip)
    for cell in ("rnn", "lstm", "gru")
    for num_layers, skip in ((1, False), (2, False), (5, False), (5, True), (6, True))
]


@pytest.mark.parametrize(("cell", "num_layers", "skip"), NETWORKS)
def test_outputs_and_gradients_are_those_of_pytorchs_layers(cell, num_layers, skip):
    network = BiRNN(7, cell, num_layers, 3, dropout=0.0, skip_connections=skip).double()
    x = torch.randn(5, 1, 7, dtype=torch.float64, requires_grad=True)
    wanted = [x, *network.parameters()]
    results = []
    for training in (False, True):  # in evaluation with gradients, the layers themselves run
        network.train(training)
        logits = network(x)
        loss = binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0, 0, 1, 1]).double())
        gradients = torch.autograd.grad(loss, wanted, materialize_grads=True)
        results.append((logits, *gradients))
    names = ["logits", "x", *(name for name, _ in network.named_parameters())]
    assert results[1][2].abs().sum() > 0
    for name, ours, theirs in zip(names, *results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12, msg=name)
    network.eval()
    with torch.inference_mode():
        torch.testing.assert_close(network(x), results[0][0], rtol=1e-9, atol=1e-12)


def test_nothing_is_kept_after_a_step():
    layers = [nn.RNN(7, 3)], [nn.RNN(7, 3)]
    gc.disable()  # so that only counted references can let go
    try:
        last = one_step(torch.randn(5, 7), *layers, skip_connections=False)
        step = weakref.ref(last.grad_fn)
        assert step() is not None
        last.sum().backward()
        del last
        assert step() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("cell", "num_layers", "skip"), [("gru", 5, False), ("lstm", 14, True)])
def test_losses_are_those_of_the_recipe(cell, num_layers, skip):
    """From the same weights, on the same batches, with the same dropout: to 1e-5 each epoch."""
    inputs = torch.randn(400, 1, 10)
    labels = (inputs[:, 0, 0] + torch.randn(400) > 0).float()
    parameters = (10, cell, num_layers, 8, 0.05, skip)
    network, recipe = BiRNN(*parameters), RecipeBiRNN(*parameters)
    copy_weights(network, recipe)
    choices = {"lr": 1e-2, "batch_size": 64, "max_epochs": 5, "patience": 2, "max_norm": 0.75}
    sets = ((inputs[:300], labels[:300]), (inputs[300:], labels[300:]))
    theirs = train(recipe, *sets, random_state=7, **choices)
    ours = fit(network, *sets, random_state=7, **choices).epochs
    losses = [[epoch["valid_loss"] for epoch in epochs] for epochs in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert abs(losses[0][0] - losses[0][-1]) > 1e-3  # it was trained

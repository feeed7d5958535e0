"""The trainer, on networks that are no BiRNN."""

import copy
import io
import re
import warnings
from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sentiment_helpers import WordBiRNN, training
from sentiment_helpers.batches import Rows
from sentiment_helpers.metrics import Scores
from sentiment_helpers.networks import Dropout
from sentiment_helpers.training import EarlyStopping, fit


@pytest.mark.parametrize(
    ("losses", "patience", "stops_at", "best"),
    [
        ([5, 4, 3, 2, 1], 2, None, 5),
        ([5, 4, 4.5, 3, 3.5, 1], 2, 5, 4),  # not consecutive: the second miss ends it
        ([5, 5, 5], 2, 3, 1),  # equal is not better
        ([5, 6, 4, 7, 8], 3, 5, 3),
    ],
)
def test_early_stopping_on_written_out_losses(losses, patience, stops_at, best):
    network, stopping, stopped = nn.Linear(1, 1), EarlyStopping(patience), None
    for epoch, loss in enumerate(losses, 1):
        network.weight.data.fill_(epoch)
        if stopping.step(epoch, loss, network):
            stopped = epoch
            break
    stopping.restore(network)
    assert (stopped, stopping.best_epoch) == (stops_at, best)
    assert network.weight.item() == best


def make_data(device="cpu"):
    """60 rows to train on and 30 for validation; a row's sum tells its label, more or less."""
    inputs = torch.randn(90, 4)
    labels = (inputs.sum(1) + torch.randn(90) > 0).float()
    inputs, labels = inputs.to(device), labels.to(device)
    return Rows(inputs[:60], labels[:60]), Rows(inputs[60:], labels[60:])


@pytest.fixture
def data(device):
    return make_data(device)


def make_network(device="cpu", dropout=0.3):
    layers = nn.Linear(4, 8), Dropout(dropout), nn.Linear(8, 1), nn.Flatten(0)
    return nn.Sequential(*layers).to(device)


@pytest.fixture
def network(device):
    return make_network(device)


def with_losses(monkeypatch, losses):
    """Let the validation losses be `losses`; an exception in the list is raised instead. Returns a
    list, to which the network's weights after each epoch are added."""
    script, weights, real = iter(losses), [], training.measure

    def measure(network, rows):
        figures, probabilities = real(network, rows)
        if len(rows.inputs) == 60:
            return figures | {"loss": 0.0}, probabilities
        weights.append(copy.deepcopy(network.state_dict()))
        value = next(script)
        if isinstance(value, BaseException):
            raise value
        return figures | {"loss": value}, probabilities

    monkeypatch.setattr(training, "measure", measure)
    return weights


def equal(first, second, same=torch.equal):
    return all(same(first[name], second[name]) for name in first)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("losses", "best", "stopped", "epochs"),
    [
        ([5, 4, 6, 3, 9, 1], 4, "patience", 5),
        ([5, 4, 6], 2, "max_epochs", 3),
        ([5, 4, 6, 3, 3.5, KeyboardInterrupt()], 4, "interrupted", 5),
        ([5, 4, NAN], 2, "not finite", 2),
        ([5, 6, INFINITY, 1], 1, "not finite", 2),
        ([5, 4, RuntimeError("disk on fire")], 2, None, None),
    ],
)
def test_best_weights_on_every_way_out(
    network, data, monkeypatch, capsys, losses, best, stopped, epochs
):
    weights, choices = with_losses(monkeypatch, losses), {"lr": 0.1, "max_epochs": len(losses)}
    choices["patience"] = 3 if stopped == "interrupted" else 2
    if stopped is None:
        with pytest.raises(RuntimeError, match="disk on fire"):
            fit(network, *data, **choices)
    else:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = fit(network, *data, **choices)
        says = [f"not finite in epoch {epochs + 1}: lower lr; the weights of epoch {best} are kept"]
        says = says if stopped == "not finite" else []
        assert [str(one.message).removeprefix("the loss is ") for one in caught] == says
        assert (history.best_epoch, history.stopped) == (best, stopped)
        assert [row["epoch"] for row in history.epochs] == [*range(1, epochs + 1)]
        assert list(history.probabilities) == sorted({1, epochs})
    assert equal(network.state_dict(), weights[best - 1])
    assert not equal(network.state_dict(), weights[best])
    assert not network.training
    assert all(weight.grad is None for weight in network.parameters())
    assert network[1].generator is None
    said = "Interrupted: the weights are of epoch 4, the best so far.\n"
    assert capsys.readouterr().out == said * (stopped == "interrupted")


def test_interrupted_in_the_middle_of_an_epoch(data, device):
    """The steps of that epoch do not count; before the end of the first, nothing can be kept."""
    ends, whole = [], make_network(device)
    twin = copy.deepcopy(whole)
    fit(whole, *data, lr=1e-3, max_epochs=1, batch_size=10)

    def interrupt(module, inputs):
        ends.append(module.training)
        if sum(ends) == stop:
            raise KeyboardInterrupt

    stops = mock.patch.object(EarlyStopping, "step", side_effect=KeyboardInterrupt)
    with stops, pytest.raises(KeyboardInterrupt):
        fit(copy.deepcopy(twin), *data, max_epochs=1)
    twin.register_forward_pre_hook(interrupt)
    stop = 3
    with pytest.raises(KeyboardInterrupt):
        fit(copy.deepcopy(twin), *data, lr=1e-3, max_epochs=2, batch_size=10)
    stop = 9 + sum(ends)
    assert fit(twin, *data, lr=1e-3, max_epochs=2, batch_size=10).stopped == "interrupted"
    torch.testing.assert_close(twin.state_dict(), whole.state_dict(), rtol=1e-4, atol=1e-6)


def test_first_loss_that_is_not_finite(network, data, monkeypatch):
    """Metrics, which do not take NaN, are not asked."""
    monkeypatch.setattr(training, "evaluate", None)
    with pytest.raises(ValueError, match="not finite in epoch 1: lower lr, or scale the inputs"):
        fit(network, *data, lr=1e38)


def test_epoch_figures_are_over_rows(network, data):
    """Batches of 25, 25 and 10: a mean of batch means would differ."""
    train, valid = data
    history = fit(network, train, valid, batch_size=25, max_epochs=7)
    assert history.best_epoch == 7
    row = history.epochs[-1]
    for side, rows in (("train", train), ("valid", valid)):
        loss = binary_cross_entropy_with_logits(network(rows.inputs), rows.labels)
        assert row[f"{side}_loss"] == pytest.approx(loss.item(), abs=1e-6)
        right = ((network(rows.inputs) > 0) == rows.labels).float().mean().item()
        assert row[f"{side}_accuracy"] == pytest.approx(right)
    figures = {f"{side}_{name}" for side in ("train", "valid") for name in Scores._fields}
    assert row.keys() == {"epoch", "seconds", "gradient_norm"} | figures
    assert row["seconds"] > 0
    assert list(history.probabilities) == [1, 6, 7]
    expected = torch.sigmoid(network(valid.inputs)).detach().cpu()
    torch.testing.assert_close(torch.from_numpy(history.probabilities[7]), expected)


def test_same_seed_same_weights_whatever_ran_before(network, data, same):
    """Nor does a training change what others draw."""
    twins = [copy.deepcopy(network) for _ in range(3)]
    for number, twin in enumerate(twins):
        torch.manual_seed(number)
        state, seed = torch.get_rng_state(), 7 + (number == 2)
        fit(twin, *data, lr=0.01, max_epochs=3, random_state=seed)
        assert torch.equal(torch.get_rng_state(), state)
    assert equal(twins[0].state_dict(), twins[1].state_dict(), same)
    assert not equal(twins[0].state_dict(), twins[2].state_dict())


PLAIN = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


@pytest.mark.parametrize("embedding_lr", [0.002, None, 0.0])
@pytest.mark.parametrize("name", training.OPTIMIZERS)
def test_steps_are_those_of_pytorchs_optimizer(name, embedding_lr):
    """With two learning rates, a schedule, weights that stay, and gradients that are clipped: the
    same loop, written out plainly."""
    lengths = torch.full((60,), 5)  # so each step is that of two halves
    rows = Rows(torch.randint(1, 9, (60, 5)), torch.randint(0, 2, (60,)).double(), lengths)
    network = WordBiRNN(9, 4, num_layers=2, hidden_size=3, dropout=0.0).double()
    nn.init.normal_(network.embedding.weight)
    network.body.out.bias.requires_grad_(False)
    plain, start = copy.deepcopy(network), copy.deepcopy(network.state_dict())
    choices = {"batch_size": 12, "random_state": 3, "max_epochs": 6, "max_norm": 0.05}
    choices |= {"lr": 0.01, "embedding_lr": embedding_lr, "schedule": "linear", "optimizer": name}
    course = list(training.epochs(network, rows, **choices))
    words = plain.embedding.weight
    others = [w for w in plain.parameters() if w.requires_grad and w is not words]
    optimizer = PLAIN[name]([{"params": others}, {"params": [words]}], lr=0.01)
    rates = 0.01, 0.01 if embedding_lr is None else embedding_lr
    order, taken = torch.Generator().manual_seed(3), 0
    for epoch in course:
        norms = []
        for batch in rows.batches(12, order):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * min(0.5 + taken / 2, (30 - taken) / 29)  # of 30 steps
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(plain(batch.inputs), batch.labels).backward()
            norms.append(nn.utils.clip_grad_norm_(plain.parameters(), 0.05).item())
            optimizer.step()
            taken += 1
        assert epoch["gradient_norm"] == pytest.approx(np.mean(norms))
    for weight, expected in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-6, atol=1e-8)
    stayed = {n for n, weight in network.named_parameters() if torch.equal(start[n], weight)}
    assert stayed == {"body.out.bias"} | ({"embedding.weight"} if embedding_lr == 0 else set())


def test_schedules():
    factors = [training._factor("linear", step, 100) for step in range(1, 101)]
    assert factors[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 95 / 96])
    assert np.diff(factors[4:]) == pytest.approx(-1 / 96)
    assert [training._factor("linear", step, 2) for step in (1, 2)] == [1, 0.5]
    assert training._factor("constant", 3, 100) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "cp437", "ascii"])
@pytest.mark.parametrize("losses", [[5, 4], [5, 6, 7, 1, 1]])
def test_bar_shows_figures(network, data, monkeypatch, losses, encoding):
    """A line an epoch. The bar moves with the batches; it stays where patience ends it."""
    name, block = ("Net 1×2", "█") if encoding == "utf-8" else ("Net 1?2", "#")
    stream = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
    monkeypatch.setattr("sys.stdout", stream)
    with_losses(monkeypatch, losses)
    history = fit(network, *data, batch_size=20, description="Net 1×2", max_epochs=len(losses))
    epochs = min(len(losses), 3)
    assert len(history.epochs) == epochs
    states = re.split(r"[\r\n]", stream.buffer.getvalue().decode(encoding).strip())
    lines = [state for state in states if state.startswith("epoch")]
    assert [line.partition(" loss")[0] for line in lines] == [
        f"epoch {number}: train" for number in range(1, epochs + 1)
    ]
    accuracy = f"train accuracy {history.epochs[0]['train_accuracy']:.4f}"
    assert f"train loss 0.0000, {accuracy}, valid loss 5.0000, valid accuracy" in lines[0]
    bars = [state for state in states if state.startswith(name)]
    assert f"|{' ' * 10}|" in bars[0]
    assert f"epoch 1 of {len(losses)}" in "".join(bars)
    assert (block * 10 in bars[-1]) == (len(losses) == 2)

"""Rows in batches, predictions in large ones, and how the processor is set meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sentiment_helpers import WordBiRNN, batches, metrics, training
from sentiment_helpers.batches import Rows, predict_logits
from sentiment_helpers.training import fit


class Sums(nn.Module):
    """The logit of a row is a weighted sum of its columns; notes the batches that it is given."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
        self.seen = {True: [], False: []}

    def forward(self, x):
        self.seen[self.training].append(x)
        return self.weight * x.sum(1).float() + self.bias


@pytest.fixture
def uneven(device):
    """Rows of 1 to 60 leading ones; as many labels of each kind."""
    lengths = torch.arange(1, 61).repeat(10)
    inputs = (torch.arange(60) < lengths.unsqueeze(1)).long()
    return Rows(inputs.to(device), (torch.arange(600) % 2).float().to(device), lengths)


def test_batches_of_like_lengths(uneven):
    order = torch.Generator().manual_seed(1)
    trained = [batch.inputs for _ in range(2) for batch in uneven.batches(64, order)]
    assert len(trained) == 20
    for epoch in (trained[:10], trained[10:]):
        read = sorted(length for x in epoch for length in x.sum(1).tolist())
        assert read == sorted(uneven.lengths.tolist())
        assert all(x.shape[1] == x.sum(1).max() for x in epoch)  # cut to the longest
        assert max(x.shape[1] - x.sum(1).min() for x in epoch) < 10
        widths = [x.shape[1] for x in epoch]
        assert widths != sorted(widths)  # the batches themselves are shuffled
    assert [x.shape for x in trained[:10]] != [x.shape for x in trained[10:]]


def test_rows_come_back_in_order(uneven, device, monkeypatch):
    monkeypatch.setattr(batches, "EVAL_WORDS", 300)
    for lengths in (uneven.lengths, None):
        network = Sums().to(device)
        logits = predict_logits(network, uneven.inputs, lengths)
        assert torch.equal(logits.cpu(), uneven.lengths.float())
        assert max(x.numel() for x in network.seen[False]) in range(280, 421)


@pytest.mark.parametrize("pooling", ["last", "attention+max"])
def test_batches_of_similar_lengths_change_no_logit(pooling):
    network = WordBiRNN(9, 4, num_layers=2, hidden_size=3, pooling=pooling).eval()
    lengths = torch.randint(1, 30, (200,))
    ids = torch.randint(1, 9, (200, 30)) * (torch.arange(30) < lengths.unsqueeze(1))
    with torch.inference_mode():
        plain = network(ids)
    torch.testing.assert_close(predict_logits(network, ids, lengths), plain)


def test_a_part_of_the_training_rows_is_measured(uneven, device, monkeypatch, same):
    """Where rows have lengths. Neither weights nor validation figures depend on it."""
    found, counts = [], []

    def evaluate(labels, probabilities):
        counts.append(len(labels))
        return metrics.evaluate(labels, probabilities)

    monkeypatch.setattr(training, "evaluate", evaluate)
    for most, rows in ((5000, uneven), (100, uneven), (100, uneven._replace(lengths=None))):
        monkeypatch.setattr(training, "MEASURED_ROWS", most)
        network = Sums().to(device)
        history = fit(network, rows, rows, max_epochs=2, lr=0.1)
        part = 100 if most == 100 and rows is uneven else 600
        assert [counts.pop(0) for _ in range(4)] == [part, 600] * 2
        found.append(([row["valid_loss"] for row in history.epochs], network.weight.detach()))
    assert found[0][0] == pytest.approx(found[1][0], abs=0 if device == "cpu" else 1e-6)
    assert same(found[0][1], found[1][1])


@pytest.fixture
def threads(monkeypatch):
    """Sets their number; and there are as many processors as one could want."""
    before = torch.get_num_threads()
    monkeypatch.setattr(batches.joblib, "cpu_count", lambda: 8)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_weights_do_not_depend_on_the_number_of_threads(threads, monkeypatch):
    """With one, the halves of a batch wait for each other. In a thread that starts meanwhile, the
    number is as before; and so it is afterwards."""
    lengths, found, pools = torch.randint(3, 30, (120,)), [], []
    ids = torch.randint(1, 9, (120, 30)) * (torch.arange(30) < lengths.unsqueeze(1))
    rows = Rows(ids, (torch.arange(120) % 2).float(), lengths)

    def evaluate(*given):
        assert torch.get_num_threads() == 1
        drawing = [module for module in network.modules() if hasattr(module, "generator")]
        assert len({module.generator.initial_seed() for module in drawing}) == 5
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == count
        pools.append(batches._here.pool is not None)
        return metrics.evaluate(*given)

    monkeypatch.setattr(training, "evaluate", evaluate)
    for count in (1, 3):
        threads(count)
        torch.manual_seed(0)
        network = WordBiRNN(9, 4, num_layers=3, hidden_size=5, dropout=0.2, layer_dropout=0.2)
        nn.init.normal_(network.embedding.weight)
        fit(network, rows, rows, lr=0.02, max_epochs=2)
        found.append(network.state_dict())
        assert torch.get_num_threads() == count
        assert not hasattr(batches._here, "pool")
    assert pools == [False] * 4 + [True] * 4
    assert all(torch.equal(weight, found[1][name]) for name, weight in found[0].items())


def test_halves_are_the_whole_batch(uneven, device):
    """Rows of similar lengths in both, each cut to its own longest."""
    halves = uneven.halves()
    assert len(halves) == (2 if device == "cpu" else 1)
    assert sorted(torch.cat([half.lengths for half in halves])) == sorted(uneven.lengths)
    for half in halves:
        assert torch.equal(half.inputs.sum(1).cpu(), half.lengths)
        assert half.inputs.shape[1] == half.lengths.max()
    assert uneven.chosen(torch.tensor([3])).halves()[0].lengths.tolist() == [4]
    assert uneven._replace(lengths=None).halves()[0].inputs is uneven.inputs


def test_denormals_are_flushed_while_it_lasts():
    tiny, seen = torch.tensor(1e-40), []
    network, rows = Sums(), Rows(torch.randn(9, 4), torch.ones(9))
    network.register_forward_pre_hook(lambda *_: seen.append((tiny * 1.0).item()))
    fit(network, rows, rows, max_epochs=1)
    assert set(seen) == {0.0}
    assert (tiny * 1.0).item() > 0

"""The trainer, on networks that are no BiRNN."""

import copy
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sentiment_helpers import training
from sentiment_helpers.fast import batches, flat_optimizer, processor
from sentiment_helpers.networks import Dropout
from sentiment_helpers.training import EarlyStopping


class Scripted(nn.Module):
    """One weight; the test says what each epoch's validation loss is."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(
    ("losses", "patience", "stops_at", "best"),
    [
        ([5, 4, 3, 2, 1], 2, None, 5),
        ([5, 4, 4.5, 3, 3.5, 1], 2, 5, 4),  # not consecutive: the second miss ends it
        ([5, 6, 7], 2, 3, 1),
        ([5, 5, 5], 2, 3, 1),  # equal is not better
        ([5, 6, 4], 1, 2, 1),
        ([5, 6, 4, 7, 8], 3, 5, 3),
    ],
)
def test_early_stopping_on_written_out_losses(losses, patience, stops_at, best):
    network, stopping = Scripted(), EarlyStopping(patience)
    stopped = None
    for epoch, loss in enumerate(losses, 1):
        network.weight.data.fill_(epoch)
        if stopping.step(epoch, loss, network):
            stopped = epoch
            break
    stopping.restore(network)
    assert (stopped, stopping.best_epoch) == (stops_at, best)
    assert network.weight.item() == best


def make_data(device="cpu"):
    inputs = torch.randn(90, 4)
    labels = (inputs.sum(1) + torch.randn(90) > 0).float()
    inputs, labels = inputs.to(device), labels.to(device)
    return (inputs[:60], labels[:60]), (inputs[60:], labels[60:])


@pytest.fixture
def data(device):
    return make_data(device)


@pytest.fixture
def network(device):
    layers = nn.Linear(4, 8), Dropout(0.3), nn.Linear(8, 1), nn.Flatten(0)
    return nn.Sequential(*layers).to(device)


def with_losses(monkeypatch, losses, weights=None):
    """Let the validation losses be `losses`; an exception in the list is raised instead. The
    network's weights at each validation are added to `weights`."""
    script = iter([x for loss in losses for x in (0.0, loss)])  # train and valid in turn
    real = training.predict_logits

    def predict(network, inputs, lengths=None):
        if weights is not None:
            weights.append(copy.deepcopy(network.state_dict()))
        return real(network, inputs)

    def loss(logits, labels, weights):
        if logits.requires_grad:
            return nn.functional.binary_cross_entropy_with_logits(logits, labels)
        value = next(script)
        if isinstance(value, BaseException):
            raise value
        return torch.tensor(float(value))

    monkeypatch.setattr(training, "predict_logits", predict)
    monkeypatch.setattr(training, "binary_cross_entropy_with_logits", loss)


def equal(first, second, same=torch.equal):
    return all(same(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore:the loss is not finite")
@pytest.mark.parametrize(
    ("losses", "best", "stopped", "epochs"),
    [
        ([5, 4, 6, 3, 9, 1], 4, "patience", 5),
        ([5, 4, 6], 2, "max_epochs", 3),
        ([5, 4, KeyboardInterrupt()], 2, "interrupted", 2),
        ([5, 4, float("nan")], 2, "not finite", 2),
        ([5, 6, float("inf"), 1], 1, "not finite", 2),
    ],
)
def test_best_weights_on_every_way_out(
    network, data, monkeypatch, capsys, losses, best, stopped, epochs
):
    weights = []
    with_losses(monkeypatch, losses, weights)
    history = training.fit(network, *data, lr=0.1, max_epochs=len(losses))
    assert (history.best_epoch, history.stopped, len(history.epochs)) == (best, stopped, epochs)
    after_epochs = weights[1::2]  # each epoch looks twice, at train and at valid
    assert equal(network.state_dict(), after_epochs[best - 1])
    assert not equal(network.state_dict(), after_epochs[best])
    assert list(history.probabilities) == [1, epochs]
    assert ("Interrupted" in capsys.readouterr().out) == (stopped == "interrupted")


def test_best_weights_when_an_error_ends_it(network, data, monkeypatch):
    weights = []
    with_losses(monkeypatch, [5, 4, RuntimeError("disk on fire")], weights)
    with pytest.raises(RuntimeError, match="disk on fire"):
        training.fit(network, *data, lr=0.1)
    assert equal(network.state_dict(), weights[3])


def test_interrupt_before_anything_was_learned(network, data, monkeypatch):
    with_losses(monkeypatch, [KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        training.fit(network, *data)


def test_first_loss_that_is_not_finite(network, data):
    """Metrics, which may not take NaN, are not asked."""
    says = r"not finite in epoch 1: lower lr \(1e\+38\), or scale the inputs down$"
    with pytest.raises(ValueError, match=says):
        training.fit(network, *data, lr=1e38, metrics=refuses_nan)


def count_rows(labels, probabilities):
    return {"rows": len(labels)}


def refuses_nan(labels, probabilities):
    assert np.isfinite(probabilities).all()
    return {"rows": len(labels)}


def test_later_loss_that_is_not_finite(network, data, monkeypatch):
    """The epoch is in no history; metrics, which may not take NaN, are not asked."""
    real, calls = training.predict_logits, []

    def predict(*arguments):
        calls.append(arguments)
        lost = len(calls) > 6  # after three epochs of two sides
        return real(*arguments) * (float("nan") if lost else 1)

    monkeypatch.setattr(training, "predict_logits", predict)
    says = r"not finite in epoch 4: lower lr \(0.01\) to train on; the weights of epoch 3 are kept$"
    with pytest.warns(RuntimeWarning, match=says):
        history = training.fit(network, *data, lr=0.01, max_epochs=9, metrics=refuses_nan)
    assert (history.stopped, history.best_epoch) == ("not finite", 3)
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    assert list(history.probabilities) == [1, 3]
    assert all(weight.isfinite().all() for weight in network.parameters())
    assert not network.training


@pytest.mark.parametrize(("side", "name"), [(0, "training"), (1, "validation")])
@pytest.mark.parametrize(
    ("value", "held"), [("nan", "NaN"), ("inf", r"infinity \(inf\) .*"), ("-inf", "infinity .*")]
)
def test_inputs_that_are_not_finite(network, data, side, name, value, held):
    before = copy.deepcopy(network.state_dict())
    data[side][0][7, 2] = float(value)
    data[side][0][9, 0] = float(value)
    says = f"^row 7 of the {name} inputs is not finite: column 2 holds {held}$"
    with pytest.raises(ValueError, match=says):
        training.fit(network, *data)
    assert equal(network.state_dict(), before)


def test_inputs_of_other_shapes_that_are_not_finite():
    """Where there are no columns, or more than columns, the row is enough."""
    for shape in ((9,), (9, 3, 2)):
        inputs = torch.zeros(shape)
        inputs[8] = float("nan")
        with pytest.raises(ValueError, match="row 8 of the inputs is not finite: it holds NaN"):
            batches.check_finite(inputs.numpy(), "inputs")
    batches.check_finite(np.arange(3), "inputs")


@pytest.mark.parametrize(("side", "name"), [(0, "training"), (1, "validation")])
def test_refused_rows(network, data, side, name):
    inputs, labels = data[side]

    def refused(*rows):
        sides = [*data[:side], rows, *data[side + 1 :]]
        with pytest.raises(ValueError, match=name) as caught:
            training.fit(network, *sides)
        return str(caught.value)

    count = len(labels)
    assert refused(inputs, labels[1:]) == (
        f"there are {count} rows of {name} inputs and {count - 1} labels"
    )
    assert refused(inputs[:0], labels[:0]) == f"there are no {name} inputs: give at least one row"
    for wrong in (2.0, -1.0, 0.5, float("nan")):
        others = labels.clone()
        others[4] = wrong
        assert refused(inputs, others) == f"row 4 of the {name} labels is {wrong}, not 0 or 1"


def test_fewer_rows_than_a_batch(data, device, same):
    """They are one batch: each epoch takes one step."""
    networks = []
    for batch_size in (60, 10_000):
        torch.manual_seed(0)
        networks.append(nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).to(device))
        history = training.fit(networks[-1], *data, batch_size=batch_size, max_epochs=3)
        assert len(history.epochs) == 3
    assert equal(*(network.state_dict() for network in networks), same)


def test_epoch_figures_are_over_rows(network, data):
    """Batches of 25, 25 and 10: a mean of batch means would differ."""
    train, valid = data
    seen = []

    def metrics(labels, probabilities):
        seen.append((labels, probabilities))
        return {"rows": len(labels)}

    history = training.fit(network, train, valid, batch_size=25, max_epochs=7, metrics=metrics)
    assert history.best_epoch == 7
    row = history.epochs[-1]
    for side, (inputs, labels) in (("train", train), ("valid", valid)):
        loss = nn.functional.binary_cross_entropy_with_logits(network(inputs), labels)
        assert row[f"{side}_loss"] == pytest.approx(loss.item(), abs=1e-6)
        assert row[f"{side}_rows"] == len(labels)
    assert list(history.probabilities) == [1, 6, 7]
    torch.testing.assert_close(
        torch.from_numpy(history.probabilities[7]), torch.sigmoid(network(valid[0])).detach().cpu()
    )
    assert row["seconds"] > 0


@pytest.mark.parametrize("unequal", [1, 3])
def test_weighted_rows_count_as_repeated_ones(network, device, unequal):
    """In the loss that is trained on, which one step of gradient descent shows, and in those of an
    epoch, whatever the mean weight of its rows is. Weights of 1 change nothing."""
    _, (inputs, labels) = make_data(device)
    valid = inputs[:20], labels[:20]
    times = torch.where(labels > 0, unequal, 1)
    rows = torch.arange(30).repeat_interleave(times.cpu()).to(device)
    weights = times * 30 / times.sum()
    choices = {"optimizer": "sgd", "lr": 0.5, "max_norm": np.inf, "max_epochs": 1}
    found = []
    for train, measured in (
        ((inputs, labels, None, weights), (*valid, None, times[:20].float())),
        ((inputs[rows], labels[rows]), [side[rows[rows < 20]] for side in valid]),
        ((inputs, labels), valid),
    ):
        trained = copy.deepcopy(network)
        trained[1].p = 0
        history = training.fit(trained, train, measured, batch_size=1000, **choices)
        row = history.epochs[0]
        found.append([row["train_loss"], row["valid_loss"], *trained[0].weight.flatten().tolist()])
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    exact = 0 if device == "cpu" else 1e-6
    assert (found[0] == pytest.approx(found[2], abs=exact, rel=0)) == (unequal == 1)


def test_an_unknown_optimizer_is_refused_first(network, data):
    for name in ("lion", "Adam", None, ["adam"]):
        with pytest.raises(ValueError, match=r"^optimizer is .*adam, adamw, rmsprop, sgd$"):
            training.fit(network, data[0][:1], data[1], optimizer=name)


def test_same_seed_same_weights_whatever_ran_before(network, data, same):
    twin = copy.deepcopy(network)
    training.fit(network, *data, lr=0.01, max_epochs=3, random_state=7)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    training.fit(twin, *data, lr=0.01, max_epochs=3, random_state=7)
    assert equal(network.state_dict(), twin.state_dict(), same)
    assert torch.equal(torch.get_rng_state(), state)


def test_small_networks_train_on_one_thread(network, data, monkeypatch):
    used, before = [], torch.get_num_threads()

    def metrics(*_):
        used.append(torch.get_num_threads())
        return {}

    training.fit(network, *data, max_epochs=1, metrics=metrics)
    monkeypatch.setattr(processor, "SMALL_NETWORK", 1)
    training.fit(network, *data, max_epochs=1, metrics=metrics)
    assert used == [1, 1, before, before]
    assert torch.get_num_threads() == before


def test_small_networks_do_not_depend_on_the_number_of_threads():
    """However it was set, and in a thread that starts meanwhile."""
    before, found, data = torch.get_num_threads(), [], make_data()

    def metrics(*_):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == torch_threads
        return {}

    try:
        for torch_threads in (1, 3):
            torch.set_num_threads(torch_threads)
            torch.manual_seed(0)
            network = nn.Sequential(nn.Linear(4, 300), nn.Linear(300, 1), nn.Flatten(0))
            training.fit(network, *data, max_epochs=2, metrics=metrics)
            found.append(network.state_dict())
            assert torch.get_num_threads() == torch_threads
    finally:
        torch.set_num_threads(before)
    assert equal(*found)


def test_gradients_are_clipped(network, data):
    """With a norm of almost nothing Adam's first moments are almost nothing."""
    before = copy.deepcopy(network.state_dict())
    history = training.fit(network, *data, lr=0.1, max_epochs=1, max_norm=1e-12)
    assert history.epochs[0]["gradient_norm"] > 1e-3
    moved = max((network.state_dict()[n] - before[n]).abs().max().item() for n in before)
    assert moved < 1e-4


@pytest.mark.parametrize("losses", [[5, 4], [5, 6, 7, 1, 1]])
def test_bar_shows_figures(network, data, capsys, monkeypatch, losses):
    """A line an epoch. The bar moves with the batches, and is full when it ends: here after two
    epochs, or when patience ends it."""
    with_losses(monkeypatch, losses)
    updates, real = [], training.tqdm.update
    monkeypatch.setattr(training.tqdm, "update", lambda bar, n=1: updates.append(n) or real(bar, n))
    history = training.fit(
        network, *data, batch_size=20, max_epochs=len(losses), description="Net",
        metrics=lambda *_: {"accuracy": 0.5},
    )  # fmt: skip
    epochs = min(len(losses), 3)
    assert len(history.epochs) == epochs
    states = re.split(r"[\r\n]", capsys.readouterr().out.strip())
    lines = [state for state in states if state.startswith("epoch")]
    assert [line.partition(" loss")[0] for line in lines] == [
        f"epoch {number}: train" for number in range(1, epochs + 1)
    ]
    assert "train loss 0.0000, train accuracy 0.5000, valid loss 5.0000" in lines[0]
    bars = [state for state in states if state.startswith("Net")]
    assert f"|{' ' * 10}|" in bars[0]
    assert f"epoch 1 of {len(losses)}" in "".join(bars)
    assert f"|{'█' * 10}|" in bars[-1]
    assert sum(updates) == 3 * epochs  # batches


class Sums(nn.Module):
    """The logit of a row is a weighted sum of its columns; notes the shapes that it is given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
        self.shapes = []

    def forward(self, x):
        self.shapes.append((self.training, tuple(x.shape), x))
        return self.weight * x.sum(1).float() + self.bias


@pytest.fixture
def uneven(device):
    """Rows of 1 to 60 leading ones; as many labels of each kind."""
    lengths = torch.arange(1, 61).repeat(10)
    inputs = (torch.arange(60) < lengths.unsqueeze(1)).long()
    return inputs.to(device), (torch.arange(600) % 2).float().to(device), lengths


def test_batches_of_like_lengths(uneven, device):
    inputs, labels, lengths = uneven
    network = Sums().to(device)
    sets = [(inputs, labels, lengths)] * 2
    training.fit(network, *sets, max_epochs=2, lr=0)
    trained = [x for training, _, x in network.shapes if training]
    assert len(trained) == 20
    for epoch in (trained[:10], trained[10:]):
        assert sorted(length for x in epoch for length in x.sum(1).tolist()) == sorted(
            lengths.tolist()
        )
        assert all(x.shape[1] == x.sum(1).max() for x in epoch)  # cut to the longest
        assert max(x.shape[1] - x.sum(1).min() for x in epoch) < 10
        widths = [x.shape[1] for x in epoch]
        assert widths != sorted(widths)  # the batches themselves are shuffled
    assert [x.shape for x in trained[:10]] != [x.shape for x in trained[10:]]


def test_rows_come_back_in_order(uneven, device, monkeypatch):
    inputs, _, lengths = uneven
    monkeypatch.setattr(batches, "EVAL_WORDS", 300)
    network = Sums().to(device)
    logits = batches.predict_logits(network, inputs, lengths)
    assert torch.equal(logits.cpu(), lengths.float())
    assert max(rows * columns for _, (rows, columns), _ in network.shapes) <= 300


def test_a_part_of_the_training_rows_is_measured(uneven, device, monkeypatch, same):
    """Where rows have lengths. Neither weights nor validation figures depend on it."""
    found = []
    for most in (5000, 100):
        monkeypatch.setattr(training, "MEASURED_ROWS", most)
        network, options = Sums().to(device), {"max_epochs": 2, "lr": 0.1, "metrics": count_rows}
        history = training.fit(network, uneven, uneven, **options)
        counts = [(row["train_rows"], row["valid_rows"]) for row in history.epochs]
        assert counts == [(min(600, most), 600)] * 2
        found.append((network.state_dict(), [row["valid_loss"] for row in history.epochs]))
    assert equal(found[0][0], found[1][0], same)
    assert found[0][1] == pytest.approx(found[1][1], abs=0 if device == "cpu" else 1e-6)
    plain = [uneven[:2]] * 2  # without lengths, all are measured
    history = training.fit(Sums().to(device), *plain, max_epochs=1, metrics=count_rows)
    assert history.epochs[0]["train_rows"] == 600


def test_embeddings_have_a_learning_rate_of_their_own(device):
    ids, labels = torch.randint(0, 9, (60, 1)), (torch.arange(60) % 2).float()
    ids, labels = ids.to(device), labels.to(device)
    for embedding_lr, moves in ((None, True), (0.1, True), (0.0, False)):
        layers = nn.Embedding(9, 4), nn.Flatten(), nn.Linear(4, 1), nn.Flatten(0)
        network = nn.Sequential(*layers).to(device)
        before = copy.deepcopy(network.state_dict())
        rates = {"lr": 0.1, "embedding_lr": embedding_lr}
        training.fit(network, (ids, labels), (ids, labels), max_epochs=2, **rates)
        assert torch.equal(network[0].weight, before["0.weight"]) != moves
        assert not torch.equal(network[2].weight, before["2.weight"])


def test_weights_without_gradient_stay(data, device):
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1), nn.Flatten(0)).to(device)
    network[0].weight.requires_grad_(False)
    before = network[0].weight.clone()
    training.fit(network, *data, lr=0.1, max_epochs=2)
    assert torch.equal(network[0].weight, before)


def test_schedules():
    assert list(flat_optimizer.lr_factors("linear", 100))[:6] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1, 0.99]
    )
    assert list(flat_optimizer.lr_factors("linear", 100))[-1] == pytest.approx(0.05)
    assert next(flat_optimizer.lr_factors("constant", 100)) == 1
    with pytest.raises(ValueError, match="schedule is 'cosine'; it must be constant or linear"):
        flat_optimizer.lr_factors("cosine", 100)


def test_the_schedule_slows_the_last_steps(data, device):
    """A step of Adam is at most about its learning rate long."""
    weights = []
    for schedule in ("constant", "linear"):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)).to(device)
        start = copy.deepcopy(network[0].weight.detach())
        training.fit(network, *data, lr=0.01, schedule=schedule, max_epochs=10, batch_size=60)
        weights.append((network[0].weight - start).abs().max().item())
    assert 0.03 < weights[1] < 0.7 * weights[0]


def test_denormals_are_flushed_while_it_lasts():
    tiny = torch.tensor(1e-40)
    seen = []

    class Looks(nn.Linear):
        def forward(self, x):
            seen.append((tiny * 1.0).item())
            return super().forward(x).squeeze(1)

    training.fit(Looks(4, 1), *make_data(), max_epochs=1)
    assert set(seen) == {0.0}
    assert (tiny * 1.0).item() > 0


def test_trained_weights_are_tensors_of_their_own(data, network):
    """As those of a loaded network are, so that both compute the same to the last bit."""
    training.fit(network, *data, max_epochs=1)
    weights = list(network.parameters())
    assert len({w.untyped_storage().data_ptr() for w in weights}) == len(weights)
    assert all(w.untyped_storage().nbytes() == w.nbytes for w in weights)

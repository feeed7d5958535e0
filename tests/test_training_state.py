"""Trainings that are cut off and go on."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from torch import nn

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    FeedForwardClassifier,
    Glove,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    training,
)
from sentiment_helpers.fast import processor
from sentiment_helpers.fast.flat_optimizer import OPTIMIZERS
from sentiment_helpers.networks import Dropout, WordBiRNN
from sentiment_helpers.storage import pt_file, training_state

BATCHES = 4  # of each epoch of `start`
CHOICES = {
    "lr": 0.05, "embedding_lr": 0.02, "schedule": "linear", "batch_size": 16, "max_epochs": 7,
    "patience": 8, "max_norm": 0.5, "random_state": 7,
}  # fmt: skip
# How a training ends, by its arguments.
ENDS = {"max_epochs": {"patience": 8}, "patience": {"noise": 50.0, "lr": 0.5, "patience": 1}}


class Net(nn.Module):
    """With all that a state has to keep: weights of two learning rates, dropout, and buffers that
    change. `cut_off` lets it raise an error in the middle of an epoch."""

    def __init__(self, dropout=0.3):
        super().__init__()
        self.hidden, self.embedding = nn.Linear(4, 8), nn.Embedding(2, 8)
        self.norm, self.dropout, self.out = nn.BatchNorm1d(8), Dropout(dropout), nn.Linear(8, 1)
        self.batches, self.errors = [], {}

    def cut_off(self, epoch, error):
        self.errors[(epoch - 1) * BATCHES + 2] = error

    def forward(self, x):
        if self.training:
            self.batches.append(len(x))
            if error := self.errors.get(len(self.batches)):
                raise error
        h = self.hidden(x) + self.embedding((x[:, 0] > 0).long())
        return self.out(self.dropout(self.norm(h))).squeeze(1)


def accuracy(labels, probabilities):
    """NumPy's own kind of number, as scikit-learn's functions return it."""
    return {"accuracy": np.float64(((probabilities > 0.5) == labels).mean())}


def start(noise=0.5, device="cpu", **changes):
    """The arguments of `training.fit` for a network that is as it starts."""
    torch.manual_seed(3)
    network = Net().to(device)
    inputs = torch.randn(90, 4)
    labels = (inputs.sum(1) + noise * torch.randn(90) > 0).float().to(device)
    inputs = inputs.to(device)
    sides = (inputs[:60], labels[:60]), (inputs[60:], labels[60:])
    return [network, *sides], CHOICES | {"metrics": accuracy} | changes


def run(cut_off=None, **changes):
    """The outcome of a training; `cut_off` is an epoch, counted in this run, and an error."""
    arguments, choices = start(**changes)
    if cut_off:
        arguments[0].cut_off(*cut_off)
    return outcome(arguments[0], training.fit(*arguments, **choices))


def outcome(network, history):
    """All that a training ends with, but for seconds, in plain values, to the last bit."""
    return vars(history) | {
        "weights": {name: bits(weight) for name, weight in network.state_dict().items()},
        "epochs": [{k: v for k, v in row.items() if k != "seconds"} for row in history.epochs],
        "probabilities": {n: bits(torch.from_numpy(p)) for n, p in history.probabilities.items()},
    }


def bits(tensor):
    return f"{tensor.dtype} {tensor.numpy().tobytes().hex()}"


def epochs_in(path):
    return len(pt_file.read(path)["state"]["history"]["epochs"]) if path.exists() else 0


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("end", ENDS)
def test_cut_off_in_any_epoch(path, end, error):
    undisturbed = run(**ENDS[end])
    assert undisturbed["stopped"] == end
    assert len(undisturbed["epochs"]) > 1
    for epoch in range(1, len(undisturbed["epochs"]) + 1):
        path.unlink(missing_ok=True)
        cut_off = epoch, error("cut off")
        if error is KeyboardInterrupt and epoch > 1:
            assert run(cut_off, resume=path, **ENDS[end])["stopped"] == "interrupted"
        else:
            with pytest.raises(error, match="cut off"):
                run(cut_off, resume=path, **ENDS[end])
        assert epochs_in(path) == epoch - 1
        assert run(resume=path, **ENDS[end]) == undisturbed


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_optimizer_goes_on_on_each_device(path, optimizer, device, same):
    choices = {"optimizer": optimizer, "device": device}
    arguments, rest = start(resume=path, **choices)
    arguments[0].cut_off(3, RuntimeError())
    with pytest.raises(RuntimeError):
        training.fit(*arguments, **rest)
    assert epochs_in(path) == 2
    networks = []
    for resume in (path, None):
        arguments, rest = start(resume=resume, **choices)
        assert len(training.fit(*arguments, **rest).epochs) == 7
        networks.append(arguments[0])
    for first, second in zip(*(one.state_dict().values() for one in networks), strict=True):
        assert same(first, second)


def test_cut_off_again_and_again(path):
    """Each run gets one epoch further."""
    for epochs in range(1, 7):
        with pytest.raises(RuntimeError):
            run((2, RuntimeError()), resume=path)
        assert epochs_in(path) == epochs
    assert run((2, RuntimeError()), resume=path) == run()


def test_going_on_changes_nothing_else(path, capsys):
    """Not the global generator; and that a network is no longer in training mode is no matter."""
    with pytest.raises(RuntimeError):
        run((3, RuntimeError()), resume=path)
    arguments, choices = start(resume=path, description="Net")
    arguments[0].eval()
    before = torch.get_rng_state()
    training.fit(*arguments, **choices)
    assert torch.equal(torch.get_rng_state(), before)
    bar = r"\|██████████\| \d\d:\d\d, 00:00 left, epoch 7 of 7\n"
    assert re.search(bar, capsys.readouterr().out)
    weights = list(arguments[0].parameters())
    assert len({weight.untyped_storage().data_ptr() for weight in weights}) == len(weights)


@pytest.mark.parametrize("end", ENDS)
def test_a_finished_training_comes_back_at_once(path, end, monkeypatch):
    finished = run(resume=path, **ENDS[end])
    content = path.read_bytes()
    monkeypatch.setattr(training, "_run_epoch", None)
    assert run(resume=path, **ENDS[end]) == finished
    assert path.read_bytes() == content


def test_an_end_with_a_loss_that_is_not_finite(path, monkeypatch):
    """The epoch is tried again, and ends the training again."""
    real = training._measure

    def measure(network, *rows):
        found, probabilities = real(network, *rows)
        lost = network.norm.num_batches_tracked == 4 * BATCHES
        return (found | {"loss": float("nan")} if lost else found), probabilities

    monkeypatch.setattr(training, "_measure", measure)
    outcomes = []
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match="not finite in epoch 4"):
            outcomes.append(run(resume=path))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["stopped"] == "not finite"


def other_rows(side, place):
    def change(arguments, _):
        changed = [tensor.clone() for tensor in arguments[side]]
        changed[place][5] = 1 - changed[place][5]
        arguments[side] = changed

    return change


def other_lengths(side):
    def change(arguments, _):
        arguments[side][2][5] = 3

    return change


def weighted(side):
    def change(arguments, _):
        arguments[side] = (*arguments[side], torch.ones(len(arguments[side][0])))

    return change


def other_dropout(arguments, _):
    torch.manual_seed(3)
    arguments[0] = Net(dropout=0.2)


def other(name, value):
    def change(_, choices):
        choices[name] = value

    return change


OTHERS = {
    "training inputs": other_rows(1, 0),
    "training labels": other_rows(1, 1),
    "validation inputs": other_rows(2, 0),
    "validation labels": other_rows(2, 1),
    "training lengths": other_lengths(1),
    "validation lengths": other_lengths(2),
    "training weights": weighted(1),
    "validation weights": weighted(2),
    "weights": lambda arguments, _: arguments[0].out.bias.data.add_(1e-6),
    "buffers": lambda arguments, _: arguments[0].norm.running_mean.add_(1e-6),
    "frozen weights": lambda arguments, _: arguments[0].out.bias.requires_grad_(False),
    "dropout": other_dropout,
    "optimizer": other("optimizer", "adamw"),
    "lr": other("lr", 0.04),
    "embedding_lr": other("embedding_lr", 0.03),
    "schedule": other("schedule", "constant"),
    "batch_size": other("batch_size", 15),
    "max_epochs": other("max_epochs", 8),
    "patience": other("patience", 2),
    "max_norm": other("max_norm", 0.6),
    "random_state": other("random_state", 8),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_another_training_is_refused(path, change):
    """In one sentence, before anything is changed."""

    def with_lengths(**changes):
        arguments, choices = start(**changes)
        sides = [(*side, torch.full((len(side[0]),), 4)) for side in arguments[1:]]
        return [arguments[0], *sides], choices

    arguments, choices = with_lengths(resume=path)
    training.fit(*arguments, **choices)
    content = path.read_bytes()
    arguments, choices = with_lengths(resume=path)
    change(arguments, choices)
    before = {name: bits(weight) for name, weight in arguments[0].state_dict().items()}
    with pytest.raises(ValueError, match="holds the state of another training") as caught:
        training.fit(*arguments, **choices)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith(": delete it, or name another file")
    assert path.read_bytes() == content
    assert before == {name: bits(weight) for name, weight in arguments[0].state_dict().items()}


@pytest.mark.parametrize(
    "content",
    [
        {"format": "sentiment_helpers pipeline", "version": 1, "steps": []},
        {
            "format": training_state.FORMAT,
            "version": training_state.VERSION + 1,
            "fingerprint": "",
            "state": 0,
        },
        {},
        {"format": training_state.FORMAT, "version": training_state.VERSION, "state": {}},
        {"format": training_state.FORMAT, "version": training_state.VERSION, "fingerprint": ""},
    ],
)
def test_another_archive_is_refused(path, content):
    pt_file.write(content, path)
    says = "state.pt holds no state of a training .*: delete it, or name another file$"
    with pytest.raises(ValueError, match=says):
        run(resume=path)
    assert pt_file.read(path) == content


def put(*place, value=None):
    """A change of what stands in a state under some keys; None: there is nothing any more."""

    def change(state):
        for key in place[:-1]:
            state = state[key]
        if value is None:
            del state[place[-1]]
        else:
            state[place[-1]] = value

    return change


PARTS = ("weights", "optimizer", "order", "noise", "stopping", "history")
WRONG = {
    **{f"no {part}": put(part) for part in PARTS},
    "no weight": put("weights", "out.bias"),
    "weight of another shape": put("weights", "out.bias", value=torch.zeros(2)),
    "no averages": put("optimizer", "averages"),
    "part of a step": put("optimizer", "taken", value=8.5),
    "order of another shape": put("order", value=torch.zeros(3, dtype=torch.uint8)),
    "noise of none": put("noise", value=torch.zeros(5056, dtype=torch.uint8)),
    "no patience": put("stopping", "patience"),
    "no epochs": put("history", "epochs"),
    "probabilities that are none": put("history", "probabilities", value=[1.0]),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_damaged_state_is_refused(path, change):
    """With the right fingerprint, in one sentence; the file stays."""
    with pytest.raises(RuntimeError):
        run((3, RuntimeError()), resume=path)
    content = pt_file.read(path)
    change(content["state"])
    pt_file.write(content, path)
    damaged = path.read_bytes()
    with pytest.raises(pt_file.CheckpointError, match="holds a damaged state") as caught:
        run(resume=path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).endswith("): delete it, or name another file")
    assert path.read_bytes() == damaged


def test_another_number_of_threads_is_another_training(path, monkeypatch):
    """Its last bits could differ."""
    monkeypatch.setattr(processor, "SMALL_NETWORK", 1)  # so that all threads are used
    threads = torch.get_num_threads()
    run(resume=path)
    try:
        torch.set_num_threads(threads + 1)
        with pytest.raises(ValueError, match=r"another training, .* number of threads"):
            run(resume=path)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("value", [5, True, b"state.pt", ["state.pt"]])
def test_what_is_no_path_is_refused(value):
    with pytest.raises(TypeError, match=r"str.*PathLike"):
        run(resume=value)


def test_what_is_no_archive_is_refused(path):
    run(resume=path)
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:-5], content.replace(b"fingerprint", b"fingerprinT")):
        path.write_bytes(damaged)
        with pytest.raises(pt_file.CheckpointError, match="state"):
            run(resume=path)
        assert path.read_bytes() == damaged
    with pytest.raises(pt_file.CheckpointError, match="a folder"):
        run(resume=path.parent)


def test_what_a_killed_run_left_beside_it_does_not_matter(path):
    left = path.with_name(f".{path.name}.0123.part")
    left.write_bytes(b"half a state")
    with pytest.raises(RuntimeError):
        run((3, RuntimeError()), resume=path)
    assert run(resume=path) == run()
    assert {file.name for file in path.parent.iterdir()} == {left.name, path.name}


def test_a_state_that_cannot_be_written(path, monkeypatch):
    """The one before it stays, and the training goes on from that."""
    real = pt_file.write

    def write(content, path):
        if len(content["state"]["history"]["epochs"]) == 3:
            raise OSError("no space left")
        real(content, path)

    with monkeypatch.context() as patch:
        patch.setattr(pt_file, "write", write)
        with pytest.raises(OSError, match="no space left"):
            run(resume=path)
    assert epochs_in(path) == 2
    assert run(resume=path) == run()


@pytest.fixture(scope="module")
def words():
    """Texts, labels that their words tell, and vectors."""
    rng = np.random.default_rng(0)
    known = [f"w{letter}" for letter in "abcdefghij"]
    labels = rng.integers(0, 2, 120)
    texts = [" ".join(rng.choice(known[y * 3 : y * 3 + 7], rng.integers(3, 9))) for y in labels]
    return texts, labels, Glove("ten", known, rng.normal(size=(10, 4)).astype(np.float32))


def model_of(kind, glove, device="cpu"):
    if kind is WordBiRNNClassifier:
        choices = {"hidden_size": 4, "lr": 0.02, "pooling": "max", "domain_size": 2}
        choices |= {"pair_size": 2, "pretraining_epochs": 1}
        classifier = WordBiRNNClassifier(glove, device=device, **choices)
        return make_pipeline(TokenIds(glove), classifier)
    reads = TokenIds(glove) if kind is BagClassifier else MeanEmbedding(glove)
    return make_pipeline(reads, kind(device=device))


def fit_cut_off(model, texts, labels, path, monkeypatch):
    """A `fit` that ends in its third epoch."""
    real, epochs = training._run_epoch, iter([1, 2, None])

    def train(*arguments):
        if not next(epochs):
            raise RuntimeError("cut off")
        return real(*arguments)

    name, _ = model.steps[-1]
    with monkeypatch.context() as patch:
        patch.setattr(training, "_run_epoch", train)
        with pytest.raises(RuntimeError, match="cut off"):
            model.fit(texts, labels, **{f"{name}__resume": path})
    assert epochs_in(path) == 2


@pytest.mark.parametrize(
    "kind", [WordBiRNNClassifier, BiRNNClassifier, BagClassifier, FeedForwardClassifier]
)
def test_classifiers_go_on(words, kind, path, device, same, monkeypatch):
    texts, labels, glove = words
    resumed, undisturbed = (model_of(kind, glove, device) for _ in range(2))
    undisturbed.fit(texts, labels)
    fit_cut_off(resumed, texts, labels, path, monkeypatch)
    resumed.fit(texts, labels, **{f"{kind.__name__.lower()}__resume": str(path)})
    first, second = (model[-1].get_state() for model in (resumed, undisturbed))
    assert list(first["weights"]) == list(second["weights"])
    assert all(same(first["weights"][name], second["weights"][name]) for name in first["weights"])
    assert first["best_epoch"] == second["best_epoch"]
    assert first["stopped"] == second["stopped"]
    histories = [model[-1].history_.drop(columns="seconds") for model in (resumed, undisturbed)]
    assert same(*(history.to_numpy(copy=True) for history in histories))
    assert same(resumed.predict_proba(texts), undisturbed.predict_proba(texts))


@pytest.mark.parametrize(
    "changes",
    [
        {"word_dropout": 0.1}, {"pooling": "last"}, {"embedding_lr": 0}, {"lr": 0.01},
        {"optimizer": "rmsprop"}, {"class_weight": "balanced"}, {"class_weight": {0: 2, 1: 1}},
    ],
)  # fmt: skip
def test_classifiers_of_other_parameters_are_refused(words, changes, path, monkeypatch):
    """Those that no weight shows, too."""
    texts, labels, glove = words
    model = model_of(WordBiRNNClassifier, glove)
    fit_cut_off(model, texts, labels, path, monkeypatch)
    model[-1].set_params(**changes)
    with pytest.raises(ValueError, match="another training"):
        model.fit(texts, labels, wordbirnnclassifier__resume=path)


def train_words(result, resume=None, pause=0.0):
    """Write the outcome of a training on ids with lengths; an epoch takes two pauses at least."""
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(3, 13, 500))
    ids = torch.from_numpy(rng.integers(2, 30, (500, 12))) * (torch.arange(12) < lengths[:, None])
    labels = ((ids > 20).sum(1) > lengths / 3).float()
    torch.manual_seed(0)
    network = WordBiRNN(
        30, 6, 0.1, cell_type="lstm", num_layers=2, hidden_size=6, pooling="attention+max",
        dropout=0.1, layer_dropout=0.1, output_dropout=0.2,
    )  # fmt: skip

    def metrics(labels, probabilities):
        time.sleep(pause)
        return accuracy(labels, probabilities)

    history = training.fit(
        network,
        (ids[:400], labels[:400], lengths[:400]),
        (ids[400:], labels[400:], lengths[400:]),
        lr=0.02,
        embedding_lr=0.01,
        schedule="linear",
        max_epochs=8,
        patience=4,
        resume=resume,
        metrics=metrics,
    )
    pt_file.write(outcome(network, history), result)


@pytest.mark.slow
def test_killed_in_several_epochs(path, tmp_path):
    """By SIGKILL, which no program sees coming."""
    killed, undisturbed = tmp_path / "killed.pt", tmp_path / "undisturbed.pt"
    code = (
        f"import test_training_state as t; t.train_words({str(killed)!r}, {str(path)!r}, pause=0.1)"
    )
    command = [sys.executable, "-c", code]
    folder = Path(__file__).parent
    for epoch in (1, 2, 3):
        with subprocess.Popen(command, cwd=folder) as process:
            give_up = time.monotonic() + 60
            while epochs_in(path) < epoch:
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < give_up
                time.sleep(0.01)
            time.sleep(np.random.uniform(0, 0.3))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not killed.exists()
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    train_words(undisturbed)
    assert pt_file.read(killed) == pt_file.read(undisturbed)
    assert len(pt_file.read(killed)["epochs"]) == 8

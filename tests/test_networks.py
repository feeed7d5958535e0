"""BiRNN against a slow reference that runs every review alone, and the skip rule by hand."""

import copy
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.recipe import RecipeBiRNN, copy_weights, train
from sentiment_helpers import BiRNN, WordBiRNN, load, networks
from sentiment_helpers.batches import Rows
from sentiment_helpers.classifiers import untrained
from sentiment_helpers.classifiers.birnn import BothDirections
from sentiment_helpers.networks import POOLINGS, Dropout, PairVectors, Stack, reverse_within
from sentiment_helpers.training import fit

ROOT = Path(__file__).parents[1]
LENGTHS = torch.tensor([5, 1, 3, 4])
cells = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
skips = pytest.mark.parametrize("skip", [False, True])


def reference(network: BiRNN, review: torch.Tensor, skip: bool) -> torch.Tensor:
    """The logit of one unpadded review (T, D), layer by layer, word by word."""
    ends = []
    for stack, words in (
        (network.forward_stack, review),
        (network.backward_stack, review.flip(0)),
    ):
        h, first = words, None
        for number in range(1, 1 + max(map(int, stack.layers))):
            if skip and number % 2 == 0:
                continue
            layer, state, outputs = stack.layers[str(number)], None, []
            for word in h:
                out, state = layer(word.view(1, 1, -1), state)
                outputs.append(out.view(-1))
            h = torch.stack(outputs)
            if number == 1:
                first = h
            elif skip:
                h = h + first
        ends.append(h[-1])
    return network.out(torch.cat(ends))


@cells
@skips
@pytest.mark.parametrize("num_layers", [1, 2, 5])
def test_same_as_each_review_alone(cell, skip, num_layers):
    network = BiRNN(3, cell.upper(), num_layers, 4, dropout=0.5, skip_connections=skip).eval()
    x = torch.randn(4, 5, 3)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 1e3  # padding that would show
    logits = network(x, LENGTHS)
    assert logits.shape == (4,)
    for row, length in enumerate(LENGTHS):
        expected = reference(network, x[row, :length], skip)
        torch.testing.assert_close(logits[row : row + 1], expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(network(x), network(x, torch.full((4,), 5)))  # all words count


@pytest.mark.parametrize("shortcut", [False, True])
@skips
@pytest.mark.parametrize("pooling", POOLINGS)
@cells
def test_padding_changes_nothing(cell, pooling, skip, shortcut):
    """A review has the same logit alone and in any batch, whatever stands behind its last word;
    that gets no gradient, and gives none."""
    network = BiRNN(6, cell, 3, 5, 0.3, skip, pooling, 0.3, 0.3, shortcut).eval()
    x = torch.randn(4, 5, 6)
    logits = network(x, LENGTHS)
    for review, length, logit in zip(x, LENGTHS, logits, strict=True):
        alone = network(review[:length].unsqueeze(0))
        torch.testing.assert_close(alone.squeeze(0), logit, rtol=0, atol=1e-5)
    padded = torch.cat([x, torch.full((4, 7, 6), 1e6)], dim=1)
    padded[1, 1:] = 1e6
    padded.requires_grad_()
    again = network(padded, LENGTHS)
    torch.testing.assert_close(again, logits, rtol=0, atol=1e-5)
    assert logits.std() > 1e-3
    again.sum().backward()
    real = torch.arange(12) < LENGTHS.unsqueeze(1)
    assert (padded.grad[real] != 0).any(dim=1).all()
    assert not padded.grad[~real].any()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_skip_rule_by_hand_for_five_layers():
    """Layers 1, 3 and 5 exist; layer 3 reads out_1, layer 5 reads layer_3(out_1) + out_1. A last
    even layer is passed over, too."""
    torch.manual_seed(1)
    stack = Stack(nn.GRU, 3, 4, 5, skip_connections=True)
    assert list(stack.layers) == ["1", "3", "5"]
    x = torch.randn(2, 6, 3)
    out_1 = stack.layers["1"](x)[0]
    out_3 = stack.layers["3"](out_1)[0] + out_1
    out_5 = stack.layers["5"](out_3)[0] + out_1
    torch.testing.assert_close(stack(x), out_5)
    torch.manual_seed(1)
    assert torch.equal(Stack(nn.GRU, 3, 4, 6, skip_connections=True)(x), stack(x))


def test_states_stand_in_the_order_of_the_words():
    """Of both directions; and neither has the other's weights."""
    network = BiRNN(3, "gru", 2, 4).eval()
    x = torch.randn(1, 5, 3)
    states = network.states(x, torch.tensor([5]))
    backward = network.backward_stack(x.flip(1)).flip(1)
    torch.testing.assert_close(states, torch.cat([network.forward_stack(x), backward], dim=2))
    assert not torch.allclose(network.forward_stack(x), network.backward_stack(x))
    turned = reverse_within(torch.arange(1, 11.0).view(2, 5, 1), torch.tensor([3, 5])).squeeze(2)
    assert turned.tolist() == [[3, 2, 1, 4, 5], [10, 9, 8, 7, 6]]


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"cell_type": "transformer"}, "one of rnn, lstm, gru"),
        ({"pooling": "mean"}, "pooling='mean' must be one of rnn.* and one of last, max"),
        ({"num_layers": 0}, "num_layers=0 .* at least 1"),
        ({"dropout": 1.0}, "at least 0 and below 1"),
    ],
)
def test_refused(parameters, says):
    with pytest.raises(ValueError, match=says):
        BiRNN(3, **parameters)


def test_pooling_by_hand():
    states = torch.tensor([[[1.0, 4.0], [3.0, 5.0], [9.0, 9.0]]])  # two words and padding
    lengths = torch.tensor([2])
    network = BiRNN(1, "rnn", 1, 1, 0.0, pooling="attention+max")
    with torch.no_grad():
        hidden, _, context = network.attention
        hidden.weight.copy_(torch.tensor([[0.5, 0.0]]))
        hidden.bias.zero_()
        context.weight.fill_(2)
    first, second = 2 * math.tanh(0.5), 2 * math.tanh(1.5)  # scores
    second = 1 / (1 + math.exp(first - second))
    weights = network.attention_weights(states, lengths)
    torch.testing.assert_close(weights, torch.tensor([[1 - second, second, 0.0]]))
    expected = [1 * (1 - second) + 3 * second, 4 * (1 - second) + 5 * second, 3, 5]
    torch.testing.assert_close(network._pool(states, lengths), torch.tensor([expected]))


@pytest.mark.parametrize("words", [1, 3])
def test_the_shortcut_adds_the_mean_of_the_words(words):
    network = BiRNN(6, "lstm", 1, 5, 0.0, shortcut=True)
    without = BiRNN(6, "lstm", 1, 5, 0.0)
    weights = network.state_dict()
    mean_weights = weights["out.weight"][:, 10:]  # after both last states
    weights["out.weight"] = weights["out.weight"][:, :10]
    without.load_state_dict(weights)
    x = torch.randn(2, words, 6)
    expected = without.eval()(x) + networks.SHORTCUT_SCALE * x.mean(dim=1) @ mean_weights[0]
    torch.testing.assert_close(network.eval()(x), expected)


def test_dropout():
    """PyTorch's values, from a generator of one's own; at every word of a review, or at none; and
    only in training."""
    x, dropout = torch.randn(64, 50), Dropout(0.3)
    dropout.generator = torch.Generator().manual_seed(4)
    torch.manual_seed(4)
    assert torch.equal(dropout(x), nn.functional.dropout(x, 0.3))
    assert dropout.eval()(x) is x
    x = Dropout(0.5)(torch.ones(50, 7, 4))
    assert (x == x[:, :1]).all()
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert 0.3 < (x[:, 0] == 0).float().mean() < 0.7
    for where in ("dropout", "layer_dropout", "output_dropout"):
        network = BiRNN(3, **{"dropout": 0.0, where: 0.9})
        assert not torch.equal(network(x[..., :3]), network(x[..., :3]))
        network.eval()
        assert torch.equal(network(x[..., :3]), network(x[..., :3]))


def test_word_network():
    network = WordBiRNN(9, 4, cell_type="lstm", num_layers=1, hidden_size=3, word_dropout=0.5)
    assert not network.embedding.weight.any()
    nn.init.normal_(network.embedding.weight[1:])
    ids = torch.tensor([[3, 4, 5, 8], [7, 2, 0, 0]])
    network.eval()
    body = network.body(network.embedding(ids), torch.tensor([4, 2]))
    assert torch.equal(network(ids), body)
    torch.testing.assert_close(network(ids[1:, :2]), network(ids)[1:])
    bias = network.body.forward_stack.layers["1"].bias_ih_l0
    assert bias[3:6].min() > 0.4 > nn.LSTM(4, 3).bias_ih_l0.abs().max() - 0.6


def test_word_dropout_reads_words_as_unknown_and_never_padding():
    """Their pairs go, too."""
    network, seen = WordBiRNN(9, 4, 0.9, num_pairs=0, pair_size=2, num_layers=1), []
    for part in (network.embedding, network.pairs):
        part.register_forward_hook(lambda _, ids, __: seen.append(ids[0]))
    ids = torch.tensor([[3, 4, 5, 8, 0, 0]] * 50)
    network.train()(ids)
    network.eval()(ids)
    assert set(seen[0][:, :4].unique().tolist()) == {1, 3, 4, 5, 8}
    assert not seen[0][:, 4:].any()
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[2], ids)


def test_a_word_has_the_vector_of_the_pair_that_it_ends():
    pairs = PairVectors(2, 1)
    pairs.keys[:] = torch.tensor([0, (2 << 32) + 3, (3 << 32) + 3])
    pairs.values[:, 0] = torch.tensor([0, 1, 2])
    pairs.scale[:] = 1
    ids = torch.tensor([[2, 3, 3, 1, 3, 0], [3, 3, 9, 2, 3, 3]], dtype=torch.int32)
    assert pairs(ids).squeeze(2).tolist() == [[0, 1, 2, 0, 0, 0], [0, 2, 0, 0, 1, 2]]


@cells
@pytest.mark.parametrize(
    ("num_layers", "skip"), [(1, False), (2, False), (5, False), (5, True), (6, True)]
)
def test_both_directions_at_once_are_the_same_network(cell, num_layers, skip):
    """For reviews of one word: the plain twin's logits, and its weights after a step; `weight_hh`,
    which has no gradient, stays as it is."""
    plain = BiRNN(7, cell, num_layers, 3, dropout=0.0, skip_connections=skip).double()
    network, before = copy.deepcopy(plain), copy.deepcopy(plain.state_dict())
    both = BothDirections(network)
    labels, x = torch.tensor([1.0, 0, 0, 1, 1]).double(), torch.randn(5, 1, 7).double()
    torch.testing.assert_close(both(x), plain(x), rtol=1e-9, atol=1e-12)
    for one in (plain, both):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.5)
        binary_cross_entropy_with_logits(one(x), labels).backward()
        optimizer.step()
    for name, weight in network.state_dict().items():
        expected = plain.state_dict()[name]
        torch.testing.assert_close(weight, expected, rtol=1e-9, atol=1e-12, msg=name)
        assert torch.equal(weight, before[name]) == ("weight_hh" in name), name


@pytest.mark.parametrize(("cell", "num_layers", "skip"), [("gru", 5, False), ("lstm", 14, True)])
def test_losses_are_those_of_the_recipe(cell, num_layers, skip):
    """From the same weights, on the same batches, with the same dropout: to 1e-5 each epoch."""
    inputs = torch.randn(400, 1, 10)
    labels = (inputs[:, 0, 0] + torch.randn(400) > 0).float()
    parameters = (10, cell, num_layers, 8, 0.05, skip)
    network, recipe = BiRNN(*parameters), RecipeBiRNN(*parameters)
    copy_weights(network, recipe)
    choices = {"lr": 1e-2, "batch_size": 64, "max_epochs": 5, "patience": 2, "max_norm": 0.75}
    sets = (Rows(inputs[:300], labels[:300]), Rows(inputs[300:], labels[300:]))
    theirs = train(recipe, *(rows[:2] for rows in sets), random_state=7, **choices)
    ours = fit(BothDirections(network), *sets, random_state=7, **choices).epochs
    losses = [[epoch["valid_loss"] for epoch in epochs] for epochs in (ours, theirs)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    assert abs(losses[0][0] - losses[0][-1]) > 1e-3  # it was trained


@pytest.mark.parametrize(
    "build",
    [
        lambda: BiRNN(5, "lstm", 14, skip_connections=True),
        lambda: BiRNN(5, "gru", 2, pooling="attention+max", shortcut=True),
        lambda: BiRNN(5, "rnn", 3),
        lambda: WordBiRNN(9, 5, num_pairs=3, pair_size=2, cell_type="lstm", num_layers=2),
    ],
)
def test_initial_weights_are_pytorchs(build):
    """Drawn from no global generator, and float32 whatever the default dtype is."""
    torch.manual_seed(7)
    expected = build().state_dict()
    before = torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    try:
        found = untrained(build, 7).state_dict()
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert all(found[name].dtype == weight.dtype for name, weight in expected.items())


def test_the_readmes_networks_are_those_of_the_models(monkeypatch):
    """Its lines of plain PyTorch, run as they stand."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )
    (code,) = [block for block in blocks if "load_state_dict" in block]
    monkeypatch.chdir(ROOT)
    made = {}
    exec(code, made)
    texts = ["A good film.", "Not a good film, but dull, and far too long.", "zzz", ""]
    words, report = load("models/RNN.pt"), load("models/RNN-report.pt")
    models = {
        "network": (words[0], words[-1].named_estimators_["network"]),
        "report": (report[0], report[-1]),
    }
    for name, (reader, classifier) in models.items():
        inputs = classifier._inputs(reader.transform(texts), torch.device("cpu"))
        with torch.inference_mode():
            logits = made[name](inputs).numpy()
        expected = classifier.decision_function(reader.transform(texts))
        assert logits == pytest.approx(expected, abs=1e-5)
        assert made[name].state_dict().keys() == classifier.network_.state_dict().keys()

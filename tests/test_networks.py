"""BiRNN against a slow reference that runs every review alone, and the skip rule by hand."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from sentiment_helpers import BiRNN, WordBiRNN, load, networks
from sentiment_helpers.classifiers.feed_forward import FeedForward
from sentiment_helpers.classifiers.initial_weights import untrained
from sentiment_helpers.networks import POOLINGS, Dropout, Stack, reverse_within

ROOT = Path(__file__).parents[1]
LENGTHS = torch.tensor([5, 1, 3, 4])


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


@pytest.mark.parametrize("cell_type", ["rnn", "LSTM", "gru"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 5])
def test_same_as_each_review_alone(cell_type, skip, num_layers):
    network = BiRNN(3, cell_type, num_layers, 4, dropout=0.5, skip_connections=skip).eval()
    x = torch.randn(4, 5, 3)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 1e3  # padding that would show
    logits = network(x, LENGTHS)
    assert logits.shape == (4,)
    for row, length in enumerate(LENGTHS):
        expected = reference(network, x[row, :length], skip)
        torch.testing.assert_close(logits[row : row + 1], expected, atol=1e-6, rtol=1e-5)


def test_without_lengths_all_words_count():
    network = BiRNN(3).eval()
    x = torch.randn(4, 5, 3)
    torch.testing.assert_close(network(x), network(x, torch.full((4,), 5)))


def test_skip_rule_by_hand_for_five_layers():
    """Layers 1, 3 and 5 exist; layer 3 reads out_1, layer 5 reads layer_3(out_1) + out_1."""
    stack = Stack(nn.GRU, 3, 4, 5, skip_connections=True)
    assert list(stack.layers) == ["1", "3", "5"]
    x = torch.randn(2, 6, 3)
    out_1 = stack.layers["1"](x)[0]
    out_3 = stack.layers["3"](out_1)[0] + out_1
    out_5 = stack.layers["5"](out_3)[0] + out_1
    torch.testing.assert_close(stack(x), out_5)


def test_last_even_layer_is_passed_over_too():
    torch.manual_seed(1)
    fourteen = BiRNN(3, "lstm", 14, 4, 0.0, skip_connections=True)
    torch.manual_seed(1)
    thirteen = BiRNN(3, "lstm", 13, 4, 0.0, skip_connections=True)
    x = torch.randn(2, 1, 3)
    assert torch.equal(fourteen(x), thirteen(x))


def test_reverse_within_length():
    x = torch.arange(1, 11.0).view(2, 5, 1)
    turned = reverse_within(x, torch.tensor([3, 5])).squeeze(2)
    assert turned.tolist() == [[3, 2, 1, 4, 5], [10, 9, 8, 7, 6]]


def test_directions_have_weights_of_their_own():
    network = BiRNN(3, "gru", 2, 4)
    names = {name for name, _ in network.named_parameters()}
    forward = {name for name in names if name.startswith("forward_stack")}
    assert {name.replace("forward", "backward") for name in forward} < names
    assert not torch.equal(
        network.forward_stack.layers["1"].weight_ih_l0,
        network.backward_stack.layers["1"].weight_ih_l0,
    )


def test_dropout_only_in_training():
    network, x = BiRNN(3, dropout=0.9), torch.randn(4, 5, 3)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"cell_type": "transformer"}, "one of rnn, lstm, gru"),
        ({"num_layers": 0}, "num_layers=0"),
        ({"hidden_size": 0}, "at least 1"),
        ({"dropout": 1.0}, "below 1"),
    ],
)
def test_refused(parameters, says):
    with pytest.raises(ValueError, match=says):
        BiRNN(3, **parameters)


def test_feed_forward_by_hand():
    network = FeedForward(2, hidden_size=2, dropout=0.9).eval()
    with torch.no_grad():
        network.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        network.hidden.bias.zero_()
        network.out.weight.copy_(torch.tensor([[2.0, 3.0]]))
        network.out.bias.fill_(0.5)
    logits = network(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))  # the second unit is off in row 2
    torch.testing.assert_close(logits, torch.tensor([5.5, 2.5]))
    with pytest.raises(ValueError, match="hidden_size=0"):
        FeedForward(2, hidden_size=0)


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_review_scores_the_same_alone_and_in_any_batch(cell, pooling, skip, shortcut):
    """To 1e-5, whatever stands behind its last word."""
    network = BiRNN(6, cell, 3, 5, 0.3, skip, pooling, 0.3, 0.3, shortcut).eval()
    x = torch.randn(4, 5, 6)
    logits = network(x, LENGTHS)
    for review, length, logit in zip(x, LENGTHS, logits, strict=True):
        alone = network(review[:length].unsqueeze(0))
        torch.testing.assert_close(alone.squeeze(0), logit, rtol=0, atol=1e-5)
    padded = torch.cat([x, torch.full((4, 7, 6), 1e6)], dim=1)
    padded[1, 1:] = 1e6
    torch.testing.assert_close(network(padded, LENGTHS), logits, rtol=0, atol=1e-5)
    assert logits.std() > 1e-3


@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_padding_gets_no_gradient_and_gives_none(cell, pooling, skip, shortcut):
    network = BiRNN(6, cell, 3, 5, 0.0, skip, pooling, shortcut=shortcut)
    x = torch.randn(2, 5, 6, requires_grad=True)
    network(x, torch.tensor([5, 2])).sum().backward()
    assert (x.grad[1, :2] != 0).any()
    assert not x.grad[1, 2:].any()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_pooling_by_hand():
    forward = torch.tensor([[[1.0], [3.0], [9.0]]])  # (1, 3, 1), two words and padding
    backward = torch.tensor([[[5.0], [4.0], [9.0]]])  # its last word first
    lengths = torch.tensor([2])
    network = BiRNN(1, "rnn", 1, 1, 0.0, pooling="attention+max")
    with torch.no_grad():
        hidden, _, context = network.attention
        hidden.weight.copy_(torch.tensor([[0.5, 0.0]]))
        hidden.bias.zero_()
        context.weight.fill_(2)
    first, second = 2 * math.tanh(0.5), 2 * math.tanh(1.5)  # scores
    second = 1 / (1 + math.exp(first - second))
    weights = network.attention_weights(forward, backward, lengths)
    torch.testing.assert_close(weights, torch.tensor([[1 - second, second, 0.0]]))
    expected = [1 * (1 - second) + 3 * second, 4 * (1 - second) + 5 * second, 3, 5]
    pooled = network._pool(forward, backward, lengths)
    torch.testing.assert_close(pooled, torch.tensor([expected]))


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


def test_dropout_zeroes_a_value_at_every_word_or_at_none():
    x = Dropout(0.5)(torch.ones(50, 7, 4))
    assert (x == x[:, :1]).all()
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert 0.3 < (x[:, 0] == 0).float().mean() < 0.7


def test_word_network():
    network = WordBiRNN(9, 4, word_dropout=0.5, cell_type="lstm", num_layers=1, hidden_size=3)
    assert not network.embedding.weight[0].any()
    ids = torch.tensor([[3, 4, 5, 8], [7, 2, 0, 0]])
    network.eval()
    body = network.body(network.embedding(ids), torch.tensor([4, 2]))
    assert torch.equal(network(ids), body)
    torch.testing.assert_close(network(ids[1:, :2]), network(ids)[1:])
    plain = nn.LSTM(4, 3)
    bias = network.body.forward_stack.layers["1"].bias_ih_l0
    assert bias[3:6].min() > 0.4 > plain.bias_ih_l0.abs().max() - 0.6


def test_word_dropout_reads_words_as_unknown_and_never_padding():
    network = WordBiRNN(9, 4, word_dropout=0.9, num_layers=1)
    seen = []
    network.embedding.register_forward_hook(lambda _, ids, __: seen.append(ids[0]))
    ids = torch.tensor([[3, 4, 5, 8, 0, 0]] * 50)
    network.train()(ids)
    network.eval()(ids)
    assert set(seen[0][:, :4].unique().tolist()) == {1, 3, 4, 5, 8}
    assert not seen[0][:, 4:].any()
    assert torch.equal(seen[1], ids)


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling is 'mean'; it must be one of last, max"):
        BiRNN(3, pooling="mean")


def test_dropout_is_pytorchs():
    """The same values, from a generator of one's own."""
    x, dropout = torch.randn(64, 50), Dropout(0.3)
    dropout.generator = torch.Generator().manual_seed(4)
    torch.manual_seed(4)
    assert torch.equal(dropout(x), nn.functional.dropout(x, 0.3))
    assert dropout.eval()(x) is x
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Dropout(1.0)


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
    models = {"network": load("models/RNN.pt")["network"], "report": load("models/RNN-report.pt")}
    for name, (reader, classifier) in models.items():
        inputs = classifier._inputs(reader.transform(texts), torch.device("cpu"))
        with torch.inference_mode():
            logits = made[name](inputs).numpy()
        assert logits == pytest.approx(
            classifier.decision_function(reader.transform(texts)), abs=1e-5
        )
        assert made[name].state_dict().keys() == classifier.network_.state_dict().keys()


def test_untrained_word_networks():
    torch.manual_seed(7)
    expected = WordBiRNN(9, 5, cell_type="lstm", num_layers=2).state_dict()
    found = untrained(lambda: WordBiRNN(9, 5, cell_type="lstm", num_layers=2), 7).state_dict()
    assert not found.pop("embedding.weight").any()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


@pytest.mark.parametrize(
    "build",
    [
        lambda: BiRNN(5, "lstm", 14, skip_connections=True),
        lambda: BiRNN(5, "gru", 2, pooling="attention+max", shortcut=True),
        lambda: BiRNN(5, "rnn", 3),
        lambda: FeedForward(5),
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

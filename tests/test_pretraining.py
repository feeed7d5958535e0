"""Vectors of words and pairs, and stacks that learn from text before they see a label."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from torch.nn.functional import cross_entropy

from sentiment_helpers import Glove, TokenIds, WordBiRNN, WordBiRNNClassifier
from sentiment_helpers.classifiers import pretraining, untrained
from sentiment_helpers.classifiers.pretraining import (
    MIN_PAIR_COUNT,
    WINDOW,
    LanguageModel,
    domain_vectors,
    embed_counts,
    pair_vectors,
    pretrain,
)

SMALL = {"num_layers": 1, "hidden_size": 6, "domain_size": 2, "pair_size": 3, "device": "cpu"}
SMALL |= {"max_epochs": 2, "batch_size": 16, "pretraining_epochs": 2}


@pytest.fixture
def ids():
    """(60, 9): words 2 to 7, unknown ones and padding."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 8, (60, 9)).astype(np.int32)
    ids[np.arange(9) >= rng.integers(1, 10, 60)[:, None]] = 0
    return ids


@pytest.fixture
def stories():
    """Texts and labels, and vectors of their words: each word but the last names the next."""
    words = "once upon a time there was some film".split()
    texts = [" ".join(words[n % 4 :] + words[: n % 4]) for n in range(80)]
    texts = [text + (" good" if n % 2 else " bad") for n, text in enumerate(texts)]
    vectors = np.random.default_rng(1).normal(size=(10, 4)).astype(np.float32)
    return texts, np.arange(80) % 2, Glove("ten", [*words, "good", "bad"], vectors)


def test_vectors_are_those_of_counts(ids, monkeypatch):
    """Of words and of pairs. The plain twin counts word by word."""
    monkeypatch.setattr(pretraining, "SLICE", 7)  # reviews at once
    near, times = Counter(), Counter()
    for row in ids.tolist():
        for t in range(len(row)):
            word, pair = row[t], (row[t - 1], row[t])
            ends = {word: (t, t)} if word > 1 else {}
            if t > 0 and min(pair) > 1:
                times[pair] += 1
                ends[pair] = t - 1, t
            for what, (first, last) in ends.items():
                for distance in range(1, WINDOW + 1):
                    for place in (first - distance, last + distance):
                        if 0 <= place < len(row) and row[place] > 1:
                            near[what, row[place]] += 1 - (distance - 1) / WINDOW
    kept = sorted(pair for pair, count in times.items() if count >= MIN_PAIR_COUNT)
    assert 0 < len(kept) < len(times)
    words, of_pairs = (
        embed_counts(csr_array([[near[n, w] for w in range(8)] for n in names], dtype=float), 4, 1)
        for names in (range(8), [None, *kept])
    )
    np.testing.assert_allclose(domain_vectors(ids, 8, 4, 1), words, rtol=1e-3, atol=1e-4)
    assert not words[:2].any()
    pairs = pair_vectors(ids, 8, 4, 1)
    assert pairs.keys.tolist() == [0] + [(a << 32) + b for a, b in kept]
    close = float(of_pairs.max()) / 125  # a value takes one byte
    assert (pairs.values * pairs.scale).numpy() == pytest.approx(of_pairs, abs=close)
    assert of_pairs.std() == pytest.approx(1, rel=0.01)


def test_no_pair_is_frequent():
    pairs = pair_vectors(np.array([[2, 3, 0]], np.int32), 4, 2, 1234)
    assert pairs(torch.tensor([[2, 3, 0], [0, 0, 0]])).tolist() == [[[0, 0]] * 3] * 2


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_stacks_learn_which_word_comes_next(stories, cell, skip, monkeypatch, capsys):
    """And nothing else learns, nor are random numbers of others drawn."""
    monkeypatch.setattr(pretraining, "SHARE", 1.0)
    monkeypatch.setitem(pretraining.SETTINGS, "lr", 0.02)
    texts, _, glove = stories
    ids = torch.from_numpy(TokenIds(glove, 9).fit_transform(texts))
    shape = {"cell_type": cell, "num_layers": 3, "hidden_size": 16, "skip_connections": skip}
    network = untrained(lambda: WordBiRNN(12, 4, num_pairs=1, pair_size=2, **shape), 1)
    network.embedding.weight.data[2:] = torch.from_numpy(np.array(glove.vectors))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    state, settings = torch.get_rng_state(), {"batch_size": 16, "random_state": 1}
    perplexities = pretrain(network, ids, max_epochs=15, description="text", **settings)
    assert torch.equal(state, torch.get_rng_state())
    assert perplexities[0] > 4
    assert perplexities[-1] < 3  # nothing tells "good" from "bad", nor the first word of a text
    assert f"epoch 15: perplexity {perplexities[-1]:.1f}" in capsys.readouterr().out
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    assert changed == {n for n in before if "stack" in n} | {"embedding.weight"}
    assert not after["embedding.weight"][0].any()
    of_pairs = "body.forward_stack.layers.1.weight_ih_l0"
    assert torch.equal(after[of_pairs][:, 4:], before[of_pairs][:, 4:])


def test_the_sample_stands_for_all_words(monkeypatch, ids):
    """In both directions: losses, and so gradients, are those of a softmax over all words."""
    monkeypatch.setattr(pretraining, "SAMPLE", 20_000)
    monkeypatch.setattr(pretraining, "SHARE", 1.0)
    ids = torch.from_numpy(ids).long()
    network = untrained(lambda: WordBiRNN(8, 4, num_layers=1, hidden_size=3), 1)
    torch.nn.init.normal_(network.embedding.weight[1:], generator=torch.Generator().manual_seed(2))
    counts = ids.flatten().bincount(minlength=8).float()
    counts[:2] = 0
    model = LanguageModel(network, counts, 1).eval()
    turned = [row[row > 0].flip(0) for row in ids]
    turned = torch.nn.utils.rnn.pad_sequence(turned, batch_first=True)
    expected, vectors = [], network.embedding.weight
    for read, stack, linear in zip((ids, turned), model.stacks, model.linear, strict=True):
        states = linear(stack(network.embedding(read))[:, :-1])
        logits, targets = states @ vectors.t() + model.prior, read[:, 1:].flatten()
        losses = cross_entropy(logits.flatten(0, 1), targets, reduction="none")
        expected.append(losses[targets > 1])
    expected, losses = torch.cat(expected), model(ids)
    torch.testing.assert_close(losses, expected, atol=0.05, rtol=0)
    weights = [*model.stacks.parameters(), *model.linear.parameters(), vectors]
    gradients = [torch.autograd.grad(some.mean(), weights) for some in (losses, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.05 * float(theirs.abs().max()), rtol=0)
    monkeypatch.setattr(pretraining, "SHARE", 0.25)
    assert 0.1 < len(model(ids)) / len(losses) < 0.4


def test_stopped_while_text_teaches(stories, monkeypatch):
    """Nothing has learned from labels yet, so that there is nothing to keep."""
    texts, labels, glove = stories
    ids = TokenIds(glove, 9).fit_transform(texts)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(LanguageModel, "forward", stopped)
    classifier = WordBiRNNClassifier(glove, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(ids, labels)
    with pytest.raises(NotFittedError):
        classifier.predict(ids)


def test_reviews_of_one_word_have_nothing_to_predict(stories):
    ids = TokenIds(stories[2]).fit_transform(["good", "bad"] * 20)
    model = WordBiRNNClassifier(stories[2], **SMALL).fit(ids, [1, 0] * 20)
    assert model.perplexity_ == [1.0, 1.0]
    assert np.isfinite(model.decision_function(ids)).all()


def test_the_last_of_the_best_epochs_is_kept(stories):
    """Where a network learns again, also if an earlier one has the lower loss."""
    texts, labels, glove = stories
    ids = TokenIds(glove, 9).fit_transform(texts)
    wild = SMALL | {"lr": 0.3, "max_epochs": 8, "patience": 8, "schedule": "constant"}
    model = WordBiRNNClassifier(glove, **wild).fit(ids, labels)
    model.best_epoch_ = 8
    kept = model.refit(ids, labels).network_.state_dict()
    last = model._fit(ids, labels, (ids[:2], labels[:2]), patience=None).network_.state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in last.items())
    best = model.fit(ids, labels, validation=(ids, labels))
    assert best.best_epoch_ < 8
    assert not torch.equal(best.network_.state_dict()["body.out.bias"], kept["body.out.bias"])

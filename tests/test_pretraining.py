"""Vectors of word pairs, and stacks that learn from text before they see a label."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import cross_entropy

from sentiment_helpers import (
    BiRNNClassifier,
    Blend,
    Glove,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    load,
    save,
)
from sentiment_helpers.classifiers import domain_vectors, pretraining
from sentiment_helpers.classifiers.blend import refit
from sentiment_helpers.classifiers.domain_vectors import PairVectors, embed_counts
from sentiment_helpers.classifiers.initial_weights import untrained
from sentiment_helpers.classifiers.pretraining import LanguageModel, pretrain
from sentiment_helpers.networks import WordBiRNN
from sentiment_helpers.storage import pt_file

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


def test_vectors_of_pairs_are_those_of_their_counts(ids):
    """The plain twin counts word by word."""
    pairs = PairVectors.learned(ids, 8, 4, 0.5, 1234)
    near = Counter()
    times = Counter()
    for row in ids.tolist():
        for t in range(1, len(row)):
            if min(pair := (row[t - 1], row[t])) > 1:
                times[pair] += 1
                for d in range(1, domain_vectors.WINDOW + 1):
                    for place in (t - 1 - d, t + d):
                        if 0 <= place < len(row) and row[place] > 1:
                            near[pair, row[place]] += 1 - (d - 1) / domain_vectors.WINDOW
    kept = sorted(pair for pair, count in times.items() if count >= domain_vectors.MIN_PAIR_COUNT)
    assert 0 < len(kept) < len(times)
    assert pairs.keys.tolist() == [0] + [(a << 32) + b for a, b in kept]
    counts = [[near[pair, word] for word in range(8)] for pair in [None, *kept]]
    counts = domain_vectors.csr_array(np.array(counts, np.float32))
    expected = embed_counts(counts, 4, 1234) * 0.5
    assert (pairs.values * pairs.scale).numpy() == pytest.approx(
        expected, abs=float(expected.max()) / 250
    )
    assert expected.std() == pytest.approx(0.5, rel=0.01)


def test_a_word_has_the_vector_of_the_pair_that_it_ends():
    pairs = PairVectors(2, 1)
    pairs.keys[:] = torch.tensor([0, (2 << 32) + 3, (3 << 32) + 3])
    pairs.values[:, 0] = torch.tensor([0, 1, 2])
    pairs.scale[:] = 1
    ids = torch.tensor([[2, 3, 3, 1, 3, 0], [3, 3, 9, 2, 3, 3]])
    assert pairs(ids).squeeze(2).tolist() == [[0, 1, 2, 0, 0, 0], [0, 2, 0, 0, 1, 2]]


def test_no_pair_is_frequent():
    pairs = PairVectors.learned(np.array([[2, 3, 0]], np.int32), 4, 2, 0.5, 1234)
    assert pairs(torch.tensor([[2, 3, 0], [0, 0, 0]])).tolist() == [[[0, 0]] * 3] * 2


def test_a_dropped_word_takes_its_pairs_with_it():
    network = WordBiRNN(9, 4, 0.5, PairVectors(0, 2), num_layers=1).train()
    seen = []
    network.embedding.register_forward_hook(lambda _, ids, __: seen.append(ids[0]))
    network.pairs.register_forward_hook(lambda _, ids, __: seen.append(ids[0]))
    network(torch.full((4, 9), 3))
    assert (seen[0] == 1).any()
    assert torch.equal(*seen)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_stacks_learn_which_word_comes_next(stories, cell, skip, monkeypatch):
    monkeypatch.setattr(pretraining, "SHARE", 1.0)
    monkeypatch.setattr(pretraining, "LR", 0.02)
    texts, _, glove = stories
    ids = torch.from_numpy(TokenIds(glove, 9).fit_transform(texts))
    shape = {"cell_type": cell, "num_layers": 3, "hidden_size": 16, "skip_connections": skip}
    network = untrained(lambda: WordBiRNN(12, 4, pairs=PairVectors(1, 2), **shape), 1)
    network.embedding.weight.data[2:] = torch.from_numpy(np.array(glove.vectors))
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    state = torch.get_rng_state()
    perplexities = pretrain(network, ids, 15, 16, 1)
    assert torch.equal(state, torch.get_rng_state())
    assert perplexities[0] > 4
    assert perplexities[-1] < 3  # nothing tells "good" from "bad", nor the first word of a text
    changed = {
        n for n, weight in network.state_dict().items() if not torch.equal(weight, before[n])
    }
    stacks = {name for name in before if "stack" in name}
    assert changed == stacks | {"embedding.weight"}
    of_pairs = "body.forward_stack.layers.1.weight_ih_l0"
    assert torch.equal(network.state_dict()[of_pairs][:, 4:], before[of_pairs][:, 4:])


def test_the_sample_stands_for_all_words(monkeypatch, ids):
    monkeypatch.setattr(pretraining, "SAMPLE", 20_000)
    monkeypatch.setattr(pretraining, "SHARE", 1.0)
    ids = torch.from_numpy(ids).long()
    network = untrained(lambda: WordBiRNN(8, 4, num_layers=1, hidden_size=3), 1)
    torch.nn.init.normal_(network.embedding.weight[2:], generator=torch.Generator().manual_seed(2))
    counts = ids.flatten().bincount(minlength=8).float()
    counts[:2] = 0
    model = LanguageModel(network, counts, torch.Generator().manual_seed(1)).eval()
    losses = model(ids).detach()
    assert len(losses) == (ids[:, 1:] > 1).sum() + sum(
        sum(word > 1 for word in row[row > 0][:-1]) for row in ids
    )
    states = network.body.forward_stack(network.embedding(ids))[:, :-1]
    logits = model.layers[0](states) @ network.embedding.weight.t() + model.prior
    expected = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    expected = expected[ids[:, 1:].flatten() > 1].detach()
    assert losses[: len(expected)].numpy() == pytest.approx(expected.numpy(), abs=0.05)


def test_stopped_in_the_middle(stories, monkeypatch, capsys):
    texts, labels, glove = stories
    ids = TokenIds(glove, 9).fit_transform(texts)
    calls = []

    def forward(self, ids):
        calls.append(len(ids))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return plain(self, ids)

    plain = LanguageModel.forward
    monkeypatch.setattr(LanguageModel, "forward", forward)
    fitted = WordBiRNNClassifier(glove, **SMALL).fit(ids, labels)
    assert "what the stacks have learned so far is kept" in capsys.readouterr().out
    assert len(fitted.perplexity_) == 1
    assert len(fitted.history_) == 2
    assert fitted.stopped_ == "interrupted"  # so that no later run takes it for a whole one


def test_reviews_of_one_word_have_nothing_to_predict(stories, tmp_path):
    glove = stories[2]
    model = make_pipeline(TokenIds(glove), WordBiRNNClassifier(glove, **SMALL))
    model.fit(["good", "bad"] * 20, [1, 0] * 20)
    assert model[-1].perplexity_ == [1.0, 1.0]
    save(model, tmp_path / "words.pt")
    assert (
        load(tmp_path / "words.pt").predict(["good", "bad", ""])
        == model.predict(["good", "bad", ""])
    ).all()


def test_further_reviews_without_labels(stories):
    texts, labels, glove = stories
    ids = TokenIds(glove, 9).fit_transform(texts)
    few = np.where(ids == ids.max(), 1, ids)[:40]  # the word "bad" is not among them
    alone = WordBiRNNClassifier(glove, **SMALL).fit(few, labels[:40])
    more = WordBiRNNClassifier(glove, **SMALL).fit(few, labels[:40], unlabelled=ids)
    assert set(more.ids_) - set(alone.ids_) == {ids.max()}
    with pytest.raises(ValueError, match="features"):
        WordBiRNNClassifier(glove, **SMALL).fit(few, labels[:40], unlabelled=ids[:, :5])


def test_the_last_of_the_best_epochs_is_kept(stories):
    """Also where an earlier one has the lower loss on the training rows."""
    texts, labels, glove = stories
    ids = TokenIds(glove, 9).fit_transform(texts)
    wild = SMALL | {"lr": 0.3, "max_epochs": 8, "patience": 8, "schedule": "constant"}
    model = WordBiRNNClassifier(glove, **wild).fit(ids, labels)
    model.best_epoch_ = 8
    kept = model.refit(ids, labels).network_.state_dict()
    last = model._fit(ids, labels, (ids[:2], labels[:2]), keep_last=True).network_.state_dict()
    assert all(torch.equal(kept[name], weight) for name, weight in last.items())
    best = model.fit(ids, labels, validation=(ids, labels))
    assert best.best_epoch_ < 8
    assert not torch.equal(best.network_.state_dict()["body.out.bias"], kept["body.out.bias"])


def test_what_cannot_learn_again(stories):
    texts, labels, glove = stories
    with pytest.raises(NotFittedError):
        refit(
            Blend([("words", make_pipeline(TokenIds(glove), WordBiRNNClassifier(glove)))]),
            texts,
            labels,
        )
    with pytest.raises(ValueError, match="LogisticRegression cannot learn again"):
        refit(
            make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels), texts, labels
        )
    scaled = make_pipeline(MeanEmbedding(glove), StandardScaler(), BiRNNClassifier(max_epochs=1))
    again = refit(refit(scaled.fit(texts[:60], labels[:60]), texts, labels), texts, labels)
    assert [name for name, _ in again.steps] == [
        "meanembedding",
        "standardscaler",
        "birnnclassifier",
    ]
    assert again[-1].n_twin_ == scaled[-1].n_train_


def test_saved_and_learned_again_from_all_rows(stories, tmp_path):
    texts, labels, glove = stories
    model = make_pipeline(TokenIds(glove, 9), WordBiRNNClassifier(glove, **SMALL))
    blend = Blend([("one", model.fit(texts[:60], labels[:60])), ("two", model)])
    blend.fit(texts[60:], labels[60:])
    again = refit(blend, texts, labels)
    assert again["one"][-1].n_train_ == 80
    assert again["one"][-1].n_twin_ == model[-1].n_train_
    assert again["one"][-1].history_.equals(model[-1].history_)
    assert (again.weights_ == blend.weights_).all()
    direct = WordBiRNNClassifier(glove, **SMALL | {"max_epochs": model[-1].best_epoch_})
    ids = again["one"][0].transform(texts)
    direct.fit(ids, labels, validation=(ids, labels))
    expected = direct.network_.state_dict()
    found = again["one"][-1].network_.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    save(again, tmp_path / "again.pt")
    loaded = load(tmp_path / "again.pt")
    assert (loaded.decision_function(texts) == again.decision_function(texts)).all()
    assert loaded["one"][-1].perplexity_ == again["one"][-1].perplexity_
    assert loaded["one"][-1].n_twin_ == model[-1].n_train_
    content = pt_file.read(tmp_path / "again.pt")
    for wrong in ("abc", [None], [0.5], {"a": 1}, 5):
        content["models"]["one"]["steps"][1]["state"]["perplexity"] = wrong
        pt_file.write(content, tmp_path / "wrong.pt")
        with pytest.raises(pt_file.CheckpointError, match="holds no model to load"):
            load(tmp_path / "wrong.pt")
    content = pt_file.read(tmp_path / "again.pt")
    weights = content["models"]["one"]["state_dict"]
    for kind in (torch.float32, torch.int64):
        weights["pairs.values"] = weights["pairs.values"].to(kind)
        pt_file.write(content, tmp_path / "wrong.pt")
        with pytest.raises(pt_file.CheckpointError, match="the weights are not those of"):
            load(tmp_path / "wrong.pt")

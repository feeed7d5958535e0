"""The bag of words and pairs: what it counts, learns and refuses."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BagClassifier, Glove, TokenIds
from sentiment_helpers.classifiers.bag import Bag, _words_and_pairs

PAIR = 2**32


def test_distinct_words_and_pairs_of_known_words():
    ids = np.array([[5, 3, 5, 3, 0], [4, 1, 4, 0, 0]], np.int32)  # 1 is unknown, 0 padding
    found = [sorted(set(row) - {0}) for row in _words_and_pairs(ids).tolist()]
    assert found == [[3, 5, 3 * PAIR + 5, 5 * PAIR + 3], [4]]
    assert [np.count_nonzero(row) for row in _words_and_pairs(ids)] == [4, 1]


def test_the_logit_is_a_weighted_sum():
    network = Bag(torch.tensor([0.0, 3.0, 4.0]))
    with torch.no_grad():
        network.embedding.weight[:, 0] = torch.tensor([0.0, 10.0, 100.0])
        network.bias.fill_(1)
    logits = network(torch.tensor([[1, 2], [2, 0], [0, 0]]))
    assert logits.tolist() == pytest.approx([1 + 0.6 * 10 + 0.8 * 100, 1 + 100, 1])


@pytest.fixture(scope="module")
def paired():
    """Labels that depend on pairs, not on words: "not good" is negative, "not bad" positive."""
    rng = np.random.default_rng(0)
    kinds = {0: ("not good", "very bad"), 1: ("not bad", "very good")}
    labels = rng.integers(0, 2, 300)
    texts = [f"film {kinds[y][rng.integers(2)]} it was" for y in labels]
    words = "good bad not very film it was".split()
    return texts, labels, Glove("seven", words, np.zeros((7, 2), np.float32))


def test_learns_from_pairs(paired, device):
    texts, labels, glove = paired
    model = make_pipeline(TokenIds(glove, 12), BagClassifier(max_epochs=8, device=device))
    model.fit(texts[:200], labels[:200])
    assert model.score(texts[200:], labels[200:]) == 1
    grams = model[-1].grams_
    assert (np.diff(grams) > 0).all()
    pairs = [((g >> 32) - 2, (g & (PAIR - 1)) - 2) for g in grams.tolist() if g > PAIR]
    assert {"not good", "very bad"} <= {f"{glove.words[a]} {glove.words[b]}" for a, b in pairs}
    alone = model.decision_function(["not good", "", "zzz zzz"])
    longer = model.decision_function(["not good", " ".join(texts)[:200]])
    assert longer[0] == pytest.approx(alone[0], abs=1e-6)
    assert alone[1:] == pytest.approx(model[-1].network_.bias.item())  # nothing is known


def test_words_and_pairs_of_a_single_review_get_no_weight(glove):
    """Even if that review repeats them."""
    texts = ["good film", "good film", "bad bad bad dull", "not film"]
    model = make_pipeline(TokenIds(glove, 6), BagClassifier(max_epochs=1))
    X = model[0].fit_transform(texts)
    model[-1].fit(X, [1, 1, 0, 0], validation=(X, [1, 1, 0, 0]))
    good, film = glove.index["good"] + 2, glove.index["film"] + 2
    assert model[-1].grams_.tolist() == sorted([good, film, good * PAIR + film])


def test_weights_are_inverse_document_frequencies(paired):
    texts, labels, glove = paired
    X = TokenIds(glove, 12).fit_transform(texts)
    bag = BagClassifier(max_epochs=1).fit(X, labels, validation=(X, labels))
    grams = _words_and_pairs(X)
    contained = (grams[:, :, None] == bag.grams_).any(axis=1)  # (N, V)
    expected = np.log(len(texts) / contained.sum(axis=0)) + 1
    np.testing.assert_allclose(bag.network_.idf[1:], expected, rtol=1e-6)

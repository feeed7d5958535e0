"""The bag of words, pairs and triples: what it counts, learns and refuses."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BagClassifier, Glove, TokenIds
from sentiment_helpers.classifiers.bag import _grams

WORDS = "good bad not very film it was".split()
GLOVE = Glove("seven", WORDS, np.zeros((7, 2), np.float32))


def test_distinct_grams_of_known_words():
    """An unknown word, 1, or padding, 0, is in none."""
    ids = np.array([[5, 3, 5, 3, 0], [4, 1, 4, 0, 0], [1, 0, 0, 0, 0], [3, 5, 1, 5, 3]])
    keys, sizes = _grams(ids)
    assert sizes.tolist() == [6, 1, 0, 4]  # two words, two pairs, two triples; …
    rows = np.split(keys, sizes.cumsum())[:4]
    assert len(set(rows[0])) == 6
    assert set(rows[3]) < set(rows[0])
    assert not set(rows[1]) & set(rows[0])


@pytest.fixture(scope="module")
def paired():
    """Labels that depend on pairs, not on words: "not good" is negative, "not bad" positive."""
    rng = np.random.default_rng(0)
    kinds = {0: ("not good", "very bad"), 1: ("not bad", "very good")}
    labels = rng.integers(0, 2, 300)
    return [f"film {kinds[y][rng.integers(2)]} it was" for y in labels], labels


def test_learns_from_pairs(paired):
    texts, labels = paired
    model = make_pipeline(TokenIds(GLOVE, 12), BagClassifier())
    model.fit(texts[:200], labels[:200])
    assert model.score(texts[200:], labels[200:]) == 1
    alone = model.decision_function(["not good", "", "zzz zzz"])
    assert alone[0] < 0
    assert alone[1:].tolist() == [model[-1].intercept_] * 2  # nothing is known


def test_is_that_of_the_paper(reviews):
    """On counts of scikit-learn's own, weighted by the log-ratio of frequencies."""
    texts, labels = reviews["review"][:300], reviews["label"][:300].to_numpy()
    reader = TokenIds(GLOVE, 400)
    X = reader.fit_transform(texts)
    words = [" ".join(f"w{i}" if i > 1 else f"u{n}" for n, i in enumerate(row)) for row in X]
    counter = CountVectorizer(ngram_range=(1, 3), binary=True, min_df=3)
    counts = counter.fit_transform(words)
    kept = [n for n, gram in enumerate(counter.get_feature_names_out()) if "u" not in gram]
    counts = csr_array(counts)[:, kept]
    frequent = [counts[labels == side].sum(axis=0) + 1 for side in (0, 1)]
    ratio = np.log(frequent[1] / frequent[1].sum()) - np.log(frequent[0] / frequent[0].sum())
    weighted = (counts * ratio).tocsr()
    plain = LogisticRegression(C=0.1, solver="liblinear").fit(weighted, labels)
    bag = BagClassifier().fit(X, labels)
    assert len(bag.grams_) == len(kept)
    expected = plain.decision_function(weighted)
    np.testing.assert_allclose(bag.decision_function(X), expected, atol=0.01)


def test_what_is_rare_teaches_nothing():
    with pytest.raises(ValueError, match="no word occurs in 3 reviews"):
        make_pipeline(TokenIds(GLOVE, 6), BagClassifier()).fit(["good good good", "bad"], [1, 0])

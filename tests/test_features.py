"""Mean vectors against means worked out one review at a time."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sentiment_helpers import MeanEmbedding, clean, coverage, features, load_glove

TEXTS = ["A good, good film!", "It isn't good.", "zzz 10", ""]


def test_mean_of_distinct_known_words(glove):
    matrix = MeanEmbedding(glove).fit_transform(TEXTS)
    good, film, nt = (glove.vectors[glove.index[word]] for word in ("good", "film", "n't"))
    expected = [(good + film) / 2, (nt + good) / 2, 0 * good, 0 * good]
    np.testing.assert_allclose(matrix, expected)
    assert matrix.dtype == np.float32


def test_same_as_one_review_at_a_time_on_real_ones(reviews):
    texts = reviews["review"][:300]
    embedding = MeanEmbedding(load_glove()).fit(texts)
    index, vectors = embedding.glove_.index, embedding.glove_.vectors
    expected = [
        vectors[sorted({index[word] for word in clean(text) if word in index})].mean(axis=0)
        for text in texts
    ]
    np.testing.assert_allclose(embedding.transform(texts), expected, atol=1e-6)


def test_fit_chooses_the_words(glove, monkeypatch):
    monkeypatch.setattr(features, "FREQUENT_WORDS", 2)
    embedding = MeanEmbedding(glove).fit(["dull, it isn't"])
    assert embedding.glove_.words == ["good", "film", "dull", "n't"]
    assert not embedding.transform(["bad"]).any()


def test_values_are_those_that_float16_can_hold():
    embedding = MeanEmbedding(load_glove()).fit(["film"])
    vectors = embedding.glove_.vectors
    np.testing.assert_array_equal(vectors, vectors.astype(np.float16).astype(np.float32))
    assert len(embedding.glove_.words) == features.FREQUENT_WORDS


def test_coverage(glove):
    covered = coverage(["good good film", "zzz dull", "zzz yyy", ""], glove)
    assert covered == (7, 4, 2)
    assert covered.share == 4 / 7
    assert np.isnan(coverage([], glove).share)


def test_refused(glove):
    embedding = MeanEmbedding(glove)
    with pytest.raises(NotFittedError):
        embedding.transform(["x"])
    with pytest.raises(ValueError, match="put it into a list"):
        embedding.fit("one text")
    with pytest.raises(ValueError, match="text 1 is nan"):
        embedding.fit(["x", float("nan")])


def test_no_texts(glove):
    assert MeanEmbedding(glove).fit(["x"]).transform([]).shape == (0, 3)


def test_clones_share_the_vectors(glove):
    assert clone(MeanEmbedding(glove)).glove is glove

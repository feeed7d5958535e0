"""Mean vectors and ids, against those that are worked out one review at a time."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sentiment_helpers import (
    Glove,
    MeanEmbedding,
    TokenIds,
    clean,
    features,
    load_glove,
    tokens,
)
from sentiment_helpers.classifiers.domain_vectors import domain_vectors
from sentiment_helpers.fast.many_texts import Corpus

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


def test_a_table_of_one_column_is_its_texts(glove):
    table = pd.DataFrame({"review": ["good film", "bad", "zzz"]}, index=["a", "b", "a"])
    for kind in (MeanEmbedding(glove), TokenIds(glove, 3)):
        expected = kind.fit_transform(table["review"])
        np.testing.assert_array_equal(kind.fit_transform(table), expected)
        np.testing.assert_array_equal(kind.fit(table).transform(table), expected)
        for wrong in (table.assign(label=1), {"good": 1}, table.to_numpy(), b"good", 3):
            for method in (kind.fit, kind.transform, kind.fit_transform):
                with pytest.raises(ValueError, match="one column of texts is needed, not "):
                    method(wrong)


def test_refused(glove):
    embedding = MeanEmbedding(glove)
    with pytest.raises(NotFittedError):
        embedding.transform(["x"])
    with pytest.raises(ValueError, match="put it into a list"):
        embedding.fit("one text")
    with pytest.raises(ValueError, match="text 1 is nan"):
        embedding.fit(["x", float("nan")])
    for kind in (MeanEmbedding, TokenIds):
        for method in (kind(None).fit, kind("glove.6B.50d").fit_transform):
            with pytest.raises(ValueError, match=r"glove is .+ must be what load_glove returns"):
                method(["x"])


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e5])
def test_vectors_that_float16_cannot_hold(glove, value):
    vectors = np.array(glove.vectors)
    vectors[2, 1] = value
    with pytest.raises(ValueError, match="the vector of 'bad' holds NaN, infinity or a value bey"):
        MeanEmbedding(Glove("wrong", glove.words, vectors)).fit(["good"])


def test_states_that_no_transformer_has(glove):
    mean = MeanEmbedding(glove).fit(["good"]).get_state()
    for shape in ((6, features.MAX_DIMENSIONS + 1), (0, 10**12)):
        with pytest.raises(ValueError, match="values are more than 4,096"):
            MeanEmbedding.from_state(mean | {"vectors": torch.zeros(shape)})
    ids = TokenIds(glove).fit(["good"]).get_state()
    for length in (2.0, True, 0, 2**14 + 1, "400"):
        with pytest.raises(ValueError, match="max_length is"):
            TokenIds.from_state(ids | {"max_length": length})


def test_no_texts(glove):
    assert MeanEmbedding(glove).fit(["x"]).transform([]).shape == (0, 3)


def test_clones_share_the_vectors(glove):
    assert clone(MeanEmbedding(glove)).glove is glove


def test_token_ids(glove):
    """GloVe's rows plus 2, every word in order; 1 for unknown ones, 0 behind the last."""
    ids = TokenIds(glove, max_length=6).fit(["good film not bad n't dull"])
    assert ids.transform(["Not a good, good film!", "", "isn't"]).tolist() == [
        [6, 1, 2, 2, 3, 1],
        [1, 0, 0, 0, 0, 0],
        [1, 7, 0, 0, 0, 0],
    ]
    assert ids.transform([]).shape == (0, 6)
    assert ids.transform(["good"]).dtype == np.int32


def test_unknown_hyphenated_words_are_read_as_their_parts(glove):
    ids = TokenIds(glove, max_length=3).fit_transform(["not-so-good"])
    assert ids.tolist() == [[6, 1, 2]]


@pytest.mark.parametrize(("length", "kept"), [(4, "abgh"), (5, "abcgh"), (1, "a"), (9, "abcdefgh")])
def test_long_reviews_keep_both_ends(length, kept):
    letters = "abcdefgh"
    glove = Glove("letters", list(letters), np.eye(8, dtype=np.float32))
    ids = TokenIds(glove, max_length=length).fit_transform([" ".join(letters)])
    assert "".join(letters[i - 2] for i in ids[0] if i) == kept


def test_token_ids_of_real_reviews_one_at_a_time(reviews):
    texts = reviews["review"][:200]
    glove = load_glove()
    ids = TokenIds(glove, max_length=3000).fit(texts)
    for text, row in zip(texts, ids.transform(texts), strict=True):
        words = [
            word
            for token in tokens(text)
            for word in ([token] if token in glove.index else token.split("-"))
        ]
        assert row[row > 0].tolist() == [glove.index.get(word, -1) + 2 for word in words]
    others = TokenIds(glove).fit(reviews["review"][100:300]).ids_
    assert all(others[word] == ids.ids_[word] for word in others.keys() & ids.ids_.keys())


def test_token_ids_refuse(glove):
    with pytest.raises(NotFittedError):
        TokenIds(glove).transform(["good"])
    for length in (0, 2**14 + 1, 2.5, "x", None, True):
        for method in (TokenIds(glove, length).fit, TokenIds(glove, length).fit_transform):
            with pytest.raises(ValueError, match=r"max_length is .+ whole number from 1 to 16,384"):
                method(["good"])
    with pytest.raises(ValueError, match="one text was given"):
        TokenIds(glove).fit("good")


def test_everything_works_without_the_fast_reader(reviews, monkeypatch):
    """Instead of it, the plain twins read each text as one piece of a corpus."""
    texts, glove = reviews["review"][:50], load_glove()

    def results():
        for transformer in (MeanEmbedding(glove), TokenIds(glove)):
            yield transformer.fit_transform(texts)
            yield from transformer.fit(texts).transform_counted(texts)
            yield from transformer.transform_counted([])

    def read(texts, words_of):
        words = [word for text in texts for word in [*words_of(text), "\n"]]
        yield Corpus(words, np.arange(len(texts)), np.arange(len(texts) + 1))

    fast = list(results())
    monkeypatch.setattr(features, "read", read)
    for plain, expected in zip(results(), fast, strict=True):
        np.testing.assert_array_equal(plain, expected, strict=True)


def test_domain_vectors_of_words_with_the_same_neighbours_are_close():
    """Words 2 and 3 stand beside 4 and 5; 6 and 7 beside 8 and 9; 10 nowhere."""
    rng = np.random.default_rng(0)
    near = [[rng.choice([2, 3]), rng.choice([4, 5]), 0, 0] for _ in range(200)]
    far = [[rng.choice([6, 7]), rng.choice([8, 9]), 1, 0] for _ in range(200)]
    ids = np.array(near + far, np.int32)
    vectors = domain_vectors(ids, 11, 4)
    assert (vectors.shape, vectors.dtype) == ((11, 4), np.float32)
    assert not vectors[[0, 1, 10]].any()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors @ vectors.T) / np.maximum(lengths @ lengths.T, 1e-9)
    assert cosines[2, 3] > 0.95
    assert cosines[6, 7] > 0.95
    assert abs(cosines[2, 6]) < 0.1
    assert vectors.std() == pytest.approx(1)
    assert (domain_vectors(ids, 11, 4) == vectors).all()


def test_domain_vectors_by_hand():
    """One pair, both ways: with contexts 1 and 1, the information of (2, 3) is ln 2."""
    vectors = domain_vectors(np.array([[2, 3]]), 4, 3)
    product = vectors @ vectors.T
    assert product[2, 2] == pytest.approx(product[3, 3], rel=1e-5)
    assert product[2, 3] == pytest.approx(0, abs=1e-5)

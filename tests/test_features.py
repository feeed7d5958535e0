"""Mean vectors and ids, against those that are worked out one review at a time."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sentiment_helpers import Glove, MeanEmbedding, TokenIds, clean, features, load_glove, tokens
from sentiment_helpers.classifiers.cooccurrence import domain_vectors

TEXTS = ["A good, good film!", "It isn't good.", "zzz 10", ""]


def test_mean_of_distinct_known_words(glove):
    matrix = MeanEmbedding(glove).fit_transform(TEXTS)
    good, film, nt = (glove.vectors[glove.index[word]] for word in ("good", "film", "n't"))
    expected = [(good + film) / 2, (nt + good) / 2, 0 * good, 0 * good]
    np.testing.assert_allclose(matrix, expected)
    assert matrix.dtype == np.float32


def test_same_as_one_review_at_a_time_on_real_ones(reviews):
    """With values that float16 can hold."""
    texts = reviews["review"][:300]
    embedding = MeanEmbedding(load_glove()).fit(texts)
    index, vectors = embedding.glove_.index, embedding.glove_.vectors
    expected = [
        vectors[sorted({index[word] for word in clean(text) if word in index})].mean(axis=0)
        for text in texts
    ]
    np.testing.assert_allclose(embedding.transform(texts), expected, atol=1e-6)
    np.testing.assert_array_equal(vectors, vectors.astype(np.float16).astype(np.float32))
    assert len(index) >= features.FREQUENT_WORDS


def test_fit_chooses_the_words(glove, monkeypatch):
    monkeypatch.setattr(features, "FREQUENT_WORDS", 2)
    embedding = MeanEmbedding(glove).fit(["dull, it isn't"])
    assert embedding.glove_.words == ["good", "film", "dull", "n't"]
    assert not embedding.transform(["bad"]).any()
    assert embedding.transform([]).shape == (0, 3)
    assert clone(embedding).glove is glove


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
    for kind in (MeanEmbedding, TokenIds):
        with pytest.raises(NotFittedError):
            kind(glove).transform(["x"])
        for method in (kind(None).fit, kind("glove.6B.50d").fit_transform):
            with pytest.raises(ValueError, match=r"glove is .+ must be what load_glove returns"):
                method(["x"])
    vectors = np.array(glove.vectors)
    for vectors[2, 1] in (np.nan, -np.inf, 1e5):  # float16 holds none of them
        with pytest.raises(ValueError, match="vector of 'bad' holds NaN, infinity or a value bey"):
            MeanEmbedding(Glove("wrong", glove.words, vectors)).fit(["good"])
    with pytest.raises(ValueError, match="a list or one column of texts is needed"):
        MeanEmbedding(glove).fit("one text")
    with pytest.raises(ValueError, match="text 1 is nan"):
        TokenIds(glove).fit(["x", float("nan")])
    for length in (0, 2**14 + 1, 2.5, "x", None, True):
        for method in (TokenIds(glove, length).fit, TokenIds(glove, length).fit_transform):
            with pytest.raises(ValueError, match=r"max_length is .+ whole number from 1 to 16,384"):
                method(["good"])


def test_states_that_no_transformer_has(glove):
    mean = MeanEmbedding(glove).fit(["good"]).get_state()
    ids = TokenIds(glove).fit(["good film"]).get_state()
    wrong_mean = [{"vectors": v} for v in (torch.ones(5, 3), torch.ones(6), torch.ones(6, 3) / 0)]
    wrong_mean.append({"words": mean["words"].replace("film", "good")})
    wrong = [{"max_length": length} for length in (2.0, True, 0, 2**14 + 1, "400")]
    wrong += [{"words": words} for words in ("good", "good\ngood", "a\nb\nc")]
    wrong += [{"ids": torch.tensor(pair, dtype=torch.int32)} for pair in ([1, 2], [2, 2])]
    wrong.append({"ids": ids["ids"].float()})
    for state, changes in ((mean, wrong_mean), (ids, wrong)):
        kind = MeanEmbedding if state is mean else TokenIds
        kind.from_state(state)
        for change in changes:
            with pytest.raises(ValueError, match=r"max_length is|need|repeated|holds NaN"):
                kind.from_state(state | change)
    assert TokenIds.from_state(TokenIds(glove).fit(["zzz"]).get_state()).ids_ == {}


def test_token_ids(glove):
    """GloVe's rows plus 2, every word in order; 1 for unknown ones, 0 behind the last."""
    ids = TokenIds(glove, max_length=6).fit(["good film not bad n't dull"])
    assert ids.transform(["Not a good, good film!", "", "isn't"]).tolist() == [
        [6, 1, 2, 2, 3, 1],
        [1, 0, 0, 0, 0, 0],
        [1, 7, 0, 0, 0, 0],
    ]
    assert ids.transform(["not-so-good"]).tolist() == [[6, 1, 2, 0, 0, 0]]
    assert ids.transform([]).shape == (0, 6)
    assert ids.transform(["good"]).dtype == np.int32


@pytest.mark.parametrize(("length", "kept"), [(4, "abgh"), (5, "abcgh"), (1, "a"), (9, "abcdefgh")])
def test_long_reviews_keep_both_ends(length, kept):
    letters = "abcdefgh"
    glove = Glove("letters", list(letters), np.eye(8, dtype=np.float32))
    ids = TokenIds(glove, max_length=length).fit_transform([" ".join(letters)])
    assert "".join(letters[i - 2] for i in ids[0] if i) == kept


def test_the_words_of_a_state_are_sorted(glove):
    """So that the files of two processes are equal."""
    words = TokenIds(glove).fit(["not bad, good film, n't dull"]).get_state()["words"].split("\n")
    assert words == sorted(words)


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


def test_domain_vectors_of_words_with_the_same_neighbours_are_close():
    """Words 2 and 3 stand beside 4 and 5; 6 and 7 beside 8 and 9; 10 nowhere."""
    rng = np.random.default_rng(0)
    near = [[rng.choice([2, 3]), rng.choice([4, 5]), 0, 0] for _ in range(200)]
    far = [[rng.choice([6, 7]), rng.choice([8, 9]), 1, 0] for _ in range(200)]
    ids = np.array(near + far, np.int32)
    vectors = domain_vectors(ids, 11, 4, 1)
    assert (vectors.shape, vectors.dtype) == ((11, 4), np.float32)
    assert not vectors[[0, 1, 10]].any()
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors @ vectors.T) / np.maximum(lengths @ lengths.T, 1e-9)
    assert cosines[2, 3] > 0.95
    assert cosines[6, 7] > 0.95
    assert abs(cosines[2, 6]) < 0.1
    assert vectors.std() == pytest.approx(1)
    assert (domain_vectors(ids, 11, 4, 1) == vectors).all()


def test_domain_vectors_by_hand():
    """One pair, both ways: with contexts 1 and 1, the information of (2, 3) is ln 2."""
    vectors = domain_vectors(np.array([[2, 3]]), 4, 3, 1)
    product = vectors @ vectors.T
    assert product[2, 2] == pytest.approx(product[3, 3], rel=1e-5)
    assert product[2, 3] == pytest.approx(0, abs=1e-5)

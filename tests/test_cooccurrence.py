"""Vectors of words and pairs, from what stands beside them."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from sentiment_helpers.classifiers import cooccurrence
from sentiment_helpers.classifiers.cooccurrence import (
    MIN_PAIR_COUNT,
    WINDOW,
    domain_vectors,
    embed_counts,
    pair_vectors,
)


@pytest.fixture
def ids():
    """(60, 9): words 2 to 7, unknown ones and padding."""
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 8, (60, 9)).astype(np.int32)
    ids[np.arange(9) >= rng.integers(1, 10, 60)[:, None]] = 0
    return ids


def test_vectors_are_those_of_counts(ids, monkeypatch):
    """Of words and of pairs. The plain twin counts word by word."""
    monkeypatch.setattr(cooccurrence, "SLICE", 7)  # reviews at once
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

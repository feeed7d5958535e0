"""The behavioural suite: its sentences, and what counts as a failure."""

import re

import numpy as np
import pytest

from sentiment_report.behaviour import cases, failure_rates

CASES = cases()
COMPARED = CASES[CASES["other"] != ""]


class Reader:
    """A made-up model, by the probability that it gives a text."""

    def __init__(self, read):
        self.read = read

    def predict_proba(self, texts):
        positive = np.array([self.read(text) for text in texts], float)
        return np.column_stack([1 - positive, positive])


def test_about_300_different_sentences():
    assert 250 <= len(CASES) <= 350
    assert CASES["text"].is_unique
    assert not set(CASES["text"]) & set(COMPARED["other"])
    assert (CASES.groupby("kind")["label"].mean() == 0.5).all()
    for text in (*CASES["text"], *COMPARED["other"]):
        assert re.fullmatch(r"[A-Z][A-Za-zé, ]+[.!]", text)
        assert not re.search(r"\ba [aeiou]", text)


def test_a_typing_error_is_one_swap():
    errors = CASES[CASES["kind"].str.startswith("typing error")]
    for text, other in zip(errors["text"], errors["other"], strict=True):
        first, second = (n for n in range(len(text)) if text[n] != other[n])
        assert second == first + 1
        assert text[first : second + 1] == other[second] + other[first]


LABELS = dict(zip(CASES["text"], CASES["label"], strict=True))
LABELS |= dict(zip(COMPARED["other"], COMPARED["label"], strict=True)) | {"": 0}


def test_failures():
    assert LABELS["The film is not bad at all."] == 1
    assert LABELS["I do not think that it is a good film."] == 0
    rates = failure_rates(
        {
            "right": Reader(lambda text: 0.5 + 0.1 * LABELS[text]),  # one half is negative
            "wrong": Reader(lambda text: 1 - LABELS[text]),
            "positive": Reader(lambda text: 1),
            "reads names": Reader(lambda text: "Emily" in text),
        }
    )
    kinds, compared = CASES["kind"].unique().tolist(), COMPARED["kind"].unique().tolist()
    alone = [kind for kind in kinds if kind not in compared]
    assert rates.index.tolist() == [*kinds, "all"]
    assert rates["cases"].tolist() == [*CASES.groupby("kind", sort=False).size(), len(CASES)]
    assert (rates["right"] == 0).all()
    assert (rates.loc[alone, ["wrong", "positive"]] == [1, 0.5]).all(axis=None)
    assert (rates.loc[compared, ["wrong", "positive"]] == 0).all(axis=None)
    assert rates.loc["all", "wrong"] == pytest.approx(1 - len(COMPARED) / len(CASES))
    one_of_four = dict.fromkeys(compared, 0) | {"name": 0.25}
    assert rates.loc[compared, "reads names"].to_dict() == one_of_four

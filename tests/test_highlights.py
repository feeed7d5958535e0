"""Effects and attention of the words of a review, as a table, as HTML and as a figure."""

import re
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import TokenIds, WordBiRNNClassifier
from sentiment_helpers.classifiers import blend
from sentiment_helpers.highlights import Highlights, highlight_words, word_effects

matplotlib.use("Agg")
TEXTS = ["good film", "good good", "bad film", "bad dull", "dull film", "good dull film"] * 4
LABELS = [1, 1, 0, 0, 0, 1] * 4


@pytest.fixture(scope="module")
def linear():
    vectorizer = TfidfVectorizer(use_idf=False, norm=None)
    return make_pipeline(vectorizer, LogisticRegression()).fit(TEXTS, LABELS)


@pytest.fixture
def network(glove):
    return make_pipeline(TokenIds(glove, 6), reader(glove, "attention+max")).fit(TEXTS, LABELS)


def reader(glove, pooling):
    """An untrained network that reads words in order."""
    network = {"cell_type": "lstm", "num_layers": 1, "hidden_size": 4, "pooling": pooling}
    return WordBiRNNClassifier(embeddings=glove, max_epochs=1, **network)


def test_effects_of_a_linear_model_are_its_coefficients(linear):
    words = word_effects(linear, "A <b>Good</b> film,<br />not DULL.")
    assert words["word"].tolist() == ["A", "Good", "film,", "not", "DULL."]
    weights = dict(zip(linear[0].get_feature_names_out(), linear[-1].coef_[0], strict=True))
    expected = [0, weights["good"], weights["film"], 0, weights["dull"]]
    assert words["effect"].tolist() == pytest.approx(expected)
    assert "attention" not in words


def test_effects_and_attention_of_a_network(network):
    text = "Good film isn't bad"  # is, n't: two ids from one piece
    words = word_effects(network, text)
    whole = network.decision_function([text])[0]
    without = network.decision_function(["Good film bad"])[0]
    assert words["effect"][2] == pytest.approx(whole - without, abs=1e-6)
    weights = network[-1].attention_weights(network[0].transform([text]))[0]
    expected = [weights[0], weights[1], weights[2] + weights[3], weights[4]]
    assert words["attention"].tolist() == pytest.approx(expected)
    assert words["attention"].sum() == pytest.approx(1)


def test_words_that_are_not_read_get_no_attention(network):
    """Six of nine words are read: the first three and the last three."""
    words = word_effects(network, "good film bad dull dull dull film film good")
    assert (words["attention"] > 0).tolist() == [True] * 3 + [False] * 3 + [True] * 3


def test_pieces_are_shown_as_written_and_read_as_they_look(network):
    written = "Go\xadod fi\u200blm isn\u02bct \ufeffbad - ..."
    words, expected = (word_effects(network, t) for t in (written, "Good film isn't bad - ..."))
    assert words["word"].tolist() == written.split()
    assert words[["effect", "attention"]].equals(expected[["effect", "attention"]])
    assert words["attention"][4:].tolist() == [0, 0]


def test_a_blend(network, linear):
    """Of texts, and of a network's own ids: the effects are the weighted sum of its models'."""
    of_texts = blend([("network", network), ("linear", linear)]).fit(TEXTS, LABELS)
    ids = network[0].transform(TEXTS)
    of_ids = make_pipeline(network[0], blend([("network", network[-1])]).fit(ids, LABELS))
    effects = [word_effects(model, "good film")["effect"] for model in (network, linear)]
    for model, members in ((of_texts, effects), (of_ids, effects[:1])):
        words = word_effects(model, "good film")
        weights = (model if model is of_texts else model[-1]).final_estimator_.coef_[0]
        expected = sum(w * e for w, e in zip(weights, members, strict=True))
        assert words["effect"].tolist() == pytest.approx(expected.tolist(), rel=1e-3)
        assert list(words) == ["word", "effect"]
        assert highlight_words(model, "good film").probability > 0


def test_html_is_escaped_and_coloured(linear):
    html = highlight_words(linear, "<3 good & dull")._repr_html_()
    assert "&lt;3" in html
    colours = re.findall(r'background:(#\w+)" title="([+-][\d.]+)">(\w+)<', html)
    by_word = {word: (to_rgb(colour), float(effect)) for colour, effect, word in colours}
    assert by_word["good"][1] > 0 > by_word["dull"][1]
    for word, is_green in (("good", True), ("dull", False)):
        red, green, _ = by_word[word][0]
        assert (green > red) == is_green


def test_heading(linear):
    for probability, read in ((0.5, "negative"), (0.501, "positive")):
        shown = Highlights(word_effects(linear, "good film"), probability)
        heading = f"read as {read} (probability of positive 0.50); a word moved this to positive ("
        assert f"<i>{heading}" in shown._repr_html_()
        assert shown.draw().texts[0].get_text().startswith(heading)
    plt.close("all")


def test_figure_holds_every_word_once_in_each_part(network):
    text = " ".join([*TEXTS, "verylongword" * 12])
    ax = highlight_words(network, text).draw()
    drawn = [t.get_text() for t in ax.texts]
    for word in ("good", "dull"):
        assert drawn.count(word) == 2 * text.split().count(word)
    renderer = ax.figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in ax.texts if "very" not in t.get_text()]
    assert max(box.x1 for box in boxes) <= ax.figure.bbox.width
    assert min(box.y0 for box in boxes) >= 0
    for left, right in pairwise(boxes):
        assert right.x0 >= left.x1 or right.y1 <= left.y0 + 4  # to the right, or on the next line
    plt.close("all")


def test_no_words_and_no_attention(linear, network, glove):
    for text_model in (linear, network):
        empty = highlight_words(text_model, " <br /> ")
        assert empty.words.empty
        assert "read as " in empty._repr_html_()
        assert len(empty.draw().texts) == len(empty.words.columns) - 1
    plt.close("all")
    model = make_pipeline(TokenIds(glove, 6), reader(glove, "last")).fit(TEXTS, LABELS)
    assert "attention" not in word_effects(model, "good film")
    with pytest.raises(ValueError, match="pooling 'last' has no attention"):
        model[-1].attention_weights(np.array([[2, 3]]))

"""Effects and attention of the words of a review, as a table, as HTML and as a figure."""

import re
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sentiment_helpers import TokenIds, WordBiRNNClassifier
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
    plain, written = "Good film isn't bad", "Go\xadod fi\u200blm isn\u02bct \ufeffbad"
    words = word_effects(network, written)
    assert words["word"].tolist() == written.split()
    expected = word_effects(network, plain)
    for column in ("effect", "attention"):
        assert words[column].tolist() == expected[column].tolist()


def test_html_is_escaped_and_coloured(linear):
    html = highlight_words(linear, "<3 good & dull")._repr_html_()
    assert "&lt;3" in html
    assert "&amp;" in html
    colours = re.findall(r'background:(#\w+)" title="([+-][\d.]+)">(\w+)<', html)
    by_word = {word: (colour, float(effect)) for colour, effect, word in colours}
    assert by_word["good"][1] > 0 > by_word["dull"][1]
    red, _, blue = (int(by_word["good"][0][i : i + 2], 16) for i in (1, 3, 5))
    assert blue > red  # to positive
    red, _, blue = (int(by_word["dull"][0][i : i + 2], 16) for i in (1, 3, 5))
    assert red > blue


@pytest.mark.parametrize(
    ("probability", "read"),
    [
        (0.02, "negative (probability of positive 0.02)"),
        (0.5, "negative (probability of positive 0.50)"),
        (0.501, "positive (probability of positive 0.50)"),
        (0.998, "positive (probability of positive 1.00)"),
    ],
)
def test_heading(linear, probability, read):
    highlights = Highlights(word_effects(linear, "good film"), probability)
    heading = f"read as {read}; a word moved this to positive (blue) or negative (orange):"
    assert f"<i>{heading}</i>" in highlights._repr_html_()
    assert heading in " ".join(t.get_text() for t in highlights.draw().texts)
    plt.close("all")


def test_figure_holds_every_word_once_in_each_part(network):
    text = " ".join(TEXTS)
    highlights = highlight_words(network, text)
    ax = highlights.draw()
    drawn = [t.get_text() for t in ax.texts]
    assert [drawn.count(word) for word in ("good", "dull")] == [
        2 * text.split().count(word) for word in ("good", "dull")
    ]
    renderer = ax.figure.canvas.get_renderer()
    boxes = [t.get_window_extent(renderer) for t in ax.texts]
    assert max(box.x1 for box in boxes) <= ax.figure.bbox.width
    assert min(box.y0 for box in boxes) >= 0
    for left, right in pairwise(boxes):
        assert right.x0 >= left.x1 or right.y1 <= left.y0 + 4  # to the right, or on the next line
    plt.close("all")


def test_a_text_without_words_is_refused(linear):
    with pytest.raises(ValueError, match=r"' <br /> ' contains no word"):
        highlight_words(linear, " <br /> ")


def test_no_attention_where_there_is_none(glove):
    model = make_pipeline(TokenIds(glove, 6), reader(glove, "last")).fit(TEXTS, LABELS)
    assert "attention" not in word_effects(model, "good film")
    with pytest.raises(ValueError, match="pooling 'last' has no attention"):
        model[-1].attention_weights(np.array([[2, 3]]))

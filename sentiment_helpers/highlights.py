"""Shows which words of a review moved a model's decision: as a table, as HTML and as a figure."""

from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from sklearn.pipeline import Pipeline

from sentiment_helpers.features import TokenIds
from sentiment_helpers.plots import BLUE, GREEN, ORANGE
from sentiment_helpers.text import pieces

FONT_SIZE = 9  # points, of the text in a figure
CHARACTER, LINE = FONT_SIZE * 0.63 / 72, FONT_SIZE * 1.7 / 72  # inches: width, and line height
WIDTH = 9  # inches, of a new figure


def word_effects(model, text: str) -> pd.DataFrame:
    """A row for each piece of `text` between white space, in order. `model` is fitted and takes
    texts: a pipeline or a `Blend`.

    Columns:
        word: as written.
        effect: the log-odds of "positive" for the whole text, minus those without this word
            (leave one out: Li, Monroe and Jurafsky 2016).
        attention: the weight of the word's state, with a sum of 1; only for a pipeline of
            `TokenIds` and a network with attention. Weights show where a network looks, not why it
            decides (Jain and Wallace 2019): the effects explain more.

    Raises:
        ValueError: `text` contains no word.
    """
    words = pieces(text)
    if not words:
        raise ValueError(f"the text {text[:40]!r} contains no word")
    without = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    log_odds = model.decision_function([" ".join(words), *without])
    effects = pd.DataFrame({"word": words, "effect": log_odds[0] - log_odds[1:]})
    if _has_attention(model):
        ids, classifier = model[0], model[-1]
        origins = ids.origins(text)
        weights = classifier.attention_weights(ids.transform([text]))[0, : len(origins)]
        effects["attention"] = np.bincount(origins, weights, minlength=len(words))
    return effects


def _has_attention(model) -> bool:
    reads_ids = isinstance(model, Pipeline) and isinstance(model[0], TokenIds)
    return reads_ids and "attention" in getattr(model[-1], "pooling", "")


class Highlights:
    """A review with coloured words. A notebook shows it as HTML; `draw` makes a figure of it.

    The first part shows the effect of each word, the second one its attention weight, where the
    network has attention. A deeper colour is a larger value; the deepest is the review's largest.

    Attributes:
        words: the table from `word_effects`.
        probability: of "positive", for the whole review.
    """

    def __init__(self, words: pd.DataFrame, probability: float):
        self.words = words
        self.probability = probability

    def _parts(self) -> list[tuple[str, list[str]]]:
        """The heading and the colour of each word, for each part."""
        heading = (
            f"read as positive with probability {self.probability:.3f}; a word moved this to "
            "positive (blue) or negative (orange):"
        )
        depths = _scaled(self.words["effect"])
        colours = [_tint(BLUE if depth > 0 else ORANGE, abs(depth)) for depth in depths]
        parts = [(heading, colours)]
        if "attention" in self.words:
            colours = [_tint(GREEN, depth) for depth in _scaled(self.words["attention"])]
            parts.append(("attention, the weight of each word's state:", colours))
        return parts

    def _repr_html_(self) -> str:
        shown = ""
        for heading, colours in self._parts():
            words = " ".join(
                f'<span style="background:{colour}" title="{effect:+.3f}">{escape(word)}</span>'
                for word, effect, colour in zip(
                    self.words["word"], self.words["effect"], colours, strict=True
                )
            )
            shown += f"<p><i>{escape(heading)}</i><br>{words}</p>"
        style = "background:white; color:black; padding:0.5em; max-width:50em; line-height:1.6"
        return f'<div style="{style}">{shown}</div>'

    def draw(self, ax: Axes | None = None) -> Axes:
        """Draw the same on `ax`, or on new Axes, with lines that fit its width."""
        if ax is None:
            height = LINE * (len(self._lines(WIDTH / CHARACTER)) + 1)
            ax = plt.figure(figsize=(WIDTH, height)).add_axes((0, 0, 1, 1))
        width, height = ax.get_window_extent().size / ax.figure.dpi  # inches
        for row, line in enumerate(self._lines(width / CHARACTER), 1):
            for column, word, colour in line:
                ax.text(
                    (column + 1) * CHARACTER / width, 1 - row * LINE / height, word,
                    transform=ax.transAxes, fontsize=FONT_SIZE, family="DejaVu Sans Mono",
                    va="center", color="black",
                    bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
                )  # fmt: skip
        ax.axis("off")
        return ax

    def _lines(self, width: float) -> list[list[tuple[int, str, str]]]:
        """Lines of (column, word, colour), each at most `width` characters long."""
        lines = []
        for heading, colours in self._parts():
            heading_words = [(word, "white") for word in heading.split()]
            for words in (heading_words, zip(self.words["word"], colours, strict=True)):
                column = width  # so that the first word starts a line
                for word, colour in words:
                    if column + len(word) > width - 2:
                        lines.append([])
                        column = 0
                    lines[-1].append((column, word, colour))
                    column += len(word) + 1
        return lines


def highlight_words(model, text: str) -> Highlights:
    """The words of a review, coloured by `word_effects`; `model` and errors as there."""
    return Highlights(word_effects(model, text), float(model.predict_proba([text])[0, 1]))


def _scaled(values: pd.Series) -> pd.Series:
    """`values` divided by the largest absolute one; zeros stay zeros."""
    return values / max(values.abs().max(), 1e-12)


def _tint(colour: str, depth: float) -> str:
    """`colour` on white; depth 0 is white, 1 the deepest that black letters are legible on."""
    return to_hex(1 - 0.75 * depth * (1 - np.array(to_rgb(colour))))

"""Which words of a review moved a model's decision: as a table, as HTML and as a figure."""

from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from sklearn.pipeline import Pipeline

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.features import TokenIds
from sentiment_helpers.plots import BLUE, GREEN, ORANGE
from sentiment_helpers.text import pieces

# Of a text in a figure: points, and inches.
FONT_SIZE, CHARACTER, LINE, WIDTH = 9, 9 * 0.63 / 72, 9 * 1.7 / 72, 9


def word_effects(model: Pipeline | Blend, text: str) -> pd.DataFrame:
    """A row for each piece of `text` between white space, in order.

    Columns: `word`, as written; `effect`, by how much the log-odds of "positive" are higher with
    the word than without it, all others in their places (leave one out: Li, Monroe and Jurafsky
    2016); and, where `model` is a network with attention, `attention`, the weight of the word's
    state, which adds up to 1. Weights tell where a network looks, not what follows from it (Jain
    and Wallace 2019), so the effects are the better explanation; but they, too, are of one word at
    a time.

    Raises:
        ValueError: `text` holds no word.
    """
    words = pieces(text)
    if not words:
        raise ValueError(f"the text {text[:40]!r} holds no word")
    without = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    log_odds = model.decision_function([" ".join(words), *without])
    effects = pd.DataFrame({"word": words, "effect": log_odds[0] - log_odds[1:]})
    if _has_attention(model):
        ids, classifier = model[0], model[-1]
        origins = ids.origins(text)
        weights = classifier.attention_weights(ids.transform([text]))[0, : len(origins)]
        effects["attention"] = np.bincount(origins, weights, minlength=len(words))
    return effects


def _has_attention(model: Pipeline | Blend) -> bool:
    return (
        isinstance(model, Pipeline)
        and isinstance(model[0], TokenIds)
        and isinstance(model[-1], BiRNNClassifier)
        and "attention" in model[-1].pooling
    )


class Highlights:
    """A review with each word coloured, which a notebook shows as HTML, and `draw` as a figure.

    Above, how far each word moved the decision; below, where the network has attention, its
    weight. The deeper the colour, the more; the scale is that of the review's own greatest value.

    Attributes:
        words: what `word_effects` returned.
        probability: of "positive", for the whole review.
    """

    def __init__(self, words: pd.DataFrame, probability: float):
        self.words = words
        self.probability = probability

    def _parts(self) -> list[tuple[str, list[str]]]:
        """A heading and the colour of each word, for each part."""
        verdict = f"read as positive with probability {self.probability:.3f}"
        effect = self.words["effect"]
        depths = (effect / max(effect.abs().max(), 1e-12)).tolist()
        parts = [
            (
                f"{verdict}; a word moved this to positive (blue) or negative (orange):",
                [_tint(BLUE if depth > 0 else ORANGE, abs(depth)) for depth in depths],
            )
        ]
        if "attention" in self.words:
            weights = self.words["attention"]
            colours = [_tint(GREEN, depth) for depth in weights / max(weights.max(), 1e-12)]
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
        """The same on `ax`, in lines as long as it is wide."""
        if ax is None:
            lines = len(self._placed(WIDTH / CHARACTER))
            ax = plt.figure(figsize=(WIDTH, LINE * (lines + 1))).add_axes((0, 0, 1, 1))
        width, height = ax.get_window_extent().size / ax.figure.dpi  # inches
        lines = self._placed(width / CHARACTER)
        for row, line in enumerate(lines):
            for column, word, colour in line:
                box = {"facecolor": colour, "edgecolor": "none", "pad": 1}
                ax.text(
                    (column + 1) * CHARACTER / width, 1 - (row + 1) * LINE / height, word,
                    transform=ax.transAxes, fontsize=FONT_SIZE, family="DejaVu Sans Mono",
                    va="center", color="black", bbox=box,
                )  # fmt: skip
        ax.axis("off")
        return ax

    def _placed(self, columns: float) -> list[list[tuple[int, str, str]]]:
        """Lines of (column, word, colour), each line at most `columns` wide."""
        lines = []
        for heading, colours in self._parts():
            words = [(word, "white") for word in heading.split()]
            for part in (words, zip(self.words["word"], colours, strict=True)):
                lines.append([])
                column = 0
                for word, colour in part:
                    if lines[-1] and column + len(word) > columns - 2:
                        lines.append([])
                        column = 0
                    lines[-1].append((column, word, colour))
                    column += len(word) + 1
        return lines


def highlight_words(model, text: str) -> Highlights:
    """A review with each word coloured by how far it moved the decision of `model`, a fitted
    pipeline of texts, and by the attention that the network paid it.

    Raises:
        ValueError: `text` holds no word.
    """
    words = word_effects(model, text)
    return Highlights(words, float(model.predict_proba([text])[0, 1]))


def _tint(colour: str, depth: float) -> str:
    """`colour` on white, from 0, which is white, to 1."""
    share = 0.75 * depth  # the deepest still bears black letters
    return to_hex(1 - share * (1 - np.array(to_rgb(colour))))

"""Shows which words of a review moved a model's decision: as a table, as HTML and as a figure."""

from dataclasses import dataclass
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
            `TokenIds` and a network with attention. It explains less (Jain and Wallace 2019).

    `ValueError` if `text` contains no word.
    """
    words = pieces(text)
    if not words:
        raise ValueError(f"the text {text[:40]!r} contains no word")
    without = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    log_odds = model.decision_function([" ".join(words), *without])
    effects = pd.DataFrame({"word": words, "effect": log_odds[0] - log_odds[1:]})
    reads_ids = isinstance(model, Pipeline) and isinstance(model[0], TokenIds)
    if reads_ids and "attention" in getattr(model[-1], "pooling", ""):
        origins = model[0].origins(text)
        weights = model[-1].attention_weights(model[0].transform([text]))[0, : len(origins)]
        effects["attention"] = np.bincount(origins, weights, minlength=len(words))
    return effects


@dataclass(eq=False, repr=False)
class Highlights:
    """A review with coloured words: HTML in a notebook; `draw` makes a figure. The first part shows
    the effect of each word, the second one its attention, if there is any. A deeper colour is a
    larger value; the deepest is the review's largest."""

    words: pd.DataFrame  # the table from `word_effects`
    probability: float  # of "positive", for the whole review

    def _parts(self) -> dict[str, list[str]]:
        """The colours of the words in each part, by its heading."""
        read = f"read as {'positive' if self.probability > 0.5 else 'negative'}"
        read += f" (probability of positive {self.probability:.2f})"
        moved = "a word moved this to positive (blue) or negative (orange):"
        parts = {f"{read}; {moved}": _colours(self.words["effect"], BLUE, ORANGE)}
        if "attention" in self.words:
            heading = "attention, the weight of each word's state:"
            parts[heading] = _colours(self.words["attention"], GREEN, GREEN)
        return parts

    def _repr_html_(self) -> str:
        shown = ""
        for heading, colours in self._parts().items():
            words = " ".join(
                f'<span style="background:{row.colour}" title="{row.effect:+.3f}">'
                f"{escape(row.word)}</span>"
                for row in self.words.assign(colour=colours).itertuples()
            )
            shown += f"<p><i>{escape(heading)}</i><br>{words}</p>"
        style = "background:white; color:black; padding:0.5em; max-width:50em; line-height:1.6"
        return f'<div style="{style}">{shown}</div>'

    def draw(self) -> Axes:
        """Draw both parts on new Axes, which are as high as they need."""
        lines = self._lines()
        height = LINE * (len(lines) + 1)
        ax = plt.figure(figsize=(WIDTH, height)).add_axes((0, 0, 1, 1))
        ax.set(xlim=(0, WIDTH), ylim=(height, 0))  # inches, from the upper left corner
        for row, line in enumerate(lines, 1):
            for column, word, colour in line:
                ax.text(
                    (column + 1) * CHARACTER, row * LINE, word, va="center", color="black",
                    fontsize=FONT_SIZE, family="DejaVu Sans Mono",
                    bbox={"facecolor": colour, "edgecolor": "none", "pad": 1},
                )  # fmt: skip
        ax.axis("off")
        return ax

    def _lines(self) -> list[list[tuple[int, str, str]]]:
        """Lines of (column, word, colour) that fit the width of a figure."""
        lines, column, width = [], 0, WIDTH / CHARACTER
        for heading, colours in self._parts().items():
            shown = [(word, "white") for word in heading.split()]
            shown += zip(self.words["word"], colours, strict=True)
            for number, (word, colour) in enumerate(shown):
                if number in (0, len(shown) - len(colours)) or column + len(word) > width - 2:
                    lines.append([])
                    column = 0
                lines[-1].append((column, word, colour))
                column += len(word) + 1
        return lines


def highlight_words(model, text: str) -> Highlights:
    """The words of a review, coloured by `word_effects`; `model` and errors as there."""
    return Highlights(word_effects(model, text), float(model.predict_proba([text])[0, 1]))


def _colours(values: pd.Series, positive: str, negative: str) -> list[str]:
    """From white for 0 to the deepest colour on which black letters are legible, for the largest
    absolute value."""
    depths = 0.75 * values / max(values.abs().max(), 1e-12)
    hues = [1 - np.array(to_rgb(positive if depth > 0 else negative)) for depth in depths]
    return [to_hex(1 - abs(depth) * hue) for depth, hue in zip(depths, hues, strict=True)]

"""Shows which words of a review moved a model's decision: as a table, as HTML and as a figure."""

from dataclasses import dataclass
from html import escape

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from sklearn.pipeline import Pipeline

from sentiment_helpers.features import TokenIds
from sentiment_helpers.plots import AMBER, GREEN, GREY
from sentiment_helpers.text import pieces

FONT = {"family": "DejaVu Sans Mono", "size": 9, "color": "black", "va": "center"}
WIDTH, LINE, CHARACTERS = 9, 0.2125, 114  # inches, of a figure and between lines; of a line


def word_effects(model, text: str) -> pd.DataFrame:
    """A row for each piece of `text` between white space, in order, for a fitted model of texts.

    Columns: `word`, as written; `effect`, the log-odds of "positive" for the whole text, minus
    those without this word (leave one out: Li, Monroe and Jurafsky 2016); and, for a pipeline of
    `TokenIds` and a network with attention, `attention`, the weight of the word's state, with a sum
    of 1. It explains less (Jain and Wallace 2019).
    """
    words = pieces(text)
    without = [" ".join(words[:number] + words[number + 1 :]) for number in range(len(words))]
    log_odds = model.decision_function([" ".join(words), *without])
    effects = pd.DataFrame({"word": words, "effect": log_odds[0] - log_odds[1:]})
    reader, network = (model[0], model[-1]) if isinstance(model, Pipeline) else (None, None)
    if words and isinstance(reader, TokenIds) and "attention" in getattr(network, "pooling", ""):
        _, counts, _ = reader.transform_counted(words)  # ids of each piece
        read = reader.both_ends(np.repeat(np.arange(len(words)), counts))  # pieces of the ids
        weights = network.attention_weights(reader.transform([text]))[0, : len(read)]
        effects["attention"] = np.bincount(read, weights, minlength=len(words))
    return effects


@dataclass(eq=False, repr=False)
class Highlights:
    """A review with coloured words: HTML in a notebook; `draw` makes a figure. The first part shows
    the effect of each word, the second one its attention, if any. A deeper colour is more."""

    words: pd.DataFrame  # the table from `word_effects`
    probability: float  # of "positive", for the whole review

    def _parts(self) -> dict[str, list[str]]:
        """The words' colours in each part, by its heading, which fits into a line."""
        read = "positive" if self.probability > 0.5 else "negative"
        effect = f"read as {read} (probability of positive {self.probability:.2f}); a word moved "
        effect += "this to positive (green) or negative (amber):"
        parts = {effect: _colours(self.words["effect"], GREEN, AMBER)}
        if "attention" in self.words:
            parts["attention to each word:"] = _colours(self.words["attention"], GREY, GREY)
        return parts

    def _repr_html_(self) -> str:
        shown, page = "", "background:white; color:black; line-height:1.6; max-width:50em"
        for heading, colours in self._parts().items():
            shown += f'<p style="{page}"><i>{escape(heading)}</i><br>'
            for colour, row in zip(colours, self.words.itertuples(), strict=True):
                style = f'style="background:{colour}" title="{row.effect:+.3f}"'
                shown += f"<span {style}>{escape(row.word)}</span> "
        return shown

    def draw(self) -> Axes:
        """Draw both parts on new Axes, which are as high as they need."""
        ax, row = plt.figure().add_axes((0, 0, 1, 1), frame_on=False, xticks=[], yticks=[]), 0
        for heading, colours in self._parts().items():
            row, column = row + 1, CHARACTERS  # the words begin on the next line
            ax.text(1, row, heading, **FONT)
            for word, colour in zip(self.words["word"], colours, strict=True):
                if column + len(word) >= CHARACTERS:
                    row, column = row + 1, 1
                ax.text(column, row, word, bbox={"fc": colour, "ec": "none", "pad": 1}, **FONT)
                column += len(word) + 1
        ax.figure.set_size_inches(WIDTH, LINE * (row + 1))
        ax.set(xlim=(0, CHARACTERS), ylim=(row + 1, 0))
        return ax


def highlight_words(model, text: str) -> Highlights:
    """The words of a review, coloured by `word_effects`; `model` as there."""
    return Highlights(word_effects(model, text), float(model.predict_proba([text])[0, 1]))


def _colours(values: pd.Series, positive: str, negative: str) -> list[str]:
    """White for 0, and for the largest value the deepest colour that black letters allow."""
    scale = LinearSegmentedColormap.from_list("", [negative, "white", positive])
    return [*map(to_hex, scale(0.5 + 0.375 * values / max(values.abs().max(), 1e-12)))]

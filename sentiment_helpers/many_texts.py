"""The words of many texts, sooner.

The plain twins are `text.clean` and `text.tokens`; `tests/test_many_texts.py` holds the words
equal. The 5.8 million pieces (what stands between white space) of 25,000 reviews are 236,000
distinct ones, each read once. Apache Arrow splits the texts and numbers the pieces, on all cores.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, repeat
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute

from sentiment_helpers import text

SLICE = 1024  # texts that Arrow splits at a time: what a processor's cache holds
SLICES = 32  # in one corpus, which takes about a kilobyte for each text
PORTION = 256  # contractions for Treebank at a time: each of its patterns has to end in 5 seconds
MISSING, END = -1, -2
# Treebank's own rule for the full stop that ends a text, but before any white space.
FULL_STOP = re.compile(r"(?<=[^.])(\.)([\])}>\"'»”’]*+)(?=\s)")
_WORD_OR_END, _TOKEN_OR_END = (re.compile(rf"{one.pattern}|\n") for one in (text.WORD, text.TOKEN))


class Corpus(NamedTuple):
    """Some texts, as the words of their distinct pieces: `words` of each of these in turn, with a
    "\\n" behind each; the numbers `pieces`, (M,) int32, of the pieces of all texts, in order; and
    `ends`, (N + 1,) int64: text n is `pieces[ends[n] : ends[n + 1]]`."""

    words: list[str]
    pieces: np.ndarray
    ends: np.ndarray

    def places(self, index: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The place in `index` of each word of each text, (W,) int32, -1 where it has none; `ends`,
        as above, but of places; and how many words of each text have a place, (N,) int64."""
        found = map({**index, "\n": END}.get, self.words, repeat(MISSING))
        found = np.fromiter(found, np.int32, len(self.words))
        ends = np.flatnonzero(found == END)
        ends = np.append(0, ends - np.arange(len(ends)))  # (P + 1,) of each distinct piece
        found, sizes = found[found != END], np.diff(ends)[self.pieces]  # (M,) words of each piece
        after = sizes.cumsum()
        # A piece's first word stands at its `ends`; each further one is one further on.
        at = np.repeat(ends[self.pieces] - (after - sizes), sizes)
        at += np.arange(len(at))
        places, ends = found[at], np.append(0, after)[self.ends]
        known = np.append(0, (places != MISSING).cumsum())[ends]
        return places, ends, np.diff(known)


def read(texts: Iterable[str], words_of: Callable[[str], list[str]]) -> Iterator[Corpus]:
    """The words that `words_of`, `text.clean` or `text.tokens`, gives for each text: a corpus
    for every 32,768 texts, and an empty one for no texts. `ValueError` as in `each_text`."""
    prepared = (text.without_markup(one).lower() for one in text.each_text(texts))
    slices = iter(lambda: list(islice(prepared, SLICE)), [])
    slices = chain([next(slices, [])], slices)  # one slice, an empty one, of no texts
    with ThreadPoolExecutor() as threads:
        while parts := list(threads.map(_numbered_pieces, islice(slices, SLICES))):
            sizes, pieces = zip(*parts, strict=True)
            pieces = pa.chunked_array(pieces).unify_dictionaries().chunks
            yield Corpus(
                _words_of_pieces(pieces[0].dictionary.to_pylist(), words_of),
                np.concatenate([numbers.indices.to_numpy() for numbers in pieces]),
                np.append(0, np.cumsum(np.concatenate(sizes))),
            )


def _numbered_pieces(texts: list[str]) -> tuple[np.ndarray, pa.DictionaryArray]:
    """How many pieces each text has, and all pieces."""
    pieces = compute.utf8_split_whitespace(pa.array(texts, pa.large_string()))
    return compute.list_value_length(pieces).to_numpy(), pieces.flatten().dictionary_encode()


def _words_of_pieces(pieces: list[str], words_of: Callable[[str], list[str]]) -> list[str]:
    """The words of all pieces in order, a "\\n" behind those of each piece. Treebank's rules get
    many contractions at once, because its thirty patterns take as long to start as to read a page.
    A word of its own, NUL, which no piece has, separates them."""
    lines = [*map(text.straighten, pieces), ""]
    found = enumerate(map(text.CONTRACTION.search, lines))
    contractions = [at for at, yes in found if yes and len(lines[at]) <= text.MAX_WORD]
    for start in range(0, len(contractions), PORTION):
        portion = contractions[start : start + PORTION]
        joined = " \0 ".join(lines[at] for at in portion) + " "
        cut = " ".join(text.treebank.tokenize(FULL_STOP.sub(r" \1 \2 ", joined)))
        for at, line in zip(portion, cut.split(" \0 "), strict=True):
            lines[at] = line
    if words_of is text.clean:
        return [w for w in _WORD_OR_END.findall("\n".join(lines)) if w not in text.STOP_WORDS]
    return _TOKEN_OR_END.findall("\n".join(lines))

"""Many texts at once: each distinct chunk of them read once. Knows no vectors.

The 5.8 million chunks of 25,000 reviews are 236,000 distinct ones. Apache Arrow splits the texts
and numbers their chunks, on all cores; what is done per word is then done per distinct chunk.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, repeat
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute
from scipy.sparse import csr_array

from sentiment_helpers.text import plain

BATCH = 1024  # texts that are split at a time: what a processor's cache holds
BATCHES = 32  # in one corpus, which takes about a kilobyte for each text
MISSING, END = -1, -2


class Corpus(NamedTuple):
    """Some texts, as the words of their distinct chunks.

    Attributes:
        words: of each distinct chunk in turn; "\\n" ends a chunk.
        chunks: (M,) int32, the number of each chunk of each text, in order.
        ends: (N + 1,) int64: text n is `chunks[ends[n] : ends[n + 1]]`.
    """

    words: list[str]
    chunks: np.ndarray
    ends: np.ndarray

    def places(self, index: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """The place in `index` of each word of each text, -1 where it has none, (W,) int32; and
        (N + 1,) int64: text n has `places[ends[n] : ends[n + 1]]`."""
        found = map({**index, "\n": END}.get, self.words, repeat(MISSING))
        found = np.fromiter(found, np.int32, len(self.words))
        ends = np.flatnonzero(found == END)
        ends = np.append(0, ends - np.arange(len(ends)))  # (C + 1,) of each distinct chunk
        found = found[found != END]
        sizes = np.diff(ends)[self.chunks]  # (M,) words of each chunk
        after = sizes.cumsum()
        # A chunk's first word stands at its `ends`; each further one is one further on.
        at = np.repeat(ends[self.chunks] - (after - sizes), sizes)
        at += np.arange(len(at))
        return found[at], np.append(0, after)[self.ends]

    def counts(self, index: Mapping[str, int]) -> tuple[csr_array, np.ndarray]:
        """(N, V) float32, V places: how often each text holds the word at each place in `index`;
        and (N,) int64, how many words each text has."""
        places, ends = self.places(index)
        known = np.append(0, known_words(places, ends).cumsum())
        counts = csr_array(
            (np.ones(known[-1], np.float32), places[places != MISSING], known),
            (len(known) - 1, len(index)),
        )
        counts.sum_duplicates()
        return counts, np.diff(ends)


NO_TEXTS = Corpus([], np.empty(0, np.int32), np.zeros(1, np.int64))


def known_words(places: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(N,) int64: of each text's words, how many have a place; arguments as `Corpus.places` gives
    them."""
    return np.diff(np.append(0, (places != MISSING).cumsum())[ends])


def read(texts: Iterable[str], words_of: Callable[[list[str]], list[str]]) -> Iterator[Corpus]:
    """The texts in slices, of which `words_of` (one of `text.chunk_words` and `text.chunk_tokens`)
    says what a chunk's words are.

    Raises:
        ValueError: `texts` is one string instead of several, or holds something else.
    """
    texts = _checked(texts)
    with ThreadPoolExecutor() as threads:
        while parts := list(threads.map(_split, islice(_batches(texts), BATCHES))):
            lengths, chunks = zip(*parts, strict=True)
            chunks = pa.chunked_array(chunks).unify_dictionaries().chunks
            yield Corpus(
                words_of(chunks[0].dictionary.to_pylist()),
                np.concatenate([numbers.indices.to_numpy() for numbers in chunks]),
                np.append(0, np.cumsum(np.concatenate(lengths))),
            )


def _batches(texts: Iterator[str]) -> Iterator[list[str]]:
    while batch := [plain(text) for text in islice(texts, BATCH)]:
        yield batch


def _split(texts: list[str]) -> tuple[np.ndarray, pa.DictionaryArray]:
    """How many chunks each text has, and all chunks."""
    pieces = compute.utf8_split_whitespace(pa.array(texts, pa.large_string()))
    return compute.list_value_length(pieces).to_numpy(), pieces.flatten().dictionary_encode()


def _checked(texts: Iterable[str]) -> Iterator[str]:
    """The texts one by one; `ValueError` where they are not texts."""
    if isinstance(texts, str):
        raise ValueError("one text was given where several are expected: put it into a list")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {number} is {text!r}, which is no string")
        yield text

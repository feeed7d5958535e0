"""A table of reviews in, the same table with predictions out: a file, a DataFrame, a cluster's."""

import ctypes
import gzip
import io
import math
import os
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TextIO

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.pipeline import Pipeline

from sentiment_helpers.features import CorpusTransformer
from sentiment_helpers.files import path_of, resolve, written_whole
from sentiment_helpers.metrics import Scores, evaluate
from sentiment_helpers.reviews import EMPTY, UNDECIDED, UNREADABLE, Labels, text_in
from sentiment_helpers.saving import CheckpointError, load
from sentiment_helpers.tables import PART_ROWS, ReviewFileError, open_table

ADDED_COLUMNS = ("probability", "prediction")


@dataclass(frozen=True)
class ScoreReport:
    """Counts and figures of a scored file."""

    rows: int
    scored: int  # rows with a review
    empty: int  # rows without one
    without_known_word: int  # scored rows in which the model knows no word
    known_words: float  # share of the words in scored rows; NaN if none were counted
    taught: int  # scored rows whose review taught the model
    undecided: int  # scored rows rated between 4 and 7; `scores` leaves them out
    unreadable: int  # scored rows whose label is empty or neither positive nor negative; likewise
    scores: Scores | None  # of the other scored rows with a label; None if there are none
    new_scores: Scores | None  # of those that did not teach the model, where some rows did
    label_error: str = ""  # why the labels are not understood; then none counts

    def __str__(self) -> str:
        counts = {UNDECIDED: self.undecided, UNREADABLE: self.unreadable, EMPTY: self.empty}
        counts["without a known word"] = self.without_known_word
        text = f"{self.rows:,} rows: {self.scored:,} scored"
        text += "".join(f", {count:,} {what}" for what, count in counts.items() if count)
        text += f"; {self.known_words:.1%} of the words known" if self.known_words >= 0 else ""
        if self.taught:
            text += f"\n{self.taught:,} rows taught this model: their figures say what it remembers"
        for name, scores in (("", self.scores), ("of the other rows: ", self.new_scores)):
            if scores:
                figures = (f"{k} {v:.4f}" for k, v in scores._asdict().items())
                text += "\n" + name + ", ".join(figures)
        return text + (f"\nno figures, since {self.label_error}" if self.label_error else "")


def score_csv(
    model: ClassifierMixin,
    source: str | os.PathLike,
    destination: str | os.PathLike | None = None,
    *,
    column: str = "review",
    encoding: str = "utf-8",
    quotes: str | None = None,
    overwrite: bool = False,
    verbose: bool = False,
) -> ScoreReport:
    """Score a file of reviews. With `destination`, write it again with two more columns:
    `probability` (of positive) and `prediction` (0 or 1), both empty where the review is. Rows keep
    their order and their cells' text. A table in memory is scored by `score_partition`.

    Args:
        source, column, encoding, quotes, verbose: see `open_table`; both files have this encoding.
        destination: a file, compressed if its name ends in .gz, or "-" for standard output, which
            a notebook shows. A file appears when it is complete; `overwrite` allows to replace one.

    `ReviewFileError` if `source` is refused by `open_table`, has one of the two columns already, or
    is `destination` itself; `OSError` if `destination` cannot be written, or exists without
    `overwrite`; `CheckpointError` if a probability is not finite.
    """
    output = os.devnull if destination is None else os.fspath(destination)
    counts, found, predicted, taught = Counter(), [], array("d"), array("b")  # 17 bytes a row
    with (
        open_table(source, column, encoding, quotes, verbose) as table,
        _written(os.fspath(source), output, encoding, overwrite) as file,
    ):
        if clash := {*ADDED_COLUMNS} & {*table.columns}:
            raise ReviewFileError(f"{table.name} already has a column {min(clash)}: rename it")
        labels = Labels(table.label)
        file.write(table.line([*table.columns, *ADDED_COLUMNS]))
        parts = table.parts(PART_ROWS)
        for part, probabilities, old, counted in _score_parts(model, table.review, parts):
            for row, p in zip(part.to_numpy(), probabilities.tolist(), strict=True):
                added = ("", "") if math.isnan(p) else (repr(p), str(int(p > 0.5)))
                file.write(table.line([*row, *added]))
            counts.update(counted, rows=len(part))
            there = ~np.isnan(probabilities)
            predicted.extend(probabilities[there])
            taught.extend(old[there].tolist())
            if table.label:
                found += labels.read(part[table.label][there])
    if error := labels.error():
        found = []
    rows = [row for row in zip(found, predicted, taught, strict=False) if row[0] in (0, 1)]
    new = [row for row in rows if not row[2]] if counts["taught"] else []
    scores = [evaluate(*[*zip(*some, strict=True)][:2]) if some else None for some in (rows, new)]
    return ScoreReport(
        **{name: counts[name] for name in ("rows", "scored", "without_known_word", "taught")},
        empty=counts["rows"] - counts["scored"],
        known_words=counts["known"] / counts["words"] if counts["words"] else math.nan,
        undecided=found.count(UNDECIDED),
        unreadable=found.count(UNREADABLE),
        scores=scores[0],
        new_scores=scores[1],
        label_error=error,
    )


def score_partition(
    table: pd.DataFrame,
    model: str | os.PathLike | ClassifierMixin = "models/RNN.pt",
    column: str = "review",
) -> pd.DataFrame:
    """A copy of `table` with two more columns: `probability` (of positive, float64) and
    `prediction` (Int64: 0 or 1), both missing where the review is empty (see `reviews.NO_TEXT`).

    A cluster can send this function to its workers; each process loads a file `model` once.
    `CheckpointError` if it cannot (see `load`). `ValueError` if `table` has no or several columns
    of that name, or one of the two already.
    """
    if (count := list(table.columns).count(column)) != 1:
        found = ", ".join(map(str, table.columns))
        raise ReviewFileError(f"{count or 'no'} columns are named {column}: the table has {found}")
    if clash := set(ADDED_COLUMNS) & set(table.columns):
        raise ReviewFileError(f"there is already a column named {min(clash)}: rename it")
    model = _loaded(model) if isinstance(model, str | os.PathLike) else model
    parts = (table.iloc[at : at + PART_ROWS] for at in range(0, len(table), PART_ROWS))
    probabilities = np.concatenate([[], *(p for _, p, _, _ in _score_parts(model, column, parts))])
    positive = pd.array(np.where(np.isnan(probabilities), np.nan, probabilities > 0.5), "Int64")
    return table.assign(probability=probabilities, prediction=positive)


def score_texts(model, texts: list[str]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Probabilities (N,) float64 of the positive class, NaN for empty texts; which texts taught the
    model, (N,) bool; and counts: "scored" texts; for models of this package also their "words", the
    "known" ones, and the texts "without_known_word" and "taught". `CheckpointError` if a
    probability is not finite."""
    scored = [place for place, text in enumerate(texts) if text_in(text)]
    probabilities, taught = np.full(len(texts), np.nan), np.zeros(len(texts), bool)
    counts = {"scored": len(scored)}
    if scored:
        inputs = [texts[place] for place in scored]
        if isinstance(model, Pipeline) and isinstance(model[0], CorpusTransformer):
            taught[scored] = model[0].taught_by(inputs)
            inputs, words, known = model[0].transform_counted(inputs)
            counts |= {"words": int(words.sum()), "known": int(known.sum())}
            counts |= {"without_known_word": int((known == 0).sum()), "taught": int(taught.sum())}
            model = model[1:]
        probabilities[scored] = model.predict_proba(inputs)[:, 1]
    if not np.isfinite(probabilities[scored]).all():
        raise CheckpointError("the model gives probabilities that are not finite: train it again")
    return probabilities, taught, counts


def _score_parts(
    model: ClassifierMixin, column: str, parts: Iterable[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, np.ndarray, np.ndarray, dict[str, int]]]:
    """Each part, in order, and what `score_texts` gives for it."""
    for part in parts:
        yield part, *score_texts(model, part[column].astype("string").fillna("").tolist())
        with suppress(AttributeError, OSError, TypeError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)  # or it keeps a gigabyte of gaps between parts


def _loaded(path: str | os.PathLike) -> ClassifierMixin:
    """The model in a file, which each process loads once, and again if the file is replaced."""
    place = os.path.realpath(resolve(path))
    with suppress(OSError):  # `load` says what is wrong with it
        found = os.stat(place)
        return _kept(place, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    return load(path)


@lru_cache(maxsize=2)
def _kept(path: str, *version: int) -> ClassifierMixin:
    return load(path)


@contextmanager
def _written(source: str, destination: str, encoding: str, overwrite: bool) -> Iterator[TextIO]:
    """A text file that becomes `destination` when the block ends. It is never the input, nor
    another file without `overwrite`, even one that appears meanwhile."""
    if destination == "-" and not hasattr(sys.stdout, "buffer"):  # a notebook's takes only text
        return (yield sys.stdout)
    given = 0 if source == "-" else resolve(source)
    there = 1 if destination == "-" else path_of(destination)
    if os.path.isfile(there) and os.path.samefile(given, there):
        raise ReviewFileError("the output is the input: give the output another name")
    _refuse_existing(there, destination, overwrite)
    target = nullcontext(there) if destination in ("-", os.devnull) else written_whole(destination)
    with target as place, open(place, "wb", closefd=place != 1) as raw:
        # Without a name and a time in it: the same rows give the same bytes.
        binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if destination.endswith(".gz") else raw
        with io.TextIOWrapper(binary, encoding, newline="") as file:
            yield file
        _refuse_existing(there, destination, overwrite)


def _refuse_existing(there: int | os.PathLike, destination: str, overwrite: bool) -> None:
    if there != 1 and os.path.isfile(there) and not overwrite:
        raise FileExistsError(f"{destination} exists: give --force (overwrite=True)")

"""A file of reviews in, the same file with probabilities out, in bounded memory. Trains nothing."""

import gzip
import io
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TextIO

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.metrics import Scores, Tally
from sentiment_helpers.saving import load
from sentiment_helpers.storage.files import resolve, written_whole
from sentiment_helpers.storage.review_table import ReviewTable, Row
from sentiment_helpers.storage.text_file import ReviewFileError
from sentiment_helpers.workers import score_in_order, score_texts

CHUNK = 8192  # rows scored at a time
ADDED_COLUMNS = ("probability", "prediction")


@dataclass(frozen=True)
class ScoreReport:
    """What scoring a file came to.

    Attributes:
        rows: in the file.
        scored: rows with a review.
        without_known_word: scored rows in which the model knows no word, or that have none.
        known_words: the share of the words in scored rows that the model knows; NaN where there
            are none, or where the model is none of this package's.
        undecided, unreadable: scored rows that are not in `scores` though the file has labels:
            rated between 4 and 7, and those whose label says neither positive nor negative.
        seconds: that it took.
        scores: on the rows that have a label too; None where no row has.
    """

    rows: int
    scored: int
    without_known_word: int
    known_words: float
    undecided: int
    unreadable: int
    seconds: float
    scores: Scores | None

    @property
    def empty(self) -> int:
        """Rows without a review."""
        return self.rows - self.scored

    @property
    def rows_per_second(self) -> float:
        return self.rows / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        unknown = self.without_known_word
        known = f", {unknown:,} without a known word" if unknown or self.known_words >= 0 else ""
        known += f"; {self.known_words:.1%} of the words known" if self.known_words >= 0 else ""
        left_out = f", {self.undecided:,} rated between 4 and 7" if self.undecided else ""
        left_out += f", {self.unreadable:,} with an unreadable label" if self.unreadable else ""
        text = (
            f"{self.rows:,} rows: {self.scored:,} scored{left_out}, {self.empty:,} empty"
            f"{known}; {self.rows_per_second:,.0f} rows per second"
        )
        if self.scores is None:
            return text
        return f"{text}\n" + ", ".join(f"{k} {v:.4f}" for k, v in self.scores._asdict().items())


def score_csv(
    pipeline: Pipeline | Blend,
    source: str | os.PathLike,
    destination: str | os.PathLike | None = None,
    *,
    column: str = "review",
    encoding: str = "utf-8",
    workers: int = 1,
    overwrite: bool = False,
    verbose: bool = False,
) -> ScoreReport:
    """Score each review of a CSV or tab-separated file; with `destination`, write a copy there
    with the columns `probability` (of positive) and `prediction` (0 or 1) added.

    All rows stay as they stand in `source`, in order, byte by byte, and the cells are added behind
    them; a row without a review gets empty ones. The copy appears when it is whole and on disk.
    Memory does not grow with the file.

    Args:
        source: a file, one compressed by gzip too, or "-" for standard input.
        destination: a file, compressed where its name ends in .gz, or "-" for standard output.
        column: the name of the column with the reviews, in any case.
        encoding: of `source`, and of the copy.
        workers: processes that score, each with the model in its memory; what is written does not
            depend on their number. As with every use of processes, a script that asks for more
            than one needs ``if __name__ == "__main__":``.
        overwrite: whether `destination` may be there already.
        verbose: shows progress bars on standard error.

    Raises:
        ReviewFileError: `source` cannot be read as reviews (see `ReviewTable.open`), has one of
            the added columns already, or is `destination` itself.
        FileExistsError: `destination` is there, and not to be overwritten.
        OSError: `destination` cannot be written, or a worker process died.
        CheckpointError: `pipeline` gives a probability that is not finite.
        ValueError: `workers` is below 1.
    """
    start = time.perf_counter()
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    if destination is not None:
        _check_place(source, destination, overwrite)
    with ReviewTable.open(source, column, encoding, verbose) as table:
        if clash := [column for column in ADDED_COLUMNS if column in table.columns]:
            raise ReviewFileError(f"{table.name} already has a column named {clash[0]}: rename it")
        with (
            _written(destination, table.source.encoding, overwrite) as file,
            table.source.progress("scoring", verbose) as bar,
        ):
            if file:
                file.write(_longer(table.header, table.separator, ADDED_COLUMNS))
            counts, tally = Counter(), Tally()
            chunks = ((_reviews(rows, table), (rows, at)) for rows, at in table.blocks(CHUNK))
            for (rows, position), scored in score_in_order(pipeline, chunks, workers):
                if file:
                    file.write(_with_cells(rows, table, scored.probabilities))
                counts.update(scored.counts, rows=sum(bool(row.fields) for row in rows))
                if table.label is not None:
                    counts.update(_tallied(rows, table, scored.probabilities, tally))
                bar.update(position - bar.n)
    return ScoreReport(
        rows=counts["rows"],
        scored=counts["scored"],
        without_known_word=counts["without_known_word"],
        known_words=counts["known"] / counts["words"] if counts["words"] else float("nan"),
        undecided=counts["undecided"],
        unreadable=counts["unreadable"],
        seconds=time.perf_counter() - start,
        scores=tally.scores(),
    )


def _reviews(rows: list[Row], table: ReviewTable) -> list[str]:
    return [row.fields[table.review] for row in rows if _has_review(row, table)]


def _has_review(row: Row, table: ReviewTable) -> bool:
    return bool(row.fields and row.fields[table.review].strip())


def _with_cells(rows: list[Row], table: ReviewTable, probabilities: np.ndarray) -> str:
    """The rows as they stand, with the added cells."""
    positive = iter(probabilities.tolist())
    lines = []
    for row in rows:
        if _has_review(row, table):
            probability = next(positive)
            cells = (repr(probability), str(int(probability > 0.5)))
            lines.append(_longer(row.text, table.separator, cells))
        elif row.fields:
            lines.append(_longer(row.text, table.separator, ("", "")))
        else:
            lines.append(row.text)
    return "".join(lines)


def _longer(line: str, separator: str, cells: Iterable[str]) -> str:
    """A line of a table with more cells, before its own end."""
    body = line.rstrip("\r\n")
    return separator.join([body, *cells]) + line[len(body) :]


def _tallied(
    rows: list[Row], table: ReviewTable, probabilities: np.ndarray, tally: Tally
) -> dict[str, int]:
    """Adds the rows with a label to `tally`; of the others, how many are of which kind."""
    labels = np.array(
        [_label(row.fields, table) for row in rows if _has_review(row, table)], np.int64
    )
    if (told := labels >= 0).any():
        tally.add(labels[told], probabilities[told])
    return {
        "undecided": int((labels == _UNDECIDED).sum()),
        "unreadable": int((labels == _UNREADABLE).sum()),
    }


_UNDECIDED, _UNREADABLE = -1, -2


def _label(fields: list[str], table: ReviewTable) -> int:
    try:
        label = table.label_of(fields)
    except ValueError:
        return _UNREADABLE
    return _UNDECIDED if label is None else label


def _check_place(
    source: str | os.PathLike, destination: str | os.PathLike, overwrite: bool
) -> None:
    """Whether `destination` may be written at all."""
    there, given = _status(destination, 1), _status(resolve(source), 0)
    if there and given and stat.S_ISREG(there.st_mode) and os.path.samestat(there, given):
        where = "the output" if os.fspath(destination) == "-" else destination
        raise ReviewFileError(f"{where} is the input: give the output another name")
    if os.fspath(destination) != "-" and not overwrite:
        _check_new(destination)


def _status(path: str | os.PathLike, descriptor: int) -> os.stat_result | None:
    """Of a file, or for "-" of a standard stream; None where there is none."""
    with suppress(OSError):
        return os.fstat(descriptor) if os.fspath(path) == "-" else Path(path).stat()


def _check_new(destination: str | os.PathLike) -> None:
    if Path(destination).is_file():
        raise FileExistsError(
            f"{destination} is there already: give another name, or --force (overwrite=True)"
        )


@contextmanager
def _written(
    destination: str | os.PathLike | None, encoding: str, overwrite: bool
) -> Iterator[TextIO | None]:
    """Where the scored rows are written; None where they are not."""
    if destination is None:
        yield None
    elif os.fspath(destination) == "-":
        file = io.TextIOWrapper(sys.stdout.buffer, encoding, newline="")
        try:
            yield file
            file.flush()
        finally:
            file.detach()
    else:
        with written_whole(destination) as temporary, temporary.open("wb") as raw:
            packed = os.fspath(destination).endswith(".gz")
            # Without a name and a time inside, so that the same rows are the same bytes.
            binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if packed else raw
            with io.TextIOWrapper(binary, encoding, newline="") as file:
                yield file
            if not overwrite:  # somebody else may have written it meanwhile
                _check_new(destination)


_loading = Lock()


def score_partition(
    table: pd.DataFrame, model: str | os.PathLike = "models/RNN.pt", column: str = "review"
) -> pd.DataFrame:
    """A copy of `table` with the columns `probability` (of positive, float64) and `prediction`
    (Int64: 0 or 1) added; both are missing where the review is.

    A plain function, so that a cluster can send it to its workers; each process loads `model`
    once. With ``functools.partial``, or as keywords of Dask's `map_partitions`, it is told another
    model or column.

    Raises:
        CheckpointError: `model` cannot be loaded, see `load`.
        ValueError: `table` has no column of that name or two, or one of the added ones already.
    """
    if column not in table.columns:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"there is no column named {column}, but {found}: say which (column)")
    if list(table.columns).count(column) > 1:
        raise ValueError(f"there are several columns named {column}: rename all but one")
    if clash := set(ADDED_COLUMNS) & set(table.columns):
        raise ValueError(f"there is already a column named {min(clash)}: rename it")
    given = table[column]
    there = given.notna() & (given.astype("string").str.strip() != "").fillna(False)
    probabilities = np.full(len(table), np.nan)
    with _loading:  # threads of one process wait for one another instead of loading it twice
        loaded = _loaded(os.fspath(resolve(model)))
    texts = given[there].astype(str).tolist()
    probabilities[there.to_numpy(bool)] = score_texts(loaded, texts).probabilities
    positive = pd.array(probabilities > 0.5, "Int64")
    positive[np.isnan(probabilities)] = pd.NA
    return table.assign(**dict(zip(ADDED_COLUMNS, (probabilities, positive), strict=True)))


_loaded = lru_cache(maxsize=2)(load)

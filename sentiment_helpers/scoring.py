"""A file of reviews in, the same file with probabilities out, in bounded memory. Trains nothing."""

import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from sklearn.pipeline import Pipeline
from tqdm import tqdm

from sentiment_helpers.files import written_whole
from sentiment_helpers.metrics import Scores, evaluate
from sentiment_helpers.reviews import ReviewFileError, ReviewTable

CHUNK = 8192  # rows scored at a time
ADDED_COLUMNS = ("probability", "prediction")


@dataclass(frozen=True)
class ScoreReport:
    """What scoring a file came to.

    Attributes:
        rows: in the file.
        scored: rows with a review.
        scores: on the rows that have a label too; None where no row has.
    """

    rows: int
    scored: int
    scores: Scores | None


def score_csv(
    pipeline: Pipeline,
    source: str | os.PathLike,
    destination: str | os.PathLike | None = None,
    verbose: bool = False,
) -> ScoreReport:
    """Score each review of a CSV or tab-separated file; with `destination`, write a copy there
    with the columns `probability` (of positive) and `prediction` (0 or 1) added.

    All rows stay as they stand in `source`, in order, character by character, and the cells are
    added behind them; a row without a review gets empty ones. The copy appears when it is whole.
    `verbose` shows a progress bar.

    Raises:
        ReviewFileError: `source` cannot be read as reviews (see `ReviewTable.open`), has one of
            the added columns already, or is `destination` itself.
        OSError: `destination` cannot be written.
    """
    table = ReviewTable.open(source)
    if clash := [column for column in ADDED_COLUMNS if column in table.columns]:
        raise ReviewFileError(f"{table.path} already has a column named {clash[0]}: rename it")
    if destination is None:
        return _score(pipeline, table, None, verbose)
    if Path(destination).exists() and table.path.samefile(destination):
        raise ReviewFileError(f"{table.path} is the input: give the output another name")
    with (
        written_whole(destination) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write(_longer(table.header, table.separator, ADDED_COLUMNS))
        return _score(pipeline, table, file, verbose)


def _score(
    pipeline: Pipeline, table: ReviewTable, file: TextIO | None, verbose: bool
) -> ScoreReport:
    """Score all rows, write them to `file` if there is one, and count."""
    scored, labels, probabilities = 0, array("b"), array("d")  # 9 bytes a labelled row
    with tqdm(total=table.num_rows, unit=" reviews", disable=not verbose) as bar:
        for rows in _chunks(table.rows()):
            reviews = [row[table.review] for row, _ in rows if row[table.review].strip()]
            positive = iter(pipeline.predict_proba(reviews)[:, 1] if reviews else ())
            scored += len(reviews)
            for row, text in rows:
                cells = ["", ""]
                if row[table.review].strip():
                    probability = float(next(positive))
                    cells = [repr(probability), str(int(probability > 0.5))]
                    if (label := _label(table, row)) is not None:
                        labels.append(label)
                        probabilities.append(probability)
                if file is not None:
                    file.write(_longer(text, table.separator, cells))
            bar.update(len(rows))
    scores = evaluate(np.array(labels), np.array(probabilities)) if labels else None
    return ScoreReport(table.num_rows, scored, scores)


def _longer(line: str, separator: str, cells: Iterable[str]) -> str:
    """A line of a table with more cells, before its own end."""
    body = line.rstrip("\r\n")
    return separator.join([body, *cells]) + (line[len(body) :] or "\n")


def _chunks(rows: Iterator[tuple[list[str], str]]) -> Iterator[list[tuple[list[str], str]]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _label(table: ReviewTable, row: list[str]) -> int | None:
    """The row's label, where there is a column for it and it can be read."""
    if table.label is None:
        return None
    try:
        return table.label_of(row)
    except ValueError:
        return None

"""CSV and tab-separated files of reviews, row by row as they stand. Cleans and scores nothing."""

import csv
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from sentiment_helpers.storage.text_file import BINARY, BOM, MAX_ROW, Lines, ReviewFileError, Source

LABEL_COLUMNS = ("label", "sentiment", "rating")
LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}
MAX_CHUNK = 2**23  # characters that are in memory at once, whatever the number of their rows


class Row(NamedTuple):
    """A row's `fields`; none of an empty line, which is no row. And its `text` as it stands in the
    file, with the end of its line."""

    fields: list[str]
    text: str


@dataclass(frozen=True)
class ReviewTable:
    """A CSV or tab-separated file that was read through once and found to be whole.

    `header` is the first row as it stands, with its byte-order mark and the end of its line;
    `review` and `label` are column numbers (`label` is None without labels); `num_rows` leaves out
    the header.
    """

    source: Source
    separator: str
    quoting: int
    header: str
    columns: list[str]
    review: int
    label: int | None
    num_rows: int

    @classmethod
    @contextmanager
    def open(
        cls,
        source: str | os.PathLike,
        column: str = "review",
        encoding: str = "utf-8",
        verbose: bool = False,
    ) -> Iterator["ReviewTable"]:
        """The table in a file, in one compressed by gzip, or in standard input ("-").

        Found out are the separator (comma, tab or semicolon: the one that parts off `column`),
        and whether each row has as many fields as the header. Quotation marks are what RFC 4180
        makes of them; between tabs they may be characters like any other, unless some row shows
        that they quote. `verbose` shows a progress bar.

        Raises:
            ReviewFileError: missing, empty, no text in `encoding`, damaged, no column of that
                name, or an uneven row.
        """
        with Source.open(source, encoding) as opened:
            yield cls(opened, "", 0, "", [], 0, None, 0)._understood(column, verbose)

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.source.name

    def _understood(self, column: str, verbose: bool) -> "ReviewTable":
        """With all that is found out by reading it."""
        found, unreadable, uneven = [], None, None
        ways = [(csv.QUOTE_MINIMAL, separator) for separator in ",\t;"]
        for quoting, separator in [*ways, (csv.QUOTE_NONE, "\t")]:
            table = replace(self, quoting=quoting, separator=separator)
            if quoting == csv.QUOTE_NONE and table._quotes():
                continue
            try:
                table = table._with_header(column)
            except ReviewFileError as error:
                unreadable = unreadable or error
                continue
            found.append(table.columns)
            if table.review >= 0:
                try:
                    return replace(table, num_rows=table._counted(verbose))
                except ReviewFileError as error:
                    uneven = uneven or error
        if uneven or not found:
            raise uneven or unreadable
        columns = [repr(name[:60]) for name in max(found, key=len)]
        more = f" and {len(columns) - 20} more" if len(columns) > 20 else ""
        raise ReviewFileError(
            f"{self.name} has no column named {column}; its columns are {', '.join(columns[:20])}"
            f"{more}: say which holds the reviews (--column)"
        )

    def _counted(self, verbose: bool) -> int:
        """How many rows there are; each is read, and none kept, which in short rows would keep the
        garbage collector busy."""
        count = 0
        with self.source.lines() as lines, self.source.progress("checking", verbose) as bar:
            for fields, _ in self._records(lines):
                count += bool(fields)
                bar.update(lines.position() - bar.n)
        return count - 1

    def _quotes(self) -> bool:
        """Whether some row, before one that breaks the rules, shows that quotation marks quote: a
        separator or a line end is between them, or all fields are. So it is in a single column."""
        strict = replace(self, quoting=csv.QUOTE_MINIMAL)
        with suppress(ReviewFileError), self.source.lines() as lines:
            for fields, text in strict._records(lines):
                pieces = re.split(f"[{self.separator}\r\n]", text.rstrip("\r\n"))
                quoted = len(pieces) > len(fields) or all(re.fullmatch('".*"', p) for p in pieces)
                if fields and (quoted or len(fields) == 1):
                    return True
        return False

    def _with_header(self, column: str) -> "ReviewTable":
        """With what the first row says; `review` is -1 where it names no such column."""
        with self.source.lines() as lines:
            columns, header = next(self._records(lines), Row([], ""))
        if "\0" in header:
            raise ReviewFileError(f"{self.name} {BINARY}")
        if not header.strip(BOM + "\r\n\t ,;"):
            raise ReviewFileError(f"{self.name} does not begin with the names of its columns")
        names = [name.strip().lower() for name in columns]
        places = [columns.index(column)] if column in columns else []
        places += [n for n, name in enumerate(names) if name == column.strip().lower()]
        review = [*places, -1][0]
        others = [name if n != review else "" for n, name in enumerate(names)]
        label = next((others.index(name) for name in LABEL_COLUMNS if name in others), None)
        return replace(self, header=header, columns=columns, review=review, label=label)

    def rows(self) -> Iterator[Row]:
        """Each row below the header, and each empty line."""
        for rows, _ in self.chunks(1024):
            yield from rows

    def chunks(self, size: int) -> Iterator[tuple[list[Row], int]]:
        """As `rows`, in lists of `size`, or shorter ones of long rows; with each, how many bytes of
        the file were read so far."""
        with self.source.lines() as lines:
            rows = self._records(lines)
            next(rows, None)
            chunk, characters = [], 0
            for row in rows:
                chunk.append(row)
                characters += len(row.text)
                if len(chunk) == size or characters >= MAX_CHUNK:
                    yield chunk, lines.position()
                    chunk, characters = [], 0
            if chunk:
                yield chunk, lines.position()

    def _records(self, lines: Lines) -> Iterator[Row]:
        """All rows, the header among them."""
        csv.field_size_limit(MAX_ROW)
        reader = csv.reader(lines, delimiter=self.separator, quoting=self.quoting, strict=True)
        try:
            for fields in reader:
                if self.columns and fields and len(fields) != len(self.columns):
                    raise ReviewFileError(
                        f"{self.name}: line {reader.line_num} ends a row of {len(fields)} fields, "
                        f"the header has {len(self.columns)}"
                    )
                yield Row(fields, lines.taken())
        except csv.Error as error:
            raise ReviewFileError(
                f"{self.name}: line {reader.line_num}: {error}; a quoted field ends with its "
                f"second quotation mark, those inside are doubled"
            ) from None

    def label_of(self, fields: list[str]) -> int | None:
        """1 or 0 as the row's label or rating says; None for a rating between 4 and 7.

        Raises `ValueError` where it is neither.
        """
        text = fields[self.label].strip().lower()
        if self.columns[self.label].strip().lower() != "rating":
            if text.removesuffix(".0") not in LABELS:
                raise ValueError(f"{text!r} is none of {', '.join(LABELS)}")
            return LABELS[text.removesuffix(".0")]
        rating = float(text) if re.fullmatch(r"[0-9]+\.?[0-9]*", text) else math.nan
        if not 1 <= rating <= 10:
            raise ValueError(f"{text!r} is no rating from 1 to 10")
        return 1 if rating >= 7 else 0 if rating <= 4 else None

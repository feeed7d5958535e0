"""CSV and tab-separated files of reviews, row by row, exactly as they are in the file."""

import csv
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sentiment_helpers.storage.text_file import BINARY, BOM, MAX_ROW, Lines, ReviewFileError, Source

LABEL_COLUMNS = ("label", "sentiment", "rating")
LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}
MAX_BLOCK_SIZE = 2**23  # characters of a block of rows, however few rows they are
# Separator and quoting. The first that gives a whole table is taken.
_DIALECTS = [(separator, csv.QUOTE_MINIMAL) for separator in ",\t;"] + [("\t", csv.QUOTE_NONE)]


class Row(NamedTuple):
    """A row's fields (none in an empty line, which does not count) and its text in the file."""

    fields: list[str]
    text: str


@dataclass(frozen=True)
class ReviewTable:
    """A CSV or tab-separated file that was read once and has no uneven row. `header` is the first
    row's text, with its byte-order mark and line end; `columns` are its fields; `review` and
    `label` are column numbers (`label` may be None); `num_rows` does not count the header."""

    source: Source
    separator: str
    quoting: int
    header: str = ""
    columns: list[str] = field(default_factory=list)
    review: int | None = None
    label: int | None = None
    num_rows: int = 0

    @classmethod
    @contextmanager
    def open(
        cls,
        source: str | os.PathLike,
        column: str = "review",
        encoding: str = "utf-8",
        verbose: bool = False,
    ) -> Iterator["ReviewTable"]:
        """The table in a file, compressed by gzip or not, or in standard input ("-").

        Detects the separator: the comma, tab or semicolon that separates `column` from the other
        columns, with as many fields in each row as in the header. Quotation marks follow RFC 4180.
        In a tab-separated file they may be ordinary characters, unless a row shows that they quote.
        `verbose` shows a progress bar.

        `ReviewFileError` if the file cannot be read (see `Source.open`), is not text in
        `encoding`, has no column of that name, or has an uneven row.
        """
        with Source.open(source, encoding) as opened:
            failures = []
            for separator, quoting in _DIALECTS:
                table = cls(opened, separator, quoting)
                if quoting == csv.QUOTE_NONE and table._quotes():
                    continue
                try:
                    table = table._with_header(column)
                    if table.review is None:
                        advice = f"choose one of {', '.join(map(repr, table.columns)):.1000}"
                        why = f"has no column {column}: {advice} (--column)"
                        raise ReviewFileError(f"{opened.name} {why}")
                    table = replace(table, num_rows=table._count_rows(verbose))
                    break
                except ReviewFileError as error:
                    failures.append((table.review is not None, len(table.columns), error))
            else:
                raise max(failures, key=lambda failure: failure[:2])[2]  # that came farthest
            yield table

    def rows(self) -> Iterator[Row]:
        """The rows below the header, and empty lines."""
        return (row for rows, _ in self.blocks(1024) for row in rows)

    def blocks(self, max_rows: int) -> Iterator[tuple[list[Row], int]]:
        """Lists of at most `max_rows` rows (fewer if they are long), each with the number of bytes
        read so far."""
        with self.source.lines() as lines:
            records = self._records(lines)
            next(records, None)
            rows, size = [], 0
            for row in records:
                rows.append(row)
                size += len(row.text)
                if len(rows) == max_rows or size >= MAX_BLOCK_SIZE:
                    yield rows, lines.position()
                    rows, size = [], 0
            if rows:
                yield rows, lines.position()

    def label_of(self, fields: list[str]) -> int | None:
        """1 or 0, from the label or rating; None between 4 and 7; `ValueError` for other text."""
        column, text = (row[self.label].strip().lower() for row in (self.columns, fields))
        if column == "rating":
            rating = float(text) if re.fullmatch(r"[0-9]+\.?[0-9]*", text) else 0
            if not 1 <= rating <= 10:
                raise ValueError(f"{column} {text!r} is not a number from 1 to 10")
            return 1 if rating >= 7 else 0 if rating <= 4 else None
        if (label := LABELS.get(text.removesuffix(".0"))) is None:
            raise ValueError(f"{column} {text!r} is none of {', '.join(LABELS)}")
        return label

    def _quotes(self) -> bool:
        """Whether a row, before the first that breaks the rules, shows that quotation marks quote:
        a separator or line end is inside them, all fields have them, or there is one column."""
        quoting = replace(self, quoting=csv.QUOTE_MINIMAL)
        with suppress(ReviewFileError), self.source.lines() as lines:
            for fields, text in quoting._records(lines):
                pieces = re.split(f"[{self.separator}\r\n]", text.rstrip("\r\n"))
                quoted = len(pieces) > len(fields) or all(re.fullmatch('".*"', p) for p in pieces)
                if fields and (quoted or len(fields) == 1):
                    return True
        return False

    def _with_header(self, column: str) -> "ReviewTable":
        """With the columns of the first row; `review` is None if none has that name."""
        with self.source.lines() as lines:
            columns, header = next(self._records(lines), Row([], ""))
        if "\0" in header:
            raise ReviewFileError(f"{self.source.name} {BINARY}")
        if not header.strip(BOM + "\r\n\t ,;"):
            raise ReviewFileError(f"{self.source.name} begins without the names of its columns")
        names = [name.strip().lower() for name in columns]
        named = [n for n, name in enumerate(names) if name == column.strip().lower()]
        review = min(named, key=lambda n: columns[n] != column, default=None)  # exact one first
        if review is not None:
            names[review] = ""  # it is not the label, whatever its name
        label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
        return replace(self, header=header, columns=columns, review=review, label=label)

    def _count_rows(self, verbose: bool) -> int:
        # No row is kept: many small lists would keep the garbage collector busy.
        count = -1
        with self.source.lines() as lines, self.source.progress("checking", verbose) as bar:
            for fields, _ in self._records(lines):
                count += bool(fields)
                bar.update(lines.position() - bar.n)
        return count

    def _records(self, lines: Lines) -> Iterator[Row]:
        """All rows, the header first."""
        csv.field_size_limit(MAX_ROW)
        reader = csv.reader(lines, delimiter=self.separator, quoting=self.quoting, strict=True)
        try:
            for fields in reader:
                if self.columns and fields and len(fields) != len(self.columns):
                    raise csv.Error(f"{len(fields)} fields, the header has {len(self.columns)}")
                yield Row(fields, lines.take_row())
        except csv.Error as error:
            raise ReviewFileError(
                f"{self.source.name}: line {reader.line_num}: {error}; quote each field that "
                f"contains a separator or a line end, and double the quotation marks in it"
            ) from None

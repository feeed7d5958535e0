"""CSV and tab-separated files of reviews, row by row, exactly as they are in the file."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sentiment_helpers.storage.text_file import BINARY, BOM, MAX_ROW, Lines, ReviewFileError, Source

LABEL_COLUMNS = ("label", "sentiment", "rating")
LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}
MAX_BLOCK_SIZE = 2**23  # characters of a block of rows, however few rows they are
# The separator, and what quotation marks inside a field are: doubled, escaped by a backslash, or
# letters like all others. The first that gives a whole table is taken.
_DIALECTS = [(s, q) for q in ("doubled", "escaped") for s in ",\t;"] + [("\t", "letters")]
_NUMBER = re.compile(r"-?[0-9]+\.?[0-9]*")


class Row(NamedTuple):
    """A row's fields (none in an empty line, which does not count) and its text in the file."""

    fields: list[str]
    text: str


@dataclass(frozen=True)
class ReviewTable:
    """A CSV or tab-separated file that was read once and has no uneven row. `header` is the first
    row's text, with its byte-order mark and line end; `columns` are its fields; `review` and
    `label` are column numbers (`label` may be None)."""

    source: Source
    separator: str
    quotes: str
    header: str = ""
    columns: list[str] = field(default_factory=list)
    review: int | None = None
    label: int | None = None
    label_error: str = ""  # why the labels are not understood; then `label` is None

    @classmethod
    @contextmanager
    def open(
        cls,
        source: str | os.PathLike,
        column: str = "review",
        encoding: str = "utf-8",
        verbose: bool = False,
    ) -> Iterator["ReviewTable"]:
        """The table in a file, compressed by gzip or zip or not, or in standard input ("-").

        Detects the separator: the comma, tab or semicolon that separates `column` from the others,
        with as many fields in each row as in the header. Quotation marks follow RFC 4180. If a row
        does not, those inside a field follow a backslash; or in a tab-separated file, all are
        letters, unless a row shows that they quote. `verbose` shows a progress bar.

        Labels are understood if at most half of them are unreadable and a tenth are other numbers;
        if only one class occurs, at most a tenth and none. Empty labels do not count. Ten or more
        ratings that are all 5 or less are not understood.

        `ReviewFileError` if the file cannot be read (see `Source.open`), is not text in
        `encoding`, has no column of that name, or has an uneven row.
        """
        with Source.open(source, encoding) as opened:
            failures = []
            for separator, quotes in _DIALECTS:
                table = cls(opened, separator, quotes)
                if quotes == "letters" and table._quotes():
                    continue
                try:
                    table = table._with_header(column)
                    if table.review is None:
                        advice = f"choose one of {', '.join(map(repr, table.columns)):.1000}"
                        why = f'has no column {column}: {advice} (column="NAME")'
                        raise ReviewFileError(f"{opened.name} {why}")
                    table = table._checked(verbose)
                    break
                except ReviewFileError as error:
                    failures.append((table.review is not None, len(table.columns), error))
            else:
                raise max(failures, key=lambda failure: failure[:2])[2]  # that came farthest
            yield table

    def rows(self) -> Iterator[Row]:
        """The rows below the header, and empty lines."""
        return (row for rows in self.blocks(1024) for row in rows)

    def blocks(self, max_rows: int, progress: str = "") -> Iterator[list[Row]]:
        """Lists of at most `max_rows` rows, fewer if they are long; `progress` names a bar."""
        with self.source.lines(progress) as lines:
            records = self._records(lines)
            next(records, None)
            rows, size = [], 0
            for row in records:
                rows.append(row)
                size += len(row.text)
                if len(rows) == max_rows or size >= MAX_BLOCK_SIZE:
                    yield rows
                    rows, size = [], 0
            if rows:
                yield rows

    def label_of(self, text: str) -> int | str:
        """1 or 0, from a label or rating; "undecided" between 4 and 7; else "unreadable"."""
        text = text.strip().lower()
        if self.columns[self.label].strip().lower() != "rating":
            return LABELS.get(text.removesuffix(".0"), "unreadable")
        rating = float(text) if _NUMBER.fullmatch(text) else 0
        if not 1 <= rating <= 10:
            return "unreadable"
        return 1 if rating >= 7 else 0 if rating <= 4 else "undecided"

    def check_labels(self) -> None:
        """`ReviewFileError` if there is no column of labels, or they are not understood."""
        if self.label_error:
            raise ReviewFileError(f"{self.source.name}: {self.label_error}")
        if self.label is None:
            wanted, found = " or ".join(LABEL_COLUMNS), ", ".join(self.columns)
            raise ReviewFileError(f"{self.source.name} has no column named {wanted}, only {found}")

    def _why_not_understood(self, labels: Counter, first: dict[str, int]) -> str:
        """`label_error` for labels with these counts, first seen in these rows."""
        column, total = self.columns[self.label].strip().lower(), labels.total()
        wrong = [text for text in labels if self.label_of(text) == "unreadable"]
        numbers = sum(labels[text] for text in wrong if _NUMBER.fullmatch(text))
        both = {0, 1} <= set(map(self.label_of, labels))
        few, few_numbers = (total / 2, total / 10) if both else (total / 10, 0)
        if sum(map(labels.get, wrong)) > few or numbers > few_numbers:
            one = max(wrong, key=labels.get)
            other = f"none of {', '.join(LABELS)}"
            known = "not a number from 1 to 10" if column == "rating" else other
            held = ", ".join(map(repr, sorted(labels)[:10])) + ", …" * (len(labels) > 10)
            return f"row {first[one]}: {column} {one!r} is {known}; the column holds {held}"
        # If half of all reviews are rated above 5, one group of ten in a thousand has none.
        if column == "rating" and total >= 10 and max(map(float, labels.keys() - wrong)) <= 5:
            why = f"no rating of {total:,} is above 5, but they are read as 1 to 10"
            return f"{why}: convert them (times 2, if 5 is the best) or add a column named label"
        return ""

    def _quotes(self) -> bool:
        """Whether a row, before the first that breaks the rules, shows that quotation marks quote:
        a separator or line end is inside them, or there is one column. So does a row where all
        fields have them, but not if the row that breaks the rules has a backslash before one."""
        shown = False
        with suppress(ReviewFileError), self.source.lines() as lines:
            for fields, text in replace(self, quotes="doubled")._records(lines):
                pieces = re.split(f"[{self.separator}\r\n]", text.rstrip("\r\n"))
                if fields and (len(pieces) > len(fields) or len(fields) == 1):
                    return True
                shown |= all(re.fullmatch('".*"', piece) for piece in pieces)
        return shown and '\\"' not in lines.take_row()

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

    def _checked(self, verbose: bool) -> "ReviewTable":
        """With what is wrong with the labels, if no row is uneven."""
        # No row is kept: many small lists would keep the garbage collector busy.
        count, labels, first = -1, Counter(), {}
        with self.source.lines("checking" * verbose) as lines:
            for fields, _ in self._records(lines):
                count += bool(fields)
                if self.label is not None and fields and count and fields[self.review].strip():
                    text = fields[self.label].strip().lower()[:40]
                    if text and (text in first or len(first) < 1000):
                        first.setdefault(text, count)
                        labels[text] += 1
        error = self._why_not_understood(labels, first) if labels else ""
        return replace(self, label=None if error else self.label, label_error=error)

    def _records(self, lines: Lines) -> Iterator[Row]:
        """All rows, the header too. Lone surrogates, which no text has, mark escaped characters."""
        csv.field_size_limit(MAX_ROW)
        escaped = self.quotes == "escaped"
        marked = (line.replace("\\\\", "\udc5c").replace('\\"', "\udc22") for line in lines)
        quoting = csv.QUOTE_NONE if self.quotes == "letters" else csv.QUOTE_MINIMAL
        plain = marked if escaped else lines
        reader = csv.reader(plain, delimiter=self.separator, quoting=quoting, strict=True)
        try:
            for fields in reader:
                if escaped:
                    fields = [f.replace("\udc5c", "\\").replace("\udc22", '"') for f in fields]
                if self.columns and fields and len(fields) != len(self.columns):
                    raise csv.Error(f"{len(fields)} fields, the header has {len(self.columns)}")
                yield Row(fields, lines.take_row())
        except csv.Error as error:
            raise ReviewFileError(
                f"{self.source.name}: line {reader.line_num}: {error}; quote each field that "
                f"contains a separator or a line end, and double the quotation marks in it"
            ) from None


def check_columns(source: str | os.PathLike, column: str, encoding: str, labels: bool) -> None:
    """`ReviewFileError` if the first row of a table does not name `column`; with `labels`, nor a
    column of labels. The other rows are not read."""
    with Source.open(source, encoding) as opened:
        tables = []
        for separator in ",\t;":
            with suppress(ReviewFileError):
                tables.append(ReviewTable(opened, separator, "doubled")._with_header(column))
        table = max(tables, key=lambda t: (t.review is not None, len(t.columns)), default=None)
        if table is None or table.review is None or (labels and table.label is None):
            found = ", ".join(table.columns) if table else "none"
            wanted = f"{column} and {' or '.join(LABEL_COLUMNS)}" if labels else column
            raise ReviewFileError(f"{opened.name} needs the columns {wanted}; it has {found:.500}")

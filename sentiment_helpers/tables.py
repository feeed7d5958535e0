"""A file of reviews as a series of tables, read once from its beginning to its end."""

import csv
import gzip
import io
import os
import re
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, islice, product
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pandas as pd
from tqdm import tqdm

from sentiment_helpers.files import FileError, open_zipped, resolve

LABEL_COLUMNS = ("label", "sentiment", "rating")
LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}
QUOTES = ("doubled", "escaped", "none")
MAX_ROW = 2**22  # characters of a cell; a longer one lacks a line end or a quotation mark
PART_ROWS, MAX_PART = 8192, 2**23  # rows of a part, and its characters, at most
BEGINNING = 128  # lines that decide the separator and the quotation marks
_ADVICE = """double the quotation marks in a quoted cell; or say that they follow backslashes
(quotes="escaped") or are letters (quotes="none")"""


class ReviewFileError(FileError):
    """A file of reviews cannot be read. The message names the file, the column or row, and why."""

    line = 0  # of an uneven row, or one whose quotation marks break the rules


class Table(NamedTuple):
    """A CSV or tab-separated file of which only the beginning has been read."""

    name: str  # of the file, for messages
    columns: list[str]  # the cells of the first row, and "" for a column that it does not name
    review: str  # the name among them of the reviews' column
    label: str | None  # the one of the labels' column, if there is any
    separator: str
    quotes: str
    rows: Iterator[list[str]]  # below the first

    def parts(self, max_rows: int = PART_ROWS) -> Iterator[pd.DataFrame]:
        """The rows below the first, in tables of at most `max_rows`, fewer if they are long. Cells
        are str, exactly as in the file, and "" where Excel left out a row's last ones; empty lines
        are left out. The file is read once. `ReviewFileError` where a row is uneven or not text."""
        row = next(self.rows, None)
        while row:
            rows, size = [], 0
            while row and len(rows) < max_rows and size < MAX_PART:
                rows.append(row)
                size += sum(map(len, row))
                row = next(self.rows, None)
            yield pd.DataFrame(rows, columns=self.columns, dtype=object)

    def line(self, cells: Iterable[str]) -> str:
        """A row as the file has it; quotation marks in a quoted cell are doubled."""
        if self.quotes != "none":
            special = re.compile(f'[{self.separator}"\r\n]').search
            cells = ['"' + c.replace('"', '""') + '"' if special(c) else c for c in cells]
        return self.separator.join(cells) + "\n"


@contextmanager
def open_table(
    source: str | os.PathLike,
    column: str = "review",
    encoding: str = "utf-8",
    quotes: str | None = None,
    verbose: bool = False,
) -> Iterator[Table]:
    """The table in a file, compressed by gzip or zip or not, or in standard input ("-").

    The beginning decides the separator (comma, tab or semicolon), whether each row has a cell more
    than the first one (R's row names, or an empty last one), and whether quotation marks inside a
    quoted cell are doubled or follow a backslash, unless `quotes` says so: "doubled", "escaped", or
    "none" where all of them are letters. `verbose` shows a progress bar.

    Raises:
        ReviewFileError: the file cannot be read, is not text in `encoding` (any that Python
            knows), has no column of that name or several, or has an uneven row.
        ValueError: `quotes` is none of the three.
    """
    if quotes not in (None, *QUOTES):
        raise ValueError(f"quotes is {quotes!r:.80}; it must be one of {', '.join(QUOTES)}")
    path = 0 if os.fspath(source) == "-" else resolve(source)
    name = str(path or "standard input")
    with closing(_lines(path, encoding, verbose, name)) as lines:
        beginning = list(islice(lines, BEGINNING))
        is_all = len(beginning) < BEGINNING
        separator, quotes, *layout = _dialect(beginning, is_all, quotes, column, name)
        rows = _rows(chain(beginning, lines), separator, quotes, name, True, layout)
        yield Table(name, next(rows), *_columns(layout[0], column, name), separator, quotes, rows)


def _dialect(
    beginning: list[str], is_all: bool, quotes: str | None, column: str, name: str
) -> tuple[str, str, list[str], int]:
    """The first separator, quotes and `_layout` that fit; else the error that came farthest."""
    failures = []
    for kind, separator in product([quotes] if quotes else QUOTES[:2], ",\t;"):
        rows, columns, named = _rows(beginning, separator, kind, name, is_all), [], None
        try:
            columns = next(rows, [])
            named = _columns(columns, column, name)
            layout = _layout(columns, list(rows), *map(columns.index, filter(None, named)))
            deque(_rows(beginning, separator, kind, name, is_all, layout), 0)
            return separator, kind, *layout
        except ReviewFileError as error:
            failures.append((named is not None, len(columns), error.line, error))
    raise max(failures, key=lambda failure: failure[:3])[3]


def _layout(first: list[str], rows: list[list[str]], *named: int) -> tuple[list[str], int]:
    """All columns, with R's row names or an empty last one; and the fewest cells of a row: one that
    ends with its review may be half a row. A separator before a blank belongs to the review."""
    wide = [row for row in rows if len(row) == len(first) + 1 > 2]
    if 2 * len(wide) <= len(rows) or all(row[named[0] + 1][:1] == " " for row in wide):
        return first, min(len(first), max(named[0] + 2, named[-1] + 1))
    names, is_end = {row[0] for row in wide}, not any(row[-1] for row in wide)
    if not (is_end and named[0]) and len(names) == len(wide) and all(map(str.isdecimal, names)):
        return ["", *first], len(first) + 1
    return [*first, *[""] * is_end], len(first) + is_end


def _columns(columns: list[str], column: str, name: str) -> tuple[str, str | None]:
    """The names of the reviews' and the labels' column. One spelled exactly so comes first."""

    def named(wanted: str) -> str | None:
        found = [given for given in columns if given.strip().lower() == wanted.strip().lower()]
        found = [given for given in found if given == wanted] or found
        if len(found) > 1:
            raise ReviewFileError(f"{name} has {len(found)} columns {wanted}: rename all but one")
        return found[0] if found else None

    if not columns:
        raise ReviewFileError(f"{name} is empty")
    if (review := named(column)) is None:
        advice = f"choose one of {', '.join(map(repr, columns)):.1000}"
        raise ReviewFileError(f'{name} has no column {column}: {advice} (column="NAME")')
    labels = [label for label in map(named, LABEL_COLUMNS) if label not in (None, review)]
    return review, labels[0] if labels else None


def _rows(
    lines: Iterable[str], separator: str, quotes: str, name: str, is_all: bool = True, layout=()
) -> Iterator[list[str]]:
    """The rows, checked if a `_layout` is given; empty lines are none. Unless `lines` are all, the
    last one may end inside a cell. Lone surrogates, which no text has, mark escaped characters."""
    csv.field_size_limit(MAX_ROW)
    if quotes == "escaped":
        lines = (line.replace("\\\\", "\udc5c").replace('\\"', "\udc22") for line in lines)
    quoting = csv.QUOTE_NONE if quotes == "none" else csv.QUOTE_MINIMAL
    reader, first = csv.reader(lines, delimiter=separator, quoting=quoting, strict=True), []
    (columns, fewest), advice = layout or ([], 0), _ADVICE
    try:
        for row in filter(None, reader):
            if quotes == "escaped":
                row = [cell.replace("\udc5c", "\\").replace("\udc22", '"') for cell in row]
            ends = columns[:-1] == first and row[-1]  # where other rows end with a separator
            if first and (ends or not fewest <= len(row) <= len(columns)):
                what = "separator" if len(row) >= len(columns) else "line end"
                advice = f"quote each cell that holds a {what}"
                others = " and the others one more" * (len(columns) > len(first))
                raise csv.Error(f"{len(row)} cells, the first row has {len(first)}{others}")
            first, row = (first, row) if first or not layout else (row, columns)
            yield row + [""] * (len(columns) - len(row))
    except csv.Error as error:
        if is_all or "unexpected end of data" not in str(error):
            refusal = ReviewFileError(f"{name}: line {reader.line_num}: {error}; {advice}")
            refusal.line = reader.line_num
            raise refusal from None


def _lines(path: Path | int, encoding: str, verbose: bool, name: str) -> Iterator[str]:
    """The lines, without a byte-order mark. One longer than `MAX_ROW` comes in pieces: `_rows`
    refuses them, as a cell that is too long or as uneven rows."""
    number = 0
    try:
        with (
            open(path, "rb", closefd=path != 0) as raw,
            io.TextIOWrapper(_decompressed(raw), encoding, newline="") as text,
        ):
            size = os.fstat(raw.fileno()).st_size  # 0 for a pipe
            with tqdm(total=size, disable=not (verbose and size), unit="B", unit_scale=True) as bar:
                for number, line in enumerate(iter(lambda: text.readline(MAX_ROW + 1), ""), 1):
                    if number == 1 and "\0" in line:
                        raise UnicodeError("it begins like a binary file")
                    if not bar.disable:
                        bar.update(raw.tell() - bar.n)
                    yield line.removeprefix("\ufeff") if number == 1 else line
    except (LookupError, UnicodeError) as error:  # text is decoded ahead of the lines
        advice = 'name its encoding, such as utf-16, utf-16-le or cp1252 (encoding="cp1252")'
        where = f"{name}, line {number + 1} or soon after"
        raise ReviewFileError(f"{where}: {error}; {advice}") from None
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or f"it is damaged, or has to be unpacked ({error})"
        raise ReviewFileError(f"cannot read {name}: {why}") from None


def _decompressed(raw: BinaryIO) -> BinaryIO:
    file = raw
    if raw.peek(4)[:4] in (b"PK\x03\x04", b"PK\x05\x06"):  # a zip archive's list is at its end
        file = open_zipped(raw if raw.seekable() else io.BytesIO(raw.read()), (".csv", ".tsv"))
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file

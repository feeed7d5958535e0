"""Reads text files line by line: nine encodings, compressed by gzip or zip or not, pipes too."""

import codecs
import gzip
import io
import os
import re
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from tqdm import tqdm

from sentiment_helpers.storage.files import FileError, resolve

MAX_ROW = 2**24  # characters of a line or a field; a longer one lacks a line end or quotation mark
BOM = "\ufeff"
BINARY = 'is binary, not text, or needs its encoding, such as utf-16-le (encoding="utf-16-le")'
# Text read in one of these is written with the same bytes again.
ENCODINGS = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252")
ENCODINGS += ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# UTF-32 comes first: its mark begins with the one of UTF-16.
_MARKS = {"utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)}
_MARKS |= {"utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}


class ReviewFileError(FileError):
    """A file of reviews cannot be read. The message names the file, the column or row, and why."""


@dataclass(frozen=True)
class Source:
    """A text file that can be read several times; `name` is for messages, `start` is its first
    8,192 bytes, decompressed."""

    path: Path
    name: str
    encoding: str
    start: bytes = b""

    @classmethod
    @contextmanager
    def open(cls, source: str | os.PathLike, encoding: str = "utf-8") -> Iterator["Source"]:
        """A file, or standard input ("-"). Standard input and pipes are copied to a temporary file;
        `OSError` if there is no space for it. `ReviewFileError` if `source` is missing, a folder,
        empty or damaged, or `encoding` is none of `ENCODINGS`."""
        with _on_disk(source) as (path, name):
            if path.is_dir():
                raise ReviewFileError(f"{name} is a folder: give the file with the reviews in it")
            with cls(path, name, "ascii").lines() as lines:
                start = lines.text.buffer.read(8192)
            if not start:
                raise ReviewFileError(f"{name} is empty")
            yield cls(path, name, _codec(encoding, start), start)

    @contextmanager
    def lines(self, progress: str = "", errors: str = "strict") -> Iterator["Lines"]:
        """The lines, with their ends; `progress` names a bar in bytes of the file. Reading them
        raises `ReviewFileError` where the file is damaged or is not text in `encoding`."""
        bar = {"desc": progress, "disable": not progress, "unit": "B", "unit_scale": True}
        try:
            size = self.path.stat().st_size
            with self.path.open("rb") as raw, tqdm(total=size, **bar) as moved:
                zipped = raw.peek(4)[:4] in (b"PK\x03\x04", b"PK\x05\x06")
                file = open_zipped(raw, (".csv", ".tsv")) if zipped else raw
                file = gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == b"\x1f\x8b" else file
                with io.TextIOWrapper(file, self.encoding, errors, newline="") as text:
                    yield Lines(text, raw, moved, self.name)
        except UnicodeDecodeError as error:
            raise ReviewFileError(self._undecodable(error)) from None
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            why = f"it is cut off or damaged, or has to be unpacked ({error})"
            why = getattr(error, "strerror", None) or why
            raise ReviewFileError(f"cannot read {self.name}: {why}") from None

    def _undecodable(self, error: UnicodeDecodeError) -> str:
        """Which line is not text in this encoding, or which encoding the file has."""
        name, encoding = self.name, self.encoding
        marked = next((kind for kind, marks in _MARKS.items() if self.start.startswith(marks)), "")
        if not encoding.startswith(marked):
            return f'{name} is {marked} text, not {encoding}: say so (encoding="{marked}")'
        if b"\0" in self.start and not encoding.startswith(tuple(_MARKS)):
            return f"{name} {BINARY}"
        # Text is decoded ahead of the lines, so the error has no line. Two ways to replace wrong
        # bytes give the same text up to the first of them.
        with self.lines("", "replace") as one, self.lines("", "backslashreplace") as other:
            pairs = zip(_lines(one.text), _lines(other.text), strict=False)
            line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), "?")
        wrong = f"byte 0x{error.object[error.start]:02x} in line {line} is not {encoding} text"
        return f'{name}: {wrong}; name its encoding, such as cp1252 (encoding="cp1252")'


def open_zipped(archive: Path | BinaryIO, endings: tuple[str, ...], member: str = "") -> BinaryIO:
    """`member` of a zip archive, or its one file (not hidden), or its one with such an ending, open
    for reading. Nothing is extracted. `zipfile.BadZipFile` if that is impossible."""
    try:
        with zipfile.ZipFile(archive) as opened:  # an open member keeps the file open
            names = opened.namelist()
            files = [name for name in names if not re.search(r"(^|/)(\.[^/]|__MACOSX/)|/$", name)]
            tables = [name for name in files if name.lower().endswith(endings)] or files
            tables = [member] if member else tables
            if len(tables) != 1:
                raise ValueError(f"{len(tables)} files, not one table: {', '.join(tables):.500}")
            if opened.getinfo(tables[0]).compress_type > zipfile.ZIP_DEFLATED:
                raise ValueError(f"{tables[0]} is neither stored nor deflated")
            return opened.open(tables[0])
    except (KeyError, RuntimeError, OverflowError, ValueError, OSError) as error:
        raise zipfile.BadZipFile(*error.args) from None  # such as one with a password


class Lines:
    """The lines of a file, without its byte-order mark. Keeps the text of the current row."""

    def __init__(self, text: TextIO, raw: BinaryIO, bar: tqdm, name: str):
        self.text, self._raw, self._bar, self._name, self._row = text, raw, bar, name, []

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(_lines(self.text), 1):
            if len(line) == MAX_ROW:
                why = f"has more than {MAX_ROW:,} characters, so it is no row of a table"
                raise ReviewFileError(f"{self._name}: line {number} {why}")
            self._row.append(line)
            if not self._bar.disable:
                self._bar.update(self._raw.tell() - self._bar.n)
            yield line.removeprefix(BOM) if number == 1 else line

    def take_row(self) -> str:
        """The lines since the last call, exactly as they are in the file."""
        row, self._row = "".join(self._row), []
        return row


def _lines(text: TextIO) -> Iterator[str]:
    """The lines of a file, cut at `MAX_ROW` characters: it may have no line ends."""
    return iter(lambda: text.readline(MAX_ROW), "")


@contextmanager
def _on_disk(source: str | os.PathLike) -> Iterator[tuple[Path, str]]:
    """A path that can be read several times, and its name in messages."""
    is_stdin = os.fspath(source) == "-"
    path = resolve(source)
    name = "standard input" if is_stdin else str(path)
    if not is_stdin and not path.is_fifo():
        yield path, name
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "input"
        opened = nullcontext(sys.stdin.buffer) if is_stdin else path.open("rb")
        try:
            with opened as pipe, copy.open("wb") as file:
                shutil.copyfileobj(pipe, file, 2**20)
        except OSError as error:  # such as a full disk
            error.filename = error.filename or f"the copy of {name} in {folder} (TMPDIR)"
            raise
        yield copy, name


def _codec(encoding: str, start: bytes) -> str:
    """The name in `ENCODINGS`; each of those leaves a byte-order mark in the text."""
    name = ""
    with suppress(LookupError, ValueError):
        name = codecs.lookup(encoding).name.removesuffix("-sig")
    if name in _MARKS:  # the byte order is the mark's; without one it is little-endian
        name += "-be" if start.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) else "-le"
    if name not in ENCODINGS:
        known = f"a supported encoding ({', '.join(ENCODINGS)})"
        raise ReviewFileError(f"{encoding} is not {known}: convert the file to UTF-8")
    return name

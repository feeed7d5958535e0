"""Anyone's text file, line by line: packed by gzip, piped, in any encoding. Knows no columns."""

import codecs
import gzip
import hashlib
import io
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from sentiment_helpers.storage.files import FileError, resolve

MAX_ROW = 2**24
"""Characters: what is longer is no row, but text without line ends, or with a quotation mark that
was never closed."""
BOM = "\ufeff"
BINARY = "is binary, no text; or name its encoding (--encoding, such as utf-16-le)"
# Of these, what was read is written with the same bytes again.
_EXACT = ("utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252")
_EXACT += ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


class ReviewFileError(FileError):
    """A file that should hold reviews does not; says which file, which column or row, and why."""


@dataclass(frozen=True)
class Source:
    """A text file that can be read more than once; `name` is what messages call it."""

    path: Path
    name: str
    encoding: str

    @classmethod
    @contextmanager
    def open(cls, source: str | os.PathLike, encoding: str = "utf-8") -> Iterator["Source"]:
        """A file, or standard input ("-"). What can be read only once, standard input or a pipe,
        is kept in a temporary file meanwhile.

        Raises:
            ReviewFileError: missing, a folder, empty, no such encoding, or one in which the file
                could not be written as it is.
            OSError: there is no room for the temporary file.
        """
        with _on_disk(source) as (path, name):
            opened = cls(path, name, _codec(_start(path, name), encoding))
            if opened.encoding not in _EXACT:
                _check_bytes(opened)
            yield opened

    def progress(self, description: str, verbose: bool) -> tqdm:
        """A bar in bytes of the file."""
        return tqdm(
            total=self.path.stat().st_size,
            desc=description,
            unit="B",
            unit_scale=True,
            disable=not verbose,
        )

    @contextmanager
    def lines(self) -> Iterator["Lines"]:
        """Its lines, with their ends.

        Raises:
            ReviewFileError: while they are read: no text in `encoding`, or damaged.
        """
        with _damage_told(self.name):
            try:
                with (
                    self.path.open("rb") as raw,
                    io.TextIOWrapper(_plain(raw), self.encoding, newline="") as file,
                ):
                    yield Lines(file, raw, self.name)
            except UnicodeError:
                raise ReviewFileError(_undecodable(self)) from None


class Lines:
    """Hands on the lines of a file, without a byte-order mark, and keeps those of the row that is
    being read."""

    def __init__(self, file: TextIO, raw: io.BufferedIOBase, name: str):
        self._file, self._raw, self._name = file, raw, name
        self._taken, self._size = [], 0

    def __iter__(self) -> Iterator[str]:
        number = 0
        while line := self._file.readline(MAX_ROW):
            number += 1
            self._taken.append(line)
            self._size += len(line)
            if self._size >= MAX_ROW:
                raise ReviewFileError(
                    f"{self._name}: line {number} ends more than {MAX_ROW:,} characters without "
                    f"the end of a row: a quotation mark may stand alone"
                )
            yield line.removeprefix(BOM) if number == 1 else line

    def taken(self) -> str:
        """The lines since the last call, as they stand in the file."""
        text = "".join(self._taken)
        self._taken.clear()
        self._size = 0
        return text

    def position(self) -> int:
        """How many bytes of the file were read so far."""
        return self._raw.tell()


@contextmanager
def _on_disk(source: str | os.PathLike) -> Iterator[tuple[Path, str]]:
    """A path that can be read more than once, and what messages call it."""
    piped = os.fspath(source) == "-"
    path = Path(source) if piped else resolve(source)
    name = "standard input" if piped else str(path)
    if not piped and (path.is_file() or path.is_dir() or not path.exists()):
        yield path, name
        return
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "input"
        opened = nullcontext(sys.stdin.buffer) if piped else path.open("rb")
        try:
            with opened as pipe, kept.open("wb") as file:
                shutil.copyfileobj(pipe, file, 2**20)
        except OSError as error:
            if error.filename is None:  # a full disk, say
                error.filename = f"{name} is kept in {tempfile.gettempdir()} (TMPDIR) meanwhile"
            raise
        yield kept, name


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    """`ReviewFileError` where a file cannot be read or unpacked."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ReviewFileError(
            f"{name} is cut off or damaged: its gzip data cannot be read ({error})"
        ) from None
    except OSError as error:
        raise ReviewFileError(f"cannot read {name}: {error.strerror}") from None


def _start(path: Path, name: str) -> bytes:
    """The first bytes of the text in a file that can be read and is not empty."""
    if path.is_dir():
        raise ReviewFileError(f"{name} is a folder: give the file in it that holds the reviews")
    with _damage_told(name), path.open("rb") as raw, _plain(raw) as file:
        start = file.read(4)
    if not start:
        raise ReviewFileError(f"{name} is empty")
    return start


def _codec(start: bytes, encoding: str) -> str:
    """The name of an encoding that leaves the byte-order mark in the text, where there is one."""
    try:
        io.TextIOWrapper(io.BytesIO(), encoding)
    except LookupError:
        raise ReviewFileError(
            f"there is no text encoding named {encoding}; utf-8, cp1252 or utf-16 are such names"
        ) from None
    name = codecs.lookup(encoding).name.removesuffix("-sig")
    if name in ("utf-16", "utf-32"):
        name += "-be" if start.startswith((codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)) else "-le"
    return name


_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins with the next but one
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def _plain(raw: io.BufferedIOBase) -> io.BufferedIOBase:
    """What is in a file, unpacked where gzip has packed it."""
    return gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw


def _check_bytes(source: Source) -> None:
    """`ReviewFileError` where the text of a file in its encoding would be other bytes."""
    decode = codecs.getincrementaldecoder(source.encoding)().decode
    encode = codecs.getincrementalencoder(source.encoding)().encode
    before, after = hashlib.sha256(), hashlib.sha256()
    with _damage_told(source.name), source.path.open("rb") as raw, _plain(raw) as file:
        for block in chain(iter(lambda: file.read(2**20), b""), [b""]):
            before.update(block)
            try:
                text = decode(block, not block)
            except UnicodeError:
                return  # who reads the lines will say where
            try:
                after.update(encode(text, not block))
            except UnicodeError:
                break
    if before.digest() != after.digest():
        raise ReviewFileError(
            f"{source.name} has characters that {source.encoding} would write with other bytes: "
            f"convert it to UTF-8 first"
        )


def _undecodable(source: Source) -> str:
    """Which byte of a file is not in its encoding; found block by block."""
    name, encoding = source.name, source.encoding
    decoder = codecs.getincrementaldecoder(encoding)()
    before, line, where = 0, 1, ""
    with source.path.open("rb") as raw, _plain(raw) as file:
        first = block = file.read(2**20)
        while block and not where:
            following = file.read(2**20)
            block_and_held = decoder.getstate()[0] + block
            try:
                decoder.decode(block, final=not following)
                start = len(block_and_held)
            except UnicodeError as error:
                start = getattr(error, "start", 0)  # not every encoding tells
                where = f": byte 0x{block_and_held[start]:02x} at offset "
                where += f"{before + len(block) - len(block_and_held) + start:,}"
            line += block_and_held[:start].count(b"\n")
            before += len(block)
            block = following
    marked = next((_MARKS[mark] for mark in _MARKS if first.startswith(mark)), None)
    if marked and not encoding.startswith(marked):
        return f"{name} is {marked} text, not {encoding}: say so (--encoding {marked})"
    if b"\0" in first[:8192] and not encoding.startswith(("utf-16", "utf-32")):
        return f"{name} {BINARY}"
    return (
        f"{name} is not {encoding} text{where} (line {line}); name its encoding (--encoding, such "
        f"as cp1252)"
    )

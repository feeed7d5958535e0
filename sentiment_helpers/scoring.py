"""Scores a file of reviews: the same file again, with probabilities. For a cluster, a table."""

import gzip
import io
import math
import os
import shutil
import signal
import stat
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import resource_tracker
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread

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


@dataclass(frozen=True)
class ScoreReport:
    """Counts and figures of a scored file."""

    rows: int
    scored: int  # rows with a review
    without_known_word: int  # scored rows in which the model knows no word
    known_words: float  # share of the words in scored rows; NaN if none were counted
    undecided: int  # scored rows rated between 4 and 7; `scores` leaves them out
    unreadable: int  # scored rows with a label that is neither positive nor negative; likewise
    seconds: float
    scores: Scores | None  # of the other scored rows with a label; None if there are none

    @property
    def empty(self) -> int:
        """Rows without a review."""
        return self.rows - self.scored

    @property
    def rows_per_second(self) -> float:
        return self.rows / max(self.seconds, 1e-9)

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
        return text


def score_csv(
    model: Pipeline | Blend,
    source: str | os.PathLike,
    destination: str | os.PathLike | None = None,
    *,
    column: str = "review",
    encoding: str = "utf-8",
    workers: int = 1,
    overwrite: bool = False,
    verbose: bool = False,
) -> ScoreReport:
    """Score the reviews of a CSV or tab-separated file. With `destination`, write the file again
    with two more columns: `probability` (of positive) and `prediction` (0 or 1).

    Rows keep their order and their bytes; a row without a review gets empty cells. The new file
    appears when it is complete and on disk. Memory grows by 9 bytes for each row with a label, and
    does not depend on the others. With other `workers`, the last digits of a probability can
    differ, because each process has other threads; all else is the same.

    Args:
        source: a file, compressed by gzip or not, or "-" for standard input.
        destination: a file, compressed if its name ends in .gz, or "-" for standard output.
        column, encoding: of the reviews, in upper or lower case; of both files.
        workers: processes that share the cores, each with the model in its memory.
        overwrite, verbose: replace an existing `destination`; show progress bars.

    Raises:
        ReviewFileError: `source` is not a table of reviews (see `ReviewTable.open`), has one of
            the two columns already, or is `destination` itself.
        OSError: `destination` cannot be written, exists and is not to be overwritten
            (`FileExistsError`), or a worker process died (`ChildProcessError`).
        CheckpointError: a probability is not finite.
        ValueError: `workers` is out of range, or above 1 with a model that `save` does not take.
    """
    start = time.perf_counter()
    check_range("workers", workers, 1, 1024)
    if destination is not None:
        source, destination = os.fspath(source), os.fspath(destination)
        _check_destination(source, destination, overwrite)
    counts, labels, predicted = Counter(), array("B"), array("d")
    with ReviewTable.open(source, column, encoding, verbose) as table:
        if clash := [column for column in ADDED_COLUMNS if column in table.columns]:
            raise ReviewFileError(f"{table.name} already has a column named {clash[0]}: rename it")
        blocks = (
            ([row.fields[table.review] if row.fields else "" for row in rows], (rows, position))
            for rows, position in table.blocks(ROWS_AT_ONCE)
        )
        with (
            _output(destination, table.source.encoding, overwrite) as file,
            table.source.progress("scoring", verbose) as bar,
            closing(_score_in_order(model, blocks, workers)) as scored,
        ):
            file.write(_with_cells(table.header, table.separator, ADDED_COLUMNS))
            for (rows, position), probabilities, counted in scored:
                counts.update(counted, rows=sum(bool(row.fields) for row in rows))
                for row, probability in zip(rows, probabilities.tolist(), strict=True):
                    file.write(_output_row(row, table.separator, probability))
                    if table.label is not None and not math.isnan(probability):
                        label = _label(row, table)
                        counts[label] += 1
                        if label in (0, 1):
                            labels.append(label)
                            predicted.append(probability)
                bar.update(position - bar.n)
    names = ("rows", "scored", "without_known_word", "undecided", "unreadable")
    return ScoreReport(
        **{name: counts[name] for name in names},
        known_words=counts["known"] / counts["words"] if counts["words"] else math.nan,
        seconds=time.perf_counter() - start,
        scores=evaluate(labels, predicted) if labels else None,
    )


def _output_row(row: Row, separator: str, probability: float) -> str:
    if not row.fields:  # an empty line
        return row.text
    empty = math.isnan(probability)
    cells = ("", "") if empty else (repr(probability), str(int(probability > 0.5)))
    return _with_cells(row.text, separator, cells)


def _with_cells(line: str, separator: str, cells: Iterable[str]) -> str:
    """A line of a table with more cells, before its line end."""
    body = line.rstrip("\r\n")
    return separator.join([body, *cells]) + line[len(body) :]


def _label(row: Row, table: ReviewTable) -> int | str:
    """0 or 1; or why it is neither."""
    try:
        label = table.label_of(row.fields)
    except ValueError:
        return "unreadable"
    return "undecided" if label is None else label


def score_texts(model: Pipeline | Blend, texts: list[str]) -> tuple[np.ndarray, dict[str, int]]:
    """Probabilities (N,) float64 of the positive class, NaN for blank texts; and counts.

    Counts "scored" texts; for models of this package also their "words", the "known" ones, and
    texts "without_known_word". In a blend, the first model counts.

    Raises:
        CheckpointError: a probability is not finite.
    """
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
    """As `predict_proba` of the positive class, with the counts of words."""
    if not isinstance(model, Blend):
        classifier, inputs, counts = _read(model, texts)
        return classifier.predict_proba(inputs)[:, 1], counts
    members = [_read(member, texts) for _, member in model.models]
    log_odds = [classifier.decision_function(inputs) for classifier, inputs, _ in members]
    columns = np.column_stack(log_odds).astype(np.float64)  # (N, models)
    return expit(columns @ model.weights_ + model.intercept_), members[0][2]


def _read(model: Pipeline | Blend, texts: list[str]) -> tuple:
    """What follows a model's reader, the inputs for that, and the counts of words."""
    if not isinstance(model, Pipeline) or not isinstance(model[0], CorpusTransformer):
        return model, texts, {}
    inputs, words, known = model[0].transform_counted(texts)
    unknown = int((known == 0).sum())
    counts = {"words": int(words.sum()), "known": int(known.sum()), "without_known_word": unknown}
    return model[1:], inputs, counts


def _score_in_order(
    model: Pipeline | Blend, blocks: Iterable[tuple[list[str], tuple]], workers: int
) -> Iterator[tuple[tuple, np.ndarray, dict[str, int]]]:
    """For each block of texts: what came with it, and `score_texts` of it.

    At most 2 × `workers` + 1 blocks are read ahead. (joblib's `Parallel` does not stop reading.)
    """
    if workers == 1:
        for texts, rest in blocks:
            yield rest, *score_texts(model, texts)
        return
    with _worker_pool(model, workers) as submit:
        waiting = deque()
        for texts, rest in blocks:
            waiting.append((rest, submit(texts)))
            if len(waiting) > 2 * workers:
                rest, future = waiting.popleft()
                yield rest, *future.result()
        while waiting:
            rest, future = waiting.popleft()
            yield rest, *future.result()


@contextmanager
def _worker_pool(model: Pipeline | Blend, workers: int) -> Iterator[Callable]:
    """A function that hands texts to processes, which load the model from a file and end with the
    block. `ChildProcessError` if one of them dies."""
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
            yield partial(pool.submit, _score_in_worker, path)
            pool.shutdown()
        except BrokenProcessPool:
            raise ChildProcessError(
                f"a worker process died, perhaps for lack of memory: use fewer than {workers}"
            ) from None
        finally:
            pool.shutdown(kill_workers=True)


def _start_workers(pool: ProcessPoolExecutor) -> None:
    """Start them with SIGINT and SIGTERM blocked, which a terminal sends to all processes: the
    parent ends them."""
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


def _score_in_worker(path: Path, texts: list[str]) -> tuple[np.ndarray, dict[str, int]]:
    return score_texts(_load_once(path), texts)


def _check_destination(source: str, destination: str, overwrite: bool) -> None:
    """Refuse to write into the input, or over another file without `overwrite`."""
    with suppress(OSError):  # one of the two does not exist
        there = os.stat(1 if destination == "-" else destination)
        given = os.stat(0 if source == "-" else resolve(source))
        if stat.S_ISREG(there.st_mode) and os.path.samestat(there, given):
            where = "the output" if destination == "-" else destination
            raise ReviewFileError(f"{where} is the input: give the output another name")
    if not overwrite:
        _check_new(destination)


def _check_new(destination: str) -> None:
    if destination != "-" and Path(destination).is_file():
        raise FileExistsError(
            f"{destination} is there already: give another name, or --force (overwrite=True)"
        )


@contextmanager
def _output(destination: str | None, encoding: str, overwrite: bool) -> Iterator[io.TextIOBase]:
    """The file to write to; without a destination, one that keeps nothing."""
    if destination is None or destination == "-":
        target = os.devnull if destination is None else sys.stdout.fileno()
        with open(target, "w", encoding=encoding, newline="", closefd=target == os.devnull) as file:
            yield file
    else:
        with written_whole(destination) as temporary, temporary.open("wb") as raw:
            # Without a name and a time inside, so that the same rows are the same bytes.
            gz = destination.endswith(".gz")
            binary = gzip.GzipFile("", "wb", 6, raw, mtime=0) if gz else raw
            with io.TextIOWrapper(binary, encoding, newline="") as file:
                yield file
            if not overwrite:  # another program may have written it in the meantime
                _check_new(destination)


def score_partition(
    table: pd.DataFrame, model: str | os.PathLike = "models/RNN.pt", column: str = "review"
) -> pd.DataFrame:
    """A copy of `table` with two more columns: `probability` (of positive, float64) and
    `prediction` (Int64: 0 or 1), both missing where the review is missing or blank.

    A cluster can send this function to its workers; each process loads `model` once. Give other
    arguments with ``functools.partial``, or as keywords of Dask's `map_partitions`.

    Raises:
        CheckpointError: `model` cannot be loaded (see `load`).
        ValueError: `table` has no or several columns of that name, or one of the two already.
    """
    if column not in table.columns:
        found = ", ".join(map(str, table.columns))
        raise ValueError(f"there is no column named {column}, but {found}: say which (column)")
    if list(table.columns).count(column) > 1:
        raise ValueError(f"there are several columns named {column}: rename all but one")
    if clash := set(ADDED_COLUMNS) & set(table.columns):
        raise ValueError(f"there is already a column named {min(clash)}: rename it")
    texts = table[column].astype("string").fillna("").tolist()
    probabilities, _ = score_texts(_load_once(resolve(model)), texts)
    positive = pd.array(probabilities > 0.5, "Int64")
    positive[np.isnan(probabilities)] = pd.NA
    return table.assign(**dict(zip(ADDED_COLUMNS, (probabilities, positive), strict=True)))


_load_cached, _loading = lru_cache(maxsize=2)(load), Lock()


def _load_once(path: Path) -> Pipeline | Blend:
    with _loading:  # or each thread would load it
        return _load_cached(path)

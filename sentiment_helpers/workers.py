"""Texts to probabilities, in this process or in several. Opens no files."""

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline

from sentiment_helpers.classifiers.blend import Blend
from sentiment_helpers.features import CorpusTransformer
from sentiment_helpers.storage.pt_file import CheckpointError

MAX_VALUES = 2**22  # in memory at once, of the features or the hidden units of reviews
T = TypeVar("T")


class Scored(NamedTuple):
    """What scoring some reviews gave, and how often what occurred."""

    probabilities: np.ndarray
    counts: dict[str, int]


def score_texts(model: Pipeline | Blend, texts: list[str]) -> Scored:
    """The probabilities (N,) of the positive class for `texts`, which are read once where the
    model allows it.

    Raises:
        CheckpointError: a probability is not finite.
    """
    if not texts:
        return Scored(np.empty(0), {})
    size = max(MAX_VALUES // _width(model), 1)
    parts = [_scored(model, texts[at : at + size]) for at in range(0, len(texts), size)]
    counts = Counter()
    for part in parts:
        counts.update(part.counts)
    return Scored(np.concatenate([part.probabilities for part in parts]), dict(counts))


def _width(model: Pipeline | Blend) -> int:
    """How many values a review at most becomes."""
    if isinstance(model, Blend):
        return max(_width(member) for _, member in model.models)
    if not isinstance(model, Pipeline) or not isinstance(model[0], CorpusTransformer):
        return 1
    return max(model[-1].n_features_in_, getattr(model[-1], "hidden_size", 1))


def _scored(model: Pipeline | Blend, texts: list[str]) -> Scored:
    if isinstance(model, Pipeline) and isinstance(model[0], CorpusTransformer):
        features, *counted = model[0].transform_counted(texts)
        probabilities = model[1:].predict_proba(features)[:, 1]
    else:
        counted = _counted(model, texts)
        probabilities = model.predict_proba(texts)[:, 1]
    if not np.isfinite(probabilities).all():
        raise CheckpointError("the model gives probabilities that are not finite: train it again")
    counts = {"scored": len(texts)}
    if counted:
        words, known = counted
        counts |= {
            "words": int(words.sum()),
            "known": int(known.sum()),
            "without_known_word": int((known == 0).sum()),
        }
    return Scored(probabilities, counts)


def _counted(model: Pipeline | Blend, texts: list[str]) -> list[np.ndarray]:
    """The words of each text, and the known ones; of several models the first one's. Nothing for
    models whose words cannot be told."""
    if isinstance(model, Blend):
        return _counted(model.models[0][1], texts)
    reader = model[0] if isinstance(model, Pipeline) else None
    if isinstance(reader, CorpusTransformer):
        return reader.transform_counted(texts)[1:]
    if not isinstance(reader, CountVectorizer):
        return []
    split, prepare = reader.build_tokenizer(), reader.build_preprocessor()
    words = [split(prepare(text)) for text in texts]
    known = [sum(word in reader.vocabulary_ for word in some) for some in words]
    return [np.array([len(some) for some in words]), np.array(known)]


def score_in_order(
    model: Pipeline | Blend, parts: Iterable[tuple[list[str], T]], workers: int
) -> Iterator[tuple[T, Scored]]:
    """For each part, some texts and what belongs to them: the latter, and what scoring the texts
    gave. No more parts are taken in advance than keep `workers` processes busy.

    Raises:
        ChildProcessError: a process died.
    """
    if workers == 1:
        for texts, item in parts:
            yield item, score_texts(model, texts)
        return
    threads = max((os.cpu_count() or 1) // workers, 1)
    pool = ProcessPoolExecutor(
        workers,
        mp_context=get_context("spawn"),  # a copy of this process would have no threads
        initializer=_begin_worker,
        initargs=(model, threads),
    )
    waiting = deque()
    try:
        for texts, item in parts:
            with _uninterrupted():  # the first call starts the processes
                waiting.append((item, pool.submit(_score_here, texts)))
            if len(waiting) > 2 * workers:
                item, future = waiting.popleft()
                yield item, future.result()
        while waiting:
            item, future = waiting.popleft()
            yield item, future.result()
    except BrokenProcessPool:
        raise ChildProcessError(
            f"a process that scores died, of too little memory perhaps: use fewer than {workers}"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals to end wait until the block does; Ctrl-C never reaches a process that is started in
    it, which this one ends."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker_model = None  # in a worker process, what it scores with


def _begin_worker(model: Pipeline | Blend, threads: int) -> None:
    global _worker_model
    _worker_model = model
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    torch.set_num_threads(threads)
    pa.set_cpu_count(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Where the parent process is killed, its workers would wait for it for ever."""
    parent_process().join()
    os._exit(1)


def _score_here(texts: list[str]) -> Scored:
    return score_texts(_worker_model, texts)

"""A notebook's runs: parameters checked at once, results kept, logged and compared."""

import os
import time
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import display
from sklearn.base import BaseEstimator, clone

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_helpers.features import MAX_LENGTH, check_range
from sentiment_helpers.files import FileError, one_line, project_folder, resolve, sentence
from sentiment_helpers.glove import NAMES
from sentiment_helpers.metrics import evaluate, intervals
from sentiment_helpers.scoring import score_csv, score_partition
from sentiment_helpers.tables import LABEL_COLUMNS, open_table

# Of the report's network; their names in a notebook begin with REPORT_.
REPORT = ("cell_type", "num_layers", "hidden_size", "dropout", "lr", "max_epochs", "max_norm")
ELSEWHERE = ("embeddings", "random_state", "device", "verbose")  # not in a notebook's cell
WORDS = [name for name in WordBiRNNClassifier().get_params() if name not in ELSEWHERE]
QUICK = {"max_epochs": 1, "hidden_size": 64, "pair_size": 0}  # at most
NUMBERS = {"MAX_LENGTH": (1, MAX_LENGTH), "SEED": (0, 2**32 - 1)}
FLAGS = ("OFFICIAL_SPLIT", "QUICK")
UNLIKE = ("REVIEWS", "OFFICIAL_SPLIT", "QUICK")  # what makes figures not comparable
TEXTS = {"RUNS": str | None, "TEST_DATA": str | pd.DataFrame | None}  # all others are str
LIBRARIES = ("torch", "numpy", "scikit-learn", "nltk", "pandas", "scipy", "pyarrow")


class ParameterError(ValueError):
    """Parameters of a notebook are wrong; the message has a line for each."""


SHOWN = ParameterError, FileError, OSError, KeyboardInterrupt  # without a traceback


class Run:
    """A run of a notebook, with a `folder` of its own and a line in `runs/log.csv`. `notebook` is
    "1_stacked_birnn" or "2_skip_birnn", `namespace` its `globals()`. Wrong parameters raise
    `ParameterError`; a notebook shows it, files that cannot be read or written, and a stop without
    a traceback.

    `report` has part one's arguments for `BiRNNClassifier`, `words` part two's for
    `WordBiRNNClassifier`. `memory` keeps results for later runs with the same code and libraries.
    """

    def __init__(self, notebook: str, namespace: dict):
        if shell := get_ipython():
            shell.set_custom_exc(SHOWN, _show_message)
        self.notebook, known, mistakes = notebook, defaults(notebook), []
        self.parameters = given = {name: namespace.get(name, ...) for name in known}
        for name in known:
            try:
                _check(name, given)
            except (ValueError, OSError) as error:
                mistakes.append(f"{name}: {sentence(error)}")
        if mistakes:
            raise ParameterError("\n".join(mistakes))
        # Compared as text, "LSTM" is "lstm", and a table can be compared.
        changed = [name for name in known if str(given[name]).lower() != str(known[name]).lower()]
        self._changed = one_line(", ".join(f"{name} = {given[name]!r:.200}" for name in changed))
        self.words = {name: given[name.upper()] for name in WORDS} | {"random_state": given["SEED"]}
        shared = BiRNNClassifier().get_params().keys() & self.words
        self.report = {name: self.words[name] for name in shared}
        self.report |= {name: given[f"REPORT_{name.upper()}"] for name in REPORT}
        del self.report["skip_connections"]  # the second notebook trains both networks
        self.max_length, self.seeds = given["MAX_LENGTH"], given["SEEDS"]
        if given["QUICK"]:
            self.words |= {name: min(self.words[name], most) for name, most in QUICK.items()}
            self.max_length, self.seeds = min(self.max_length, 64), self.seeds[:1]
        self.project, self._start = project_folder(), time.perf_counter()
        runs = self._make_folder(given["RUNS"] or os.environ.get("SENTIMENT_RUNS"))
        code = sorted(Path(__file__).parents[1].glob("sentiment_*/**/*.py"))
        key = joblib.hash([[path.read_bytes() for path in code], *map(version, LIBRARIES)])
        self.memory = joblib.Memory(runs / "kept" / key, verbose=0)
        print(f"Run {self.folder.name}: {self._changed or 'all parameters have their defaults'}.")
        print(f"Models and figures go to {self._shown(self.folder)}/.")

    def _make_folder(self, chosen: str | None) -> Path:
        """Make the run's `folder` in the folder `chosen`, or else in the project's `runs/`, or in
        the current folder's where the project is read-only; returns where. `ParameterError` if
        nothing can be written there."""
        places = [resolve(chosen)] if chosen else [self.project / "runs", Path("runs").resolve()]
        for runs in places:
            numbers = [int(path.name) for path in runs.glob("*") if path.name.isdecimal()]
            try:
                for number in count(max(numbers, default=0) + 1):
                    self.folder = runs / str(number)
                    with suppress(FileExistsError):  # of a run that started at the same moment
                        self.folder.mkdir(parents=True)
                        return runs
            except OSError as error:
                failure = error
        raise ParameterError(f"RUNS: {sentence(failure)}; set it to a folder of your own")

    def _shown(self, path: Path) -> str:
        """A path as the reader of a notebook looks for it."""
        inside = path.is_relative_to(self.project)
        return (path.relative_to(self.project) if inside else path).as_posix()

    def fit(self, what: str, estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
        """What `estimator.fit(*rows, **options)` returns, or an earlier run kept for equal
        arguments; `estimator` stays unfitted. `what` is its name in what this prints."""
        kept, start = self.memory.cache(fitted), time.perf_counter()
        known = kept.check_call_in_cache(estimator, *rows, **options)
        print(f"{what} …", flush=True)
        model = kept(estimator, *rows, **options)
        if getattr(model, "stopped_", None) == "interrupted":  # the next run trains it again
            kept.call_and_shelve(estimator, *rows, **options).clear()
        seconds = f"{time.perf_counter() - start:.0f} s"
        print(f"{what}: {'kept from an earlier run' if known else seconds}")
        return model

    def score(self, model, name: str) -> None:
        """Score `TEST_DATA`, if there is any, into a file in `folder`, and show its first rows."""
        source, path = self.parameters["TEST_DATA"], self.folder / name
        options = {"column": self.parameters["COLUMN"], "encoding": self.parameters["ENCODING"]}
        if source is None:
            return print("TEST_DATA is None: nothing is scored.")
        if isinstance(source, pd.DataFrame):
            table = score_partition(source, model, self.parameters["COLUMN"])
            table.to_csv(path, index=False)
        else:
            print(score_csv(model, source, path, overwrite=True, **options))
            with open_table(path, **options) as scored:
                table = next(scored.parts(5), pd.DataFrame(columns=scored.columns))
        print(f"Written to {self._shown(path)}. Its first rows:")
        display(table.head())

    def mark_quick(self) -> None:
        """In a quick run, say so above a section's figures."""
        if self.parameters["QUICK"]:
            size = f"{self.max_length} words in order, {self.words['hidden_size']} units"
            print(f"QUICK: one seed; {size}, one epoch, no pairs")

    def record(self, classifier, labels: np.ndarray, positive: np.ndarray, films=None) -> None:
        """Add this run to `runs/log.csv`, by the probabilities `positive` (N,) that its classifier
        gave the held-out reviews with `labels` (N,) of `films` (N,). Its folder keeps them all for
        `log`."""
        scores = evaluate(labels, positive)
        low, high = intervals(labels, positive, films)["accuracy"]
        line = {
            "run": int(self.folder.name), "when": f"{datetime.now():%Y-%m-%d %H:%M}",
            "notebook": self.notebook, "network": classifier.title, "changed": self._changed,
            "epochs": len(classifier.history_), "accuracy": scores.accuracy, "low": low,
            "high": high, "roc_auc": scores.roc_auc, "loss": scores.loss,
            "seconds": round(time.perf_counter() - self._start),
        }  # fmt: skip
        path = self.folder.parent / "log.csv"
        pd.DataFrame([line]).round(4).to_csv(path, mode="a", header=not path.exists(), index=False)
        settings = [self.parameters[name] for name in UNLIKE]
        kept = {"settings": settings, "labels": labels, "positive": positive, "films": films}
        joblib.dump(line | kept, self.folder / "held_out")

    def log(self) -> pd.DataFrame:
        """The recorded runs that compare with this one, by number, the oldest first: those with the
        same labels held out and the same values of `UNLIKE`."""
        lines = [joblib.load(path) for path in self.folder.parent.glob("*/held_out")]
        table = pd.DataFrame(lines).set_index("run").sort_index().round(4)
        places = zip(table.pop("settings"), table["labels"], strict=True)
        keys = [joblib.hash(place) for place in places]
        here = keys[table.index.get_loc(int(self.folder.name))]
        return table[[key == here for key in keys]]


def fitted(estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
    """A copy of `estimator`, fitted."""
    return clone(estimator).fit(*rows, **options)


def defaults(notebook: str) -> dict[str, object]:
    """The parameters of a notebook with their default values."""
    values = {
        "REVIEWS": "bundled", "COLUMN": "review", "ENCODING": "utf-8", "OFFICIAL_SPLIT": True,
        "GLOVE": "glove.6B.50d", "QUICK": False, "MAX_LENGTH": 400,
        "SEED": 1234, "SEEDS": [*range(1234, 1239)], "TEST_DATA": None, "RUNS": None,
    }  # fmt: skip
    values |= {f"REPORT_{name.upper()}": getattr(BiRNNClassifier(), name) for name in REPORT}
    values |= {name.upper(): getattr(WordBiRNNClassifier(), name) for name in WORDS}
    deep = {"REPORT_CELL_TYPE": "lstm", "REPORT_NUM_LAYERS": 14, "NUM_LAYERS": 3}
    return values | deep | {"SKIP_CONNECTIONS": True} if notebook.startswith("2") else values


def _check(name: str, given: dict) -> None:
    """`ValueError` or `OSError` where a parameter has a wrong value."""
    value, parameter = given[name], name.removeprefix("REPORT_").lower()
    wrong = f"it is {value!r:.80}; it must be"
    if value is ...:
        raise ValueError("it is missing: run the cell with the parameters")
    if parameter in WORDS:
        kind = BiRNNClassifier if name.startswith("REPORT_") else WordBiRNNClassifier
        kind(**{parameter: value})._check_parameters()
    elif name in NUMBERS:
        check_range("it", value, *NUMBERS[name])
    elif name in FLAGS:
        if not isinstance(value, bool):
            raise ValueError(f"{wrong} True or False")
    elif name == "SEEDS":
        if not isinstance(value, list) or not 0 < len(set(map(repr, value))) == len(value):
            raise ValueError(f"{wrong} a list of different numbers")
        for seed in value:
            check_range("a number", seed, *NUMBERS["SEED"])
    elif not isinstance(value, TEXTS.get(name, str)):
        raise ValueError(f"{wrong} a text")
    elif name == "GLOVE" and value not in NAMES and not resolve(value).is_file():
        raise ValueError(f"{wrong} a file or one of {', '.join(NAMES)}")
    elif name in ("REVIEWS", "TEST_DATA"):
        _check_reviews(value, given["COLUMN"], given["ENCODING"], needs_labels=name == "REVIEWS")


def _check_reviews(source, column: str, encoding: str, needs_labels: bool) -> None:
    """`ValueError` where there are no reviews, or no labels that are needed."""
    if isinstance(source, pd.DataFrame):
        if column not in list(source):
            raise ValueError(f"the table has no column {column!r:.80}: set COLUMN")
    elif all(isinstance(text, str) for text in (source, column, encoding)):  # else it has a line
        path, tar = resolve(source), source.endswith((".tar.gz", ".tgz"))
        halves = source in ("bundled", "sentences", "aclImdb") or any(path.glob("train/pos/*.txt"))
        if not needs_labels or not (halves or (tar and path.is_file())):
            with open_table(source, column, encoding) as table:
                if needs_labels and table.label is None:
                    raise FileError(f"there is no column named {' or '.join(LABEL_COLUMNS)}")


def _show_message(shell, kind, error, *_, **__) -> None:
    """An error without its traceback."""
    shell._showtraceback(kind, error, [str(error) or "Stopped."])

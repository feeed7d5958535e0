"""A notebook's runs: parameters checked at once, results kept, logged and compared."""

import os
import time
import warnings
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import joblib
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, display
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
UNLIKE = ("REVIEWS", "OFFICIAL_SPLIT", "QUICK")  # what makes figures not comparable
TYPES = {"RUNS": str | None, "TEST_DATA": str | pd.DataFrame | None}  # all others are str
TYPES |= {"OFFICIAL_SPLIT": bool, "QUICK": bool}
LIBRARIES = ("torch", "numpy", "scikit-learn", "nltk", "pandas", "scipy", "pyarrow")


class ParameterError(ValueError):
    """Parameters of a notebook are wrong; the message has a line for each."""


SHOWN = ParameterError, FileError, OSError, KeyboardInterrupt, UserWarning  # without a traceback


class Run:
    """A run of a notebook, with a `folder` of its own and lines in `runs/log.csv`. `notebook` is
    "1_stacked_birnn" or "2_skip_birnn", `namespace` its `globals()`, where it is called `run`.
    Wrong parameters raise `ParameterError`, and so does every use of `run` after an error or a
    stop in any cell. A notebook shows it, errors of files, and stops without a traceback.

    `report` has part one's arguments for `BiRNNClassifier`, but not `skip_connections`; `words` has
    part two's for `WordBiRNNClassifier`. `memory` keeps results while code and libraries stay.
    """

    def __init__(self, notebook: str, namespace: dict):
        if shell := get_ipython():
            shell.set_custom_exc(SHOWN, _show_message)
            shell.events.register("post_run_cell", _after_cell)
        namespace["run"] = Run.__new__(Run)  # refuses everything, as it has no attributes
        known, mistakes = defaults(notebook), []
        given = {name: namespace.get(name, ...) for name in known}
        for name in known:
            try:
                _check(name, given)
            except (ValueError, OSError) as error:
                mistakes.append(f"{name}: {sentence(error)}")
        if mistakes:
            raise ParameterError("\n".join(mistakes))
        self.notebook, self.parameters = notebook, given
        # Compared as text, "LSTM" is "lstm", and a table can be compared.
        changed = [name for name in known if str(given[name]).lower() != str(known[name]).lower()]
        self._changed = one_line(", ".join(f"{name} = {given[name]!r:.200}" for name in changed))
        self.words = {name: given[name.upper()] for name in WORDS} | {"random_state": given["SEED"]}
        shared = BiRNNClassifier().get_params().keys() & self.words
        self.report = {name: self.words[name] for name in shared if name != "skip_connections"}
        self.report |= {name: given[f"REPORT_{name.upper()}"] for name in REPORT}
        self.max_length, self.seeds = given["MAX_LENGTH"], given["SEEDS"]
        if given["QUICK"]:
            self.words |= {name: min(self.words[name], most) for name, most in QUICK.items()}
            self.max_length, self.seeds = min(self.max_length, 64), self.seeds[:1]
        self.project, self._start = project_folder(), time.perf_counter()
        self._make_folder(given["RUNS"] or os.environ.get("SENTIMENT_RUNS"))
        code = sorted(Path(__file__).parents[1].glob("sentiment_*/**/*.py"))
        key = joblib.hash([[path.read_bytes() for path in code], *map(version, LIBRARIES)])
        self.memory = joblib.Memory(self.folder.parent / "kept" / key, verbose=0)
        print(f"Run {self.folder.name}: {self._changed or 'all parameters have their defaults'}.")
        print(f"Models and figures go to {self.folder.parent.name}/{self.folder.name}/.")

    def __getattr__(self, name: str):
        """Python calls it for what is missing: in a run that was ended, everything."""
        if vars(self) or name.startswith("_"):
            raise AttributeError(f"a run has no attribute {name!r}")
        raise ParameterError("A cell failed or was stopped: start again from the parameters.")

    def _make_folder(self, chosen: str | None) -> None:
        """Make `folder` in `chosen`, or in the first `runs/` that can be written."""
        places = [resolve(chosen)] if chosen else [self.project / "runs", Path("runs")]
        for runs in map(Path.absolute, places):
            try:
                runs.mkdir(parents=True, exist_ok=True)
                while True:
                    numbers = [int(name) for name in os.listdir(runs) if name.isdecimal()]
                    self.folder = runs / str(max(numbers, default=0) + 1)
                    with suppress(FileExistsError):  # of a run that started at the same moment
                        self.folder.mkdir()
                        return
            except OSError as error:
                failure = error
        raise ParameterError(f"RUNS: {sentence(failure)}; set it to a folder of your own")

    def fit(self, what: str, estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
        """What `estimator.fit(*rows, **options)` returns, or an earlier run kept for equal
        arguments; `estimator` stays unfitted. `what` is its name in print. Raises as `fitted`."""
        kept, start = self.memory.cache(fitted), time.perf_counter()
        known = kept.check_call_in_cache(estimator, *rows, **options)
        print(f"{what} …", flush=True)
        model = kept(estimator, *rows, **options)
        seconds = f"{time.perf_counter() - start:.0f} s"
        print(f"{what}: {'kept from an earlier run' if known else seconds}")
        return model

    def link(self, name: str) -> HTML:
        """A link to a file in `folder`, relative to the current folder: JupyterLab opens it."""
        path = Path(os.path.normpath(self.folder / name))
        target = Path(os.path.relpath(path) if path.drive == Path.cwd().drive else path).as_posix()
        shown = path.relative_to(self.folder.parents[1])
        return HTML(f'<a href="{quote(target)}" target="_blank">{shown.as_posix()}</a>')

    def score(self, model, name: str) -> None:
        """Score `TEST_DATA`, if there is any, into a file in `folder`; link it, show its start."""
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
        display(self.link(name), table.head())

    def mark_quick(self) -> None:
        """In a quick run, say so above a section's figures."""
        if self.parameters["QUICK"]:
            print(f"QUICK: one seed; {self.max_length} words, 64 units at most, 1 epoch, no pairs")

    def record(self, part: str, classifier, labels: np.ndarray, positive: np.ndarray, films=None):
        """Log the `part` "averages" or "words": the probabilities `positive` (N,) that its network
        `classifier` gave the held-out reviews with `labels` (N,) of `films` (N,)."""
        path = self.folder.parent / "log.csv"
        scores = evaluate(labels, positive)
        low, high = intervals(labels, positive, films)["accuracy"]
        line = {
            "run": int(self.folder.name), "when": f"{datetime.now():%Y-%m-%d %H:%M}",
            "notebook": self.notebook, "part": part, "network": classifier.title,
            "changed": self._changed, "epochs": len(classifier.history_),
            "accuracy": scores.accuracy, "low": low, "high": high, "roc_auc": scores.roc_auc,
            "loss": scores.loss, "seconds": round(time.perf_counter() - self._start),
        }  # fmt: skip
        if path.exists() and not path.read_text("utf-8").startswith(",".join(line) + "\n"):
            path.rename(path.with_name(f"log-before-{self.folder.name}.csv"))
        pd.DataFrame([line]).round(4).to_csv(path, mode="a", header=not path.exists(), index=False)
        alike = joblib.hash([labels, *(self.parameters[name] for name in UNLIKE)])
        kept = {"alike": alike, "labels": labels, "positive": positive, "films": films}
        unfinished = joblib.dump(line | kept, self.folder / ".held_out")
        os.replace(*unfinished, self.folder / f"held_out_{part}")

    def log(self, part: str) -> pd.DataFrame:
        """The recorded runs of `part` with these held-out labels and `UNLIKE`, the oldest first."""
        here = joblib.load(self.folder / f"held_out_{part}")
        lines = pd.DataFrame(map(joblib.load, self.folder.parent.glob(f"*/held_out_{part}")))
        table = lines[lines.pop("alike") == here["alike"]]
        return table.set_index("run").sort_index().round(4)


def fitted(estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
    """A copy of `estimator`, fitted. `KeyboardInterrupt` or `UserWarning` if it was stopped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Training interrupted by user")  # of MLPClassifier
        model = clone(estimator).fit(*rows, **options)
    if getattr(model, "stopped_", None) == "interrupted":
        raise KeyboardInterrupt("Stopped: an unfinished training is not kept.")
    return model


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
    elif name == "SEEDS":
        if not isinstance(value, list) or not 0 < len(set(map(repr, value))) == len(value):
            raise ValueError(f"{wrong} a list of different numbers")
        for seed in value:
            check_range("a number", seed, *NUMBERS["SEED"])
    elif not isinstance(value, kind := TYPES.get(name, str)):
        raise ValueError(f"{wrong} {'True or False' if kind is bool else 'a text'}")
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


def _after_cell(result) -> None:
    """After an error or a stop, end the run; a new one misses RUNS until its cell has run again."""
    if not (result and result.success):
        get_ipython().user_ns.update(run=Run.__new__(Run), RUNS=...)
        get_ipython().set_custom_exc(SHOWN, _show_message)  # a second stop may have removed it


def _show_message(shell, kind, error, *_, **__) -> None:
    """An error without its traceback."""
    shell._showtraceback(kind, error, [str(error) or "Stopped."])

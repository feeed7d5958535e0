"""A notebook's runs: parameters checked at once, results kept, logged and compared."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from importlib.metadata import version
from itertools import count, islice
from pathlib import Path

import ipywidgets
import joblib
import numpy as np
import pandas as pd
from IPython import get_ipython
from IPython.display import HTML, display
from sklearn.base import BaseEstimator, clone

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.classifiers.word_birnn import WordBiRNNClassifier
from sentiment_helpers.fast.flat_optimizer import OPTIMIZERS
from sentiment_helpers.features import MAX_LENGTH, check_range
from sentiment_helpers.glove import NAMES
from sentiment_helpers.highlights import highlight_words
from sentiment_helpers.metrics import evaluate, intervals
from sentiment_helpers.networks import CELLS, POOLINGS
from sentiment_helpers.plots import ORANGE
from sentiment_helpers.saving import load, save
from sentiment_helpers.scoring import score_csv
from sentiment_helpers.storage.files import FileError, one_line, project_folder, resolve, sentence
from sentiment_helpers.storage.review_table import ReviewTable, check_columns

# Of the report's network; their names in a notebook begin with REPORT_.
REPORT = ("cell_type", "num_layers", "hidden_size", "dropout", "lr", "max_epochs", "max_norm")
BOTH = ("batch_size", "patience", "optimizer", "class_weight")  # of both networks
CHOICES = {  # of other values than True and False
    "INPUT": ("sequence", "mean"), "SAVE_TO": ("runs", "models"), "CELL_TYPE": CELLS,
    "REPORT_CELL_TYPE": CELLS, "POOLING": POOLINGS, "SCHEDULE": ("constant", "linear"),
    "OPTIMIZER": OPTIMIZERS, "CLASS_WEIGHT": (None, "balanced"),
}  # fmt: skip
COUNTS = {"MAX_LENGTH": (1, MAX_LENGTH), "SEED": (0, 2**32 - 1)}
# At most, for words in order.
QUICK = {"max_epochs": 1, "max_length": 64, "pair_size": 0, "pretraining_epochs": 0}


class ParameterError(ValueError):
    """Parameters of a notebook are wrong; the message has a line for each."""


class Run:
    """A run of a notebook. It has a number, a folder `runs/NUMBER` and a line in `runs/log.csv`.

    Args:
        notebook: "1_stacked_birnn" or "2_skip_birnn".
        namespace: the notebook's `globals()`, with its parameters.

    Attributes:
        words, averages: part two's arguments for `WordBiRNNClassifier` and `BiRNNClassifier`.
        report: part one's arguments for `BiRNNClassifier`.
        max_length, seeds: of this run; a quick one reads fewer words and has one seed.
        folder: for pictures and predictions; for models, too, unless `saves_models`.
        saves_models: whether `SAVE_TO` is "models": the good ones are replaced.
        memory: keeps results for later runs in `runs/kept`, which may be deleted at any time; an
            update of the package or a library computes them anew.

    Raises:
        ParameterError: parameters are wrong. A notebook shows it without a traceback; from then on
            also files that cannot be read, and a stop.
    """

    def __init__(self, notebook: str, namespace: dict):
        if shell := get_ipython():
            shell.set_custom_exc((ParameterError, FileError, KeyboardInterrupt), _show_message)
        known = defaults(notebook)
        given, mistakes = {name: namespace.get(name, ...) for name in known}, []
        # So `make full` leaves the cell with the parameters as it is.
        given["SAVE_TO"] = os.environ.get("SENTIMENT_SAVE_TO", given["SAVE_TO"])
        for name, default in known.items():
            try:
                _check(name, default, given)
            except (ValueError, OSError) as error:
                mistakes.append(sentence(error))
        if mistakes:
            raise ParameterError("\n".join(mistakes))
        self.notebook, self.parameters, self.quick = notebook, given, given["QUICK"]
        # Compared as text, "LSTM" is "lstm", and a table can be compared.
        changed = [name for name in known if str(given[name]).lower() != str(known[name]).lower()]
        self._changed = one_line(", ".join(f"{name} = {given[name]!r:.200}" for name in changed))
        self.words = {name: given[name.upper()] for name in _word_parameters()}
        self.words["random_state"] = given["SEED"]
        self.averages = {name: self.words[name] for name in (*REPORT, *BOTH, "random_state")}
        self.report = self.averages | {name: given[f"REPORT_{name.upper()}"] for name in REPORT}
        self.max_length, self.seeds = given["MAX_LENGTH"], given["SEEDS"]
        if self.quick:
            for name in QUICK.keys() & self.words.keys():
                self.words[name] = min(self.words[name], QUICK[name])
            self.max_length, self.seeds = min(self.max_length, QUICK["max_length"]), self.seeds[:1]
        self.project = project_folder()
        self.folder = _new_folder(self.project / "runs")
        self.saves_models = given["SAVE_TO"] == "models"
        self._models = self.project / "models" if self.saves_models else self.folder
        code = [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
        code = joblib.hash([code, *map(version, ("torch", "numpy", "scikit-learn"))])
        self.memory = joblib.Memory(self.project / "runs" / "kept" / code, verbose=0)
        self._start = time.perf_counter()
        print(f"Run {self.folder.name}: {self._changed or 'all parameters have their defaults'}.")
        print(f"Models go to {self._name(self._models)}/, results to {self._name(self.folder)}/.")

    def keep(self, what: str, function: Callable, *arguments, **options):
        """What `function` returns, or what it returned to an earlier run for equal arguments."""
        kept, start = self.memory.cache(function), time.perf_counter()
        known = kept.check_call_in_cache(*arguments, **options)
        print(f"{what}: kept from an earlier run" if known else f"{what} …", flush=True)
        result = kept(*arguments, **options)
        if getattr(result, "stopped_", None) == "interrupted":  # the next run trains it again
            kept.call_and_shelve(*arguments, **options).clear()
        if not known:
            print(f"{what}: {time.perf_counter() - start:.0f} s")
        return result

    def fit(self, what: str, estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
        """`estimator.fit(*rows, **options)`, kept as in `keep`; `estimator` stays unfitted."""
        return self.keep(what, fitted, estimator, *rows, **options)

    def saved_model(self, name: str):
        """The model in the file `models/NAME`; None, with a sentence, where there is none."""
        path = self.project / "models" / name
        try:
            model = load(path)
        except FileError as error:
            print(f"No saved model is shown here: {sentence(error)}")
            return None
        print(f"{self._name(path)} of {_when(path)}")
        return model

    def show(self, model, text: str) -> None:
        """How a model reads a text, word by word; nothing if there is no model."""
        if model is not None:
            display(highlight_words(model, text))

    def show_box(self, model) -> None:
        """A box for a review of one's own, which `model` reads; nothing if there is no model."""
        if model is None:
            return

        def read(review: str) -> None:
            try:
                display(highlight_words(model, review))
            except ValueError as error:
                print(error)

        typed = ipywidgets.Textarea(placeholder="Type a review", layout={"width": "50em"})
        box = ipywidgets.interactive(read, {"manual": True, "manual_name": "Read it"}, review=typed)
        # An exported page has no kernel to answer: it leaves out outputs with this tag.
        display(box, metadata={"tags": ["needs-kernel"]})

    def path(self, name: str) -> Path:
        """Where a model of this run, or a picture of it, is saved."""
        return self._models / name

    def save(self, model, name: str) -> None:
        """Save a model, and say where, and what it replaced."""
        path = self.path(name)
        replaced = f"; it replaces the one of {_when(path)}" if path.exists() else ""
        save(model, path)
        print(f"Saved as {self._name(path)}, {path.stat().st_size / 1e6:.1f} MB{replaced}.")

    def score(self, model, name: str) -> pd.DataFrame | None:
        """Score `TEST_DATA`, a file or a table, into the file `name` in the run's folder; returns
        its first rows. None without a model or `TEST_DATA`."""
        source, path = self.parameters["TEST_DATA"], self.folder / name
        options = {"column": self.parameters["COLUMN"], "encoding": self.parameters["ENCODING"]}
        if source is None:
            print("TEST_DATA is None: there is no file to score.")
        if model is None or source is None:
            return None
        if isinstance(source, pd.DataFrame):
            table = score_csv(model, source, **options)
            table.to_csv(path, index=False)
        else:
            print(score_csv(model, source, path, overwrite=True, **options))
            with ReviewTable.open(path, **options) as opened:
                rows = [row.fields for row in islice(opened.rows(), 5) if row.fields]
            table = pd.DataFrame(rows, columns=opened.columns)
        print(f"Written to {self._name(path)}. Its first rows:")
        return table.head()

    def mark_quick(self) -> None:
        """In a quick run, say so above a section's figures."""
        if self.quick:
            text = "quick: one seed; {max_length} words a review in order, one epoch, no pairs"
            text = text.format(**QUICK)
            display(HTML(f'<p style="color:{ORANGE}"><b>{text}</b></p>'))

    def record(self, classifier, labels: np.ndarray, positive: np.ndarray) -> None:
        """Add this run to `runs/log.csv`, by the probabilities `positive` (N,) that its classifier
        gave the held-out reviews with `labels` (N,). They are kept in the run's folder."""
        held_out = pd.DataFrame({"label": labels, "probability": positive})
        held_out.to_csv(self.folder / "held_out.csv", index=False)
        scores, bounds = evaluate(labels, positive), intervals(labels, positive)["accuracy"]
        line = {
            "run": self.folder.name, "when": f"{datetime.now():%Y-%m-%d %H:%M}",
            "notebook": self.notebook, "network": classifier.title, "changed": self._changed,
            "epochs": len(classifier.history_), "accuracy": scores.accuracy,
            "low": bounds[0], "high": bounds[1], "roc_auc": scores.roc_auc, "loss": scores.loss,
            "seconds": round(time.perf_counter() - self._start),
        }  # fmt: skip
        path = self.folder.parent / "log.csv"
        pd.DataFrame([line]).round(4).to_csv(path, mode="a", header=not path.exists(), index=False)

    def log(self) -> tuple[pd.DataFrame, dict[str, np.ndarray], np.ndarray]:
        """The lines of `runs/log.csv` whose held-out reviews have the same labels as here, the most
        accurate first; the probabilities (N,) of each one, by the run's number; the labels (N,)."""
        labels = pd.read_csv(self.folder / "held_out.csv")["label"]
        table = pd.read_csv(self.folder.parent / "log.csv", dtype={"run": str}, na_filter=False)
        positive = {}
        for number in table["run"]:
            with suppress(FileNotFoundError):  # of a folder that was deleted
                path = self.folder.parent / number / "held_out.csv"
                held_out = pd.read_csv(path, converters={"probability": float})  # pandas 2 rounds
                if held_out["label"].equals(labels):
                    positive[number] = held_out["probability"].to_numpy()
        table = table[table["run"].isin(positive)].drop_duplicates("run", keep="last")
        return table.sort_values("accuracy", ascending=False), positive, labels.to_numpy()

    def latest(self, notebook: str, name: str) -> dict[str, np.ndarray]:
        """The probabilities (N,) of the last run of a notebook on these held-out reviews, by
        `name`; empty, with a sentence, if there is none."""
        table, positive, _ = self.log()
        if (table := table[table["notebook"] == notebook]).empty:
            print(f"{notebook} has not been run on these reviews: its network is not compared.")
            return {}
        return {name: positive[max(table["run"], key=int)]}

    def _name(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def fitted(estimator: BaseEstimator, *rows, **options) -> BaseEstimator:
    """A copy of `estimator`, fitted."""
    return clone(estimator).fit(*rows, **options)


def defaults(notebook: str) -> dict[str, object]:
    """The parameters of a notebook with their default values."""
    skip = notebook.startswith("2")
    report = BiRNNClassifier(cell_type="lstm", num_layers=14) if skip else BiRNNClassifier()
    words = WordBiRNNClassifier(num_layers=3 if skip else 1, skip_connections=skip)
    values = {
        "REVIEWS": "bundled", "COLUMN": "review", "ENCODING": "utf-8", "OFFICIAL_SPLIT": True,
        "GLOVE": "glove.6B.50d", "QUICK": False, "INPUT": "sequence", "MAX_LENGTH": 400,
        "SEED": 1234, "SEEDS": [1234, 1235, 1236, 1237, 1238], "TEST_DATA": None,
        "SAVE_TO": "runs",
    }  # fmt: skip
    values |= {f"REPORT_{name.upper()}": getattr(report, name) for name in REPORT}
    return values | {name.upper(): getattr(words, name) for name in _word_parameters()}


def _word_parameters() -> list[str]:
    others = ("embeddings", "random_state", "device", "verbose")
    return [name for name in WordBiRNNClassifier().get_params() if name not in others]


def _check(name: str, default, given: dict) -> None:
    """`ValueError` or `OSError` where a parameter has a wrong value."""
    value = given[name]
    choices = (True, False) if isinstance(default, bool) else CHOICES.get(name)
    if value is ...:
        raise ValueError(f"{name} is missing: run the cell with the parameters")
    if choices:
        # Compared as written, 1 is not True. A cell type may have capital letters.
        written = repr(value).lower() if name.endswith("CELL_TYPE") else repr(value)
        if written not in (choices := [*map(repr, choices)]):
            raise ValueError(f"{name} is {value!r:.80}; it must be {' or '.join(choices)}")
    elif name in COUNTS:
        check_range(name, value, *COUNTS[name])
    elif name == "SEEDS":
        if not isinstance(value, list) or not value:
            raise ValueError(f"SEEDS is {value!r:.80}; it must be a list of whole numbers")
        for seed in value:
            check_range("a number in SEEDS", seed, *COUNTS["SEED"])
        if len(set(value)) < len(value):
            raise ValueError(f"SEEDS is {value!r:.80}; each number may occur once")
    elif name == "TEST_DATA" and isinstance(value, pd.DataFrame | None):
        if value is not None and given["COLUMN"] not in list(value):
            raise ValueError(f"TEST_DATA has no column {given['COLUMN']!r:.80}: set COLUMN")
    elif name == "TEST_DATA" or isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError(f"{name} is {value!r:.80}; it must be a text")
        if name == "GLOVE" and value not in NAMES and not resolve(value).is_file():
            raise ValueError(f"GLOVE is {value!r:.200}: neither a file nor {', '.join(NAMES)}")
        if name in ("REVIEWS", "TEST_DATA"):
            _check_table(name, value, given["COLUMN"], given["ENCODING"])
    else:
        kind = BiRNNClassifier if name.startswith("REPORT_") else WordBiRNNClassifier
        parameter = name.removeprefix("REPORT_").lower()
        try:
            kind(**{parameter: value})._check_parameters()
        except ValueError as error:
            raise ValueError(str(error).replace(parameter, name, 1)) from None


def _check_table(name: str, source: str, column: str, encoding: str) -> None:
    """`ValueError` where there is no file with the columns that are needed. `REVIEWS` may be a
    folder or an archive, too."""
    path, learns = resolve(source), name == "REVIEWS"
    if learns and (
        source in ("bundled", "aclImdb")
        or (path.is_file() and path.name.endswith((".tar.gz", ".tgz")))
        or any(path.glob("train/pos/*.txt"))
    ):
        return
    if isinstance(column, str) and isinstance(encoding, str):  # otherwise, there is a line already
        try:
            check_columns(path, column, encoding, labels=learns)
        except FileError as error:
            raise ValueError(f"{name}: {error}") from None


def _new_folder(parent: Path) -> Path:
    """A new folder with the next number as its name."""
    parent.mkdir(parents=True, exist_ok=True)
    numbers = [int(path.name) for path in parent.iterdir() if path.name.isdecimal()]
    for number in count(max(numbers, default=0) + 1):
        with suppress(FileExistsError):  # of a run that began at the same moment
            (parent / str(number)).mkdir()
            return parent / str(number)


def _when(path: Path) -> str:
    return f"{datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"


def _show_message(shell, kind, error, *_, **__) -> None:
    """An error without its traceback."""
    shell._showtraceback(kind, error, [str(error) or "Stopped."])

"""A notebook's parameters are checked at once; its runs are kept, logged and compared."""

import ast
import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from scipy.stats import norm
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BiRNNClassifier, MeanEmbedding, WordBiRNNClassifier, runs
from sentiment_helpers.classifiers import blend
from sentiment_report import comparisons

ROOT = Path(__file__).parents[1]
FIRST, SECOND = "1_stacked_birnn", "2_skip_birnn"
TABLE = pd.DataFrame({"review": ["good film", " ", "bad film"], "label": [1, 1, 0]})


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty project."""
    monkeypatch.setattr(runs, "project_folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def model(glove):
    """As a notebook saves it: a transformer and a blend."""
    features = MeanEmbedding(glove).fit(TABLE["review"])
    X, y = features.transform(TABLE["review"]), TABLE["label"]
    classifier = BiRNNClassifier(num_layers=1, max_epochs=1).fit(X, y, validation=(X, y))
    return make_pipeline(features, blend([("network", classifier)]).fit(X, y))


@pytest.fixture
def shown(monkeypatch):
    """What a run displays."""
    outputs = []
    monkeypatch.setattr(runs, "display", lambda *parts: outputs.extend(parts))
    return outputs


def start(notebook=FIRST, **changes):
    return runs.Run(notebook, runs.defaults(notebook) | changes)


def mistakes_of(changes):
    with pytest.raises(runs.ParameterError) as caught:
        start(**changes)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("notebook", [FIRST, SECOND])
def test_defaults_are_the_values_in_the_notebook(notebook):
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text("utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    lines = ast.parse("".join(cell["source"])).body
    written = {line.targets[0].id: ast.literal_eval(line.value) for line in lines}
    known = runs.defaults(notebook)
    assert sorted(map(repr, written.items())) == sorted(map(repr, known.items()))


MISTAKES = [
    ({"QUICK": "false"}, "it is 'false'; it must be True or False"),
    ({"OFFICIAL_SPLIT": 1}, "it is 1; it must be True or False"),
    ({"RUNS": TABLE}, "it is "),
    ({"SEEDS": []}, "it is []; it must be a list of different numbers"),
    ({"SEEDS": [1, 2, 1]}, "it is [1, 2, 1]; it must be a list of different numbers"),
    ({"SEEDS": [1, "2"]}, "a number is '2'; it must be a whole number from 0 to "),
    ({"SEED": True}, "it is True; it must be a whole number from 0 to 4,294,967,295"),
    ({"MAX_LENGTH": 0}, "it is 0; it must be a whole number from 1 to"),
    ({"REPORT_CELL_TYPE": "lstn"}, "cell_type is 'lstn'; it must be one of "),
    ({"LR": float("nan")}, "lr is nan; it must be a number from"),
    ({"COLUMN": 3, "TEST_DATA": "{here}/good.csv"}, "it is 3; it must be a text"),
    ({"ENCODING": None, "TEST_DATA": "{here}/good.csv"}, "it is None; it must be a text"),
    ({"GLOVE": "glove.6B.51d"}, "it is 'glove.6B.51d'; it must be a file or one of glove.6B.50d,"),
    ({"REVIEWS": TABLE}, "it is "),
    ({"REVIEWS": "missing.tar.gz"}, "cannot read missing.tar.gz: No such file or"),
    ({"REVIEWS": ""}, "cannot read .: Is a directory"),
    ({"REVIEWS": "{here}/texts.csv"}, "there is no column named label or "),
    ({"TEST_DATA": 7}, "it is 7; it must be a text"),
    ({"TEST_DATA": "bundled"}, "cannot read bundled: No such file or directory"),
    ({"TEST_DATA": "{here}/other.csv"}, "{here}/other.csv has no column review: choose"),
    ({"TEST_DATA": TABLE, "COLUMN": "text"}, "the table has no column 'text': set COLUMN"),
]


def filled(value, here):
    return value.replace("{here}", str(here)) if isinstance(value, str) else value


@pytest.fixture
def files(project):
    TABLE.to_csv(project / "good.csv", index=False)
    TABLE[["review"]].to_csv(project / "texts.csv", index=False)
    TABLE.rename(columns={"review": "text"}).to_csv(project / "other.csv", index=False)
    return project


@pytest.mark.parametrize(("changes", "says"), MISTAKES)
def test_a_mistake_in_a_parameter_is_one_line(changes, says, files):
    changes = {name: filled(value, files) for name, value in changes.items()}
    (line,) = mistakes_of(changes)
    assert line.startswith(f"{next(iter(changes))}: {filled(says, files)}")
    assert len(line) < 500
    assert not (files / "runs").exists()


def test_all_mistakes_are_said_together(files):
    """Those of each parameter, in order, in less than two seconds."""
    wrong = {}
    for changes, _ in MISTAKES:
        wrong |= {name: filled(value, files) for name, value in changes.items()}
    wrong |= {"COLUMN": "review", "ENCODING": "utf-8", "TEST_DATA": "missing.csv"}
    start = time.perf_counter()
    lines = mistakes_of(wrong)
    assert time.perf_counter() - start < 2
    names = [line.partition(":")[0] for line in lines]
    assert names == [n for n in runs.defaults(FIRST) if n in wrong.keys() - {"COLUMN", "ENCODING"}]
    assert len(mistakes_of(dict.fromkeys(runs.defaults(FIRST), ...))) == len(runs.defaults(FIRST))


def test_parameters_without_a_mistake(files):
    (files / "folder" / "train" / "pos").mkdir(parents=True)
    (files / "folder" / "train" / "pos" / "1_9.txt").touch()
    (files / "reviews.tar.gz").touch()
    for changes in (
        {"REVIEWS": "{here}/good.csv", "TEST_DATA": "{here}/texts.csv", "GLOVE": "{here}/good.csv"},
        {"REVIEWS": "{here}/other.csv", "COLUMN": "Text", "CELL_TYPE": "GRU", "LR": 1},
        {"REVIEWS": "{here}/folder", "TEST_DATA": TABLE, "REPORT_CELL_TYPE": "Rnn"},
        {"REVIEWS": "{here}/reviews.tar.gz", "OPTIMIZER": "sgd"},
        {"REVIEWS": "aclImdb", "GLOVE": "glove.6B.300d"},
    ):
        run = start(**{name: filled(value, files) for name, value in changes.items()})
        assert run.folder.is_dir()


def test_a_notebook_shows_mistakes_without_a_traceback(capsys, monkeypatch):
    shell = InteractiveShell.instance()
    try:
        monkeypatch.setattr(runs, "get_ipython", lambda: shell)
        shell.user_ns |= runs.defaults(FIRST) | {"QUICK": "false", "LR": "x", "runs": runs}
        assert not shell.run_cell("runs.Run('1_stacked_birnn', globals())").success
        assert not shell.run_cell("raise KeyboardInterrupt").success
        assert not shell.run_cell("1 / 0").success
        assert not shell.run_cell("run.folder").success
    finally:
        InteractiveShell.clear_instance()
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "QUICK: it is 'false'; it must be True or False"
    assert shown[1].startswith("LR: lr is 'x'; it must be a number")
    assert shown[2] == "Stopped."
    assert "Traceback" in "".join(shown[3:])
    assert shown[-1] == "A cell failed or was stopped: start again from the parameters."


def test_a_run_that_has_ended():
    """It is ended before the next one is checked. It refuses before it computes."""
    namespace = runs.defaults(FIRST)
    run = namespace["run"] = runs.Run(FIRST, namespace)
    with pytest.raises(runs.ParameterError, match="LR: "):
        runs.Run(FIRST, namespace := namespace | {"LR": "x"})
    ended = namespace["run"]
    for use in (
        partial(ended.record, "words", None, None, None),
        partial(comparisons.runs_table, ended, "words"),
        partial(ended.link, "predictions.csv"),
        ended.mark_quick,
        *(partial(getattr, ended, name) for name in vars(run) if not name.startswith("_")),
    ):
        with pytest.raises(runs.ParameterError, match="A cell failed or was stopped: start again"):
            use()
    assert not hasattr(ended, "_repr_html_")
    assert not hasattr(run, "foldr")  # a misspelled name


def test_numbers_of_runs(project):
    """Gaps are not filled; runs that start at the same moment have folders of their own."""
    for name in ("3", "7", "kept", "notes", "8.txt"):
        (project / "runs" / name).mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        folders = {run.folder for run in pool.map(start, [FIRST] * 4)}
    assert folders == {project / "runs" / name for name in "8 9 10 11".split()}


def test_what_differs_from_the_defaults(capsys):
    start()
    assert capsys.readouterr().out == (
        "Run 1: all parameters have their defaults.\nModels and figures go to runs/1/.\n"
    )
    start(CELL_TYPE="LSTM", MAX_NORM=1.0, NUM_LAYERS=2, SEEDS=[3])
    assert "Run 2: SEEDS = [3], NUM_LAYERS = 2.\n" in capsys.readouterr().out
    start(TEST_DATA=TABLE)
    assert capsys.readouterr().out.startswith("Run 3: TEST_DATA = review label")


def test_where_runs_write(project, tmp_path_factory, monkeypatch):
    """In a folder of one's own; in the current one where the project is read-only."""
    own, mkdir = tmp_path_factory.mktemp("own"), Path.mkdir

    def refuse(self, *args, **kwargs):
        if self.is_relative_to(project):
            raise PermissionError(13, "Permission denied", str(self))
        mkdir(self, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.chdir(own)
    assert start().folder == own / "runs" / "1"
    monkeypatch.setenv("SENTIMENT_RUNS", str(own / "class"))
    assert start().folder == own / "class" / "1"
    assert start(RUNS=str(own / "mine")).folder == own / "mine" / "1"
    (line,) = mistakes_of({"RUNS": str(project)})
    assert line == f"RUNS: {project}: Permission denied; set it to a folder of your own"


def test_parameters_become_those_of_the_classifiers():
    run = start(REPORT_NUM_LAYERS=7, REPORT_CELL_TYPE="rnn", NUM_LAYERS=2, LR=0.5, SEED=9)
    assert BiRNNClassifier(**run.report).title == "RNN 7×8"
    words = WordBiRNNClassifier(**run.words)
    assert words.title == "LSTM 2×128, words in order"
    assert (words.lr, words.random_state, words.max_epochs) == (0.5, 9, 4)
    assert BiRNNClassifier(**start().report).get_params() == BiRNNClassifier().get_params()
    second = start(SECOND)
    assert BiRNNClassifier(**second.report, skip_connections=True).title == "LSTM 7×8 skip"
    assert WordBiRNNClassifier(**second.words).title == "LSTM 2×128 skip, words in order"


def test_a_quick_run(capsys):
    """Fewer epochs and words for the network on words in order only; never more than given."""
    run, small = start(QUICK=True), start(QUICK=True, MAX_LENGTH=60, SEEDS=[5, 6])
    assert (run.words["max_epochs"], run.max_length, run.seeds) == (1, 64, [1234])
    assert (small.words["max_epochs"], small.max_length, small.seeds) == (1, 60, [5])
    assert (run.words["pair_size"], run.words["hidden_size"]) == (0, 64)
    assert run.report == start().report
    run.mark_quick()
    start().mark_quick()
    marked = "QUICK: one seed; 64 words, 64 units at most, 1 epoch, no pairs\n"
    assert capsys.readouterr().out.count(marked) == 1


calls = []


class Trained(BaseEstimator):
    """An estimator whose training ends by `why`."""

    title, history_ = "GRU 1×2", [0.5, 0.4]

    def __init__(self, why="patience"):
        self.why = why

    def fit(self, X, y=None):
        calls.append(self.why)
        self.stopped_, self.sum_ = self.why, X.sum()
        return self


def test_trainings_are_kept(capsys):
    """For equal rows and parameters, from one run for another. One that was stopped is not kept."""
    calls.clear()
    X, untrained = np.ones((3, 2)), Trained()
    for run, rows in ((start(), X), (start(), X.copy()), (start(SECOND), X + 1)):
        assert run.fit("network", untrained, rows).sum_ == rows.sum()
    assert not hasattr(untrained, "sum_")
    assert calls == ["patience"] * 2
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt, match="Stopped: an unfinished training is not kept"):
            start().fit("network", Trained("interrupted"), X)
    assert calls[2:] == ["interrupted"] * 2
    said = capsys.readouterr().out
    assert said.count("network: kept from an earlier run\n") == 1
    assert said.count("network: 0 s\n") == 2


def test_a_stop_ends_an_estimator_that_would_go_on():
    """It may warn only: nothing is kept, and the cell ends."""
    run, stop = start(), mock.Mock(side_effect=KeyboardInterrupt)
    for _ in range(2):
        with (
            mock.patch.object(MLPClassifier, "_update_no_improvement_count", stop),
            pytest.raises(runs.SHOWN, match="interrupted by user"),
        ):
            run.fit("network", MLPClassifier((2,)), LABELS[:, np.newaxis], LABELS)
    assert stop.call_count == 2


def test_the_network_on_words_is_kept(glove, capsys):
    untrained = WordBiRNNClassifier(glove, hidden_size=2, max_epochs=1, domain_size=0, pair_size=0)
    ids, y = np.arange(40).reshape(20, 2) % 5 + 2, LABELS
    for _ in range(2):
        start().fit(untrained.title, untrained, ids, y, validation=(ids, y))
    said = capsys.readouterr().out
    assert said.endswith("LSTM 1×2, words in order: kept from an earlier run\n")
    assert said.count("kept") == 1


def test_other_code_keeps_other_results(monkeypatch):
    """An update of a library computes anew."""
    one, real = start().memory.location, runs.version
    assert start().memory.location == one
    monkeypatch.setattr(runs, "version", lambda name: "99" if name == "nltk" else real(name))
    assert start().memory.location != one


@pytest.mark.parametrize("kind", ["utf-8", "cp1252", "table"])
def test_the_test_data_is_scored(kind, project, model, capsys, shown, monkeypatch):
    """Again, too, as when a cell is run again. A link leads to the file."""
    table = pd.concat([TABLE] * 3, ignore_index=True).rename(columns={"review": "text"})
    table.loc[0, "text"] = 'a "good" film; really, très good'
    options, path = {"COLUMN": "text", "TEST_DATA": table}, project / "test.csv"
    if kind != "table":
        table.to_csv(path, index=False, sep=";", encoding=kind)
        options |= {"TEST_DATA": str(path), "ENCODING": kind}
    run = start(**options)
    monkeypatch.chdir(project / "runs")
    for _ in range(2):
        capsys.readouterr()
        run.score(model, "predictions.csv")
        link = '<a href="1/predictions.csv" target="_blank">runs/1/predictions.csv</a>'
        assert shown[-2].data == link
        assert list(shown[-1]) == ["text", "label", "probability", "prediction"]
        assert shown[-1]["text"].tolist() == table["text"][:5].tolist()
        said = capsys.readouterr().out
        assert ("9 rows: 6 scored" in said) == (kind != "table")
    assert run.folder.joinpath("predictions.csv").read_bytes().count(b"\n") == 10
    assert list(table) == ["text", "label"]


def test_nothing_to_score(project, model, capsys, shown):
    (project / "empty.csv").write_text("id,review\n")
    start(TEST_DATA=str(project / "empty.csv")).score(model, "predictions.csv")
    assert (list(shown[1]), len(shown[1])) == (["id", "review", "probability", "prediction"], 0)
    run = start()
    run.score(model, "predictions.csv")
    assert capsys.readouterr().out.endswith("TEST_DATA is None: nothing is scored.\n")
    assert [*run.folder.iterdir()] == []


LABELS = np.array([0, 1] * 10)
RIGHT = np.where(LABELS == 1, 0.9, 0.1)


def recorded(right, labels=LABELS, parts=("words",), **options):
    """A run that reads the first `right` rows rightly."""
    run = start(**options)
    for part in parts:
        run.record(part, Trained(), labels, read(right))
    return run


def read(right):
    return np.where(np.arange(20) < right, RIGHT, 1 - RIGHT)


def test_runs_are_logged_and_compared(project):
    """The best is on top; runs on other reviews, quick ones, other networks, and those whose folder
    is gone, are left out. A column that is the same in all rows is, too."""
    recorded(12, LR=0.5)
    recorded(20, notebook=SECOND, GLOVE="glove.6B.300d", DROPOUT=0.3, HIDDEN_SIZE=64, MAX_NORM=2.0)
    recorded(20, labels=1 - LABELS)
    recorded(18)
    (project / "runs" / "4" / "held_out_words").unlink()
    recorded(19, QUICK=True)
    run = recorded(5, parts=["averages", "words"])
    run.record("words", Trained(), LABELS, read(17))  # again
    recorded(20, parts=["averages"])
    table = comparisons.runs_table(run, "words")
    data = table.data
    assert data.index.tolist() == [2, "6 ← this run", 1]
    assert data["accuracy"].tolist() == [1, 0.85, 0.6]
    assert data["notebook"].tolist() == [SECOND, FIRST, FIRST]
    assert not {"part", "network", "epochs"} & set(data)
    assert (data["low"] < data["accuracy"])[1:].all()
    p = data["p (against the best)"].tolist()
    expected = [2 * norm.sf(2 / 3**0.5), 4 * norm.sf(7 / 8**0.5)]  # of 3 rows and of 8
    assert p == ["", *(f"{value:.2g}" for value in expected)]
    changed = "GLOVE = 'glove.6B.300d', DROPOUT = 0.3, HIDDEN_SIZE = 64, MAX_NORM = 2.0"
    assert data["changed"].tolist() == [changed, "", "LR = 0.5"]
    assert changed in table.to_html()
    assert ">nan<" not in table.to_html()
    assert run.log("words")["notebook"].tolist() == [FIRST, SECOND, FIRST]  # by their numbers
    assert run.log("words")["positive"][6].tolist() == read(17).tolist()
    assert run.log("averages").index.tolist() == [6, 7]
    lines = pd.read_csv(project / "runs" / "log.csv")
    assert list(lines)[:6] == ["run", "when", "notebook", "part", "network", "changed"]
    assert lines["run"].tolist() == [1, 2, 3, 4, 5, 6, 6, 6, 7]
    assert lines["part"].tolist() == ["words"] * 5 + ["averages", "words", "words", "averages"]


def test_there_is_no_run_to_compare_with():
    recorded(12, labels=1 - LABELS)
    run = recorded(20, notebook=SECOND)
    data = comparisons.runs_table(run, "words").data
    assert data.index.tolist() == ["2 ← this run"]
    shown = data[["part", "network", "epochs", "accuracy", "p (against the best)"]]
    assert shown.values.tolist() == [["words", "GRU 1×2", 2, 1, ""]]
    with pytest.raises(OSError, match="held_out_averages"):
        run.log("averages")


def test_an_older_log_is_put_aside(project):
    """It has other columns."""
    (project / "runs" / "1").mkdir(parents=True)
    (project / "runs" / "log.csv").write_text("run,when\n1,2\n")
    recorded(12, parts=["averages", "words"])
    assert (project / "runs" / "log-before-2.csv").read_text() == "run,when\n1,2\n"
    assert pd.read_csv(project / "runs" / "log.csv")["run"].tolist() == [2, 2]

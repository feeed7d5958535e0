"""A notebook's parameters are checked at once; its runs are kept, logged and compared."""

import ast
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline

from sentiment_helpers import BiRNNClassifier, MeanEmbedding, WordBiRNNClassifier, load, runs
from sentiment_helpers.report import comparisons

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
    features = MeanEmbedding(glove).fit(TABLE["review"])
    X, y = features.transform(TABLE["review"]), TABLE["label"]
    classifier = BiRNNClassifier(num_layers=1, max_epochs=1).fit(X, y, validation=(X, y))
    return make_pipeline(features, classifier)


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
    assigned = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse("".join(cell["source"])).body
    }
    known = runs.defaults(notebook)
    assert {name: repr(value) for name, value in assigned.items()} == {
        name: repr(value) for name, value in known.items()
    }


NAN = float("nan")
MISTAKES = [
    ({"QUICK": "false"}, "QUICK is 'false'; it must be True or False"),
    ({"QUICK": 1}, "QUICK is 1; it must be True or False"),
    ({"OFFICIAL_SPLIT": None}, "OFFICIAL_SPLIT is None; it must be True or False"),
    ({"INPUT": "sequense"}, "INPUT is 'sequense'; it must be 'sequence' or 'mean'"),
    ({"INPUT": "Sequence"}, "INPUT is 'Sequence'; it must be 'sequence' or 'mean'"),
    ({"SAVE_TO": "Models"}, "SAVE_TO is 'Models'; it must be 'runs' or 'models'"),
    ({"SEEDS": "[1,2]"}, "SEEDS is '[1,2]'; it must be a list of whole numbers"),
    ({"SEEDS": []}, "SEEDS is []; it must be a list of whole numbers"),
    ({"SEEDS": [1, "2"]}, "a number in SEEDS is '2'; it must be a whole number from 0 to "),
    ({"SEED": -1}, "SEED is -1; it must be a whole number from 0 to 4,294,967,295"),
    ({"SEED": True}, "SEED is True; it must be a whole number from 0 to "),
    ({"CELL_TYPE": "lstn"}, "CELL_TYPE is 'lstn'; it must be 'rnn' or 'lstm' or 'gru'"),
    ({"CELL_TYPE": ["gru"]}, "CELL_TYPE is ['gru']; it must be 'rnn' or 'lstm' or 'gru'"),
    ({"REPORT_CELL_TYPE": None}, "REPORT_CELL_TYPE is None; it must be 'rnn' or"),
    ({"POOLING": "Max"}, "POOLING is 'Max'; it must be 'last' or 'max' or 'attention' or"),
    ({"SCHEDULE": "cosine"}, "SCHEDULE is 'cosine'; it must be 'constant' or 'linear'"),
    ({"OPTIMIZER": "Adam"}, "OPTIMIZER is 'Adam'; it must be 'adam' or 'adamw' or"),
    ({"CLASS_WEIGHT": {0: 2}}, "CLASS_WEIGHT is {0: 2}; it must be None or 'balanced'"),
    ({"NUM_LAYERS": 0}, "NUM_LAYERS is 0; it must be a whole number from 1 to 1,024"),
    ({"NUM_LAYERS": "3"}, "NUM_LAYERS is '3'; it must be a whole number from 1 to"),
    ({"REPORT_NUM_LAYERS": 0}, "REPORT_NUM_LAYERS is 0; it must be a whole number from 1 to"),
    ({"HIDDEN_SIZE": 0}, "HIDDEN_SIZE is 0; it must be a whole number from 1 to"),
    ({"REPORT_HIDDEN_SIZE": 8.0}, "REPORT_HIDDEN_SIZE is 8.0; it must be a whole number"),
    ({"MAX_LENGTH": 0}, "MAX_LENGTH is 0; it must be a whole number from 1 to"),
    ({"DOMAIN_SIZE": -1}, "DOMAIN_SIZE is -1; it must be a whole number from 0 to"),
    ({"BATCH_SIZE": 0}, "BATCH_SIZE is 0; it must be a whole number from 1 to"),
    ({"DROPOUT": 1.2}, "DROPOUT is 1.2; it must be a number from 0.0 to 0.999"),
    ({"REPORT_DROPOUT": -0.1}, "REPORT_DROPOUT is -0.1; it must be a number from 0.0 to"),
    ({"WORD_DROPOUT": "0.3"}, "WORD_DROPOUT is '0.3'; it must be a number from 0.0 to"),
    ({"LR": NAN}, "LR is nan; it must be a number from"),
    ({"REPORT_LR": 0}, "REPORT_LR is 0; it must be a number from"),
    ({"SHORTCUT": "yes"}, "SHORTCUT is 'yes'; it must be True or False"),
    ({"SKIP_CONNECTIONS": 0}, "SKIP_CONNECTIONS is 0; it must be True or False"),
    ({"COLUMN": ["review"]}, "COLUMN is ['review']; it must be a text"),
    ({"COLUMN": 3, "TEST_DATA": "{here}/good.csv"}, "COLUMN is 3; it must be a text"),
    ({"ENCODING": None, "TEST_DATA": "{here}/good.csv"}, "ENCODING is None; it must be a text"),
    ({"GLOVE": 50}, "GLOVE is 50; it must be a text"),
    ({"GLOVE": "glove.6B.51d"}, "GLOVE is 'glove.6B.51d': neither a file nor glove.6B.50d,"),
    ({"GLOVE": "{here}"}, "GLOVE is '{here}': neither a file nor"),
    ({"REVIEWS": TABLE}, "REVIEWS is "),
    ({"REVIEWS": None}, "REVIEWS is None; it must be a text"),
    ({"REVIEWS": "missing.csv"}, "REVIEWS: cannot read missing.csv: No such file or directory"),
    ({"REVIEWS": "missing.tar.gz"}, "REVIEWS: cannot read missing.tar.gz: No such file or"),
    ({"REVIEWS": ""}, "REVIEWS: . is a folder: give the file with the reviews in it"),
    ({"SEEDS": [1, 2, 1]}, "SEEDS is [1, 2, 1]; each number may occur once"),
    ({"REVIEWS": "{here}/texts.csv"}, "REVIEWS: {here}/texts.csv needs the columns review and "),
    ({"REVIEWS": "{here}/other.csv"}, "REVIEWS: {here}/other.csv needs the columns review and "),
    ({"REVIEWS": "{here}/empty.csv"}, "REVIEWS: {here}/empty.csv is empty"),
    ({"TEST_DATA": 7}, "TEST_DATA is 7; it must be a text"),
    ({"TEST_DATA": "missing.csv"}, "TEST_DATA: cannot read missing.csv: No such file or"),
    ({"TEST_DATA": "{here}"}, "TEST_DATA: {here} is a folder: give the file"),
    ({"TEST_DATA": "{here}/other.csv"}, "TEST_DATA: {here}/other.csv needs the columns review; "),
    ({"TEST_DATA": "bundled"}, "TEST_DATA: cannot read bundled: No such file or directory"),
    ({"TEST_DATA": TABLE, "COLUMN": "text"}, "TEST_DATA has no column 'text': set COLUMN"),
]  # fmt: skip


def filled(value, here):
    return value.replace("{here}", str(here)) if isinstance(value, str) else value


@pytest.fixture
def files(project):
    TABLE.to_csv(project / "good.csv", index=False)
    TABLE[["review"]].to_csv(project / "texts.csv", index=False)
    TABLE.rename(columns={"review": "text"}).to_csv(project / "other.csv", index=False)
    (project / "empty.csv").touch()
    return project


@pytest.mark.parametrize(("changes", "says"), MISTAKES)
def test_a_mistake_in_a_parameter_is_one_line(changes, says, files):
    changes = {name: filled(value, files) for name, value in changes.items()}
    (line,) = mistakes_of(changes)
    assert line.startswith(filled(says, files))
    assert len(line) < 500
    assert not (files / "runs").exists()


def test_all_mistakes_are_said_together(files):
    """Those of each parameter, in order, in less than two seconds."""
    wrong = {}
    for changes, _ in MISTAKES[::-1]:
        wrong |= {name: filled(value, files) for name, value in changes.items()}
    wrong["COLUMN"] = wrong["ENCODING"] = "utf-9"
    wrong["TEST_DATA"] = "missing.csv"
    start = time.perf_counter()
    lines = mistakes_of(wrong)
    assert time.perf_counter() - start < 2
    names = [re.search("[A-Z][A-Z_]+", line)[0] for line in lines]
    known = [name for name in runs.defaults(FIRST) if name in wrong]
    assert names == [name for name in known if name not in ("COLUMN", "ENCODING")]
    assert len(names) > 25
    assert len(mistakes_of(dict.fromkeys(runs.defaults(FIRST), ...))) == len(runs.defaults(FIRST))
    assert not (files / "runs").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"CELL_TYPE": "GRU", "REPORT_CELL_TYPE": "Rnn"},
        {"REVIEWS": "{here}/good.csv", "TEST_DATA": "{here}/texts.csv"},
        {"REVIEWS": "{here}/other.csv", "COLUMN": "Text", "TEST_DATA": None},
        {"TEST_DATA": TABLE},
        {"REVIEWS": "{here}/folder"},
        {"REVIEWS": "aclImdb", "GLOVE": "glove.6B.300d"},
        {"GLOVE": "{here}/good.csv"},
        {"LR": 1, "MAX_NORM": 2, "CLASS_WEIGHT": "balanced"},
    ],
)
def test_parameters_without_a_mistake(changes, files):
    (files / "folder" / "train" / "pos").mkdir(parents=True)
    (files / "folder" / "train" / "pos" / "1_9.txt").touch()
    run = start(**{name: filled(value, files) for name, value in changes.items()})
    assert run.folder == files / "runs" / "1"


def test_a_notebook_shows_mistakes_without_a_traceback(capsys, monkeypatch):
    shell = InteractiveShell.instance()
    try:
        monkeypatch.setattr(runs, "get_ipython", lambda: shell)
        shell.user_ns |= runs.defaults(FIRST) | {"QUICK": "false", "LR": "x", "runs": runs}
        assert not shell.run_cell("runs.Run('1_stacked_birnn', globals())").success
        assert not shell.run_cell("raise KeyboardInterrupt").success
        assert not shell.run_cell("1 / 0").success
    finally:
        InteractiveShell.clear_instance()
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "QUICK is 'false'; it must be True or False"
    assert shown[1].startswith("LR is 'x'; it must be a number")
    assert shown[2] == "Stopped."
    assert "Traceback" in "".join(shown[3:])


def test_numbers_of_runs(project):
    """Gaps are not filled; runs that begin at the same moment have numbers of their own."""
    for name in ("3", "7", "kept", "notes", "8.txt"):
        (project / "runs" / name).mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: start().folder, range(4)))
    assert sorted(folders) == [project / "runs" / name for name in ("10", "11", "8", "9")]


def test_what_differs_from_the_defaults(capsys, project):
    start()
    assert capsys.readouterr().out == (
        "Run 1: all parameters have their defaults.\n"
        "Models go to runs/1/, results to runs/1/.\n"
    )  # fmt: skip
    start(CELL_TYPE="LSTM", MAX_NORM=1.0, NUM_LAYERS=2, SEEDS=[3], SAVE_TO="models")
    assert capsys.readouterr().out == (
        "Run 2: SEEDS = [3], SAVE_TO = 'models', NUM_LAYERS = 2.\n"
        "Models go to models/, results to runs/2/.\n"
    )
    start(TEST_DATA=TABLE)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("Run 3: TEST_DATA = review label")
    assert len(shown) == 2


def test_parameters_become_those_of_the_classifiers():
    run = start(REPORT_NUM_LAYERS=7, REPORT_CELL_TYPE="rnn", NUM_LAYERS=2, LR=0.5, SEED=9)
    assert BiRNNClassifier(**run.report).title == "RNN 7×8"
    words, averages = WordBiRNNClassifier(**run.words), BiRNNClassifier(**run.averages)
    assert words.title == "LSTM 2×64, words in order"
    assert averages.title == "LSTM 2×64"
    for one in (words, averages):
        assert (one.lr, one.random_state, one.max_epochs) == (0.5, 9, 4)
    assert (run.max_length, run.seeds) == (400, [1234, 1235, 1236, 1237, 1238])
    plain = BiRNNClassifier(**start().report).get_params()
    assert plain == BiRNNClassifier().get_params()
    assert BiRNNClassifier(**start(SECOND).report).title == "LSTM 14×8"


def test_a_quick_run(monkeypatch):
    """Fewer epochs and words for the network on words in order only; never more than given."""
    shown = []
    monkeypatch.setattr(runs, "display", lambda one, **_: shown.append(one.data))
    run, small = start(QUICK=True), start(QUICK=True, MAX_LENGTH=60, SEEDS=[5, 6])
    assert (run.words["max_epochs"], run.max_length, run.seeds) == (1, 64, [1234])
    assert (small.words["max_epochs"], small.max_length, small.seeds) == (1, 60, [5])
    assert (run.words["pair_size"], run.words["pretraining_epochs"]) == (0, 0)
    assert run.report == start().report
    run.mark_quick()
    start().mark_quick()
    (text,) = shown
    assert "quick: one seed; 64 words a review in order, one epoch, no pairs" in text


calls = []


def doubled(array, times=2):
    calls.append(times)
    return array * times


class Interrupted(BaseEstimator):
    """An estimator whose training was stopped, unless `whole`."""

    def __init__(self, whole=False):
        self.whole = whole

    def fit(self, X, y=None):
        calls.append("fit")
        self.stopped_ = "patience" if self.whole else "interrupted"
        return self


def test_results_are_kept_for_later_runs(capsys):
    calls.clear()
    rows = np.arange(3)
    assert start().keep("doubles", doubled, rows).tolist() == [0, 2, 4]
    assert "doubles …\ndoubles: 0 s\n" in capsys.readouterr().out
    assert start(SECOND, NUM_LAYERS=9).keep("doubles", doubled, rows).tolist() == [0, 2, 4]
    assert "doubles: kept from an earlier run\n" in capsys.readouterr().out
    assert start().keep("triples", doubled, rows, times=3).tolist() == [0, 3, 6]
    assert start().keep("others", doubled, rows + 1).tolist() == [2, 4, 6]
    assert calls == [2, 3, 2]


@pytest.mark.parametrize("whole", [True, False])
def test_a_training_that_was_stopped_is_not_kept(whole, capsys):
    calls.clear()
    estimator = Interrupted(whole)
    for _ in range(2):
        fitted = start().fit("network", estimator, np.zeros((2, 1)))
        assert fitted.stopped_ == ("patience" if whole else "interrupted")
    assert calls == ["fit"] * (1 if whole else 2)
    assert ("kept from an earlier run" in capsys.readouterr().out) == whole
    assert not hasattr(estimator, "stopped_")


def test_other_code_keeps_other_results(monkeypatch):
    """An update of the package or of PyTorch computes anew."""
    one = start().memory.location
    assert start().memory.location == one
    monkeypatch.setattr(runs, "version", lambda library: "99")
    assert start().memory.location != one


def test_the_saved_model(project, model, capsys):
    run = start()
    says = "No saved model is shown here: "
    assert run.saved_model("RNN.pt") is None
    assert says in capsys.readouterr().out
    runs.save(model, project / "models" / "RNN.pt")
    assert len(run.saved_model("RNN.pt")) == 2
    when = r"models/RNN.pt of \d{4}-\d\d-\d\d \d\d:\d\d\n"
    assert re.fullmatch(when, capsys.readouterr().out)
    whole = (project / "models" / "RNN.pt").read_bytes()
    for damaged in (whole[:1000], b"", b"no model"):
        (project / "models" / "RNN.pt").write_bytes(damaged)
        assert run.saved_model("RNN.pt") is None
        shown = capsys.readouterr().out
        assert shown.startswith(says)
        assert shown.count("\n") == 1
    (project / "models" / "RNN.pt").unlink()
    (project / "models" / "RNN.pt").mkdir()
    assert run.saved_model("RNN.pt") is None


def test_make_full_saves_to_models(project, monkeypatch, capsys):
    """Without a change of the notebook's parameters."""
    monkeypatch.setenv("SENTIMENT_SAVE_TO", "models")
    assert start().path("RNN.pt") == project / "models" / "RNN.pt"
    assert "Run 1: SAVE_TO = 'models'.\n" in capsys.readouterr().out
    monkeypatch.setenv("SENTIMENT_SAVE_TO", "elsewhere")
    with pytest.raises(runs.ParameterError, match="SAVE_TO is 'elsewhere'"):
        start()


@pytest.mark.parametrize("save_to", ["runs", "models"])
def test_saving_says_where_and_what_it_replaced(save_to, project, model, capsys):
    for number in (1, 2):
        run = start(SAVE_TO=save_to)
        folder = f"runs/{number}" if save_to == "runs" else "models"
        assert run.path("RNN.pt") == project / folder / "RNN.pt"
        capsys.readouterr()
        run.save(model, "RNN.pt")
        shown = capsys.readouterr().out
        assert re.match(rf"Saved as {folder}/RNN.pt, \d+\.\d MB(;|\.\n)", shown)
        replaces = number == 2 and save_to == "models"
        assert ("; it replaces the one of 20" in shown) == replaces
    run.save(model, "RNN.pt")
    assert "; it replaces the one of 20" in capsys.readouterr().out
    assert load(run.path("RNN.pt")).predict(["good"]).shape == (1,)
    assert (project / "models").exists() == (save_to == "models")


@pytest.mark.parametrize("kind", ["file", "semicolons", "cp1252", "backslashes", "table"])
def test_the_test_data_is_scored(kind, project, model, capsys):
    """Again, too, as when a cell is run again."""
    table = pd.concat([TABLE] * 3, ignore_index=True).rename(columns={"review": "text"})
    table.loc[0, "text"] = 'a "good" film; really, très good'
    options, path = {"COLUMN": "text"}, project / "test.csv"
    if kind == "table":
        options["TEST_DATA"] = table
    elif kind == "backslashes":
        table.to_csv(path, index=False, doublequote=False, escapechar="\\")
    else:
        options["ENCODING"] = "cp1252" if kind == "cp1252" else "utf-8"
        separator = ";" if kind == "semicolons" else ","
        table.to_csv(path, index=False, sep=separator, encoding=options["ENCODING"])
    run = start(**{"TEST_DATA": str(path)} | options)
    for _ in range(2):
        capsys.readouterr()
        shown = run.score(model, "predictions.csv")
        assert list(shown) == ["text", "label", "probability", "prediction"]
        assert shown["text"].tolist() == table["text"][:5].tolist()
        said = capsys.readouterr().out
        assert said.endswith("Written to runs/1/predictions.csv. Its first rows:\n")
        assert ("9 rows: 6 scored" in said) == (kind != "table")
    written = (project / "runs" / "1" / "predictions.csv").read_bytes()
    assert written.count(b"\n") == 10
    assert list(table) == ["text", "label"]


def test_nothing_to_score(model, capsys):
    run = start()
    capsys.readouterr()
    assert run.score(model, "predictions.csv") is None
    assert capsys.readouterr().out == "TEST_DATA is None: there is no file to score.\n"
    other = start(TEST_DATA=TABLE)
    assert other.score(None, "predictions.csv") is None
    assert [*run.folder.iterdir(), *other.folder.iterdir()] == []


def test_the_box_reads_a_text(model, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(runs, "display", lambda one, **options: shown.append((one, options)))
    run = start()
    run.show(None, "good")
    run.show_box(None)
    assert shown == []
    run.show(model, "good film")
    run.show_box(model)
    (words, _), (box, options) = shown
    assert words.probability == model.predict_proba(["good film"])[0, 1]
    assert options == {"metadata": {"tags": ["needs-kernel"]}}
    text, button, _ = box.children
    assert (type(text), text.placeholder) == (ipywidgets.Textarea, "Type a review")
    assert (button.description, len(shown)) == ("Read it", 2)
    for typed in ("A good <b>film</b>", "qwxyz", "bad film"):
        text.value = typed
        button.click()
        words, _ = shown[-1]
        assert words.probability == model.predict_proba([typed])[0, 1]
    assert len(shown) == 5
    for typed, says in (("", "the text '' contains no word\n"), (" \n", "contains no word\n")):
        text.value = typed
        button.click()
        assert capsys.readouterr().out.endswith(says)
    assert len(shown) == 5


class Trained:
    title, history_ = "GRU 1×2", pd.DataFrame({"train_loss": [0.5, 0.4]})


LABELS = np.array([0, 1] * 10)
RIGHT = np.where(LABELS == 1, 0.9, 0.1)


def recorded(right, labels=LABELS, **options):
    """A run that reads the first `right` rows rightly."""
    run = start(**options)
    probabilities = np.where(np.arange(20) < right, RIGHT, 1 - RIGHT)
    run.record(Trained, labels, probabilities)
    return run


def test_runs_are_logged_and_compared(project, capsys):
    """The best is on top; runs on other reviews, and those whose folder is gone, are left out."""
    recorded(12, LR=0.5)
    recorded(20, notebook=SECOND, NUM_LAYERS=5)
    recorded(20, labels=1 - LABELS)
    recorded(18)
    (project / "runs" / "4" / "held_out.csv").unlink()
    run = recorded(17)
    table = comparisons.runs_table(run)
    assert table.index.tolist() == ["2", "5 ← this run", "1"]
    assert table["accuracy"].tolist() == [1, 0.85, 0.6]
    assert table["changed"].tolist() == ["NUM_LAYERS = 5", "", "LR = 0.5"]
    assert table["notebook"].tolist() == [SECOND, FIRST, FIRST]
    assert table["epochs"].tolist() == [2, 2, 2]
    assert table["network"].tolist() == ["GRU 1×2"] * 3
    assert (table["low"] < table["accuracy"])[1:].all()
    p = table["p (against the best)"]
    assert np.isnan(p.iloc[0])
    assert p.iloc[1:].tolist() == [0.25, 2 / 2**7]  # 2 / 2³, and twice 2 / 2⁸
    later = run.latest(FIRST, "plain")
    assert list(later) == ["plain"]
    assert later["plain"].tolist() == np.where(np.arange(20) < 17, RIGHT, 1 - RIGHT).tolist()
    lines = (project / "runs" / "log.csv").read_text().splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("run,when,notebook,network,changed,epochs,accuracy,low,high,roc_auc")


def test_a_run_that_is_recorded_again_is_one_line():
    """As when its last cells are run again."""
    recorded(19)
    run = recorded(5)
    run.record(Trained, LABELS, RIGHT)
    table = comparisons.runs_table(run)
    assert table.index.tolist() == ["2 ← this run", "1"]
    assert table["accuracy"].tolist() == [1, 0.95]


def test_there_is_no_run_to_compare_with(capsys):
    run = recorded(12, labels=1 - LABELS)
    run = recorded(20, notebook=SECOND)
    capsys.readouterr()
    assert run.latest(FIRST, "plain") == {}
    assert capsys.readouterr().out == (
        "1_stacked_birnn has not been run on these reviews: its network is not compared.\n"
    )
    assert comparisons.runs_table(run).index.tolist() == ["2 ← this run"]

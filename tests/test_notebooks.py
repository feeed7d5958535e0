"""Both notebooks run from top to bottom in real kernels: here, in Colab, with data of one's own,
and when they are stopped."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from itertools import product
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
from jupyter_client.manager import start_new_kernel

from sentiment_helpers import MeanEmbedding, load, runs

ROOT = Path(__file__).parents[1]
FIRST, SECOND = "1_stacked_birnn", "2_skip_birnn"
SMALL = {"CELL_TYPE": "RNN", "NUM_LAYERS": 3, "HIDDEN_SIZE": 8, "MAX_LENGTH": 60,
         "DOMAIN_SIZE": 5, "PAIR_SIZE": 5, "MAX_EPOCHS": 2, "REPORT_MAX_EPOCHS": 2,
         "SEEDS": [1, 2]}  # fmt: skip


def copy_project(folder):
    """The project in another folder, with one of its models and an empty `runs/`."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("sentiment_helpers", "sentiment_report", "notebooks"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE", "models/RNN.pt", "models/study.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def few(reviews, tmp_path_factory):
    """Parameters for a small run: 200 reviews, 100 rows to score, few epochs and units."""
    folder = tmp_path_factory.mktemp("few")
    rated = reviews[:200].assign(rating=reviews["label"] * 6.0 + 2).drop(columns="label")
    rated.to_csv(folder / "imdb-reviews.csv", sep="\t", index=False)
    reviews[:100].rename(columns={"label": "sentiment"}).to_csv(folder / "test.csv", index=False)
    files = {"REVIEWS": folder / "imdb-reviews.csv", "TEST_DATA": folder / "test.csv"}
    return SMALL | {name: str(path) for name, path in files.items()}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, from which kernels import the package."""
    folder = copy_project(tmp_path_factory.mktemp("project") / "sentiment")
    (folder.parent / "matplotlibrc").write_text("figure.dpi: 30")  # figures are drawn sooner
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
        yield folder


def run(project, name, parameters, without=(), **kernel):
    """Execute a notebook, perhaps `without` chapters: what it printed, and all outputs."""
    given, executed = (f / f"{name}.ipynb" for f in (project / "notebooks", project.parent))
    notebook, chapter = nbformat.read(given, as_version=4), ""
    for cell in list(notebook.cells):
        chapter = cell.source if cell.source.startswith("# ") else chapter
        if chapter.startswith(tuple(without)):
            notebook.cells.remove(cell)
    nbformat.write(notebook, executed)
    papermill.execute_notebook(
        executed, executed, parameters, cwd=project.parent, progress_bar=False, **kernel
    )
    outputs = outputs_of(executed)
    return "".join(o["text"] for o in outputs if o.output_type == "stream"), outputs


def outputs_of(executed):
    cells = nbformat.read(executed, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def tables(outputs):
    shown = [o["data"].get("text/html", "") for o in outputs if "data" in o]
    return [html for html in shown if 'class="dataframe"' in html or 'id="T_' in html]


@pytest.fixture(scope="module")
def first(project, few):
    """The first notebook, executed; as from `run`."""
    return run(project, FIRST, few)


@pytest.fixture(scope="module")
def second(project, few, first):
    """The second one, after the first one in the same project."""
    return run(project, SECOND, few)


@pytest.mark.parametrize("name", ["first", pytest.param("second", marks=pytest.mark.slow)])
def test_on_few_rows(name, request, project):
    (printed, outputs), skip = request.getfixturevalue(name), name == "second"
    number, stem = ("2", "RNNSkip") if skip else ("1", "RNN")
    for line in (
        f"Run {number}: REVIEWS = ",
        "SEEDS = [1, 2], TEST_DATA = ",
        "CELL_TYPE = 'RNN', ",
        "the loaded model predicts exactly the same: True",
        "100 rows: 100 scored",
        "epoch 2: train loss ",
        ("RNN 2×8 skip" if skip else "RNN 3×8") + ", words in order: ",
    ):
        assert line in printed
    assert "Traceback" not in printed
    assert any("<th>seeds</th>" in html for html in tables(outputs))
    assert [output for output in outputs if output.get("name") == "stderr"] == []
    folder = project / "runs" / number
    model = load(folder / f"{stem}.pt")
    titles = [one.title for one in model[-1].named_estimators_.values()]
    assert titles == [
        f"RNN {'2×8 skip' if skip else '3×8'}, words in order",
        "bag of words, pairs and triples",
    ]
    scored = pd.read_csv(folder / "predictions_of_this_run.csv")
    assert list(scored) == ["review", "sentiment", "probability", "prediction"]
    np.testing.assert_allclose(scored["probability"], model.predict_proba(scored["review"])[:, 1])
    made = {path.name for path in folder.iterdir()}
    made -= {"predictions_of_this_run.csv", "held_out_averages", "held_out_words"}
    others = {"RNNSkip-report.png"} if skip else {"RNN-report.pt", "predictions.csv"}
    assert made == {f"{stem}.pt", f"{stem}.png", f"{stem}-words.png"} | others
    if not skip:
        of_averages = load(folder / "RNN-report.pt")
        assert isinstance(of_averages[0], MeanEmbedding)
        assert of_averages[1].title == "GRU 5×8"


def test_the_result_comes_first(first, project):
    """The saved model reads three sentences, has a box, and scores the test file."""
    _, outputs = first
    shown = [o["data"].get("text/html", "") for o in outputs if o.output_type == "display_data"]
    read = [html for html in shown if "read as " in html]
    assert ["read as positive" in read[0], "read as negative" in read[1]] == [True, True]
    assert any(">runs/1/predictions.csv</a>" in html for html in shown[: shown.index(read[3])])
    scored = pd.read_csv(project / "runs" / "1" / "predictions.csv")
    expected = load(ROOT / "models/RNN.pt").predict_proba(scored["review"])[:, 1]
    np.testing.assert_allclose(scored["probability"], expected, rtol=1e-5)
    tags = [output.get("metadata", {}).get("tags", []) for output in outputs]
    assert tags.count(["needs-kernel"]) == 1
    # A trial writes to `runs/` only.
    assert {path.name for path in (project / "models").iterdir()} == {"RNN.pt", "study.json"}
    assert (project / "models/RNN.pt").read_bytes() == (ROOT / "models/RNN.pt").read_bytes()


@pytest.mark.slow
def test_the_second_uses_what_the_first_one_kept(first, second, project):
    """It has the same bag and plain networks, and compares itself with the first one. Its own saved
    model is not there, so none is shown."""
    printed, outputs = second
    assert not (project / "runs" / "2" / "predictions.csv").exists()
    for what in ("bag", "8 of 8 trainings"):
        assert f"{what}: kept from an earlier run" in printed
    compared = [html for html in tables(outputs) if "<th>RNN 2×8 skip + bag</th>" in html]
    assert ["<th>RNN 3×8, first notebook</th>" in html for html in compared] == [True]
    assert "← this run" in tables(outputs)[-2]  # the last one is of the appendix
    assert "p (against the best)" in tables(outputs)[-2]
    lines = pd.read_csv(project / "runs" / "log.csv").query("part == 'words'")
    assert lines["notebook"].tolist() == [FIRST, SECOND]
    assert lines["epochs"].tolist() == [2, 2]


@pytest.mark.slow
def test_data_of_ones_own(project, tmp_path):
    """600 short reviews whose words tell all, in a file with other names and another encoding. All
    are read rightly by part two, which needs neither part one nor the appendix."""
    rng = np.random.default_rng(1)
    told = {"pos": "great fun warm lovely moving brilliant clever superb".split(),
            "neg": "dull awful boring weak stupid flat tedious bad".split()}  # fmt: skip
    others = "the film a story with and its cast plot of scenes music this in an ending".split()
    kinds = ["pos", "neg"] * 300
    drawn = [(rng.choice(told[kind], 6), rng.choice(others, rng.integers(15))) for kind in kinds]
    texts = [" ".join(rng.permutation(np.concatenate(words))) for words in drawn]
    table = pd.DataFrame({"Text": texts, "sentiment": kinds})
    table.to_csv(tmp_path / "own.csv", index=False, sep=";", encoding="cp1252")
    own = {"REVIEWS": str(tmp_path / "own.csv"), "COLUMN": "text", "ENCODING": "cp1252"}
    own |= {"TEST_DATA": own["REVIEWS"], "CELL_TYPE": "lstm", "LR": 0.01, "MAX_EPOCHS": 6}
    for name in (FIRST, SECOND):
        printed, _ = run(project, name, SMALL | own, without=["# Part one", "# Appendix"])
        assert "600 rows: 600 scored" in printed
        assert "the loaded model predicts exactly the same: True" in printed
    log = pd.read_csv(project / "runs" / "log.csv").query("part == 'words'").tail(2)
    assert log["accuracy"].tolist() == [1, 1]


TINY = """
import numpy as np
from sklearn.pipeline import make_pipeline
import sentiment_helpers as sh
from sentiment_helpers import runs
embedding = sh.MeanEmbedding(sh.Glove("tiny", ["good", "bad"], np.eye(2, dtype="float32")))
X, y = embedding.fit_transform(["good", "bad"] * 20), np.arange(40) % 2
"""
START = f"run = runs.Run({FIRST!r}, globals())"
TRAIN = """
network = sh.BiRNNClassifier(max_epochs=2, patience=1000, batch_size=1, verbose=True)
fitted = run.fit(network.title, network, X, y, validation=(X, y))
"""
REST = [
    TRAIN,
    "run.score(make_pipeline(embedding, fitted), 'predictions.csv')",
    "run.record('averages', fitted, y, fitted.predict_proba(X)[:, 1])",
    "sh.save(make_pipeline(embedding, fitted), run.folder / 'RNN.pt')",
    "print(run.memory.cache(np.sort)(X).shape)",
]
FORGET = "get_ipython().set_custom_exc((), None)"  # as IPython does after two stops at once
REFUSALS = {
    "RUNS: it is missing: run the cell with the parameters",
    "A cell failed or was stopped: start again from the parameters.",
}


def run_all(manager, client, *cells, goes_on=False, stop_at=None):
    """Run cells as *Run All* does, all sent at once: the status of each, and what it showed. The
    kernel is stopped when a cell shows `stop_at`."""
    sent = [client.execute(cell, stop_on_error=not goes_on) for cell in cells]
    shown, statuses = dict.fromkeys(sent, ""), {}
    while sent[-1] not in statuses:
        message = client.get_iopub_msg(timeout=60)
        content, cell = message["content"], message["parent_header"].get("msg_id")
        shown[cell] = shown.get(cell, "") + content.get("text", "")
        shown[cell] += "".join(content.get("traceback", []))
        if stop_at and stop_at in content.get("text", ""):
            manager.interrupt_kernel()
            stop_at = None
        if content.get("execution_state") == "idle" and cell in sent:
            reply = client.get_shell_msg(timeout=60)
            statuses[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    return [(statuses[cell], shown[cell]) for cell in sent]


def test_a_broken_run_does_nothing_more(tmp_path):
    """After a good run in the same kernel, whatever is broken, and whether the front end sends the
    other cells nevertheless, as VS Code does, or not. Each one that refuses says so in one line."""

    def files():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    (tmp_path / "test.csv").write_text("review\ngood\n")
    own = {"RUNS": str(tmp_path), "TEST_DATA": str(tmp_path / "test.csv")}
    given = "".join(f"{n} = {value!r}\n" for n, value in (runs.defaults(FIRST) | own).items())
    long, rows = TRAIN.replace("=2", "=10000"), "np.tile(X, (1000, 1)), np.tile(y, 1000)"
    kernel = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
    try:
        good = run_all(*kernel, TINY, given, START, *REST)
        assert [status for status, _ in good] == ["ok"] * 8
        before = files()
        assert {path.name for path in before} >= {"log.csv", "predictions.csv", "RNN.pt"}
        for (first, says, stop_at), goes_on in product((
            ([f"{given}LR = 'x'", START], "LR: lr is 'x'; it must be a number from", None),
            ([f"{given}SEEDS = seeds"], "NameError", None),
            ([f"{given}SEEDS = [1, 2"], "SyntaxError", None),
            ([given, START, f"{FORGET}\n1 / 0"], "ZeroDivisionError", None),
            ([given, START, TRAIN.replace("X, y, v", f"{rows}, v")], "Stopped.", " left"),
            ([given, START, long], "Stopped: an unfinished training is not kept.", "epoch 2:"),
        ), (True, False)):  # fmt: skip
            rest = REST if START in first else [START, *REST]
            results = run_all(*kernel, *first, *rest, goes_on=goes_on, stop_at=stop_at)
            (status, shown), *others = results[len(first) - 1 :]
            assert (status, says in shown) == ("error", True)
            assert {status for status, _ in others} == {"error" if goes_on else "aborted"}
            assert {shown for _, shown in others} <= (REFUSALS if goes_on else {""})
            assert files() == before
    finally:
        kernel[1].stop_channels()
        kernel[0].shutdown_kernel(now=True)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """A stranger's environment: torch and the rest, in two package folders, the second of which
    holds older copies; a version that only Debian writes, and a rest of an uninstalled package.
    sentiment_helpers and lazy_loader are missing. The first folder; the kernel is "colab"."""
    folder, installed = tmp_path / "colab", Path(sysconfig.get_path("purelib"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    (packages,) = folder.glob("env/lib/*/site-packages")
    for entry in installed.iterdir():
        if "sentiment_helpers" not in entry.name and "lazy_loader" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (packages / "leftover-1.0.dist-info").mkdir()
    for name, version in (("six", "1.16.0"), ("debian", "1.2-3+deb12u1")):
        described = folder / "older" / f"{name}.egg-info"
        described.mkdir(parents=True)
        (described / "PKG-INFO").write_text(f"Name: {name}\nVersion: {version}\n")
    (packages / "zz_older.pth").write_text(str(folder / "older"))
    (loader,) = installed.glob("lazy_loader-*.dist-info")
    version = loader.name.removesuffix(".dist-info")
    with zipfile.ZipFile(folder / f"{version}-py3-none-any.whl", "w") as wheel:
        for path in (*loader.rglob("*"), *(installed / "lazy_loader").rglob("*.py")):
            wheel.write(path, path.relative_to(installed))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    kernel = folder / "kernels" / "colab"
    kernel.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": command, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(specification))
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return packages


@pytest.mark.slow
def test_both_quick_in_colab(few, colab, tmp_path):
    """As README says: the project is somewhere below. The first cell installs what is missing, and
    Colab's own PyTorch and NumPy stay. `models/` and `runs/` are those of this folder."""
    project = copy_project(tmp_path / "content" / "sentiment-main")
    for name in (FIRST, SECOND):
        printed, _ = run(project, name, few | {"QUICK": True}, kernel_name="colab")
        assert "the loaded model predicts exactly the same: True" in printed
        assert "study.json is not there" not in printed
        assert printed.count("QUICK: one seed") == 3
    assert (colab / "lazy_loader" / "__init__.py").is_file()
    for name in ("torch", "numpy"):
        assert (colab / name).readlink() == Path(sysconfig.get_path("purelib")) / name
    assert {path.name for path in (project / "models").iterdir()} == {"RNN.pt", "study.json"}
    assert {"1", "2", "log.csv", "kept"} == {path.name for path in (project / "runs").iterdir()}
    assert list(load(project / "runs" / "1" / "RNN.pt")[-1].named_estimators_) == ["network", "bag"]


def test_the_project_is_not_there(colab, tmp_path):
    """One sentence says where it was looked for."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{FIRST}.ipynb", as_version=4)
    (source,) = [cell.source for cell in notebook.cells if "find_spec" in cell.source]
    python = tmp_path / "colab" / "env" / "bin" / "python"
    ended = subprocess.run([python, "-c", source], cwd=colab, capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"The project is not in {colab}, " in ended.stderr
    assert ended.stderr.count("\n") == 1

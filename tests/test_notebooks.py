"""Both notebooks run from top to bottom in real kernels, in Colab and here."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest

from sentiment_helpers import load, load_glove
from sentiment_helpers.report import experiments

ROOT = Path(__file__).parents[1]
FIRST, SECOND = (ROOT / "notebooks" / f"{n}.ipynb" for n in ("1_stacked_birnn", "2_skip_birnn"))


@pytest.fixture
def parameters(reviews, tmp_path, monkeypatch):
    """Parameters for a small run: 400 reviews, 300 rows to score, few epochs and units."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # to start processes would take seconds
    reviews_file, test_file = tmp_path / "imdb-reviews.csv", tmp_path / "test.csv"
    few = reviews[:400]
    rated = few.assign(rating=few["label"] * 6.0 + 2).drop(columns="label")
    rated.to_csv(reviews_file, sep="\t", index=False)
    few[:300].rename(columns={"label": "sentiment"}).to_csv(test_file, index=False)
    return {
        "REVIEWS": str(reviews_file),
        "TEST_DATA": str(test_file),
        "CELL_TYPE": "RNN",
        "NUM_LAYERS": 3,
        "HIDDEN_SIZE": 8,
        "MAX_LENGTH": 60,
        "DOMAIN_SIZE": 5,
        "MAX_EPOCHS": 1,
        "SEEDS": [1, 2],
    }


@pytest.fixture
def vectors_file(tmp_path):
    """5,000 real words with their first 20 values, as a text file in GloVe's format."""
    glove = load_glove()
    path = tmp_path / "vectors.txt"
    with path.open("w", encoding="utf-8") as file:
        for word, vector in zip(glove.words[:5000], glove.vectors, strict=False):
            print(word, *vector[:20], file=file)
    return path


@pytest.fixture(autouse=True)
def committed_models():
    """The models in the checkout are the committed ones after every run."""
    before = {path: path.read_bytes() for path in (ROOT / "models").iterdir()}
    yield
    assert before == {path: path.read_bytes() for path in (ROOT / "models").iterdir()}


def run(source, parameters, folder, **kernel):
    """Execute a notebook in `folder`, which is not its own: the printed text, and the tables as
    HTML."""
    executed = folder / "executed.ipynb"
    papermill.execute_notebook(
        source, executed, parameters, cwd=folder, progress_bar=False, **kernel
    )
    cells = nbformat.read(executed, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = ["".join(o["data"]["text/html"]) for o in outputs if "text/html" in o.get("data", {})]
    tables = [html for html in shown if 'class="dataframe"' in html or 'id="T_' in html]
    return "".join(output.get("text", "") for output in outputs), tables


def check(source, printed, models, features, classifier):
    """What a run of a notebook printed and saved."""
    skip = source.stem == SECOND.stem
    for line in (
        "400 reviews",
        "the loaded model predicts exactly the same: True",
        "300 rows: 300 scored",
        "roc_auc ",
        "exactly zero",
        "seeds on the same rows",
    ):
        assert line in printed
    model = load(models / ("RNNSkip.pt" if skip else "RNN.pt"))
    assert [type(step).__name__ for step in model] == [features, classifier]
    assert (model[-1].cell_type, model[-1].num_layers) == ("RNN", 3)
    assert model[-1].skip_connections == skip
    report = load(models / ("RNNSkip-report.pt" if skip else "RNN-report.pt"))
    assert report[-1].title == ("LSTM 14×8 skip" if skip else "GRU 5×8")
    predictions = pd.read_csv(models / "predictions.csv")
    assert list(predictions.columns) == ["review", "sentiment", "probability", "prediction"]
    name = "skip" if skip else "plain"
    results = json.loads((models / f"{name}.json").read_text("utf-8"))["results"]
    rows = list(dict.fromkeys(result["experiment"] for result in results))
    assert rows == experiments.report_rows(name)
    seeds = [result["random_state"] for result in results]
    assert seeds.count(2) == (4 if skip else 2)  # the networks of the pairs that are compared


def test_the_second_notebook_alone(parameters, vectors_file, tmp_path):
    """On averages and vectors from a file. It reports that the first one has not been run."""
    parameters |= {"INPUT": "mean", "GLOVE": str(vectors_file), "MODELS": str(tmp_path)}
    parameters["PREDICTIONS_FILE"] = str(tmp_path / "predictions.csv")
    printed, _ = run(SECOND, parameters, tmp_path)
    check(SECOND, printed, tmp_path, "MeanEmbedding", "BiRNNClassifier")
    assert "(5000, 20) float32" in printed
    for file in ("plain.json", "words.json"):
        assert f"{file} is not there: the notebook that writes it has not been run" in printed
    assert "Of 6 pairs of networks" in printed
    assert "(notebook 1)" not in printed


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """A fresh environment with what Colab has: torch and the rest, `google.colab`, but no
    sentiment_helpers. The folder of its packages; its kernel is named "colab"."""
    folder = tmp_path / "colab"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([python, "-c", query], text=True).strip())
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "sentiment_helpers" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    (packages / "google" / "colab").mkdir(parents=True)
    (packages / "google" / "colab" / "__init__.py").touch()
    kernel = folder / "kernels" / "colab"
    kernel.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    specification = {"argv": command, "display_name": "Colab", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(specification))
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    # Builds with the setuptools that is there, so that no network is needed.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "false")
    return packages


@pytest.fixture
def repository(tmp_path):
    """A local git address that holds the project."""
    folder = tmp_path / "git" / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sentiment_helpers", folder / "sentiment_helpers", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "Project"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return f"git+file://{folder}"


@pytest.mark.slow
def test_both_quick_in_colab(parameters, colab, repository, tmp_path):
    """The first cell installs the package, and Colab's own PyTorch and NumPy stay. A quick run
    writes to `runs/`, not to `models/`, and says so on every table. The second notebook compares
    its networks with those of the first."""
    printed, project = {}, tmp_path / "project"
    (project / "models").mkdir(parents=True)
    shutil.copy(ROOT / "models" / "study.json", project / "models")
    parameters |= {"QUICK": True, "PREDICTIONS_FILE": "runs/predictions.csv"}
    assert not (colab / "sentiment_helpers").exists()
    for path in (FIRST, SECOND):
        before = 'PACKAGE = \\"/content/sentiment\\"'
        text = path.read_text("utf-8")
        assert before in text
        source = tmp_path / path.name
        source.write_text(text.replace(before, f'PACKAGE = \\"{repository}\\"'), "utf-8")
        printed[path], tables = run(source, parameters, project, kernel_name="colab")
        check(path, printed[path], project / "runs", "TokenIds", "WordBiRNNClassifier")
        assert len(tables) > 12
        assert [table[:200] for table in tables if "<b>quick</b>" not in table] == []
    assert (colab / "sentiment_helpers").is_dir()
    assert not (colab / "sentiment_helpers").is_symlink()
    for name in ("torch", "numpy"):
        assert (colab / name).readlink() == Path(sysconfig.get_path("purelib")) / name
    assert [path.name for path in (project / "models").iterdir()] == ["study.json"]
    made = {path.name for path in (project / "runs").iterdir()}
    assert {"RNN.pt", "RNN-report.pt", "Blend.pt", "plain.json", "words.json"} <= made
    blend = load(project / "runs" / "Blend.pt")
    assert blend.title == "RNN 3×8, words in order + bag of words and pairs"
    assert "Of 45 pairs of networks" in printed[SECOND]
    assert "words in order (notebook 1)" in printed[SECOND]

"""Both notebooks run from top to bottom in real kernels: with other parameters, and in Colab."""

import json
import os
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
RESULTS = {"1_stacked_birnn": "plain.json", "2_skip_birnn": "skip.json"}
MODELS = {"1_stacked_birnn": "RNN.pt", "2_skip_birnn": "RNNSkip.pt"}


def run(source, parameters, folder, **kernel):
    """Execute a notebook from a working directory that is not its own; the printed text."""
    parameters = {
        "MAX_EPOCHS": 1,
        "MAX_LENGTH": 60,
        "HIDDEN_SIZE": 8,
        "DOMAIN_SIZE": 5,
        "SEEDS": [1, 2],
        "MODELS": str(folder),
        "PREDICTIONS_FILE": str(folder / "predictions.csv"),
    } | parameters
    notebook = papermill.execute_notebook(
        source,
        folder / "executed.ipynb",
        parameters,
        cwd=folder,
        progress_bar=False,
        **kernel,
    )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture
def labelled_file(reviews, tmp_path):
    path = tmp_path / "test.csv"
    reviews[:300].rename(columns={"label": "sentiment"}).to_csv(path, index=False)
    return path


@pytest.fixture
def vectors_file(tmp_path):
    """5,000 real words with their first 20 values, as a text file in GloVe's format."""
    glove = load_glove()
    path = tmp_path / "vectors.txt"
    with path.open("w", encoding="utf-8") as file:
        for word, vector in zip(glove.words[:5000], glove.vectors, strict=False):
            print(word, *vector[:20], file=file)
    return path


@pytest.mark.parametrize(
    ("name", "read"), [("1_stacked_birnn", "mean"), ("2_skip_birnn", "sequence")]
)
def test_other_parameters(name, read, rated_file, vectors_file, labelled_file, tmp_path):
    before = {path: path.read_bytes() for path in (ROOT / "models").iterdir()}
    parameters = {"REVIEWS": str(rated_file), "TEST_DATA": str(labelled_file), "INPUT": read}
    parameters |= {"GLOVE": str(vectors_file), "CELL_TYPE": "RNN", "NUM_LAYERS": 3}
    printed = run(ROOT / "notebooks" / f"{name}.ipynb", parameters, tmp_path)
    assert "(5000, 20) float32" in printed
    assert "2,000 reviews" in printed
    assert "the loaded model predicts exactly the same: True" in printed
    assert "300 rows: 300 scored" in printed
    assert "roc_auc " in printed
    assert "exactly zero" in printed
    model = load(tmp_path / MODELS[name])
    assert type(model[0]).__name__ == {"mean": "MeanEmbedding", "sequence": "TokenIds"}[read]
    assert (model[-1].cell_type, model[-1].num_layers) == ("RNN", 3)
    assert model[-1].skip_connections == (name == "2_skip_birnn")
    report = load(tmp_path / MODELS[name].replace(".pt", "-report.pt"))
    assert report[-1].title == {"mean": "GRU 5×8", "sequence": "LSTM 14×8 skip"}[read]
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    assert list(predictions.columns) == ["review", "sentiment", "probability", "prediction"]
    results = json.loads((tmp_path / RESULTS[name]).read_text("utf-8"))["results"]
    rows = {"1_stacked_birnn": experiments.PLAIN, "2_skip_birnn": experiments.SKIP}[name]
    assert list(dict.fromkeys(result["experiment"] for result in results)) == rows
    assert [result["random_state"] for result in results].count(2) in (2, 4)  # of the pairs
    assert "seeds on the same rows" in printed
    if name == "2_skip_birnn":  # says in a sentence that the first one has not been run
        for file in ("plain.json", "words.json"):
            assert f"{file} is not there: the notebook that writes it has not been run" in printed
        assert "Of 6 pairs of networks" in printed
        assert "(notebook 1)" not in printed
    # The models in the checkout are the committed ones still.
    assert before == {path: path.read_bytes() for path in (ROOT / "models").iterdir()}


def test_the_second_notebook_draws_the_rows_of_the_first(rated_file, tmp_path):
    parameters = {"REVIEWS": str(rated_file)}
    first, second = (ROOT / "notebooks" / f"{name}.ipynb" for name in MODELS)
    run(first, parameters, tmp_path)
    printed = run(second, parameters, tmp_path)
    assert "Of 45 pairs of networks" in printed
    assert "words in order (notebook 1)" in printed
    together = load(tmp_path / "Blend.pt")
    assert together.title == "LSTM 1×8, words in order + bag of words and pairs"


def test_quick(rated_file, tmp_path):
    """In a copy of the project, whose `runs/` then has the models and whose `models/` stays."""
    project = tmp_path / "project"
    for name in ("notebooks", "sentiment_helpers"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
    parameters = {"REVIEWS": str(rated_file), "QUICK": True, "MODELS": "models"}
    # Run in the copy's own package, which stands before the installed one.
    printed = run(project / "notebooks" / "1_stacked_birnn.ipynb", parameters, project)
    assert "the loaded model predicts exactly the same: True" in printed
    assert not (project / "models").exists()
    made = {path.name for path in (project / "runs").iterdir()}
    assert {"RNN.pt", "RNN-report.pt", "Blend.pt", "plain.json", "words.json"} <= made
    cells = nbformat.read(project / "executed.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    shown = ["".join(o["data"]["text/html"]) for o in outputs if "text/html" in o.get("data", {})]
    tables = [html for html in shown if 'class="dataframe"' in html or 'id="T_' in html]
    assert len(tables) > 12
    assert [table[:200] for table in tables if "<b>quick</b>" not in table] == []


@pytest.fixture
def colab(tmp_path):
    """A fresh environment with what Colab has: torch and the rest, `google.colab`, but no
    sentiment_helpers. The folder with its kernel, and that of its packages."""
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
    return folder, packages


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A local git address that holds the project."""
    folder = tmp_path_factory.mktemp("git") / "project"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        folder.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sentiment_helpers", folder / "sentiment_helpers", ignore=ignored)
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "Project"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return f"git+file://{folder}"


@pytest.mark.parametrize("name", MODELS)
def test_colab(name, colab, repository, rated_file, tmp_path, monkeypatch):
    """In Colab the first cell installs the package, and Colab's own torch and NumPy stay."""
    folder, packages = colab
    before = 'PACKAGE = \\"/content/sentiment\\"'
    text = (ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8")
    assert before in text
    source = tmp_path / f"{name}.ipynb"
    source.write_text(text.replace(before, f'PACKAGE = \\"{repository}\\"'), "utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(folder))
    # Builds with the setuptools that is there, so that no network is needed.
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "false")
    assert not (packages / "sentiment_helpers").exists()
    parameters = {"REVIEWS": str(rated_file)}
    printed = run(source, parameters, tmp_path, kernel_name="colab")
    assert "the loaded model predicts exactly the same: True" in printed
    assert (packages / "sentiment_helpers").is_dir()
    assert not (packages / "sentiment_helpers").is_symlink()
    assert (packages / "torch").is_symlink()
    assert (packages / "numpy").is_symlink()
    assert os.readlink(packages / "torch") == str(Path(sysconfig.get_path("purelib")) / "torch")

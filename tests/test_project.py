"""The house rules: which way imports run, what notebooks and README may say."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import sentiment_helpers

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text("utf-8")
# A file imports from files above it in this list, never from one below.
ROOMS = [
    "files", "archives", "text", "corpus", "sources", "tables", "reviews", "glove", "bounds",
    "features", "one_step", "networks", "resuming", "steps", "training", "metrics", "estimators",
    "classifiers", "bags", "together", "checkpoints", "workers", "scoring", "partitions", "colours",
    "highlights", "experiments", "study", "comparisons", "plots", "__init__", "__main__",
]  # fmt: skip


def imported(path):
    """The rooms that a file of the package imports from."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            modules = [node.module]
            if node.module == "sentiment_helpers":
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                modules = [n for n in names if n.rpartition(".")[2] in ROOMS] or [node.module]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] == "sentiment_helpers":
                yield [*module.split("."), "__init__"][1]


def test_every_file_has_a_room():
    assert {path.stem for path in (ROOT / "sentiment_helpers").glob("*.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    for other in imported(ROOT / "sentiment_helpers" / f"{room}.py"):
        assert ROOMS.index(other) < ROOMS.index(room), f"{room} imports {other}"


def test_names_are_imported_when_they_are_used():
    """And not before: the package and its command line start at once."""
    code = (
        "import sys, sentiment_helpers, sentiment_helpers.__main__ as command\n"
        "heavy = {'torch', 'pandas', 'sklearn', 'matplotlib', 'scipy', 'numpy', 'nltk'}\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: print('loaded:', sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "loaded: []"


def test_every_public_name_is_there():
    assert len(sentiment_helpers.__all__) > 30
    for name in sentiment_helpers.__all__:
        assert getattr(sentiment_helpers, name) is not None


def code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    tagged = [n for n, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [1]
    parameters = ast.parse(cells[1].source).body
    assert all(isinstance(node, ast.Assign) for node in parameters)
    assert str(ROOT) not in path.read_text("utf-8")
    for cell in cells:
        source = re.sub(r"^\s*[%!].*", "", cell.source, flags=re.MULTILINE)
        for node in ast.walk(ast.parse(source)):
            kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            assert not isinstance(node, kinds), f"defined in a notebook: {ast.unparse(node)}"


def test_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["1_stacked_birnn", "2_skip_birnn"]


def test_commands_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"run", "test", "lab"} <= named <= targets


def test_files_of_the_readme_exist():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_figures_of_the_readme_stand_in_the_notebooks():
    """So a table that a later run made untrue is found."""
    outputs = " ".join(
        json.dumps([cell.outputs for cell in code_cells(path)]) for path in NOTEBOOKS
    )
    figures = set(re.findall(r"\b0\.\d{4}\b", README))
    assert figures
    assert [figure for figure in figures if figure.rstrip("0") not in outputs] == []


def test_requirements_are_exact_and_torch_is_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins


def test_saved_bars_are_one_line():
    """A progress bar's many states are one in the committed outputs."""
    for path in NOTEBOOKS:
        assert "\\r" not in json.dumps([cell.outputs for cell in code_cells(path)])

"""`make run` shows the sections of a notebook in the terminal."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sentiment_helpers.report.headings import Headings


@pytest.fixture
def notebook(tmp_path):
    cells = [
        new_markdown_cell("# First\n\nA text with # in it."),
        new_code_cell("print('in the first')"),
        new_markdown_cell("## Second\nText\n\n### Third"),
        new_code_cell("x = 2\nprint('in the third', x)"),
    ]
    path = tmp_path / "tiny.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path


def test_headings_and_what_cells_print(notebook):
    """In order, and without the kernel's warning."""
    code = (
        "import sys; from papermill.engines import papermill_engines; "
        "from sentiment_helpers.report.headings import Headings; "
        "papermill_engines.register('headings', Headings); "
        "from papermill.cli import papermill; papermill(sys.argv[1:])"
    )
    options = ["--engine", "headings", "--no-progress-bar", "--stdout-file", "/dev/stdout"]
    options += ["--kernel", "python3", str(notebook), str(notebook.with_name("done.ipynb"))]
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n") == [
        "", "# First", "in the first", "", "## Second", "", "### Third", "in the third 2", "",
    ]  # fmt: skip
    assert "TCP" not in done.stderr
    cells = nbformat.read(notebook.with_name("done.ipynb"), as_version=4).cells
    assert cells[3].outputs[0].text == "in the third 2\n"


def test_the_engine_is_installed_under_its_name():
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    assert f'headings = "{Headings.__module__}:{Headings.__name__}"' in text

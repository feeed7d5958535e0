"""The first notebook in JupyterLab, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
PORT = 18888
SMALL = """
REVIEWS, REPORT_MAX_EPOCHS, SEEDS = "few.csv", 2, [1]
"""
pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, reviews):
    """A copy of the project whose first notebook ends with the report's network, on few rows."""
    for name in ("sentiment_helpers", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "models").mkdir()
    shutil.copy(ROOT / "models" / "RNN.pt", tmp_path / "models")
    reviews[:200].to_csv(tmp_path / "few.csv", index=False)
    path = tmp_path / "notebooks" / "1_stacked_birnn.ipynb"
    notebook = nbformat.read(path, as_version=4)
    sources = [cell.source for cell in notebook.cells]
    end = next(n for n, source in enumerate(sources) if "RNN-report.pt" in source)
    del notebook.cells[end + 1 :]
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += SMALL
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)
    return tmp_path


@pytest.fixture
def lab(project):
    """The address of a JupyterLab, as `make lab` starts it."""
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root",
               f"--port={PORT}", "--IdentityProvider.token="]  # fmt: skip
    # All cells are in the page, and not only those that are in sight.
    settings = project / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
    environment = os.environ | {"PYTHONPATH": str(project)}
    environment |= {"JUPYTERLAB_SETTINGS_DIR": str(project / "settings")}
    with subprocess.Popen(command, cwd=project, env=environment) as server:
        address = f"http://127.0.0.1:{PORT}/lab"
        for _ in range(120):
            try:
                urlopen(address).close()
                break
            except URLError:
                time.sleep(0.5)
        yield address
        server.terminate()


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
def test_a_review_typed_into_the_box(lab, project):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.set_default_timeout(300_000)  # milliseconds; some machines are busy
        page.goto(f"{lab}/tree/notebooks/1_stacked_birnn.ipynb")
        page.locator(".jp-Notebook").wait_for()
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # earlier, nothing runs
        page.get_by_text("Run", exact=True).first.click()
        page.get_by_text("Run All Cells", exact=True).click()
        box = page.get_by_placeholder("Type a review")
        box.wait_for()
        box.fill("A dull, tedious film. What a waste of time!")
        page.get_by_role("button", name="Read it").click()
        page.get_by_text("read as negative (probability of positive 0.0").last.wait_for()
        page.get_by_text(re.compile(r"best epoch \d, stopped")).wait_for()
        browser.close()
    assert (project / "runs" / "1" / "RNN-report.pt").is_file()

"""The rules of the project: imports, sizes, docstrings, README, notebooks."""

import ast
import importlib
import inspect
import json
import re
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import nbformat
import pytest

import sentiment_helpers

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sentiment_helpers"
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
README = (ROOT / "README.md").read_text("utf-8")
README_CODE = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LIMITS = {"sentiment_helpers": 3400, "sentiment_report": 700, "tests": 6500}


def text_block(text):
    """The lines of the first fenced block of plain text."""
    return re.search(r"^```text\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[1].splitlines()


def files_in_order():
    """The list in CONTRIBUTING.md: a file imports only from files above it."""
    lines = text_block((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    paths = [re.fullmatch(r"(\S+) — \S.*", line)[1] for line in lines]
    return [f"{path}__init__.py" if path.endswith("/") else path for path in paths]


ORDER = files_in_order()


def tree_of(file):
    return ast.parse((PACKAGE / file).read_text("utf-8"))


def file_of(module):
    """The file of a module of the package; None if there is no such module."""
    path = "/".join(module.split(".")[1:])
    names = (f"{path}.py", f"{path}/__init__.py".lstrip("/"))
    return next((name for name in names if name in FILES), None)


def imported(tree):
    """The files of the package that a file imports, at its top or inside a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            modules = [
                inner if file_of(inner := f"{node.module}.{alias.name}") else node.module
                for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            assert module.split(".")[0] != "sentiment_report", f"imported in line {node.lineno}"
            if module.split(".")[0] == "sentiment_helpers":
                assert file_of(module), f"{module} does not exist"
                yield file_of(module)


def test_contributing_lists_every_file_once():
    assert sorted(ORDER) == FILES


@pytest.mark.parametrize("file", FILES)
def test_imports_run_one_way(file):
    for other in imported(tree_of(file)):
        assert ORDER.index(other) < ORDER.index(file), f"{file} imports {other}"


def length(function):
    """Its lines without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    doc = function.body[0] if ast.get_docstring(function) is not None else None
    return lines - (doc.end_lineno - doc.lineno + 1 if doc else 0)


LINES = {
    path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
    for folder in LIMITS
    for path in ROOT.glob(f"{folder}/**/*.py")
}


@pytest.mark.parametrize(("folder", "most"), LIMITS.items())
def test_the_project_stays_small(folder, most):
    assert sum(lines for path, lines in LINES.items() if path.startswith(f"{folder}/")) <= most


def test_files_and_functions_stay_small_and_few():
    assert len(FILES) <= 24
    packages = [path for path in LINES if not path.startswith("tests/")]
    assert {path: LINES[path] for path in packages if LINES[path] > 250} == {}
    nodes = [(file, node) for file in FILES for node in ast.walk(tree_of(file))]
    functions = [(file, node) for file, node in nodes if isinstance(node, ast.FunctionDef)]
    assert [(file, node.name) for file, node in functions if length(node) > 60] == []


def test_public_functions_and_classes_have_docstrings():
    missing = [
        f"{file}: {node.name}"
        for file in FILES
        for node in tree_of(file).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
        if ast.get_docstring(node) is None
    ]
    assert missing == []
    assert [file for file in FILES if ast.get_docstring(tree_of(file)) is None] == []


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


def test_public_names_are_few_and_have_docstrings():
    assert len(sentiment_helpers.__all__) <= 24
    assert all(inspect.getdoc(getattr(sentiment_helpers, n)) for n in sentiment_helpers.__all__)


def code_cells(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks(path):
    """All outputs of one run, but not the many states of a progress bar; no more than 1 MB."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    assert path.stat().st_size <= 1_000_000
    cells = code_cells(path)
    counts = [cell.execution_count for cell in cells]
    assert counts == [*range(1, len(cells) + 1)]
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
    assert "\\r" not in json.dumps([cell.outputs for cell in cells])
    tagged = [n for n, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == [2]
    parameters = ast.parse(cells[2].source).body
    assert all(isinstance(node, ast.Assign) for node in parameters)
    assert str(ROOT) not in path.read_text("utf-8")


def syntax(cell):
    """The tree of a code cell without its magics."""
    return ast.parse(re.sub(r"^\s*[%!].*", "", cell.source, flags=re.MULTILINE))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_short_and_define_nothing(path):
    """But for three cells in plain PyTorch. Those that find the project, import, and hold the
    parameters are longer than others."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    cells = [cell for cell in code_cells(path) if "plain" not in cell.metadata.get("tags", [])]
    nodes = [node for cell in cells for node in ast.walk(syntax(cell))]
    assert [ast.unparse(node) for node in nodes if isinstance(node, kinds)] == []
    most, plain = {"1_stacked_birnn": (65, 3), "2_skip_birnn": (50, 0)}[path.stem]
    assert len(nbformat.read(path, as_version=4).cells) <= most
    assert len(code_cells(path)) - len(cells) == plain
    assert len(cells[1].source.splitlines()) <= 15  # imports
    lengths = [len(cell.source.splitlines()) for cell in cells[3:]]
    assert statistics.median(lengths) <= 4
    assert max(lengths) <= 12


def test_two_notebooks_share_few_cells():
    assert [path.stem for path in NOTEBOOKS] == ["1_stacked_birnn", "2_skip_birnn"]
    sources = [{cell.source for cell in nbformat.read(p, as_version=4).cells} for p in NOTEBOOKS]
    assert len(set.intersection(*sources)) <= 15


def bound(tree):
    """The names that a cell binds; those of comprehensions are local to them."""
    local = [node for node in ast.walk(tree) if isinstance(node, ast.comprehension)]
    hidden = {id(name) for one in local for name in ast.walk(one.target)}
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        stored = isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        if stored and id(node) not in hidden and node.id != "_":
            yield node.id


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_name_has_two_meanings(path):
    """So cells can be run again in any order, once all have run."""
    names = Counter(name for cell in code_cells(path) for name in set(bound(syntax(cell))))
    assert [name for name, cells in names.items() if cells > 1] == []


def test_commands_and_files_of_the_readme_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"run", "test", "lab"} <= named <= targets
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readme_is_short():
    """Code and the lines of tables do not count as words; the tree does."""
    prose = re.sub(r"^```(sh|python)\n.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    assert len([word for word in prose.split() if re.search(r"\w", word)]) <= 1450


def test_the_readmes_tree_names_every_file():
    first, *lines = text_block(README)
    assert first.startswith("sentiment_helpers/ ")
    assert lines.pop().startswith("sentiment_report/ ")
    named, folder = {"__init__.py"}, ""
    for line in lines:
        indent, name = re.match(r"( +)(\S+) +\S", line).groups()
        folder = folder if len(indent) == 4 else ""
        if name.endswith("/"):
            folder, name = name, "__init__.py"
        assert (PACKAGE / folder / name).is_file(), line
        named.add(folder + name)
    assert named == set(FILES)


@pytest.mark.parametrize("code", README_CODE, ids=range(len(README_CODE)))
def test_code_of_the_readme_uses_what_is_there(code):
    public = set(sentiment_helpers.__all__)
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sentiment_helpers"):
            names = {alias.name for alias in node.names}
            there = dir(importlib.import_module(node.module)) if "." in node.module else public
            assert names <= set(there)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) in public:
            signature = inspect.signature(getattr(sentiment_helpers, node.func.id))
            signature.bind(*node.args, **{keyword.arg: 0 for keyword in node.keywords})


def test_figures_of_the_readme_stand_in_the_notebooks():
    """Or in the files of results, so that a table that a later run made untrue is found. So do
    those of the notebooks' openings."""
    outputs = json.dumps([cell.outputs for path in NOTEBOOKS for cell in code_cells(path)])
    outputs += " ".join(path.read_text("utf-8") for path in (ROOT / "models").glob("*.json"))
    openings = [nbformat.read(path, as_version=4).cells[0].source for path in NOTEBOOKS]
    figures = set(re.findall(r"\b0\.\d{4}\b", " ".join([README, *openings])))
    assert figures
    assert [figure for figure in figures if figure.rstrip("0") not in outputs] == []


def test_an_installed_package_has_its_data_and_its_types():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    data = tools["setuptools"]["package-data"]
    files = {
        path for name, patterns in data.items() for p in patterns for path in (ROOT / name).glob(p)
    }
    assert PACKAGE / "py.typed" in files
    assert files >= set(ROOT.glob("sentiment_report/*.csv")) > set()


def test_the_changelog_is_short_and_names_the_version():
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"## {version}" in lines
    assert len(lines) < 40


def test_requirements_are_exact_and_torch_is_pinned():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)
    assert "torch==2.13.0" in pins

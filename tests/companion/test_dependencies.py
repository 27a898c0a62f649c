"""A notebook depends on the library and on its own files of the companion, and on nothing else of it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from recq_lib.companion.notebook_tools import dependencies
from recq_lib.companion.notebook_tools.freshness import hashes, stale_reasons
from recq_lib.companion.notebook_tools.sources import find, read
from recq_lib.io import paths
from recq_lib.runs.provenance import library_hash

TREE = {
    "__init__.py": "",
    "data.py": "x = 1\n",
    "companion/__init__.py": "",
    "companion/notebook.py": "def save():\n    from recq_lib.companion import style\n    return style\n",
    "companion/style.py": "SHEET = 'house.mplstyle'\n",
    "companion/house.mplstyle": "axes.grid: True\n",
    "companion/spare.mplstyle": "axes.grid: False\n",
    "companion/published.py": "from pathlib import Path\nFOLDER = Path(__file__).with_name('tables')\n"
    "TIMES, NONE = 'bench/times.json', 'bench/no.json'\n",
    "../bench/times.json": "{}\n",
    "../bench/other.json": "{}\n",
    "companion/tables/a.csv": "1\n",
    "companion/figures/__init__.py": "",
    "companion/figures/alpha.py": "from recq_lib.companion.figures import common\nfrom recq_lib.data import x\n",
    "companion/figures/beta.py": "from . import common as shared\nimport recq_lib.companion.published\n",
    "companion/figures/common.py": "TITLE = 'Accuracy'\n",
    "companion/figures/unused.py": "TITLE = 'Nobody draws this'\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "recq_lib"
    for name, text in TREE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def notebook(*sources: str) -> NotebookNode:
    return new_notebook(cells=[new_markdown_cell("from recq_lib.companion.figures import unused"), *map(new_code_cell, sources)])


ALPHA = "%matplotlib inline\nfrom recq_lib.companion.figures import alpha as plots\nfrom recq_lib.companion.notebook import save"
BETA = "import recq_lib.companion.figures.beta"
PLAIN = "from recq_lib.data import x"
BASE = ["companion/__init__.py"]
FILES = {
    ALPHA: [*BASE, *(f"companion/figures/{name}.py" for name in ("__init__", "alpha", "common"))]
    + ["companion/house.mplstyle", "companion/notebook.py", "companion/style.py"],
    BETA: [*BASE, *(f"companion/figures/{name}.py" for name in ("__init__", "beta", "common"))]
    + ["companion/published.py", "companion/tables/a.csv", "../bench/times.json"],
    PLAIN: [],
}


class TestFiles:
    @pytest.mark.parametrize("source", FILES, ids=["inside-function-and-style", "relative-and-tables", "library-only"])
    def test_by_hand(self, package: Path, source: str) -> None:
        found = dependencies.companion_files(notebook(source), package)
        assert sorted(os.path.relpath(path, package) for path in found) == sorted(FILES[source])

    def test_cell_that_does_not_parse_counts_for_nothing(self, package: Path) -> None:
        assert dependencies.companion_files(notebook("from recq_lib.companion import (", PLAIN), package) == []

    def test_one_of_two_cells_is_enough(self, package: Path) -> None:
        found = dependencies.companion_files(notebook(PLAIN, "if x:\n    from recq_lib.companion import published"), package)
        assert sorted(path.name for path in found) == ["__init__.py", "a.csv", "published.py", "times.json"]


class TestStale:
    @pytest.fixture
    def executed(self, package: Path) -> list[NotebookNode]:
        made = [notebook(source) for source in (ALPHA, BETA, PLAIN)]
        for one in made:
            one.metadata["recq"] = {"profile": "smoke", "params": {}, "versions": {}, **hashes(one, package)}
        return made

    def stale(self, executed: list[NotebookNode], package: Path) -> list[bool]:
        return [bool(stale_reasons(one, package)) for one in executed]

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ("companion/figures/alpha.py", [True, False, False]),
            ("companion/figures/beta.py", [False, True, False]),
            ("companion/figures/common.py", [True, True, False]),
            ("companion/figures/unused.py", [False, False, False]),
            ("companion/house.mplstyle", [True, False, False]),
            ("companion/spare.mplstyle", [False, False, False]),
            ("companion/tables/a.csv", [False, True, False]),
            ("../bench/times.json", [False, True, False]),
            ("../bench/other.json", [False, False, False]),
            ("data.py", [True, True, True]),
        ],
    )
    def test_exactly_those_that_use_it(self, executed: list[NotebookNode], package: Path, changed: str, expected: list[bool]) -> None:
        assert self.stale(executed, package) == [False, False, False]
        before = library_hash(package)
        (package / changed).write_text((package / changed).read_text() + "# changed\n")
        assert self.stale(executed, package) == expected
        assert (library_hash(package) != before) == (changed == "data.py")


def test_recorded_timings_make_the_notebooks_that_show_them_stale() -> None:
    timings = paths.project_root() / "benchmarks" / "results.json"
    using = {path.stem for path in find() if timings in dependencies.companion_files(read(path))}
    shown = ("bench.recorded()", "retrieval.recorded_search()")  # both read through one function, so both are told of its default
    assert using == {path.stem for path in find() if any(call in path.read_text(encoding="utf-8") for call in shown)} != set()


# ---- the notebooks themselves -----------------------------------------------------------------------------------------

_ASK = """
import json, sys

answer = {}
for name, lines in json.load(sys.stdin).items():
    for module in [module for module in sys.modules if module.startswith("recq_lib.companion")]:
        del sys.modules[module]
    exec("\\n".join(lines), {})
    answer[name] = sorted(module for module in sys.modules if module.startswith("recq_lib.companion"))
print(json.dumps(answer))
"""


def import_statements(path: Path) -> list[ast.stmt]:
    """Import statements of ours at the top level of a notebook's cells."""
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    lines = [line for source in sources for line in source.splitlines() if not line.startswith("%")]
    statements = ast.parse("\n".join(lines)).body
    return [node for node in statements if isinstance(node, (ast.Import, ast.ImportFrom)) and "recq_lib" in ast.unparse(node)]


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Companion modules that Python itself has loaded after the import lines of each notebook have run."""
    lines = {path.stem: [ast.unparse(node) for node in import_statements(path)] for path in find()}
    done = subprocess.run(
        [sys.executable, "-c", _ASK], input=json.dumps(lines), capture_output=True, text=True, cwd=paths.project_root(), check=True
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_what_python_loads_is_found(imported: dict[str, list[str]]) -> None:
    """Reading imports finds at least what running them loads; more, because imports inside functions count too."""
    root = paths.project_root() / "recq_lib"
    for path in find():
        found = {file.relative_to(root.parent).with_suffix("") for file in dependencies.companion_files(read(path))}
        names = {".".join(file.parts).removesuffix(".__init__") for file in found}
        assert set(imported[path.stem]) - names == set(), path.stem
        assert imported[path.stem], "a notebook that uses nothing of the companion shows that this test asks nothing"


@pytest.mark.slow
def test_a_title_makes_exactly_its_notebooks_stale(imported: dict[str, list[str]], tmp_path: Path) -> None:
    package = tmp_path / "recq_lib"
    shutil.copytree(paths.project_root() / "recq_lib", package, ignore=shutil.ignore_patterns("__pycache__"))
    notebooks = {path.stem: read(path) for path in find()}
    before, library = {name: hashes(one, package) for name, one in notebooks.items()}, library_hash(package)
    figures = sorted((package / "companion" / "figures").glob("[a-z]*.py"))
    shared = []
    for file in figures:
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('"', '"A new title: ', 1) if file == figures[0] else text + '\nTITLE = "new"\n', encoding="utf-8")
        stale = {name for name, one in notebooks.items() if hashes(one, package) != before[name]}
        file.write_text(text, encoding="utf-8")
        users = {name for name, modules in imported.items() if f"recq_lib.companion.figures.{file.stem}" in modules}
        assert stale == users, file.name
        shared.append(users == set(notebooks))
    assert not all(shared), "every figure file is used by every notebook"
    assert library_hash(package) == library

"""Every committed notebook keeps every rule, and every rule is shown to fire on a notebook that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output
from notebook_samples import PNG, code, good_notebook, number

from recq_lib.companion.notebook_tools.lint import RULES, lint
from recq_lib.companion.notebook_tools.sources import find, read

NOTEBOOKS = find()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_committed_notebook_keeps_every_rule(path: Path) -> None:
    assert [str(problem) for problem in lint(read(path))] == []


def test_good_notebook_has_no_problem() -> None:
    assert lint(good_notebook()) == []


def _tag(index: int) -> Callable[[NotebookNode], list[str]]:
    return lambda notebook: notebook.cells[index].metadata["tags"]


def _set_source(index: int, source: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[index].source = source

    return edit


def _add_source(index: int, source: str) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[index].source += "\n" + source

    return edit


def _insert(index: int, *cells: NotebookNode) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells[index:index] = cells
        number(notebook)

    return edit


def _output(index: int, output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[index].outputs.append(output)


def _metadata(**values: object) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.metadata.update(values)


def _remove(index: int) -> Callable[[NotebookNode], None]:
    def edit(notebook: NotebookNode) -> None:
        del notebook.cells[index]
        number(notebook)

    return edit


def _untag(index: int) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[index].metadata["tags"].clear()


def _show(index: int) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[index].metadata.pop("jupyter")


def _count(index: int, value: int | None) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells[index].__setitem__("execution_count", value)


PICTURE = new_output("display_data", data={"image/png": PNG})
SVG = new_output("display_data", data={"image/svg+xml": "<svg/>"})
TABLE = new_output("display_data", data={"text/html": "<table></table>"})
LONG = new_output("stream", name="stdout", text="x" * 100_001)
SLIDER = code("widgets.IntSlider(3)")

BROKEN: list[tuple[str, Callable[[NotebookNode], None]]] = [
    ("one_title", _add_source(4, "# Another title")),
    ("one_title", _set_source(0, "## No title")),
    ("one_each", _untag(2)),
    ("one_each", lambda notebook: _tag(5)(notebook).append("results")),
    ("one_each", _insert(14, code("print(1)"))),
    ("one_each", _insert(1, code("x = 1"))),
    ("kernel", _metadata(kernelspec={"name": "conda-env-recq-py"})),
    ("kernel", lambda notebook: notebook.metadata.pop("kernelspec")),
    ("literal_parameters", _add_source(2, "steps: int = terms * 2")),
    ("literal_parameters", _add_source(2, "epochs = 3")),
    ("literal_parameters", _add_source(2, "epochs: int = 3  # must be >= 1")),
    ("literal_parameters", _add_source(2, "sizes: tuple = (1,\n    2)")),
    ("literal_parameters", _add_source(2, "sizes: dict = {}")),
    ("counts", _count(5, None)),
    ("counts", _count(5, 9)),
    ("counts", _set_source(3, "")),
    ("short_cells", _set_source(3, "\n".join(["x = 1"] * 26))),
    ("no_shell_or_magic", _add_source(3, "!ls")),
    ("no_shell_or_magic", _add_source(3, "files = !ls")),
    ("no_shell_or_magic", _add_source(3, "%pip install torch")),
    ("no_shell_or_magic", _set_source(3, "%%time\nx = 1")),
    ("no_semicolon", _add_source(3, "x = 1;")),
    ("no_paths", _add_source(3, "open('data/train.txt')")),
    ("no_paths", _add_source(3, "name = '../data'")),
    ("no_paths", _add_source(3, "name = '/" + "mnt/disk/data'")),
    ("no_paths", _add_source(3, "import os\nos.chdir(folder)")),
    ("no_paths", _add_source(3, "import sys\nsys.path.append(folder)")),
    ("no_paths", _add_source(4, "The data lie in /" + "mnt/disk.")),
    ("no_leftovers", lambda notebook: _tag(5)(notebook).append("injected-parameters")),
    ("no_leftovers", lambda notebook: _tag(5)(notebook).append("papermill-error-cell-tag")),
    ("no_leftovers", _metadata(papermill={})),
    ("no_leftovers", _metadata(widgets={})),
    ("clean_outputs", _output(3, new_output("stream", name="stderr", text="warning"))),
    ("clean_outputs", _output(3, new_output("error", ename="ValueError", evalue="x", traceback=[]))),
    ("clean_outputs", _output(3, SVG)),
    ("clean_outputs", _output(3, new_output("stream", name="stdout", text="saved to /" + "mnt/disk/x"))),
    ("sizes", _output(3, LONG)),
    ("sizes", _set_source(4, "x" * 500_001)),
    ("facts", _untag(5)),
    ("facts", _output(5, PICTURE)),
    ("facts", lambda notebook: notebook.cells[5].outputs.clear()),
    ("recorded", lambda notebook: notebook.metadata.pop("recq")),
    ("recorded", _metadata(recq={"profile": "paper"})),
    ("shows_profile", _output(3, PICTURE)),
    ("shows_profile", _output(3, TABLE)),
    ("exercises", _remove(10)),
    ("exercises", _remove(11)),
    ("exercises", _show(10)),
    ("exercises", _untag(9)),
    ("exercises", _set_source(11, "print(answer)")),
    ("exercises", _remove(8)),
    ("sliders", _insert(8, SLIDER)),
    ("sliders", _insert(8, code("save_figure()", png=True), code("widgets.IntSlider(3)", "nbval-check-output", text="IntSlider"))),
]


@pytest.mark.parametrize(("rule", "breaks"), BROKEN, ids=[f"{rule}-{index}" for index, (rule, _) in enumerate(BROKEN)])
def test_rule_fires(rule: str, breaks: Callable[[NotebookNode], None]) -> None:
    notebook = good_notebook()
    breaks(notebook)
    assert rule in {problem.rule for problem in lint(notebook)}


def test_every_rule_is_shown_to_fire() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES)


WEB_ADDRESS = "https://example.org" + "/home" + "/page"  # of the web, though parts of it look like a path of a machine
ALLOWED = [
    _add_source(3, "%matplotlib inline"),
    _add_source(3, "%config InlineBackend.figure_formats = ['png']"),
    _add_source(3, "text = 'a; b;'  # c;"),
    _add_source(3, "rate = f'{terms}/user and {terms}/s'"),
    _add_source(3, "different = terms != 3"),
    _add_source(2, 'datasets: tuple = ("beauty", "ml1m")'),
    _add_source(2, "# a comment line"),
    _add_source(4, f"See {WEB_ADDRESS} and Recall/NDCG.\n\n```\n# not a title\n```"),
    _insert(8, code("save_figure(fig, name)", png=True), SLIDER),
]


@pytest.mark.parametrize("edit", ALLOWED)
def test_allowed_things_pass(edit: Callable[[NotebookNode], None]) -> None:
    notebook = good_notebook()
    edit(notebook)
    assert lint(notebook) == []

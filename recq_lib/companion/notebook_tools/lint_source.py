"""Lint rules about what the author wrote: structure, parameters, code, exercises."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.lint_common import MACHINE_PATH, cells, plain_strings, python, tagged, without_strings

MAX_LINES = 25

_MAGIC = re.compile(r"^\s*%%?\w")
_ALLOWED_MAGIC = re.compile(r"^\s*%(matplotlib inline|config InlineBackend\.\w+)")
_FILE_NAME = re.compile(r"[\w\-./ ]*\w\.(csv|tsv|txt|json|npz|npy|pt|pkl|parquet|zip|png|pdf|svg|ipynb|mplstyle)")


def one_title(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Exactly one H1, in the first cell."""
    found = []
    for index, cell in cells(notebook, "markdown"):
        text = re.sub(r"```.*?```", "", cell.source, flags=re.S)
        found += [index] * len(re.findall(r"^# \S", text, flags=re.M))
    if found != [1]:
        yield 0, f"H1 headings are in cells {found}, but must be exactly one, in cell 1"


def one_each(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """One setup, parameters, derived and results cell each; setup first among code cells, results the last cell."""
    for tag in ("setup", "parameters", "derived", "results"):
        count = len(tagged(notebook, tag))
        if count != 1:
            yield 0, f"{count} cells are tagged {tag!r}, but must be exactly one"
    code = [index for index, _ in cells(notebook)]
    order = [tagged(notebook, tag)[:1] for tag in ("setup", "parameters", "derived")]
    if code and [index for pair in order for index in pair] != code[:3]:
        yield 0, "the first three code cells must be setup, parameters, derived, in this order"
    if tagged(notebook, "results")[-1:] != [len(notebook.cells)]:
        yield 0, "the cell tagged 'results' must be the last cell"


def kernel(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """The kernel is python3: a name like conda-env-… exists on one machine only."""
    name = notebook.metadata.get("kernelspec", {}).get("name")
    if name != "python3":
        yield 0, f"kernel is {name!r}, but must be 'python3'"


def literal_parameters(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """One annotated literal per line, no second `=` (papermill would not see the name), nothing derived."""
    for index in tagged(notebook, "parameters"):
        for line in notebook.cells[index - 1].source.splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if line.count("=") != 1:
                yield index, f"parameter line {line.strip()!r} must hold exactly one '=' (comments and strings count)"
            elif not _is_annotated_literal(line):
                yield index, f"parameter line {line.strip()!r} must be 'name: type = literal' (scalar, or one-line tuple of scalars)"


def _is_annotated_literal(line: str) -> bool:
    tree = python(line)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.AnnAssign):
        return False
    try:
        value = ast.literal_eval(tree.body[0].value) if tree.body[0].value is not None else {}
    except ValueError:
        return False
    scalars = value if isinstance(value, (tuple, list)) else [value]
    return all(item is None or isinstance(item, (bool, int, float, str)) for item in scalars)


def counts(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Execution counts 1..n in order (nbval compares nothing without them); no empty code cell."""
    for position, (index, cell) in enumerate(cells(notebook), start=1):
        if not cell.source.strip():
            yield index, "code cell is empty; remove it"
        elif cell.get("execution_count") != position:
            yield index, f"execution count is {cell.get('execution_count')}, but must be {position}; refresh the notebook"


def short_cells(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """At most 25 lines per code cell."""
    for index, cell in cells(notebook):
        lines = len(cell.source.splitlines())
        if lines > MAX_LINES:
            yield index, f"{lines} lines of code, but at most {MAX_LINES} are allowed"


def no_shell_or_magic(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """No `!`, `?` or magic but %matplotlib inline and %config InlineBackend: an unknown one hides its cell from nbval."""
    for index, cell in cells(notebook):
        for line in without_strings(cell.source):
            if re.match(r"\s*!", line) or re.search(r"=\s*!", line.replace("!=", "")):
                yield index, f"shell command {line.strip()!r}"
            elif _MAGIC.match(line) and not _ALLOWED_MAGIC.match(line):
                yield index, f"magic {line.strip()!r}; only %matplotlib inline and %config InlineBackend… are allowed"


def no_semicolon(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """No trailing `;`: it does not suppress output under nbval."""
    for index, cell in cells(notebook):
        for line in without_strings(cell.source):
            if line.rstrip().endswith(";"):
                yield index, f"trailing ';' in {line.strip()!r}; end with plt.show() or assign to _"


def no_paths(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """No absolute path, no relative file path, no change of directory or sys.path: paths come from recq_lib.io.paths."""
    for index, cell in enumerate(notebook.cells, start=1):
        match = MACHINE_PATH.search(cell.source)
        if match:
            yield index, f"path of a machine: {match.group()!r}"
    for index, cell in cells(notebook):
        if re.search(r"\bchdir\(|\bsys\.path\b", "\n".join(without_strings(cell.source))):
            yield index, "os.chdir and sys.path are not allowed; the library is installed"
        for text in plain_strings(cell.source):
            if re.match(r"(\.{1,2}/|~/|/\w+/)", text) or _FILE_NAME.fullmatch(text):
                yield index, f"file path {text!r}; paths come from recq_lib.io.paths"


def exercises(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Question, stub (`exercise`), hidden solution (`solution`), call of check_*(): four cells in this order."""
    sequence = notebook.cells
    stubs, solutions = tagged(notebook, "exercise"), tagged(notebook, "solution")
    for index in stubs:
        if index < 2 or sequence[index - 2].cell_type != "markdown":
            yield index, "an exercise needs its question in the markdown cell before it"
        if index + 1 not in solutions:
            yield index, "the cell after an exercise must be its one solution"
            continue
        if not sequence[index].metadata.get("jupyter", {}).get("source_hidden"):
            yield index + 1, "a solution needs the metadata jupyter.source_hidden: true"
        after = sequence[index + 1] if index + 1 < len(sequence) else None
        if after is None or after.cell_type != "code" or not re.search(r"\bcheck_\w+\(", after.source):
            yield index + 1, "the cell after a solution must call the exercise's check_*()"
    for index in solutions:
        if index - 1 not in stubs:
            yield index, "a solution without an exercise before it"

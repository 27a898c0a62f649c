"""Which files of the companion a notebook depends on, found by reading its imports and theirs; nothing is executed (ours).

Every notebook depends on the whole library, which has a hash of its own. Of the companion it depends on the modules that its cells
import, on those that these import, inside functions too, on the packages they lie in, and on the data files that one of these modules
names in a string: those that lie beside it (the style sheet, the folder of published tables), and a path from the root of the checkout
(the timings in `benchmarks/results.json`).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.lint_common import python, without_magic
from recq_lib.runs.provenance import COMPANION, package_folder, source_hash

PACKAGE = f"recq_lib.{COMPANION}"


def companion_hash(notebook: NotebookNode, package: Path | None = None) -> str:
    """SHA-256 over the companion's files that the notebook depends on; `package` is the folder `recq_lib` (default: this one)."""
    root = _root(package)
    return source_hash(root.parent, companion_files(notebook, root))


def companion_files(notebook: NotebookNode, package: Path | None = None) -> list[Path]:
    """The companion's files that the notebook depends on, and the data files that they name, sorted."""
    root = _root(package)
    code = "\n".join(without_magic(cell.source) for cell in notebook.cells if cell.cell_type == "code" and python(cell.source))
    waiting, found = sorted(_imports(code, "")), set()
    while waiting:
        for path in _module_files(root, waiting.pop()):
            if path not in found:
                found.add(path)
                if path.suffix == ".py":
                    text = path.read_text(encoding="utf-8")
                    waiting += _imports(text, _package_of(root, path))
                    found.update(_data_files(text, path.parent, root.parent))
    return sorted(found)


def _root(package: Path | None) -> Path:
    return package_folder() if package is None else package


@functools.lru_cache(maxsize=512)
def _imports(source: str, package: str) -> frozenset[str]:
    """Dotted names within the companion that a source imports; `from a import b` gives `a` and `a.b`, a module or not."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *filter(None, [node.module])])
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if f"{name}.".startswith(f"{PACKAGE}."))


def _module_files(root: Path, name: str) -> Iterator[Path]:
    """Files that importing `name` executes: the `__init__` of each package on the way, and the module itself."""
    folder = root
    for part in name.split(".")[1:]:
        if (folder / f"{part}.py").is_file():
            yield folder / f"{part}.py"
        folder = folder / part
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"


def _package_of(root: Path, path: Path) -> str:
    return ".".join([PACKAGE.split(".")[0], *path.parent.relative_to(root).parts])


@functools.lru_cache(maxsize=512)
def _strings(source: str) -> frozenset[str]:
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return frozenset(node.value for node in nodes if isinstance(node.value, str) and 0 < len(node.value) < 100)


def _data_files(source: str, folder: Path, checkout: Path) -> Iterator[Path]:
    """Files that a string of the source names; Python files are no data.

    "name" is a file, or a folder with files, in `folder`; "folder/name" is a file below `checkout`.
    """
    beside = {path.name: path for path in folder.iterdir() if path.suffix != ".py" and path.name != "__pycache__"}
    for name in _strings(source) & beside.keys():
        path = beside[name]
        for file in [path] if path.is_file() else path.iterdir():
            if file.is_file() and file.suffix != ".py":
                yield file
    for name in _strings(source):
        path = checkout / name
        if "/" in name and path.is_file() and path.is_relative_to(checkout) and ".." not in path.parts and path.suffix != ".py":
            yield path

"""Find notebooks, read them, and ask for their parameters."""

from __future__ import annotations

import ast
import logging
import warnings
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from recq_lib.errors import ConfigError
from recq_lib.io import paths


def tags(cell: NotebookNode) -> list[str]:
    """Tags of a cell; empty when it has none."""
    return list(cell.get("metadata", {}).get("tags", []))


def find(folder: Path | None = None) -> list[Path]:
    """Notebook sources in their reading order (by name)."""
    root = paths.notebooks_dir() if folder is None else folder
    return sorted(path for path in root.glob("*.ipynb") if not path.name.startswith("."))


def select(notebooks: list[Path], only: list[str]) -> list[Path]:
    """Notebooks whose name, or leading number, is in `only`; all of them when `only` is empty.

    Raises `ConfigError` for an entry that matches nothing.
    """
    if not only:
        return notebooks
    chosen: set[Path] = set()
    for wanted in only:
        stem = Path(wanted).name.removesuffix(".ipynb")
        found = [path for path in notebooks if path.stem == stem or path.stem.split("_")[0] == stem]
        if not found:
            known = ", ".join(path.stem for path in notebooks) or "none"
            raise ConfigError(f"notebook {wanted!r} is not there; the notebooks are: {known}")
        chosen.update(found)
    return [path for path in notebooks if path in chosen]


def read(path: Path) -> NotebookNode:
    """The notebook as nbformat 4; `ConfigError` naming the file when it is not one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # nbformat warns about missing cell ids; refresh writes them
            return nbformat.read(path, as_version=4)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{path.name} is not a readable notebook ({type(error).__name__}: {reason})") from error


def parameters(path: Path) -> dict[str, Any]:
    """Names and default values of the notebook's parameters, as papermill sees them; empty without a parameters cell."""
    notebook = read(path)
    if not any("parameters" in tags(cell) for cell in notebook.cells):
        return {}
    import papermill

    log = logging.getLogger("papermill")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        found = papermill.inspect_notebook(str(path))
    finally:
        log.setLevel(before)
    return {name: _literal(entry["default"]) for name, entry in found.items()}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def check_parameters(notebooks: list[Path], given: dict[str, Any]) -> None:
    """Raise `ConfigError` when a given parameter is not one of a notebook's: papermill itself only warns."""
    for path in notebooks:
        known = parameters(path)
        for name in given:
            if name not in known:
                listed = ", ".join(known) or "none"
                raise ConfigError(f"parameter {name!r} is not in {path.name}; its parameters are: {listed}")

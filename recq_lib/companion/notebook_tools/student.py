"""The student version: solutions removed, outputs cleared; written to a build folder that is not committed."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbconvert.preprocessors import ClearOutputPreprocessor, TagRemovePreprocessor
from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.sources import read
from recq_lib.io import paths


def student_version(notebook: NotebookNode) -> NotebookNode:
    """A copy without the cells tagged `solution`, without outputs and without the record of the execution."""
    copy = nbformat.from_dict(notebook)
    remove = TagRemovePreprocessor(remove_cell_tags={"solution"})
    remove.enabled = True
    copy, _ = remove.preprocess(nbformat.reads(nbformat.writes(copy), as_version=4), {})
    clear = ClearOutputPreprocessor()
    clear.enabled = True
    copy, _ = clear.preprocess(copy, {})
    for key in ("recq", "papermill", "widgets"):
        copy.metadata.pop(key, None)
    return copy


def build(path: Path, folder: Path | None = None) -> Path:
    """Write the student version of one notebook to `folder` (default `build/student`) and return where it lies."""
    target = (paths.project_root() / "build" / "student" if folder is None else folder) / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(student_version(read(path)), target)
    return target

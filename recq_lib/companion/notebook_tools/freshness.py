"""Does the committed output belong to the current cells, library and companion? Three hashes answer, nothing is executed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.dependencies import companion_hash
from recq_lib.runs.provenance import library_hash

FIELDS = ("profile", "lib_sha256", "companion_sha256", "source_sha256", "params", "versions")
_REASONS = {
    "lib_sha256": "recq_lib was changed after the outputs were made",
    "companion_sha256": "a companion file that it imports was changed after the outputs were made",
    "source_sha256": "a cell was edited after the outputs were made",
}


def source_sha256(notebook: NotebookNode) -> str:
    """SHA-256 over type and source of every cell, in order; outputs, ids and metadata do not count."""
    cells = [[cell["cell_type"], cell["source"]] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells, ensure_ascii=False).encode("utf-8")).hexdigest()


def hashes(notebook: NotebookNode, package: Path | None = None) -> dict[str, str]:
    """What an executed copy must have been made from: hashes of the library, of the notebook's companion files and of its cells.

    package : the folder `recq_lib` (default: this one)
    """
    return {
        "lib_sha256": library_hash(package),
        "companion_sha256": companion_hash(notebook, package),
        "source_sha256": source_sha256(notebook),
    }


def stale_reasons(notebook: NotebookNode, package: Path | None = None) -> list[str]:
    """Why the committed output is out of date, one line each; empty when it is fresh. `package` as in `hashes`."""
    record = notebook.metadata.get("recq")
    if not isinstance(record, dict):
        return ["metadata.recq is missing: the notebook was never executed by `python -m recq_lib.companion.runner refresh`"]
    reasons = [f"metadata.recq.{field} is missing" for field in FIELDS if field not in record]
    reasons += [_REASONS[name] for name, value in hashes(notebook, package).items() if record.get(name) != value]
    return reasons

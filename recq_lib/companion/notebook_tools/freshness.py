"""Does the committed output belong to the current cells and library? Two hashes answer without executing anything."""

from __future__ import annotations

import hashlib
import json

from nbformat import NotebookNode

from recq_lib.runs.provenance import library_hash

FIELDS = ("profile", "lib_sha256", "source_sha256", "params", "versions")


def source_sha256(notebook: NotebookNode) -> str:
    """SHA-256 over type and source of every cell, in order; outputs, ids and metadata do not count."""
    cells = [[cell["cell_type"], cell["source"]] for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells, ensure_ascii=False).encode("utf-8")).hexdigest()


def stale_reasons(notebook: NotebookNode, lib_sha256: str | None = None) -> list[str]:
    """Why the committed output is out of date, one line each; empty when it is fresh.

    lib_sha256 : hash of the library; computed when not given
    """
    record = notebook.metadata.get("recq")
    if not isinstance(record, dict):
        return ["metadata.recq is missing: the notebook was never executed by `python -m recq_lib.companion.runner refresh`"]
    reasons = [f"metadata.recq.{field} is missing" for field in FIELDS if field not in record]
    if record.get("source_sha256") != source_sha256(notebook):
        reasons.append("a cell was edited after the outputs were made")
    if record.get("lib_sha256") != (library_hash() if lib_sha256 is None else lib_sha256):
        reasons.append("recq_lib was changed after the outputs were made")
    return reasons

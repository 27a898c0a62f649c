"""The outputs of every committed notebook belong to its cells, the library and its companion files as they are now. Nothing is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebook_samples import good_notebook

from recq_lib.companion.environment import versions
from recq_lib.companion.notebook_tools.freshness import hashes, stale_reasons
from recq_lib.companion.notebook_tools.sources import find, read

NOTEBOOKS = find()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_committed_notebook_is_fresh(path: Path) -> None:
    reasons = stale_reasons(read(path))
    assert not reasons, f"{path.name}: {'; '.join(reasons)}; run `python -m recq_lib.companion.runner refresh {path.stem}`"


def fresh_notebook():
    notebook = good_notebook()
    notebook.metadata["recq"] = {"profile": "smoke", **hashes(notebook), "params": {}, "versions": versions()}
    return notebook


def test_fresh_notebook_has_no_reason() -> None:
    assert stale_reasons(fresh_notebook()) == []


def test_edited_cell_is_stale() -> None:
    notebook = fresh_notebook()
    notebook.cells[3].source += "  "
    assert stale_reasons(notebook) == ["a cell was edited after the outputs were made"]


def test_swapped_cells_are_stale() -> None:
    notebook = fresh_notebook()
    notebook.cells[5], notebook.cells[6] = notebook.cells[6], notebook.cells[5]
    assert stale_reasons(notebook)


def test_outputs_and_ids_do_not_count() -> None:
    notebook = fresh_notebook()
    notebook.cells[5].outputs.clear()
    notebook.cells[5].id = "other"
    assert stale_reasons(notebook) == []


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("lib_sha256", "recq_lib was changed after the outputs were made"),
        ("companion_sha256", "a companion file that it imports was changed after the outputs were made"),
    ],
)
def test_changed_hash_is_stale(field: str, reason: str) -> None:
    notebook = fresh_notebook()
    notebook.metadata["recq"][field] = "0" * 64
    assert stale_reasons(notebook) == [reason]


def test_never_refreshed_is_stale() -> None:
    notebook = fresh_notebook()
    del notebook.metadata["recq"]["versions"]
    assert stale_reasons(notebook) == ["metadata.recq.versions is missing"]
    del notebook.metadata["recq"]
    assert "never executed" in stale_reasons(notebook)[0]

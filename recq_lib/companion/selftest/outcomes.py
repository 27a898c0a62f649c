"""What a run leaves on disk, as values that can be compared: records without the times in them, kept models, and files left over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recq_lib.errors import RecordError
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord
from recq_lib.training import checkpoint as checkpoints

_LEFT = ("*.tmp", "*.new", "*.running", "*.damaged")


def records(folder: Path) -> dict[str, Any] | None:
    """Key → all of a record that repeats from run to run; None where one of them cannot be read."""
    try:
        return {record.spec.key: _facts(record) for record in results.find(folder / "results")}
    except RecordError:
        return None


def _facts(record: RunRecord) -> list[Any]:
    arrays = {name: values.tobytes() for name, values in record.per_user.items()}
    return [record.metrics, record.history, record.n_bytes, arrays]


def models(folder: Path) -> dict[str, Any]:
    """File → bytes of every tensor of the kept models."""
    found = {}
    for path in sorted((folder / "checkpoints" / "models").glob("*.pt")):
        found[path.name] = {name: tensor.numpy().tobytes() for name, tensor in checkpoints.load(path).tensors.items()}
    return found


def left_over(folder: Path) -> list[str]:
    """Files that a run which has ended should not leave: temporary ones, marks, checkpoints."""
    found = [path for pattern in _LEFT for path in folder.rglob(pattern)]
    return [str(path.relative_to(folder)) for path in (*found, *(folder / "checkpoints").glob("*.pt"))]

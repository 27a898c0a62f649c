"""Checkpoints: tensors and JSON in one file, written atomically, read without unpickling code."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recq_lib.errors import RecordError
from recq_lib.io.files import write_atomically

_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """`tensors`: name → tensor; `meta`: JSON-able state (epoch, history, configuration)."""

    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any]


def save(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write the file whole or not at all: a kill at any moment leaves the old checkpoint or the new one."""
    buffer = io.BytesIO()
    torch.save({"tensors": tensors, "meta": json.dumps({"format": _FORMAT, **meta})}, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> Checkpoint:
    """Read with `weights_only=True`. Raises `RecordError` if the file is damaged or of another format."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        tensors, meta = content["tensors"], json.loads(content["meta"])
    except Exception as error:
        raise RecordError(f"checkpoint {path} cannot be read ({type(error).__name__}); delete it to start the run anew") from error
    if meta.get("format") != _FORMAT:
        raise RecordError(
            f"checkpoint {path} has format {meta.get('format')}, this version reads {_FORMAT}; delete it to start the run anew"
        )
    return Checkpoint(tensors, meta)

"""Checkpoints and kept models: tensors and JSON in one file with a digest over both, written whole, read without unpickling code.

One flipped bit in a checkpoint would become a record that looks like any other, so what was not written as it is read is refused. Kept
models of earlier versions (format 1, a zip of PyTorch's) have no digest, but checksums of their parts, which are checked.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recq_lib.errors import RecordError
from recq_lib.io.files import set_aside
from recq_lib.parts.tensor_file import read_tensors, write_tensors

_KIND = "recq.checkpoint"
_ZIP = b"PK"


@dataclass(frozen=True)
class Checkpoint:
    """`tensors`: name → tensor; `meta`: JSON-able state (epoch, history, configuration)."""

    tensors: dict[str, torch.Tensor]
    meta: dict[str, Any]


def save(path: Path, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> None:
    """Write the file whole or not at all: a kill at any moment leaves the old checkpoint or the new one."""
    write_tensors(path, _KIND, {"meta": json.dumps(meta)}, tensors)  # as text: a first best value is -inf, which JSON does not know


def load(path: Path) -> Checkpoint:
    """Raises `RecordError` if the file is damaged or of another format."""
    try:
        with open(path, "rb") as file:
            if file.read(len(_ZIP)) == _ZIP:
                return _first_format(path)
        header, tensors = read_tensors(path, _KIND)
        return Checkpoint(tensors, json.loads(header["meta"]))
    except Exception as error:  # damage leads the readers to errors of a dozen kinds
        why = str(error) if isinstance(error, RecordError) else f"{type(error).__name__}: {error}"
        raise RecordError(f"checkpoint {path} cannot be read ({' '.join(why.split())[:200]}); delete it to start the run anew") from error


def load_or_set_aside(path: Path) -> Checkpoint | None:
    """The checkpoint at `path`, None where there is none. A damaged one is moved aside with a warning: it can be made again."""
    if not path.is_file():
        return None
    try:
        return load(path)
    except RecordError as error:
        set_aside(path, str(error.__cause__ or error).partition(";")[0])
        return None


def _first_format(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        if (wrong := archive.testzip()) is not None:
            raise RecordError(f"the checksum of {wrong} is wrong")
    content = torch.load(path, map_location="cpu", weights_only=True)
    return Checkpoint(content["tensors"], json.loads(content["meta"]))

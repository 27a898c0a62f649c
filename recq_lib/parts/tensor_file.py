"""Tensors and a JSON header in one safetensors file, with a digest over both, written whole (ours).

safetensors notices a file that is cut off, but not a changed byte; the digest notices both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors import torch as safetensors

from recq_lib.errors import RecordError
from recq_lib.io.canonical import canonical_json
from recq_lib.io.files import write_atomically

_FORMAT = 1


def write_tensors(path: Path, kind: str, header: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Path:
    """Write `header` (JSON) and `tensors` as a file of `kind`, such as "recq.model"; the path is given back."""
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = canonical_json({"format": _FORMAT, **header})
    content = safetensors.save(tensors, {kind: text, "sha256": _digest(text, tensors)})
    write_atomically(path, content)
    return path


def read_tensors(path: Path, kind: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """(header, tensors) of a file of `kind`. Raises `RecordError` for a missing, damaged or foreign file, or one of another format."""
    if not path.is_file():
        raise RecordError(f"file {path} does not exist; check the path")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except Exception as error:  # SafetensorError for most damage, and whatever a wrong size or name leads to
        raise damaged(path, str(error)) from error
    text = metadata.get(kind)
    if text is None:
        raise RecordError(f"file {path} holds no {kind}; check the path")
    if _digest(text, tensors) != metadata.get("sha256"):
        raise damaged(path, "its content is not what was saved")
    header = json.loads(text)
    if header.get("format") != _FORMAT:
        raise RecordError(f"file {path} has format {header.get('format')}, this version reads {_FORMAT}; save it again")
    return header, tensors


def damaged(path: Path, why: str) -> RecordError:
    """The error for a file whose content is not what it should be."""
    return RecordError(f"file {path} is damaged ({' '.join(why.split())[:200]}); restore it or save it again")


def _digest(header: str, tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name},{tensor.dtype},{tuple(tensor.shape)};".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()

"""Files written whole: atomic replacement, one writer per folder, and arrays as a reproducible npz (ours)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)  # smallest first


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a hidden neighbour, flush to the disk, rename: `path` holds the old or the new content, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """One writer per folder, so that two runs of one spec cannot mix their files; also makes the renames durable. No lock on Windows."""
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def array_digest(values: np.ndarray) -> str:
    """SHA-256 of an array's dtype, length and little-endian content."""
    little = values.astype(values.dtype.newbyteorder("<"))
    return hashlib.sha256(f"{values.dtype.name},{len(values)};".encode() + little.tobytes()).hexdigest()


def narrow_integers(values: np.ndarray) -> np.ndarray:
    """Integers in the narrowest dtype that holds them all."""
    if values.dtype.kind != "i":
        return values
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    return values.astype(next(t for t in _INTEGERS if np.iinfo(t).min <= low and high <= np.iinfo(t).max))


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A compressed npz without time stamps: equal arrays, equal file. (np.savez also trips over an array named "file".)"""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values.astype(values.dtype.newbyteorder("<")), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()

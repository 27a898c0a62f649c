"""Files written whole: atomic replacement, one writer per folder, and arrays as a reproducible npz (ours)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from recq_lib.errors import ConfigError, RecordError

_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)  # smallest first


def write_atomically(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Write to a hidden neighbour, flush to the disk, rename: `path` holds the old or the new content, never a part.

    `content` may come in pieces, so that what is large need not be joined before.

    Folders on the way are made. Raises `ConfigError` for a path that is a folder or leads through a file, `OSError` where the disk refuses.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the path of a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        file = next((parent for parent in path.parents if parent.exists() and not parent.is_dir()), path.parent)
        raise ConfigError(f"{path} leads through {file}, which is a file; give another path") from error
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
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
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy_bytes(values), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def npy_bytes(values: np.ndarray) -> bytes:
    """An array as an npy file, little-endian, nothing pickled."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values.astype(values.dtype.newbyteorder("<")), allow_pickle=False)
    return buffer.getvalue()


def npy_array(content: bytes) -> np.ndarray:
    """What `npy_bytes` gave. Raises `ValueError` for other bytes, and for bytes behind the array."""
    stream = io.BytesIO(content)
    values = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.read(1):
        raise ValueError("bytes are left after the array")
    return values


def npz_arrays(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of an npz by name, nothing unpickled; every checksum is checked.

    Raises `RecordError` for a file that is missing or damaged in any way.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error.strerror or error}); check the path") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {info.filename.removesuffix(".npy"): npy_array(archive.read(info)) for info in archive.infolist()}
    except Exception as error:  # damaged bytes lead zipfile, zlib and numpy to errors of a dozen kinds; all mean the same here
        why = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise RecordError(f"{path} is damaged or no npz ({why}); restore it or make it again") from error


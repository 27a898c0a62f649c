"""Files written whole: atomic replacement, one writer per folder, and arrays as a reproducible npz (ours).

A writer that is killed leaves its temporary file behind. Every writer holds a lock on its own for as long as it lives, so what can be
locked belongs to nobody, and the next writer in the folder sweeps it away.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import uuid
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from recq_lib.errors import ConfigError, RecordError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{32}\.tmp")
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
    with _temporary(path) as (temporary, file):
        file.writelines([content] if isinstance(content, bytes) else content)
        file.flush()
        os.fsync(file.fileno())
        if os.name != "posix":
            file.close()  # there an open file cannot be renamed, and here its lock would be lost
        os.replace(temporary, path)
    sweep(path.parent)


def sweep(folder: Path) -> None:
    """Remove the temporary files in `folder` whose writers were killed; those of living writers, in any process, stay."""
    if os.name != "posix":
        return  # without locks nobody can tell
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                remove_unlocked(folder / name)


def remove_unlocked(path: Path) -> bool:
    """Remove a file unless somebody holds a lock on it; whether it was removed. Errors of the file system count as a no."""
    if os.name != "posix":
        return False
    import fcntl

    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return False  # another file has taken the name
            path.unlink()
            return True
    except OSError:
        return False


@contextlib.contextmanager
def in_use(mark: Path) -> Iterator[None]:
    """Say that this process works at something, by a lock on the file `mark`; several may. The last one removes the file."""
    if os.name != "posix":
        yield
        return
    import fcntl

    mark.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(mark, "ab") as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_SH)
            if os.fstat(file.fileno()).st_nlink == 0:
                continue  # its last user removed it in between
            try:
                yield
            finally:
                file.close()
                remove_unlocked(mark)
            return


def is_in_use(mark: Path) -> bool:
    """Whether a living process works at what `mark` stands for; True where nobody can tell."""
    return os.name != "posix" or (mark.exists() and not remove_unlocked(mark))


def set_aside(path: Path, why: str) -> None:
    """Give a damaged file the ending `.damaged`, so that it is made anew and can still be looked at; a warning names it."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        os.replace(path, aside)
    except OSError as error:
        warnings.warn(f"{path} is damaged ({why}) and cannot be moved aside ({error.strerror}); it is made anew", stacklevel=3)
    else:
        warnings.warn(f"{path} was damaged ({why}); it is kept as {aside.name} and made anew", stacklevel=3)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden neighbour of `path`, locked while it is written; it is gone afterwards, or has become another file."""
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        with open(temporary, "xb") as file:
            try:
                if not _held(file):
                    continue  # a sweep came between the two
                yield temporary, file
                return
            finally:
                temporary.unlink(missing_ok=True)


def _held(file: BinaryIO) -> bool:
    """Lock the file for this process, where there are locks; False where it was removed before."""
    if os.name != "posix":
        return True
    import fcntl

    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(file, fcntl.LOCK_EX)
    return os.fstat(file.fileno()).st_nlink > 0


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


"""`compiled`: numba's `njit`, its machine code kept on disk under the contents of all kernels, with digests.

Numba's own cache knows a function by the file that it stands in. A kernel that takes in helpers from another file
(`inline="always"`) would run its old code when only that file changes, as `git pull` may do. Here a change in any of
them compiles all of them anew; folders of earlier contents may be deleted at any time.

Numba believes what it reads, and a flipped bit in machine code ends a process. Here every file begins with the SHA-256
of the rest: one that is damaged is deleted, and its kernel compiled again. The code lies below NUMBA_CACHE_DIR or beside
the kernels; where neither can be written to, in a folder of the user's own, in the temporary folder at last; where there
is no room, nowhere: kernels are then compiled by every process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
from numba.core import caching

from recq_lib.io.files import write_atomically

_DIGEST = hashlib.sha256().digest_size


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Decorator: `function` compiled without the interpreter's lock, on its first call or read from the disk."""

    def decorate(function: Callable) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        folder = folder_of(Path(__file__).parent)
        if folder is not None:
            dispatcher._cache = _Cache(function, folder)  # what `enable_caching` does with numba's own class
        return dispatcher

    return decorate


def read_only(values: np.ndarray) -> np.ndarray:
    """`values`, contiguous (else copied), as a view that nobody can write to.

    For numba each combination of orders and of arrays that can or cannot be written to is another type, and a kernel is compiled, for
    seconds, for every combination of types. What a kernel only reads goes through here.
    """
    view = np.ascontiguousarray(values).view()
    view.setflags(write=False)
    return view


# ---- where the code lies ------------------------------------------------------------------------------------------------


@cache  # the code that runs is the code that was imported
def folder_of(kernels: Path) -> Path | None:
    """The folder for the machine code of the files in the folder `kernels`, made; None where none can be written to."""
    name = f"kernels-{contents_of(kernels)[:12]}"
    return next((folder for place in _places(kernels) if _is_writable(folder := place / name)), None)


def contents_of(kernels: Path) -> str:
    """SHA-256 (hex) of the Python files in the folder."""
    digest = hashlib.sha256()
    for path in sorted(kernels.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def _places(kernels: Path) -> Iterator[Path]:
    if numba.config.CACHE_DIR:
        yield Path(numba.config.CACHE_DIR)
    yield kernels / "__pycache__"
    yield Path(platformdirs.user_cache_dir("recq", appauthor=False))
    if hasattr(os, "getuid"):
        private = Path(tempfile.gettempdir(), f"recq-{os.getuid()}")
        if _is_private(private):
            yield private


def _is_private(folder: Path) -> bool:
    """Whether the folder is, or can be made, one where nobody else writes: what lies there is run."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
        return facts.st_uid == os.getuid() and not facts.st_mode & 0o077 and folder.is_dir() and not folder.is_symlink()
    except OSError:
        return False


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return True
    except OSError:
        return False


# ---- numba's cache, its files checked -----------------------------------------------------------------------------------


class _Locator(caching._SourceFileBackedLocatorMixin, caching._CacheLocator):
    """Numba's notion of where a function's files lie."""

    def __init__(self, function: Callable, folder: Path) -> None:
        self._py_file, self._lineno, self._folder = function.__code__.co_filename, function.__code__.co_firstlineno, str(folder)

    def get_cache_path(self) -> str:
        return self._folder


class _Files(caching.IndexDataCacheFile):
    """The index of a function's versions and their code, each behind its digest. What cannot be believed is as if it were not there."""

    def save(self, key: Any, data: Any) -> None:
        super().save(key, (key, data))  # two processes that write at once may give one number to two versions

    def load(self, key: Any) -> Any:
        found = super().load(key)
        return found[1] if found is not None and found[0] == key else None

    def _load_index(self) -> dict:
        content = _checked(Path(self._index_path))
        if content is None:
            return {}
        version, stamp, overloads = pickle.loads(content)
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict) -> None:
        _put(Path(self._index_path), self._dump((self._version, self._source_stamp, overloads)))

    def _load_data(self, name: str) -> Any:
        content = _checked(Path(self._data_path(name)))
        return None if content is None else pickle.loads(content)

    def _save_data(self, name: str, data: Any) -> None:
        _put(Path(self._data_path(name)), self._dump(data))


class _Cache(caching.FunctionCache):
    def __init__(self, function: Callable, folder: Path) -> None:
        locator = _Locator(function, folder)
        self._impl_class = _with_locator(locator)
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except OSError:  # no room, no permission: the code is there, and the next process compiles it too
            self.disable()


def _with_locator(locator: _Locator) -> type:
    class Implementation(caching.CompileResultCacheImpl):
        _locator_classes = (type("", (), {"from_function": staticmethod(lambda *_: locator)}),)

    return Implementation


def _put(path: Path, content: bytes) -> None:
    write_atomically(path, hashlib.sha256(content).digest() + content)


def _checked(path: Path) -> bytes | None:
    """What `_put` wrote; None where there is nothing, or something else, which is removed."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).digest() == content[:_DIGEST]:
        return content[_DIGEST:]
    with contextlib.suppress(OSError):
        path.unlink()
    return None

"""`compiled`: numba's `njit`, its machine code kept on disk under the contents of all kernels.

Numba's own cache knows a function by the file that it stands in. A kernel that takes in helpers from another file
(`inline="always"`) would run its old code when only that file changes, as `git pull` may do. Here a change in any of
them compiles all of them anew; folders of earlier contents may be deleted at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """Decorator: `function` compiled without the interpreter's lock, on its first call or read from the disk."""

    def decorate(function: Callable) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        with _cache_in(folder_of(Path(__file__).parent)):
            dispatcher.enable_caching()
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


@cache  # the code that runs is the code that was imported
def folder_of(kernels: Path) -> Path:
    """Where machine code of the files in the folder `kernels` belongs, below it or below NUMBA_CACHE_DIR."""
    digest = hashlib.sha256()
    for path in sorted(kernels.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return Path(numba.config.CACHE_DIR or kernels / "__pycache__") / f"kernels-{digest.hexdigest()[:12]}"


@contextmanager
def _cache_in(folder: Path) -> Iterator[None]:
    """Numba reads this setting when caching is enabled for a function; where the folder cannot be written it falls back to its own."""
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before

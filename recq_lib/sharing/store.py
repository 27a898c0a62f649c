"""Clusterings kept on disk: one serves every seed of a study, and some take minutes to find (ours).

A clustering is known by everything it follows from: the interactions, the method with its options, and the code and packages that
computed it; for a method of one's own also the file that defines its function. What changes one of them makes a new file; old ones may
be deleted at any time.
"""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, RecordError
from recq_lib.io import paths
from recq_lib.io.canonical import canonical_json
from recq_lib.io.files import set_aside
from recq_lib.io.versions import package_versions, source_hash
from recq_lib.sharing.sharing import Sharing

_ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("sharing", "baselines/sharing", "kernels", "papers/baco")  # whose code finds rows
_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "scikit-network", "infomap")


_KEEP = ContextVar("keep", default=True)


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Within it `kept` neither reads nor writes a file, for runs that leave no trace."""
    token = _KEEP.set(False)
    try:
        yield
    finally:
        _KEEP.reset(token)


def kept(find: Callable[[], Sharing], data: Interactions, method: str, dim: int, options: Mapping[str, Any]) -> Sharing:
    """`find()`, or what it gave before for the same data, method, `dim` (it sets budgets) and `options`.

    A file that is damaged, or whose rows are not those of the data, is moved aside with a warning. Where the folder cannot be written to,
    a warning says so and the rows are given back all the same. Functions defined in no file, as in a notebook, are asked every time.
    """
    if not _KEEP.get() or any(_file_of(function) is None for function in _functions(find)):
        return find()
    path = path_of(data, method, dim, options, find)
    found = _read(path, data)
    if found is None:
        found = find()
        try:
            found.save(path)
        except (OSError, ConfigError) as error:
            warnings.warn(f"the rows of {method} on {data.name} cannot be kept ({error}); they are found anew next time", stacklevel=2)
    return found


def path_of(data: Interactions, method: str, dim: int, options: Mapping[str, Any], find: Callable[[], Sharing] | None = None) -> Path:
    """Where the clustering is kept that `find` (by default a function of this library) gives."""
    own = sorted({_file_of(function) for function in _functions(find)} - _library_files() - {None})
    code = [_computed_by(), *(_content_hash(path) for path in own)]
    identity = canonical_json([data.fingerprint, method, dim, dict(options), code])
    return paths.checkpoints_dir() / "sharings" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npz"


def _read(path: Path, data: Interactions) -> Sharing | None:
    if not path.is_file():
        return None
    try:
        return Sharing.load(path, n_users=data.n_users, n_items=data.n_items)
    except RecordError as error:  # damaged, or of other data
        set_aside(path, str(error.__cause__ or error).partition(";")[0])
        return None


# ---- the code that finds rows ---------------------------------------------------------------------------------------------------


@cache  # the code that runs is the code that was imported
def _computed_by() -> str:
    return canonical_json([source_hash(_ROOT, _library_files()), package_versions(_PACKAGES)])


@cache
def _library_files() -> frozenset[Path]:
    rooms = {room: frozenset((_ROOT / room).glob("*.py")) for room in _ROOMS}
    assert all(rooms.values()), f"there is no code in one of {_ROOMS}; a room was renamed"
    return frozenset().union(*rooms.values())


def _functions(find: object) -> list[Callable]:
    """What can be called in `find`: itself, or the parts of a partial, its arguments included; for an object its class."""
    if isinstance(find, partial):
        return [function for part in (find.func, *find.args, *find.keywords.values()) for function in _functions(part)]
    if isinstance(find, (FunctionType, MethodType, type)):
        return [find]
    return [type(find)] if callable(find) else []


def _file_of(function: Callable) -> Path | None:
    """The file that defines `function`, with whatever it calls in there."""
    try:
        found = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:  # built in
        return None
    return Path(found).resolve() if found and Path(found).is_file() else None


def _content_hash(path: Path) -> str:
    return source_hash(path.parent, [path])

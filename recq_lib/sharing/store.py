"""Clusterings kept on disk: one serves every seed of a study, and some take minutes to find (ours).

A clustering is known by everything it follows from: the interactions, the method with its options, and the code and packages that
computed it. What changes one of them makes a new file; old ones may be deleted at any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from recq_lib.data.interactions import Interactions
from recq_lib.errors import RecordError
from recq_lib.io import paths
from recq_lib.io.canonical import canonical_json
from recq_lib.sharing.sharing import Sharing

_ROOMS = ("sharing", "baselines/sharing", "kernels", "papers/baco")  # whose code finds rows
_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "scikit-network", "infomap")


def kept(find: Callable[[], Sharing], data: Interactions, method: str, dim: int, options: Mapping[str, Any]) -> Sharing:
    """`find()`, or what it gave before for the same data, method, `dim` (it sets budgets) and `options`. A file that is
    damaged, or whose rows are not those of the data, is replaced."""
    path = path_of(data, method, dim, options)
    found = _read(path, data)
    if found is None:
        found = find()
        path.parent.mkdir(parents=True, exist_ok=True)
        found.save(path)
    return found


def path_of(data: Interactions, method: str, dim: int, options: Mapping[str, Any]) -> Path:
    """Where the clustering is kept."""
    identity = canonical_json([data.fingerprint, method, dim, dict(options), _computed_by()])
    return paths.checkpoints_dir() / "sharings" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npz"


def _read(path: Path, data: Interactions) -> Sharing | None:
    try:
        return Sharing.load(path, n_users=data.n_users, n_items=data.n_items)
    except RecordError:  # absent, damaged, or of other data
        return None


@cache  # the code that runs is the code that was imported
def _computed_by() -> str:
    root, digest = Path(__file__).resolve().parents[1], hashlib.sha256()
    for room in _ROOMS:
        files = sorted((root / room).glob("*.py"))
        assert files, f"there is no code in {room}; a room was renamed"
        for path in files:
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return canonical_json([digest.hexdigest(), {name: _version(name) for name in _PACKAGES}])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"

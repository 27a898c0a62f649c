"""Clusterings kept on disk: one serves every seed of a study, and some take minutes to find (ours).

A clustering is known by everything it follows from: the interactions, the method with its options, and the code and packages that
computed it. What changes one of them makes a new file; old ones may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.io import paths
from recq_lib.io.canonical import canonical_json
from recq_lib.io.files import npz_bytes, write_atomically
from recq_lib.sharing.sharing import Sharing

_ROOMS = ("sharing", "baselines/sharing", "kernels", "papers/baco")  # whose code finds rows
_PACKAGES = ("numpy", "scipy", "numba", "scikit-learn", "scikit-network", "infomap")


def kept(find: Callable[[], Sharing], data: Interactions, method: str, dim: int, options: Mapping[str, Any]) -> Sharing:
    """`find()`, or what it gave before for the same data, method, `dim` (it sets budgets) and `options`. A damaged file is replaced."""
    path = path_of(data, method, dim, options)
    found = _read(path)
    if found is None:
        found = find()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, npz_bytes(_arrays(found)))
    return found


def path_of(data: Interactions, method: str, dim: int, options: Mapping[str, Any]) -> Path:
    """Where the clustering is kept."""
    identity = canonical_json([data.fingerprint, method, dim, dict(options), _computed_by()])
    return paths.checkpoints_dir() / "sharings" / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.npz"


def _arrays(sharing: Sharing) -> dict[str, np.ndarray]:
    sizes = np.array([sharing.n_user_rows, sharing.n_item_rows])
    return {"users": sharing.users, "items": sharing.items, "sizes": sizes, "combine": np.array(sharing.combine)}


def _read(path: Path) -> Sharing | None:
    try:
        with np.load(path) as file:
            n_users, n_items = (int(n) for n in file["sizes"])
            return Sharing(file["users"], file["items"], n_users, n_items, str(file["combine"]))
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):  # absent or damaged
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

"""`compress`: the rows that a method gives every user and item of a dataset, as numbers and as a file (command `recq compress`)."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recq_lib.config import protocol
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.io.files import npz_bytes, write_atomically
from recq_lib.papers.baco.method import baco, sharing_from
from recq_lib.runs import registry
from recq_lib.sharing.sharing import Sharing


@dataclass(frozen=True)
class Compression:
    """What `compress` found.

    parameters, ratio : as BACO's code counts, and their share of a full table
    table_bytes, full_bytes : float32 rows with int32 indices, and one float32 row per node
    seconds : wall time of finding the rows; compiling counts if it is the first call of a process
    gamma : BACO's, else None
    """

    method: str
    dataset: str
    dim: int
    sharing: Sharing
    parameters: int
    ratio: float
    table_bytes: int
    full_bytes: int
    seconds: float
    gamma: float | None

    def summary(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        names = ("method", "dataset", "dim", "parameters", "ratio", "table_bytes", "full_bytes", "seconds", "gamma")
        sizes = {"user_rows": self.sharing.n_user_rows, "item_rows": self.sharing.n_item_rows, "extra_indices": self.sharing.n_extra}
        return {**{name: getattr(self, name) for name in names[:3]}, **sizes, **{name: getattr(self, name) for name in names[3:]}}

    def save(self, path: Path | str, ids: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        """Write `user_rows` [U, m] and `item_rows` [I, m'] (int32, -1 for none), sizes, and the ids of the user's file if there are any."""
        arrays = {"user_rows": self.sharing.users.astype(np.int32), "item_rows": self.sharing.items.astype(np.int32)}
        arrays |= {"sizes": np.array([self.sharing.n_user_rows, self.sharing.n_item_rows]), "combine": np.array(self.sharing.combine)}
        if ids is not None:
            arrays |= {"user_ids": ids[0], "item_ids": ids[1]}
        write_atomically(Path(path), npz_bytes(arrays))


def compress(method: str, data: Interactions, *, budget: float | None = None, dim: int = 64, seed: int = 0, **options: Any) -> Compression:
    """Find the rows of `method` on `data`.

    Parameters
    ----------
    budget : a share of the full table's numbers (0 < budget ≤ 1) or, above 1, a number of parameters; default GraphHash's size
    options : the method's own, see `registry.METHODS`; for BACO also `gamma`

    Raises `ConfigError` for an unknown method or option, for `budget` with `gamma`, and for a budget that the method cannot meet.
    """
    share = registry.sharer(method)
    known, gamma = registry.method(method).options, options.get("gamma", 0.0)
    if not (math.isfinite(gamma) and gamma >= 0):
        raise ConfigError(f"gamma is {gamma}, but must be a finite number ≥ 0 (0: label propagation); leave it out to search for it")
    if budget is not None:
        if "ratio" not in known:
            raise ConfigError(f"method {method!r} finds its own number of rows and cannot meet a budget ({budget}); leave it out")
        if "gamma" in options:
            raise ConfigError(f"budget {budget} and gamma {options['gamma']} both set the size; give one of them")
        if not budget > 0:
            raise ConfigError(f"budget is {budget}, but must be a share of the full table (0 to 1) or a number of parameters (above 1)")
        options = options | {"ratio": float(budget if budget <= 1 else budget / (dim * data.n_nodes))}
    config = registry.resolve(method, protocol("baco", dim=dim, seed=seed, options=options))
    start, gamma = time.perf_counter(), None
    if method == "baco":
        clustering = baco(data, config)
        sharing, gamma = sharing_from(clustering), clustering.gamma
    else:
        sharing = share(data, config)
    seconds = time.perf_counter() - start
    full, parameters = dim * data.n_nodes, sharing.n_parameters(dim)
    return Compression(method, data.name, dim, sharing, parameters, parameters / full, sharing.n_bytes(dim), 4 * full, seconds, gamma)

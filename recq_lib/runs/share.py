"""`share`: the one door to rows of a smaller table, by any method that shares rows."""

from __future__ import annotations

import math
import numbers
import time
import warnings
from dataclasses import replace
from typing import Any

from recq_lib.config import protocol
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, number, whole
from recq_lib.runs import registry
from recq_lib.sharing.grouping import OutOfReach
from recq_lib.sharing.louvain import RESOLUTION
from recq_lib.sharing.sharing import Sharing

# rows are whole and communities come in jumps, so a budget may be missed:
_TOLD = 0.05  # by more than this share of it, up or down, with a warning
_REFUSED = 0.25  # not upwards by more than this


def share(
    data: Interactions, method: str = "baco", *, budget: float | None = None, dim: int = 64, seed: int = 0, **options: Any
) -> Sharing:
    """Which row of a smaller table every user and item takes, found from the training interactions.

    Parameters
    ----------
    method : "baco", "graphhash", "random-hash", …: every method of family "shared rows" that finds its rows before training
    budget : a share of the full table's numbers (0 < budget ≤ 1) or, above 1, a number of parameters; default GraphHash's size
    dim : width of the table, in which a budget is counted and second indices are weighed
    seed : a whole number, of hash functions; clusterings have a seed of their own (option `cluster_seed`)
    options : the method's own, see `registry.METHODS`; for BACO for instance `gamma`, `scu=False`

    The result says in `found` how it was found (for BACO γ and labels) and carries the own ids of `data`.

    >>> from recq_lib.data import load
    >>> data = load("synthetic-tiny")
    >>> share(data, "random-hash", budget=0.5)
    Sharing(60 users on 30 rows, 40 items on 20 rows, mean)
    >>> rows = share(data, budget=0.4, tolerance=0.05)
    >>> rows.found.method, abs(rows.ratio(64) / 0.4 - 1) < 0.05
    ('baco', True)
    >>> share(data, gamma=0.0, scu=False).found.settings["gamma"]
    0.0

    Raises `ConfigError` for an unknown method or option, for `budget` with `gamma`, and for a budget that is out of reach or exceeded by
    a quarter; a smaller miss, down to 5 %, and a size below the budget are told by a warning.
    """
    find, known, dim = registry.sharer(method), registry.method(method).options, whole("dim", dim, 1)
    if "gamma" in options and "gamma" in known:
        number("gamma (0: label propagation; leave it out to search for it)", options["gamma"], 0)
    ratio = None if budget is None else _ratio(method, data, budget, dim, options)

    def rows_at(size: dict[str, float]) -> Sharing:
        try:
            return find(data, registry.resolve(method, protocol("baco", dim=dim, seed=seed, options=options | size)))
        except OutOfReach as error:  # in the user's words: a method has made rows, then parameters, of the budget
            raise error.told(_asked(data, ratio, dim, options)) from None

    start = time.perf_counter()
    rows = rows_at({} if ratio is None else {"ratio": ratio})
    if ratio is not None:
        left = ratio - rows.n_extra / (dim * data.n_nodes)
        if rows.ratio(dim) > ratio * (1 + _TOLD) and 0 < left < ratio:  # the method counts rows alone: second indices are paid from them
            rows = rows_at({"ratio": left})
        _check_size(rows, method, data, ratio, dim)
    found = replace(rows.found, method=method, dataset=data.name, seconds=time.perf_counter() - start)
    return replace(rows, found=found, user_ids=data.user_ids, item_ids=data.item_ids)


def _ratio(method: str, data: Interactions, budget: float, dim: int, options: dict[str, Any]) -> float:
    """The budget as a share of the full table."""
    if "ratio" not in registry.method(method).options:
        raise ConfigError(f"method {method!r} finds its own number of rows and cannot meet a budget ({budget}); leave it out")
    for name in ("gamma", "ratio"):
        if name in options:
            raise ConfigError(f"budget {budget} and {name} {options[name]} both set the size; give one of them")
    if not (isinstance(budget, numbers.Real) and math.isfinite(budget) and budget > 0):
        raise ConfigError(f"budget is {budget!r}, but must be a share of the full table (0 to 1) or a number of parameters (above 1)")
    full = dim * data.n_nodes
    if budget > max(full, 1):
        raise ConfigError(f"budget is {budget:,} parameters, but a full table of {data.name} has {full:,}; give fewer, or a share up to 1")
    return float(budget if budget <= 1 else budget / full)


def _asked(data: Interactions, ratio: float | None, dim: int, options: dict[str, Any]) -> str:
    """The size that was asked for, in words."""
    ratio = ratio or options.get("ratio")
    if not ratio:
        return f"the default size, GraphHash's at resolution {RESOLUTION:g} (budget= sets another),"
    return f"a budget of {ratio * dim * data.n_nodes:,.0f} parameters ({ratio:.1%} of a full table)"


def _check_size(rows: Sharing, method: str, data: Interactions, ratio: float, dim: int) -> None:
    full, reached = dim * data.n_nodes, rows.ratio(dim)
    text = (
        f"{method} on {data.name} gives {rows.n_parameters(dim):,} parameters ({reached:.1%} of a full table) for a budget of "
        f"{ratio * full:,.0f} ({ratio:.1%})"
    )
    if reached > ratio * (1 + _REFUSED):
        raise ConfigError(f"{text}; give another budget, a larger dim, or another method")
    if abs(reached / ratio - 1) > _TOLD:
        warnings.warn(f"{text}, the closest that it finds", stacklevel=3)

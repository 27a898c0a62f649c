"""`share`: the one door to rows of a smaller table, by any method that shares rows."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from recq_lib.config import protocol
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, number, whole
from recq_lib.runs import registry
from recq_lib.sharing.grouping import OutOfReach
from recq_lib.sharing.louvain import RESOLUTION, rows_of
from recq_lib.sharing.sharing import Sharing

TOLERANCE = 0.01  # of a budget, up or down
_EVALUATIONS = 12  # of a method that takes a number of rows
_SEARCHES = 3  # of one that searches for a number of rows by itself


def share(
    data: Interactions, method: str = "baco", *, budget: float | None = None, tolerance: float = TOLERANCE, dim: int = 64, seed: int = 0,
    **options: Any,
) -> Sharing:  # fmt: skip
    """Which row of a smaller table every user and item takes, found from the training interactions.

    Parameters
    ----------
    method : "baco", "graphhash", "random-hash", …: every method of family "shared rows" that finds its rows before training
    budget : a share of the full table's numbers (0 < budget ≤ 1) or, above 1, a number of parameters; default GraphHash's size
    tolerance : by what share of the budget the size may miss it, up or down
    dim : width of the table, in which a budget is counted and second indices are weighed
    seed : a whole number, of hash functions; clusterings have a seed of their own (option `cluster_seed`)
    options : the method's own, see `registry.METHODS`; for BACO for instance `gamma`, `scu=False`

    The result says in `found` how it was found (for BACO γ and labels) and what was `asked` for (parameters, beside `n_parameters` that
    were delivered), and carries the own ids of `data`. BACO's default size is out of reach on some data; then the closest is taken, with
    a warning.

    >>> from recq_lib.data import load
    >>> data = load("synthetic-tiny")
    >>> share(data, "random-hash", budget=0.5)
    Sharing(60 users on 30 rows, 40 items on 20 rows, mean)
    >>> rows = share(data, budget=0.4, tolerance=0.05)
    >>> rows.found.method, abs(rows.ratio(64) / 0.4 - 1) < 0.05
    ('baco', True)
    >>> share(data, gamma=0.0, scu=False).found.settings["gamma"]
    0.0

    Raises `ConfigError` for an unknown method or option, for `budget` with `gamma`, and for a budget that is not met within `tolerance`:
    rows are whole and communities come in jumps, so the error names the nearest sizes that were found, to set one of them.
    """
    find, known, dim = registry.sharer(method), registry.method(method).options, whole("dim", dim, 1)
    tolerance = number("tolerance", tolerance, 0, 1)
    if "gamma" in options and "gamma" in known:
        number("gamma (0: label propagation; leave it out to search for it)", options["gamma"], 0)
    ratio = None if budget is None else _ratio(method, data, budget, dim, options)
    options = options | ({"tolerance": tolerance} if "tolerance" in known and budget is not None else {})

    def rows_at(size: dict[str, float]) -> Sharing:
        try:
            return find(data, registry.resolve(method, protocol("baco", dim=dim, seed=seed, options=options | size)))
        except OutOfReach as error:  # in the user's words: a method has made rows, then parameters, of the budget
            raise error.told(_asked(data, ratio, dim, options), dim, _least(data, dim)) from None

    start = time.perf_counter()
    if ratio is None:
        rows, asked = rows_at({}), None
    else:
        asked = round(ratio * dim * data.n_nodes)
        rows = _within(lambda share: rows_at({"ratio": share}), data, ratio, dim, tolerance, f"{method} on {data.name}")
    found = replace(rows.found, method=method, dataset=data.name, seconds=time.perf_counter() - start)
    found = replace(found, asked=found.asked if asked is None else asked)
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


def _within(rows_at: Callable[[float], Sharing], data: Interactions, ratio: float, dim: int, tolerance: float, what: str) -> Sharing:
    """Rows that meet `ratio` of a full table; what a method is asked for is corrected by what it gave, in a bracket that shrinks.

    A method counts rows alone, so second indices are paid from them, and what it rounds away is asked for again.
    """
    full, low, high, given, sizes = dim * data.n_nodes, 0.0, 1.0, ratio, set()
    for evaluation in range(1, _EVALUATIONS + 1):
        try:
            rows = rows_at(_exact(data, given))
        except OutOfReach:
            if not sizes:
                raise
            break
        sizes |= _sizes(rows, dim)
        if abs(rows.ratio(dim) / ratio - 1) <= tolerance + 1e-9:  # 99 rows are within 1 % of 100 in spite of rounding
            return rows
        extra = rows.n_extra / full
        if rows.found.tried:  # it has searched for that many rows: only what is not rows is left to correct
            nearest = min(sizes, key=lambda size: abs(size / full - ratio)) / full
            given = nearest - extra if abs(nearest / ratio - 1) <= tolerance else ratio - extra
            if evaluation == _SEARCHES or given <= 0:
                break
            continue
        low, high = (low, given) if rows.ratio(dim) > ratio else (given, high)
        given *= max(ratio - extra, 0) / (rows.ratio(dim) - extra)
        given = given if low < given < high else (low + high) / 2
        if high - low < 0.25 / data.n_nodes:
            break
    raise ConfigError(_missed(what, round(ratio * full), {size for size in sizes if size >= _least(data, dim)}, full, tolerance))


def _exact(data: Interactions, ratio: float) -> float:
    """`ratio`, or one so near that both sides' rows, each rounded, add up to `ratio` of all nodes, rounded."""
    wanted, near = round(ratio * data.n_nodes), [ratio, *(ratio + step / (8 * data.n_nodes) for step in range(-8, 9))]
    good = [share for share in near if 0 < share <= 1 and sum(rows_of(data, share)) == wanted]
    return good[0] if good else ratio


def _least(data: Interactions, dim: int) -> int:
    """Parameters of the fewest rows that a method can be asked for."""
    return dim * sum(rows_of(data, 1e-12))


def _sizes(rows: Sharing, dim: int) -> set[int]:
    """Parameters of these rows, and of all that a search went through."""
    of_rows = rows.found.gamma is None  # BACO counts parameters, the others rows
    return {rows.n_parameters(dim)} | {dim * size + rows.n_extra if of_rows else size for _, size in rows.found.tried}


def _missed(what: str, asked: int, sizes: set[int], full: int, tolerance: float) -> str:
    """What can be had in place of a budget of `asked` parameters."""
    near = [max((size for size in sizes if size <= asked), default=None), min((size for size in sizes if size > asked), default=None)]
    named = " and ".join(f"{size:,} ({size / full:.2%})" for size in near if size is not None)
    ends = {(True, False): ", none is below", (False, True): ", none is above"}.get((near[0] is None, near[1] is None), "")
    return (
        f"{what} cannot meet a budget of {asked:,} parameters ({asked / full:.1%} of a full table) within {100 * tolerance:.3g} %; the "
        f"nearest sizes found are {named}{ends}; set one of them (`--budget`), a wider tolerance (`--tolerance`), or another method"
    )

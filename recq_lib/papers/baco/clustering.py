"""BACO: users and items share embedding rows, found by balanced co-clustering (arXiv 2604.18351, SIGIR 2026).

A label is given to every user and item so that

    F = Σ_k [e(U_k, V_k) - γ·W_U(k)·W_V(k)],   W_U(k) = Σ_{u∈U_k} w_u,  W_V(k) = Σ_{v∈V_k} w_v                           (1)

is large: many interactions inside the co-clusters k, and no co-cluster heavy on both sides. The labels of users become the rows
of one codebook, those of items the rows of another; a user may have the mean of two rows. This file makes the assignment; what
is trained on it is a table like any other. `baco_search.py` finds γ for a budget.

The main text of the paper was not at hand: (1), the weights and the solver follow the official code.
"""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.kernels import label_propagation as kernel

USER_WEIGHTS = ("degree", "uniform", "sqrt", "log")
ITEM_WEIGHTS = ("released", *USER_WEIGHTS)
SWEEPS = 5  # Beauty is far from converged then, and its size halves with each further sweep: part of the method, not a limit


# ---- the objective --------------------------------------------------------------------------------------------------------


def node_weights(data: Interactions, user: str = "degree", item: str = "released") -> np.ndarray:
    """Weights [n_nodes] float64, users first: `w = x / √Σx` with x by scheme, per side.

    Schemes: "degree" d, "uniform" 1, "sqrt" √d, "log" log(1 + d). For items also "released", d / √n_items: what the official code
    computes for its setting "CPM" (uniform), whose values it uses in the denominator only; the published γ belong to it.
    With degree on both sides F is the number of interactions times Barber's modularity at resolution γ, with uniform on both sides
    the bipartite constant Potts model. Raises `ConfigError` for an unknown scheme.
    """
    one_of("user weight", user, USER_WEIGHTS)
    one_of("item weight", item, ITEM_WEIGHTS)
    user_degree = np.diff(data.train.indptr).astype(np.float64)
    item_degree = np.bincount(data.train.indices, minlength=data.n_items).astype(np.float64)
    if item == "released":
        weights = item_degree / math.sqrt(max(data.n_items, 1))
    else:
        weights = _normalised(item_degree, item)
    return np.concatenate([_normalised(user_degree, user), weights])


def objective(labels: np.ndarray, data: Interactions, weights: np.ndarray, gamma: float) -> float:
    """F of (1) in float64. `labels` [n_nodes]: whole numbers in [0, n_nodes), users first; `weights` [n_nodes].

    Moving user x from label a to b changes F by e(x, V_b) - e(x, V_a) - γ·w_x·(W_V(b) - W_V(a)), items likewise.
    """
    labels = np.asarray(labels)
    n = data.n_nodes
    if labels.shape != (n,) or labels.dtype.kind not in "iu" or (n and not 0 <= labels.min() <= labels.max() < n):
        raise ConfigError(f"labels have shape {labels.shape} and dtype {labels.dtype}; give {n} whole numbers in [0, {n})")
    graph = kernel.both_ways(data.train)
    return kernel.objective(*graph, data.n_users, _gamma(gamma), _weights(data, weights), labels.astype(np.uint32))


# ---- the solver -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Clustering:
    """Which codebook rows each user and item has.

    Attributes
    ----------
    user_rows [n_users] int32, item_rows [n_items] int32 : rows of the users' and of the items' codebook
    user_second [n_users] int32 : a second row of the users' codebook, -1 for none; the vector is then the mean of both
    n_user_rows, n_item_rows : sizes of the codebooks; every row has a node
    labels [n_nodes] int32 : the co-cluster of every node, users first; a label may be on one side only
    sweeps : (n_user_rows, n_item_rows) after each sweep
    seconds : wall time of the clustering
    """

    gamma: float
    user_rows: np.ndarray
    user_second: np.ndarray
    item_rows: np.ndarray
    n_user_rows: int
    n_item_rows: int
    labels: np.ndarray
    sweeps: tuple[tuple[int, int], ...]
    seconds: float

    @property
    def n_second(self) -> int:
        return int(np.count_nonzero(self.user_second >= 0))

    def n_parameters(self, dim: int = 64) -> int:
        """As the paper counts: `dim` per codebook row, one per second row of a user, nothing for first rows."""
        return dim * (self.n_user_rows + self.n_item_rows) + self.n_second

    def ratio(self, dim: int = 64) -> float:
        """Parameters over those of a table with one row per node."""
        return self.n_parameters(dim) / (dim * max(self.labels.size, 1))


def cluster(
    data: Interactions,
    gamma: float,
    *,
    weights: np.ndarray | None = None,
    sweeps: int = SWEEPS,
    seed: int = 2025,
    ghost: bool = True,
    scu: bool = True,
    on_sweep: Callable[[int, np.ndarray], None] | None = None,
) -> Clustering:
    """Sequential label propagation from one label per node, then secondary user clusters (SCU).

    Parameters
    ----------
    gamma : weight of the balance, 0 for plain label propagation; larger gives more rows
    weights : [n_nodes] float64 ≥ 0; default `node_weights(data)`
    seed : of the visiting orders
    ghost : as in the official code a label keeps its first owner's weight on the opposite side too; False is (1) as written
    scu : a second label for every user who has a neighbour with another user label
    on_sweep : called with (1, labels), (2, labels), … after each sweep; labels [n_nodes] int32 is a copy

    Raises `ConfigError` for γ < 0, fewer than one sweep, weights of another shape or below 0.
    """
    start = time.perf_counter()
    found = Solver(data, weights=weights, sweeps=sweeps, seed=seed, ghost=ghost, scu=scu).solve(gamma, on_sweep)
    return replace(found, seconds=time.perf_counter() - start)


class Solver:
    """`cluster` for many γ on one dataset: `solve(γ)` costs the sweeps only. Arguments and errors as in `cluster`."""

    def __init__(
        self,
        data: Interactions,
        *,
        weights: np.ndarray | None = None,
        sweeps: int = SWEEPS,
        seed: int = 2025,
        ghost: bool = True,
        scu: bool = True,
    ) -> None:
        whole = all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in (sweeps, seed))
        if not whole or sweeps < 1 or seed < 0:
            raise ConfigError(f"sweeps is {sweeps!r} and seed {seed!r}; give whole numbers, at least one sweep and a seed ≥ 0")
        self.n, self.n_users, self.scu = data.n_nodes, data.n_users, scu
        self.weights = node_weights(data) if weights is None else _weights(data, weights)
        self.graph = kernel.both_ways(data.train)
        rng = np.random.default_rng(int(seed))
        self.orders = [rng.permutation(self.n).astype(np.uint32) for _ in range(sweeps)]
        self.volumes = np.zeros((2, self.n, 2))  # tallies and volumes, see the kernel
        for side, opposite in enumerate((slice(self.n_users, None), slice(self.n_users))):
            seen = slice(None) if ghost else opposite
            self.volumes[side, seen, 1] = self.weights[seen]
        self.candidates = np.empty(int(np.diff(self.graph[0]).max(initial=1)), np.uint32)

    def solve(self, gamma: float, on_sweep: Callable[[int, np.ndarray], None] | None = None) -> Clustering:
        start, gamma = time.perf_counter(), _gamma(gamma)
        labels, table, sizes = np.arange(self.n, dtype=np.uint32), self.volumes.copy(), []
        fixed = (*self.graph, self.n_users, gamma, self.weights, labels, table, self.candidates)
        for number, order in enumerate(self.orders, 1):
            kernel.sweep(order, *fixed)
            sizes.append(tuple(int(np.count_nonzero(self._taken(part))) for part in np.split(labels, [self.n_users])))
            if on_sweep is not None:
                on_sweep(number, labels.astype(np.int32))
        second = np.full(self.n_users, -1, np.int32)
        if self.scu:
            kernel.second_labels(*fixed, self._taken(labels[: self.n_users]), second)
        return self._codebooks(gamma, labels, second, tuple(sizes), start)

    def _taken(self, labels: np.ndarray) -> np.ndarray:
        taken = np.zeros(self.n, bool)
        taken[labels] = True
        return taken

    def _codebooks(self, gamma, labels, second, sizes, start) -> Clustering:
        """Labels of each side, renumbered in rising order, are its rows."""
        users, items = np.split(labels, [self.n_users])
        user_row, item_row = (np.cumsum(self._taken(part), dtype=np.int32) - 1 for part in (users, items))
        return Clustering(
            gamma=gamma,
            user_rows=user_row[users],
            user_second=np.where(second >= 0, user_row[second], -1).astype(np.int32) if second.size else second,
            item_rows=item_row[items],
            n_user_rows=sizes[-1][0],
            n_item_rows=sizes[-1][1],
            labels=labels.view(np.int32),
            sweeps=sizes,
            seconds=time.perf_counter() - start,
        )


# ---- checks ---------------------------------------------------------------------------------------------------------------


def _normalised(degree: np.ndarray, scheme: str) -> np.ndarray:
    value = {"degree": lambda d: d, "uniform": np.ones_like, "sqrt": np.sqrt, "log": np.log1p}[scheme](degree)
    total = value.sum()
    return value / math.sqrt(total) if total > 0 else value


def _gamma(gamma: float) -> float:
    if not (isinstance(gamma, numbers.Real) and math.isfinite(gamma) and gamma >= 0):
        raise ConfigError(f"gamma is {gamma}, but must be a finite number ≥ 0 (0 is plain label propagation)")
    return float(gamma)


def _weights(data: Interactions, weights: np.ndarray) -> np.ndarray:
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if weights.shape != (data.n_nodes,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ConfigError(f"weights have shape {weights.shape}; give {data.n_nodes} finite numbers ≥ 0, users first (node_weights does)")
    return weights

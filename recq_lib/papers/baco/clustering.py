"""BACO: users and items share embedding rows, found by balanced co-clustering (arXiv 2604.18351, SIGIR 2026).

A label is given to every user and item so that

    F = Σ_k [e(U_k, V_k) - γ·W_U(k)·W_V(k)],   W_U(k) = Σ_{u∈U_k} w_u,  W_V(k) = Σ_{v∈V_k} w_v                           (1)

is large: many interactions inside the co-clusters k, and no co-cluster heavy on both sides. The labels of users become
the rows of one codebook, those of items the rows of another; a user may have the mean of two rows. This file makes the
assignment; what is trained on it is a table like any other. `gamma_search.py` finds γ for a budget.

The main text of the paper was not at hand: (1), the weights and the solver follow the official code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, number, one_of, whole
from recq_lib.io.memory import check_memory
from recq_lib.kernels import label_propagation, official_ties
from recq_lib.kernels.two_way import both_ways, unsigned
from recq_lib.sharing.grouping import SEED, Stopwatch, found_by
from recq_lib.sharing.sharing import Sharing

USER_WEIGHTS = ("degree", "uniform", "sqrt", "log")
ITEM_WEIGHTS = ("released", *USER_WEIGHTS)
KERNELS = {"last": label_propagation, "official": official_ties}  # by which of equal scores wins
TIES = tuple(KERNELS)
SWEEPS = 5  # Beauty is far from converged then, and its size halves with each further sweep: part of the method, not a limit


# ---- the objective --------------------------------------------------------------------------------------------------------


def node_weights(data: Interactions, user: str = "degree", item: str = "released") -> np.ndarray:
    """Weights [n_nodes] float64, users first: `w = x / √Σx` with x by scheme, per side.

    Schemes: "degree" d, "uniform" 1, "sqrt" √d, "log" log(1 + d). For items also "released", d / √n_items: what the
    official code computes for its setting "CPM" (uniform), whose values it uses in the denominator only; the published
    γ belong to it. With degree on both sides F is the number of interactions times Barber's modularity at resolution γ,
    with uniform on both sides the bipartite constant Potts model. Raises `ConfigError` for an unknown scheme.
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
    graph = unsigned(both_ways(data.train))
    gamma, weights = number("gamma", gamma, 0), _weights(data, weights)
    return label_propagation.objective(graph, data.n_users, gamma, weights, labels.astype(np.uint32))


# ---- the solver -----------------------------------------------------------------------------------------------------------


def cluster(
    data: Interactions,
    gamma: float,
    *,
    weights: np.ndarray | None = None,
    sweeps: int = SWEEPS,
    seed: int = SEED,
    ghost: bool = True,
    scu: bool = True,
    ties: str = "last",
    on_sweep: Callable[[int, np.ndarray], None] | None = None,
) -> Sharing:
    """Sequential label propagation from one label per node, then secondary user clusters (SCU).

    The rows [U, 2] of users are the row of their label and that of their second label, -1 for none; the vector is the
    mean of both. Items have one row [I, 1]. Every row has a node. `found` has γ and the other settings, the labels, and
    the sizes after each sweep.

    Parameters
    ----------
    gamma : weight of the balance, 0 for plain label propagation; larger gives more rows
    weights : [n_nodes] float64 ≥ 0; default `node_weights(data)`
    seed : of the visiting orders
    ghost : as in the official code a label keeps its first owner's weight on the opposite side too; False is (1) as
        written
    scu : a second label for every user who has a neighbour with another user label
    ties : which of equal scores wins: "last", the label that first appears last among a node's neighbours, or "official",
        the one that the official code takes (its published counts to the last row; a tenth slower)
    on_sweep : called with (1, labels), (2, labels), … after each sweep; labels [n_nodes] int32 is a copy

    Raises `ConfigError` for γ < 0, fewer than one sweep, weights of another shape or below 0, unknown `ties`.
    """
    watch = Stopwatch()
    rows = Solver(data, weights=weights, sweeps=sweeps, seed=seed, ghost=ghost, scu=scu, ties=ties).solve(gamma, on_sweep)
    return replace(rows, found=replace(rows.found, seconds=watch.seconds))


class Solver:
    """`cluster` for many γ on one dataset: `solve(γ)` costs the sweeps only. Arguments and errors as in `cluster`."""

    def __init__(
        self,
        data: Interactions,
        *,
        weights: np.ndarray | None = None,
        sweeps: int = SWEEPS,
        seed: int = SEED,
        ghost: bool = True,
        scu: bool = True,
        ties: str = "last",
    ) -> None:
        self.kernel = KERNELS[one_of("ties", ties, TIES)]
        sweeps, seed = whole("sweeps", sweeps, 1), whole("seed", seed, 0)
        self.settings = {"sweeps": sweeps, "seed": seed, "ghost": ghost, "scu": scu, "ties": ties}
        self.data, self.n, self.n_users = data, data.n_nodes, data.n_users
        check_memory(f"visiting {self.n:,} nodes in {sweeps:,} orders", 4 * sweeps * self.n, "give fewer sweeps")
        self.weights = node_weights(data) if weights is None else _weights(data, weights)
        self.graph = unsigned(both_ways(data.train))
        rng = np.random.default_rng(seed)
        self.orders = [rng.permutation(self.n).astype(np.uint32) for _ in range(sweeps)]
        self.volumes = np.zeros((2, self.n, 2))  # tallies and volumes, see the kernel
        for side, opposite in enumerate((slice(self.n_users, None), slice(self.n_users))):
            seen = slice(None) if ghost else opposite
            self.volumes[side, seen, 1] = self.weights[seen]

    def solve(self, gamma: float, on_sweep: Callable[[int, np.ndarray], None] | None = None) -> Sharing:
        """The rows at γ ≥ 0, as `cluster` gives them; `on_sweep` as there. Raises `ConfigError` for another γ."""
        watch, gamma = Stopwatch(), number("gamma", gamma, 0)  # 0 is plain label propagation
        labels, sizes = np.arange(self.n, dtype=np.uint32), []
        fixed = self.graph, self.n_users, gamma, self.weights, self.kernel.State.of(labels, self.volumes.copy(), self.graph[0])
        for n_swept, order in enumerate(self.orders, 1):
            self.kernel.sweep(order, *fixed)
            sizes.append(tuple(int(np.count_nonzero(self._taken(part))) for part in np.split(labels, [self.n_users])))
            if on_sweep is not None:
                on_sweep(n_swept, labels.astype(np.int32))
        second = np.full(self.n_users, -1, np.int32)
        if self.settings["scu"]:
            self.kernel.second_labels(*fixed, self._taken(labels[: self.n_users]), second)
        known = {"labels": labels.view(np.int32), "sweeps": tuple(sizes)}
        return found_by(self._codebooks(labels, second), "baco", self.data, {"gamma": gamma} | self.settings, watch, **known)

    def _taken(self, labels: np.ndarray) -> np.ndarray:
        taken = np.zeros(self.n, bool)
        taken[labels] = True
        return taken

    def _codebooks(self, labels: np.ndarray, second: np.ndarray) -> Sharing:
        """Labels of each side, renumbered in rising order, are its rows."""
        users, items = np.split(labels.astype(np.int64), [self.n_users])
        user_row, item_row = (np.cumsum(self._taken(part)) - 1 for part in (users, items))
        rows = np.full((users.size, 2), -1)
        rows[:, 0] = user_row[users]
        has = second >= 0
        rows[has, 1] = user_row[second[has]]
        return Sharing(rows, item_row[items], *(int(np.count_nonzero(self._taken(part))) for part in (users, items)))


# ---- checks ---------------------------------------------------------------------------------------------------------------


def _normalised(degree: np.ndarray, scheme: str) -> np.ndarray:
    value = {"degree": lambda d: d, "uniform": np.ones_like, "sqrt": np.sqrt, "log": np.log1p}[scheme](degree)
    total = value.sum()
    return value / math.sqrt(total) if total > 0 else value


def _weights(data: Interactions, weights: np.ndarray) -> np.ndarray:
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if weights.shape != (data.n_nodes,) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ConfigError(f"weights have shape {weights.shape}; give {data.n_nodes} finite numbers ≥ 0, users first (node_weights does)")
    return weights

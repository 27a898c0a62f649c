"""Labels spread along interactions as a way to share rows: plain label propagation, EBMD and BiMLPA.

Each side of a label is a row of that side's codebook. A node without train interactions has a row to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from recq_lib.baselines.sharing.communities import free_size
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import exactly_one, number, whole
from recq_lib.io.memory import check_memory
from recq_lib.kernels import label_lists
from recq_lib.kernels import label_propagation as kernel
from recq_lib.kernels.two_way import both_ways, unsigned
from recq_lib.parts.building import sharing_method
from recq_lib.sharing.grouping import SEED, OutOfReach, Stopwatch, degrees, found_by, sharing_of
from recq_lib.sharing.louvain import CLUSTER_OPTIONS, at_size
from recq_lib.sharing.sharing import Sharing

SWEEPS = 5
_EVALUATIONS = 25


# ---- plain label propagation -------------------------------------------------------------------------------------------------


def label_propagation(
    data: Interactions, rows: int | None = None, *, alpha: float | None = None, sweeps: int = SWEEPS, seed: int = SEED
) -> Sharing:
    """LP (Raghavan et al., 2007): nodes in random order take the most frequent label of their neighbours, `sweeps` times.

    A node takes part in a sweep with probability `alpha`; it is given, or found by bisection so that both sides
    together have `rows` rows (closest found; 0.53 for 8,267 rows on Beauty). Orders and draws are those of the official
    code at one `seed`; of equal labels the one that first appears last in the row wins, as in BACO's solver. Raises
    `ConfigError` for settings out of range and for a budget out of reach.
    """
    exactly_one(rows=rows, alpha=alpha)
    watch, spread = Stopwatch(), _Spread(data, whole("sweeps", sweeps, 1), whole("seed", seed, 0))
    if alpha is None:
        alpha = _search_alpha(spread, whole("rows", rows, 1), data)
    sharing = spread(number("alpha", alpha, 0, 1))
    settings = {"rows": rows, "alpha": float(alpha), "sweeps": sweeps, "seed": seed}
    return found_by(sharing, "label_propagation", data, settings, watch, tried=tuple(spread.tried) if rows is not None else ())


class _Spread:
    """Label propagation for many α on one dataset, with the same orders and draws: rows then fall with α almost without noise."""

    def __init__(self, data: Interactions, sweeps: int, seed: int) -> None:
        degrees(data)
        self.n, self.n_users, self.graph = data.n_nodes, data.n_users, unsigned(both_ways(data.train))
        check_memory(f"visiting {self.n:,} nodes in {sweeps:,} orders", 12 * sweeps * self.n, "give fewer sweeps")
        rng = np.random.default_rng(seed)
        self.draws = [(rng.permutation(self.n).astype(np.uint32), rng.random(self.n)) for _ in range(sweeps)]
        self.tried: list[tuple[float, int]] = []

    def __call__(self, alpha: float) -> Sharing:
        labels, weights = np.arange(self.n, dtype=np.uint32), np.zeros(self.n)
        state = kernel.State.of(labels, np.zeros((2, self.n, 2)), self.graph[0])
        for order, draw in self.draws:
            kernel.sweep(order[draw < alpha], self.graph, self.n_users, 0.0, weights, state)
        sharing = sharing_of(*np.split(labels, [self.n_users]))
        self.tried.append((alpha, sharing.n_rows))
        return sharing


def _search_alpha(spread: _Spread, rows: int, data: Interactions) -> float:
    """α whose rows are closest to `rows`."""
    fewest = spread(1.0).n_rows
    if not fewest <= rows <= data.n_nodes:
        how, others = f"{len(spread.draws)} sweeps of label propagation", ", or other sweeps (fewer give more)"
        raise OutOfReach(f"a budget of {rows:,} rows", data.name, fewest, data.n_nodes, data.n_nodes, how, others, unit="rows")
    low, high = 0.0, 1.0
    while len(spread.tried) < _EVALUATIONS and spread.tried[-1][1] != rows:
        middle = (low + high) / 2
        low, high = (middle, high) if spread(middle).n_rows > rows else (low, middle)
    return min(spread.tried, key=lambda pair: abs(pair[1] - rows))[0]


# ---- EBMD --------------------------------------------------------------------------------------------------------------------


def ebmd(
    data: Interactions, rows: int | None = None, *, sweeps: int | None = None, resolution: float = 1.0, seed: int = SEED, limit: int = 100
) -> Sharing:
    """EBMD: label propagation whose score is the density of a label beyond that of the whole graph (`label_lists.density_sweep`).

    The number of sweeps is given, or the one whose rows are closest to `rows`, at most `limit` (`tried`: (sweeps,
    rows)). Rows hardly depend on `resolution`. As BACO's solver it keeps the degree of a label's first owner in both
    volumes.

    Source: official BACO code, a re-implementation by its authors. Raises `ConfigError` for settings out of range and
    for a budget that is not reached within the limit.
    """
    exactly_one(rows=rows, sweeps=sweeps)
    watch, resolution, seed = Stopwatch(), number("resolution", resolution, 0), whole("seed", seed, 0)
    degree = np.concatenate(degrees(data)).astype(np.float64)
    n, graph = data.n_nodes, unsigned(both_ways(data.train))
    target = whole("rows", rows, 1, n) if rows is not None else 0
    most = whole("limit", limit, 1) if rows is not None else whole("sweeps", sweeps, 1)
    state = label_lists.Densities.of(degree)
    rng, tried, best, moved = np.random.default_rng(seed), [], None, 1
    while len(tried) < most and moved:
        order = rng.permutation(n)
        moved = label_lists.density_sweep(order, graph, data.n_users, resolution, degree, state)
        sharing = sharing_of(*np.split(state.labels, [data.n_users]))
        tried.append((len(tried) + 1, sharing.n_rows))
        if best is None or rows is None or abs(sharing.n_rows - target) < abs(best[1].n_rows - target):
            best = tried[-1][0], sharing
        if rows is not None and sharing.n_rows <= target:
            break
    if rows is not None and tried[-1][1] > target:
        end = "" if moved else ", when nothing changes any more"
        how, sizes = f"1 to {len(tried)} sweeps of EBMD{end}", [size for _, size in tried]
        others = ", or a higher limit of sweeps" if moved else ""
        raise OutOfReach(f"a budget of {target:,} rows", data.name, min(sizes), max(sizes), n, how, others, unit="rows")
    settings = {"rows": rows, "sweeps": best[0], "resolution": resolution, "seed": seed}
    return found_by(best[1], "ebmd", data, settings, watch, tried=tuple(tried) if rows is not None else ())


# ---- BiMLPA ------------------------------------------------------------------------------------------------------------------


def bimlpa(data: Interactions, *, seed: int = SEED, theta: float = 0.3, lambda_: int = 7, iterations: int = 100) -> Sharing:
    """BiMLPA (Taguchi et al., NetSci-X 2020), variant "SqrtDeg": sides take turns in passing lists of weighted labels.

    Every node of the larger side starts with a label of its own. A node passes on its `lambda_` heaviest labels with
    weights over √degree; a receiver sums them, drops those below `theta` times the heaviest and scales the rest to sum
    1. When no set of labels changes any more (or after `iterations`) the larger side takes one label each, ties drawn,
    until that is stable too (or after `iterations`). Nodes with equal sets of labels share a row. The number of rows
    follows from the graph, it cannot be set.

    Ours: labels are numbered in an order drawn from `seed`, and of equal weights in a list the lower number is passed
    on.
    """
    seed, theta, most = whole("seed", seed, 0), number("theta", theta, 0, 1), whole("lambda_", lambda_, 1)
    watch, iterations, rng = Stopwatch(), whole("iterations", iterations, 1), np.random.default_rng(seed)
    user_degree, item_degree = degrees(data)
    matrices = [data.train, data.train.T.tocsr()]
    larger = 0 if np.count_nonzero(user_degree) >= np.count_nonzero(item_degree) else 1
    one, many = (_Lists(matrices[side], (user_degree, item_degree)[side], most) for side in (larger, 1 - larger))
    n_labels = one.degree.size
    one.start_with(rng.permutation(n_labels))
    scratch = np.zeros(n_labels), np.empty(n_labels, np.int64)
    rounds = []
    for single in (False, True):
        rounds.append(0)
        while rounds[-1] < iterations:
            rounds[-1] += 1
            draws = rng.random(n_labels) if single else np.empty(0)
            stable = many.receive(one, theta, np.empty(0), scratch), one.receive(many, theta, draws, scratch)
            if all(stable):
                break
    sides = [part.groups() for part in (one, many)]
    sharing = sharing_of(*(sides if larger == 0 else sides[::-1]))
    settings = {"seed": seed, "theta": theta, "lambda_": most, "rounds_of_lists": rounds[0], "rounds_of_labels": rounds[1]}
    return found_by(sharing, "bimlpa", data, settings, watch)


class _Lists:
    """Weighted labels of the nodes of one side, with room for as many as its neighbours can pass on."""

    def __init__(self, matrix, degree: np.ndarray, most: int) -> None:
        self.graph, self.degree = (matrix.indptr, matrix.indices), degree
        self.held, self.passed = label_lists.Lists.of(degree, most), label_lists.Passed.of(degree.size, most)

    def start_with(self, labels: np.ndarray) -> None:
        """One label for every node that has a neighbour."""
        held = self.held
        held.labels[held.starts], held.weights[held.starts], held.sizes[:] = labels, 1.0, self.degree > 0

    def receive(self, other: _Lists, theta: float, draws: np.ndarray, scratch: tuple[np.ndarray, np.ndarray]) -> bool:
        label_lists.heaviest(other.held, other.degree, other.passed)
        return label_lists.receive(self.graph, other.passed, theta, draws, self.held, *scratch)

    def groups(self) -> np.ndarray:
        """[n] int64: equal numbers for equal sets of labels, -1 for none."""
        numbers: dict[bytes, int] = {}
        starts, sizes, labels, _ = self.held
        out = np.full(sizes.size, -1, np.int64)
        for node in np.flatnonzero(sizes):
            held = labels[starts[node] : starts[node] + sizes[node]].tobytes()
            out[node] = numbers.setdefault(held, len(numbers))
        return out


# ---- entries ----------------------------------------------------------------------------------------------------------------

def total_size(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """Methods that meet a number of rows of both sides together."""
    return at_size(lambda *rows: function(data, rows=sum(rows), seed=config.options["cluster_seed"]), data, config)


METHODS = (
    sharing_method("lp", "LP", partial(total_size, label_propagation), CLUSTER_OPTIONS, marker="P"),
    sharing_method("ebmd", "EBMD", partial(total_size, ebmd), CLUSTER_OPTIONS, marker="X"),
    sharing_method("bimlpa", "BiMLPA", partial(free_size, bimlpa), {"cluster_seed": CLUSTER_OPTIONS["cluster_seed"]}, marker="H"),
)

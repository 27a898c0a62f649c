"""Community detection as a way to share rows: GraphHash (Louvain), DoubleGraphHash, Leiden, infomap and BRIM.

Communities hold users and items together; each side of a community is a row of that side's codebook. A node without train
interactions has a row to itself. Those that spread labels are in `propagated.py`, those from co-clustering in `coclustering.py`.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import scipy.sparse as sp

from recq_lib.baselines.sharing.hashing import universal_hash
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import number, whole
from recq_lib.io.optional import optional
from recq_lib.parts.building import sharing_method
from recq_lib.sharing.grouping import SEED, Stopwatch, degrees, found_by, sharing_of
from recq_lib.sharing.louvain import CLUSTER_OPTIONS, RESOLUTION, SIZE_OPTIONS, at_size, louvain
from recq_lib.sharing.sharing import Sharing

# ---- modularity by moving and merging ----------------------------------------------------------------------------------------


def leiden(data: Interactions, resolution: float = 201.0, *, seed: int = 1) -> Sharing:
    """Leiden (Traag et al., 2019): Louvain with communities refined before they are merged; otherwise as `louvain`.

    The paper's resolutions are 201 (Beauty), 197 (Gowalla), 198 (Yelp2018, Amazon-Book). scikit-network refines with C's `rand`,
    which its `random_state` does not reach, so `seed` ≥ 1 goes to `srand`; an unseeded process has 1, hence the official code. The
    draws are those of the platform's C library: equal seeds agree on one platform only, and not while another thread calls `rand`.
    Beauty with glibc and seed 1: 4,155 + 4,113 rows.
    """
    from sknetwork.clustering import Leiden

    resolution, seed, watch, _ = number("resolution", resolution, 0), whole("seed", seed, 1, 2**32 - 1), Stopwatch(), degrees(data)
    found = Leiden(resolution=resolution, modularity="dugue", shuffle_nodes=False, tol_optimization=1e-3, tol_aggregation=1e-3)
    ctypes.CDLL("ucrtbase" if os.name == "nt" else None).srand(ctypes.c_uint(seed))
    found.fit(data.train, force_bipartite=True)
    sharing = sharing_of(found.labels_row_, found.labels_col_)
    return found_by(sharing, "leiden", data, {"resolution": resolution, "seed": seed}, watch)


def double_graph_hash(data: Interactions, resolution: float = RESOLUTION, *, seed: int = SEED) -> Sharing:
    """DoubleGraphHash (Wu et al., 2024): a node's vector is the sum of its community's row and of one its id is hashed to.

    Both are rows of one codebook per side, of the size that `louvain` gives, so it has one more index per node than `louvain`
    (BACO's code counts it as a parameter). The hash is `hashing.universal_hash`, drawn from `seed` for each side.
    """
    watch, seed = Stopwatch(), whole("seed", seed, 0)
    first, rng = louvain(data, resolution), np.random.default_rng(seed)
    users, items = (
        np.column_stack([universal_hash(np.arange(rows.shape[0]), n_rows, rng), rows[:, 0]])
        for rows, n_rows in ((first.users, first.n_user_rows), (first.items, first.n_item_rows))
    )
    sharing = Sharing(users, items, first.n_user_rows, first.n_item_rows, "sum")
    return found_by(sharing, "double_graph_hash", data, {"resolution": float(resolution), "seed": seed}, watch)


# ---- random walks ------------------------------------------------------------------------------------------------------------


def infomap(data: Interactions, *, seed: int = SEED, trials: int = 1) -> Sharing:
    """infomap (Rosvall & Bergstrom, 2008): communities that shorten the description of a random walk.

    The package `infomap` on the bipartite network, two levels; the best of `trials`. The number of communities follows from the
    graph, it cannot be set. Raises `ConfigError` if the package is missing.
    """
    package = optional("infomap", "baselines", "infomap")
    seed, trials, watch, _ = whole("seed", seed, 1, 2**31 - 1), whole("trials", trials, 1), Stopwatch(), degrees(data)
    network = package.Infomap(seed=seed, num_trials=trials, two_level=True, silent=True)
    network.bipartite_start_id = data.n_users
    users, items = data.pairs("train")
    network.add_links(np.column_stack([users, items.astype(np.int64) + data.n_users]))
    modules = network.run().modules()
    labels = np.full(data.n_nodes, -1, np.int64)
    labels[np.fromiter(modules.keys(), np.int64, len(modules))] = np.fromiter(modules.values(), np.int64, len(modules))
    sharing = sharing_of(*np.split(labels, [data.n_users]))
    return found_by(sharing, "infomap", data, {"seed": seed, "trials": trials}, watch)


# ---- modularity by alternating assignments -----------------------------------------------------------------------------------


def brim(data: Interactions, *, seed: int = SEED, resolution: float = 1.0, tolerance: float = 1e-4, iterations: int = 1000) -> Sharing:
    """BRIM (Barber, 2007): users take the best community given the items', then items given the users', and so on.

        Q = 1/|E| Σ_uv B̃_uv·[l_u = l_v],   B̃ = B - d_u d_vᵀ/|E|

    It starts from Louvain communities at `resolution` (nodes visited in an order drawn from `seed`) and ends when Q gains no more than
    `tolerance`; communities may die out, none is born. `objective` is Q at the start and after each round. B̃ is never formed:
    a community without neighbours only costs d_u·D_k/|E|, so the cheapest of all is the only other candidate. Of equal communities
    the present one wins, then the lower number. The start is ours; CONDOR takes Louvain communities of the same graph as if it had
    one kind of node. Raises as `louvain`.
    """
    from sknetwork.clustering import Louvain

    seed, resolution, watch = whole("seed", seed, 0), number("resolution", resolution, 0), Stopwatch()
    tolerance, iterations = number("tolerance", tolerance, 0), whole("iterations", iterations, 1)
    user_degree, item_degree = degrees(data)
    start = Louvain(resolution=resolution, modularity="dugue", shuffle_nodes=True, random_state=seed % 2**32)
    start.fit(data.train, force_bipartite=True)
    users, items = start.labels_row_.astype(np.int64), start.labels_col_.astype(np.int64)
    n_labels, backward = int(max(users.max(), items.max())) + 1, data.train.T.tocsr()
    history = [barber_modularity(data, users, items)]
    for _ in range(iterations):
        users = _best_communities(data.train, user_degree, items, item_degree, users, n_labels)
        items = _best_communities(backward, item_degree, users, user_degree, items, n_labels)
        history.append(barber_modularity(data, users, items))
        if history[-1] - history[-2] <= tolerance:
            break
    sharing = sharing_of(np.where(user_degree > 0, users, -1), np.where(item_degree > 0, items, -1))
    settings = {"seed": seed, "resolution": resolution, "tolerance": tolerance, "iterations": len(history) - 1}
    return found_by(sharing, "brim", data, settings, watch, objective=tuple(history))


def barber_modularity(data: Interactions, users: np.ndarray, items: np.ndarray) -> float:
    """Q of `brim` for labels of users [n_users] and items [n_items] (whole numbers ≥ 0), float64."""
    user_degree, item_degree = degrees(data)
    n_labels = int(max(users.max(), items.max())) + 1
    volumes = [np.bincount(labels, degree, n_labels) for labels, degree in ((users, user_degree), (items, item_degree))]
    row, column = data.pairs("train")
    return float(np.mean(users[row] == items[column]) - (volumes[0] / row.size) @ (volumes[1] / row.size))


def _best_communities(
    matrix: sp.csr_matrix, own: np.ndarray, labels: np.ndarray, degree: np.ndarray, present: np.ndarray, n_labels: int
) -> np.ndarray:
    """Best label [n] of every row of `matrix` [n, m], given the labels and degrees [m] of the other side and the rows' degrees `own`."""
    volume = np.bincount(labels, degree, n_labels) / degree.sum()
    membership = sp.csr_matrix((np.ones(labels.size), labels, np.arange(labels.size + 1)), shape=(labels.size, n_labels))
    tally = (matrix.astype(np.float64) @ membership).tocsr()
    row = np.repeat(np.arange(own.size), np.diff(tally.indptr))
    cheapest = np.full(own.size, volume.argmin())
    # the candidates of each row: its neighbours' labels, the cheapest label, the present one
    rows = np.concatenate([row, np.arange(own.size), np.arange(own.size)])
    candidates = np.concatenate([tally.indices, cheapest, present])
    extra = [np.asarray(tally[np.arange(own.size), label]).ravel() for label in (cheapest, present)]
    score = np.concatenate([tally.data, *extra]) - own[rows] * volume[candidates]
    order = np.lexsort((candidates, candidates != present[rows], -score, rows))
    first = np.flatnonzero(np.diff(rows[order], prepend=-1))
    return candidates[order][first].astype(np.int64)


# ---- entries ----------------------------------------------------------------------------------------------------------------

def _resolved(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """Louvain and its relatives: at the paper's resolution, or at one that gives the rows of `ratio`."""
    options = config.options
    if not options["ratio"]:
        return function(data, options["resolution"])
    return at_size(lambda *rows: _at_rows(partial(function, data), sum(rows), data), data, config)


def _at_rows(function: Callable[[float], Sharing], rows: int, data: Interactions, evaluations: int = 14) -> Sharing:
    """Communities at the resolution whose rows are closest to `rows` (within 1 %, or after so many evaluations), by bisection."""
    low, high, best, tried = 1.0, 4.0 * data.n_nodes, None, []  # far above, every node is alone
    for _ in range(evaluations):
        middle = math.sqrt(low * high)
        sharing = function(middle)
        tried.append((middle, sharing.n_rows))
        if best is None or abs(sharing.n_rows - rows) < abs(best.n_rows - rows):
            best = sharing
        if abs(best.n_rows / rows - 1) <= 0.01 + 1e-9:
            break
        low, high = (low, middle) if sharing.n_rows > rows else (middle, high)
    return replace(best, found=replace(best.found, tried=tuple(tried)))


def _double_graph_hash(data: Interactions, config: TrainConfig) -> Sharing:
    return _resolved(partial(double_graph_hash, seed=config.seed + 1), data, config)


def _leiden(data: Interactions, config: TrainConfig) -> Sharing:
    return _resolved(partial(leiden, seed=config.options["cluster_seed"]), data, config)


def free_size(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """Methods whose number of rows follows from the graph."""
    return function(data, seed=config.options["cluster_seed"])


_FREE = {"cluster_seed": CLUSTER_OPTIONS["cluster_seed"]}
_AT_200 = SIZE_OPTIONS | {"resolution": RESOLUTION}
_AT_201 = SIZE_OPTIONS | {"resolution": 201.0, "cluster_seed": 1}
METHODS = (
    sharing_method("graphhash", "GraphHash", partial(_resolved, louvain), _AT_200, marker="s", colour="amber"),
    sharing_method("doublegraphhash", "DoubleGraphHash", _double_graph_hash, _AT_200, marker="p", colour="amber"),
    sharing_method("leiden", "Leiden", _leiden, _AT_201, marker="D", colour="brown"),
    sharing_method("infomap", "infomap", partial(free_size, infomap), _FREE, marker="d"),
    sharing_method("brim", "BRIM", partial(free_size, brim), _FREE, marker="h"),
)

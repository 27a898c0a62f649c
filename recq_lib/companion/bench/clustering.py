"""Co-clustering in `python -m recq_lib bench`: BACO beside Louvain and Leiden at equal size, and time and memory as the graph grows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import scipy.sparse as sp

from recq_lib.baselines.sharing.communities import RESOLUTION, leiden, louvain
from recq_lib.companion.bench.timing import table, take_turns
from recq_lib.data.interactions import Interactions
from recq_lib.papers.baco.clustering import cluster
from recq_lib.papers.baco.gamma_search import search_gamma

GROWTH_EDGES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 50_000_000)
_USER_DEGREE, _ITEM_DEGREE = 25, 50


def clustering(data: Interactions, repeats: int, resolution: float = RESOLUTION) -> list[dict[str, Any]]:
    """BACO with secondary user clusters beside scikit-network's Louvain and Leiden; γ is sought beforehand for Louvain's size.

    BACO's time includes weights, visiting orders and the adjacency in both directions; Louvain's and Leiden's include their graph.
    """
    rows = louvain(data, resolution).n_rows
    gamma = search_gamma(data, budget_parameters=64 * rows).found.gamma
    calls = {
        "recq": lambda: cluster(data, gamma),
        "scikit-network Louvain": lambda: louvain(data, resolution),
        "scikit-network Leiden": lambda: leiden(data, resolution),
    }
    return table("clustering", take_turns(calls, repeats))


def growing(edges: int, seed: int = 0) -> Interactions:
    """A graph of nearly `edges` training pairs: users with 25 draws, items drawn with a long tail, 50 on average (repeats left out)."""
    rng = np.random.default_rng(seed)
    n_users, n_items = max(edges // _USER_DEGREE, 1), max(edges // _ITEM_DEGREE, 2)
    drawn = (n_items * rng.random((n_users, _USER_DEGREE), np.float32) ** 2).astype(np.int32)
    drawn.sort(axis=1)
    new = np.ones(drawn.shape, bool)
    np.not_equal(drawn[:, 1:], drawn[:, :-1], out=new[:, 1:])
    indptr = np.concatenate([[0], np.cumsum(new.sum(axis=1))])
    indices = np.minimum(drawn[new], n_items - 1)
    train = sp.csr_matrix((np.ones(indices.size, np.float32), indices, indptr), shape=(n_users, n_items))
    empty = sp.csr_matrix(train.shape, dtype=np.float32)
    return Interactions(f"growing-{edges}", train, empty, empty.copy(), source="synthetic")


_ONE_SIZE = """
import json, sys, time
from recq_lib.runs import provenance
from recq_lib.companion.bench.clustering import growing
from recq_lib.papers.baco.clustering import Solver, cluster
cluster(growing(1_000), 1.0)
data = growing(int(sys.argv[1]))
loaded, start = provenance.peak_memory_mb(), time.perf_counter()
solver, sweeps = Solver(data), []
def swept(number, labels):
    sweeps.append(time.perf_counter())
users, items = solver.weights[: data.n_users].mean(), solver.weights[data.n_users :].mean()
built = time.perf_counter()
solver.solve(1 / (16 * users * items), swept)
end = time.perf_counter()
print(json.dumps({"edges": data.n_train, "nodes": data.n_nodes, "seconds": end - start, "sweep": (sweeps[-1] - built) / len(sweeps),
                  "loaded_mb": loaded, "peak_mb": provenance.peak_memory_mb()}))
"""


def growth(data: Interactions, repeats: int, edges: tuple[int, ...] = GROWTH_EDGES) -> list[dict[str, Any]]:
    """Five sweeps and secondary clusters on graphs of fixed mean degrees, each size in a fresh process; `sweep` is the mean of five.

    γ makes an average node of the other side cost a 16th of what a neighbour brings, at every size.
    """
    rows = []
    for size in edges:
        command = [sys.executable, "-W", "ignore", "-c", _ONE_SIZE, str(size)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        rows.append({"part": "clustering growth", "contender": "recq"} | found)
    return rows

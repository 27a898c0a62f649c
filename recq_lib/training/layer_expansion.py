"""What `bpr_step` keeps as rows of layer 1, and what it expands (multiplies out) in advance, to do fewest additions in a step.

What is expanded is (I + Â)·M, the sum of layers 1 and 2 as a map of the parameters.
Layer 1 is M·E, with M = ÂS for shared rows and Â for a full table. A batch reads it at its own nodes and, for layer 2,
at their neighbours: most of the graph, but nearly every node once. Writing such a row down and reading it again costs
more than the few additions that it is made of. So a node that few rows of a batch meet is multiplied out, once and in
advance, and only nodes that many meet are kept as rows of layer 1. Exact; sums are in another order. Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recq_lib.kernels.bpr import Csr

# what a kept node costs beside its additions, in additions of a row of 64 (measured on Beauty, see
# benchmarks/README.md)
_PER_NODE, _PER_EDGE = 4.0, 3.0
_ROOM = 8  # entries of `far` for every entry of I + Â, at most: large graphs would ask for the square of theirs


@dataclass(frozen=True)
class Expansion:
    """(I + Â)·M = near·kept + far.

    near [n, H] : edges (and the node itself) to the H kept nodes
    kept [H, K] : their rows of M
    far [n, K] : all else
    """

    near: Csr
    kept: Csr
    far: Csr

    def astype(self, dtype: np.dtype) -> Expansion:
        """The same with values of another type."""
        return Expansion(*((indptr, indices, values.astype(dtype)) for indptr, indices, values in (self.near, self.kept, self.far)))


def expand(adjacency: sp.csr_matrix, merged: sp.csr_matrix, read: np.ndarray) -> Expansion:
    """`adjacency` Â [n, n], `merged` M [n, K]; `read` [n]: the probability that a batch holds a node."""
    n = adjacency.shape[0]
    reach = (adjacency + sp.identity(n, adjacency.dtype, format="csr")).tocsr()
    keep = ~worth_expanding(reach, np.diff(merged.indptr), read)
    expanded = reach @ sp.diags_array((~keep).astype(reach.dtype)).tocsr()
    expanded.eliminate_zeros()
    return Expansion(*(parts(m, merged.dtype) for m in (reach[:, keep], merged[keep], expanded @ merged)))


def worth_expanding(reach: sp.csr_matrix, terms: np.ndarray, read: np.ndarray) -> np.ndarray:
    """bool [n]: is a node cheaper multiplied out? `terms` [n] are the entries of its row of M.

    Where room for all such nodes is lacking, those that save most for their room.
    """
    met = (reach != 0).astype(np.float64) @ read  # rows of a batch that read it, on average
    used = -np.expm1(-met)  # the probability of one at least, were they independent
    saved = used * (terms + _PER_NODE) + _PER_EDGE * met - met * terms
    room = np.diff(reach.indptr) * terms
    first = np.argsort(-saved / np.maximum(room, 1), kind="stable")
    fits = np.empty(terms.size, bool)
    fits[first] = np.cumsum(room[first]) <= _ROOM * reach.nnz
    return fits & (saved >= 0)


def read_probability(degree: np.ndarray, n_users: int, batch_size: int) -> np.ndarray:
    """[n] for `batch_size` triples: users and positives by interactions, negatives uniform."""
    n_interactions, n_items = degree[:n_users].sum(), degree.size - n_users
    unread = (1 - degree / n_interactions) ** batch_size
    unread[n_users:] *= (1 - 1 / n_items) ** batch_size
    return 1 - unread


def parts(matrix: sp.csr_matrix, dtype: np.dtype) -> Csr:
    """Arrays of a CSR matrix, as the kernels take them."""
    matrix = matrix.tocsr()
    return matrix.indptr, matrix.indices, matrix.data.astype(dtype, copy=False)

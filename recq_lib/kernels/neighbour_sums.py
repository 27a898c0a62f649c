"""Sums over neighbours of a few numbers per node: the adjacency without weights, for one query or several at once (ours).

Â = D^-1/2 A D^-1/2, so its product needs no value per edge: scale, sum, scale. `propagation.product` is for tables of many columns and has
values; this is for a search that propagates while it answers, where a value per edge would double the memory of the graph.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from recq_lib.kernels.compiled import compiled
from recq_lib.kernels.propagation import Both


def neighbour_sums(indptr: np.ndarray, indices: np.ndarray, chunks: np.ndarray, x: np.ndarray, out: np.ndarray) -> None:
    """`out[i] = Σ_e x[indices[e]]` over the entries e of row i, for the rows in `chunks`.

    Parameters
    ----------
    indptr [n + 1], indices : CSR without values
    chunks : rising row borders, those of the rows that are wanted, such as `propagation.balanced_chunks` gives
    x [m, c], out [n, c] : float32, contiguous; other rows of `out` stay as they are

    A row is summed by one thread in a fixed order.
    """
    entries = int(indptr[chunks[-1]]) - int(indptr[chunks[0]])
    if x.shape[1] == 1:
        _single(indptr, indices, chunks, x.reshape(-1), out.reshape(-1), entries=entries)
    else:
        _several(indptr, indices, chunks, x, out, entries=entries)


@Both
def _single(indptr, indices, chunks, x, out):
    for c in prange(chunks.size - 1):
        for i in range(chunks[c], chunks[c + 1]):
            out[i] = _sum(x, indices, indptr[i], indptr[i + 1])


@njit(inline="always")
def _sum(x, indices, begin, end):
    a = b = c = d = np.float32(0)
    e = begin
    while e + 4 <= end:  # four chains: an addition need not wait for the one before
        a += x[indices[e]]
        b += x[indices[e + 1]]
        c += x[indices[e + 2]]
        d += x[indices[e + 3]]
        e += 4
    while e < end:
        a += x[indices[e]]
        e += 1
    return (a + b) + (c + d)


@Both
def _several(indptr, indices, chunks, x, out):
    for c in prange(chunks.size - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            row[:] = 0
            e, end = indptr[i], indptr[i + 1]
            while e + 4 <= end:
                p, q, r, s = x[indices[e]], x[indices[e + 1]], x[indices[e + 2]], x[indices[e + 3]]
                for k in range(row.size):
                    row[k] += (p[k] + q[k]) + (r[k] + s[k])
                e += 4
            while e < end:
                p = x[indices[e]]
                for k in range(row.size):
                    row[k] += p[k]
                e += 1


@compiled()
def spread_unit(indptr, indices, scale, nodes, once, twice):
    """Column b of `once` and `twice` [n, B], which are zero, becomes Â·δ and Â²·δ of the node `nodes[b]`; `scale` [n] is D^-1/2.

    It costs the neighbours of the node's neighbours, for most nodes a small part of the graph. With `twice` of no rows, Â·δ alone.
    """
    for b in range(nodes.size):
        node = nodes[b]
        for e in range(indptr[node], indptr[node + 1]):
            near = indices[e]
            weight = scale[node] * scale[near]
            once[near, b] = weight
            if twice.shape[0] > 0:
                for f in range(indptr[near], indptr[near + 1]):
                    twice[indices[f], b] += weight * scale[near] * scale[indices[f]]

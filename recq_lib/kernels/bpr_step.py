"""What `recq_lib.bpr_step` computes between a batch of triples and its gradient, beside the products of `kernels.propagation`."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange

from recq_lib.kernels.accumulate import REGISTER_BYTES, add_columns, add_neighbours, spread_columns
from recq_lib.kernels.propagation import Both

_FLAGS = {"reassoc", "contract", "nsz"}


@Both
def _pool(indices, values, indptr, share_indices, share_values, share_indptr, rows, below, parameters, scale, start, out):
    for r in prange(rows.shape[0]):
        i, row = rows[r], start[r]
        row[:] = 0
        add_neighbours(parameters, share_indices, share_values, share_indptr[i], share_indptr[i + 1], row)
        total = out[r]
        total[:] = row
        for k in range(total.shape[0]):
            total[k] += below[i, k]
        add_neighbours(below, indices, values, indptr[r], indptr[r + 1], total)
        for k in range(total.shape[0]):
            total[k] *= scale


def pool(taken, shares, rows, below, parameters, start, out) -> None:
    """Of two layers: layer 0 at `rows` into `start` [R, d], the mean of layers 0, 1 and 2 into `out` [R, d].

    `taken` are the graph's rows (`propagation.take`), `shares` [n, K] make layer 0 of `parameters`, `below` [n, d] is layer 1.
    """
    (indptr, indices, values), (share_indptr, share_indices, share_values) = taken, shares
    scale = out.dtype.type(1 / 3)
    _pool(indices, values, indptr, share_indices, share_values, share_indptr, rows, below, parameters, scale, start, out)


@njit(cache=True, nogil=True, fastmath=_FLAGS)
def loss(z, users, positives, negatives, gradient) -> float:
    """Sum over triples of softplus(y⁻ - y⁺), and the gradient of their mean with respect to `z` [R, d]; users … are places in `z`."""
    gradient[:] = 0
    n, d, total = users.shape[0], z.shape[1], 0.0
    for t in range(n):
        u, p, q = users[t], positives[t], negatives[t]
        positive, negative = z.dtype.type(0), z.dtype.type(0)
        for k in range(d):
            positive += z[u, k] * z[p, k]
            negative += z[u, k] * z[q, k]
        x = float(negative - positive)
        small = math.exp(-abs(x))
        total += max(x, 0.0) + math.log1p(small)
        slope = z.dtype.type((1.0 if x >= 0 else small) / (1.0 + small) / n)  # σ(x) / n
        for k in range(d):
            a = slope * z[u, k]
            gradient[u, k] += slope * (z[q, k] - z[p, k])
            gradient[p, k] -= a
            gradient[q, k] += a
    return total


@njit(cache=True, nogil=True, fastmath=_FLAGS)
def add_l2(start, users, positives, negatives, factor, gradient) -> float:
    """½·Σ‖e‖² over the layer-0 rows `start` [R, d] of all triples, repeats counted; adds `factor` times its gradient."""
    total = 0.0
    for ends in (users, positives, negatives):
        for t in range(ends.shape[0]):
            r, part = ends[t], start.dtype.type(0)
            for k in range(start.shape[1]):
                part += start[r, k] * start[r, k]
                gradient[r, k] += factor * start[r, k]
            total += 0.5 * float(part)
    return total


@Both
def _backward(indices, merged, met, shares, slot, rows, upper, own, width, out):
    indptr, _, values = merged
    met_indptr, met_indices, met_values = met
    share_indptr, share_indices, share_values = shares
    for b in prange(out.shape[1] // width):
        start, stop = b * width, (b + 1) * width
        above = np.empty(out.shape[1], out.dtype)
        for k in range(out.shape[0]):
            out[k, start:stop] = 0
        for i in range(slot.shape[0]):
            begin, end = met_indptr[i], met_indptr[i + 1]
            if slot[i] < 0 and begin == end:
                continue
            if slot[i] >= 0:
                above[start:stop] = upper[slot[i], start:stop]
            else:
                above[start:stop] = 0
            add_columns(upper, met_indices, met_values, begin, end, above, start, stop)
            spread_columns(above, indices, values, indptr[i], indptr[i + 1], out, start, stop)
        for r in range(rows.shape[0]):
            i = rows[r]
            spread_columns(own[r], share_indices, share_values, share_indptr[i], share_indptr[i + 1], out, start, stop)


def backward(merged, met, shares, slot, rows, upper, own, out, threads: int = 1) -> None:
    """The gradient with respect to the parameters [K, d].

    `upper` [R, d] is that of layers 1 and 2 at the batch's rows, `own` that of layer 0. The gradient at layer 1, which is `upper` and what
    the edges `met` bring from layer 2, is made row by row and handed on at once. Threads share the columns: one order of sums.
    """
    d, lanes = out.shape[1], REGISTER_BYTES // out.itemsize
    width = d
    while threads > d // width and width % (2 * lanes) == 0:
        width //= 2
    _backward(merged[1], merged, met, shares, slot, rows, upper, own, width, out)

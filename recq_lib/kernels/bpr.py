"""What `recq_lib.training.bpr_step` computes between a batch of triples and its gradient, beside the products of `kernels.propagation`."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from recq_lib.kernels.accumulate import REGISTER_BYTES, add_columns, add_neighbours, ask_for_row, spread_columns
from recq_lib.kernels.compiled import compiled
from recq_lib.kernels.propagation import Both

_ROWS_AHEAD = 2  # rows whose entries are asked for ahead of their use
_FLAGS = {"reassoc", "contract", "nsz"}

Csr = tuple[np.ndarray, np.ndarray, np.ndarray]  # indptr, indices, values


@Both
def _pool(far, taken, shares, below, rows, parameters, start, out):
    indptr, indices, values = far
    near_indptr, near_indices, near_values = taken
    share_indptr, share_indices, share_values = shares
    scale = out.dtype.type(1 / 3)
    for r in prange(rows.shape[0]):
        i, row = rows[r], start[r]
        later = rows[min(r + _ROWS_AHEAD, rows.shape[0] - 1)]
        ask_for_row(indices, values, indptr[later], indptr[later + 1])
        row[:] = 0
        add_neighbours(parameters, share_indices, share_values, share_indptr[i], share_indptr[i + 1], row)
        total = out[r]
        total[:] = row
        add_neighbours(parameters, indices, values, indptr[i], indptr[i + 1], total)
        add_neighbours(below, near_indices, near_values, near_indptr[r], near_indptr[r + 1], total)
        for k in range(total.shape[0]):
            total[k] *= scale


def pool(
    taken: Csr, below: np.ndarray, far: Csr, shares: Csr, rows: np.ndarray, parameters: np.ndarray, start: np.ndarray, out: np.ndarray
) -> None:
    """Of two layers: layer 0 at `rows` into `start` [R, d], the mean of layers 0, 1 and 2 into `out` [R, d].

    `shares` [n, K] make layer 0 of `parameters`; `far` [n, K] and `taken` [R, H] make the sum of layers 1 and 2, of
    `parameters` and of the kept rows `below` [H, d] of layer 1 (`recq_lib.training.layer_expansion`).
    """
    entries = _entries(far, rows) + taken[1].size
    _pool(far, taken, shares, below, rows, parameters, start, out, entries=entries)


@compiled(fastmath=_FLAGS)
def loss(z: np.ndarray, users: np.ndarray, positives: np.ndarray, negatives: np.ndarray, gradient: np.ndarray) -> float:
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


@compiled(fastmath=_FLAGS)
def add_l2(
    start: np.ndarray, users: np.ndarray, positives: np.ndarray, negatives: np.ndarray, factor: float, gradient: np.ndarray
) -> float:
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
def _backward(far, met, kept, shares, rows, gradients, width, out):
    indptr, indices, values = far
    met_indptr, met_indices, met_values = met
    kept_indptr, kept_indices, kept_values = kept
    share_indptr, share_indices, share_values = shares
    upper, own = gradients
    for b in prange(out.shape[1] // width):
        start, stop = b * width, (b + 1) * width
        above = np.empty(out.shape[1], out.dtype)
        for k in range(out.shape[0]):
            out[k, start:stop] = 0
        for h in range(met_indptr.shape[0] - 1):
            begin, end = met_indptr[h], met_indptr[h + 1]
            if begin == end:
                continue
            above[start:stop] = 0
            add_columns(upper, met_indices, met_values, begin, end, above, start, stop)
            spread_columns(above, kept_indices, kept_values, kept_indptr[h], kept_indptr[h + 1], out, start, stop)
        for r in range(rows.shape[0]):
            i, later = rows[r], rows[min(r + _ROWS_AHEAD, rows.shape[0] - 1)]
            ask_for_row(indices, values, indptr[later], indptr[later + 1])
            spread_columns(upper[r], indices, values, indptr[i], indptr[i + 1], out, start, stop)
            spread_columns(own[r], share_indices, share_values, share_indptr[i], share_indptr[i + 1], out, start, stop)


def backward(
    met: Csr,
    kept: Csr,
    far: Csr,
    shares: Csr,
    rows: np.ndarray,
    gradients: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
    threads: int = 1,
) -> None:
    """The gradient with respect to the parameters [K, d].

    `gradients` are those of layers 1 and 2 at the batch's rows [R, d], and of layer 0 [R, d]. `far` hands the first
    straight to the parameters. At a kept node of layer 1 it is what `met` [H, R] brings from the batch, made row by row
    and handed on at once. Threads share the columns: one order of sums.
    """
    d, lanes = out.shape[1], REGISTER_BYTES // out.itemsize
    width = d
    while threads > d // width and width % (2 * lanes) == 0:
        width //= 2
    entries = _entries(far, rows) + met[1].size + kept[1].size
    _backward(far, met, kept, shares, rows, gradients, width, out, entries=entries)


def _entries(matrix, rows) -> int:
    return int((matrix[0][rows + 1] - matrix[0][rows]).sum())

"""Sparse-times-dense products with a bipartite adjacency, for the CPU.

Three products cover training: all rows (a middle layer), some rows (the last forward layer: only the batch is read) and
all rows from a few non-zero ones (the first backward layer: only the batch has a gradient). Each output row is summed by
one thread in a fixed order, so results do not depend on the number of threads.

Why not `torch.sparse.mm`: it cannot restrict rows, it transposes in backward, and it allocates. The neighbours are taken
four at a time so that an output row is loaded and stored once per four, and four rows are fetched from memory at once.
"""

from __future__ import annotations

from types import FunctionType

import numpy as np
from numba import njit, prange

# reassociation and contraction let LLVM use fused multiply-adds; NaN and infinity keep their meaning
_FLAGS = {"reassoc", "contract", "nsz"}


_SERIAL_WORK = 8_000_000  # multiply-adds (about 1 ms) under which waking other threads can cost more than they bring


class _Both:
    """One function compiled for all threads and for one; both give the same bits, because a row is summed by one thread."""

    def __init__(self, function) -> None:
        options = {"fastmath": _FLAGS, "cache": True, "nogil": True}
        single = FunctionType(function.__code__, function.__globals__, function.__name__)
        single.__qualname__ = f"{function.__name__}_serial"  # numba's disk cache knows functions by this name, not by their options
        self.parallel, self.serial = njit(parallel=True, **options)(function), njit(**options)(single)
        self.__doc__ = function.__doc__

    def __call__(self, indptr, indices, *arguments) -> None:
        small = indices.size * arguments[-1].shape[1] < _SERIAL_WORK
        (self.serial if small else self.parallel)(indptr, indices, *arguments)


@njit(inline="always", fastmath=_FLAGS)
def _add_neighbours(begin, end, indices, values, x, row):
    d = row.shape[0]
    e = begin
    while e + 4 <= end:
        j0, j1, j2, j3 = indices[e], indices[e + 1], indices[e + 2], indices[e + 3]
        v0, v1, v2, v3 = values[e], values[e + 1], values[e + 2], values[e + 3]
        for k in range(d):
            row[k] += v0 * x[j0, k] + v1 * x[j1, k] + (v2 * x[j2, k] + v3 * x[j3, k])
        e += 4
    while e < end:
        j, v = indices[e], values[e]
        for k in range(d):
            row[k] += v * x[j, k]
        e += 1


@_Both
def product(indptr, indices, values, chunks, x, out):
    """`out[i] = Σ_j values[i, j] · x[j]` for every row i. `chunks` holds row borders of about equal work."""
    for c in prange(chunks.shape[0] - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            row[:] = 0
            _add_neighbours(indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_at(indptr, indices, values, rows, x, out):
    """`out[r] = Σ_j values[rows[r], j] · x[j]`: only the rows that are asked for."""
    for r in prange(rows.shape[0]):
        i = rows[r]
        row = out[r]
        row[:] = 0
        _add_neighbours(indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_plus(indptr, indices, values, chunks, x, slot, extra, out):
    """`out[i] = Σ_j values[i, j] · x[j] + extra[slot[i]]` (no extra where `slot[i] < 0`): one Horner step."""
    for c in prange(chunks.shape[0] - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            if slot[i] >= 0:
                row[:] = extra[slot[i]]
            else:
                row[:] = 0
            _add_neighbours(indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_from(indptr, indices, values, chunks, slot, x, extra, out):
    """As `product_plus`, for an input that is zero outside few rows: row j of the input is `x[slot[j]]`, or 0 if `slot[j] < 0`."""
    d = out.shape[1]
    for c in prange(chunks.shape[0] - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            if slot[i] >= 0:
                row[:] = extra[slot[i]]
            else:
                row[:] = 0
            for e in range(indptr[i], indptr[i + 1]):
                s = slot[indices[e]]
                if s >= 0:
                    v = values[e]
                    for k in range(d):
                        row[k] += v * x[s, k]


def balanced_chunks(indptr: np.ndarray, n_chunks: int = 256) -> np.ndarray:
    """Row borders that split edges (plus a constant per row) evenly: long rows sit next to short ones."""
    n = indptr.size - 1
    work = indptr.astype(np.int64) + 4 * np.arange(n + 1)
    targets = np.linspace(0, work[-1], min(n_chunks, max(n, 1)) + 1)
    return np.unique(np.searchsorted(work, targets)).astype(np.int64)

"""Sparse-times-dense products with a bipartite adjacency, for the CPU.

Two products cover training: all rows (a middle layer, or a backward step, which also adds the gradient that enters at
that layer) and some rows (the last forward layers: only what the batch reads). A backward pass starts from a matrix
that is zero outside the batch; `take` lays out the edges that meet it, at the cost of those edges alone. Each output
row is summed by one thread in a fixed order, so results do not depend on the number of threads.

Why not `torch.sparse.mm`: it cannot restrict rows, it transposes in backward, and it allocates.
"""

from __future__ import annotations

from types import FunctionType

import numpy as np
from numba import prange

from recq_lib.kernels.accumulate import REGISTER_BYTES, WIDE, add_neighbours
from recq_lib.kernels.compiled import compiled

_SERIAL_WORK = 8_000_000  # multiply-adds (about 1 ms) under which waking other threads can cost more than they bring
_DENSE_ROWS = 64  # neighbours per node from which a blocked copy of a wide table is worth making
_NO_SLOT, _NO_EXTRA = np.empty(0, np.int32), {dtype: np.empty((0, 0), dtype) for dtype in (np.float32, np.float64)}


class Both:
    """One function compiled for all threads and for one; both give the same bits, because a row is summed by one thread."""

    def __init__(self, function) -> None:
        single = FunctionType(function.__code__, function.__globals__, function.__name__)
        single.__qualname__ = f"{function.__name__}_serial"  # numba's disk cache knows functions by this name, not by their options
        self.parallel, self.serial = compiled(parallel=True)(function), compiled()(single)
        self.__doc__ = function.__doc__

    def __call__(self, *arguments, entries: int) -> None:
        """`entries`: how many entries of sparse matrices are read; the last argument is the output."""
        out = arguments[-1]
        small = entries * (out.shape[1] if out.ndim == 2 else 1) < _SERIAL_WORK
        (self.serial if small else self.parallel)(*arguments)


@Both
def _product(csr, chunks, slot, extra, blocks, out):
    indptr, indices, values = csr
    n_chunks, width = chunks.shape[0] - 1, blocks.shape[2]
    for task in prange(n_chunks * blocks.shape[0]):
        b, c = task // n_chunks, task % n_chunks
        x = blocks[b]
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i, b * width : (b + 1) * width]
            if slot.shape[0] > 0 and slot[i] >= 0:
                row[:] = extra[slot[i], b * width : (b + 1) * width]
            else:
                row[:] = 0
            add_neighbours(x, indices, values, indptr[i], indptr[i + 1], row)


@Both
def _product_at(csr, rows, places, add, blocks, out):
    indptr, indices, values = csr
    n_rows, width = rows.shape[0], blocks.shape[2]
    for task in prange(n_rows * blocks.shape[0]):
        b, r = task // n_rows, task % n_rows
        x, row, i = blocks[b], out[places[r], b * width : (b + 1) * width], rows[r]
        if not add:
            row[:] = 0
        add_neighbours(x, indices, values, indptr[i], indptr[i + 1], row)


@compiled()
def _take(csr, rows, taken, out_indptr):
    indptr, indices, values = csr
    taken_indptr, taken_indices, taken_values = taken
    out_indptr[:] = 0
    p = taken_indptr[0] = 0
    for r in range(rows.shape[0]):
        for e in range(indptr[rows[r]], indptr[rows[r] + 1]):
            taken_indices[p], taken_values[p] = indices[e], values[e]
            out_indptr[indices[e] + 1] += 1
            p += 1
        taken_indptr[r + 1] = p
    for j in range(out_indptr.shape[0] - 1):
        out_indptr[j + 1] += out_indptr[j]


@compiled()
def _transpose(indptr, indices, values, place, out_indices, out_values):
    for r in range(indptr.shape[0] - 1):
        for e in range(indptr[r], indptr[r + 1]):
            p = place[indices[e]]
            out_indices[p], out_values[p] = r, values[e]
            place[indices[e]] = p + 1


def product(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, chunks: np.ndarray, x: np.ndarray, out: np.ndarray,
    slot: np.ndarray = _NO_SLOT, extra: np.ndarray | None = None,
) -> None:  # fmt: skip
    """`out[i] = Σ_j values[i, j] · x[j]`, plus `extra[slot[i]]` where `slot[i] >= 0`, for every row i.

    Parameters
    ----------
    indptr [n+1], indices, values : CSR
    chunks : row borders of about equal work (`balanced_chunks`)
    x [m, d], out [n, d], extra [R, d] : values, x, out and extra share one float type
    slot [n] : int32
    """
    extra = _NO_EXTRA[x.dtype.type] if extra is None else extra
    blocks = _blocks(x, indices.size / max(indptr.size - 1, 1))
    _product((indptr, indices, values), chunks, slot, extra, blocks, out, entries=indices.size)


def product_at(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, rows: np.ndarray, x: np.ndarray, out: np.ndarray,
    places: np.ndarray | None = None, add: bool = False,
) -> None:  # fmt: skip
    """`out[places[r]] = Σ_j values[rows[r], j] · x[j]`: only the rows that are asked for, at `places` (default: one after the other).

    With `add` the sums are added to what is there. Arguments as in `product`.
    """
    places = np.arange(rows.size) if places is None else places
    blocks = _blocks(x, indices.size / max(indptr.size - 1, 1))
    _product_at((indptr, indices, values), rows, places, add, blocks, out, entries=indices.size)


def take(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, rows: np.ndarray, n_columns: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """The rows that are asked for, one after the other, and their transpose, both as CSR (indptr, indices, values).

    The first has `n_columns` columns and lies in one piece, so that its product knows early what it will read; the
    second has a column for each of `rows`, in ascending order.
    """
    size, integer = int((indptr[rows + 1] - indptr[rows]).sum()), indptr.dtype
    taken = np.empty(rows.size + 1, integer), np.empty(size, np.int32), np.empty(size, values.dtype)
    turned = np.empty(n_columns + 1, integer), np.empty(size, np.int32), np.empty(size, values.dtype)
    _take((indptr, indices, values), rows, taken, turned[0])
    _transpose(*taken, turned[0][:-1].copy(), *turned[1:])
    return taken, turned


def _blocks(x: np.ndarray, mean_degree: float) -> np.ndarray:
    """`x` as [B, n, w]. One block without a copy; for a wide table whose rows are read often, blocks that stay in a core's cache."""
    n, d = x.shape
    width = WIDE * REGISTER_BYTES // x.itemsize
    if d <= width or d % width or mean_degree < _DENSE_ROWS:
        return x[None]
    return np.ascontiguousarray(x.reshape(n, d // width, width).transpose(1, 0, 2))


def balanced_chunks(indptr: np.ndarray, n_chunks: int = 256) -> np.ndarray:
    """Row borders that split edges (plus a constant per row) evenly: long rows sit next to short ones."""
    n = indptr.size - 1
    work = indptr.astype(np.int64) + 4 * np.arange(n + 1)
    targets = np.linspace(0, work[-1], min(n_chunks, max(n, 1)) + 1)
    return np.unique(np.searchsorted(work, targets)).astype(np.int64)

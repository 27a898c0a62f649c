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
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

# reassociation and contraction let LLVM use fused multiply-adds; NaN and infinity keep their meaning
_FLAGS = {"reassoc", "contract", "nsz"}


_SERIAL_WORK = 8_000_000  # multiply-adds (about 1 ms) under which waking other threads can cost more than they bring
_CACHED_BYTES = 16_000_000  # tables above this no longer sit in the caches near a core; asking for rows early then pays
_AHEAD = 16  # neighbours asked for ahead of their use


@intrinsic
def _prefetch(typing_context, x, row, column):
    """Ask for the cache line of `x[row, column]` without waiting for it; numba has no such function of its own."""

    def generate(context, builder, signature, arguments):
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, arguments[0])
        index = [context.cast(builder, arguments[k], signature.args[k], types.intp) for k in (1, 2)]
        place = cgutils.get_item_pointer(context, builder, array_type, array, index, wraparound=False)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        instruction = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0")
        builder.call(instruction, [builder.bitcast(place, byte), word(0), word(3), word(1)])  # to read, keep in all levels, data
        return context.get_dummy_value()

    return types.void(x, row, column), generate


class _Both:
    """One function compiled for all threads and for one; both give the same bits, because a row is summed by one thread."""

    def __init__(self, function) -> None:
        options = {"fastmath": _FLAGS, "cache": True, "nogil": True}
        single = FunctionType(function.__code__, function.__globals__, function.__name__)
        single.__qualname__ = f"{function.__name__}_serial"  # numba's disk cache knows functions by this name, not by their options
        self.parallel, self.serial = njit(parallel=True, **options)(function), njit(**options)(single)
        self.__doc__ = function.__doc__

    def __call__(self, indptr, indices, *arguments) -> None:
        out = arguments[-1]
        ahead = _AHEAD if (indptr.size - 1) * out.shape[1] * out.itemsize > _CACHED_BYTES else 0
        small = indices.size * out.shape[1] < _SERIAL_WORK
        (self.serial if small else self.parallel)(ahead, indptr, indices, *arguments)


@njit(inline="always", fastmath=_FLAGS)
def _add_neighbours(ahead, begin, end, indices, values, x, row):
    d, last = row.shape[0], indices.shape[0] - 1
    line = 64 // row.itemsize
    e = begin
    while e + 4 <= end:
        if ahead > 0:
            for later in range(e + ahead, e + ahead + 4):
                j = indices[min(later, last)]
                for k in range(0, d, line):
                    _prefetch(x, j, k)
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
def product(ahead, indptr, indices, values, chunks, x, out):
    """`out[i] = Σ_j values[i, j] · x[j]` for every row i. `chunks` holds row borders of about equal work."""
    for c in prange(chunks.shape[0] - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            row[:] = 0
            _add_neighbours(ahead, indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_at(ahead, indptr, indices, values, rows, x, out):
    """`out[r] = Σ_j values[rows[r], j] · x[j]`: only the rows that are asked for."""
    for r in prange(rows.shape[0]):
        i = rows[r]
        row = out[r]
        row[:] = 0
        _add_neighbours(ahead, indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_plus(ahead, indptr, indices, values, chunks, x, slot, extra, out):
    """`out[i] = Σ_j values[i, j] · x[j] + extra[slot[i]]` (no extra where `slot[i] < 0`): one Horner step."""
    for c in prange(chunks.shape[0] - 1):
        for i in range(chunks[c], chunks[c + 1]):
            row = out[i]
            if slot[i] >= 0:
                row[:] = extra[slot[i]]
            else:
                row[:] = 0
            _add_neighbours(ahead, indptr[i], indptr[i + 1], indices, values, x, row)


@_Both
def product_from(ahead, indptr, indices, values, chunks, slot, x, extra, out):
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

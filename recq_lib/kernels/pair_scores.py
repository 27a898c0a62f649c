"""The compiled half of `recq_lib.parts.pair_scores`, which has the function for models: inner products of pairs of rows, and the order of
pairs that makes their gradient one product."""

from __future__ import annotations

import numpy as np
from numba import prange

from recq_lib.kernels.compiled import compiled

# reassociation and contraction let LLVM use fused multiply-adds; NaN and infinity keep their meaning
_FLAGS = {"reassoc", "contract", "nsz"}


@compiled(parallel=True, fastmath=_FLAGS)
def dots(z: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """`out[k] = <z[left[k]], z[right[k]]>`."""
    for k in prange(left.shape[0]):
        a, b = z[left[k]], z[right[k]]
        total = z.dtype.type(0)
        for j in range(a.shape[0]):
            total += a[j] * b[j]
        out[k] = total


@compiled()
def _group(left, right, indptr, other, pair):
    n_pairs, n_rows = left.shape[0], indptr.shape[0] - 1
    indptr[:] = 0
    for k in range(n_pairs):
        indptr[left[k] + 1] += 1
        indptr[right[k] + 1] += 1
    for row in range(n_rows):
        indptr[row + 1] += indptr[row]
    place = indptr[:-1].copy()
    for k in range(n_pairs):
        i, j = left[k], right[k]
        other[place[i]], pair[place[i]] = j, k
        place[i] += 1
        other[place[j]], pair[place[j]] = i, k
        place[j] += 1


def group(left: np.ndarray, right: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both ends of every pair, by row, as CSR: (indptr [n_rows+1], other end [2P], number of the pair [2P]), in the order of the pairs."""
    indptr = np.empty(n_rows + 1, np.int64)
    other, pair = np.empty(2 * left.size, np.int32), np.empty(2 * left.size, np.int32)
    _group(left, right, indptr, other, pair)
    return indptr, other, pair

"""Exact top-K of rows of scores with a stated order of ties, for the CPU.

One pass keeps the K best in a heap whose root is the worst of them; a score is touched again only if it beats the root.
Order: higher score first; equal scores, lower position first. Entries set to minus infinity (masked) are never returned.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(inline="always")
def _worse(score_a, position_a, score_b, position_b):
    return score_a < score_b or (score_a == score_b and position_a > position_b)


@njit(inline="always")
def _sift_down(scores, positions, size, score, position):
    """Put (score, position) in the place of the root and restore the heap."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and _worse(scores[child + 1], positions[child + 1], scores[child], positions[child]):
            child += 1
        if not _worse(scores[child], positions[child], score, position):
            break
        scores[hole], positions[hole] = scores[child], positions[child]
        hole = child
    scores[hole], positions[hole] = score, position


@njit(cache=True, nogil=True)
def _top_of_row(row, scores, positions):
    """Fill `scores`, `positions` (length K) with the best of `row`, best first; -1 where fewer than K are finite."""
    k, n = scores.shape[0], row.shape[0]
    scores[:] = -np.inf
    # padding is worse than any real entry, and a later pad is worse than an earlier one
    for slot in range(k):
        positions[slot] = n + k - slot
    worst = scores[0]
    for j in range(n):
        if row[j] > worst:
            _sift_down(scores, positions, k, row[j], j)
            worst = scores[0]
    for size in range(k - 1, 0, -1):  # heap sort: the worst goes to the end
        score, position = scores[size], positions[size]
        scores[size], positions[size] = scores[0], positions[0]
        _sift_down(scores, positions, size, score, position)
    for slot in range(k):
        if positions[slot] >= n:
            positions[slot] = -1


@njit(parallel=True, cache=True, nogil=True)
def top_of_rows(block, out_scores, out_positions):
    """Top-K of every row of `block` [b, n] into [b, K] arrays (float32, int32)."""
    for r in prange(block.shape[0]):
        _top_of_row(block[r], out_scores[r], out_positions[r])


@njit(parallel=True, cache=True, nogil=True)
def mask_rows(block, users, indptr, indices, position_of):
    """Set `block[r, position_of[i]]` to minus infinity for every item i in CSR row `users[r]`."""
    for r in prange(block.shape[0]):
        row = block[r]
        for e in range(indptr[users[r]], indptr[users[r] + 1]):
            row[position_of[indices[e]]] = -np.inf

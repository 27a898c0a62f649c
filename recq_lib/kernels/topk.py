"""Exact top-K of rows of scores with a stated order of ties, for the CPU: what evaluation and search share.

Scores come in tiles whose columns are positions; a seeded permutation (`tie_order`) says which item stands at a position.
One pass keeps the K best in a heap whose root is the worst of them; a score is touched again only if it beats the root.
Order: higher score first; equal scores, lower position first. Entries set to minus infinity (masked) are never returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numba import njit, prange

from recq_lib.errors import ConfigError, whole
from recq_lib.kernels.compiled import compiled

USERS = 512  # whose scores are in memory at once
Tiles = Callable[[np.ndarray], Iterator[np.ndarray]]  # users [b] → float32 [b, m] at positions 0 to m - 1, then at the next ones, …


def tie_order(n_items: int, seed: int) -> np.ndarray:
    """int32 [n_items], position → item: among equal scores the item that stands first wins.

    Item ids often follow popularity, so an order by id would favour models with many ties (MostPop, 1-bit codes).
    """
    return np.random.default_rng(whole("tie_seed", seed, 0)).permutation(n_items).astype(np.int32)


def best(tiles: Tiles, users: np.ndarray, k: int, masks: Sequence, order: np.ndarray, *, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Items [n, k] (int32) and their scores (float32) for `users` [n], best first, -1 and minus infinity where no item is left.

    Parameters
    ----------
    tiles : scores of a block of users; they are overwritten
    masks : CSR matrices [users, items]; the items stored in a user's row are left out
    order : from `tie_order`
    block : users whose scores are in memory at once

    Raises `ConfigError` where tiles are not scores of these users with all items: the kernels do not look.
    """
    n_items = order.size
    position_of = np.empty(n_items if masks else 0, np.int32)
    if masks:
        position_of[order] = np.arange(n_items, dtype=np.int32)
    places, scores = np.empty((users.size, k), np.int32), np.empty((users.size, k), np.float32)
    for begin in range(0, users.size, block):
        part, of_part = users[begin : begin + block], slice(begin, begin + block)
        start(scores[of_part], places[of_part], n_items)
        first = 0
        for tile in tiles(part):
            if tile.ndim != 2 or tile.shape[0] != part.size or first + tile.shape[1] > n_items:
                rule = f"{part.size} rows and {n_items - first} columns at most"
                raise ConfigError(f"a tile of scores has shape {tile.shape} at position {first}, but must have {rule}")
            for matrix in masks:
                mask_rows(tile, first, part, matrix.indptr, matrix.indices, position_of)
            push(tile, first, scores[of_part], places[of_part])
            first += tile.shape[1]
        if first != n_items:
            raise ConfigError(f"the tiles of scores hold {first} items, but must hold {n_items}")
        finish(scores[of_part], places[of_part], n_items)
    return np.where(places >= 0, order[places], np.int32(-1)), scores


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


@compiled()
def start(scores, positions, n):
    """Empty heaps [b, K] for `n` positions: padding is worse than any real entry, and a later pad worse than an earlier one."""
    k = scores.shape[1]
    scores[:] = -np.inf
    for slot in range(k):
        positions[:, slot] = n + k - slot


@compiled(parallel=True)
def push(block, first, scores, positions):
    """Offer `block` [b, m], the scores at positions `first`, `first`+1, …, to the heaps; call with rising `first`."""
    for r in prange(block.shape[0]):
        row, best, place = block[r], scores[r], positions[r]
        k, worst = best.shape[0], best[0]
        for j in range(row.shape[0]):
            if row[j] > worst:  # equal scores at a later position lose
                _sift_down(best, place, k, row[j], first + j)
                worst = best[0]


@compiled(parallel=True)
def finish(scores, positions, n):
    """Sort every heap best first, in place; position -1 where a row had fewer than K finite scores."""
    for r in prange(scores.shape[0]):
        best, place = scores[r], positions[r]
        for size in range(best.shape[0] - 1, 0, -1):  # heap sort: the worst goes to the end
            score, position = best[size], place[size]
            best[size], place[size] = best[0], place[0]
            _sift_down(best, place, size, score, position)
        for slot in range(best.shape[0]):
            if place[slot] >= n:
                place[slot] = -1


@compiled(parallel=True)
def mask_rows(block, first, users, indptr, indices, position_of):
    """Set to minus infinity the entries of `block` (positions `first`, …) that are items in CSR row `users[r]`."""
    width = block.shape[1]
    for r in prange(block.shape[0]):
        row = block[r]
        for e in range(indptr[users[r]], indptr[users[r] + 1]):
            column = position_of[indices[e]] - first
            if 0 <= column < width:
                row[column] = -np.inf

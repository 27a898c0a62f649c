"""Exact top-K with a stated order of ties, for the CPU: what evaluation and search share (ours).

A seeded permutation (`tie_order`) gives every item a position. Order: higher score first; equal scores, lower position first. The K best of
a user lie in a heap whose root is the worst of them; a score is touched again only if it is not below the root. A padded entry has minus
infinity and a position behind all others. Excluded items are looked up only when they would enter the heap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from recq_lib.errors import ConfigError, whole
from recq_lib.io.frozen import fixed
from recq_lib.kernels import instructions as on
from recq_lib.kernels.compiled import compiled
from recq_lib.kernels.instructions import FLOATS, GROUP, INDEX, LANES

USERS = 512  # whose scores are in memory at once
_FEW = 4  # users below which one thread does small work: to wake the others takes longer
Tiles = Callable[[np.ndarray], Iterator[np.ndarray]]  # users [b] → float32 [b, m] of the items 0 to m - 1, then of the next ones, …


class NotFinite(ConfigError):
    """Scores that are no numbers; who made them can say why."""


def tie_order(n_items: int, seed: int) -> np.ndarray:
    """int32 [n_items], read-only, position → item: among equal scores the item that stands first wins.

    Item ids often follow popularity, so an order by id would favour models with many ties (MostPop, 1-bit codes).
    """
    return _orders(n_items, whole("tie_seed", seed, 0))[0]


def tie_positions(n_items: int, seed: int) -> np.ndarray:
    """int32 [n_items], read-only, item → position: the inverse of `tie_order`."""
    return _orders(n_items, whole("tie_seed", seed, 0))[1]


@lru_cache(maxsize=4)  # to draw it takes as long as to answer a user
def _orders(n_items: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n_items).astype(np.int32)
    return fixed(order), fixed(positions(order))


def positions(order: np.ndarray) -> np.ndarray:
    """int32 [n_items], item → position, of any `order`."""
    place = np.empty(order.size, np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    return place


def heaps(n_users: int, k: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty heaps: scores [n_users, k] (float32) and positions (int32); a later pad is worse than an earlier one."""
    pads = (n_items + k - np.arange(k)).astype(np.int32)
    return np.full((n_users, k), -np.inf, np.float32), np.tile(pads, (n_users, 1))


def excluded(masks: Sequence, users: np.ndarray, number_of: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What no user of `users` [B] gets: (start [B + 1], numbers), rising in each user's part.

    masks : CSR matrices [users, items]; number_of : item → the number that is meant, such as its position; default: the item itself
    """
    start = np.zeros(users.size + 1, np.int64)
    for matrix in masks:
        start[1:] += np.diff(matrix.indptr)[users]
    np.cumsum(start, out=start)
    numbers, filled = np.empty(start[-1], np.int32), start[:-1].copy()
    for matrix in masks:
        _collect(matrix.indptr, matrix.indices, users, np.empty(0, np.int32) if number_of is None else number_of, filled, numbers)
    if numbers.size:
        _sort_parts(start, numbers)
    return start, numbers


@compiled()
def _collect(indptr, indices, users, number_of, filled, numbers):
    for r in range(users.size):
        for e in range(indptr[users[r]], indptr[users[r] + 1]):
            numbers[filled[r]] = number_of[indices[e]] if number_of.size else indices[e]
            filled[r] += 1


@compiled(parallel=True)
def _sort_parts(start, numbers):
    if start.size <= _FEW:
        for r in range(start.size - 1):
            _sort_part(numbers[start[r] : start[r + 1]])
        return
    for r in prange(start.size - 1):
        _sort_part(numbers[start[r] : start[r + 1]])


@njit(inline="always")
def _sort_part(part):
    for e in range(1, part.size):  # a sorted part, as matrices hold them, takes one pass
        if part[e] < part[e - 1]:
            part.sort()
            break


@njit(inline="always")
def holds(numbers, begin, end, number):
    """Is `number` among numbers[begin:end], which rise?"""
    while begin < end:
        middle = (begin + end) // 2
        if numbers[middle] < number:
            begin = middle + 1
        elif numbers[middle] > number:
            end = middle
        else:
            return True
    return False


# ---- heaps --------------------------------------------------------------------------------------------------------------------


@njit(inline="always")
def worse(score_a, position_a, score_b, position_b):
    return score_a < score_b or (score_a == score_b and position_a > position_b)


@njit(inline="always")
def put(scores, positions, size, score, position):
    """Put (score, position) in the place of the root and restore the heap."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and worse(scores[child + 1], positions[child + 1], scores[child], positions[child]):
            child += 1
        if not worse(scores[child], positions[child], score, position):
            break
        scores[hole], positions[hole] = scores[child], positions[child]
        hole = child
    scores[hole], positions[hole] = score, position


@njit(inline="always")
def sort_row(best, place, order, items):
    """Heap (best, place) [K] sorted best first; `items` [K] = what stands at its places, -1 behind the last."""
    for size in range(best.shape[0] - 1, 0, -1):  # heap sort: the worst goes to the end
        score, position = best[size], place[size]
        best[size], place[size] = best[0], place[0]
        put(best, place, size, score, position)
    for slot in range(best.shape[0]):
        items[slot] = order[place[slot]] if place[slot] < order.size else -1


def finish(scores: np.ndarray, places: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(items [B, K], scores), best first, from heaps, which are used up; -1 and minus infinity where no item was left."""
    items = np.empty_like(places)
    _sort_rows(scores, places, order, items)
    return items, scores


@compiled(parallel=True)
def _sort_rows(scores, places, order, items):
    if scores.shape[0] < _FEW:
        for r in range(scores.shape[0]):
            sort_row(scores[r], places[r], order, items[r])
        return
    for r in prange(scores.shape[0]):
        sort_row(scores[r], places[r], order, items[r])


# ---- scores that lie in rows ----------------------------------------------------------------------------------------------------


def best(
    tiles: Tiles, users: np.ndarray, k: int, masks: Sequence, n_items: int, tie_seed: int, *, block: int = USERS
) -> tuple[np.ndarray, np.ndarray]:
    """Items [n, k] (int32) and their scores (float32) for `users` [n], best first, -1 and minus infinity where no item is left.

    Parameters
    ----------
    tiles : scores of a block of users with the items 0 to m - 1, then with the next ones, …
    masks : CSR matrices [users, items]; the items stored in a user's row are left out
    tie_seed : of `tie_order`
    block : users whose scores are in memory at once

    Raises `ConfigError` where tiles are not scores of these users with all items (the kernels do not look), `NotFinite` for a user whose
    scores hold NaN or plus infinity.
    """
    order = tie_order(n_items, tie_seed), tie_positions(n_items, tie_seed)
    found = [_best_of_block(tiles, users[begin : begin + block], k, masks, *order) for begin in range(0, users.size, block)]
    items, scores = zip(*found, strict=True) if found else ([np.empty((0, k), np.int32)], [np.empty((0, k), np.float32)])
    return np.concatenate(items), np.concatenate(scores)


def _best_of_block(tiles, users, k, masks, order, place_of):
    scores, places = heaps(users.size, k, order.size)
    skip, first = excluded(masks, users), 0
    for tile in tiles(users):
        if tile.ndim != 2 or tile.shape[0] != users.size or first + tile.shape[1] > order.size:
            rule = f"{users.size} rows and {order.size - first} columns at most"
            raise ConfigError(f"a tile of scores has shape {tile.shape} at item {first}, but must have {rule}")
        bad = offer(tile, first, skip, place_of, scores, places)
        if bad.any():
            raise NotFinite(f"scores of user {users[bad.argmax()]} hold NaN or exceed float32")
        first += tile.shape[1]
    if first != order.size:
        raise ConfigError(f"the tiles of scores hold {first} items, but must hold {order.size}")
    return finish(scores, places, order)


def offer(
    block: np.ndarray, first: int, skip: tuple[np.ndarray, np.ndarray], place_of: np.ndarray, scores: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Offer `block` [B, m], scores of the items `first`, `first` + 1, …, to the heaps; bool [B]: does a row hold NaN or plus infinity?

    skip : from `excluded`, item numbers; place_of : item → position
    """
    n_groups = -(-block.shape[1] // GROUP)
    bad = np.zeros(block.shape[0], np.bool_)
    _offer(block, first, skip[0], skip[1], place_of, scores, places, scattered_step(n_groups), bad)
    return bad


def scattered_step(n: int) -> int:
    """A step that visits all of n places in scattered order: in a catalogue whose scores rise, every item would enter the heap."""
    step = max(1, int(0.618 * n))
    while np.gcd(step, n) != 1:
        step += 1
    return step


@compiled(parallel=True)
def _offer(block, first, skip_start, skip, place_of, scores, places, step, bad):
    if block.shape[0] < _FEW:
        for r in range(block.shape[0]):
            bad[r] = _offer_row(block[r], first, skip[skip_start[r] : skip_start[r + 1]], place_of, scores[r], places[r], step)
        return
    for r in prange(block.shape[0]):
        bad[r] = _offer_row(block[r], first, skip[skip_start[r] : skip_start[r + 1]], place_of, scores[r], places[r], step)


@njit(nogil=True)
def _offer_row(row, first, skip, place_of, best, place, step):
    """Does the row hold NaN or plus infinity?"""
    n_groups = (row.size + GROUP - 1) // GROUP
    tail, bad, g = np.full(GROUP, -np.inf, np.float32), False, 0
    tail[: row.size - (n_groups - 1) * GROUP] = row[(n_groups - 1) * GROUP :]
    for _ in range(n_groups):
        begin = g * GROUP
        mask = not_below(tail, 0, best[0]) if g == n_groups - 1 else not_below(row, begin, best[0])
        while mask:
            j = begin + lowest(mask)
            mask &= mask - np.uint64(1)
            score = row[j] if j < row.size else np.float32(-np.inf)
            if not score < np.inf:
                bad = True
            elif score > -np.inf and worse(best[0], place[0], score, place_of[first + j]):
                if not holds(skip, 0, skip.size, first + j):
                    put(best, place, best.size, score, place_of[first + j])
        g = (g + step) % n_groups
    return bad


@intrinsic
def not_below(typing_context, row, begin, threshold):
    """64-bit mask of those of `row[begin : begin + 64]` that are not below the threshold; NaN never is."""

    def generate(context, builder, signature, arguments):
        on.allow_wide_vectors(builder)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        base = builder.gep(data, [context.cast(builder, arguments[1], signature.args[1], types.intp)])
        limit, mask = on.splat(builder, FLOATS, arguments[2]), on.ir.Constant(INDEX, 0)
        for k in range(GROUP // LANES):
            flags = builder.fcmp_unordered(">=", on.load(builder, base, FLOATS, k), limit)
            flags = builder.zext(builder.bitcast(flags, on.ir.IntType(LANES)), INDEX)
            mask = builder.or_(mask, builder.shl(flags, INDEX(k * LANES)))
        return mask

    return types.uint64(row, begin, types.float32), generate


@intrinsic
def lowest(typing_context, mask):
    """Place of the lowest bit that is set; the mask is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.true_bit)

    return types.int64(types.uint64), generate

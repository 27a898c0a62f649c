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
from recq_lib.kernels import instructions as on
from recq_lib.kernels.compiled import compiled, read_only
from recq_lib.kernels.instructions import FLOATS, GROUP, INDEX, LANES

USERS = 512  # whose scores are in memory at once
_FEW = 4  # users below which one thread does small work: to wake the others takes longer
Tiles = Callable[[np.ndarray], Iterator[np.ndarray]]  # users [b] → scores [b, m] of the items 0 to m - 1, then of the next ones, …


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
    order = np.arange(n_items, dtype=np.int32)
    np.random.default_rng(seed).shuffle(order)  # draws what `permutation` does, in half its memory
    return read_only(order), read_only(positions(order))


def positions(order: np.ndarray) -> np.ndarray:
    """int32 [n_items], item → position, of any `order`."""
    place = np.empty(order.size, np.int32)
    place[order] = np.arange(order.size, dtype=np.int32)
    return place


def heaps(n_users: int, k: int, n_items: int) -> tuple[np.ndarray, np.ndarray]:
    """Empty heaps: scores [n_users, k] (float32) and positions (int32), k at least 1; a later pad is better than an earlier one."""
    pads = (n_items + k - np.arange(k)).astype(np.int32)
    return np.full((n_users, k), -np.inf, np.float32), np.tile(pads, (n_users, 1))


def excluded(masks: Sequence, users: np.ndarray, n_items: int, number_of: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What no user of `users` [B] gets: (start [B + 1], numbers), rising in each user's part.

    masks : CSR matrices [users, items]; number_of : item → the number that is meant, such as its position; default: the item itself

    Raises `ConfigError` for a matrix whose stored indices are no items, or whose rows have no beginning and end: SciPy does not look.
    """
    start, fits = np.zeros(users.size + 1, np.int64), True
    if not masks:
        return start, np.empty(0, np.int32)
    for matrix in masks:
        counts = matrix.indptr[users + 1] - matrix.indptr[users]
        fits = fits and not (counts < 0).any()
        start[1:] += counts
    np.cumsum(start, out=start)
    numbers, filled = np.empty(start[-1] if fits else 0, np.int32), start[:-1].copy()
    arrays = read_only(users), read_only(np.empty(0, np.int32) if number_of is None else number_of), n_items, filled, numbers
    if not (fits and all(_collect(read_only(matrix.indptr), read_only(matrix.indices), *arrays) for matrix in masks)):
        rule = f"items from 0 to {n_items - 1}, row by row"
        raise ConfigError(f"a matrix of excluded items is broken: it must store {rule}; check its indices and indptr")
    if numbers.size:
        _sort_parts(start, numbers)
    return start, numbers


@compiled()
def _collect(indptr, indices, users, number_of, n_items, filled, numbers):
    """Put the items of every user behind those that are `filled`. False where there is no such item."""
    for r in range(users.size):
        for e in range(indptr[users[r]], indptr[users[r] + 1]):
            if not (0 <= e < indices.size and 0 <= indices[e] < n_items):
                return False
            numbers[filled[r]] = number_of[indices[e]] if number_of.size else indices[e]
            filled[r] += 1
    return True


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
    _sort_rows(scores, places, read_only(order), items)
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
    tiles: Tiles, users: np.ndarray, k: int, masks: Sequence, n_items: int, tie_seed: int, *, finite: bool = False, block: int = USERS
) -> tuple[np.ndarray, np.ndarray]:
    """Items [n, k] (int32) and their scores (float32) for `users` [n], best first, -1 and minus infinity where no item is left.

    Parameters
    ----------
    tiles : scores of a block of users with the items 0 to m - 1, then with the next ones, …; the next tile may overwrite the last
    k : at least 1
    masks : CSR matrices [users, items]; the items stored in a user's row are left out
    tie_seed : of `tie_order`
    finite : are scores finite numbers? If not, minus infinity rules an item out
    block : users whose scores are in memory at once

    Raises `ConfigError` where tiles are not scores of these users with all items (the kernels do not look), `NotFinite` for a user whose
    scores hold NaN or infinity.
    """
    order = tie_order(n_items, tie_seed), tie_positions(n_items, tie_seed)
    found = [_best_of_block(tiles, users[begin : begin + block], k, masks, *order, finite) for begin in range(0, users.size, block)]
    items, scores = zip(*found, strict=True) if found else ([np.empty((0, k), np.int32)], [np.empty((0, k), np.float32)])
    return np.concatenate(items), np.concatenate(scores)


def _best_of_block(tiles, users, k, masks, order, place_of, finite):
    scores, places = heaps(users.size, k, order.size)
    skip, first = excluded(masks, users, order.size), 0
    for tile in tiles(users):
        if tile.ndim != 2 or tile.shape[0] != users.size or first + tile.shape[1] > order.size:
            rule = f"{users.size} rows and {order.size - first} columns at most"
            raise ConfigError(f"a tile of scores has shape {tile.shape} at item {first}, but must have {rule}")
        bad = offer(tile, first, skip, place_of, scores, places, finite=finite)
        if bad.any():
            raise NotFinite(f"scores of user {users[bad.argmax()]} hold NaN or exceed float32")
        first += tile.shape[1]
    if first != order.size:
        raise ConfigError(f"the tiles of scores hold {first} items, but must hold {order.size}")
    return finish(scores, places, order)


def offer(
    block: np.ndarray,
    first: int,
    skip: tuple[np.ndarray, np.ndarray],
    place_of: np.ndarray,
    scores: np.ndarray,
    places: np.ndarray,
    *,
    finite: bool = False,
) -> np.ndarray:
    """Offer `block` [B, m], scores of the items `first`, `first` + 1, …, to the heaps; bool [B]: does a row hold what is no score?

    skip : from `excluded`, item numbers; place_of : item → position; finite : as in `best`
    """
    bad = np.zeros(block.shape[0], np.bool_)
    if block.shape[1]:
        block, step = read_only(block.astype(np.float32, copy=False)), scattered_step(-(-block.shape[1] // GROUP))
        lowest_score = np.float32(-np.inf if finite else np.nan)
        _offer(block, first, *skip, read_only(place_of), scores, places, step, lowest_score, bad)
    return bad


def scattered_step(n: int) -> int:
    """A step that visits all of n places in scattered order: in a catalogue whose scores rise, every item would enter the heap."""
    step = max(1, int(0.618 * n))
    while np.gcd(step, n) != 1:
        step += 1
    return step


@compiled(parallel=True)
def _offer(block, first, skip_start, skip, place_of, scores, places, step, floor, bad):
    if block.shape[0] < _FEW:
        for r in range(block.shape[0]):
            bad[r] = _offer_row(block[r], first, skip[skip_start[r] : skip_start[r + 1]], place_of, scores[r], places[r], step, floor)
        return
    for r in prange(block.shape[0]):
        bad[r] = _offer_row(block[r], first, skip[skip_start[r] : skip_start[r + 1]], place_of, scores[r], places[r], step, floor)


@njit(nogil=True)
def _offer_row(row, first, skip, place_of, best, place, step, floor):
    """Does the row hold NaN, plus infinity, or what is not above the `floor`?"""
    n_groups = (row.size + GROUP - 1) // GROUP
    tail, bad, g = np.full(GROUP, -np.inf, np.float32), False, 0
    tail[: row.size - (n_groups - 1) * GROUP] = row[(n_groups - 1) * GROUP :]
    for _ in range(n_groups):
        begin = g * GROUP
        mask = to_look_at(tail, 0, best[0], floor) if g == n_groups - 1 else to_look_at(row, begin, best[0], floor)
        while mask:
            j = begin + lowest(mask)
            mask &= mask - np.uint64(1)
            if j >= row.size:
                break
            score = row[j]
            if not score < np.inf or score <= floor:
                bad = True
            elif score > -np.inf and worse(best[0], place[0], score, place_of[first + j]):
                if not holds(skip, 0, skip.size, first + j):
                    put(best, place, best.size, score, place_of[first + j])
        g = (g + step) % n_groups
    return bad


@intrinsic
def to_look_at(typing_context, row, begin, threshold, floor):
    """64-bit mask of those of `row[begin : begin + 64]` that are not below the threshold, as NaN never is, or not above the floor."""

    def generate(context, builder, signature, arguments):
        on.allow_wide_vectors(builder)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        base = builder.gep(data, [context.cast(builder, arguments[1], signature.args[1], types.intp)])
        limits, mask = [on.splat(builder, FLOATS, arguments[k]) for k in (2, 3)], on.ir.Constant(INDEX, 0)
        for k in range(GROUP // LANES):
            scores = on.load(builder, base, FLOATS, k)
            flags = builder.or_(builder.fcmp_unordered(">=", scores, limits[0]), builder.fcmp_ordered("<=", scores, limits[1]))
            flags = builder.zext(builder.bitcast(flags, on.ir.IntType(LANES)), INDEX)
            mask = builder.or_(mask, builder.shl(flags, INDEX(k * LANES)))
        return mask

    return types.uint64(row, begin, types.float32, types.float32), generate


@intrinsic
def lowest(typing_context, mask):
    """Place of the lowest bit that is set; the mask is not 0."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], cgutils.true_bit)

    return types.int64(types.uint64), generate

"""The best items of users by their codes: scores and selection in one pass, so that no row of scores is ever written (ours).

Items lie in the order of ties, so position = place in the groups, and within one thread's part a later item of equal score loses. A tile of
items stays in the cache nearest to a core while all users of a thread pass. Many users are shared out among the threads; for few the items
are, each thread with heaps of its own, which are merged. The result is the same.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import njit, prange

from recq_lib.kernels.code_scores import arrays_of, check_pair, score_group, tile_of
from recq_lib.kernels.compiled import compiled, read_only
from recq_lib.kernels.instructions import GROUP
from recq_lib.kernels.item_groups import ItemGroups, Users
from recq_lib.kernels.topk import holds, lowest, put, sort_row, worse

_USERS = 64  # a thread takes at a time: enough that items come from memory while others are scored
_SHARED_OUT = 8  # users per thread from which on users are shared out, not items
_LEAST_GROUPS = 16  # a thread's part of the items, at least

Skip = tuple[np.ndarray, np.ndarray]  # from `topk.excluded`, positions


def few(n_users: int) -> bool:
    """Are these so few that threads had better share the items?"""
    return n_users < _SHARED_OUT * numba.get_num_threads()


def push(users: Users, items: ItemGroups, first: int, skip: Skip, scores: np.ndarray, places: np.ndarray) -> None:
    """Offer the `items` at positions `first`, `first` + 1, … to the heaps [B, K] of `users`; call with rising `first`.

    Raises `ConfigError` where users and items do not fit together.
    """
    check_pair(users, items)
    block = max(1, min(_USERS, -(-users.words.shape[0] // numba.get_num_threads())))
    _push_users(*arrays_of(users, items), items.n_items, tile_of(items), first, *skip, scores, places, block)


def best_of_few(users: Users, items: ItemGroups, skip: Skip, k: int, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(items [B, K], scores), best first, as `topk.finish`, of `users` that are few; `items` are all there are."""
    check_pair(users, items)
    parts = max(1, min(numba.get_num_threads(), items.words.shape[0] // _LEAST_GROUPS))
    found = np.empty((parts, users.words.shape[0], k), np.int32)
    scores = np.empty(found.shape, np.float32)
    _few(*arrays_of(users, items), items.n_items, tile_of(items), *skip, read_only(order), scores, found)
    return found[0], scores[0]


@compiled(parallel=True)
def _push_users(
    user_words, user_factors, item_words, item_factors, bits, kind, largest, n_items, tile, first, skip_start, skip, scores, places, block
):
    n_users, n_groups = scores.shape[0], item_words.shape[0]
    for t in prange((n_users + block - 1) // block):
        _push(
            user_words, user_factors, t * block, min((t + 1) * block, n_users), item_words, item_factors, 0, n_groups,
            bits, kind, largest, n_items, tile, first, skip_start, skip, scores, places,
        )  # fmt: skip


@compiled(parallel=True)
def _few(user_words, user_factors, item_words, item_factors, bits, kind, largest, n_items, tile, skip_start, skip, order, scores, found):
    """`scores` and `found` [T, B, K] hold every thread's heaps, then the lists in their first part."""
    parts, n_users, k = scores.shape
    n_groups = item_words.shape[0]
    for t in prange(parts):
        for slot in range(k):
            scores[t, :, slot] = -np.inf
            found[t, :, slot] = n_items + k - slot
        _push(
            user_words, user_factors, 0, n_users, item_words, item_factors, t * n_groups // parts, (t + 1) * n_groups // parts,
            bits, kind, largest, n_items, tile, 0, skip_start, skip, scores[t], found[t],
        )  # fmt: skip
    row = np.empty(k, np.int32)
    for u in range(n_users):
        best, place = scores[0, u], found[0, u]
        for t in range(1, parts):
            for slot in range(k):
                if worse(best[0], place[0], scores[t, u, slot], found[t, u, slot]) and scores[t, u, slot] > -np.inf:
                    put(best, place, k, scores[t, u, slot], found[t, u, slot])
        sort_row(best, place, order, row)
        place[:] = row


@njit(nogil=True)
def _push(
    user_words, user_factors, first_user, last_user, item_words, item_factors, first_group, last_group,
    bits, kind, largest, n_items, tile, first, skip_start, skip, scores, places,
):  # fmt: skip
    row, k = np.empty(GROUP, np.float32), scores.shape[1]
    for begin in range(first_group, last_group, tile):
        end = min(begin + tile, last_group)
        for u in range(first_user, last_user):
            best, place = scores[u], places[u]
            for g in range(begin, end):
                above = score_group(user_words, user_factors, u, item_words, item_factors, g, bits, kind, largest, best[0], row)
                while above:
                    j = lowest(above)
                    above &= above - np.uint64(1)
                    item = g * GROUP + j
                    if item < n_items and row[j] > best[0] and not holds(skip, skip_start[u], skip_start[u + 1], first + item):
                        put(best, place, k, row[j], first + item)

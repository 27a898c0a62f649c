"""The best items of users where items share scores: one score a group of items, such as those that take one row of a codebook (ours).

Every item of a group has the group's score, bit for bit, so equal items tie and stand in the order of ties. A group is touched only if its
score is not below the worst of the K best so far; its items are offered in the order of ties until one does not enter, and no later one
would. So a user costs a look at every group, not at every item. Heaps, order and exclusion are those of `topk`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from recq_lib.errors import ConfigError
from recq_lib.kernels import topk
from recq_lib.kernels.compiled import compiled
from recq_lib.kernels.instructions import GROUP
from recq_lib.kernels.topk import holds, lowest, put, to_look_at, worse

_SCORES = 1 << 21  # in memory at once (8 MB)
_FEW = 4  # users below which one thread does the work


class Groups(NamedTuple):
    """Items by group: group g has the positions places[starts[g] : starts[g + 1]], which rise; `order` [I] is position → item.

    starts [G + 1], places [I] : int32
    """

    starts: np.ndarray
    places: np.ndarray
    order: np.ndarray
    place_of: np.ndarray


def group(group_of: np.ndarray, n_groups: int, tie_seed: int) -> Groups:
    """`Groups` of items whose groups are `group_of` [I], in [0, n_groups); a group may be empty. Raises `ConfigError` for others."""
    if group_of.size and not 0 <= group_of.min() <= group_of.max() < n_groups:
        raise ConfigError(f"groups of items go from {group_of.min()} to {group_of.max()}, but must lie in [0, {n_groups})")
    order, place_of = topk.tie_order(group_of.size, tie_seed), topk.tie_positions(group_of.size, tie_seed)
    starts = np.zeros(n_groups + 1, np.int32)
    np.cumsum(np.bincount(group_of, minlength=n_groups), out=starts[1:])
    return Groups(starts, np.argsort(group_of[order], kind="stable").astype(np.int32), order, place_of)


def best(
    scores_of: Callable[[np.ndarray], np.ndarray], users: np.ndarray, k: int, masks: Sequence, groups: Groups
) -> tuple[np.ndarray, np.ndarray]:
    """Items [n, k] (int32) and their scores (float32) for `users` [n], best first, -1 and minus infinity where no item is left.

    scores_of : users [b] → float32 [b, G], the score of every group; other arguments and the result as in `topk.best`, whose lists these
        are for the scores of items one by one.

    Raises `ConfigError` for scores of another shape, `topk.NotFinite` for a user with NaN or plus infinity at a group that has items.
    """
    n_groups = groups.starts.size - 1
    block = int(np.clip(_SCORES // max(n_groups, 1), 1, topk.USERS))
    items, values = np.empty((users.size, k), np.int32), np.empty((users.size, k), np.float32)
    for begin in range(0, users.size, block):
        part = users[begin : begin + block]
        scores = scores_of(part)
        if scores.shape != (part.size, n_groups):
            raise ConfigError(f"scores of groups have shape {scores.shape}, but must be [users, groups] = {(part.size, n_groups)}")
        best_scores, places = topk.heaps(part.size, k, groups.order.size)
        bad = np.zeros(part.size, np.bool_)
        skip = topk.excluded(masks, part, groups.place_of.size, groups.place_of)
        _offer(scores, groups.starts, groups.places, *skip, best_scores, places, topk.scattered_step(-(-n_groups // GROUP)), bad)
        if bad.any():
            raise topk.NotFinite(f"scores of user {part[bad.argmax()]} hold NaN or exceed float32")
        items[begin : begin + block], values[begin : begin + block] = topk.finish(best_scores, places, groups.order)
    return items, values


@compiled(parallel=True)
def _offer(block, starts, members, skip_start, skip, scores, places, step, bad):
    if block.shape[0] < _FEW:
        for r in range(block.shape[0]):
            bad[r] = _offer_row(block[r], starts, members, skip[skip_start[r] : skip_start[r + 1]], scores[r], places[r], step)
        return
    for r in prange(block.shape[0]):
        bad[r] = _offer_row(block[r], starts, members, skip[skip_start[r] : skip_start[r + 1]], scores[r], places[r], step)


@njit(nogil=True)
def _offer_row(row, starts, members, skip, best, place, step):
    """Does a group that has items score NaN or plus infinity?"""
    n_blocks = (row.size + GROUP - 1) // GROUP
    tail, bad, b, no_floor = np.full(GROUP, -np.inf, np.float32), False, 0, np.float32(np.nan)
    tail[: row.size - (n_blocks - 1) * GROUP] = row[(n_blocks - 1) * GROUP :]
    for _ in range(n_blocks):
        mask = to_look_at(tail, 0, best[0], no_floor) if b == n_blocks - 1 else to_look_at(row, b * GROUP, best[0], no_floor)
        while mask:
            g = b * GROUP + lowest(mask)
            mask &= mask - np.uint64(1)
            if g >= row.size or starts[g] == starts[g + 1] or row[g] == -np.inf:
                continue
            if not row[g] < np.inf:
                bad = True
                continue
            for e in range(starts[g], starts[g + 1]):
                if not worse(best[0], place[0], row[g], members[e]):
                    break  # the next ones of the group stand behind this one
                if not holds(skip, 0, skip.size, members[e]):
                    put(best, place, best.size, row[g], members[e])
        b = (b + step) % n_blocks
    return bad

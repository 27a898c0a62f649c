"""Search in codes: scores of users with items, tile by tile, and the best of them. The kernels are `popcount` and `topk`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from recq_lib.errors import ConfigError
from recq_lib.kernels import popcount, topk

if TYPE_CHECKING:
    from recq_lib.codes.codes import Codes

_USERS = 512  # searched at once
_TILE_SCORES = 1 << 20  # scores in memory at once (4 MB), so long as a user's tile has 1,024 items at least
_LEAST_ITEMS = 1024


class ItemScores:
    """Codes laid out for the kernel, items in the order given: `position → item`. Scores do not depend on the order.

    Raises `ConfigError` where there are no users or no items, where `order` does not list the items, or where scores exceed float32.
    """

    def __init__(self, codes: Codes, order: np.ndarray) -> None:
        n, factors = codes.n_users, codes.factors()
        if not 0 < n < codes.n_nodes:
            raise ConfigError(f"codes hold {n} users and {codes.n_items} items; scoring needs at least one of each")
        if order.size != codes.n_items:
            raise ConfigError(f"codes hold {codes.n_items} items, but {order.size} are to be ranked; they must be of the same data")
        largest = np.abs(factors[:, :n]).max(axis=1).astype(np.float64) * np.abs(factors[:, n:]).max(axis=1)
        if largest.sum() * codes.dim * (2**codes.bits - 1) ** 2 > np.finfo(np.float32).max:
            raise ConfigError("scores of these codes can exceed float32; divide the scales or weights by a constant")
        self.order = order
        self._planes, self._factors, self._dim = codes.planes[:, :n], factors[:, :n], codes.dim
        self._items = popcount.group_items(codes.planes[:, n:][:, order], factors[:, n:][:, order])

    def __call__(self, users: np.ndarray) -> Iterator[np.ndarray]:
        """Tiles [B, m] of the scores of `users`, one behind the other."""
        users = self.user_ids(users)
        planes, factors, n_items = self._planes[:, users], self._factors[:, users], self._items.n_items
        width = min(max(_LEAST_ITEMS, _TILE_SCORES // max(1, users.size) // 32 * 32), n_items)
        buffer = np.empty(users.size * width, np.float32)
        for first in range(0, n_items, width):
            items = self._items.part(first, width)
            out = buffer[: users.size * items.n_items].reshape(users.size, items.n_items)
            popcount.scores(planes, factors, items, self._dim, out)
            yield out

    def by_id(self, users) -> np.ndarray:
        """All scores of `users`, [B, I], in the order of the items' ids."""
        users = self.user_ids(users)
        out, first = np.empty((users.size, self.order.size), np.float32), 0
        for tile in self(users):
            out[:, self.order[first : first + tile.shape[1]]] = tile
            first += tile.shape[1]
        return out

    def user_ids(self, users) -> np.ndarray:
        """`users` as an array int32 [B]. Raises `ConfigError` for what is no list of known ids."""
        users = np.asarray(users)
        n_users = self._planes.shape[1]
        if users.ndim != 1 or (users.size and users.dtype.kind not in "iu"):
            raise ConfigError(f"users are {users.dtype} of shape {users.shape}, but must be user ids, integers of shape [B]")
        if users.size and not 0 <= users.min() <= users.max() < n_users:
            wrong = users[(users < 0) | (users >= n_users)][0]
            raise ConfigError(f"user {wrong} is unknown; ids go from 0 to {n_users - 1}")
        return users.astype(np.int32)


def search(codes: Codes, layout: ItemScores, users, k: int, exclude) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """As `Codes.search`; ties go by the order of `layout`."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k is {k!r}, but must be a whole number of at least 1")
    users, masks = layout.user_ids(users), _masks(codes, exclude)
    ids, scores = topk.best(layout, users, min(int(k), codes.n_items), masks, layout.order, block=_USERS)
    counts = (ids >= 0).sum(axis=1)
    return tuple([row[:n] for row, n in zip(rows, counts, strict=True)] for rows in (ids, scores))


def _masks(codes: Codes, exclude) -> list:
    if exclude is None:
        return []
    if not hasattr(exclude, "tocsr"):
        raise ConfigError(f"exclude is of type {type(exclude).__name__}, but must be a sparse matrix [users, items], such as data.train")
    if exclude.shape != (codes.n_users, codes.n_items):
        rule = f"[users, items] = {(codes.n_users, codes.n_items)}"
        raise ConfigError(f"exclude has shape {exclude.shape}, but must be {rule} like the codes")
    return [exclude.tocsr()]

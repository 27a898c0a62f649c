"""Search in codes: scores of users with items, tile by tile, and the best of them. The kernels are `popcount` and `topk`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from recq_lib.errors import ConfigError, whole
from recq_lib.kernels import popcount, topk

if TYPE_CHECKING:
    import scipy.sparse as sp

    from recq_lib.codes.codes import Codes

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
        users = user_numbers(users, self._planes.shape[1])
        planes, factors, n_items = self._planes[:, users], self._factors[:, users], self._items.n_items
        width = min(max(_LEAST_ITEMS, _TILE_SCORES // max(1, users.size) // 32 * 32), n_items)
        buffer = np.empty(users.size * width, np.float32)
        for first in range(0, n_items, width):
            items = self._items.part(first, width)
            out = buffer[: users.size * items.n_items].reshape(users.size, items.n_items)
            popcount.scores(planes, factors, items, self._dim, out)
            yield out

    def by_id(self, users: ArrayLike) -> np.ndarray:
        """All scores of `users`, [B, I], in the order of the items' ids."""
        users = user_numbers(users, self._planes.shape[1])
        out, first = np.empty((users.size, self.order.size), np.float32), 0
        for tile in self(users):
            out[:, self.order[first : first + tile.shape[1]]] = tile
            first += tile.shape[1]
        return out


def best_lists(
    tiles: topk.Tiles, users: ArrayLike, k: int, exclude: Sequence[sp.csr_matrix], order: np.ndarray, n_users: int | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The `k` best items of each user and their scores, one array per user each; fewer where fewer are left.

    Parameters
    ----------
    tiles : scores of a block of users, items in the `order` of ties
    exclude : matrices [users, items]; what is stored in a user's row of any is left out
    n_users : users that there are; None where the scorer does not tell, then as many as `exclude` has rows

    Raises `ConfigError` for unknown users, a k below 1, and an `exclude` that is not a sparse matrix [users, items].
    """
    n_users, masks = masks_of(exclude, n_users, order.size)
    k, wanted = whole("k", k, 1), user_numbers(users, n_users)
    ids, scores = topk.best(tiles, wanted, min(k, order.size), masks, order, block=topk.USERS)
    counts = (ids >= 0).sum(axis=1)
    return [row[:n] for row, n in zip(ids, counts, strict=True)], [row[:n] for row, n in zip(scores, counts, strict=True)]


def user_numbers(users: ArrayLike, n_users: int | None) -> np.ndarray:
    """`users` as an array int32 [B]. Raises `ConfigError` for what is no list of numbers in [0, n_users)."""
    wanted = np.asarray(users)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise ConfigError(f"users are {wanted.dtype} of shape {wanted.shape}, but must be user numbers, integers of shape [B]")
    last = np.iinfo(np.int32).max if n_users is None else n_users - 1
    if wanted.size and not 0 <= wanted.min() <= wanted.max() <= last:
        wrong = wanted[(wanted < 0) | (wanted > last)][0]
        raise ConfigError(f"user {wrong} is unknown; numbers go from 0 to {last}")
    return wanted.astype(np.int32)


def masks_of(matrices: Sequence[sp.csr_matrix], n_users: int | None, n_items: int) -> tuple[int | None, list[sp.csr_matrix]]:
    """(users, `matrices` as CSR); an unknown number of users is that of the first matrix.

    Raises `ConfigError` for what is no sparse matrix [n_users, n_items]: the kernel reads rows and columns without looking.
    """
    masks = []
    for matrix in matrices:
        if not hasattr(matrix, "tocsr"):
            kind = type(matrix).__name__
            raise ConfigError(f"exclude is of type {kind}, but must be a sparse matrix [users, items], such as data.train")
        if matrix.ndim == 2 and n_users is None:
            n_users = matrix.shape[0]
        if matrix.shape != (n_users, n_items):
            raise ConfigError(f"exclude has shape {matrix.shape}, but must be [users, items] = {(n_users, n_items)} like what is searched")
        masks.append(matrix.tocsr())
    return n_users, masks

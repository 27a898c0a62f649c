"""Search in codes: the best items of users, and whole rows of scores. The kernels are `code_scores` and `code_topk`.

Items are scored in the order of ties. They are laid out for the kernel once and kept (`Resident`), for a user at a time, or part by
part and forgotten (`Passing`), so that evaluating needs little more memory than the codes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike

from recq_lib.errors import ConfigError, whole
from recq_lib.kernels import code_scores, code_topk, topk
from recq_lib.kernels.instructions import GROUP
from recq_lib.kernels.item_groups import ItemGroups, Users, group_items, lay_users

if TYPE_CHECKING:
    import scipy.sparse as sp

    from recq_lib.codes.codes import Codes

_PART_BYTES = 1 << 19  # of items' codes that are laid out at once; one group at least; two parts are there for a moment
_USERS = 2048  # whose excluded items are in memory at once


class Laid(Protocol):
    """Codes as search reads them.

    order : int32 [I], position → item; place_of : int32 [I], its inverse
    items : all of them laid out, or None
    users : codes of these users (numbers, already checked) for the kernel
    parts : (first position, items laid out) in rising order
    """

    order: np.ndarray
    n_users: int
    items: ItemGroups | None

    @property
    def place_of(self) -> np.ndarray: ...

    def users(self, numbers: np.ndarray) -> Users: ...

    def parts(self) -> Iterator[tuple[int, ItemGroups]]: ...


@dataclass
class Passing:
    """Items laid out part by part. Raises `ConfigError` where there are no users or no items, and where scores may exceed float32."""

    codes: Codes
    order: np.ndarray
    items: ItemGroups | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        n, codes = self.codes.n_users, self.codes
        if not 0 < n < codes.n_nodes:
            raise ConfigError(f"codes hold {n} users and {codes.n_items} items; scoring needs at least one of each")
        if self.order.size != codes.n_items:
            raise ConfigError(f"codes hold {codes.n_items} items, but {self.order.size} are to be ranked; they must be of the same data")
        check_range(codes.weights, *((None, None) if codes.scales is None else (codes.scales[:, :n], codes.scales[:, n:])), codes.largest)

    @property
    def n_users(self) -> int:
        return self.codes.n_users

    @cached_property
    def place_of(self) -> np.ndarray:
        return topk.positions(self.order)

    def users(self, numbers: np.ndarray) -> Users:
        return lay_users(self.codes.planes, self.codes.factors(numbers), self.codes.dim, numbers)

    def parts(self) -> Iterator[tuple[int, ItemGroups]]:
        step = max(1, _PART_BYTES // self.codes.planes[:, :1].nbytes // GROUP) * GROUP
        for first in range(0, self.order.size, step):
            yield first, self.group(slice(first, first + step))

    def group(self, places: slice) -> ItemGroups:
        rows = self.codes.n_users + self.order[places].astype(np.int64)
        return group_items(self.codes.planes, self.codes.factors(rows), self.codes.dim, rows)


class Resident(Passing):
    """All items laid out, which takes their codes' memory once more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.items = self.group(slice(None))

    def parts(self) -> Iterator[tuple[int, ItemGroups]]:
        yield 0, self.items


def check_range(weights: np.ndarray, users: np.ndarray | None, items: np.ndarray | None, largest: int) -> None:
    """Raises `ConfigError` where scores can exceed float32, or factors: scales [S, n] of both sides (None: 1), `largest` product."""

    def most(scales):
        return np.abs(weights.astype(np.float64)) * (1.0 if scales is None else np.maximum(scales.max(axis=1), -scales.min(axis=1)))

    of_user, of_item = most(users), most(items)
    if max(of_user.max(), of_item.max(), (of_user * of_item).sum() * largest) > np.finfo(np.float32).max:
        raise ConfigError("scores of these codes can exceed float32; divide the scales or weights by a constant")


def best_items(laid: Laid, users: np.ndarray, k: int, masks: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Items [n, k] (int32) and their scores (float32) for `users` [n], best first, -1 and minus infinity where no item is left.

    masks : CSR matrices [users, items]; the items stored in a user's row are left out. All are checked before.
    """
    place_of = laid.place_of if masks else None
    if laid.items is not None and code_topk.few(users.size):
        return code_topk.best_of_few(laid.users(users), laid.items, topk.excluded(masks, users, laid.order.size, place_of), k, laid.order)
    scores, places = topk.heaps(users.size, k, laid.order.size)
    for first, items in laid.parts():
        for begin in range(0, users.size, _USERS):
            part = slice(begin, begin + _USERS)
            skip = topk.excluded(masks, users[part], laid.order.size, place_of)
            code_topk.push(laid.users(users[part]), items, first, skip, scores[part], places[part])
    return topk.finish(scores, places, laid.order)


def rows_of_scores(laid: Laid, users: ArrayLike) -> np.ndarray:
    """All scores of `users`, [B, I], in the order of the items' ids."""
    users = user_numbers(users, laid.n_users)
    out, of_users = np.empty((users.size, laid.order.size), np.float32), laid.users(users)
    for first, items in laid.parts():
        block = np.empty((users.size, items.n_items), np.float32)
        code_scores.scores(of_users, items, block)
        out[:, laid.order[first : first + items.n_items]] = block
    return out


def lists_of(items: np.ndarray, scores: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rows [n, k] as one array per user each, without what stands for no item."""
    if not items.size or items[:, -1].min() >= 0:  # as almost always
        return list(items), list(scores)
    counts = (items >= 0).sum(axis=1)
    return [row[:n] for row, n in zip(items, counts, strict=True)], [row[:n] for row, n in zip(scores, counts, strict=True)]


def checked_request(
    users: ArrayLike, k: int, exclude: Sequence[sp.csr_matrix], n_users: int | None, n_items: int
) -> tuple[np.ndarray, int, list[sp.csr_matrix]]:
    """(numbers of users, k within the catalogue but at least 1, masks).

    Raises `ConfigError` for unknown users, a k below 1, and a wrong `exclude`.
    """
    n_users, masks = masks_of(exclude, n_users, n_items)
    return user_numbers(users, n_users), min(whole("k", k, 1), max(1, n_items)), masks


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

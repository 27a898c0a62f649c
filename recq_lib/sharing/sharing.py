"""`Sharing`: which codebook rows each user and item takes its vector from. Clusterings and hash functions make one; a table trains it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from recq_lib.data.id_bytes import decode_ids, encode_ids, id_array
from recq_lib.data.ids import look_up
from recq_lib.errors import ConfigError, RecordError, one_of, whole
from recq_lib.io.files import npz_arrays, npz_bytes, write_atomically
from recq_lib.io.frozen import fixed
from recq_lib.sharing.found import Found

COMBINE = ("mean", "sum")
_SIDES = ("user", "item")


@dataclass(frozen=True, eq=False)
class Sharing:
    """Rows of the users' codebook [n_user_rows, d] and of the items' [n_item_rows, d]; users and items share none (official BACO code).

    Attributes
    ----------
    users [U, m], items [I, m'] : int64 row numbers, -1 for none; the first column is never -1. [U] and [I] stand for one column
    n_user_rows, n_item_rows : sizes of the codebooks
    combine : a node with several rows takes their "mean" (BACO) or their "sum" (double hashing)
    found : how the rows were found
    user_ids [U], item_ids [I] : own ids, where the data have some

    The arrays are read-only copies of those given. Two are equal when every node takes the same rows: `found` and own ids are not compared.

    >>> rows = Sharing(users=[[0, 1], [1, -1], [0, -1]], items=[0, 0], n_user_rows=2, n_item_rows=1)
    >>> rows
    Sharing(3 users on 2 rows, 2 items on 1 row, 1 further index, mean)
    >>> rows.n_parameters(dim=64), rows.n_bytes(dim=64), rows.ratio(dim=64)  # a full table has 5·64 numbers
    (193, 792, 0.603125)
    >>> rows.matrix().toarray()
    array([[0.5, 0.5, 0. ],
           [0. , 1. , 0. ],
           [1. , 0. , 0. ],
           [0. , 0. , 1. ],
           [0. , 0. , 1. ]], dtype=float32)

    Raises `ConfigError` for rows of another form or out of range, and for ids that are not distinct or not one per node.
    """

    users: np.ndarray
    items: np.ndarray
    n_user_rows: int
    n_item_rows: int
    combine: str = "mean"
    found: Found = field(default_factory=Found)
    user_ids: np.ndarray | None = None
    item_ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        one_of("combine", self.combine, COMBINE)
        for side in _SIDES:
            n_rows = whole(f"n_{side}_rows", getattr(self, f"n_{side}_rows"), 0)
            rows = checked_rows(f"{side}s", getattr(self, f"{side}s"), n_rows)
            object.__setattr__(self, f"{side}s", fixed(rows))
            object.__setattr__(self, f"n_{side}_rows", n_rows)
            ids = getattr(self, f"{side}_ids")
            if ids is not None:
                ids = id_array(f"{side}_ids", ids)
                if ids.size != rows.shape[0]:
                    raise ConfigError(f"{side}_ids has {ids.size} ids for {rows.shape[0]} {side}s; give one for each, in their order")
                object.__setattr__(self, f"{side}_ids", ids)

    # ---- own ids -------------------------------------------------------------------------------------------------------------

    def user_numbers(self, own_ids: Iterable[Any]) -> np.ndarray:
        """Numbers (int64 [n]) of own user ids, places in `users`; `DataError` names the first unknown one.

        Where there are no own ids, the numbers are the ids, and only their range is checked.

        >>> Sharing(users=[0, 1], items=[0], n_user_rows=2, n_item_rows=1, user_ids=["ann", "bob"]).user_numbers(["bob"])
        array([1])
        """
        return look_up(own_ids, self._user_index, "user", self.found.dataset or "rows")

    def item_numbers(self, own_ids: Iterable[Any]) -> np.ndarray:
        """As `user_numbers`, for items."""
        return look_up(own_ids, self._item_index, "item", self.found.dataset or "rows")

    @cached_property
    def _user_index(self) -> pd.Index | int:
        return self.n_users if self.user_ids is None else pd.Index(self.user_ids, tupleize_cols=False)

    @cached_property
    def _item_index(self) -> pd.Index | int:
        return self.n_items if self.item_ids is None else pd.Index(self.item_ids, tupleize_cols=False)

    # ---- sizes ---------------------------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        return self.users.shape[0]

    @property
    def n_items(self) -> int:
        return self.items.shape[0]

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    @property
    def n_rows(self) -> int:
        return self.n_user_rows + self.n_item_rows

    @property
    def n_extra(self) -> int:
        """Indices beside the first of each node: BACO's second rows of users, the second hash of double hashing."""
        return int((self.users[:, 1:] >= 0).sum() + (self.items[:, 1:] >= 0).sum())

    def n_parameters(self, dim: int = 64) -> int:
        """As BACO's code counts: `dim` per row, one per index beside a node's first, nothing for first indices."""
        return dim * self.n_rows + self.n_extra

    def ratio(self, dim: int = 64) -> float:
        """Parameters over those of a table with one row per node."""
        return self.n_parameters(dim) / (dim * max(self.n_nodes, 1))

    def n_bytes(self, dim: int = 64, itemsize: int = 4) -> int:
        """What must be kept: rows of numbers of `itemsize` bytes, and every index, the first ones too, as int32."""
        return itemsize * dim * self.n_rows + 4 * (self.n_nodes + self.n_extra)

    def summary(self, dim: int = 64) -> dict[str, Any]:
        """Plain numbers, for JSON: sizes at width `dim`, asked for, delivered and of a full float32 table, and how they were found."""
        return {
            "method": self.found.method, "dataset": self.found.dataset, "dim": dim,
            "user_rows": self.n_user_rows, "item_rows": self.n_item_rows, "extra_indices": self.n_extra,
            "asked": self.found.asked, "parameters": self.n_parameters(dim), "ratio": self.ratio(dim),
            "table_bytes": self.n_bytes(dim), "full_bytes": 4 * dim * self.n_nodes,
            "seconds": self.found.seconds, "gamma": self.found.gamma,
        }  # fmt: skip

    # ---- how rows make vectors -----------------------------------------------------------------------------------------------

    def shares(self, rows: Any) -> Any:
        """What each of the `rows` [n, m] (array or tensor, -1 for none) counts in its node's vector, [n, m]; 0 for none."""
        there = rows >= 0
        return there / there.sum(axis=-1, keepdims=True) if self.combine == "mean" else there / 1

    def matrix(self) -> sp.csr_matrix:
        """S [n_nodes, n_rows] float32, users first: the table is S times the stacked codebooks."""
        return sp.block_diag(
            [self._side(self.users, self.n_user_rows), self._side(self.items, self.n_item_rows)], format="csr", dtype=np.float32
        )

    def _side(self, rows: np.ndarray, n_rows: int) -> sp.csr_matrix:
        node, column = np.nonzero(rows >= 0)
        share = self.shares(rows)[node, column]
        return sp.csr_matrix((share, (node, rows[node, column])), shape=(rows.shape[0], n_rows))  # equal rows of a node add up

    # ---- equality and text ---------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sharing):
            return NotImplemented
        sizes = all(getattr(self, name) == getattr(other, name) for name in ("n_user_rows", "n_item_rows", "combine"))
        return sizes and np.array_equal(self.users, other.users) and np.array_equal(self.items, other.items)

    __hash__ = None  # arrays are compared by content

    def __repr__(self) -> str:
        return f"Sharing({self.sizes_text()})"

    def sizes_text(self) -> str:
        """Users, items, rows and further indices in words."""
        sides = (f"{_count(n, side)} on {_count(rows, 'row')}" for side, n, rows in (
            ("user", self.n_users, self.n_user_rows), ("item", self.n_items, self.n_item_rows)))  # fmt: skip
        extra = f", {_count(self.n_extra, 'further index', 'further indices')}" if self.n_extra else ""
        return f"{', '.join(sides)}{extra}, {self.combine}"

    # ---- files ---------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str, ids: tuple[np.ndarray, np.ndarray] | None = None) -> Path:
        """Write an npz that `load` reads back, whole or not at all; the path is given back.

        Arrays: `user_rows` [U, m] and `item_rows` [I, m'] (int32, -1 for none), `sizes` (rows of both codebooks), `combine`, `found`
        (JSON) with `labels` where there are some, and `user_ids`, `item_ids` where there are own ids (as bytes, see `data.id_bytes`;
        `ids`, if given, replaces them). Raises `ConfigError` for ids that cannot be written and a path that cannot be a file.

        >>> import tempfile
        >>> rows = Sharing(users=[0, 1, 0], items=[0, 0], n_user_rows=2, n_item_rows=1, user_ids=["ann", "bob", "eve"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = Sharing.load(rows.save(f"{folder}/rows.npz"), n_users=3)
        >>> again == rows, again.user_ids.tolist()
        (True, ['ann', 'bob', 'eve'])
        """
        sharing = self if ids is None else dataclasses.replace(self, user_ids=ids[0], item_ids=ids[1])
        write_atomically(Path(path), npz_bytes(sharing.arrays()))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str, *, n_users: int | None = None, n_items: int | None = None) -> Sharing:
        """Read what `save` wrote; `n_users` and `n_items`, where given, must be those of the file.

        Raises `RecordError` for a missing, damaged or foreign file, and for rows of another number of users or items.
        """
        arrays = npz_arrays(path)
        try:
            sharing = cls.from_arrays(arrays)
        except Exception as error:  # whatever arrays of other forms lead to, it means the same here
            why = f"array {error} is missing" if isinstance(error, KeyError) else error
            raise RecordError(f"{path} holds no rows of users and items ({why}); write them with Sharing.save") from error
        for name, wanted in (("n_users", n_users), ("n_items", n_items)):
            if wanted is not None and getattr(sharing, name) != wanted:
                raise RecordError(f"{path} has {name} = {getattr(sharing, name)}, but the data have {wanted}; these rows are of other data")
        return sharing

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, as `save` writes them. Raises `ConfigError` for ids that cannot be written."""
        arrays = {"user_rows": self.users.astype(np.int32), "item_rows": self.items.astype(np.int32)}
        arrays |= {"sizes": np.array([self.n_user_rows, self.n_item_rows]), "combine": np.array(self.combine)}
        arrays["found"] = np.array(self.found.as_json())
        if self.found.labels is not None:
            arrays["labels"] = np.asarray(self.found.labels)
        for side in _SIDES:
            if getattr(self, f"{side}_ids") is not None:
                arrays[f"{side}_ids"] = encode_ids(f"{side}_ids", getattr(self, f"{side}_ids"))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Sharing:
        """What `arrays` gave. Raises `KeyError`, `ValueError` or `TypeError` for others; without `found` nothing is known of the search."""
        found = Found.from_json(str(arrays["found"]), arrays.get("labels")) if "found" in arrays else Found()
        n_user_rows, n_item_rows = (int(n) for n in arrays["sizes"])
        own = {name: decode_ids(arrays[name]) for name in ("user_ids", "item_ids") if name in arrays}
        return cls(arrays["user_rows"], arrays["item_rows"], n_user_rows, n_item_rows, str(arrays["combine"]), found, **own)


# ---- checks ------------------------------------------------------------------------------------------------------------------


def checked_rows(side: str, rows: object, n_rows: int) -> np.ndarray:
    """Rows of "users" or "items" as int64 [n, m] in [0, n_rows), -1 for none. Raises `ConfigError` for others."""
    rows = np.asarray(rows)
    if rows.size and rows.dtype.kind not in "iu":
        raise ConfigError(f"rows of {side} have dtype {rows.dtype}, but must be whole numbers")
    rows = rows.astype(np.int64, copy=False)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] < 1:
        raise ConfigError(f"rows of {side} have shape {rows.shape}, but must be [n] or [n, m] with at least one column")
    if rows.size and not (rows[:, 0].min() >= 0 and rows.min() >= -1 and rows.max() < n_rows):
        found = f"rows of {side} go from {rows.min()} to {rows.max()}"
        raise ConfigError(f"{found}; they must lie in [0, {n_rows}), or be -1 after a node's first")
    return rows


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"

"""`Interactions`: who consumed what, in up to three splits, checked once and never changed."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from recq_lib.data.checks import check_csr, check_disjoint, check_own_ids, check_pairs, gaps_note, side_size, to_csr
from recq_lib.data.holdouts import (
    EIGHTY_TEN_TEN,
    Fractions,
    check_fractions,
    counted,
    shown,
    split_kind,
    time_labels,
    time_note,
    user_labels,
)
from recq_lib.data.ids import Place, look_up
from recq_lib.data.own_table import NumberedTable, number_table
from recq_lib.errors import ConfigError, DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Implicit feedback as binary CSR matrices of one shape (n_users, n_items).

    Attributes
    ----------
    name : dataset name, shown on every figure and stored in every record
    train, val, test : `scipy.sparse.csr_matrix`, float32 ones, sorted int32 indices; `val` may be empty
    source : where the data came from ("RECQ_DATA_DIR", "cache", "download", "synthetic", "frame", "file", "memory")
    notes : what to know about the data, in one line
    user_ids, item_ids : the own id of each number, [n_users] and [n_items]; None where the numbers are the ids

    Build one with `from_pandas` or `from_pairs`; the constructor takes matrices that are already in this form. All raise `DataError`
    for ids out of range, duplicates, a pair in two splits, non-finite values or an empty training split.

    >>> from recq_lib.data import load
    >>> data = load("synthetic-tiny")
    >>> data
    Interactions('synthetic-tiny': 60 users × 40 items; train 419, val 61, test 120; from synthetic)
    >>> data.train.shape, data.train.nnz, data.n_nodes
    ((60, 40), 419, 100)
    >>> users, items = data.pairs("test")
    >>> users.dtype, users.size
    (dtype('int32'), 120)
    """

    name: str
    train: sp.csr_matrix
    val: sp.csr_matrix
    test: sp.csr_matrix
    source: str = "memory"
    notes: str = field(default="", compare=False)
    user_ids: np.ndarray | None = None
    item_ids: np.ndarray | None = None

    def __post_init__(self) -> None:
        for split in SPLITS:
            matrix = getattr(self, split)
            if not sp.issparse(matrix) or matrix.format != "csr":
                raise DataError(f"{self.name}: {split} is {type(matrix).__name__}; pass a scipy CSR matrix, or use Interactions.from_pairs")
            if matrix.shape != self.train.shape:
                raise DataError(f"{self.name}: {split} has shape {matrix.shape}, train has {self.train.shape}; all splits share one shape")
            check_csr(self.name, split, matrix)
        if self.train.nnz == 0:
            raise DataError(f"{self.name}: the train split is empty; at least one interaction is needed")
        check_disjoint(self.name, {split: getattr(self, split) for split in SPLITS})
        for side, count in (("user", self.n_users), ("item", self.n_items)):
            object.__setattr__(self, f"{side}_ids", check_own_ids(self.name, side, getattr(self, f"{side}_ids"), count))
        for split in SPLITS:
            matrix = getattr(self, split)
            for part in (matrix.data, matrix.indices, matrix.indptr):
                part.setflags(write=False)

    # ---- construction -------------------------------------------------------------------------------------------------

    @classmethod
    def from_pairs(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        test: tuple[np.ndarray, np.ndarray] | None = None,
        val: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        n_users: int | None = None,
        n_items: int | None = None,
        name: str = "unnamed",
        source: str = "memory",
        notes: str = "",
        user_ids: np.ndarray | None = None,
        item_ids: np.ndarray | None = None,
    ) -> Interactions:
        """Build from (user numbers, item numbers) per split; numbers are 0-based integers.

        `n_users` and `n_items` default to the number of own ids, or without them to the largest number + 1; where fewer than half of
        these numbers occur, `notes` say so. Raises `DataError` naming the split, the position and the rule.

        >>> from recq_lib.data import Interactions
        >>> data = Interactions.from_pairs(train=([0, 0, 1], [0, 2, 1]), test=([1], [2]), name="small")
        >>> data.n_users, data.n_items, data.train.toarray().tolist()
        (2, 3, [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        >>> Interactions.from_pairs(train=([0, 0], [1, 1]), name="twice")
        Traceback (most recent call last):
        ...
        recq_lib.errors.DataError: twice: train holds the pair (user 0, item 1) more than once (1 repeats in all); drop duplicates first
        """
        pairs = {"train": train, "val": val, "test": test}
        clean = {split: check_pairs(name, split, pair) for split, pair in pairs.items() if pair is not None}
        n_users = len(user_ids) if n_users is None and user_ids is not None else n_users
        n_items = len(item_ids) if n_items is None and item_ids is not None else n_items
        sides = {"user": [users for users, _ in clean.values()], "item": [items for _, items in clean.values()]}
        shape = tuple(side_size(name, side, given, sides[side]) for side, given in (("user", n_users), ("item", n_items)))
        gaps = [gaps_note(side, size, sides[side]) for side, size, given in zip(sides, shape, (n_users, n_items)) if given is None]
        notes = "; ".join(note for note in (notes, *gaps) if note)
        empty = (np.empty(0, np.int32), np.empty(0, np.int32))
        matrices = {split: to_csr(name, split, clean.get(split, empty), shape) for split in SPLITS}
        return cls(name=name, source=source, notes=notes, user_ids=user_ids, item_ids=item_ids, **matrices)

    @classmethod
    def from_pandas(
        cls,
        events: pd.DataFrame,
        user: Hashable = "user",
        item: Hashable = "item",
        *,
        time: Hashable | None = None,
        rating: Hashable | None = None,
        min_rating: float | None = None,
        split: str | None = None,
        fractions: Fractions = EIGHTY_TEN_TEN,
        seed: int = 0,
        duplicates: str = "error",
        name: str = "table",
    ) -> Interactions:
        """Build from a table of events, one row each: who (`user`) took what (`item`), and optionally when and how it was rated.

        Parameters
        ----------
        user, item, time, rating : names of columns. Ids may be text, whole numbers, categories or anything with an order; they are
            numbered in their order (whole numbers by value, also those written as text) and kept in `user_ids` and `item_ids`.
            Missing are None, NaN, NaT, NA and blank text; the text "None" is an id. Times are numbers or dates.
        min_rating : rows rated lower are left out; without it every row is a positive
        split : "time", two cuts in time for all users, so that nothing is learned from the future (default with `time`); or "random",
            within each user, who keeps one train item at least (default without)
        fractions : shares of train, val and test, which sum to 1
        seed : of the random split
        duplicates : "error", or "drop" to keep the earliest of the rows with one user and one item

        `notes` of the result say what was left out, how ids were renumbered and how many users and items of val and test are cold.
        Raises `DataError` naming the row, the column, the value and the rule; `ConfigError` for a wrong option.

        >>> import pandas as pd
        >>> from recq_lib.data import Interactions
        >>> events = pd.DataFrame({
        ...     "customer": ["zoe", "ann", "ann", "bob", "zoe"], "sku": [30, 10, 20, 10, 10], "day": [1, 2, 3, 4, 5]})
        >>> data = Interactions.from_pandas(events, user="customer", item="sku", time="day", fractions=(0.6, 0.2, 0.2))
        >>> data.user_ids.tolist(), data.item_ids.tolist()
        (['ann', 'bob', 'zoe'], [10, 20, 30])
        >>> data.user_numbers(["zoe", "ann"]), data.item_ids[data.test.indices]
        (array([2, 0]), array([10]))
        >>> data.notes.split("; ")[1]
        'split by time 0.6/0.2/0.2: val from 4, test from 5, 1 user and 0 items of val and test are not in train'
        >>> Interactions.from_pandas(events.assign(sku=[10, 10, 10, 10, None]), "customer", "sku")
        Traceback (most recent call last):
        ...
        recq_lib.errors.DataError: table: row 4 (from 0): sku is nan; every row needs an id, drop the row
        """
        split = split_kind(split, time is not None, name)
        options = {"time": time, "rating": rating, "min_rating": min_rating, "duplicates": duplicates}
        table = number_table(events, user, item, **options, place=Place(name))
        return cls.from_table(table, split=split, fractions=fractions, seed=seed, name=name, source="frame")

    @classmethod
    def from_table(
        cls, table: NumberedTable, *, split: str, fractions: Fractions, seed: int, name: str, source: str
    ) -> Interactions:
        """Split a numbered table, by "time" or at "random"; the other options are those of `from_pandas`."""
        fractions = check_fractions(fractions)
        if split == "time":
            label = time_labels(table.times, fractions)
            note = time_note(table.users, table.items, table.times, label, fractions)
        else:
            label = user_labels(table.users, fractions, seed)
            note = f"per-user split {shown(fractions)}, seed {seed}"
        return cls.from_pairs(
            **{part: (table.users[label == code], table.items[label == code]) for code, part in enumerate(SPLITS)},
            name=name, source=source, notes="; ".join([*table.notes, note]), user_ids=table.user_ids, item_ids=table.item_ids,
        )  # fmt: skip

    def described(self, **changes: str) -> Interactions:
        """The same data under another `name`, `source` or `notes`; nothing is copied or checked again."""
        if unknown := set(changes) - {"name", "source", "notes"}:
            raise ConfigError(f"{self.name}: {sorted(unknown)[0]!r} cannot be changed; only name, source and notes can")
        other = copy.copy(self)
        for key, value in changes.items():
            object.__setattr__(other, key, value)
        return other

    # ---- own ids ------------------------------------------------------------------------------------------------------

    def user_numbers(self, own_ids: Iterable[Any]) -> np.ndarray:
        """Numbers (int64 [n]) of own user ids, in their order; `DataError` names the first unknown one.

        Where the data have no own ids, the numbers are the ids, and only their range is checked.
        """
        return look_up(own_ids, self._user_index, "user", self.name)

    def item_numbers(self, own_ids: Iterable[Any]) -> np.ndarray:
        """As `user_numbers`, for items."""
        return look_up(own_ids, self._item_index, "item", self.name)

    @cached_property
    def _user_index(self) -> pd.Index | int:
        return self.n_users if self.user_ids is None else pd.Index(self.user_ids, dtype=self.user_ids.dtype)

    @cached_property
    def _item_index(self) -> pd.Index | int:
        return self.n_items if self.item_ids is None else pd.Index(self.item_ids, dtype=self.item_ids.dtype)

    # ---- sizes and views ----------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        return int(self.train.shape[0])

    @property
    def n_items(self) -> int:
        return int(self.train.shape[1])

    @property
    def n_nodes(self) -> int:
        """Users first, then items: item i is node `n_users + i`."""
        return self.n_users + self.n_items

    @property
    def n_train(self) -> int:
        return int(self.train.nnz)

    def pairs(self, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """(users, items) of a split as int32 arrays of your own, sorted by user, then item."""
        matrix = self.split(split)
        users = np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(matrix.indptr))
        return users, matrix.indices.astype(np.int32)

    def split(self, name: str) -> sp.csr_matrix:
        if name not in SPLITS:
            raise DataError(f"{self.name}: split is {name!r}, but must be one of {', '.join(SPLITS)}")
        return getattr(self, name)

    def stats(self) -> dict[str, float | int | str]:
        """Sizes, density, empty users and items, and the share of interactions held by the top 10 % of items."""
        degrees = np.asarray(self.train.sum(axis=0)).ravel()
        user_degrees = np.diff(self.train.indptr)
        top = np.sort(degrees)[::-1][: max(1, self.n_items // 10)]
        total = self.train.nnz + self.val.nnz + self.test.nnz
        return {
            "name": self.name,
            "source": self.source,
            "users": self.n_users,
            "items": self.n_items,
            "train": self.train.nnz,
            "val": self.val.nnz,
            "test": self.test.nnz,
            "density": total / (self.n_users * self.n_items),
            "users_without_train": int((user_degrees == 0).sum()),
            "items_without_train": int((degrees == 0).sum()),
            "test_users": int((np.diff(self.test.indptr) > 0).sum()),
            "median_user_degree": float(np.median(user_degrees)),
            "max_item_degree": int(degrees.max()),
            "top10pct_item_share": float(top.sum() / max(1.0, degrees.sum())),
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the shape and the sorted pairs of every split: equal data, equal fingerprint."""
        digest = hashlib.sha256(f"{self.n_users},{self.n_items}".encode())
        for split in SPLITS:
            users, items = self.pairs(split)
            digest.update(split.encode() + users.astype("<i4").tobytes() + items.astype("<i4").tobytes())
        return digest.hexdigest()

    def content_hash(self, split: str = "train") -> str:
        """SHA-256 of one split's sorted pairs (user ids, then item ids, little-endian int32)."""
        users, items = self.pairs(split)
        return hashlib.sha256(users.astype("<i4").tobytes() + items.astype("<i4").tobytes()).hexdigest()

    def __repr__(self) -> str:
        return (
            f"Interactions({self.name!r}: {counted(self.n_users, 'user')} × {counted(self.n_items, 'item')}; "
            f"train {self.train.nnz:,}, val {self.val.nnz:,}, test {self.test.nnz:,}; from {self.source})"
        )

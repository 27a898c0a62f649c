"""`Interactions`: who consumed what, in up to three splits, checked once and never changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from recq_lib.errors import DataError

SPLITS = ("train", "val", "test")
_MAX_NODES = 2**31 - 1  # node ids are int32 in every kernel


@dataclass(frozen=True, eq=False)
class Interactions:
    """Implicit feedback as binary CSR matrices of one shape (n_users, n_items).

    Attributes
    ----------
    name : dataset name, shown on every figure and stored in every record
    train, val, test : `scipy.sparse.csr_matrix`, float32 ones, sorted int32 indices; `val` may be empty
    source : where the data came from ("RECQ_DATA_DIR", "cache", "download", "synthetic", "memory")

    Build one with `from_pairs`; the constructor takes matrices that are already in this form. Both raise `DataError`
    for ids out of range, duplicates, a pair in two splits, non-finite values or an empty training split.
    """

    name: str
    train: sp.csr_matrix
    val: sp.csr_matrix
    test: sp.csr_matrix
    source: str = "memory"
    notes: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for split in SPLITS:
            matrix = getattr(self, split)
            if not sp.issparse(matrix) or matrix.format != "csr":
                raise DataError(f"{self.name}: {split} is {type(matrix).__name__}; pass a scipy CSR matrix, or use Interactions.from_pairs")
            if matrix.shape != self.train.shape:
                raise DataError(f"{self.name}: {split} has shape {matrix.shape}, train has {self.train.shape}; all splits share one shape")
            _check_csr(self.name, split, matrix)
        if self.train.nnz == 0:
            raise DataError(f"{self.name}: the train split is empty; at least one interaction is needed")
        _check_disjoint(self.name, {split: getattr(self, split) for split in SPLITS})
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
    ) -> Interactions:
        """Build from (user ids, item ids) per split; ids are 0-based integers.

        `n_users` and `n_items` default to the largest id + 1. Raises `DataError` naming the split, the position and the rule.
        """
        pairs = {"train": train, "val": val, "test": test}
        clean = {split: _check_pairs(name, split, pair) for split, pair in pairs.items() if pair is not None}
        shape = (
            _side_size(name, "user", n_users, [users for users, _ in clean.values()]),
            _side_size(name, "item", n_items, [items for _, items in clean.values()]),
        )
        empty = (np.empty(0, np.int32), np.empty(0, np.int32))
        matrices = {split: _to_csr(name, split, clean.get(split, empty), shape) for split in SPLITS}
        return cls(name=name, source=source, notes=notes, **matrices)

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
        """(users, items) of a split as int32 arrays, sorted by user, then item."""
        matrix = self.split(split)
        users = np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(matrix.indptr))
        return users, matrix.indices.astype(np.int32, copy=False)

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

    def to_hetero_data(self):  # -> torch_geometric.data.HeteroData
        """The training graph, with validation and test pairs as label indices, for PyTorch Geometric.

        Node types "user" and "item" carry `num_nodes`; edge type ("user", "interacts", "item") and its reverse carry
        `edge_index` [2, E] (int64); the forward type also has `val_label_index` and `test_label_index`.
        """
        import torch
        from torch_geometric.data import HeteroData

        def as_index(split: str) -> torch.Tensor:
            return torch.from_numpy(np.stack(self.pairs(split)).astype(np.int64))

        graph = HeteroData()
        graph["user"].num_nodes, graph["item"].num_nodes = self.n_users, self.n_items
        forward = graph["user", "interacts", "item"]
        forward.edge_index = as_index("train")
        forward.val_label_index, forward.test_label_index = as_index("val"), as_index("test")
        graph["item", "interacted_by", "user"].edge_index = forward.edge_index.flip(0)
        return graph

    def __repr__(self) -> str:
        return (
            f"Interactions({self.name!r}: {self.n_users:,} users × {self.n_items:,} items; "
            f"train {self.train.nnz:,}, val {self.val.nnz:,}, test {self.test.nnz:,}; from {self.source})"
        )


# ---- checks ---------------------------------------------------------------------------------------------------------------


def _check_pairs(name: str, split: str, pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if len(pair) != 2:
        raise DataError(f"{name}: {split} has {len(pair)} columns; pass (user ids, item ids)")
    sides = []
    for side, values in zip(("user", "item"), pair, strict=True):
        ids = np.asarray(values)
        if ids.ndim != 1:
            raise DataError(f"{name}: {split} {side} ids have shape {ids.shape}; one dimension is needed")
        if ids.size == 0:
            ids = ids.astype(np.int64)
        if ids.dtype.kind == "f":
            bad = np.flatnonzero(~np.isfinite(ids) | (ids != np.floor(ids)))
            if bad.size:
                raise DataError(f"{name}: {split} {side} id at position {bad[0]} is {ids[bad[0]]}; ids are whole finite numbers")
        elif ids.dtype.kind not in "iu":
            raise DataError(f"{name}: {split} {side} ids have dtype {ids.dtype}; integers are needed (map names to 0-based ids first)")
        bad = np.flatnonzero((ids < 0) | (ids >= _MAX_NODES))
        if bad.size:
            raise DataError(f"{name}: {split} {side} id at position {bad[0]} is {ids[bad[0]]}; ids must lie in [0, {_MAX_NODES})")
        sides.append(ids.astype(np.int64))
    if sides[0].size != sides[1].size:
        raise DataError(f"{name}: {split} has {sides[0].size} user ids and {sides[1].size} item ids; both must have one length")
    return sides[0], sides[1]


def _side_size(name: str, side: str, given: int | None, ids: list[np.ndarray]) -> int:
    needed = max((int(part.max()) + 1 for part in ids if part.size), default=0)
    if given is None:
        return needed
    if int(given) < needed:
        raise DataError(f"{name}: {side} id {needed - 1} occurs, but n_{side}s is {given}; every id must be smaller than n_{side}s")
    return int(given)


def _to_csr(name: str, split: str, pair: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> sp.csr_matrix:
    users, items = pair
    key = np.sort(users * np.int64(max(shape[1], 1)) + items)
    repeated = np.flatnonzero(key[1:] == key[:-1])
    if repeated.size:
        user, item = divmod(int(key[repeated[0]]), shape[1])
        raise DataError(
            f"{name}: {split} holds the pair (user {user}, item {item}) more than once ({repeated.size} repeats in all); "
            "drop duplicates first"
        )
    users, items = np.divmod(key, max(shape[1], 1))
    indptr = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=shape[0]), out=indptr[1:])
    index = np.int32 if key.size < 2**31 else np.int64
    matrix = sp.csr_matrix((np.ones(key.size, np.float32), items.astype(index), indptr.astype(index)), shape=shape)
    matrix.has_sorted_indices = True
    return matrix


def _check_csr(name: str, split: str, matrix: sp.csr_matrix) -> None:
    indices, indptr = matrix.indices, matrix.indptr
    if indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
        raise DataError(f"{name}: {split} has a damaged indptr; build it with Interactions.from_pairs")
    if indices.size and (indices.min() < 0 or indices.max() >= matrix.shape[1]):
        bad = int(indices.min() if indices.min() < 0 else indices.max())
        raise DataError(f"{name}: {split} item id {bad} is outside [0, {matrix.shape[1]})")
    if not np.isfinite(matrix.data).all() or not (matrix.data == 1).all():
        raise DataError(f"{name}: {split} holds values other than 1; interactions are binary, drop weights and NaN first")
    falling = np.flatnonzero(np.diff(indices) <= 0) + 1
    inside = falling[~np.isin(falling, indptr)]
    if inside.size:
        user = int(np.searchsorted(indptr, inside[0], side="right") - 1)
        raise DataError(f"{name}: {split} items of user {user} are not sorted and unique; use Interactions.from_pairs")


def _check_disjoint(name: str, splits: dict[str, sp.csr_matrix]) -> None:
    names = list(splits)
    for first, second in ((a, b) for k, a in enumerate(names) for b in names[k + 1 :]):
        if splits[first].nnz == 0 or splits[second].nnz == 0:
            continue
        shared = splits[first].multiply(splits[second]).tocoo()
        if shared.nnz:
            raise DataError(
                f"{name}: {shared.nnz} pairs are in both {first} and {second}, the first is (user {shared.row[0]}, item {shared.col[0]}); "
                "splits must not overlap, drop them from one side"
            )

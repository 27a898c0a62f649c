"""What pairs of ids and CSR matrices must satisfy to become `Interactions`; each message names the data, the split and the rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp

from recq_lib.errors import ConfigError, DataError
from recq_lib.io.memory import check_memory

MAX_NODES = 2**31 - 1  # node ids are int32 in every kernel


def check_pairs(name: str, split: str, pair: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
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
        bad = np.flatnonzero((ids < 0) | (ids >= MAX_NODES))
        if bad.size:
            raise DataError(f"{name}: {split} {side} id at position {bad[0]} is {ids[bad[0]]}; ids must lie in [0, {MAX_NODES})")
        sides.append(ids.astype(np.int64))
    if sides[0].size != sides[1].size:
        raise DataError(f"{name}: {split} has {sides[0].size} user ids and {sides[1].size} item ids; both must have one length")
    return sides[0], sides[1]


def side_size(name: str, side: str, given: int | None, ids: list[np.ndarray]) -> int:
    needed = max((int(part.max()) + 1 for part in ids if part.size), default=0)
    if given is not None and int(given) < needed:
        raise DataError(f"{name}: {side} id {needed - 1} occurs, but n_{side}s is {given}; every id must be smaller than n_{side}s")
    size = needed if given is None else int(given)
    try:  # every split is a matrix with an offset per user, whose transpose has one per item, and both are counted on the way
        check_memory(f"{name}: a matrix with {size:,} {side}s", 24 * size, "number own ids by Interactions.from_pandas or load_csv")
    except ConfigError as error:
        raise DataError(str(error)) from None
    return size


def gaps_note(side: str, size: int, ids: list[np.ndarray]) -> str:
    """A note where fewer than half of the numbers occur, as with own ids that were never numbered; else ""."""
    occurring = np.unique(np.concatenate(ids)).size if ids else 0
    if 2 * occurring >= size:
        return ""
    advice = "if these are own ids, let from_pandas or load_csv number them"
    return f"only {occurring:,} of {size:,} {side} numbers occur, the others have no interactions ({advice})"


def to_csr(name: str, split: str, pair: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]) -> sp.csr_matrix:
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


def check_csr(name: str, split: str, matrix: sp.csr_matrix) -> None:
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


def check_disjoint(name: str, splits: dict[str, sp.csr_matrix]) -> None:
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


def check_own_ids(name: str, side: str, ids: object, count: int) -> np.ndarray | None:
    """A read-only copy of the own ids of one side, [count]; None stays None."""
    if ids is None:
        return None
    own = pd.Index(ids, tupleize_cols=False)
    if own.size != count:
        raise DataError(f"{name}: there are {own.size} {side} ids for {count} {side}s; give one id to each number, in order")
    if not own.is_unique:
        raise DataError(f"{name}: {side} id {own[own.duplicated()][0]!r} stands for two numbers; ids must be distinct")
    copy = own.to_numpy(object if pd.api.types.is_string_dtype(own.dtype) else None, copy=True)
    copy.setflags(write=False)
    return copy

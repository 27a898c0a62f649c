"""Search straight from codebook and assignment: items that take one row of a codebook share its score (ours).

BACO's model without propagation scores <e_u, E_V[row of i]>, so a user's scores need a product a row, not an item, and items of one row
tie exactly. After propagation every node has a vector of its own and nothing of this holds (`evaluation.propagated`).

No torch is needed here: rows come as arrays, from a `Sharing` and its weight by `SharedVectors.of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes import file
from recq_lib.codes.codes import Codes
from recq_lib.codes.names import Names
from recq_lib.codes.search import checked_request, lists_of
from recq_lib.errors import ConfigError, RecordError
from recq_lib.kernels import shared_topk
from recq_lib.kernels.dots import AT_ONCE, dots

if TYPE_CHECKING:
    from recq_lib.sharing.sharing import Sharing

VECTORS = file.Kind("recq shared vectors", "a shared-vectors file", "SharedVectors.save")
_LARGEST = float(np.finfo(np.float32).max)


class _SharedItems:
    """Ranking of items by the scores of their rows. A subclass gives `n_users`, `row_of` [I] (int32), `n_rows` and `_row_scores`."""

    n_users: int
    n_rows: int
    row_of: np.ndarray

    @property
    def n_items(self) -> int:
        return self.row_of.size

    def best(self, users: np.ndarray, k: int, masks: Sequence, tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """What `evaluation` asks of a scorer that ranks by itself, as `kernels.topk.best`; all is checked before."""
        return shared_topk.best(self._row_scores, users, k, masks, self._groups(tie_seed))

    def search(
        self, users: ArrayLike, k: int = 20, exclude: sp.csr_matrix | None = None, *, tie_seed: int = 0
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The `k` items of highest score for each user: item numbers and scores, one array per user each, as `Codes.search`."""
        numbers, k, masks = checked_request(users, k, () if exclude is None else (exclude,), self.n_users, self.n_items)
        return lists_of(*self.best(numbers, k, masks, tie_seed))

    def _row_scores(self, users: np.ndarray) -> np.ndarray:
        """float32 [b, n_rows]"""
        raise NotImplementedError

    def _groups(self, tie_seed: int) -> shared_topk.Groups:
        """Items by row, in the order of ties; kept from the last call."""
        kept = self.__dict__.get("_kept")
        if kept is None or kept[0] != tie_seed:
            kept = tie_seed, shared_topk.group(self.row_of, self.n_rows, tie_seed)
            object.__setattr__(self, "_kept", kept)
        return kept[1]


@dataclass(frozen=True, eq=False, repr=False)
class SharedVectors(_SharedItems):
    """Users and items on shared rows, as they are searched.

    Attributes
    ----------
    user_rows : int32 [U, m], rows of `user_vectors`, -1 for none after the first; user_vectors : float32 [K_u, d]
    row_of : int32 [I], rows of `item_vectors`, float32 [M, d]. Items of several rows have a row here for each set of rows that occurs
    combine : a user with several rows takes their "mean" or their "sum"
    user_names, item_names : own ids, or None where numbers are the ids

    >>> import numpy as np
    >>> from recq_lib.codes.shared import SharedVectors
    >>> from recq_lib.sharing.sharing import Sharing
    >>> rows = Sharing(users=[[0, 1], [1, -1]], items=[0, 1, 0], n_user_rows=2, n_item_rows=2)
    >>> shared = SharedVectors.of(rows, np.array([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0], [3.0, 0.0]]))
    >>> shared
    SharedVectors(2 users on 2 rows, 3 items on 2 rows, mean, 2 columns)
    >>> ids, scores = shared.search([0, 1], k=3)  # items 0 and 2 take one row and tie
    >>> [found.tolist() for found in scores]
    [[3.0, 3.0, 3.0], [4.0, 4.0, 0.0]]
    >>> [sorted(found[:2].tolist()) for found in ids[1:]]
    [[0, 2]]
    """

    user_rows: np.ndarray
    user_vectors: np.ndarray
    row_of: np.ndarray
    item_vectors: np.ndarray
    combine: str = "mean"
    user_names: Names | None = None
    item_names: Names | None = None

    def __post_init__(self) -> None:
        for side, rows, vectors in (("user", self.user_rows, self.user_vectors), ("item", self.row_of[:, None], self.item_vectors)):
            fits = rows.dtype == np.int32 and vectors.dtype == np.float32 and rows.ndim == vectors.ndim == 2 and rows.shape[1] > 0
            if not fits or vectors.shape[1] != self.item_vectors.shape[1] or 0 in vectors.shape or not rows.size:
                given = f"{rows.dtype} {rows.shape} of vectors {vectors.dtype} {vectors.shape}"
                raise ConfigError(f"{side} rows are {given}, but must be int32 [{side}s, m] of float32 [rows, d], neither of them empty")
            if not (rows[:, 0].min() >= 0 and rows.min() >= -1 and rows.max() < len(vectors)):
                raise ConfigError(f"rows of {side}s go from {rows.min()} to {rows.max()}, but must lie in [0, {len(vectors)})")
            if not np.isfinite(vectors).all():
                row = int((~np.isfinite(vectors)).any(axis=1).argmax())
                raise ConfigError(f"{side} vectors hold NaN or infinity in row {row}; if a model made them, training has diverged")
        if self.combine not in ("mean", "sum"):
            raise ConfigError(f"combine is {self.combine!r}, but must be 'mean' or 'sum'")
        most = self.user_rows.shape[1] if self.combine == "sum" else 1  # sums of products are at most the product of two norms
        if most * _largest_norm(self.user_vectors) * _largest_norm(self.item_vectors) > _LARGEST:
            raise ConfigError("inner products of these vectors can exceed float32; divide them by a constant")

    @classmethod
    def of(
        cls, rows: Sharing, weight: ArrayLike, *, user_ids: Iterable | None = None, item_ids: Iterable | None = None
    ) -> SharedVectors:
        """From an assignment and its codebooks `weight` [K, d], those of users first; own ids are those of `rows` unless given.

        Raises `ConfigError` for a weight of another shape, no users or no items, and values that are not finite or too large.
        """
        weight = np.asarray(weight, np.float32)
        if weight.ndim != 2 or len(weight) != rows.n_rows:
            raise ConfigError(f"weight has shape {weight.shape}, but must be [rows, d] for {rows.n_rows} rows")
        if not rows.n_users or not rows.n_items:
            raise ConfigError(f"there are {rows.n_users} users and {rows.n_items} items; search needs at least one of each")
        of_users, of_items = weight[: rows.n_user_rows], weight[rows.n_user_rows :]
        row_of = rows.items[:, 0]
        if rows.items.shape[1] > 1:
            sets, row_of = np.unique(rows.items, axis=0, return_inverse=True)
            of_items = _combined(of_items, sets, rows.combine)
        ids = (given if given is not None else own for given, own in ((user_ids, rows.user_ids), (item_ids, rows.item_ids)))
        names = (None if own is None else Names.of(own, side) for own, side in zip(ids, ("user", "item"), strict=True))
        arrays = rows.users.astype(np.int32), of_users, row_of.reshape(-1).astype(np.int32), of_items
        return cls(*map(np.ascontiguousarray, arrays), rows.combine, *names)

    # ---- what it is --------------------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        return len(self.user_rows)

    @property
    def n_rows(self) -> int:
        """M, rows of items: as many products as a user's scores take."""
        return len(self.item_vectors)

    @property
    def user_ids(self) -> np.ndarray | None:
        return None if self.user_names is None else self.user_names.take(np.arange(self.n_users))

    @property
    def item_ids(self) -> np.ndarray | None:
        return None if self.item_names is None else self.item_names.take(np.arange(self.n_items))

    def n_bytes(self) -> dict[str, int]:
        """Bytes of the arrays: vectors, rows, own ids. Search keeps three more int32 an item and one a row: the order of ties, by row."""
        names = [part for side, of in (("user", self.user_names), ("item", self.item_names)) if of for part in of.arrays(side).values()]
        return {
            "vectors": self.user_vectors.nbytes + self.item_vectors.nbytes,
            "rows": self.user_rows.nbytes + self.row_of.nbytes,
            "names": sum(part.nbytes for part in names),
        }

    def vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """(users [U, d], items [I, d]), written out."""
        return self._users(np.arange(self.n_users)), self.item_vectors[self.row_of]

    def __repr__(self) -> str:
        sizes = f"{self.n_users:,} users on {len(self.user_vectors):,} rows, {self.n_items:,} items on {self.n_rows:,} rows"
        return f"SharedVectors({sizes}, {self.combine}, {self.item_vectors.shape[1]} columns)"

    # ---- scores --------------------------------------------------------------------------------------------------------------

    def _users(self, users: np.ndarray) -> np.ndarray:
        return _combined(self.user_vectors, self.user_rows[users], self.combine)

    def _row_scores(self, users: np.ndarray) -> np.ndarray:
        vectors = self._users(users)
        if users.size == 1 and self.n_rows >= AT_ONCE:
            out = np.empty((1, self.n_rows), np.float32)
            dots(vectors[0], self.item_vectors, out[0])
            return out
        return vectors @ self.item_vectors.T

    # ---- file ----------------------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write one file, whole or not at all; see `file.py`."""
        arrays = {"user_vectors": self.user_vectors, "item_vectors": self.item_vectors}
        arrays |= {"user_rows": self.user_rows, "item_rows": self.row_of}
        for side, names in (("user", self.user_names), ("item", self.item_names)):
            arrays |= {} if names is None else names.arrays(side)
        file.write(VECTORS, Path(path), {"combine": self.combine}, dict(sorted(arrays.items(), key=lambda part: -part[1].itemsize)))
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> SharedVectors:
        """Map a file that `save` wrote. Raises `RecordError` when it is missing, damaged, cut short, foreign or of a newer format."""
        fields, arrays = file.read(VECTORS, Path(path), mapped=True)
        try:
            return _from_file(cls, fields, arrays)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:  # ConfigError and RecordError are ValueErrors
            raise VECTORS.damaged(Path(path), f"{type(error).__name__}: {error}") from error


@dataclass(frozen=True, eq=False)
class SharedCodes(_SharedItems):
    """The same idea by codes: `codes` holds users and, as its items, rows; item i has the code of row `row_of[i]` (int [I]).

    >>> import numpy as np
    >>> from recq_lib.codes.packing import pack
    >>> from recq_lib.codes.shared import SharedCodes
    >>> codes = pack(users=np.array([[1.0, 2.0]]), items=np.array([[2.0, 2.0], [-1.0, 1.0]]), bits=1)
    >>> SharedCodes(codes, np.array([1, 0, 1])).search([0], k=1)[0]
    [array([1], dtype=int32)]

    Raises `ConfigError` for rows that the codes do not have.
    """

    codes: Codes
    row_of: np.ndarray

    def __post_init__(self) -> None:
        rows = np.asarray(self.row_of)
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or not 0 <= rows.min() <= rows.max() < self.codes.n_items:
            raise ConfigError(f"row_of must be whole numbers [items] in [0, {self.codes.n_items}), the rows of {self.codes!r}")
        object.__setattr__(self, "row_of", rows.astype(np.int32))

    @property
    def n_users(self) -> int:
        return self.codes.n_users

    @property
    def n_rows(self) -> int:
        return self.codes.n_items

    def n_bytes(self) -> int:
        """Bytes of codes and rows."""
        return self.codes.n_bytes() + self.row_of.nbytes

    def _row_scores(self, users: np.ndarray) -> np.ndarray:
        return self.codes.scores(users)


def _combined(vectors: np.ndarray, rows: np.ndarray, combine: str) -> np.ndarray:
    """float32 [n, d]: mean or sum of the rows [n, m], -1 for none."""
    there = (rows >= 0).astype(np.float32)
    shares = there / there.sum(axis=1, keepdims=True) if combine == "mean" else there
    out = shares[:, :1] * vectors[rows[:, 0]]
    for column in range(1, rows.shape[1]):
        out += shares[:, column, None] * vectors[rows[:, column]]  # -1 is the last row, of which a share of 0 is taken
    return out


def _largest_norm(vectors: np.ndarray) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64).max()))


def _from_file(cls: type[SharedVectors], fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> SharedVectors:
    if not isinstance(fields["combine"], str) or any(arrays[name].ndim != n for name, n in (("item_rows", 1), ("user_rows", 2))):
        raise RecordError("its rows are not one for each node")
    parts = (arrays[name] for name in ("user_rows", "user_vectors", "item_rows", "item_vectors"))
    names = (Names.from_arrays(arrays, side, len(arrays[f"{side}_rows"])) for side in ("user", "item"))
    return cls(*parts, fields["combine"], *names)

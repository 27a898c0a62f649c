"""`Sharing`: which codebook rows each user and item takes its vector from. Clusterings and hash functions make one; a table trains it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recq_lib.errors import ConfigError, one_of

COMBINE = ("mean", "sum")


@dataclass(frozen=True, eq=False)
class Sharing:
    """Rows of the users' codebook [n_user_rows, d] and of the items' [n_item_rows, d]; users and items share none (official BACO code).

    Attributes
    ----------
    users [U, m], items [I, m'] : int64 row numbers, -1 for none; the first column is never -1
    combine : a node with several rows takes their "mean" (BACO) or their "sum" (double hashing)
    """

    users: np.ndarray
    items: np.ndarray
    n_user_rows: int
    n_item_rows: int
    combine: str = "mean"

    def __post_init__(self) -> None:
        one_of("combine", self.combine, COMBINE)
        for side, n_rows in (("users", self.n_user_rows), ("items", self.n_item_rows)):
            rows = np.asarray(getattr(self, side), np.int64)
            rows = rows[:, None] if rows.ndim == 1 else rows
            if rows.ndim != 2 or rows.shape[1] < 1:
                raise ConfigError(f"rows of {side} have shape {rows.shape}, but must be [n] or [n, m] with at least one column")
            if rows.size and not (rows[:, 0].min() >= 0 and rows.min() >= -1 and rows.max() < n_rows):
                found = f"rows of {side} go from {rows.min()} to {rows.max()}"
                raise ConfigError(f"{found}; they must lie in [0, {n_rows}), or be -1 after a node's first")
            object.__setattr__(self, side, rows)

    @property
    def n_rows(self) -> int:
        return self.n_user_rows + self.n_item_rows

    @property
    def n_nodes(self) -> int:
        return self.users.shape[0] + self.items.shape[0]

    @property
    def n_extra(self) -> int:
        """Indices beside the first of each node."""
        return int((self.users[:, 1:] >= 0).sum() + (self.items[:, 1:] >= 0).sum())

    def n_parameters(self, dim: int) -> int:
        """As BACO's code counts: `dim` per row, one per index beside a node's first, nothing for first indices."""
        return dim * self.n_rows + self.n_extra

    def n_bytes(self, dim: int) -> int:
        """What must be kept: float32 rows and every index, the first ones too, as int32."""
        return 4 * dim * self.n_rows + 4 * (self.n_nodes + self.n_extra)

    def matrix(self) -> sp.csr_matrix:
        """S [n_nodes, n_rows] float32, users first: the table is S times the stacked codebooks."""
        return sp.block_diag(
            [self._side(self.users, self.n_user_rows), self._side(self.items, self.n_item_rows)], format="csr", dtype=np.float32
        )

    def _side(self, rows: np.ndarray, n_rows: int) -> sp.csr_matrix:
        node, column = np.nonzero(rows >= 0)
        share = np.ones(node.size)
        if self.combine == "mean":
            share /= np.bincount(node, minlength=rows.shape[0])[node]
        return sp.csr_matrix((share, (node, rows[node, column])), shape=(rows.shape[0], n_rows))  # equal rows of a node add up

"""Tables: where a node's trainable vector comes from. The result is always a matrix [n_nodes, d], users first."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import SharedRows
from recq_lib.kernels.propagation import balanced_chunks, product
from recq_lib.parts.embedding import codebook
from recq_lib.parts.protocols import Table
from recq_lib.sharing.sharing import Sharing


class FullTable(Table):
    """One trainable row per node, drawn from N(0, std²).

    The papers differ: std 0.1 (LightGCN and L²Q-GCN codes), 1.0 (BACO code). It decides how long the ranking takes to
    leave its random start, so it is part of the protocol.
    """

    def __init__(self, n_nodes: int, dim: int, std: float = 0.1, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if n_nodes < 1:
            raise ConfigError(f"a table needs at least one row and one column, not {n_nodes} × {dim}")
        self.weight = codebook(n_nodes, dim, std, generator)

    def forward(self) -> torch.Tensor:
        """[n_nodes, d]"""
        return self.weight

    def sharing_matrix(self) -> sp.csr_matrix:
        """The identity."""
        return sp.identity(self.weight.shape[0], format="csr")


class SharedTable(Table):
    """Codebook rows shared by users and by items: the table is S·E, S fixed (`Sharing`), E [K, d] trained, drawn from N(0, std²).

    For training by propagation, which needs all nodes at once; `embedding.SharedEmbedding` gives the same vectors for
    some ids.
    """

    def __init__(self, sharing: Sharing, dim: int, std: float = 1.0, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.sharing, self.asked = sharing, sharing.found.asked
        self.weight = codebook(sharing.n_rows, dim, std, generator)
        forward = sharing.matrix()
        self._matrices = (Fixed(forward), Fixed(forward.T.tocsr()))
        self._merged: SharedRows | None = None

    @property
    def n_parameters(self) -> int:
        """As BACO's code counts; see `Sharing.n_parameters`."""
        return self.sharing.n_parameters(self.dim)

    def n_bytes(self) -> int:
        """What must be kept: rows and indices; see `Sharing.n_bytes`."""
        return self.sharing.n_bytes(self.dim)

    def forward(self) -> torch.Tensor:
        """[n_nodes, d]"""
        return FixedProduct.apply(self.weight, *self._matrices)

    def sharing_matrix(self) -> sp.csr_matrix:
        """S of the shared rows."""
        return self.sharing.matrix()

    def facts(self) -> dict[str, int]:
        """Rows of users and of items, and indices beyond one per node."""
        sharing = self.sharing
        return {"user_rows": sharing.n_user_rows, "item_rows": sharing.n_item_rows, "extra_rows": sharing.n_extra}

    def source(self, graph: Graph) -> SharedRows | None:
        """Propagation over `graph` from the codebooks themselves (`graph.propagation`); None where it would cost more."""
        if self._merged is None or self._merged.graph is not graph:
            self._merged = SharedRows(graph, self._matrices[0].matrix)
        return self._merged if self._merged.worth_it else None

    def extra_repr(self) -> str:
        return f"{self.sharing.n_user_rows} + {self.sharing.n_item_rows} rows, {self.sharing.n_extra} more indices, {self.sharing.combine}"


class Fixed:
    """A constant sparse matrix, with the borders of equal work that its product needs."""

    def __init__(self, matrix: sp.csr_matrix) -> None:
        self.matrix, self._chunks = matrix, None

    def __matmul__(self, x: torch.Tensor) -> torch.Tensor:
        matrix = self.matrix
        if x.device.type != "cpu":
            parts = (torch.from_numpy(part.astype(np.int64)).to(x.device) for part in (matrix.indptr, matrix.indices))
            values = torch.from_numpy(matrix.data).to(x)
            return torch.sparse_csr_tensor(*parts, values, size=matrix.shape, check_invariants=False) @ x
        if self._chunks is None:
            self._chunks = balanced_chunks(matrix.indptr)
        out = x.new_empty((matrix.shape[0], x.shape[1]))
        values = matrix.data.astype(x.detach().numpy().dtype, copy=False)
        product(matrix.indptr, matrix.indices, values, self._chunks, x.detach().contiguous().numpy(), out.numpy())
        return out


class FixedProduct(torch.autograd.Function):
    """S·E for a constant sparse S, whose transpose is at hand: rows are summed in a fixed order, forward and backward."""

    @staticmethod
    def forward(ctx, x, matrix: Fixed, transposed: Fixed):
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx, grad):
        return ctx.transposed @ grad, None, None

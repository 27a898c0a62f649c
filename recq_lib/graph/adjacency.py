"""The user-item graph: `Â = D^-1/2 A D^-1/2`, no self loops (He et al., SIGIR 2020, Eq. 7-8); `propagation.py` spreads vectors over it."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.kernels.propagation import balanced_chunks
from recq_lib.kernels.two_way import both_ways


class Graph:
    """Symmetrically normalised adjacency of the training interactions; users are nodes 0…U-1, items U…U+I-1.

    Attributes
    ----------
    indptr [n+1], indices [2E], values [2E] : CSR of Â (int32 where it fits, int32, float32)

    The constructor takes these, and `exact`, the values in float64, where the edges have weights of their own.
    """

    def __init__(
        self, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, n_users: int, n_items: int, *, exact: np.ndarray | None = None
    ) -> None:
        self.indptr, self.indices, self.values = indptr, indices, values
        self.n_users, self.n_items = n_users, n_items
        self._cpu_values: dict[torch.dtype, np.ndarray] = {torch.float32: values}
        if exact is not None:
            self._cpu_values[torch.float64] = exact
        self._chunks: np.ndarray | None = None
        self._device_matrix: dict[tuple[str, torch.dtype], torch.Tensor] = {}
        self._buffers: dict[tuple[int, int, torch.dtype], torch.Tensor] = {}

    @classmethod
    def from_interactions(cls, data: Interactions) -> Graph:
        """Build Â from the training split. Nodes without an interaction get an empty row (they keep layer 0 only)."""
        return cls.from_matrix(data.train)

    @classmethod
    def from_matrix(cls, forward: sp.csr_matrix) -> Graph:
        """Build Â from a binary CSR matrix [n_users, n_items] with sorted indices."""
        (n_users, n_items), (indptr, indices) = forward.shape, both_ways(forward)
        degree = np.diff(indptr)
        scale = np.zeros(degree.size)
        np.divide(1.0, np.sqrt(degree), out=scale, where=degree > 0)
        scale = scale.astype(np.float32)
        values = np.repeat(scale, degree)
        values *= scale[indices]
        return cls(indptr, indices, values, n_users, n_items)

    @property
    def n_nodes(self) -> int:
        """n = U + I"""
        return self.n_users + self.n_items

    @property
    def n_edges(self) -> int:
        """Undirected edges, that is training interactions."""
        return self.indices.size // 2

    @property
    def chunks(self) -> np.ndarray:
        """Row borders of about equal work, from `balanced_chunks`."""
        if self._chunks is None:
            self._chunks = balanced_chunks(self.indptr)
        return self._chunks

    def values_as(self, dtype: torch.dtype) -> np.ndarray:
        """Edge values in the arithmetic of the caller (float64 is for gradient checks)."""
        if dtype not in self._cpu_values:
            if dtype != torch.float64:
                raise ConfigError(f"propagation runs in float32 or float64, not {dtype}; convert the table first")
            degree = np.maximum(np.diff(self.indptr), 1).astype(np.float64)
            scale = 1.0 / np.sqrt(degree)
            self._cpu_values[dtype] = np.repeat(scale, np.diff(self.indptr)) * scale[self.indices]
        return self._cpu_values[dtype]

    def matrix(self, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Â as a `torch.sparse_csr_tensor` [n, n], cached per device."""
        key = (str(device), dtype)
        if key not in self._device_matrix:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
                matrix = torch.sparse_csr_tensor(
                    torch.from_numpy(self.indptr), torch.from_numpy(self.indices), torch.from_numpy(self.values_as(dtype)),
                    size=(self.n_nodes, self.n_nodes), check_invariants=False,
                )  # fmt: skip
            self._device_matrix[key] = matrix.to(device)
        return self._device_matrix[key]

    def interactions(self) -> sp.csr_matrix:
        """The matrix [n_users, n_items] that `from_matrix` was given, float32 ones."""
        indptr = self.indptr[: self.n_users + 1]
        items = self.indices[: indptr[-1]] - self.n_users
        return sp.csr_matrix((np.ones(items.size, np.float32), items, indptr), shape=(self.n_users, self.n_items))

    def to_scipy(self) -> sp.csr_matrix:
        """Â as a scipy matrix sharing memory with this graph."""
        return sp.csr_matrix((self.values, self.indices, self.indptr), shape=(self.n_nodes, self.n_nodes))

    def buffer(self, which: int, like: torch.Tensor) -> torch.Tensor:
        """Scratch matrix [n, d], allocated once per width and type and overwritten by every step."""
        key = (which, like.shape[1], like.dtype)
        if key not in self._buffers:
            self._buffers[key] = torch.empty((self.n_nodes, like.shape[1]), dtype=like.dtype)
        return self._buffers[key]

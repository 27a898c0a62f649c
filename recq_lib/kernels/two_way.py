"""The user-item graph as one CSR, users first: what propagation and label propagation walk over."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def both_ways(train: sp.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """CSR of [[0, B], [Bᵀ, 0]] for B = `train` [U, I]: indptr [n+1] (int32 where it fits, else int64), indices [2E] int32, sorted."""
    n_users, n_items = train.shape
    n_edges = train.indices.size
    # its arrays are the CSR of the transpose, users sorted within an item; the values are not asked for
    backward = sp.csr_matrix((np.empty(n_edges, np.int8), train.indices, train.indptr), shape=train.shape).tocsc()
    indptr = np.empty(n_users + n_items + 1, np.int32 if 2 * n_edges < 2**31 else np.int64)
    indptr[: n_users + 1] = train.indptr
    indptr[n_users + 1 :] = backward.indptr[1:].astype(np.int64) + n_edges
    indices = np.empty(2 * n_edges, np.int32)
    np.add(train.indices, n_users, out=indices[:n_edges], casting="unsafe")
    indices[n_edges:] = backward.indices
    return indptr, indices


def unsigned(graph: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The same arrays read as unsigned: numba checks signed positions for Python's counting from the end."""
    indptr, indices = graph
    return indptr.view(np.dtype(f"u{indptr.itemsize}")), indices.view(np.uint32)

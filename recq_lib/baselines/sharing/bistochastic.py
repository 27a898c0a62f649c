"""The scaling of spectral biclustering: rows of a sparse matrix to one sum and columns to one sum, as far as its zeros allow (ours).

The classical way keeps a factor per row and one per column. Where no scaling is exact (users who know one item alone, say), factors run
to 0 and infinity while their products settle: entries that cannot be kept go to 0, and the matrix falls into blocks with sums of their
own. So here the products themselves are carried on, which stay in range, and the end is decided on them.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp

TOLERANCE = 1e-5  # of the last step, as a share of the matrix (Frobenius norms)


def bistochastic(matrix: sp.csr_matrix, tolerance: float = TOLERANCE, iterations: int = 1000) -> sp.csr_matrix:
    """`matrix` (non-negative, no empty row or column) with rows scaled to one sum and columns to one sum (Kluger et al., 2003).

    Each step divides an entry by the square roots of the sums of its row and of its column. It ends when a step changes the matrix by no
    more than a share `tolerance`; where that takes more than `iterations` steps, a warning says how much the last one changed.
    """
    start, column, share = matrix.indptr, matrix.indices, np.inf
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(start))
    entries = matrix.data.astype(np.float64)
    for _ in range(iterations):
        rows, columns = np.add.reduceat(entries, start[:-1]), np.bincount(column, entries, matrix.shape[1])
        before, entries = entries, entries / (np.sqrt(rows)[row] * np.sqrt(columns)[column])
        share = np.linalg.norm(entries - before) / np.linalg.norm(entries)
        if share <= tolerance:
            break
    else:
        text = f"after {iterations} steps the last one still changed it by a share of {share:.1e} (settled: {tolerance:.0e})"
        warnings.warn(f"the scaling of a matrix of {matrix.shape[0]:,} × {matrix.shape[1]:,} to equal sums has not settled: {text}; "
                      "the rows found rest on an unfinished scaling", stacklevel=2)  # fmt: skip
    return sp.csr_matrix((entries, column, start), shape=matrix.shape)

"""Sums over neighbours against a loop over edges."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recq_lib.kernels.neighbour_sums import neighbour_sums, spread_unit


@pytest.mark.parametrize("n_columns", [1, 2, 16, 19])
def test_sums_of_some_rows(rng, n_columns):
    matrix = sp.random(40, 30, 0.3, "csr", random_state=1)  # rows of no, few and many neighbours
    x, out = rng.integers(-9, 9, (30, n_columns)).astype(np.float32), np.full((40, n_columns), -1, np.float32)
    neighbour_sums(matrix.indptr, matrix.indices, np.array([3, 10, 37]), x, out)
    expected = np.full((40, n_columns), -1.0)
    for i in range(3, 37):
        expected[i] = sum((x[j] for j in matrix[i].indices), np.zeros(n_columns))
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("layers", [1, 2])
def test_unit_spreads_to_its_neighbours_and_theirs(rng, layers):
    matrix, scale = sp.random(8, 8, 0.4, "csr", random_state=2), rng.random(8).astype(np.float32)
    once, twice = np.zeros((8, 3), np.float32), np.zeros((8 if layers == 2 else 0, 3), np.float32)
    spread_unit(matrix.indptr, matrix.indices, scale, np.array([5, 0, 5]), once, twice)
    dense = (matrix.toarray() != 0) * scale[:, None].astype(np.float64) * scale
    np.testing.assert_allclose(once, dense[[5, 0, 5]].T, rtol=1e-6)
    np.testing.assert_allclose(twice, (dense @ dense)[[5, 0, 5]].T[: len(twice)], rtol=1e-6)

"""Products of one vector with all rows: right, and rows that are equal get equal products wherever they stand."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels.dots import AT_ONCE, dots


def products(vector, rows):
    out = np.full(len(rows), np.nan, np.float32)
    dots(vector, rows, out)
    return out


@given(st.integers(0, 200), st.integers(AT_ONCE, 90), st.integers(0, 2**32 - 1))
def test_products_equal_those_in_float64(dim, n, seed):
    rng = np.random.default_rng(seed)
    vector, rows = rng.normal(size=dim).astype(np.float32), rng.normal(size=(n, dim)).astype(np.float32)
    exact, size = rows.astype(np.float64) @ vector, np.abs(rows.astype(np.float64)) @ np.abs(vector)
    assert (np.abs(products(vector, rows) - exact) <= 1e-6 * size).all()


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 256, 300])
def test_equal_rows_get_equal_products(rng, dim):
    vector, row = rng.normal(size=(2, dim)).astype(np.float32)
    for n in [*range(AT_ONCE, 40), 63, 64, 65, 1000, 1001, 1002, 1003]:
        assert np.unique(products(vector, np.tile(row, (n, 1)))).size == 1


def test_what_cannot_be_written_to_and_what_is_not_contiguous(rng):
    vector, rows = rng.integers(-9, 9, 20).astype(np.float32), rng.integers(-9, 9, (30, 20)).astype(np.float32)
    expected = rows @ vector
    np.testing.assert_array_equal(products(np.repeat(vector, 2)[::2], np.repeat(rows, 2, axis=1)[:, ::2]), expected)
    for part in (vector, rows):
        part.setflags(write=False)
    np.testing.assert_array_equal(products(vector, rows), expected)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads: NUMBA_NUM_THREADS is 1")
def test_number_of_threads_does_not_matter(rng):
    before = numba.get_num_threads()
    try:
        for n in (4, 5, 7, 8, 9, 1001):
            vector, rows, results = rng.normal(size=40).astype(np.float32), rng.normal(size=(n, 40)).astype(np.float32), []
            for n_threads in (1, 2):
                numba.set_num_threads(n_threads)
                results.append(products(vector, rows))
            np.testing.assert_array_equal(*results)
    finally:
        numba.set_num_threads(before)


def test_infinite_and_undefined_products_are_not_hidden():
    rows = np.ones((6, 5), np.float32)
    rows[2, 3], rows[4, 0] = np.nan, np.inf
    got = products(np.full(5, 2, np.float32), rows)
    assert np.isnan(got[2]) and got[4] == np.inf and (got[[0, 1, 3, 5]] == 10).all()
    assert not np.isfinite(products(np.full(5, 2e38, np.float32), np.ones((4, 5), np.float32))).any()


def test_wrong_arguments_are_named():
    vector, rows, out = np.zeros(3, np.float32), np.zeros((5, 3), np.float32), np.zeros(5, np.float32)
    for given_as in (
        (vector[:2], rows, out),
        (vector, rows, out[:4]),
        (vector, rows[:3], out[:3]),
        (vector.astype(np.float64), rows, out),
        (vector, rows.astype(np.float64), out),
        (vector, rows, out.astype(np.float64)),
        (vector[:, None], rows, out),
    ):
        with pytest.raises(ConfigError, match=r"vector, rows and out are .* must be float32 \[d\], \[I, d\] and \[I\] with I at least 4"):
            dots(*given_as)

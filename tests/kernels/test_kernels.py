import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.kernels import propagation
from recq_lib.kernels.propagation import balanced_chunks


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300))
def test_chunks_cover_rows_once(degrees):
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    chunks = balanced_chunks(indptr)
    assert chunks[0] == 0 and chunks[-1] == len(degrees)
    assert (np.diff(chunks) > 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 3, 8, 13, 64, 70, 100, 128])
@pytest.mark.parametrize("density", [0.02, 0.4])
def test_products_equal_dense_products_on_any_number_of_threads(dtype, dim, density, monkeypatch):
    rng = np.random.default_rng(dim)
    matrix = sp.random(300, 300, density=density, random_state=rng, dtype=dtype, format="csr")
    chunks, x = balanced_chunks(matrix.indptr), rng.standard_normal((300, dim)).astype(dtype)
    slot = np.full(300, -1, np.int32)
    slot[::7] = rng.permutation(slot[::7].size)
    extra, rows = rng.standard_normal((slot[::7].size, dim)).astype(dtype), np.arange(0, 300, 5)
    csr = (matrix.indptr, matrix.indices, matrix.data)
    dense, few, at = matrix.toarray().astype(np.float64), np.zeros((300, dim)), np.zeros((300, dim))
    few[::7] = extra[slot[::7]]
    at[rows] = (dense @ x)[rows]
    upper = rng.standard_normal((rows.size, dim)).astype(dtype)

    def from_few(out):
        met = propagation.take(*csr, rows, 300)[1]
        propagation.product(*met, chunks, upper, out, slot=slot, extra=extra)

    def in_place(out, add):
        out[:] = add
        propagation.product_at(*csr, rows, x, out, places=rows, add=bool(add))

    cases = [
        (lambda out: propagation.product(*csr, chunks, x, out), dense @ x),
        (lambda out: propagation.product_at(*csr, rows, x, out), (dense @ x)[rows]),
        (lambda out: in_place(out, 0), at),
        (lambda out: in_place(out, 1), at + 1),
        (lambda out: propagation.product(*csr, chunks, x, out, slot=slot, extra=extra), dense @ x + few),
        (from_few, dense[rows].T @ upper + few),
    ]
    for run, expected in cases:
        results = []
        for work in (0, 10**12):  # below this many multiply-adds one thread works alone
            monkeypatch.setattr(propagation, "_SERIAL_WORK", work)
            results.append(np.full(expected.shape, np.nan, dtype))
            run(results[-1])
        np.testing.assert_allclose(results[0], expected, atol=1e-4 if dtype == np.float32 else 1e-11)
        np.testing.assert_array_equal(results[0], results[1])


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 20))
def test_taken_rows_and_their_transpose(seed, n_rows, n_columns):
    rng = np.random.default_rng(seed)
    matrix = sp.random(n_rows, n_columns, density=0.3, random_state=rng, format="csr")
    rows = rng.permutation(n_rows)[: rng.integers(0, n_rows + 1)]
    taken, turned = propagation.take(matrix.indptr, matrix.indices, matrix.data, rows, n_columns)
    by_row = sp.csr_matrix(taken[::-1], shape=(rows.size, n_columns))
    by_column = sp.csr_matrix(turned[::-1], shape=(n_columns, rows.size))
    np.testing.assert_array_equal(by_row.toarray(), matrix.toarray()[rows])
    np.testing.assert_array_equal(by_column.toarray(), matrix.toarray()[rows].T)
    assert by_column.has_sorted_indices


def test_wide_tables_of_dense_graphs_are_blocked_and_others_are_not_copied():
    x = np.arange(5 * 128, dtype=np.float32).reshape(5, 128)
    blocked = propagation._blocks(x, mean_degree=1000)
    np.testing.assert_array_equal(np.concatenate(list(blocked), axis=1), x)
    assert blocked.shape == (2, 5, 64)
    for table, degree in ((x, 3), (x[:, :64].copy(), 1000), (x[:, :100].copy(), 1000)):
        assert np.shares_memory(propagation._blocks(table, degree), table)


def test_the_two_compilations_are_cached_apart():
    kernels = (propagation._product, propagation._product_at)
    names = {name for kernel in kernels for name in (kernel.serial, kernel.parallel)}
    paths = {(k.stats.cache_path, k.py_func.__qualname__) for k in names}
    assert len(paths) == len(names) == 4

import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.kernels import propagation
from recq_lib.kernels.propagation import balanced_chunks
from recq_lib.kernels.topk import top_of_rows


@settings(deadline=None)
@given(
    scores=st.lists(st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.5, 2.0]) | st.floats(-3, 3, width=32), min_size=1, max_size=60),
    k=st.integers(1, 60),
)
def test_top_of_rows_equals_stable_sort(scores, k):
    row = np.array(scores, np.float32)
    k = min(k, row.size)
    out_scores, out_positions = np.empty((1, k), np.float32), np.empty((1, k), np.int32)
    top_of_rows(row[None, :].copy(), out_scores, out_positions)
    order = sorted((j for j in range(row.size) if row[j] > -np.inf), key=lambda j: (-row[j], j))[:k]
    assert out_positions[0].tolist() == order + [-1] * (k - len(order))


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300))
def test_chunks_cover_rows_once(degrees):
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    chunks = balanced_chunks(indptr)
    assert chunks[0] == 0 and chunks[-1] == len(degrees)
    assert (np.diff(chunks) > 0).all()


def test_one_thread_and_all_threads_give_the_same_bits():
    rng = np.random.default_rng(0)
    matrix = sp.random(300, 300, density=0.1, random_state=rng, dtype=np.float32, format="csr")
    chunks, x = balanced_chunks(matrix.indptr), rng.standard_normal((300, 16)).astype(np.float32)
    slot = np.full(300, -1, np.int32)
    slot[::7] = np.arange(slot[::7].size)
    extra, rows = x[: slot[::7].size].copy(), np.arange(0, 300, 5)
    csr = (matrix.indptr, matrix.indices, matrix.data)
    dense, few = matrix.toarray().astype(np.float64), np.zeros((300, 16))
    few[::7] = extra
    cases = [
        (propagation.product, (*csr, chunks, x), dense @ x),
        (propagation.product_at, (*csr, rows, x), (dense @ x)[rows]),
        (propagation.product_plus, (*csr, chunks, x, slot, extra), dense @ x + few),
        (propagation.product_from, (*csr, chunks, slot, extra, extra), dense @ few + few),
    ]
    for kernel, arguments, expected in cases:
        one, all_threads = (np.full(expected.shape, np.nan, np.float32) for _ in range(2))
        kernel.serial(*arguments, one)
        kernel.parallel(*arguments, all_threads)
        np.testing.assert_array_equal(one, all_threads)
        np.testing.assert_allclose(one, expected, atol=1e-4)


def test_the_two_compilations_are_cached_apart():
    names = {name for kernel in (propagation.product, propagation.product_from) for name in (kernel.serial, kernel.parallel)}
    paths = {(k.stats.cache_path, k.py_func.__qualname__) for k in names}
    assert len(paths) == len(names) == 4

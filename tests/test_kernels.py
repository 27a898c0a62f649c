import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.kernels import propagation, topk
from recq_lib.kernels.propagation import balanced_chunks


@given(
    scores=st.lists(st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.5, 2.0]) | st.floats(-3, 3, width=32), min_size=1, max_size=60),
    k=st.integers(1, 60),
    tile=st.integers(1, 60),
)
def test_top_of_tiles_equals_stable_sort(scores, k, tile):
    row = np.array(scores, np.float32)[None, :]
    k = min(k, row.size)
    best, place = np.empty((1, k), np.float32), np.empty((1, k), np.int32)
    topk.start(best, place, row.size)
    for first in range(0, row.size, tile):
        topk.push(np.ascontiguousarray(row[:, first : first + tile]), first, best, place)
    topk.finish(best, place, row.size)
    order = sorted((j for j in range(row.size) if row[0, j] > -np.inf), key=lambda j: (-row[0, j], j))[:k]
    assert place[0].tolist() == order + [-1] * (k - len(order))
    assert best[0, : len(order)].tolist() == row[0, order].tolist()


@given(st.lists(st.integers(0, 11), unique=True), st.integers(1, 12))
def test_masks_hit_their_items_in_any_tiling(items, tile):
    position_of = np.random.default_rng(0).permutation(12).astype(np.int32)
    row, indptr = np.zeros((1, 12), np.float32), np.array([0, len(items)], np.int32)
    for first in range(0, 12, tile):
        block = np.ascontiguousarray(row[:, first : first + tile])
        topk.mask_rows(block, first, np.array([0], np.int32), indptr, np.array(sorted(items), np.int32), position_of)
        row[:, first : first + tile] = block
    assert set(np.flatnonzero(np.isneginf(row[0]))) == {int(position_of[item]) for item in items}


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300))
def test_chunks_cover_rows_once(degrees):
    indptr = np.concatenate([[0], np.cumsum(degrees)])
    chunks = balanced_chunks(indptr)
    assert chunks[0] == 0 and chunks[-1] == len(degrees)
    assert (np.diff(chunks) > 0).all()


def test_threads_and_prefetching_do_not_change_a_bit():
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
        results = []
        for ahead in (0, 16):
            for compiled in (kernel.serial, kernel.parallel):
                results.append(np.full(expected.shape, np.nan, np.float32))
                compiled(ahead, *arguments, results[-1])
        np.testing.assert_allclose(results[0], expected, atol=1e-4)
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)


def test_the_two_compilations_are_cached_apart():
    names = {name for kernel in (propagation.product, propagation.product_from) for name in (kernel.serial, kernel.parallel)}
    paths = {(k.stats.cache_path, k.py_func.__qualname__) for k in names}
    assert len(paths) == len(names) == 4

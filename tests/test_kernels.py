import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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

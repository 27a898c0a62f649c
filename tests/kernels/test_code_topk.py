"""The fused selection equals a naive sort of the scores: for few and many users, any threads and parts, exclusions, ties, short lists."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from code_oracle import float32_scores, laid, naive_best, random_side, side_of
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels import code_topk, topk


def pushed(user, item, k, masks=(), *, seed=0, step=None):
    """By `push`, the items in parts of `step`."""
    n_users, n_items = user.planes.shape[1], item.planes.shape[1]
    order, numbers = topk.tie_order(n_items, seed), np.arange(n_users, dtype=np.int32)
    skip, (scores, places) = topk.excluded(masks, numbers, n_items, topk.tie_positions(n_items, seed)), topk.heaps(n_users, k, n_items)
    for first in range(0, n_items, n_items if step is None else step):
        users, items = laid(user, item, order[first : first + (n_items if step is None else step)])
        code_topk.push(users, items, first, skip, scores, places)
    return topk.finish(scores, places, order)


def of_few(user, item, k, masks=(), *, seed=0):
    n_users, n_items = user.planes.shape[1], item.planes.shape[1]
    order = topk.tie_order(n_items, seed)
    skip = topk.excluded(masks, np.arange(n_users, dtype=np.int32), n_items, topk.tie_positions(n_items, seed))
    return code_topk.best_of_few(*laid(user, item, order), skip, k, order)


def assert_best(user, item, k, banned=None, *, seed=0, step=None):
    order = np.random.default_rng(seed).permutation(item.planes.shape[1])
    masks = () if banned is None else [sp.csr_matrix(banned)]
    sets = None if banned is None else [set(np.flatnonzero(row).tolist()) for row in banned]
    wanted = naive_best(float32_scores(user, item), k, order, sets)
    for got in (pushed(user, item, k, masks, seed=seed, step=step), of_few(user, item, k, masks, seed=seed)):
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.fixture(params=[1, 2])
def threads(request):
    """As many threads, and items shared out among them however few they are."""
    if request.param > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("needs two threads: NUMBA_NUM_THREADS is 1")
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_topk, "_LEAST_GROUPS", 1)
        yield request.param
    numba.set_num_threads(before)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("ones", [True, False])
def test_lists_equal_a_sort_of_the_scores(rng, threads, bits, ones):
    for n_users, n_items, dim, k in ((1, 300, 20, 10), (5, 449, 70, 20), (70, 130, 9, 7)):
        user, item = random_side(rng, 2, n_users, dim, bits, ones=ones), random_side(rng, 2, n_items, dim, bits, ones=ones)
        assert_best(user, item, k, seed=bits, step=128)


@pytest.mark.parametrize("n_items", [1, 2, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("n_users", [0, 1, 2, 33])
def test_sizes_around_groups_and_lists_longer_than_the_catalogue(rng, threads, n_items, n_users):
    for k in (1, 64, n_items, n_items + 3):
        user, item = random_side(rng, 1, n_users, 6, 2, ones=True), random_side(rng, 1, n_items, 6, 2, ones=True)
        assert_best(user, item, k, step=64)


@pytest.mark.parametrize("n_items", [1, 63, 64, 65, 130, 700])
def test_equal_items_keep_the_order_of_ties(threads, n_items):
    user, item = side_of(np.ones((1, 40, 5), int), 1), side_of(np.ones((1, n_items, 5), int), 1)
    for seed in (0, 1):
        expected = np.random.default_rng(seed).permutation(n_items)[:50]
        for got in (pushed(user, item, 50, seed=seed, step=64), of_few(user, item, 50, seed=seed)):
            np.testing.assert_array_equal(got[0][:, : expected.size], np.tile(expected, (40, 1)))


def test_zeros_of_either_sign_are_equal(threads):
    """A negative factor times 0 gives -0.0, which is no less than 0.0."""
    levels = np.tile([[1], [1]], (1, 1, 1)).repeat(65, axis=1).reshape(1, 130, 1)
    factors = np.where(np.arange(130) % 2, 1.0, -1.0).astype(np.float32)[None]
    user, item = side_of(np.ones((1, 3, 1), int), 1, np.zeros((1, 3), np.float32)), side_of(levels, 1, factors)
    assert np.signbit(factors[0, ::2] * np.float32(0)).all()
    order = np.random.default_rng(0).permutation(130)
    for items, _ in (pushed(user, item, 130), of_few(user, item, 130)):
        np.testing.assert_array_equal(items, np.tile(order, (3, 1)))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_what_stands_behind_the_last_item_is_never_found(threads, bits):
    """Behind item 69 the group holds zeros, whose score, 0, is above all others."""
    user, item = side_of(np.ones((1, 20, 8), int), bits), side_of(-np.ones((1, 70, 8), int), bits)
    for items, scores in (pushed(user, item, 80), of_few(user, item, 80)):
        assert (np.sort(items[:, :70], axis=1) == np.arange(70)).all() and (scores[:, :70] == -8).all()
        assert (items[:, 70:] == -1).all() and (scores[:, 70:] == -np.inf).all()


@given(
    st.integers(1, 8), st.integers(1, 20), st.integers(1, 200), st.integers(1, 30), st.floats(0, 1), st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_excluded_items_are_left_out(bits, n_users, n_items, k, density, parts, seed):
    rng = np.random.default_rng(seed)
    user, item = random_side(rng, 1, n_users, 4, bits, ones=True), random_side(rng, 1, n_items, 4, bits, ones=True)
    banned = rng.random((n_users, n_items)) < density * rng.random((n_users, 1))
    assert_best(user, item, k, banned, step=64 * parts)


def test_users_with_everything_excluded_get_nothing(rng, threads):
    user, item = random_side(rng, 1, 20, 9), random_side(rng, 1, 200, 9)
    assert_best(user, item, 5, np.ones((20, 200), bool), step=64)
    assert_best(user, item, 5, np.arange(20)[:, None] % 2 == np.zeros(200), step=64)


@pytest.mark.parametrize("rising", [1, -1])
def test_catalogues_in_order_of_their_scores(threads, rising):
    """Every item enters the heap, or none behind the first K."""
    user = side_of(np.ones((1, 20, 3), int), 1)
    item = side_of(np.ones((1, 500, 3), int), 1, rising * np.arange(500, dtype=np.float32)[None] + np.float32(0.5))
    order = topk.tie_order(500, 0)
    sorted_by_place = type(item)(item.levels, item.planes, item.factors[:, topk.tie_positions(500, 0)])
    assert_best(user, sorted_by_place, 30, step=64)
    assert of_few(user, sorted_by_place, 1)[0][0, 0] == order[-1 if rising > 0 else 0]


def test_users_are_shared_out_in_blocks_of_any_size(rng, monkeypatch, threads):
    user, item = random_side(rng, 2, 150, 40, 3), random_side(rng, 2, 200, 40, 3)
    for block, tile in ((1, 1), (7, 10**9), (64, 24_576)):
        monkeypatch.setattr(code_topk, "_USERS", block)
        monkeypatch.setattr("recq_lib.kernels.code_scores._TILE_BYTES", tile)
        assert_best(user, item, 20, step=128)


def test_few_depends_on_the_threads(threads):
    assert code_topk.few(1) and code_topk.few(8 * threads - 1) and not code_topk.few(8 * threads)


def test_laid_out_arrays_that_cannot_be_written_to_need_no_compilation(rng):
    user, item = random_side(rng, 1, 3, 20), random_side(rng, 1, 100, 20)
    of_few(user, item, 3), pushed(user, item, 3)
    before = len(code_topk._few.signatures), len(code_topk._push_users.signatures)
    order = np.array(topk.tie_order(100, 0))
    users, items = laid(user, item, order)
    skip = topk.excluded((), np.arange(3, dtype=np.int32), 100)
    for part in (*users[:2], *items[:2]):
        part.setflags(write=False)
    code_topk.best_of_few(users, items, skip, 3, order)
    code_topk.push(users, items, 0, skip, *topk.heaps(3, 3, 100))
    assert (len(code_topk._few.signatures), len(code_topk._push_users.signatures)) == before


def test_sides_that_do_not_fit_are_named(rng):
    users, items = laid(random_side(rng, 1, 3, 20), random_side(rng, 1, 100, 20))
    others, _ = laid(random_side(rng, 1, 3, 21), random_side(rng, 1, 100, 21))
    skip = topk.excluded((), np.arange(3, dtype=np.int32), 100)
    with pytest.raises(ConfigError, match="21 columns, item codes .* 20 columns; they must agree"):
        code_topk.push(others, items, 0, skip, *topk.heaps(3, 3, 100))
    with pytest.raises(ConfigError, match="they must agree"):
        code_topk.best_of_few(others, items, skip, 3, topk.tie_order(100, 0))
    assert users.form == items.form

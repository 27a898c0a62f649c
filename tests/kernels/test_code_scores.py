"""Scores of codes of 1 to 8 bits: exact integers, float32 sums in the order of segments, the same for any threads, block or order."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from code_oracle import float32_scores, kernel_scores, laid, naive_scores, random_side, side_of
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels import code_scores
from recq_lib.kernels.item_groups import group_items, lay_users

DIMS = (1, 7, 63, 64, 65, 130, 200, 256, 512, 1100)


def assert_scores_equal(user, item):
    expected, size = naive_scores(user, item)
    got = kernel_scores(user, item)
    assert (np.abs(got - expected) <= 1e-6 * size).all()
    np.testing.assert_array_equal(got, float32_scores(user, item))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("n_segments", [1, 2, 3, 4])
def test_scores_equal_float_scores(rng, dim, n_segments):
    assert_scores_equal(random_side(rng, n_segments, 5, dim), random_side(rng, n_segments, 301, dim))


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", [1, 7, 63, 64, 65, 130, 1100])
def test_products_of_codes_of_any_width_are_exact_integers(rng, bits, dim):
    user, item = (random_side(rng, 1, n, dim, bits, ones=True) for n in (4, 70))
    np.testing.assert_array_equal(kernel_scores(user, item), (user.levels[0] @ item.levels[0].T).astype(np.float32))


@given(
    st.integers(1, 8), st.integers(1, 4), st.integers(0, 9), st.integers(0, 70), st.integers(1, 140), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_scores_equal_float_scores_for_any_shape(bits, n_segments, n_users, n_items, dim, seed):
    rng = np.random.default_rng(seed)
    assert_scores_equal(random_side(rng, n_segments, n_users, dim, bits), random_side(rng, n_segments, n_items, dim, bits))


@pytest.mark.parametrize("bits", range(1, 9))
def test_segments_are_added_in_order_in_float32(rng, bits):
    user, item = random_side(rng, 3, 7, 100, bits), random_side(rng, 3, 40, 100, bits)
    np.testing.assert_array_equal(kernel_scores(user, item), float32_scores(user, item))
    backwards = [type(side)(*(part[::-1] for part in side)) for side in (user, item)]
    assert (float32_scores(*backwards) != float32_scores(user, item)).any()  # the order can be seen


def test_products_beyond_24_bits_are_rounded_once(rng):
    """2,000 columns of 8 bits reach 130 million: the integer is exact, its float32 the nearest there is."""
    codes = side_of(255 - 2 * rng.integers(0, 3, (1, 40, 2000)), 8)
    exact = codes.levels[0] @ codes.levels[0].T
    assert exact.min() > 2**24 and (exact % 2**3 != 0).any()
    np.testing.assert_array_equal(kernel_scores(codes, codes), exact.astype(np.float32))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads: NUMBA_NUM_THREADS is 1")
@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_number_of_threads_does_not_matter(rng, bits):
    user, item = random_side(rng, 3, 20, 256, bits), random_side(rng, 3, 3000, 256, bits)
    before, results = numba.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            results.append(kernel_scores(user, item))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("bits", [1, 4, 5])
def test_a_user_scores_the_same_alone_and_in_a_block(rng, bits):
    user, item = random_side(rng, 2, 11, 130, bits), random_side(rng, 2, 290, 130, bits)
    block = kernel_scores(user, item)
    for u in range(11):
        one = type(user)(*(part[:, u : u + 1] for part in user))
        np.testing.assert_array_equal(kernel_scores(one, item), block[u : u + 1])


def test_views_need_not_be_contiguous(rng):
    user, item = random_side(rng, 2, 8, 65), random_side(rng, 2, 90, 65)
    users, items = (type(side)(*(part[:, ::2] for part in side)) for side in (user, item))
    np.testing.assert_array_equal(kernel_scores(users, items), kernel_scores(user, item)[::2, ::2])


@pytest.mark.parametrize("dim", DIMS)
def test_one_bit_counts_differing_bits(rng, dim):
    user, item = (random_side(rng, 1, n, dim, ones=True) for n in (6, 333))
    differing = np.bitwise_count(user.planes[0][:, None, 0] ^ item.planes[0][None, :, 0]).sum(axis=2, dtype=np.int64)
    np.testing.assert_array_equal(kernel_scores(user, item), dim - 2 * differing)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("n_words", [1, 15, 16, 17, 31, 40])
def test_extreme_codes_do_not_overflow(n_words, bits):
    """All bits differ, or none: bytes of counts, and pairs of products, are as full as they can be."""
    low, high = np.zeros((1, 2, bits, n_words), np.uint64), np.full((1, 50, bits, n_words), 2**64 - 1, np.uint64)
    one, many, out, top = np.ones((1, 2), np.float32), np.ones((1, 50), np.float32), np.empty((2, 50), np.float32), 2**bits - 1
    for users, items, sign in ((low, high, -1), (high[:, :2], np.repeat(low, 25, axis=1), -1), (high[:, :2], high, 1)):
        dim = 64 * n_words
        code_scores.scores(lay_users(users, one, dim), group_items(items, many, dim), out)
        assert (out == sign * dim * top**2).all()


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_some_of_the_items_score_as_in_the_whole(rng, bits):
    user, item = random_side(rng, 2, 3, 70, bits), random_side(rng, 2, 165, 70, bits)
    whole = kernel_scores(user, item)
    for rows in (np.arange(64), np.arange(64, 165), np.array([164]), rng.permutation(165), np.array([5, 5, 0]), np.arange(0)):
        users, items = laid(user, item, rows)
        out = np.full((3, rows.size), np.nan, np.float32)
        code_scores.scores(users, items, out)
        np.testing.assert_array_equal(out, whole[:, rows])


def test_what_is_mapped_from_a_file_needs_no_compilation_of_its_own(rng):
    user, item = random_side(rng, 2, 3, 70), random_side(rng, 2, 165, 70)
    users, items = laid(user, item)
    expected, before = kernel_scores(user, item), len(code_scores._fill.signatures)
    for part in (*users[:2], *items[:2]):
        part.setflags(write=False)
    out = np.empty((3, 165), np.float32)
    code_scores.scores(users, items, out)
    np.testing.assert_array_equal(out, expected)
    assert len(code_scores._fill.signatures) == before


def test_sides_and_results_that_do_not_fit_are_named(rng):
    user, item, out = random_side(rng, 2, 3, 70), random_side(rng, 2, 5, 70), np.empty((3, 5), np.float32)
    one_segment = type(user)(*(part[:1] for part in user))
    for users, items, result, text in (
        (one_segment, item, out, "1 × 1 × 2 segments × bits × words and 70 columns, item codes 2 × 1 × 2"),
        (user, random_side(rng, 2, 5, 70, 2), out, "user codes have 2 × 1 × 2 .* item codes 2 × 2 × 2"),
        (user, random_side(rng, 2, 5, 71), out, "and 70 columns, item codes .* and 71 columns"),
        (user, item, out.T, r"out is float32 of shape \(5, 3\)"),
        (user, item, out.astype(np.float64), "out is float64"),
    ):
        with pytest.raises(ConfigError, match=text):
            code_scores.scores(*laid(users, items), result)


def test_the_largest_products_fit():
    """33,025 columns of 8 bits: d·L² is just below 2^31."""
    low, high = np.zeros((1, 1, 8, 517), np.uint64), np.full((1, 1, 8, 517), 2**64 - 1, np.uint64)
    high[..., -1] = 1  # 33,025 = 64·516 + 1
    one, out = np.ones((1, 1), np.float32), np.empty((1, 1), np.float32)
    for planes, expected in ((low, -33_025 * 255**2), (high, 33_025 * 255**2)):
        code_scores.scores(lay_users(high, one, 33_025), group_items(planes, one, 33_025), out)
        assert out[0, 0] == np.float32(expected)

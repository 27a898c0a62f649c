import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels import popcount

DIMS = (1, 63, 64, 65, 200, 256, 512, 1100)


def random_codes(rng, n_segments, n, dim):
    """(booleans [S, n, d], the same as words, scales float32 [S, n] of either sign)."""
    flags = rng.integers(0, 2, (n_segments, n, dim)).astype(bool)
    words = np.zeros((n_segments, n, -(-dim // 64)), np.uint64)
    for k in range(dim):
        words[:, :, k // 64] |= flags[:, :, k].astype(np.uint64) << np.uint64(k % 64)
    return flags, words, rng.normal(size=(n_segments, n)).astype(np.float32)


def naive_scores(user_flags, user_scales, item_flags, item_scales):
    """Sums over segments of scaled products of signs in float64, and of their absolute values (the scale of rounding errors)."""
    total, size = 0.0, 0.0
    for u, su, i, si in zip(user_flags, user_scales, item_flags, item_scales, strict=True):
        dots = np.where(u, 1.0, -1.0) @ np.where(i, 1.0, -1.0).T
        part = su[:, None].astype(np.float64) * si[None, :].astype(np.float64) * dots
        total, size = total + part, size + np.abs(part)
    return total, size


def bitwise_scores(user, item, dim):
    out = np.full((user[1].shape[1], item[1].shape[1]), np.nan, np.float32)
    popcount.scores(user[1], user[2], item[1], item[2], dim, out)
    return out


def assert_scores_equal(user, item, dim):
    expected, size = naive_scores(user[0], user[2], item[0], item[2])
    assert (np.abs(bitwise_scores(user, item, dim) - expected) <= 1e-6 * size).all()


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("n_segments", [1, 2, 3, 4])
def test_scores_equal_float_scores(rng, dim, n_segments):
    assert_scores_equal(random_codes(rng, n_segments, 5, dim), random_codes(rng, n_segments, 301, dim), dim)


@given(st.integers(1, 4), st.integers(0, 9), st.integers(0, 70), st.integers(1, 140), st.integers(0, 2**32 - 1))
def test_scores_equal_float_scores_for_any_shape(n_segments, n_users, n_items, dim, seed):
    rng = np.random.default_rng(seed)
    assert_scores_equal(random_codes(rng, n_segments, n_users, dim), random_codes(rng, n_segments, n_items, dim), dim)


def test_segments_are_added_in_order_in_float32(rng):
    user, item = random_codes(rng, 3, 7, 100), random_codes(rng, 3, 40, 100)
    expected = np.zeros((7, 40), np.float32)
    for s in range(3):
        dots = np.where(user[0][s], 1, -1) @ np.where(item[0][s], 1, -1).T
        expected += (user[2][s][:, None] * item[2][s][None, :]) * dots.astype(np.float32)
    np.testing.assert_array_equal(bitwise_scores(user, item, 100), expected)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads: NUMBA_NUM_THREADS is 1")
def test_number_of_threads_does_not_matter(rng):
    user, item = random_codes(rng, 3, 20, 256), random_codes(rng, 3, 3000, 256)
    before, results = numba.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            results.append(bitwise_scores(user, item, 256))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_a_user_scores_the_same_alone_and_in_a_block(rng):
    user, item = random_codes(rng, 2, 11, 130), random_codes(rng, 2, 290, 130)
    block = bitwise_scores(user, item, 130)
    for u in range(11):
        one = tuple(part[:, u : u + 1] for part in user)
        np.testing.assert_array_equal(bitwise_scores(one, item, 130), block[u : u + 1])


def test_views_need_not_be_contiguous(rng):
    user, item = random_codes(rng, 2, 8, 65), random_codes(rng, 2, 90, 65)
    users, items = (tuple(part[:, ::2] for part in side) for side in (user, item))
    np.testing.assert_array_equal(bitwise_scores(users, items, 65), bitwise_scores(user, item, 65)[::2, ::2])


@pytest.mark.parametrize("dim", DIMS)
def test_hamming_equals_bitwise_count(rng, dim):
    users, items = random_codes(rng, 1, 6, dim)[1][0], random_codes(rng, 1, 333, dim)[1][0]
    out = np.full((6, 333), -1, np.int32)
    popcount.hamming(users, items, out)
    np.testing.assert_array_equal(out, np.bitwise_count(users[:, None, :] ^ items[None, :, :]).sum(axis=2, dtype=np.int64))


@pytest.mark.parametrize("n_words", [15, 16, 17, 31, 40])
def test_counts_of_opposite_codes_do_not_overflow(n_words):
    """All bits differ: bytes of counts are as full as they can be."""
    zeros, ones = np.zeros((2, n_words), np.uint64), np.full((50, n_words), 2**64 - 1, np.uint64)
    out = np.empty((2, 50), np.int32)
    popcount.hamming(zeros, ones, out)
    assert (out == 64 * n_words).all()


def test_wrong_arguments_are_named(rng):
    user, item = random_codes(rng, 2, 3, 70), random_codes(rng, 2, 5, 70)
    out = np.empty((3, 5), np.float32)
    for arguments, text in (
        ((user[1].view(np.int64), user[2], item[1], item[2], 70, out), "user bits are int64"),
        ((user[1], user[2], item[1][0], item[2], 70, out), r"item bits are uint64 of shape \(5, 2\)"),
        ((user[1], user[2].astype(np.float64), item[1], item[2], 70, out), "user scales are float64"),
        ((user[1], user[2], item[1], item[2][:, :4], 70, out), r"item scales are float32 of shape \(2, 4\)"),
        ((user[1][:1], user[2][:1], item[1], item[2], 70, out), "1 × 2 segments × words, item codes 2 × 2"),
        ((user[1], user[2], item[1], item[2], 64, out), "dim is 64, but codes of 2 words hold 65 to 128"),
        ((user[1], user[2], item[1], item[2], 129, out), "dim is 129"),
        ((user[1], user[2], item[1], item[2], 70, out.T), r"out is float32 of shape \(5, 3\)"),
        ((user[1], user[2], item[1], item[2], 70, out.astype(np.float64)), "out is float64"),
    ):
        with pytest.raises(ConfigError, match=text):
            popcount.scores(*arguments)
    for users, items, text in (
        (user[1][0], item[1][0][:, :1], r"shapes \(3, 2\) and \(5, 1\)"),
        (user[1], item[1], "must be"),
        (user[1][0].view(np.int64), item[1][0], "user bits are int64"),
        (user[1][0], item[1][0], "out is float32"),
    ):
        with pytest.raises(ConfigError, match=text):
            popcount.hamming(users, items, out)

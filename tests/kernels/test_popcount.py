import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels import popcount

DIMS = (1, 63, 64, 65, 200, 256, 512, 1100)


def random_codes(rng, n_segments, n, dim, bits=1):
    """(odd integers [S, n, d], the same as planes, factors float32 [S, n] of either sign)."""
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n, dim)) - (2**bits - 1)
    planes = np.zeros((n_segments, n, bits, -(-dim // 64)), np.uint64)
    for m in range(bits):
        for k in range(dim):
            bit = (levels[:, :, k] + 2**bits - 1) // 2 >> m & 1
            planes[:, :, m, k // 64] |= bit.astype(np.uint64) << np.uint64(k % 64)
    return levels, planes, rng.normal(size=(n_segments, n)).astype(np.float32)


def naive_scores(user, item):
    """Sums over segments of scaled products of codes in float64, and of their absolute values (the scale of rounding errors)."""
    total, size = 0.0, 0.0
    for u, su, i, si in zip(user[0], user[2], item[0], item[2], strict=True):
        part = su[:, None].astype(np.float64) * si[None, :].astype(np.float64) * (u.astype(np.float64) @ i.T.astype(np.float64))
        total, size = total + part, size + np.abs(part)
    return total, size


def plane_scores(user, item, dim):
    out = np.full((user[1].shape[1], item[1].shape[1]), np.nan, np.float32)
    popcount.scores(user[1], user[2], popcount.group_items(item[1], item[2]), dim, out)
    return out


def with_ones(codes):
    return codes[0], codes[1], np.ones_like(codes[2])


def assert_scores_equal(user, item, dim):
    expected, size = naive_scores(user, item)
    assert (np.abs(plane_scores(user, item, dim) - expected) <= 1e-6 * size).all()


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("n_segments", [1, 2, 3, 4])
def test_scores_equal_float_scores(rng, dim, n_segments):
    assert_scores_equal(random_codes(rng, n_segments, 5, dim), random_codes(rng, n_segments, 301, dim), dim)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", [1, 63, 64, 65, 130])
def test_products_of_codes_of_any_width_are_exact_integers(rng, bits, dim):
    user, item = (with_ones(random_codes(rng, 1, n, dim, bits)) for n in (4, 70))
    np.testing.assert_array_equal(plane_scores(user, item, dim), user[0][0] @ item[0][0].T)


@given(
    st.integers(1, 8), st.integers(1, 4), st.integers(0, 9), st.integers(0, 70), st.integers(1, 140), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_scores_equal_float_scores_for_any_shape(bits, n_segments, n_users, n_items, dim, seed):
    rng = np.random.default_rng(seed)
    assert_scores_equal(random_codes(rng, n_segments, n_users, dim, bits), random_codes(rng, n_segments, n_items, dim, bits), dim)


@pytest.mark.parametrize("bits", [1, 3])
def test_segments_are_added_in_order_in_float32(rng, bits):
    user, item = random_codes(rng, 3, 7, 100, bits), random_codes(rng, 3, 40, 100, bits)
    expected = np.zeros((7, 40), np.float32)
    for s in range(3):
        expected += (user[2][s][:, None] * item[2][s][None, :]) * (user[0][s] @ item[0][s].T).astype(np.float32)
    np.testing.assert_array_equal(plane_scores(user, item, 100), expected)


def test_products_beyond_24_bits_are_rounded_once(rng):
    """2,000 columns of 8 bits reach 130 million: the integer is exact, its float32 the nearest there is."""
    levels = 255 - 2 * rng.integers(0, 3, (1, 40, 2000))
    planes = np.zeros((1, 40, 8, 32), np.uint64)
    for m in range(8):
        for k in range(2000):
            planes[0, :, m, k // 64] |= ((levels[0, :, k] + 255) // 2 >> m & 1).astype(np.uint64) << np.uint64(k % 64)
    codes = (levels, planes, np.ones((1, 40), np.float32))
    exact = levels[0] @ levels[0].T
    assert exact.min() > 2**24 and (exact % 2**3 != 0).any()
    np.testing.assert_array_equal(plane_scores(codes, codes, 2000), exact.astype(np.float32))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads: NUMBA_NUM_THREADS is 1")
def test_number_of_threads_does_not_matter(rng):
    user, item = random_codes(rng, 3, 20, 256, 2), random_codes(rng, 3, 3000, 256, 2)
    before, results = numba.get_num_threads(), []
    try:
        for n_threads in (1, 2):
            numba.set_num_threads(n_threads)
            results.append(plane_scores(user, item, 256))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_a_user_scores_the_same_alone_and_in_a_block(rng):
    user, item = random_codes(rng, 2, 11, 130), random_codes(rng, 2, 290, 130)
    block = plane_scores(user, item, 130)
    for u in range(11):
        one = tuple(part[:, u : u + 1] for part in user)
        np.testing.assert_array_equal(plane_scores(one, item, 130), block[u : u + 1])


def test_views_need_not_be_contiguous(rng):
    user, item = random_codes(rng, 2, 8, 65), random_codes(rng, 2, 90, 65)
    users, items = (tuple(part[:, ::2] for part in side) for side in (user, item))
    np.testing.assert_array_equal(plane_scores(users, items, 65), plane_scores(user, item, 65)[::2, ::2])


@pytest.mark.parametrize("dim", DIMS)
def test_one_bit_counts_differing_bits(rng, dim):
    user, item = (with_ones(random_codes(rng, 1, n, dim)) for n in (6, 333))
    differing = np.bitwise_count(user[1][0][:, None, 0] ^ item[1][0][None, :, 0]).sum(axis=2, dtype=np.int64)
    np.testing.assert_array_equal(plane_scores(user, item, dim), dim - 2 * differing)


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("n_words", [15, 16, 17, 31, 40])
def test_counts_of_opposite_codes_do_not_overflow(n_words, bits):
    """All bits differ: bytes of counts are as full as they can be."""
    low = (None, np.zeros((1, 2, bits, n_words), np.uint64), np.ones((1, 2), np.float32))
    high = (None, np.full((1, 50, bits, n_words), 2**64 - 1, np.uint64), np.ones((1, 50), np.float32))
    assert (plane_scores(low, high, 64 * n_words) == -64 * n_words * (2**bits - 1) ** 2).all()


@pytest.mark.parametrize("bits", [1, 8])
def test_a_part_of_the_items_scores_as_in_the_whole(rng, bits):
    user, item = random_codes(rng, 2, 3, 70, bits), random_codes(rng, 2, 165, 70, bits)
    items, whole = popcount.group_items(item[1], item[2]), plane_scores(user, item, 70)
    for first, n in ((0, 64), (64, 64), (128, 64), (96, 1), (0, 165), (160, 1000)):
        part = items.part(first, n)
        out = np.full((3, part.n_items), np.nan, np.float32)
        popcount.scores(user[1], user[2], part, 70, out)
        np.testing.assert_array_equal(out, whole[:, first : first + n])
        assert np.shares_memory(part.words, items.words)


def test_wrong_arguments_are_named(rng):
    user, item = random_codes(rng, 2, 3, 70), random_codes(rng, 2, 5, 70)
    out = np.empty((3, 5), np.float32)
    for (planes, factors, item_planes, item_factors, dim, result), text in (
        ((user[1].view(np.int64), user[2], item[1], item[2], 70, out), "user planes are int64"),
        ((user[1], user[2], item[1][0], item[2], 70, out), r"item planes are uint64 of shape \(5, 1, 2\)"),
        ((user[1], user[2], item[1][:, :, :0], item[2], 70, out), r"item planes are uint64 of shape \(2, 5, 0, 2\)"),
        ((user[1], user[2].astype(np.float64), item[1], item[2], 70, out), "user factors are float64"),
        ((user[1], user[2], item[1], item[2][:, :4], 70, out), r"item factors are float32 of shape \(2, 4\)"),
        ((user[1][:1], user[2][:1], item[1], item[2], 70, out), "1 × 1 × 2 segments × bits × words, item codes 2 × 1 × 2"),
        ((user[1], user[2], item[1].repeat(2, axis=2), item[2], 70, out), "user codes have 2 × 1 × 2 .* item codes 2 × 2 × 2"),
        ((user[1], user[2], item[1], item[2], 64, out), "dim is 64, but codes of 2 words hold 65 to 128"),
        ((user[1], user[2], item[1], item[2], 129, out), "dim is 129"),
        ((user[1], user[2], item[1], item[2], 70, out.T), r"out is float32 of shape \(5, 3\)"),
        ((user[1], user[2], item[1], item[2], 70, out.astype(np.float64)), "out is float64"),
    ):
        with pytest.raises(ConfigError, match=text):
            popcount.scores(planes, factors, popcount.group_items(item_planes, item_factors), dim, result)
    wide = np.zeros((1, 1, 8, 517), np.uint64), np.ones((1, 1), np.float32)
    with pytest.raises(ConfigError, match="33026 columns of 8 bits give scores beyond 32-bit"):
        popcount.scores(*wide, popcount.group_items(*wide), 33_026, out[:1, :1])


def test_the_largest_products_fit():
    """33,025 columns of 8 bits: d·L² is just below 2^31."""
    low, high = np.zeros((1, 1, 8, 517), np.uint64), np.full((1, 1, 8, 517), 2**64 - 1, np.uint64)
    high[..., -1] = 1  # 33,025 = 64·516 + 1
    one, out = np.ones((1, 1), np.float32), np.empty((1, 1), np.float32)
    for planes, expected in ((low, -33_025 * 255**2), (high, 33_025 * 255**2)):
        popcount.scores(high, one, popcount.group_items(planes, one), 33_025, out)
        assert out[0, 0] == np.float32(expected)

import math
from collections import Counter

import numpy as np
import pytest
from helpers import random_interactions
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recq_lib.baselines.sharing.hashing import double_hash, frequency_hash, hybrid_hash, lsh, random_hash, universal_hash
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.parts.tables import SharedTable

PRIME = 2**61 - 1
ALL = (random_hash, frequency_hash, double_hash, hybrid_hash, lsh)


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=53, n_items=41, n_pairs=400, seed=3)


@pytest.fixture(scope="module")
def beauty_sized():
    """The sizes of BACO's Beauty, one interaction."""
    return Interactions.from_pairs((np.array([0]), np.array([0])), n_users=22_363, n_items=12_101, name="beauty-sized")


def degrees(data):
    """(of users, of items) by counting pairs."""
    users, items = data.pairs("train")
    counted = Counter(users.tolist()), Counter(items.tolist())
    return [counted[0][u] for u in range(data.n_users)], [counted[1][i] for i in range(data.n_items)]


def private_ids(degree, n_rows):
    return sorted(range(len(degree)), key=lambda node: (-degree[node], node))[: n_rows // 2]


# ---- the hash function --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, PRIME - 1), min_size=1, max_size=5), st.integers(1, 10**6), st.integers(0, 99))
def test_hash_is_exact_however_large_the_id(ids, n_rows, seed):
    rng = np.random.default_rng(seed)
    a, b = int(rng.integers(1, PRIME)), int(rng.integers(0, PRIME))
    expected = [((a * i + b) % PRIME) % n_rows for i in ids]
    got = universal_hash(np.array(ids, dtype=np.int64), n_rows, np.random.default_rng(seed))
    assert got.dtype == np.int64 and got.tolist() == expected


def test_hash_is_linear_modulo_the_prime():
    """With as many rows as the prime the outer modulo is idle, so second differences vanish modulo p: no overflow happened."""
    h = [int(value) for value in universal_hash(np.arange(200), PRIME, np.random.default_rng(0))]
    step = (h[1] - h[0]) % PRIME
    assert step != 0 and all((h[i + 1] - h[i]) % PRIME == step for i in range(199))


def test_two_ids_collide_once_in_k_and_every_row_is_as_likely():
    n_rows, draws, rng = 7, 4000, np.random.default_rng(5)
    rows = np.array([universal_hash(np.array([3, 90]), n_rows, rng) for _ in range(draws)])
    collisions = int((rows[:, 0] == rows[:, 1]).sum())
    assert stats.binomtest(collisions, draws, 1 / n_rows).pvalue > 1e-3
    for column in rows.T:
        assert stats.chisquare(np.bincount(column, minlength=n_rows)).pvalue > 1e-3


def test_unusable_ids_are_refused():
    for ids in (np.array([0.5]), np.array([-1]), np.array([PRIME])):
        with pytest.raises(ConfigError, match="whole numbers in"):
            universal_hash(ids, 3, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="n_rows is 0"):
        universal_hash(np.arange(3), 0, np.random.default_rng(0))


# ---- random and frequency hashing ---------------------------------------------------------------------------------------------


@given(st.integers(1, 53), st.integers(1, 41), st.integers(0, 5))
def test_random_hash_fills_rows_evenly(n_user_rows, n_item_rows, seed):
    sharing = random_hash(random_interactions(n_users=53, n_items=41, seed=3), n_user_rows, n_item_rows, seed=seed)
    for rows, n, n_rows in ((sharing.users, 53, n_user_rows), (sharing.items, 41, n_item_rows)):
        counts = np.bincount(rows[:, 0], minlength=n_rows)
        assert rows.shape == (n, 1) and counts.size == n_rows
        assert set(counts) <= {n // n_rows, -(-n // n_rows)}


def test_random_hash_does_not_follow_the_order_of_ids(beauty_sized):
    users = random_hash(beauty_sized, 10, 10).users[:, 0]
    assert stats.binomtest(int((users == np.arange(users.size) % 10).sum()), users.size, 0.1).pvalue > 1e-3
    halves = np.stack([np.bincount(part, minlength=10) for part in (users[:10_000], users[10_000:])])
    assert stats.chi2_contingency(halves).pvalue > 1e-3


@pytest.mark.parametrize("sizes", [(20, 11), (1, 1), (2, 3), (53, 41)])
def test_frequency_hash_gives_popular_ids_rows_of_their_own(data, sizes):
    sharing = frequency_hash(data, *sizes, seed=1)
    for rows, degree, n_rows in zip((sharing.users, sharing.items), degrees(data), sizes, strict=True):
        private = private_ids(degree, n_rows)
        shared = n_rows - len(private)
        assert [int(rows[node, 0]) for node in private] == list(range(shared, n_rows))
        others = [int(rows[node, 0]) for node in range(len(degree)) if node not in private]
        assert all(0 <= row < shared for row in others)
        assert len(others) < 3 * shared or set(others) == set(range(shared))


# ---- double and hybrid hashing ------------------------------------------------------------------------------------------------


def test_double_hash_adds_two_independent_rows(beauty_sized):
    sharing = double_hash(beauty_sized, 9, 9, seed=2)
    counts = np.zeros((9, 9))
    np.add.at(counts, (sharing.users[:, 0], sharing.users[:, 1]), 1)
    # a linear hash of consecutive ids is more even than chance, never less
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3 and (counts > 0).all()
    table = SharedTable(double_hash(random_interactions(seed=1), 4, 3), 5)
    first, second = table.sharing.items[7]
    expected = table.weight[4 + first] + table.weight[4 + second]
    assert np.allclose(table()[40 + 7].detach(), expected.detach(), atol=1e-6)


@pytest.mark.parametrize("sizes", [(20, 11), (2, 3)])
def test_hybrid_hash_is_double_hash_beside_private_rows(data, sizes):
    sharing = hybrid_hash(data, *sizes, seed=4)
    matrix = sharing.matrix().toarray()
    start = 0
    for rows, degree, n_rows, row in zip((sharing.users, sharing.items), degrees(data), sizes, (0, sizes[0]), strict=True):
        private = private_ids(degree, n_rows)
        for place, node in enumerate(private):
            expected = np.zeros(sum(sizes))
            expected[row + n_rows - len(private) + place] = 2
            np.testing.assert_array_equal(matrix[start + node], expected)
        others = np.delete(rows, private, axis=0)
        assert others.shape[1] == 2 and 0 <= others.min() and others.max() < n_rows - len(private)
        start += len(degree)
    assert (matrix.sum(axis=1) == 2).all()


@pytest.mark.parametrize("method", [double_hash, hybrid_hash])
def test_parameters_at_beautys_sizes(beauty_sized, method):
    """Without a budget 34,464 second indices come on top of 8,267 rows of 64: 563,552, as measured with the official code."""
    assert method(beauty_sized, 4154, 4113).n_parameters(64) == 563_552
    fair = method(beauty_sized, 4154, 4113, budget_parameters=529_088)
    assert 529_088 - 2 * 64 < fair.n_parameters(64) <= 529_088
    assert fair.n_user_rows / fair.n_item_rows == pytest.approx(4154 / 4113, rel=1e-3)
    assert method(beauty_sized, 40, 41, budget_parameters=10**9).n_rows == 81  # a budget only ever shrinks
    with pytest.raises(ConfigError, match="too few for both sides"):
        method(beauty_sized, 40, 41, budget_parameters=34_464 + 127)


# ---- locality-sensitive hashing -----------------------------------------------------------------------------------------------


def test_lsh_separates_two_users_as_often_as_their_angle_says():
    """P(same bit) = 1 - θ/π (Goemans & Williamson); users with 4 items each, 3 in common: cos θ = 3/4."""
    users = np.repeat([0, 1], 4)
    pair = Interactions.from_pairs((users, np.array([0, 1, 2, 3, 1, 2, 3, 4])), n_users=2, n_items=5)
    same = sum(bool(np.ptp(lsh(pair, 2, 2, seed=seed).users) == 0) for seed in range(1500))
    assert stats.binomtest(same, 1500, 1 - math.acos(0.75) / math.pi).pvalue > 1e-3


def test_lsh_rows_and_sizes(data):
    for n_rows, bits in ((1, 0), (2, 1), (3, 1), (4, 2), (31, 4), (32, 5)):
        fair, official = (lsh(data, n_rows, n_rows, fair=flag, seed=1) for flag in (True, False))
        assert (fair.n_user_rows, fair.n_item_rows) == (2**bits, 2**bits)
        assert official.n_user_rows == official.users.max() + 1 <= 2 ** (bits + 1)
        assert official.n_item_rows == official.items.max() + 1 <= 2 ** (bits + 1)
    assert lsh(data, 32, 32, fair=False, seed=1).n_user_rows > 32


def test_lsh_gives_equal_neighbourhoods_one_row_and_cold_nodes_row_zero():
    users, items = np.array([0, 0, 1, 1, 2, 4]), np.array([1, 2, 1, 2, 3, 4])
    data = Interactions.from_pairs((users, items), n_users=9, n_items=9)
    sharing = lsh(data, 8, 8, seed=1)
    assert sharing.users[0, 0] == sharing.users[1, 0] and sharing.items[1, 0] == sharing.items[2, 0]
    assert (sharing.users[[3, 5, 6, 7, 8], 0] == 0).all() and (sharing.items[[0, 5, 6, 7, 8], 0] == 0).all()
    assert len({int(row) for row in sharing.users[:, 0]}) > 1


# ---- all ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_seed_decides(data, method):
    first, again, other = (method(data, 16, 8, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.users, again.users) and np.array_equal(first.items, again.items)
    assert not np.array_equal(first.users, other.users) and not np.array_equal(first.items, other.items)


@pytest.mark.parametrize("method", ALL)
def test_impossible_sizes_and_seeds_are_refused(data, method):
    for sizes, text in (((0, 3), "n_user_rows is 0"), ((3, 42), "n_item_rows is 42.* from 1 to 41"), ((2.5, 3), "n_user_rows is 2.5")):
        with pytest.raises(ConfigError, match=text):
            method(data, *sizes)
    for seed in (-1, 0.5, True):
        with pytest.raises(ConfigError, match="seed is"):
            method(data, 3, 3, seed=seed)

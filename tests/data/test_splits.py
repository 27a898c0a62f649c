"""Holdouts: sizes, disjointness, seeds, independence of the order of the pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.data import Interactions
from recq_lib.data.interactions import SPLITS
from recq_lib.data.splits import merge_train_test, per_user_split, random_split, with_validation
from recq_lib.errors import ConfigError, DataError

PAIRS = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=10, max_size=60)


def columns(pairs) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(list(pairs), dtype=np.int64)
    return array[:, 0], array[:, 1]


def union(data: Interactions) -> set[tuple[int, int]]:
    return {pair for split in SPLITS for pair in zip(*(side.tolist() for side in data.pairs(split)), strict=True)}


def grid(n_users: int, degree: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(n_users), degree), np.tile(np.arange(degree), n_users)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(0, 5), st.sampled_from([random_split, per_user_split]))
def test_splits_partition_the_pairs_whatever_their_order(pairs, seed, split):
    data = split(columns(sorted(pairs)), seed=seed)
    assert union(data) == pairs and sum(data.split(name).nnz for name in SPLITS) == len(pairs)
    assert split(columns(sorted(pairs, reverse=True)), seed=seed).fingerprint == data.fingerprint


def test_random_split_has_the_sizes_of_bacos_beauty():
    data = random_split(grid(1000, 200), seed=3)
    assert [data.split(name).nnz for name in SPLITS] == [160_000, 20_000, 20_000]
    odd = random_split((np.zeros(198_502, int), np.arange(198_502)))
    assert [odd.split(name).nnz for name in SPLITS] == [158_801, 19_850, 19_851]


def test_another_seed_is_another_split():
    pairs = grid(50, 10)
    for split in (random_split, per_user_split):
        assert split(pairs, seed=0).fingerprint != split(pairs, seed=1).fingerprint


def test_per_user_split_is_exact_for_whole_shares_and_unbiased_for_others():
    exact = per_user_split(grid(40, 10), (0.7, 0.1, 0.2), seed=0)
    for split, count in (("train", 7), ("val", 1), ("test", 2)):
        np.testing.assert_array_equal(np.diff(exact.split(split).indptr), count)
    few = per_user_split(grid(20_000, 5), seed=0)  # 10 % of 5 items: half an item each
    for split in ("val", "test"):
        assert few.split(split).nnz == pytest.approx(10_000, abs=4 * np.sqrt(20_000 * 0.25))
    assert np.diff(few.train.indptr).min() >= 1


def test_every_user_keeps_a_train_item():
    data = per_user_split((np.arange(30), np.arange(30)), (0.1, 0.4, 0.5), seed=0)
    assert data.n_train == 30 and data.test.nnz == data.val.nnz == 0


def test_per_user_choice_is_uniform_over_items():
    counts = np.zeros(5)
    data = per_user_split(grid(10_000, 5), (0.8, 0.0, 0.2), seed=1)
    counts += np.asarray(data.test.sum(axis=0)).ravel()
    np.testing.assert_allclose(counts, 2000, atol=4 * np.sqrt(10_000 * 0.2 * 0.8))


def test_with_validation_takes_from_train_only_and_says_so():
    test = (np.arange(40), np.full(40, 10))
    data = Interactions.from_pairs(grid(40, 10), test, n_users=45, n_items=12, name="d", source="cache", notes="old")
    carved = with_validation(data, 0.1, seed=5)
    assert (carved.val.nnz, carved.n_train) == (40, 360) and carved.content_hash("test") == data.content_hash("test")
    assert union(carved) == union(data) and (carved.n_users, carved.n_items) == (45, 12)
    assert (carved.name, carved.source) == ("d", "cache") and carved.notes == "old; validation: 0.1 of each user's train items, seed 5"
    assert with_validation(carved) is carved
    assert with_validation(data, 0.1, seed=6).fingerprint != carved.fingerprint


def test_with_validation_that_cannot_be_made():
    lonely = Interactions.from_pairs((np.arange(3), np.arange(3)))
    with pytest.raises(DataError, match="no validation pair could be carved"):
        with_validation(lonely)
    with pytest.raises(ConfigError, match="fraction is 1"):
        with_validation(lonely, 1)


def test_resplitting_merges_all_splits_and_keeps_sizes_and_source():
    data = Interactions.from_pairs(([1, 0], [0, 1]), ([0], [0]), ([1], [1]), n_users=4, n_items=5, name="d", source="cache")
    users, items = merge_train_test(data)
    assert users.tolist() == [0, 0, 1, 1] and items.tolist() == [0, 1, 0, 1]
    again = random_split(data, (0.5, 0.25, 0.25), seed=2)
    assert union(again) == union(data) and (again.n_users, again.n_items, again.name, again.source) == (4, 5, "d", "cache")
    assert again.notes == "random edge split 0.5/0.25/0.25, seed 2"


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.2, -0.1), (0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (float("nan"), 0.5, 0.5)])
def test_fractions_must_add_up(fractions):
    for split in (random_split, per_user_split):
        with pytest.raises(ConfigError, match="fractions is"):
            split(grid(3, 3), fractions)


def test_seed_must_be_a_whole_number():
    with pytest.raises(ConfigError, match="seed is -1"):
        random_split(grid(3, 3), seed=-1)


def test_pairs_are_checked_before_they_are_split():
    with pytest.raises(DataError, match="more than once"):
        per_user_split(([0, 0], [1, 1]))

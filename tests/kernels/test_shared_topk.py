"""The lists of `shared_topk` are those of a naive sort of the items' scores, for groups of any size."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from helpers import naive_ranking

from recq_lib.errors import ConfigError
from recq_lib.kernels import shared_topk
from recq_lib.kernels.topk import NotFinite


def check(scores, group_of, k, masks=(), tie_seed=0, users=None):
    """Lists and scores of all users against sorting items one by one."""
    users = np.arange(len(scores), dtype=np.int32) if users is None else users
    groups = shared_topk.group(group_of, scores.shape[1], tie_seed)
    items, values = shared_topk.best(lambda some: scores[some], users, k, masks, groups)
    position_of = np.argsort(np.random.default_rng(tie_seed).permutation(group_of.size))
    for user, found, worth in zip(users, items, values, strict=True):
        of_items = scores[user, group_of]
        wanted = naive_ranking(of_items, {i for mask in masks for i in mask[user].indices}, k, position_of)
        wanted = [item for item in wanted if of_items[item] > -np.inf]
        assert found.tolist() == wanted + [-1] * (k - len(wanted))
        assert worth.tolist() == of_items[wanted].tolist() + [-np.inf] * (k - len(wanted))
    return items, values


def grouped(rng, n_items, n_groups):
    """Groups of very different sizes, some of them empty."""
    return np.minimum(rng.geometric(0.02, n_items) - 1, n_groups - 1).astype(np.int32)


@pytest.mark.parametrize("n_groups", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("k", [1, 20, 301])
def test_lists_are_those_of_a_sort(rng, n_groups, k):
    """Scores of few values, so that rows tie too; k below and above the size of a group, and above the catalogue."""
    scores = rng.integers(-2, 3, (6, n_groups)).astype(np.float32)
    for tie_seed in (0, 5):
        check(scores, grouped(rng, 300, n_groups), k, tie_seed=tie_seed)


@pytest.mark.parametrize("density", [0.02, 0.5, 0.99, 1.0])
def test_what_is_excluded_is_left_out(rng, density):
    scores, group_of = rng.standard_normal((9, 40)).astype(np.float32), grouped(rng, 120, 40)
    masks = [sp.csr_matrix((rng.random((9, 120)) < density).astype(np.float32)) for _ in range(2)]
    check(scores, group_of, 15, masks, users=np.array([8, 0, 3, 3], np.int32))


def test_blocks_of_users_and_threads_give_the_same(rng, monkeypatch):
    scores, group_of = rng.integers(0, 9, (50, 100)).astype(np.float32), grouped(rng, 400, 100)
    expected, before = check(scores, group_of, 10), numba.get_num_threads()
    monkeypatch.setattr(shared_topk, "_SCORES", 700)  # seven users at once
    try:
        for n_threads in {1, numba.config.NUMBA_NUM_THREADS}:
            numba.set_num_threads(n_threads)
            assert all(map(np.array_equal, check(scores, group_of, 10), expected))
    finally:
        numba.set_num_threads(before)


def test_minus_infinity_rules_out_and_other_scores_that_are_no_numbers_are_named(rng):
    group_of = np.array([0, 0, 2, 2, 1])
    check(np.array([[-np.inf, 1, 2, np.nan], [0, -np.inf, -np.inf, np.inf]], np.float32), group_of, 4)  # nobody is in group 3
    for bad in (np.nan, np.inf):
        with pytest.raises(NotFinite, match="scores of user 1 hold NaN"):
            check(np.array([[0, 1, 2], [0, bad, 1]], np.float32), group_of, 2)


def test_no_users_and_bad_arguments():
    groups = shared_topk.group(np.array([0, 1]), 2, 0)
    items, values = shared_topk.best(lambda users: np.zeros((users.size, 2), np.float32), np.empty(0, np.int32), 3, (), groups)
    assert items.shape == values.shape == (0, 3)
    with pytest.raises(ConfigError, match=r"groups of items go from 0 to 2, but must lie in \[0, 2\)"):
        shared_topk.group(np.array([0, 2]), 2, 0)
    with pytest.raises(ConfigError, match=r"shape \(1, 3\), but must be"):
        shared_topk.best(lambda users: np.zeros((users.size, 3), np.float32), np.zeros(1, np.int32), 3, (), groups)

"""The toy is part of the text of several notebooks: its pairs are written out here once more, independently."""

import numpy as np

from recq_lib.data.toy import toy

TRAIN = {0: {0, 1}, 1: {0, 1, 2}, 2: {1, 2}, 3: {2, 3}, 4: {2, 3, 4}, 5: {4}}
TEST = {0: {2}, 2: {0}, 3: {4}, 5: {2, 3}}


def as_sets(data, split):
    users, items = data.pairs(split)
    return {int(user): {int(item) for item in items[users == user]} for user in np.unique(users)}


def test_pairs_are_the_documented_ones():
    data = toy()
    assert (data.n_users, data.n_items, data.name, data.source) == (6, 5, "toy", "by hand")
    assert as_sets(data, "train") == TRAIN
    assert as_sets(data, "test") == TEST
    assert data.val.nnz == 0


def test_documented_degrees_and_counts():
    data = toy()
    assert data.train.sum(axis=1).A1.tolist() == [2, 3, 2, 2, 3, 1]
    assert data.train.sum(axis=0).A1.tolist() == [2, 3, 4, 2, 2]
    assert (data.train.nnz, data.test.nnz) == (13, 5)


def test_the_two_sides_touch_only_through_item_two():
    dense = toy().train.toarray()
    assert not dense[:3, 3:].any() and not dense[3:, :2].any()
    assert dense[:3, 2].any() and dense[3:, 2].any()


def test_each_call_gives_equal_data():
    assert toy().fingerprint == toy().fingerprint

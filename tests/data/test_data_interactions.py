"""`Interactions`: every rule, the hashes, the statistics and the hand-over to PyTorch Geometric."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.data import Interactions
from recq_lib.errors import DataError

PAIRS = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=3, max_size=60)


def columns(pairs) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def toy(**changes) -> Interactions:
    parts = {"train": ([0, 0, 1, 2], [1, 0, 2, 2]), "test": ([0, 1], [2, 0]), "val": ([2], [0]), "name": "toy", **changes}
    return Interactions.from_pairs(**parts)


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_valid_pairs_are_accepted_and_sorted(pairs, random):
    order = sorted(pairs)
    random.shuffle(order)
    cut = max(1, len(order) // 2)
    data = Interactions.from_pairs(columns(order[:cut]), columns(order[cut:]), n_users=13, n_items=10)
    for split, expected in (("train", order[:cut]), ("test", order[cut:])):
        users, items = data.pairs(split)
        assert list(zip(users.tolist(), items.tolist(), strict=True)) == sorted(expected)
        assert users.dtype == items.dtype == np.int32
    again = Interactions.from_pairs(columns(sorted(order[:cut])), columns(sorted(order[cut:])), n_users=13, n_items=10)
    assert again.fingerprint == data.fingerprint


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.sampled_from(["duplicate", "overlap", "negative", "too large", "nan", "half", "text", "lengths"]), st.data())
def test_each_broken_rule_is_a_one_line_data_error(pairs, rule, draw):
    order = sorted(pairs)
    train, test = columns(order[1:]), columns(order[:1])
    at = draw.draw(st.integers(0, len(order) - 2))
    users, items = train[0].copy(), train[1].copy()
    if rule == "duplicate":
        users, items = np.append(users, users[at]), np.append(items, items[at])
    elif rule == "overlap":
        users, items = np.append(users, test[0][0]), np.append(items, test[1][0])
    elif rule == "negative":
        items[at] = -1
    elif rule == "too large":
        users[at] = 13
    elif rule in ("nan", "half"):
        items = items.astype(float)
        items[at] = np.nan if rule == "nan" else 0.5
    elif rule == "text":
        users = users.astype(str)
    else:
        users = users[:-1]
    with pytest.raises(DataError) as caught:
        Interactions.from_pairs((users, items), test, n_users=13, n_items=10, name="broken")
    assert "broken" in str(caught.value) and "\n" not in str(caught.value)


def test_empty_train_and_wrong_sizes_are_refused():
    with pytest.raises(DataError, match="train split is empty"):
        Interactions.from_pairs(([], []), ([0], [0]))
    with pytest.raises(DataError, match="user id 2 occurs, but n_users is 2"):
        toy(n_users=2)
    with pytest.raises(DataError, match="one dimension"):
        toy(train=(np.zeros((2, 2), int), np.zeros((2, 2), int)))
    with pytest.raises(DataError, match="split is 'all'"):
        toy().pairs("all")


def test_constructor_refuses_matrices_in_another_form():
    good = toy()
    weighted = sp.csr_matrix(good.train * np.float32(2))
    unsorted = sp.csr_matrix((np.ones(2, np.float32), np.array([1, 0], np.int32), np.array([0, 2, 2, 2], np.int32)), shape=(3, 3))
    small = sp.csr_matrix((2, 3))
    for train, words in ((good.train.tocoo(), "CSR"), (weighted, "other than 1"), (unsorted, "not sorted"), (small, "shape")):
        with pytest.raises(DataError, match=words):
            Interactions(name="bad", train=train, val=good.val, test=good.test)


def test_content_is_read_only_and_frozen():
    data = toy()
    with pytest.raises(ValueError):
        data.train.data[0] = 2
    with pytest.raises(ValueError):
        data.train.indices[0] = 2
    with pytest.raises(AttributeError):
        data.name = "other"
    assert data.train[0, 0] == 1


def test_content_hash_is_the_documented_bytes_and_fingerprint_sees_sizes():
    data = toy()
    users, items = np.array([0, 0, 1, 2], "<i4"), np.array([0, 1, 2, 2], "<i4")
    assert data.content_hash("train") == hashlib.sha256(users.tobytes() + items.tobytes()).hexdigest()
    assert toy(n_items=4).fingerprint != data.fingerprint
    assert toy(name="renamed").fingerprint == data.fingerprint
    assert toy(val=None).fingerprint != data.fingerprint


def test_stats_by_hand():
    stats = toy(n_users=4).stats()
    assert (stats["users"], stats["items"], stats["train"], stats["val"], stats["test"]) == (4, 3, 4, 1, 2)
    assert stats["density"] == pytest.approx(7 / 12)
    assert (stats["users_without_train"], stats["items_without_train"], stats["test_users"]) == (1, 0, 2)
    assert (stats["median_user_degree"], stats["max_item_degree"]) == (1.0, 2)
    assert stats["top10pct_item_share"] == pytest.approx(2 / 4)


def test_to_hetero_data_holds_the_same_graph():
    data = toy(n_users=4)
    graph = data.to_hetero_data()
    assert graph.validate(raise_on_error=True)
    assert (graph["user"].num_nodes, graph["item"].num_nodes) == (4, 3)
    forward = graph["user", "interacts", "item"]
    dense = np.zeros((4, 3))
    dense[tuple(forward.edge_index.numpy())] = 1
    np.testing.assert_array_equal(dense, data.train.toarray())
    backward = graph["item", "interacted_by", "user"].edge_index
    assert backward.flip(0).tolist() == forward.edge_index.tolist()
    assert forward.test_label_index.tolist() == [[0, 1], [2, 0]] and forward.val_label_index.tolist() == [[2], [0]]

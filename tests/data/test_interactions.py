"""`Interactions`: every rule, the hashes, the statistics, and ids of one's own."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.data import Interactions, load
from recq_lib.errors import ConfigError, DataError
from recq_lib.io import memory

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


def test_own_ids_change_neither_fingerprint_nor_content_and_are_checked():
    plain, own = toy(), toy(user_ids=["c", "a", "b"], item_ids=np.array([10, 30, 20]))
    assert own.fingerprint == plain.fingerprint and own.content_hash() == plain.content_hash()
    assert own.user_ids.tolist() == ["c", "a", "b"] and own.user_ids.dtype == object and own.item_ids.dtype == np.int64
    assert own.user_numbers(["b", "c"]).tolist() == [2, 0] and own.item_numbers([30]).tolist() == [1]
    with pytest.raises(ValueError):
        own.item_ids[0] = 1
    assert toy(user_ids=list("abcd")).n_users == 4
    with pytest.raises(DataError, match="toy: there are 2 item ids for 3 items"):
        toy(item_ids=[1, 2], n_items=3)
    with pytest.raises(DataError, match="toy: user id 'a' stands for two numbers"):
        toy(user_ids=["a", "a", "b"])


def test_described_is_the_same_data_under_another_name():
    data = toy(user_ids=list("abc"))
    other = data.described(name="other", source="here", notes="note")
    assert (other.name, other.source, other.notes, data.name) == ("other", "here", "note", "toy")
    assert other.train is data.train and other.fingerprint == data.fingerprint and other.user_ids is data.user_ids
    with pytest.raises(ConfigError, match="'train' cannot be changed"):
        data.described(train=data.test)


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("synthetic-tiny", "85d80086cebd9bdcb955df11b7fc1a1f79f6763bf5eab59f724d78efae2e4a08"),
        ("synthetic", "5ea3c3f87282f3ac6ace1c65004771ff4c9319e049d5c6fa40199e20ccac40d3"),
        ("ml100k", "a82403efb1ffc861ff9e832506f927662c2395b5908dbc0399dc56e2d1b774c8"),
        ("lastfm", "b06be4332d12e6e36fb775faacb0dc87eb444e6a13b2679648710a8b4ea2fd7c"),
        ("lastfm-resplit", "b2d2990c1918b2e671ea48ab286cd9dcd545e907b0d2b14fbab46615cbf3654d"),
        ("ml1m", "888aef6ddb3ccb9a01fb8f51687229bcb572f289cd99d62075bcc95f61da3784"),
        ("beauty", "25fbab950a184b5a316a45c2c26a38d60d9ec4c66b20a048c542f79c3e32f136"),
        ("gowalla", "21596ea7209c46204ad8d22e14e020f3a0a5c1b27a33b5f299ab38468d864fd2"),
        ("yelp2018", "715701ed5067bfa092836735f78ab22665b9c319bc3e4605aef49fed56da3544"),
    ],
)
def test_fingerprints_stay_as_records_know_them(name, fingerprint, real_dataset):
    if not name.startswith("synthetic"):
        real_dataset(name.removesuffix("-resplit"))
    assert load(name).fingerprint == fingerprint


def test_pairs_are_your_own_and_one_is_one():
    data = Interactions.from_pairs(train=([0], [0]), name="one")
    for side in data.pairs():
        side[0] = 7
    assert data.train.indices.tolist() == [0] and repr(data).startswith("Interactions('one': 1 user × 1 item; train 1")


# ---- numbers with gaps --------------------------------------------------------------------------------------------------------------


def test_numbers_with_wide_gaps_are_told():
    told = "only 4 of 41 user numbers occur, the others have no interactions "
    told += "(if these are own ids, let from_pandas or load_csv number them)"
    assert Interactions.from_pairs(([10, 20, 30, 40], [0, 1, 0, 1])).notes == told
    assert Interactions.from_pairs(([0, 1], [3, 9]), notes="mine").notes.startswith("mine; only 2 of 10 item numbers occur")
    for pairs in (([0, 1, 2], [0, 1, 1]), ([1, 3, 5], [0, 1, 0])):  # half of them is usual after a split
        assert Interactions.from_pairs(pairs).notes == ""
    assert Interactions.from_pairs(([10, 20, 30, 40], [0, 1, 0, 1]), n_users=41).notes == ""  # the size was meant
    split = Interactions.from_pairs(([0, 1], [0, 0]), test=([2, 3], [0, 0]))
    assert split.notes == "" and split.n_users == 4


def test_own_ids_passed_as_numbers_are_refused_where_they_ask_for_more_than_there_is(monkeypatch):
    monkeypatch.setattr(memory, "limit_bytes", lambda: 1e9)
    for pairs, side in ((([2_000_000_000], [0]), "user"), (([0], [2_000_000_000]), "item")):
        with pytest.raises(DataError, match=rf"a matrix with 2,000,000,001 {side}s needs at least 48.0 GB .* number own ids by"):
            Interactions.from_pairs(pairs)
    with pytest.raises(DataError, match="a matrix with 2,000,000,000 users needs"):
        Interactions.from_pairs(([0], [0]), n_users=2_000_000_000)
    frame = pd.DataFrame({"user": [10, 2_000_000_000], "item": [1, 2]})
    assert Interactions.from_pandas(frame, fractions=(1.0, 0.0, 0.0)).n_users == 2

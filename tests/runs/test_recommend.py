"""`recommend`: own ids in and out, what is known left out, never a made-up item."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import recq_lib as recq
from recq_lib.errors import DataError

EVENTS = pd.DataFrame(
    {"who": ["ann", "ann", "bob", "bob", "bob", "cid", "cid"], "what": [700, 900, 700, 800, 1000, 800, 900]}
)


@pytest.fixture(scope="module")
def data():
    return recq.Interactions.from_pandas(EVENTS, user="who", item="what", fractions=(1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def model(data):
    return recq.build("mf", data, recq.TrainConfig(dim=4, init_std=1.0))


def by_hand(model, data) -> dict[str, list[int]]:
    users, items = (side.double().numpy() for side in model.embeddings())
    scores = users @ items.T
    lists = {}
    for number, user in enumerate(data.user_ids):
        known = set(EVENTS[EVENTS.who == user].what)
        lists[user] = [int(item) for item in data.item_ids[np.argsort(-scores[number])] if item not in known]
    return lists


def test_everyone_gets_what_is_new_to_them_best_first(model, data):
    table = recq.recommend(model, k=10)
    assert table.columns.tolist() == ["user", "rank", "item", "score"]
    assert {user: part.item.tolist() for user, part in table.groupby("user")} == {u: i for u, i in by_hand(model, data).items() if i}
    for _, part in table.groupby("user"):
        assert part["rank"].tolist() == list(range(1, len(part) + 1)) and part.score.is_monotonic_decreasing


def test_users_are_answered_in_the_order_asked(model, data):
    assert recq.recommend(model, ["cid", "ann"], k=1)["user"].tolist() == ["cid", "ann"]
    assert recq.recommend(model, pd.Series(["cid"]), k=1).item.tolist() == by_hand(model, data)["cid"][:1]
    assert recq.recommend(model, [], k=3).empty


def test_further_items_can_be_left_out_and_known_ones_kept(model, data):
    everything = sp.csr_matrix(np.ones((3, 4)))
    assert recq.recommend(model, exclude=everything).empty
    assert len(recq.recommend(model, k=4, seen=True)) == 12
    best = by_hand(model, data)["ann"][0]
    without = sp.csr_matrix(([1.0], ([0], [int(data.item_numbers([best])[0])])), shape=(3, 4))
    assert best not in recq.recommend(model, ["ann"], exclude=without).item.tolist()


def test_an_unknown_user_is_named(model):
    with pytest.raises(DataError, match="user 'dan' is not among the 3 users"):
        recq.recommend(model, ["ann", "dan"])


def test_numbers_are_the_ids_of_catalogue_data():
    data = recq.load("synthetic-tiny")
    model = recq.build("mf", data, recq.TrainConfig(dim=4))
    table = recq.recommend(model, [3, 1], k=2)
    assert table["user"].tolist() == [3, 3, 1, 1] and set(table["item"]) <= set(range(data.n_items))
    with pytest.raises(DataError, match="whole numbers below"):
        recq.recommend(model, [data.n_users])


def test_a_model_from_a_file_recommends_the_same(model, tmp_path):
    back = recq.Recommender.load(model.save(tmp_path / "m"))
    pd.testing.assert_frame_equal(recq.recommend(back), recq.recommend(model))

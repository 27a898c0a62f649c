"""`recommend`: own ids in and out, what is known left out, never a made-up item."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import recq_lib as recq
from recq_lib.errors import ConfigError, DataError

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


def test_values_of_exclude_do_not_matter(model, data):
    """What is stored is left out: -1 beside the 1 of the training interactions, and a stored 0."""
    for value in (-1.0, 0.0, 2.0):
        again = data.train.copy()
        again.data = np.full(again.nnz, value, np.float32)
        pd.testing.assert_frame_equal(recq.recommend(model, exclude=again), recq.recommend(model))


def test_an_exclude_that_does_not_fit_is_named(model):
    with pytest.raises(ConfigError, match=r"exclude has shape \(3, 5\), but must be \[users, items\] = \(3, 4\)"):
        recq.recommend(model, exclude=sp.csr_matrix((3, 5)))
    with pytest.raises(ConfigError, match="exclude is of type ndarray"):
        recq.recommend(model, exclude=np.zeros((3, 4)))


@pytest.mark.parametrize("name", ["mostpop", "itemknn", "ease", "gfcf"])
def test_closed_forms_recommend_in_own_ids(data, name):
    table = recq.recommend(recq.build(name, data), k=4)
    known = set(zip(EVENTS.who, EVENTS.what, strict=True))
    left = {(who, what) for who in ("ann", "bob", "cid") for what in (700, 800, 900, 1000)} - known
    assert set(zip(table["user"], table["item"], strict=True)) == left and len(table) == len(left)
    if name == "mostpop":
        bought = EVENTS.what.value_counts()
        assert table.score.tolist() == bought[table["item"]].tolist()


class Foreign:
    """A scorer with ids, and neither sizes nor interactions."""

    user_ids, item_ids = np.array(["x", "y"]), np.array([7, 8, 9])

    def score_block(self, users):
        return np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])[users]


def test_any_scorer_with_ids_recommends():
    seen = sp.csr_matrix(np.array([[0, 0, 1], [0, 0, 0]]))
    assert recq.recommend(Foreign(), ["y", "x"], k=2, exclude=seen)["item"].tolist() == [7, 8, 8, 7]
    assert recq.recommend(Foreign(), ["x"], k=1, seen=True)["item"].tolist() == [9]
    with pytest.raises(ConfigError, match="Foreign does not tell what its users have already; pass exclude"):
        recq.recommend(Foreign())


def test_the_index_of_own_ids_is_built_once(model, data):
    recq.recommend(model, ["ann"])
    built = model.__dict__["_user_index"][1]
    recq.recommend(model, ["bob"])
    assert model.__dict__["_user_index"][1] is built
    other = recq.build("mostpop", data)
    recq.recommend(other, ["ann"])
    other.user_ids = np.array(["cid", "bob", "ann"])  # other ids, another index
    asked = recq.recommend(other, ["cid"], seen=True, exclude=None)
    assert asked["user"].unique().tolist() == ["cid"] and other.__dict__["_user_index"][0] is other.user_ids

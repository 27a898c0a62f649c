"""Measures of clusterings against naive loops."""

from itertools import combinations

import numpy as np
import pytest
from helpers import random_interactions
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.companion.analysis import clusters as tables
from recq_lib.data.toy import toy
from recq_lib.papers.baco.clustering import cluster, node_weights

DIM = 8


@given(st.lists(st.integers(0, 4), min_size=7, max_size=7))
def test_by_cluster_keeps_clusters_together_largest_first(found):
    labels = np.array(found)
    users, items = tables.by_cluster(labels, 4)
    assert sorted(users.tolist()) == [0, 1, 2, 3] and sorted(items.tolist()) == [0, 1, 2]
    size = {label: found.count(label) for label in found}
    for order, offset in ((users, 0), (items, 4)):
        keys = [(-size[found[offset + node]], found[offset + node], node) for node in order]
        assert keys == sorted(keys)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_gini_is_half_the_relative_mean_difference(sizes):
    expected = sum(abs(a - b) for a in sizes for b in sizes) / (2 * len(sizes) * sum(sizes))
    assert tables.gini(np.array(sizes)) == pytest.approx(expected, abs=1e-12)


def test_balance_counts_by_loops():
    data, rng = random_interactions(12, 9, 50, seed=4, test=5), np.random.default_rng(4)
    labels = rng.integers(0, 6, 21)
    pairs = list(zip(*data.pairs("train"), strict=True))
    inside = sum(labels[u] == labels[12 + i] for u, i in pairs)
    assert tables.inside(data.train, labels) == inside
    row = tables.balance(data.train, {"some": labels}).iloc[0]
    clusters = sorted(set(labels.tolist()))
    between = [sum({labels[u], labels[12 + i]} == {a, b} for u, i in pairs) for a, b in combinations(clusters, 2)]
    assert row["ACCL"] == pytest.approx(np.mean(between)) and row["inside, %"] == pytest.approx(100 * inside / len(pairs))
    assert (row["user rows"], row["item rows"]) == (len(set(labels[:12].tolist())), len(set(labels[12:].tolist())))
    sizes = [labels.tolist().count(k) for k in clusters]
    assert row["clusters"] == len(clusters) and row["largest"] == max(sizes)
    assert row["singletons, %"] == pytest.approx(100 * sizes.count(1) / len(sizes))


def test_balance_of_one_cluster_has_no_pairs():
    row = tables.balance(toy().train, {"one": np.zeros(11, int)}).iloc[0]
    assert np.isnan(row["ACCL"]) and row["inside, %"] == 100 and row["Gini"] == 0


def test_common_unit_is_the_price_of_all_pairs_per_interaction():
    data = random_interactions(9, 7, 30, seed=1, test=5)
    for user, item in (("degree", "released"), ("uniform", "uniform"), ("log", "sqrt")):
        w = node_weights(data, user, item)
        expected = sum(a * b for a in w[:9] for b in w[9:]) / data.n_train
        assert tables.common_unit(data, w) == pytest.approx(expected)
    assert tables.common_unit(data, node_weights(data, "degree", "degree")) == pytest.approx(1)


def test_measures_count_by_loops():
    data = random_interactions(12, 9, 50, seed=4, test=5)
    found = cluster(data, 0.7)
    row = tables.measures(data, {"some": found}, DIM).iloc[0]
    users, items = found.users[:, 0].tolist(), found.items[:, 0].tolist()
    assert (row["weights"], row["γ"], row["user rows"], row["item rows"]) == ("some", 0.7, len(set(users)), len(set(items)))
    assert row["second"] == sum(second >= 0 for second in found.users[:, 1])
    assert row["size, %"] == pytest.approx(100 * (DIM * (len(set(users)) + len(set(items))) + row["second"]) / (DIM * 21))
    assert row["largest, users"] == max(map(users.count, users)) and row["largest, items"] == max(map(items.count, items))
    single = sum(users.count(u) == 1 for u in users) + sum(items.count(i) == 1 for i in items)
    assert row["alone, %"] == pytest.approx(100 * single / 21)
    inside = sum(found.found.labels[u] == found.found.labels[12 + i] for u, i in zip(*data.pairs("train"), strict=True))
    assert row["inside, %"] == pytest.approx(100 * inside / data.n_train)


def test_company_takes_medians_in_groups_of_similar_degree():
    degree = np.array([1, 1, 2, 2, 5, 5, 9, 9])
    rows = np.array([0, 0, 0, 1, 1, 2, 3, 4])
    x, y = tables.company(degree, rows, bins=4)
    assert x.tolist() == [1, 2, 5, 9]
    assert y.tolist() == [3, 2.5, 1.5, 1]
    x, y = tables.company(np.full(5, 7), np.zeros(5, int))  # one degree, one group
    assert x.tolist() == [7] and y.tolist() == [5]


def test_agreement_is_the_adjusted_rand_index_of_pairs():
    rng = np.random.default_rng(2)
    labels = {"a": rng.integers(0, 4, 30), "b": rng.integers(0, 3, 30), "c": np.arange(30) % 5}
    found = tables.agreement(labels)
    pairs = list(combinations(range(30), 2))
    for a, b in combinations(labels, 2):
        one, other = (np.array([v[i] == v[j] for i, j in pairs]) for v in (labels[a], labels[b]))
        chance = one.sum() * other.sum() / len(pairs)
        expected = ((one & other).sum() - chance) / ((one.sum() + other.sum()) / 2 - chance)
        assert found.loc[a, b] == pytest.approx(expected) == pytest.approx(found.loc[b, a])
    assert np.diag(found).tolist() == [1, 1, 1]

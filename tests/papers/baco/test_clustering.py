"""BACO's objective, weights and clustering against dense sums, a naive solver, and counts measured with the official code."""

from __future__ import annotations

import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import random_interactions
from hypothesis import given
from hypothesis import strategies as st
from label_propagation_oracle import naive_second, naive_sweep, neighbours_of, official_second, official_sweep

from recq_lib.data import load
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import generate
from recq_lib.data.toy import toy
from recq_lib.errors import ConfigError
from recq_lib.kernels import official_ties
from recq_lib.papers.baco.clustering import ITEM_WEIGHTS, TIES, USER_WEIGHTS, Solver, cluster, node_weights, objective

SMALL = random_interactions(n_users=60, n_items=45, n_pairs=420, test=120, seed=3)  # some users and items have no train pair


@pytest.fixture(scope="module")
def beauty(real_dataset):
    real_dataset("beauty")
    return load("beauty", profile="paper", offline=True)


def naive_cluster(data, gamma, weights, sweeps=5, seed=2025, ghost=True, ties="last"):
    """(labels, second labels, history) by dictionaries and loops, from the description of the method."""
    sweep, second = {"last": (naive_sweep, naive_second), "official": (official_sweep, official_second)}[ties]
    n, n_users, rows = data.n_nodes, data.n_users, neighbours_of(data.train)
    labels, volumes = np.arange(n), np.zeros((2, n))
    for node in range(n):
        for side in (0, 1):
            if ghost or side == (1 if node < n_users else 0):
                volumes[side, node] = weights[node]
    rng, history = np.random.default_rng(seed), []
    for _ in range(sweeps):
        sweep(rng.permutation(n), n_users, rows, gamma, weights, labels, volumes)
        history.append((len(set(labels[:n_users].tolist())), len(set(labels[n_users:].tolist()))))
    return labels, second(n_users, rows, gamma, weights, labels, volumes), tuple(history)


class TestWeights:
    # train degrees of the toy: users (2, 3, 2, 2, 3, 1), items (2, 3, 4, 2, 2), 13 pairs, 5 items
    USERS, ITEMS = np.array([2, 3, 2, 2, 3, 1.0]), np.array([2, 3, 4, 2, 2.0])

    @pytest.mark.parametrize("item", ITEM_WEIGHTS)
    @pytest.mark.parametrize("user", USER_WEIGHTS)
    def test_schemes_on_the_toy(self, user, item):
        def by_hand(degrees, scheme):
            if scheme == "released":
                return degrees / np.sqrt(5)
            raw = np.array([{"degree": d, "uniform": 1.0, "sqrt": d**0.5, "log": np.log(1 + d)}[scheme] for d in degrees])
            return raw / np.sqrt(raw.sum())

        expected = np.concatenate([by_hand(self.USERS, user), by_hand(self.ITEMS, item)])
        np.testing.assert_allclose(node_weights(toy(), user, item), expected, rtol=1e-14)

    def test_default_is_what_the_official_code_computes(self):
        np.testing.assert_array_equal(node_weights(toy()), node_weights(toy(), "degree", "released"))

    def test_unknown_scheme(self):
        with pytest.raises(ConfigError, match="user weight is 'released'"):
            node_weights(toy(), user="released")
        with pytest.raises(ConfigError, match="item weight is 'CPM'"):
            node_weights(toy(), item="CPM")


class TestObjective:
    @given(st.integers(0, 10**6), st.floats(0, 5))
    def test_degree_weights_give_barber_modularity(self, seed, resolution):
        data, rng = random_interactions(12, 9, 50, seed=seed, test=5), np.random.default_rng(seed)
        labels = rng.integers(0, 6, data.n_nodes)
        dense = data.train.toarray().astype(np.float64)
        null = np.outer(dense.sum(axis=1), dense.sum(axis=0)) / dense.sum()
        same = labels[:12, None] == labels[None, 12:]
        modularity = ((dense - resolution * null) * same).sum() / dense.sum()
        got = objective(labels, data, node_weights(data, "degree", "degree"), resolution)
        assert got == pytest.approx(dense.sum() * modularity, rel=1e-12, abs=1e-9)

    @given(st.integers(0, 10**6), st.floats(0, 5))
    def test_uniform_weights_give_the_bipartite_constant_potts_model(self, seed, gamma):
        data, rng = random_interactions(12, 9, 50, seed=seed, test=5), np.random.default_rng(seed)
        labels = rng.integers(0, 6, data.n_nodes)
        gamma_cpm, expected = gamma / np.sqrt(12 * 9), 0.0
        for k in range(6):
            users, items = np.flatnonzero(labels[:12] == k), np.flatnonzero(labels[12:] == k)
            expected += data.train[users][:, items].sum() - gamma_cpm * users.size * items.size
        got = objective(labels, data, node_weights(data, "uniform", "uniform"), gamma)
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-9)

    @given(st.integers(0, 10**6), st.sampled_from(USER_WEIGHTS), st.sampled_from(ITEM_WEIGHTS))
    def test_gain_of_a_move(self, seed, user, item):
        data, rng, gamma = random_interactions(12, 9, 50, seed=seed, test=5), np.random.default_rng(seed), 0.8
        weights, labels = node_weights(data, user, item), rng.integers(0, 6, data.n_nodes)
        node, to = int(rng.integers(data.n_nodes)), int(rng.integers(6))
        moved = labels.copy()
        moved[node] = to
        other = np.arange(12, 21) if node < 12 else np.arange(12)
        linked = np.isin(other, neighbours_of(data.train)[node])

        def attraction(label):
            inside = labels[other] == label
            return (inside & linked).sum() - gamma * weights[node] * weights[other[inside]].sum()

        gain = objective(moved, data, weights, gamma) - objective(labels, data, weights, gamma)
        assert gain == pytest.approx(attraction(to) - attraction(labels[node]), abs=1e-9)

    def test_a_label_on_one_side_costs_nothing(self):
        data, weights = toy(), node_weights(toy())
        one_sided = np.concatenate([np.zeros(6, int), np.ones(5, int)])
        assert objective(one_sided, data, weights, 7.0) == 0.0

    @pytest.mark.parametrize("labels", [np.zeros(10, int), np.zeros(11), np.full(11, 11), np.full(11, -1)])
    def test_labels_are_checked(self, labels):
        with pytest.raises(ConfigError, match="give 11 whole numbers in \\[0, 11\\)"):
            objective(labels, toy(), node_weights(toy()), 1.0)


class TestCluster:
    @pytest.mark.parametrize("ties", TIES)
    @pytest.mark.parametrize("ghost", [True, False])
    @pytest.mark.parametrize("user, item, gamma", [("degree", "released", 0.6), ("uniform", "log", 5.0), ("sqrt", "uniform", 2.0)])
    def test_equals_the_naive_solver(self, ties, ghost, user, item, gamma):
        weights = node_weights(SMALL, user, item)
        labels, second, history = naive_cluster(SMALL, gamma, weights, ghost=ghost, ties=ties)
        got = cluster(SMALL, gamma, weights=weights, ghost=ghost, ties=ties)
        assert got.found.settings["ties"] == ties
        np.testing.assert_array_equal(got.found.labels, labels)
        assert got.found.sweeps == history
        users, items = sorted(set(labels[:60].tolist())), sorted(set(labels[60:].tolist()))
        assert [users[row] for row in got.users[:, 0]] == labels[:60].tolist()
        assert [items[row] for row in got.items[:, 0]] == labels[60:].tolist()
        assert [-1 if row < 0 else users[row] for row in got.users[:, 1]] == second
        assert (got.n_user_rows, got.n_item_rows) == (len(users), len(items)) == history[-1]
        assert (got.users.dtype, got.items.dtype, got.found.labels.dtype) == (np.int64, np.int64, np.int32)

    def test_without_balance_it_is_plain_label_propagation(self):
        rows, labels, rng = neighbours_of(SMALL.train), np.arange(SMALL.n_nodes), np.random.default_rng(11)
        for _ in range(3):
            for node in rng.permutation(SMALL.n_nodes):
                counts = {}
                for y in rows[node]:
                    counts[labels[y]] = counts.get(labels[y], 0) + 1
                if counts:
                    most = max(counts.values())
                    labels[node] = [label for label in counts if counts[label] == most][-1]
        for user, item in (("degree", "released"), ("uniform", "uniform")):
            got = cluster(SMALL, 0.0, weights=node_weights(SMALL, user, item), sweeps=3, seed=11)
            np.testing.assert_array_equal(got.found.labels, labels)

    @pytest.mark.parametrize("gamma", [0.3, 1.0, 4.0])
    def test_released_weights_are_barber_modularity_at_another_resolution(self, gamma):
        data = generate("smoke")
        other = gamma * np.sqrt(data.n_train / data.n_items)
        a = cluster(data, gamma, ghost=False)
        b = cluster(data, other, weights=node_weights(data, "degree", "degree"), ghost=False)
        np.testing.assert_array_equal(a.found.labels, b.found.labels)
        assert a.n_user_rows > 2 and np.array_equal(a.users[:, 1], b.users[:, 1])
        assert (cluster(data, gamma).found.labels != a.found.labels).any()  # the ghosts break the equality

    def test_second_rows_add_no_row(self):
        data = generate("smoke")
        with_second, without = cluster(data, 1.0), cluster(data, 1.0, scu=False)
        np.testing.assert_array_equal(with_second.users[:, 0], without.users[:, 0])
        assert with_second.n_user_rows == without.n_user_rows == with_second.users[:, 0].max() + 1
        has = with_second.users[:, 1] >= 0
        assert has.any() and with_second.users[:, 1].max() < with_second.n_user_rows
        assert (with_second.users[has, 1] != with_second.users[has, 0]).all()
        assert without.n_extra == 0 and (without.users[:, 1] == -1).all()

    def test_parameters_as_the_paper_counts(self):
        got = cluster(SMALL, 0.6)
        seconds = sum(row >= 0 for row in got.users[:, 1].tolist())
        assert got.n_extra == seconds > 0
        assert got.n_parameters(16) == 16 * (len(set(got.users[:, 0].tolist())) + len(set(got.items[:, 0].tolist()))) + seconds
        assert got.ratio(16) == got.n_parameters(16) / (16 * 105)

    def test_seed_decides(self):
        data = generate("tiny")
        first, again, other = (cluster(data, 0.5, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first.found.labels, again.found.labels)
        np.testing.assert_array_equal(first.users, again.users)
        assert (first.found.labels != other.found.labels).any()

    def test_solver_gives_the_same_for_every_gamma_in_any_order(self):
        solver = Solver(SMALL)
        for gamma in (2.0, 0.0, 0.6, 2.0):
            np.testing.assert_array_equal(solver.solve(gamma).found.labels, cluster(SMALL, gamma).found.labels)

    def test_labels_are_shown_after_each_sweep_as_copies(self):
        seen = []
        got = cluster(SMALL, 0.6, sweeps=3, on_sweep=lambda number, labels: seen.append((number, labels)))
        assert [number for number, _ in seen] == [1, 2, 3]
        for number, labels in seen:
            np.testing.assert_array_equal(labels, cluster(SMALL, 0.6, sweeps=number).found.labels)
            assert got.found.sweeps[number - 1] == (np.unique(labels[:60]).size, np.unique(labels[60:]).size)

    def test_isolated_nodes_have_a_row_to_themselves(self):
        data = Interactions.from_pairs((np.array([0, 0, 2]), np.array([1, 3, 1])), n_users=4, n_items=5)
        got = cluster(data, 0.5)
        for rows, alone in ((got.users[:, 0], [1, 3]), (got.items[:, 0], [0, 2, 4])):
            for node in alone:
                assert (rows == rows[node]).sum() == 1
        assert got.found.labels[[1, 3]].tolist() == [1, 3] and got.users[[1, 3], 1].tolist() == [-1, -1]

    def test_labels_on_one_side_only_get_a_row_on_that_side_only(self):
        got = cluster(SMALL, 1.0, sweeps=1)
        users, items = set(got.found.labels[:60].tolist()), set(got.found.labels[60:].tolist())
        assert users - items and items - users
        assert got.n_user_rows == len(users) and got.n_item_rows == len(items)

    @pytest.mark.parametrize("n_users, n_items", [(3, 2), (0, 2), (3, 0), (0, 0)])
    def test_graph_without_edges(self, n_users, n_items):
        train = sp.csr_matrix((n_users, n_items), dtype=np.float32)  # Interactions refuses it, so a stand-in
        data = SimpleNamespace(train=train, n_users=n_users, n_items=n_items, n_nodes=n_users + n_items, name="nothing")
        got = cluster(data, 1.0)
        assert got.users[:, 0].tolist() == list(range(n_users)) and got.items[:, 0].tolist() == list(range(n_items))
        assert got.n_parameters(64) == 64 * (n_users + n_items) and got.users[:, 1].tolist() == [-1] * n_users
        assert objective(got.found.labels, data, node_weights(data), 1.0) == 0.0

    @pytest.mark.parametrize("gamma", [-0.1, float("nan"), float("inf"), "1", None])
    def test_gamma_is_checked(self, gamma):
        with pytest.raises(ConfigError, match=f"gamma is {gamma!r}.* ≥ 0"):
            cluster(SMALL, gamma)

    @pytest.mark.parametrize("change", [{"sweeps": 0}, {"sweeps": 2.5}, {"seed": -1}, {"seed": True}])
    def test_sweeps_and_seed_are_checked(self, change):
        ((name, value),) = change.items()
        with pytest.raises(ConfigError, match=f"{name} is {value}, but must be a whole number of at least {int(name == 'sweeps')}"):
            cluster(SMALL, 1.0, **change)

    @pytest.mark.parametrize("weights", [np.ones(104), np.full(105, -1.0), np.full(105, np.nan)])
    def test_weights_are_checked(self, weights):
        with pytest.raises(ConfigError, match="give 105 finite numbers ≥ 0"):
            cluster(SMALL, 1.0, weights=weights)


    def test_the_order_of_equal_scores_decides_and_is_checked(self):
        data = generate("smoke")
        last, official = (cluster(data, 0.6, ties=ties) for ties in ("last", "official"))
        assert (last.found.labels != official.found.labels).any()
        np.testing.assert_array_equal(cluster(data, 0.6).found.labels, last.found.labels)
        with pytest.raises(ConfigError, match="ties is 'first'"):
            cluster(data, 0.6, ties="first")


class TestBeauty:
    """Counts of the official code at γ = 0.1308, seed 2025, on its own split: to the last row with its order of equal scores."""

    SWEEPS = [(11179, 9227), (7915, 7655), (7022, 6823), (5898, 5582), (4173, 3807), (2406, 2147), (1271, 1125), (700, 632)]

    def test_rows_after_each_sweep(self, beauty):
        got = cluster(beauty, 0.1308).found.sweeps
        np.testing.assert_allclose(got, self.SWEEPS[:5], rtol=0.005)

    def test_rows_fall_as_fast_beyond_the_fifth_sweep(self, beauty):
        got = cluster(beauty, 0.1308, sweeps=8).found.sweeps
        np.testing.assert_allclose(got[5:], self.SWEEPS[5:], rtol=0.06)  # small clusters: a few moves are per cents

    def test_second_rows_and_parameters(self, beauty):
        got = cluster(beauty, 0.1308)
        assert got.n_extra == pytest.approx(18373, rel=0.005)
        assert got.n_parameters(64) == pytest.approx(529093, rel=0.002)

    def test_share_of_interactions_inside_clusters(self, beauty):
        got = cluster(beauty, 0.1308)
        inside = objective(got.found.labels, beauty, node_weights(beauty), 0.0) / beauty.n_train
        assert inside == pytest.approx(0.5975, abs=0.01)

    def test_official_ties_give_every_count_of_the_official_code(self, beauty):
        got = cluster(beauty, 0.1308, ties="official")
        assert list(got.found.sweeps) == self.SWEEPS[:5] and (got.n_user_rows, got.n_item_rows) == (4173, 3807)
        assert (got.n_extra, got.n_parameters(64)) == (18373, 529093)
        assert list(cluster(beauty, 0.1308, sweeps=8, ties="official").found.sweeps) == self.SWEEPS
        inside = objective(got.found.labels, beauty, node_weights(beauty), 0.0) / beauty.n_train
        assert inside == pytest.approx(0.5975, abs=5e-5)

    # labels after five sweeps of a C++ program of ours with the container of the official code, std::unordered_set<long> of g++ 12.2, one
    # for a sweep: (user, item weights, γ) -> (rows, CRC-32 of the labels as int64). Float32 throughout gives the same labels, float64 the
    # same but in row 4, where it has (4253, 3855). γ: for the size of GraphHash's table with today's usual order of ties
    CONTAINER = {
        ("degree", "released", 0.1308): ((4173, 3807), 1772634946), ("uniform", "released", 0.4423): ((4035, 3633), 667334436),
        ("sqrt", "released", 0.2442): ((4235, 3847), 2140612066), ("log", "released", 0.2875): ((4254, 3856), 442654018),
        ("degree", "uniform", 2.0857): ((3936, 4047), 3316006890), ("uniform", "uniform", 6.4681): ((4045, 3970), 189953192),
    }  # fmt: skip

    @pytest.mark.parametrize("user, item, gamma", CONTAINER)
    def test_official_ties_give_the_labels_of_the_container(self, beauty, user, item, gamma):
        rows, checksum = self.CONTAINER[user, item, gamma]
        weights = node_weights(beauty, user, item)
        got = cluster(beauty, gamma, weights=weights, ties="official")
        assert (got.n_user_rows, got.n_item_rows) == rows
        assert zlib.crc32(got.found.labels.astype("<i8").tobytes()) == checksum
        usual = cluster(beauty, gamma, weights=weights).found.sweeps[-1]
        np.testing.assert_allclose(usual, rows, rtol=0.05)

    def test_official_ties_in_the_float32_of_the_official_code(self, beauty):
        solver = Solver(beauty, ties="official")
        labels, weights = np.arange(beauty.n_nodes, dtype=np.uint32), solver.weights.astype(np.float32)
        state = official_ties.State.of(labels, solver.volumes.astype(np.float32), solver.graph[0])
        for order, expected in zip(solver.orders, self.SWEEPS[:5], strict=True):
            official_ties.sweep(order, solver.graph, beauty.n_users, np.float32(0.1308), weights, state)
            assert tuple(np.unique(part).size for part in np.split(labels, [beauty.n_users])) == expected

    def test_released_weights_are_barber_modularity_at_another_resolution(self, beauty):
        gamma = 0.1308 * np.sqrt(beauty.n_train / beauty.n_items)
        assert gamma == pytest.approx(0.474, abs=5e-4)
        other = cluster(beauty, gamma, weights=node_weights(beauty, "degree", "degree"), ghost=False)
        np.testing.assert_array_equal(cluster(beauty, 0.1308, ghost=False).found.labels, other.found.labels)

"""Communities and label spreading against the rules written out with dictionaries, dense sums, and counts of the official code."""

from __future__ import annotations

import platform
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st
from label_propagation_oracle import neighbours_of
from sknetwork.clustering import Louvain

from recq_lib.baselines.sharing.communities import barber_modularity, brim, double_graph_hash, infomap, leiden, louvain
from recq_lib.baselines.sharing.propagated import bimlpa, ebmd, label_propagation
from recq_lib.data import load
from recq_lib.data.interactions import Interactions
from recq_lib.data.toy import toy
from recq_lib.errors import ConfigError, DataError
from recq_lib.sharing.grouping import sharing_of

SMALL = random_interactions(n_users=60, n_items=45, n_pairs=420, test=120, seed=3)
METHODS = {
    "louvain": lambda data, seed=1: louvain(data, 5.0),
    "leiden": lambda data, seed=1: leiden(data, 5.0, seed=seed),
    "double_graph_hash": lambda data, seed=1: double_graph_hash(data, 5.0, seed=seed),
    "infomap": lambda data, seed=1: infomap(data, seed=seed),
    "brim": lambda data, seed=1: brim(data, seed=seed),
    "label_propagation": lambda data, seed=1: label_propagation(data, alpha=0.6, sweeps=2, seed=seed),
    "ebmd": lambda data, seed=1: ebmd(data, sweeps=2, seed=seed),
    "bimlpa": lambda data, seed=1: bimlpa(data, seed=seed),
}
every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(scope="module")
def beauty(real_dataset):
    real_dataset("beauty")
    return load("beauty", profile="paper", offline=True)


def blocks(sizes, seed=0):
    """Complete bipartite blocks without links between them, ids shuffled; returns (data, block of users, block of items)."""
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(np.repeat(np.arange(len(sizes)), [pair[side] for pair in sizes])) for side in (0, 1)]
    pairs = np.nonzero(sides[0][:, None] == sides[1][None, :])
    return Interactions.from_pairs(pairs, n_users=sides[0].size, n_items=sides[1].size, name="blocks"), *sides


def same_partition(a, b):
    """Whether two label vectors group alike."""
    return len(set(zip(a, b))) == len(set(a)) == len(set(b))


def partition(labels, n_users):
    return [np.unique(part, return_inverse=True)[1] for part in np.split(np.asarray(labels), [n_users])]


# ---- what all of them keep ---------------------------------------------------------------------------------------------------


@every_method
def test_rows_are_numbered_and_used(name):
    shared = METHODS[name](SMALL)
    assert (shared.users.shape[0], shared.items.shape[0]) == (60, 45) and shared.found.method == name and shared.found.seconds > 0
    for rows, n_rows in ((shared.users[:, -1], shared.n_user_rows), (shared.items[:, -1], shared.n_item_rows)):
        assert sorted(set(rows.tolist())) == list(range(n_rows))
    extra = 105 if name == "double_graph_hash" else 0
    assert shared.n_rows == shared.n_user_rows + shared.n_item_rows and shared.n_parameters(8) == 8 * shared.n_rows + extra


@every_method
def test_seed_decides(name):
    first, again = (METHODS[name](SMALL, 5) for _ in range(2))
    np.testing.assert_array_equal(first.users, again.users)
    np.testing.assert_array_equal(first.items, again.items)
    if name not in ("louvain", "leiden", "infomap", "bimlpa", "brim"):  # these may find the same groups from every start
        others = [METHODS[name](SMALL, seed) for seed in range(6, 12)]
        assert any(not np.array_equal(first.users, other.users) for other in others)


@every_method
def test_isolated_nodes_have_a_row_to_themselves(name):
    data = Interactions.from_pairs((np.array([0, 0, 2, 2]), np.array([1, 3, 1, 3])), n_users=4, n_items=5)
    sharing = METHODS[name](data)
    for rows, alone in ((sharing.users[:, -1], [1, 3]), (sharing.items[:, -1], [0, 2, 4])):
        for node in alone:
            assert (rows == rows[node]).sum() == 1


@every_method
def test_graph_without_interactions_is_refused(name):
    train = sp.csr_matrix((3, 2), dtype=np.float32)  # Interactions refuses it, so a stand-in
    data = SimpleNamespace(name="nothing", train=train, n_users=3, n_items=2, n_nodes=5)
    with pytest.raises(DataError, match="nothing has no train interactions"):
        METHODS[name](data)


@pytest.mark.parametrize("name", ["louvain", "leiden", "infomap", "brim", "bimlpa"])
def test_separate_blocks_are_found(name):
    data, users, items = blocks([(6, 5), (4, 7), (8, 3)])
    by_method = {"louvain": lambda: louvain(data, 1.0), "leiden": lambda: leiden(data, 1.0)}
    sharing = by_method.get(name, lambda: METHODS[name](data))()
    assert same_partition(sharing.users[:, 0].tolist(), users.tolist())
    assert same_partition(sharing.items[:, 0].tolist(), items.tolist())


def test_labels_become_rows_per_side():
    sharing = sharing_of(np.array([7, -1, 2, 7, -1]), np.array([-1, 2, 9]))
    assert sharing.users[:, 0].tolist() == [1, 2, 0, 1, 3] and sharing.items[:, 0].tolist() == [2, 0, 1]
    assert (sharing.n_user_rows, sharing.n_item_rows) == (4, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: louvain(SMALL, -1.0), "resolution is -1.0"),
        (lambda: leiden(SMALL, seed=0), "seed is 0"),
        (lambda: infomap(SMALL, trials=0), "trials is 0"),
        (lambda: brim(SMALL, tolerance=float("nan")), "tolerance is nan"),
        (lambda: label_propagation(SMALL), "rows is None and alpha is None; give exactly one"),
        (lambda: label_propagation(SMALL, 50, alpha=0.5), "give exactly one"),
        (lambda: label_propagation(SMALL, alpha=1.5), "alpha is 1.5, but must be a finite number from 0 to 1"),
        (lambda: label_propagation(SMALL, alpha=0.5, sweeps=0), "sweeps is 0"),
        (lambda: label_propagation(SMALL, 106), "a budget of 106 rows is out of reach"),
        (lambda: label_propagation(SMALL, 1), "a budget of 1 rows is out of reach"),
        (lambda: ebmd(SMALL, 20, limit=1), "a budget of 20 rows is out of reach"),
        (lambda: ebmd(SMALL, 106), "rows is 106"),
        (lambda: bimlpa(SMALL, theta=2.0), "theta is 2.0"),
        (lambda: bimlpa(SMALL, lambda_=0), "lambda_ is 0"),
    ],
)
def test_settings_are_checked(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


# ---- Louvain, Leiden and their hash ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [1.0, 10.0, 200.0])
def test_louvain_is_that_of_scikit_network(resolution):
    shared = louvain(SMALL, resolution)
    expected = Louvain(resolution).fit(SMALL.train, force_bipartite=True)
    assert same_partition(shared.users[:, 0].tolist(), expected.labels_row_.tolist())
    assert same_partition(shared.items[:, 0].tolist(), expected.labels_col_.tolist())


def test_seed_of_leiden_reaches_its_draws():
    data = random_interactions(100, 80, 500, seed=1)
    assert len({leiden(data, 1.0, seed=seed).users.tobytes() for seed in range(1, 9)}) > 1


def test_double_graph_hash_is_a_hash_beside_the_community():
    shared, communities = double_graph_hash(SMALL, 10.0, seed=4), louvain(SMALL, 10.0)
    np.testing.assert_array_equal(shared.users[:, 1], communities.users[:, 0])
    np.testing.assert_array_equal(shared.items[:, 1], communities.items[:, 0])
    assert shared.combine == "sum" and shared.n_extra == 105
    rng, prime = np.random.default_rng(4), 2**61 - 1
    for rows, n_rows in ((shared.users[:, 0], communities.n_user_rows), (shared.items[:, 0], communities.n_item_rows)):
        a, b = int(rng.integers(1, prime)), int(rng.integers(0, prime))
        assert rows.tolist() == [((a * x + b) % prime) % n_rows for x in range(rows.size)]


def test_infomap_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "infomap", None)
    with pytest.raises(ConfigError, match=r"infomap needs the package infomap, .* pip install 'recq\[baselines\]'"):
        infomap(SMALL)


# ---- BRIM --------------------------------------------------------------------------------------------------------------------


def dense_modularity(data, users, items):
    dense = data.train.toarray().astype(np.float64)
    null = np.outer(dense.sum(axis=1), dense.sum(axis=0)) / dense.sum()
    return ((dense - null) * (users[:, None] == items[None, :])).sum() / dense.sum()


@given(st.integers(0, 10**6), st.sampled_from([1.0, 5.0]))
@settings(max_examples=10)
def test_brim_never_lowers_modularity(seed, resolution):
    data = random_interactions(14, 11, 60, seed=seed, test=15)
    shared = brim(data, seed=seed, resolution=resolution, tolerance=0.0)
    assert (np.diff(shared.found.objective) >= -1e-12).all()
    start = Louvain(resolution, shuffle_nodes=True, random_state=seed).fit(data.train, force_bipartite=True)
    assert shared.found.objective[0] == pytest.approx(dense_modularity(data, start.labels_row_, start.labels_col_), abs=1e-12)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_one_half_step_of_brim_takes_the_best_of_all_communities(seed):
    from recq_lib.baselines.sharing.communities import _best_communities

    data, rng = random_interactions(12, 9, 50, seed=seed, test=10), np.random.default_rng(seed)
    items, present = rng.integers(0, 6, 9), rng.integers(0, 6, 12)
    dense = data.train.toarray().astype(np.float64)
    own, degree = dense.sum(axis=1).astype(int), dense.sum(axis=0).astype(int)
    score = (dense - np.outer(own, degree) / dense.sum()) @ np.eye(7)[items]  # community 6 is empty
    shared = _best_communities(data.train, own, items, degree, present, 7)
    np.testing.assert_allclose(score[np.arange(12), shared], score.max(axis=1), atol=1e-12)
    assert shared[own == 0].tolist() == present[own == 0].tolist()


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_modularity_equals_the_dense_sum(seed):
    data, rng = random_interactions(12, 9, 50, seed=seed, test=5), np.random.default_rng(seed)
    users, items = rng.integers(0, 4, 12), rng.integers(0, 5, 9)
    assert barber_modularity(data, users, items) == pytest.approx(dense_modularity(data, users, items), abs=1e-12)


# ---- label propagation -------------------------------------------------------------------------------------------------------


def naive_propagation(data, alpha, sweeps, seed):
    rows, labels, rng = neighbours_of(data.train), list(range(data.n_nodes)), np.random.default_rng(seed)
    for _ in range(sweeps):
        order, draws = rng.permutation(data.n_nodes), rng.random(data.n_nodes)
        for node, draw in zip(order, draws):
            counts = {}
            for y in rows[node]:
                counts[labels[y]] = counts.get(labels[y], 0) + 1
            if draw < alpha and counts:
                labels[node] = [label for label in counts if counts[label] == max(counts.values())][-1]
    return labels


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("data", [toy(), SMALL], ids=["toy", "small"])
def test_label_propagation_equals_the_rule_written_out(data, alpha):
    shared = label_propagation(data, alpha=alpha, sweeps=3, seed=9)
    users, items = partition(naive_propagation(data, alpha, 3, 9), data.n_users)
    assert shared.users[:, 0].tolist() == users.tolist() and shared.items[:, 0].tolist() == items.tolist()
    assert shared.found.tried == ()


def test_label_on_one_side_only_has_a_row_on_that_side_only():
    labels = np.array(naive_propagation(SMALL, 0.5, 1, 2))
    users, items = set(labels[:60].tolist()), set(labels[60:].tolist())
    shared = label_propagation(SMALL, alpha=0.5, sweeps=1, seed=2)
    assert users - items and items - users
    assert (shared.n_user_rows, shared.n_item_rows) == (len(users), len(items))


@pytest.mark.parametrize("rows", [40, 60, 85, 105])
def test_alpha_is_found_for_a_budget(rows):
    shared = label_propagation(SMALL, rows)
    alpha = shared.found.settings["alpha"]
    np.testing.assert_array_equal(shared.users, label_propagation(SMALL, alpha=alpha).users)
    assert abs(shared.n_rows - rows) == min(abs(count - rows) for _, count in shared.found.tried) <= 2


# ---- EBMD --------------------------------------------------------------------------------------------------------------------


def naive_ebmd(data, sweeps, seed, resolution):
    n, n_users, rows = data.n_nodes, data.n_users, neighbours_of(data.train)
    degree = [float(len(row)) for row in rows]
    total, labels, inside, rng = sum(degree), list(range(n)), [0.0] * n, np.random.default_rng(seed)
    volumes = [degree.copy(), degree.copy()]  # of users, of items
    background = total / n_users / (n - n_users)
    for _ in range(sweeps):
        for x in rng.permutation(n):
            acc, user = {}, x < n_users
            for y in rows[x]:
                acc[labels[y]] = acc.get(labels[y], 0.0) + 1
            best, highest = None, None
            for label in reversed(acc):
                g = (inside[label] + acc[label]) / (volumes[0][label] + user) / (volumes[1][label] + (not user)) - background
                score = g * acc[label] - resolution * g * g * degree[x] / total * volumes[1 if user else 0][label]
                if highest is None or score > highest:
                    best, highest = label, score
            if best is not None and best != labels[x]:
                inside[labels[x]] -= acc.get(labels[x], 0.0)
                inside[best] += acc[best]
                own = volumes[0 if user else 1]
                own[labels[x]] -= degree[x]
                own[best] += degree[x]
                labels[x] = best
    return labels


@pytest.mark.parametrize("resolution", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("data", [toy(), SMALL], ids=["toy", "small"])
def test_ebmd_equals_the_rule_written_out(data, resolution):
    shared = ebmd(data, sweeps=4, seed=5, resolution=resolution)
    users, items = partition(naive_ebmd(data, shared.found.settings["sweeps"], 5, resolution), data.n_users)
    assert shared.users[:, 0].tolist() == users.tolist() and shared.items[:, 0].tolist() == items.tolist()


def test_ebmd_keeps_the_sweep_closest_to_a_budget():
    counts = [ebmd(SMALL, sweeps=sweeps).n_rows for sweeps in (1, 2, 3, 4)]
    assert counts[0] > counts[1] > counts[2]
    for rows in (counts[1], counts[1] + 1, counts[0] - 1):
        shared = ebmd(SMALL, rows)
        assert abs(shared.n_rows - rows) == min(abs(count - rows) for count in counts)
        assert shared.n_rows == counts[shared.found.settings["sweeps"] - 1]
        assert [count for _, count in shared.found.tried] == counts[: len(shared.found.tried)]


# ---- BiMLPA ------------------------------------------------------------------------------------------------------------------


def naive_bimlpa(data, seed, theta, most, limit=100):
    """Label sets {label: weight} of all nodes, users first."""
    rows, n_users, rng = neighbours_of(data.train), data.n_users, np.random.default_rng(seed)
    sides = [range(n_users), range(n_users, data.n_nodes)]
    with_links = [sum(bool(rows[x]) for x in side) for side in sides]
    one, many = sides if with_links[0] >= with_links[1] else sides[::-1]
    held = {x: {} for x in range(data.n_nodes)}
    for x, label in zip(one, rng.permutation(len(one)).tolist()):
        held[x] = {label: 1.0} if rows[x] else {}

    def summed(x):
        out = {}
        for y in rows[x]:
            for label in sorted(held[y], key=lambda label: (-held[y][label], label))[:most]:
                out[label] = out.get(label, 0.0) + held[y][label] / np.sqrt(len(rows[y]))
        return dict(sorted(out.items()))

    def receive(side, draws=None):
        new = {}
        for position, x in enumerate(side):
            got = summed(x)
            heaviest = max(got.values(), default=0.0)
            kept = {label: weight for label, weight in got.items() if weight >= (heaviest if draws is not None else theta * heaviest)}
            if draws is not None and kept:
                label = list(kept)[int(draws[position] * len(kept))]
                kept = {label: kept[label]}
            new[x] = {label: weight / sum(kept.values()) for label, weight in kept.items()}
        stable = all(new[x].keys() == held[x].keys() for x in side)
        held.update(new)
        return stable

    for single in (False, True):
        for _ in range(limit):
            draws = rng.random(len(one)) if single else None
            stable = receive(many)
            if receive(one, draws) and stable:
                break
    return held


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 0.9]), st.integers(1, 7))
@settings(max_examples=25)
def test_bimlpa_equals_the_rule_written_out(seed, theta, most):
    shape = [(15, 12), (9, 16)][seed % 2]
    data = random_interactions(*shape, 45, seed=seed, test=12)
    held = naive_bimlpa(data, seed, theta, most, limit=20)
    shared = bimlpa(data, seed=seed, theta=theta, lambda_=most, iterations=20)
    for rows, nodes in ((shared.users[:, 0], range(data.n_users)), (shared.items[:, 0], range(data.n_users, data.n_nodes))):
        expected = [tuple(held[x]) or ("alone", x) for x in nodes]
        assert same_partition(rows.tolist(), expected)


# ---- counts of the official code ---------------------------------------------------------------------------------------------


class TestBeauty:
    def test_louvain(self, beauty):
        shared = louvain(beauty)
        assert (shared.n_user_rows, shared.n_item_rows) == (4154, 4113) and shared.n_parameters(64) == 529088
        assert double_graph_hash(beauty).n_parameters(64) == 563552

    @pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="Leiden draws from the C library, the count is glibc's")
    def test_leiden(self, beauty):
        shared = leiden(beauty)
        assert (shared.n_user_rows, shared.n_item_rows) == (4155, 4113)

    def test_label_propagation_meets_the_budget_near_the_measured_alpha(self, beauty):
        shared = label_propagation(beauty, 8267)
        assert shared.n_rows == pytest.approx(8267, abs=10) and shared.found.settings["alpha"] == pytest.approx(0.53, abs=0.03)

    @pytest.mark.parametrize("resolution", [0.0, 1.0, 100.0])
    def test_ebmd_has_the_rows_of_the_official_code_whatever_its_resolution(self, beauty, resolution):
        assert ebmd(beauty, sweeps=5, resolution=resolution).n_rows == pytest.approx(11100, rel=0.01)

    def test_ebmd_needs_about_ten_sweeps_for_the_budget(self, beauty):
        shared = ebmd(beauty, 8267)
        assert shared.found.settings["sweeps"] in (9, 10) and shared.n_rows == pytest.approx(8267, rel=0.03)

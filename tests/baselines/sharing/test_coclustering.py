"""Co-clustering against dense sums, planted blocks and scikit-learn."""

from __future__ import annotations

import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import SpectralBiclustering, SpectralCoclustering
from sklearn.metrics import adjusted_rand_score

from recq_lib.baselines.sharing.coclustering import _k_means, _move, itcc, k_means_line, sbc, scc
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError

SMALL = random_interactions(n_users=60, n_items=45, n_pairs=420, test=120, seed=3)
METHODS = {
    "scc": lambda data, k=3, seed=1: scc(data, k, seed=seed),
    "sbc": lambda data, k=3, seed=1: sbc(data, k, seed=seed),
    "itcc": lambda data, k=3, seed=1: itcc(data, k, k, seed=seed),
}
every_method = pytest.mark.parametrize("name", METHODS)


def planted(block_probability, seed=0, users_each=30, items_each=24):
    """Random links with the probabilities [a, b] of blocks, ids shuffled; returns (data, block of users, block of items)."""
    rng, probability = np.random.default_rng(seed), np.asarray(block_probability)
    users = rng.permutation(np.repeat(np.arange(probability.shape[0]), users_each))
    items = rng.permutation(np.repeat(np.arange(probability.shape[1]), items_each))
    pairs = np.nonzero(rng.random((users.size, items.size)) < probability[users][:, items])
    return Interactions.from_pairs(pairs, n_users=users.size, n_items=items.size, name="planted"), users, items


DIAGONAL = planted(np.full((3, 3), 0.05) + 0.6 * np.eye(3))
CHECKERBOARD = planted([[0.7, 0.1, 0.4], [0.1, 0.4, 0.7], [0.4, 0.7, 0.1]])


# ---- what all of them keep ---------------------------------------------------------------------------------------------------


@every_method
def test_rows_are_numbered_and_used(name):
    k = 20
    shared = METHODS[name](SMALL, k)
    for rows, n_rows in ((shared.users[:, 0], shared.n_user_rows), (shared.items[:, 0], shared.n_item_rows)):
        assert sorted(set(rows.tolist())) == list(range(n_rows))
        assert n_rows <= k + 5  # some nodes of SMALL are alone
    assert shared.found.method == name and shared.n_parameters(16) == 16 * shared.n_rows and shared.found.seconds > 0


@every_method
def test_seed_decides(name):
    first, again, other = (METHODS[name](SMALL, 15, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.users, again.users)
    np.testing.assert_array_equal(first.items, again.items)
    assert not (np.array_equal(first.users, other.users) and np.array_equal(first.items, other.items))


@every_method
def test_isolated_nodes_have_a_row_to_themselves(name):
    dense = np.zeros((9, 8))
    dense[:7, :6] = np.random.default_rng(0).random((7, 6)) < 0.6
    dense[:7, 0] = dense[0, :6] = 1
    data = Interactions.from_pairs(np.nonzero(dense), n_users=9, n_items=8)
    shared = METHODS[name](data, 4)
    for rows, alone in ((shared.users[:, 0], [7, 8]), (shared.items[:, 0], [6, 7])):
        for node in alone:
            assert (rows == rows[node]).sum() == 1
    if name == "itcc":
        assert shared.n_user_rows <= 4 and shared.n_item_rows <= 4  # they come out of the rows asked for


@every_method
def test_graph_without_interactions_is_refused(name):
    train = sp.csr_matrix((4, 4), dtype=np.float32)
    data = SimpleNamespace(name="nothing", train=train, n_users=4, n_items=4, n_nodes=8)
    with pytest.raises(DataError, match="nothing has no train interactions"):
        METHODS[name](data)


@pytest.mark.parametrize("name", ["scc", "sbc"])
def test_one_pair_is_too_little_for_singular_vectors(name):
    data = Interactions.from_pairs((np.array([0, 0]), np.array([0, 1])), n_users=1, n_items=2)
    with pytest.raises(ConfigError, match="needs at least 2 users and 2 items|n_clusters is 2"):
        METHODS[name](data, 2)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: scc(SMALL), "n_clusters is None and rows is None; give exactly one"),
        (lambda: scc(SMALL, 5, rows=20), "give exactly one"),
        (lambda: scc(SMALL, 1), "n_clusters is 1, but must be a whole number from 2"),
        (lambda: scc(SMALL, 106), "n_clusters is 106"),
        (lambda: sbc(SMALL, 46), "n_clusters is 46"),
        (lambda: sbc(SMALL, rows=106), "rows is 106"),
        (lambda: sbc(SMALL, 5, n_components=2, n_best=3), "n_best is 3, but must be a whole number from 1 to 2"),
        (lambda: itcc(SMALL, 61, 10), "n_user_rows is 61"),
        (lambda: itcc(SMALL, 10, 0), "n_item_rows is 0"),
        (lambda: itcc(SMALL, 10, 10, iterations=0), "iterations is 0"),
    ],
)
def test_settings_are_checked(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


# ---- spectral ----------------------------------------------------------------------------------------------------------------


def test_scc_finds_planted_blocks_as_scikit_learn_does():
    data, users, items = DIAGONAL
    shared, expected = scc(data, 3), SpectralCoclustering(3, random_state=0).fit(data.train)
    for rows, block, theirs in ((shared.users, users, expected.row_labels_), (shared.items, items, expected.column_labels_)):
        assert adjusted_rand_score(block, rows[:, 0]) == 1.0 == adjusted_rand_score(block, theirs)


def test_sbc_finds_a_checkerboard_as_scikit_learn_does():
    data, users, items = CHECKERBOARD
    shared = sbc(data, 3)
    expected = SpectralBiclustering(3, method="bistochastic", random_state=0).fit(data.train)
    for rows, block, theirs in ((shared.users, users, expected.row_labels_), (shared.items, items, expected.column_labels_)):
        assert adjusted_rand_score(block, rows[:, 0]) == 1.0 == adjusted_rand_score(block, theirs)


@pytest.mark.parametrize("method", [scc, sbc])
@pytest.mark.parametrize("rows", [20, 40, 70])
def test_number_of_clusters_is_found_for_a_budget(method, rows):
    shared = method(SMALL, rows=rows)
    k = shared.found.settings["n_clusters"]
    assert dict(shared.found.tried)[k] == shared.n_rows and 1 <= len(shared.found.tried) <= 4
    assert abs(shared.n_rows - rows) == min(abs(count - rows) for _, count in shared.found.tried) <= max(2, 0.1 * rows)
    np.testing.assert_array_equal(shared.users, method(SMALL, k).users)


@given(st.integers(0, 10**6), st.integers(1, 12))
@settings(max_examples=30)
def test_k_means_on_a_line_ends_where_every_number_is_with_its_nearest_mean(seed, k):
    values = np.random.default_rng(seed).integers(0, 15, 20) / 4
    labels, centres = k_means_line(values, k, seed)
    assert centres.size <= k and (np.diff(centres) > 0).all()
    np.testing.assert_allclose(np.abs(values - centres[labels]), np.abs(values[:, None] - centres).min(axis=1), atol=1e-12)
    for label in set(labels.tolist()):
        assert centres[label] == pytest.approx(values[labels == label].mean())


def test_k_means_on_a_line_finds_groups_far_apart(rng):
    group = rng.permutation(np.repeat(np.arange(5), 8))
    labels, centres = k_means_line(100.0 * group + rng.random(40), 5, seed=0)
    assert labels.tolist() == group.tolist() and centres.size == 5
    assert k_means_line(np.array([2.0, 1.0, 2.0]), 3, seed=0)[0].tolist() == [1, 0, 1]  # fewer different numbers than clusters


def test_fewer_different_points_than_clusters():
    points = np.repeat(np.array([[0.0, 0], [1, 0], [0, 5]]), 4, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels, _ = _k_means(points, 6, seed=0)
    assert len(set(zip(labels.tolist(), map(tuple, points.tolist())))) == 3 == len(set(labels.tolist()))


# ---- information-theoretic ---------------------------------------------------------------------------------------------------


def dense_information(joint):
    joint = joint / joint.sum()
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return sum(p * np.log(p / q) for p, q in zip(joint.ravel(), product.ravel()) if p > 0)


def divergences(dense, labels, others, n_labels, n_others):
    """D(p(y|x) || q(y|k)) [n, n_labels] with q(y|k) = p(y|ŷ)·p(ŷ|k), by loops; infinite where it is, or where k is empty."""
    p = dense / dense.sum()
    out = np.full((dense.shape[0], n_labels), np.inf)
    column = p.sum(axis=0)
    for x in range(dense.shape[0]):
        given_x = p[x] / p[x].sum()
        for k in range(n_labels):
            inside = p[labels == k]
            if inside.sum() == 0:
                continue
            total = 0.0
            for y in np.flatnonzero(given_x):
                cluster = others == others[y]
                q = column[y] / column[cluster].sum() * inside[:, cluster].sum() / inside.sum()
                total += given_x[y] * np.log(given_x[y] / q) if q > 0 else np.inf
            out[x, k] = total
    return out


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(1, 5))
@settings(max_examples=40)
def test_a_row_moves_to_the_cluster_of_least_divergence(seed, n_labels, n_others):
    rng = np.random.default_rng(seed)
    dense = (rng.random((12, 9)) < 0.4).astype(float)
    dense[np.arange(12), rng.integers(0, 9, 12)] = 1.0
    before, others = rng.integers(0, n_labels, 12), rng.integers(0, n_others, 9)
    after = before.copy()
    _move(sp.csr_matrix(dense), after, others, n_labels, n_others)
    distance = divergences(dense, before, others, n_labels, n_others)
    least = distance.min(axis=1)
    np.testing.assert_allclose(distance[np.arange(12), after], least, atol=1e-10)


@given(st.integers(0, 10**6), st.integers(2, 12))
@settings(max_examples=30)
def test_information_kept_never_falls_and_is_that_of_the_clusters(seed, k):
    data = random_interactions(20, 16, 120, seed=seed, test=20)
    assert (np.diff(data.train.indptr) > 0).sum() >= k
    alone = [int((np.asarray(data.train.sum(axis=axis)).ravel() == 0).sum()) for axis in (1, 0)]
    shared = itcc(data, k + alone[0], k + alone[1], seed=seed)
    assert (np.diff(shared.found.objective) >= -1e-12).all()
    joint = np.zeros((shared.n_user_rows, shared.n_item_rows))
    for user, item in zip(*data.pairs()):
        joint[shared.users[user, 0], shared.items[item, 0]] += 1
    kept = dense_information(joint)
    assert shared.found.objective[-1] == pytest.approx(kept, abs=1e-10)
    assert kept <= dense_information(data.train.toarray().astype(float)) + 1e-12


def test_itcc_finds_a_checkerboard():
    data, users, items = CHECKERBOARD
    best = max((itcc(data, 3, 3, seed=seed) for seed in range(5)), key=lambda shared: shared.found.objective[-1])
    assert adjusted_rand_score(users, best.users[:, 0]) > 0.95
    assert adjusted_rand_score(items, best.items[:, 0]) > 0.95


def test_itcc_starts_with_clusters_of_equal_size_and_one_row_per_node_keeps_everything():
    data = CHECKERBOARD[0]
    shared = itcc(data, data.n_users, data.n_items)
    assert shared.n_rows == data.n_nodes
    assert shared.found.objective[-1] == pytest.approx(dense_information(data.train.toarray().astype(float)), abs=1e-10)


@pytest.mark.parametrize("method", [scc, sbc])
def test_missing_scikit_learn_is_said_at_once(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=rf"{method.__name__} needs the package sklearn, .* pip install 'recq\[baselines\]'"):
        method(SMALL, 3)

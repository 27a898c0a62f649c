"""The solver's kernels against the rule written out with dictionaries, and against dense sums."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from label_propagation_oracle import Case, cases, gammas, naive_second, neighbours_of

from recq_lib.kernels import label_propagation as kernel
from recq_lib.kernels.two_way import both_ways, unsigned


@given(cases)
def test_graph_both_ways_is_the_block_matrix(case):
    indptr, indices = case.graph
    n = case.order.size
    dense = (case.train.toarray() != 0).astype(int)
    blocks = np.block([[np.zeros((case.n_users, case.n_users), int), dense], [dense.T, np.zeros((n - case.n_users,) * 2, int)]])
    matrix = sp.csr_matrix((np.ones(indices.size, int), indices.astype(int), indptr.astype(int)), shape=(n, n))
    np.testing.assert_array_equal(matrix.toarray(), blocks)
    assert all((np.diff(indices[indptr[x] : indptr[x + 1]].astype(int)) > 0).all() for x in range(n))
    assert indices.dtype == np.uint32 and case.train.indices.dtype == np.int32


def test_signed_and_unsigned_are_one_memory():
    signed = both_ways(sp.csr_matrix(np.array([[1.0, 0.0], [1.0, 1.0]], np.float32)))
    assert [part.dtype for part in signed] == [np.dtype(np.int32)] * 2
    seen = unsigned(signed)
    assert [part.dtype for part in seen] == [np.dtype(np.uint32)] * 2
    assert all(np.shares_memory(a, b) and np.array_equal(a, b) for a, b in zip(signed, seen, strict=True))
    wide = unsigned((signed[0].astype(np.int64), signed[1]))
    assert wide[0].dtype == np.uint64 and wide[0].tolist() == [0, 1, 3, 5, 6]


@given(cases, gammas)
def test_sweep_equals_the_rule_written_out(case, gamma):
    labels, volumes = case.swept(gamma)
    expected_labels, expected_volumes = case.oracle(gamma)
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_array_equal(volumes, expected_volumes)


@pytest.mark.parametrize("n_users, n_items, density", [(300, 200, 0.02), (3, 400, 0.9), (400, 2, 0.95)])
@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_sweep_on_graphs_longer_than_what_is_asked_for_ahead(n_users, n_items, density, gamma):
    case = Case(n_users, n_items, density, seed=1, whole=False)
    for got, expected in zip(case.swept(gamma), case.oracle(gamma), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_place_of_rows_may_be_64_bit():
    case = Case(60, 40, 0.1, seed=2)
    narrow, wide = case.swept(0.3, indptr_type=np.uint32), case.swept(0.3, indptr_type=np.uint64)
    np.testing.assert_array_equal(narrow[0], wide[0])
    assert (narrow[0] != case.labels).any()


def test_of_equal_labels_the_last_to_appear_first_wins():
    # one user, items with labels 7, 5, 5, 7, 6, 6: all tie at 2, and 6 appears first after the others did
    train = sp.csr_matrix(np.ones((1, 6), np.float32))
    labels = np.array([0, 7, 5, 5, 7, 6, 6], np.uint32)
    for order_of_items, winner in (([0, 1, 2, 3, 4, 5], 6), ([4, 5, 0, 1, 2, 3], 5), ([1, 4, 2, 5, 0, 3], 7)):
        case = Case(1, 6, 0.0, seed=0)
        case.train, case.weights, case.order = train, np.zeros(8), np.array([0], np.uint32)
        case.labels, case.volumes = np.concatenate([labels[:1], labels[1:][order_of_items], [0]]).astype(np.uint32), np.zeros((2, 8))
        assert case.swept(1.0)[0][0] == winner


def dense_objective(case, gamma, labels):
    """Σ_uv (B_uv - γ w_u w_v)·[l_u = l_v] over all pairs, float64."""
    users, items = case.weights[: case.n_users], case.weights[case.n_users :]
    same = labels[: case.n_users, None] == labels[None, case.n_users :]
    return float((((case.train.toarray() != 0) - gamma * np.outer(users, items)) * same).sum())


@given(cases, gammas)
def test_objective_equals_the_sum_over_all_pairs(case, gamma):
    got = kernel.objective(case.graph, case.n_users, gamma, case.weights, case.labels)
    assert got == pytest.approx(dense_objective(case, gamma, case.labels), rel=1e-12, abs=1e-9)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 1.0, 2.0]))
def test_a_node_takes_the_label_of_a_neighbour_that_raises_the_objective_most(seed, gamma):
    case = Case(6, 6, 0.5, seed, ghost=False)
    rows = neighbours_of(case.train)
    for node in range(12):
        labels, _ = case.swept(gamma, order=[node])
        assert np.flatnonzero(labels != case.labels).tolist() in ([], [node])
        values = {}
        for label in {int(case.labels[y]) for y in rows[node]}:
            moved = case.labels.copy()
            moved[node] = label
            values[label] = dense_objective(case, gamma, moved)
        if values:
            assert values[int(labels[node])] == pytest.approx(max(values.values()), abs=1e-6)
        else:
            assert labels[node] == case.labels[node]


@given(cases, gammas)
def test_second_labels_equal_the_rule_written_out(case, gamma):
    table, second = case.table(), np.empty(case.n_users, np.int32)
    taken = np.isin(np.arange(case.order.size), case.labels[: case.n_users])
    state = kernel.State.of(case.labels, table, case.graph[0])
    kernel.second_labels(case.graph, case.n_users, gamma, case.weights, state, taken, second)
    rows = neighbours_of(case.train)
    assert second.tolist() == naive_second(case.n_users, rows, gamma, case.weights, case.labels, case.volumes)
    np.testing.assert_array_equal(table, case.table())  # nothing is updated

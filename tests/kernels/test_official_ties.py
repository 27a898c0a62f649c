"""The kernels with the official order of equal scores against loops over models of its containers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from label_propagation_oracle import Case, cases, gammas, neighbours_of, official_second, official_sweep

from recq_lib.kernels import label_propagation, official_ties


def swept(case, gamma, **options):
    return case.swept(gamma, kernel=official_ties, **options)


def oracle(case, gamma):
    labels, volumes = case.labels.copy(), case.volumes.copy()
    official_sweep(case.order, case.n_users, neighbours_of(case.train), gamma, case.weights, labels, volumes)
    return labels, volumes


@given(cases, gammas)
def test_sweep_equals_the_rule_written_out(case, gamma):
    for got, expected in zip(swept(case, gamma), oracle(case, gamma), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("n_users, n_items, density", [(300, 200, 0.02), (30, 400, 0.3), (3, 400, 0.9), (400, 2, 0.95)])
@pytest.mark.parametrize("gamma", [0.0, 0.7])
def test_sweep_through_rows_that_make_the_set_grow(n_users, n_items, density, gamma):
    case = Case(n_users, n_items, density, seed=1)
    for got, expected in zip(swept(case, gamma), oracle(case, gamma), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_two_orders_part_where_labels_share_a_bucket():
    """One user, all scores equal. Labels 3, 16, 4 and 29 in that order: 3, 16 and 29 share a bucket of 13, so the chain is 4 29 16 3."""
    case = Case(1, 30, 1.0, seed=0)
    case.weights, case.volumes = np.zeros(31), np.zeros((2, 31))
    case.labels = np.array([0] + [3] * 3 + [16] * 3 + [4] * 3 + [29] * 3 + [0] * 18, np.uint32)
    case.train = case.train[:, :12]
    case.labels = case.labels[:13]
    case.order = np.array([0], np.uint32)
    assert swept(case, 1.0)[0][0] == 4 and case.swept(1.0)[0][0] == 29


def test_without_equal_scores_nothing_is_different():
    case = Case(80, 60, 0.15, seed=4, whole=False)
    np.testing.assert_array_equal(swept(case, 0.9)[0], case.swept(0.9)[0])


def test_weights_and_volumes_may_be_float32():
    case = Case(60, 40, 0.2, seed=5)  # whole weights: both are exact
    wide, narrow = swept(case, 0.5), swept(case, 0.5, kind=np.float32)
    np.testing.assert_array_equal(narrow[0], wide[0])
    assert narrow[1].dtype == np.float32 and (narrow[1] == wide[1]).all()


@given(cases, gammas)
def test_second_labels_equal_the_rule_written_out(case, gamma):
    table, second = case.table(), np.empty(case.n_users, np.int32)
    taken = np.isin(np.arange(case.order.size), case.labels[: case.n_users])
    state = official_ties.State.of(case.labels, table, case.graph[0])
    official_ties.second_labels(case.graph, case.n_users, gamma, case.weights, state, taken, second)
    rows = neighbours_of(case.train)
    assert second.tolist() == official_second(case.n_users, rows, gamma, case.weights, case.labels, case.volumes)
    np.testing.assert_array_equal(table, case.table())  # nothing is updated
    assert (state.places.table == -1).all()


def test_second_labels_exist_for_the_same_users_in_both_orders():
    case, found = Case(90, 70, 0.1, seed=6), []
    taken = np.isin(np.arange(160), case.labels[:90])
    for kernel in (label_propagation, official_ties):
        second = np.empty(90, np.int32)
        kernel.second_labels(case.graph, 90, 0.5, case.weights, kernel.State.of(case.labels, case.table(), case.graph[0]), taken, second)
        found.append(second)
    np.testing.assert_array_equal(found[0] >= 0, found[1] >= 0)
    assert (found[0] != found[1]).any()

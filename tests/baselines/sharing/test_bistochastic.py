"""Equal sums against a slow scaling in logarithms, and matrices whose zeros allow no exact one."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.baselines.sharing.bistochastic import bistochastic
from recq_lib.baselines.sharing.coclustering import sbc
from recq_lib.data.interactions import Interactions
from recq_lib.errors import RecqError


def slowly_scaled(dense: np.ndarray, steps: int) -> np.ndarray:
    """So many steps by loops over rows and columns, with the factors as logarithms (float64), so that none overflows."""
    n, m = dense.shape
    logs = np.where(dense > 0, np.log(np.where(dense > 0, dense, 1)), -np.inf)
    of_row, of_column = [0.0] * n, [0.0] * m
    for _ in range(steps):
        rows = [logs_sum([logs[i, j] + of_row[i] + of_column[j] for j in range(m)]) for i in range(n)]
        columns = [logs_sum([logs[i, j] + of_row[i] + of_column[j] for i in range(n)]) for j in range(m)]
        of_row = [factor - total / 2 for factor, total in zip(of_row, rows, strict=True)]
        of_column = [factor - total / 2 for factor, total in zip(of_column, columns, strict=True)]
    return np.exp(logs + np.array(of_row)[:, None] + np.array(of_column))


def logs_sum(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs))


FEW = np.vstack([np.tile([1.0, 0.0], (20, 1)), [[1.0, 1.0]]])  # 20 users know only item 0, one more knows items 0 and 1


@pytest.mark.parametrize("dense", [
    FEW, FEW.T, np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]]), np.array([[1.0, 0, 0], [1, 0, 0], [1, 1, 1]]), np.eye(3),
    np.random.default_rng(0).random((7, 5)) + 0.1,
])  # fmt: skip
def test_it_takes_the_steps_and_ends_near_their_limit(dense):
    for steps in (1, 40, 1500):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exact = bistochastic(sp.csr_matrix(dense), 0.0, steps).toarray()
        np.testing.assert_allclose(exact, slowly_scaled(dense, steps), rtol=1e-9, atol=1e-100)  # smaller ones have settled
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = bistochastic(sp.csr_matrix(dense)).toarray()
    np.testing.assert_allclose(got, slowly_scaled(dense, 1500), atol=0.005 * got.max())


def test_rows_get_one_sum_and_columns_one_sum(rng):
    dense = rng.random((12, 8)) + 0.1
    got = bistochastic(sp.csr_matrix(dense)).toarray()
    np.testing.assert_allclose(got.sum(axis=1), got.sum(axis=1).mean(), rtol=1e-4)
    np.testing.assert_allclose(got.sum(axis=0), got.sum(axis=0).mean(), rtol=1e-4)
    logs = np.log(got / dense)  # what was multiplied is a factor per row times a factor per column
    np.testing.assert_allclose(logs - logs[:1] - logs[:, :1] + logs[0, 0], 0, atol=1e-9)


def test_an_unfinished_scaling_is_told():
    with pytest.warns(UserWarning, match=r"a matrix of 21 × 2 to equal sums has not settled: after 3 steps the last one still changed"):
        bistochastic(sp.csr_matrix(FEW), iterations=3)


@given(st.integers(0, 10**6))
@settings(max_examples=60)
def test_any_pattern_of_zeros_stays_finite(seed):
    rng = np.random.default_rng(seed)
    dense = (rng.random(rng.integers(2, 25, 2)) < rng.choice([0.06, 0.15, 0.5])).astype(float)
    dense = dense[dense.any(axis=1)][:, dense.any(axis=0)]
    if dense.size:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got = bistochastic(sp.csr_matrix(dense)).toarray()
        assert np.isfinite(got).all() and (got.sum(axis=0) > 0).all() and (got.sum(axis=1) > 0).all()


@pytest.mark.parametrize("rows", [4, 11, 23])
def test_sbc_where_no_scaling_is_exact(rows):
    data = Interactions.from_pairs(np.nonzero(FEW), name="few")
    found = sbc(data, rows=rows)
    assert found.n_users == 21 and found.n_items == 2 and np.isfinite(found.ratio(8))


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_sbc_on_any_small_graph_ends_in_rows_or_in_an_error_of_ours(seed):
    rng = np.random.default_rng(seed)
    pairs = np.nonzero(rng.random(rng.integers(2, 15, 2)) < 0.2)
    if pairs[0].size:
        try:
            found = sbc(Interactions.from_pairs(pairs, name="any"), rows=6)
        except RecqError as error:
            assert str(error)
        else:
            assert found.users.max() + 1 <= found.n_user_rows

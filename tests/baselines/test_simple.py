import numpy as np
import pytest
from helpers import random_interactions

from recq_lib.baselines.simple import EASE, GFCF, ItemKNN, MostPop
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError

USERS = np.array([0, 3, 17])


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=30, n_items=25, n_pairs=260, test=60, seed=4)


@pytest.fixture(scope="module")
def dense(data):
    return data.train.toarray().astype(np.float64)


def test_mostpop_counts(data, dense):
    np.testing.assert_array_equal(MostPop(data).score_block(USERS), np.tile(dense.sum(axis=0), (3, 1)))


@pytest.mark.parametrize("neighbours", [3, 100])
@pytest.mark.parametrize("block", [7, 1000])
def test_itemknn_equals_loops(data, dense, neighbours, block):
    n = data.n_items
    similarity = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            norm = np.sqrt(dense[:, i].sum() * dense[:, j].sum())
            similarity[i, j] = 0 if i == j else (dense[:, i] @ dense[:, j]) / (norm + 2.0)
    expected = np.zeros((3, n))
    for row, user in enumerate(USERS):
        for i in range(n):
            nearest = sorted(range(n), key=lambda j: (-similarity[i, j], j))[:neighbours]
            expected[row, i] = sum(similarity[i, j] for j in nearest if dense[user, j])
    got = ItemKNN(data, neighbours=neighbours, shrink=2.0, block=block).score_block(USERS)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_ease_minimises_its_objective(data, dense):
    """Column by column: ridge regression of item j on all other items."""
    expected = np.zeros((data.n_items, data.n_items))
    for j in range(data.n_items):
        others = np.delete(np.arange(data.n_items), j)
        x = dense[:, others]
        expected[others, j] = np.linalg.solve(x.T @ x + 50.0 * np.eye(others.size), x.T @ dense[:, j])
    np.testing.assert_allclose(EASE(data, l2=50.0).score_block(USERS), dense[USERS] @ expected, atol=1e-5)


def test_gfcf_equals_dense_filters(data, dense):
    du, di = dense.sum(axis=1), dense.sum(axis=0)
    su = np.array([1 / np.sqrt(d) if d else 0 for d in du])
    si = np.array([1 / np.sqrt(d) if d else 0 for d in di])
    normalised = su[:, None] * dense * si
    _, _, vt = np.linalg.svd(normalised)
    low = vt[:5].T @ vt[:5]
    back = np.array([np.sqrt(d) for d in di])
    expected = dense[USERS] @ (normalised.T @ normalised + 0.3 * si[:, None] * low * back)
    np.testing.assert_allclose(GFCF(data, n_factors=5).score_block(USERS), expected, atol=1e-5)


def test_impossible_requests_are_refused(data):
    with pytest.raises(ConfigError, match="the limit is 0 GB"):
        EASE(data, memory_limit_gb=1e-9)
    with pytest.raises(ConfigError, match="l2 is 0"):
        EASE(data, l2=0)
    with pytest.raises(ConfigError, match="neighbours is 0"):
        ItemKNN(data, neighbours=0)
    with pytest.raises(ConfigError, match="at least 2 users"):
        GFCF(Interactions.from_pairs((np.array([0]), np.array([0])), n_items=2))

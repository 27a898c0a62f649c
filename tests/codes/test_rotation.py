"""A rotation keeps inner products, and brings rows nearer to the corners of a cube."""

from __future__ import annotations

import numpy as np
import pytest

from recq_lib.codes.packing import pack
from recq_lib.codes.rotation import learn, rotated
from recq_lib.errors import ConfigError


def uneven(n_users=300, n_items=400, dim=16, seed=0):
    """Vectors most of whose length lies in a few columns, as after singular vectors."""
    rng, spread = np.random.default_rng(seed), 0.6 ** np.arange(dim)
    return rng.normal(size=(n_users, dim)) * spread, rng.normal(size=(n_items, dim)) * spread


def lost(rows):
    """Share of the rows' squares that a sign and one scale a row do not hold."""
    kept = np.abs(rows).mean(axis=1) ** 2 * rows.shape[1]
    return 1 - kept.sum() / np.square(rows).sum()


def test_inner_products_stay():
    users, items = uneven()
    turned = rotated(users, items)
    assert [side.dtype for side in turned] == [np.float32] * 2
    np.testing.assert_allclose(turned[0] @ turned[1].T, users @ items.T, atol=1e-5)
    with_zero = rotated(np.zeros((1, 16)), items)
    assert not with_zero[0].any()


def test_what_is_learned_is_orthogonal_and_better_than_a_random_rotation():
    rows = np.concatenate(uneven())
    rotation = learn(rows, np.random.default_rng(1))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(16), atol=1e-12)
    at_random = learn(rows, np.random.default_rng(1), sweeps=0)
    assert lost(rows @ rotation) < lost(rows @ at_random) < lost(rows)
    errors = [lost(rows @ learn(rows, np.random.default_rng(1), sweeps=n)) for n in range(6)]
    assert (np.diff(errors) <= 1e-12).all()  # every sweep is an exact minimum over codes, then over rotations


@pytest.mark.parametrize("bits", [1, 2])
def test_packed_scores_come_nearer_to_the_true_ones(bits):
    users, items = uneven()
    true = users @ items.T
    plain, turned = (pack(*pair, bits=bits).scores(np.arange(300)) for pair in ((users, items), rotated(users, items)))
    correlation = [np.corrcoef(true.ravel(), scores.ravel())[0, 1] for scores in (plain, turned)]
    assert correlation[1] > correlation[0] + 0.02


def test_equal_seeds_give_equal_vectors_and_large_tables_are_sampled(monkeypatch):
    monkeypatch.setattr("recq_lib.codes.rotation._LEARNED", 100)
    users, items = uneven()
    first, same, other = (rotated(users, items, seed=seed)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, same) and not np.allclose(first, other)


def test_what_is_no_pair_of_tables_is_refused():
    users, items = uneven()
    with pytest.raises(ConfigError, match=r"shapes \(300, 16\) and \(400, 15\)"):
        rotated(users, items[:, :15])
    with pytest.raises(ConfigError, match="item vectors hold NaN"):
        rotated(users, np.where(items > 2, np.nan, items))

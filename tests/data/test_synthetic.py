"""The generator: exact sizes, reproducible, long tails, nested groups, and a signal that better models find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.data.interactions import SPLITS
from recq_lib.data.splits import merge_train_test
from recq_lib.data.synthetic import PRESETS, SyntheticConfig, generate, generate_with_groups, scaled
from recq_lib.errors import ConfigError


def total(data) -> int:
    return sum(data.split(split).nnz for split in SPLITS)


@pytest.fixture(scope="module")
def smoke():
    return generate_with_groups("smoke")


def test_same_seed_same_data_and_another_seed_other_data(smoke):
    assert generate("smoke").fingerprint == smoke.interactions.fingerprint == generate(SyntheticConfig()).fingerprint
    assert generate("smoke", seed=1).fingerprint != smoke.interactions.fingerprint
    assert generate("smoke", seed=1).fingerprint == generate(replace(PRESETS["smoke"], seed=1)).fingerprint


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 80), st.integers(20, 60), st.floats(0, 1), st.integers(1, 4), st.integers(1, 4), st.floats(0, 2), st.integers(0, 9))
def test_sizes_are_exact_whatever_the_shape(n_users, n_items, fullness, n_coarse, n_fine, spread, seed):
    low, high = n_users * 3, n_users * (n_items // 2)
    config = SyntheticConfig(
        n_users=n_users, n_items=n_items, n_interactions=low + int(fullness * (high - low)), n_coarse=n_coarse, n_fine=n_fine,
        min_degree=3, item_exponent=spread, user_sigma=spread, seed=seed,
    )  # fmt: skip
    data = generate(config)
    assert (data.n_users, data.n_items, total(data)) == (n_users, n_items, config.n_interactions)
    users, items = merge_train_test(data)
    assert np.unique(users * n_items + items).size == config.n_interactions
    degrees = np.bincount(users, minlength=n_users)
    assert degrees.min() >= 3 and degrees.max() <= config.most_items
    assert np.diff(data.train.indptr).min() >= 1


def test_smoke_is_sparse_and_long_tailed(smoke):
    data = smoke.interactions
    stats = data.stats()
    assert (data.n_users, data.n_items, total(data)) == (600, 400, 12_000)
    assert stats["median_user_degree"] <= 12
    assert data.val.nnz / 12_000 == pytest.approx(0.1, abs=0.01) and data.test.nnz / 12_000 == pytest.approx(0.2, abs=0.01)
    degrees = np.diff(data.train.indptr)
    assert degrees.max() > 4 * np.median(degrees), "no heavy users"
    assert stats["top10pct_item_share"] > 0.2, "no head"
    popularity = np.sort(np.asarray(data.train.sum(axis=0)).ravel())
    assert np.median(popularity) < 0.8 * popularity.mean(), "no tail"


def test_popularity_follows_the_zipf_exponent_when_there_are_no_groups():
    config = SyntheticConfig(
        n_users=20_000, n_items=2000, n_interactions=200_000, n_coarse=1, n_fine=1, item_exponent=0.8, user_sigma=0.0, min_degree=1
    )
    users, items = merge_train_test(generate(config))
    counts = np.sort(np.bincount(items, minlength=2000))[::-1]
    rank = np.arange(1, 2001)
    slope = np.polyfit(np.log(rank[50:1000]), np.log(counts[50:1000]), 1)[0]
    assert slope == pytest.approx(-0.8, abs=0.1)


def test_groups_are_nested_and_carry_the_interactions(smoke):
    config = PRESETS["smoke"]
    assert smoke.user_groups.shape == (600, 2) and smoke.item_groups.shape == (400, 2)
    for groups in (smoke.user_groups, smoke.item_groups):
        np.testing.assert_array_equal(groups[:, 1] // config.n_fine, groups[:, 0])
        assert set(groups[:, 1]) == set(range(config.n_coarse * config.n_fine))
    users, items = merge_train_test(smoke.interactions)
    match = smoke.user_groups[users] == smoke.item_groups[items]
    coarse, fine = match.mean(axis=0)
    assert fine > 2.5 / (config.n_coarse * config.n_fine), "the own fine group is not preferred"
    # were there no hierarchy, the coarse group would gain no more than its other fine groups' share of what is left
    beyond = (coarse - fine) / (1 - fine)
    other = (config.n_fine - 1) / (config.n_coarse * config.n_fine - 1)
    assert beyond > 1.2 * other, "the coarse group is not preferred beyond the fine one"


def recall_at_20(scores: np.ndarray, data) -> float:
    scores = np.where((data.train + data.val).toarray() > 0, -np.inf, scores)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    truth = data.test.toarray() > 0
    hits, size = np.take_along_axis(truth, top, axis=1).sum(axis=1), truth.sum(axis=1)
    return float((hits[size > 0] / size[size > 0]).mean())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neighbours_beat_popularity_and_higher_order_paths_beat_direct_ones(seed):
    data = generate("smoke", seed=seed)
    matrix = data.train.toarray().astype(np.float64)
    popularity = np.tile(matrix.sum(axis=0), (data.n_users, 1))
    gram = matrix.T @ matrix
    norm = np.sqrt(np.diag(gram)) + 1e-12
    cosine = gram / np.outer(norm, norm)
    np.fill_diagonal(cosine, 0)
    knn = np.where(cosine >= np.sort(cosine, axis=1)[:, [-20]], cosine, 0)
    inverse = np.linalg.inv(gram + 100 * np.eye(data.n_items))  # EASE^R, Steck 2019
    ease = inverse / -np.diag(inverse)
    np.fill_diagonal(ease, 0)
    left, right = np.maximum(matrix.sum(axis=1), 1), np.maximum(matrix.sum(axis=0), 1)
    normal = matrix / np.sqrt(left[:, None] * right[None, :])
    walk = normal.T @ normal  # two steps on the graph; its square is four
    recall = {
        "popularity": recall_at_20(popularity, data),
        "knn": recall_at_20(matrix @ knn, data),
        "ease": recall_at_20(matrix @ ease, data),
        "two steps": recall_at_20(normal @ walk, data),
        "four steps": recall_at_20(normal @ walk @ walk, data),
    }
    for better in ("knn", "ease"):
        assert recall[better] > 1.5 * recall["popularity"], recall
    assert recall["four steps"] > recall["two steps"], recall


@settings(max_examples=20, deadline=None)
@given(st.integers(2000, 30_000_000))
def test_scaled_keeps_the_proportions(size):
    config = scaled(size)
    assert config.n_interactions == size
    assert config.n_users == pytest.approx(size / 20, abs=1) and config.n_items == pytest.approx(size / 30, abs=1)
    assert config.n_coarse * config.n_fine == pytest.approx(
        PRESETS["smoke"].n_coarse * PRESETS["smoke"].n_fine * np.sqrt(size / 12_000), rel=0.35, abs=4
    )


def test_a_larger_size_is_generated_exactly():
    data = generate(scaled(100_000))
    assert total(data) == 100_000 and data.stats()["median_user_degree"] <= 12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_users": 0}, "n_users is 0"),
        ({"n_items": 2.5}, "n_items is 2.5"),
        ({"p_fine": 0.9, "p_coarse": 0.2}, "p_fine . p_coarse must be at most 1"),
        ({"item_exponent": float("nan")}, "item_exponent is nan"),
        ({"n_interactions": 10}, r"n_interactions is 10, but must lie in \[3000, 120000\]"),
        ({"n_coarse": 50, "n_fine": 50}, "use fewer groups"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_settings_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        replace(PRESETS["smoke"], **changes)


def test_unknown_preset_and_size():
    with pytest.raises(ConfigError, match="did you mean 'smoke'"):
        generate("smok")
    for size in (1999, 1.5, True):
        with pytest.raises(ConfigError, match="n_interactions is"):
            scaled(size)

"""Small data and slow, obvious re-implementations that the tests compare against."""

from __future__ import annotations

import numpy as np

from recq_lib.data.interactions import Interactions


def random_interactions(n_users=40, n_items=30, n_pairs=300, seed=0, *, val=0, test=60, name="random") -> Interactions:
    """Distinct random pairs cut into train, val and test; every user may or may not occur in each."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(n_users * n_items, n_pairs, replace=False)
    users, items = np.divmod(keys, n_items)

    def part(a, b):
        return users[a:b], items[a:b]

    return Interactions.from_pairs(
        part(val + test, n_pairs), part(0, test), part(test, test + val) if val else None, n_users=n_users, n_items=n_items, name=name
    )


def dense_normalised(data: Interactions) -> np.ndarray:
    """D^-1/2 A D^-1/2 by loops over pairs, float64."""
    n = data.n_users + data.n_items
    adjacency = np.zeros((n, n))
    for user, item in zip(*data.pairs("train"), strict=True):
        adjacency[user, data.n_users + item] = adjacency[data.n_users + item, user] = 1.0
    degree = adjacency.sum(axis=1)
    out = np.zeros_like(adjacency)
    for i in range(n):
        for j in range(n):
            if adjacency[i, j]:
                out[i, j] = 1.0 / np.sqrt(degree[i] * degree[j])
    return out


def naive_ranking(scores: np.ndarray, banned: set[int], k: int, position_of: np.ndarray) -> list[int]:
    """Sort all allowed items by (score descending, position ascending)."""
    allowed = [item for item in range(scores.size) if item not in banned]
    allowed.sort(key=lambda item: (-scores[item], position_of[item]))
    return allowed[:k]

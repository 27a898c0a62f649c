"""Checks for the exercises of notebook 01."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.evaluation import metrics


def check_ndcg_pair(function: Callable[[np.ndarray, int, int], tuple[float, float]] | None, k_max: int = 12) -> None:
    """Exercise 1: `function(hits, n_relevant, k)` → (standard NDCG@k, authors' NDCG@k) of one user; `hits` bool [Kmax]."""
    rule = "DCG@K divided by the DCG of min(K, |T|) hits, and by that of min(K, hits in the whole list) hits; 0 without a hit"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(3)
    hits = rng.random((40, k_max)) < rng.random((40, 1)) * 0.6
    hits[0], hits[1] = False, True  # nothing found, everything found
    relevant = hits.sum(axis=1) + rng.integers(1, 6, 40)
    for k in (1, 5, k_max):
        truth = metrics.per_user(hits, relevant, k)
        with rejects("the function takes hits [Kmax], |T| and K, and returns two numbers"):
            found = np.array([function(row, int(n), k) for row, n in zip(hits, relevant, strict=True)], dtype=np.float64)
        check_close(found, np.stack([truth["ndcg"], truth["ndcg_authors"]], axis=1), f"at K = {k}: {rule}", tolerance=1e-9)


def check_expected_hits(function: Callable[[int, int, int, int, int], float] | None) -> None:
    """Exercise 2: `function(k, above, hits_above, tied, hits_tied)` → expected hits@k when the tied items come in random order.

    `above` items score higher than the tied ones and `hits_above` of them are relevant; `above` < k.
    """
    rule = "hits above, plus the relevant tied items times the share of the tied places that lie in the top K (at most all of them)"
    check(function is not None, rule, found=function)
    for k, above, hits_above, tied, hits_tied in [(3, 1, 1, 4, 2), (3, 0, 0, 5, 1), (4, 2, 1, 2, 1), (5, 2, 0, 1, 1), (2, 1, 0, 6, 3)]:
        with rejects("the function takes k, above, hits_above, tied, hits_tied and returns a number"):
            found = function(k, above, hits_above, tied, hits_tied)
        orders = list(permutations([True] * hits_tied + [False] * (tied - hits_tied)))
        expected = hits_above + sum(sum(order[: k - above]) for order in orders) / len(orders)
        setting = f"k {k}, above {above}, hits_above {hits_above}, tied {tied}, hits_tied {hits_tied}"
        check_close(found, expected, f"{setting}: {rule}", tolerance=1e-9)


def check_cold_items(answer: object, item_degrees: np.ndarray, share: float) -> None:
    """Exercise 3: expected number of items of degree ≥ 1 without a train pair when each edge is kept with probability `share`."""
    rule = "an item of degree D loses all its edges with probability (1 − share)^D; expectations add up"
    degrees = np.asarray(item_degrees, dtype=np.float64)
    check_close(answer, sum((1 - share) ** degree for degree in degrees if degree > 0), rule, tolerance=1e-6)

"""Checks for the exercises of notebook 09."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import generate
from recq_lib.data.toy import toy
from recq_lib.papers.baco.clustering import cluster


def check_dearer(function: Callable[[np.ndarray, np.ndarray], float] | None) -> None:
    """Exercise 1: `function(du, dv)` is what degree weights charge the two largest degrees, in units of what uniform weights do.

    Both at the γ at which one co-cluster of all nodes pays 1.
    """
    rule = "the price of a pair is γ·w_u·w_v; choose each γ so that γ·W_U·W_V over all nodes is the same, then divide the two prices"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(9)
    for users, items in ((5, 5), (6, 4), (40, 7)):
        edges = rng.random((users, items)) < 0.5
        edges[0], edges[:, 0] = True, True  # nobody without interactions
        du, dv = edges.sum(axis=1).astype(float), edges.sum(axis=0).astype(float)
        with rejects("the function takes the degrees of the users and of the items, and returns one number"):
            found = float(function(du.copy(), dv.copy()))
        prices = [np.outer(x, y) / np.outer(x, y).sum() for x, y in ((du, dv), (np.ones(users), np.ones(items)))]
        pair = du.argmax(), dv.argmax()
        check_close(found, prices[0][pair] / prices[1][pair], f"{rule}; {users} users, {items} items", tolerance=1e-6)


def check_rows_given_up(function: Callable[[int, int], int] | None) -> None:
    """Exercise 2: `function(n_second, dim)` is the smallest number of rows whose parameters pay for that many second indices."""
    rule = "whole rows of dim parameters each, at least one parameter per second index"
    check(function is not None, rule, found=function)
    for n_second, dim in ((0, 64), (1, 64), (64, 64), (65, 64), (18_373, 64), (600, 32), (10, 256)):
        with rejects("the function takes the number of second indices and the width d, and returns a whole number"):
            found = function(n_second, dim)
            whole = int(found) == found
        check(whole and found * dim >= n_second > (found - 1) * dim, f"{rule}; {n_second} second indices, d = {dim}", found=found)


def check_fewest_sweeps(function: Callable[[Interactions, float, int], int] | None) -> None:
    """Exercise 3: `function(data, ratio, dim)` is the smallest T with which γ = 0 gives at most `ratio` of a full table's parameters."""
    rule = "the first T with cluster(data, 0, sweeps=T).ratio(dim) ≤ ratio"
    check(function is not None, rule, found=function)
    for data in (toy(), generate("tiny")):
        sizes = [cluster(data, 0.0, sweeps=sweeps).ratio(32) for sweeps in range(1, 7)]
        for ratio in (0.6, 0.25, min(sizes) * 1.0001):
            expected = next((sweeps for sweeps, size in enumerate(sizes, 1) if size <= ratio), None)
            if expected is None:
                continue
            with rejects("the function takes a dataset, a share of a full table and the width d, and returns a whole number"):
                found = function(data, ratio, 32)
            check(found == expected, f"{rule}; {data.name}, ratio {ratio:.3f}, sizes {np.round(sizes, 3).tolist()}", found=found)

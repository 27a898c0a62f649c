"""Checks for the exercises of notebook 09."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from recq_lib.checks import check, check_close, rejects
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import generate
from recq_lib.data.toy import toy
from recq_lib.papers.baco import cluster


def check_price_of_all(function: Callable[[np.ndarray, np.ndarray, float], float] | None) -> None:
    """Exercise 1: `function(x_users, x_items, gamma)` is what one co-cluster of all nodes pays when w = x / √Σx on each side."""
    rule = "γ·W_U·W_V with W = Σ x / √Σx = √Σx on each side"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(9)
    cases = [(np.ones(6), np.ones(5)), (np.array([2.0, 3, 2, 2, 3, 1]), np.array([2.0, 3, 4, 2, 2])), (rng.random(40), rng.random(7))]
    for users, items in cases:
        for gamma in (0.5, 20.0):
            with rejects("the function takes x of the users, x of the items and γ, and returns one number"):
                found = float(function(users.copy(), items.copy(), gamma))
            pairs = np.outer(users / math.sqrt(users.sum()), items / math.sqrt(items.sum()))
            check_close(found, gamma * pairs.sum(), f"{rule}; {users.size} users, {items.size} items, γ = {gamma}", tolerance=1e-6)


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

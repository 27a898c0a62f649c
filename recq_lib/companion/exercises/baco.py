"""Checks for the exercises of notebook 05."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import generate
from recq_lib.data.toy import toy
from recq_lib.papers.baco.clustering import node_weights, objective


def check_move(answer: object, data: Interactions, labels: np.ndarray, node: int, to: int, gamma: float) -> None:
    """Exercise 1: how much F changes when `node` leaves its label for `to`; released weights, `labels` [n_nodes], users first."""
    rule = "the change is e(x, new) - e(x, old) - γ·w_x·(W(new) - W(old)), W of the other side"
    check(answer is not None, rule, found=answer)
    with rejects("the answer is one number"):
        found = float(answer)  # type: ignore[arg-type]
    before, after = np.asarray(labels), np.array(labels)
    after[node] = to
    weights = node_weights(data)
    check_close(found, objective(after, data, weights, gamma) - objective(before, data, weights, gamma), rule, tolerance=1e-3)


def check_gini(function: Callable[[np.ndarray], float] | None) -> None:
    """Exercise 2: `function(sizes)` is the Gini coefficient of cluster sizes [K] in any order."""
    rule = "half the mean difference of two sizes drawn with replacement, over their mean"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(5)
    cases = [np.array([4, 4, 4]), np.array([1, 9]), np.array([9, 1]), np.array([0, 0, 0, 1]), np.array([7]), rng.integers(1, 90, 40)]
    for sizes in cases:
        with rejects("the function takes an array of sizes and returns one number"):
            found = float(function(sizes.copy()))
        pairs = np.abs(sizes[:, None] - sizes[None, :]).mean()
        check_close(found, pairs / (2 * sizes.mean()), f"{rule}; sizes {sizes[:8].tolist()}", tolerance=1e-9)


def check_gamma(function: Callable[[float, Interactions], float] | None) -> None:
    """Exercise 3: `function(resolution, data)` is the γ of the released weights that means the same as Barber's `resolution`."""
    rule = "γ·w_u·w_v with the released weights equals resolution·d_u·d_v/|E| for every user and item"
    check(function is not None, rule, found=function)
    for data in (toy(), generate("tiny")):
        released, degree = (np.split(node_weights(data, "degree", item), [data.n_users]) for item in ("released", "degree"))
        for resolution in (0.474, 2.0):
            with rejects("the function takes a resolution and a dataset and returns one number"):
                found = float(function(resolution, data))
            told = f"{rule}; {data.name}, resolution {resolution}"
            check_close(found * np.outer(*released), resolution * np.outer(*degree), told, tolerance=1e-9)

"""Checks for the exercises of notebook 02."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph


def check_third_layer(answer: object, data: Interactions, table: np.ndarray) -> None:
    """Exercise 1: `answer` is V^(3) [n, d] of the toy for the given layer 0."""
    matrix = Graph.from_interactions(data).to_scipy().astype(np.float64)
    check_close(answer, matrix @ (matrix @ (matrix @ table)), "V^(3) = Â Â Â V^(0)", tolerance=1e-6)


def check_concat_score(function: Callable[[np.ndarray, int, int], float] | None, n_layers: int = 2) -> None:
    """Exercise 2: `function(layers, u, i)` is L²Q-GCN's full-precision score from layers [L+1, n, d]; u and i are nodes."""
    check(function is not None, "score = Σ_l w_l² <v_u^(l), v_i^(l)> with w_l = (l+1)/(L+1)", found=function)
    layers = np.random.default_rng(0).standard_normal((n_layers + 1, 7, 3))
    weights = np.arange(1, n_layers + 2) / (n_layers + 1)
    wide = np.concatenate([weight * layer for weight, layer in zip(weights, layers)], axis=1)
    with rejects("the function takes layers [L+1, n, d] and two node numbers"):
        found = function(layers, 1, 5)
    check_close(found, wide[1] @ wide[5], "score = Σ_l w_l² <v_u^(l), v_i^(l)> with w_l = (l+1)/(L+1)", tolerance=1e-9)


def check_edge_cost(answer: object, n_edges: int, n_layers: int, dim: int) -> None:
    """Exercise 3: multiply-adds of one full forward pass: every directed edge, every layer, every coordinate."""
    check(answer is not None, "two directed edges per interaction, L layers, d coordinates", found=answer)
    check(int(answer) == 2 * n_edges * n_layers * dim, "two directed edges per interaction, L layers, d coordinates", found=answer)

"""BACO's sweeps with the official code's order of equal scores: bit for bit what its containers do.

That code gathers the labels of a row in a container and takes the first of the best in the container's own order: of a C++ hash set in
sweeps, one set for a whole sweep, emptied for each node; of a new Python set for second labels. Only where scores are equal is the order
worked out (`container_orders`), so most nodes cost what they cost in `label_propagation`, whose arguments these kernels take.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recq_lib.kernels.compiled import compiled
from recq_lib.kernels.container_orders import FEWEST_BUCKETS, Places, as_if_inserted, python_set, unordered_set
from recq_lib.kernels.label_propagation import ask_ahead, count, move, take_score

_LOWEST = np.float32(-np.inf)
_word = np.uintp


class State(NamedTuple):
    """What sweeps change, and their scratch; the first three as in `label_propagation.State`."""

    labels: np.ndarray
    table: np.ndarray
    candidates: np.ndarray
    scores: np.ndarray  # [largest degree, at least 1] float32, scratch
    places: Places

    @classmethod
    def of(cls, labels: np.ndarray, table: np.ndarray, indptr: np.ndarray) -> State:
        """With room for the candidates of the longest row of `indptr` [n+1]."""
        longest = int(np.diff(indptr).max(initial=1))
        return cls(labels, table, np.empty(longest, np.uint32), np.empty(longest, np.float32), Places.of(longest))


@njit(inline="always")
def _first_of_best(scores, highest, order):
    place = 0
    while scores[order[place]] != highest:
        place += 1
    return order[place]


@compiled()
def sweep(
    order: np.ndarray, graph: tuple[np.ndarray, np.ndarray], n_users: int, gamma: float, weights: np.ndarray, state: State
) -> None:
    """One sweep; arguments and rule as in `label_propagation.sweep`, but of equal scores the first in the order of the C++ set wins.

    Source: official BACO code. Volumes are float64 here, float32 there (float64 until January 2026); on Beauty the counts are the same, and
    with weights of its own the labels are those of float32 (tests).
    """
    indptr, indices = graph
    labels, table, candidates, scores, places = state
    flat = table.reshape(-1)
    n_buckets = _word(FEWEST_BUCKETS)
    for t in range(order.shape[0]):
        ask_ahead(t, order, n_users, indptr, indices, weights, labels, flat)
        node = order[t]
        side = np.uint32(node >= n_users)
        seen, own = table[side], table[1 - side]
        n_candidates = count(node, indptr, indices, labels, seen, candidates)
        if n_candidates == 0:
            continue
        if n_candidates > n_buckets:
            n_buckets = as_if_inserted(candidates, n_candidates, n_buckets, places)
        weight = weights[node]
        cost = gamma * weight
        best, highest, n_best = _word(0), _LOWEST, _word(0)
        for k in range(n_candidates):
            score = take_score(candidates[k], cost, seen)
            scores[k] = score
            n_best = _word(1) if score > highest else n_best + _word(score == highest)
            best = k if score > highest else best
            highest = score if score > highest else highest
        if n_best > 1:
            unordered_set(candidates, n_candidates, n_buckets, places)
            best = _word(_first_of_best(scores, highest, places.order))
        move(node, candidates[best], weight, labels, own)


@compiled()
def second_labels(
    graph: tuple[np.ndarray, np.ndarray],
    n_users: int,
    gamma: float,
    weights: np.ndarray,
    state: State,
    taken: np.ndarray,
    second: np.ndarray,
) -> None:
    """For every user the best label but its own; arguments and rule as in `label_propagation.second_labels`.

    Of equal scores the first in the order of a Python set wins, to which the labels that some user has are added in the order of the row,
    the user's own among them.
    Source: official BACO code.
    """
    indptr, indices = graph
    labels, table, candidates, scores, places = state
    seen = table[0]
    for user in range(n_users):
        cost, n_kept = gamma * weights[user], _word(0)
        highest, n_best, best = _LOWEST, _word(0), _word(0)
        for k in range(count(user, indptr, indices, labels, seen, candidates)):
            label = candidates[k]
            score = take_score(label, cost, seen)
            if not taken[label]:
                continue
            score = _LOWEST if label == labels[user] else score
            candidates[n_kept], scores[n_kept] = label, score
            if score > highest:
                highest, n_best, best = score, _word(1), n_kept
            elif score == highest and score > _LOWEST:
                n_best += _word(1)
            n_kept += _word(1)
        if n_best > 1:
            python_set(candidates, n_kept, places)
            best = _word(_first_of_best(scores, highest, places.order))
        second[user] = candidates[best] if n_best else -1

"""Label propagation beyond one label and plain counts: EBMD's density score, and the lists of weighted labels of BiMLPA.

Graphs are CSR arrays (indptr, indices); `two_way.both_ways` gives that of EBMD. Everything runs on one core, one node
after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from recq_lib.kernels.compiled import compiled


class Densities(NamedTuple):
    """What `density_sweep` changes, and its scratch."""

    labels: np.ndarray  # [n] uint32
    volumes: np.ndarray  # [2, n] float64, degrees of users and of items per label
    inside: np.ndarray  # [n] float64, e_l
    tally: np.ndarray  # [n] float64, zero between calls
    candidates: np.ndarray  # [largest degree, at least 1] uint32, scratch

    @classmethod
    def of(cls, degree: np.ndarray) -> Densities:
        """One label per node; both volumes of a label are the `degree` [n] of its node, as in BACO's solver."""
        n = degree.size
        candidates = np.empty(int(degree.max(initial=1)), np.uint32)
        return cls(np.arange(n, dtype=np.uint32), np.stack([degree, degree]), np.zeros(n), np.zeros(n), candidates)


@compiled()
def density_sweep(
    order: np.ndarray, graph: tuple[np.ndarray, np.ndarray], n_users: int, resolution: float, degree: np.ndarray, state: Densities
) -> int:
    """One sweep of EBMD: each node of `order` takes the best label among its neighbours'; returns how many changed.

        s(l) = g·acc - r·g²·d_x·vol/S,   g = (e_l + acc) / ((vol_U + [x∈U])·(vol_V + [x∈V])) - S/(n_U·n_V)

    acc: neighbours of x with label l; vol: the volume of l opposite to x; e_l: a running count of interactions inside
    l; S: sum of all degrees. Of equal scores the label that first appears last in the row wins, as in BACO's solver.

    Parameters
    ----------
    order : [m] nodes
    degree : [n] float64
    state : `Densities`, changed in place

    Source: official BACO code (its re-implementation of EBMD).
    """
    indptr, indices = graph
    labels, volumes, inside, tally, candidates = state
    n = labels.shape[0]
    total = degree.sum()
    background = total / n_users / (n - n_users)
    moved = 0
    for node in order:
        size = 0
        for e in range(indptr[node], indptr[node + 1]):
            label = labels[indices[e]]
            if tally[label] == 0.0:
                candidates[size] = label
                size += 1
            tally[label] += 1.0
        if size == 0:
            continue
        own = 0 if node < n_users else 1
        old = labels[node]
        left, gained = tally[old], 0.0
        best, highest = candidates[0], -np.inf
        for k in range(size):
            label = candidates[k]
            count = tally[label]
            tally[label] = 0.0
            density = (inside[label] + count) / (volumes[0, label] + (1 - own)) / (volumes[1, label] + own) - background
            score = density * count - resolution * density * density * degree[node] / total * volumes[1 - own, label]
            if score >= highest:
                best, highest, gained = label, score, count
        if best != old:
            inside[old] -= left
            inside[best] += gained
            volumes[own, old] -= degree[node]
            volumes[own, best] += degree[node]
            labels[node] = best
            moved += 1
    return moved


class Lists(NamedTuple):
    """Labels that nodes hold in BiMLPA: node x has `sizes[x]` of them from `starts[x]` on, in rising order."""

    starts: np.ndarray  # [n] int64
    sizes: np.ndarray  # [n] int64
    labels: np.ndarray  # int64
    weights: np.ndarray  # float64

    @classmethod
    def of(cls, degree: np.ndarray, most: int) -> Lists:
        """Empty lists, with room for as many labels as neighbours can pass on: `most` times `degree` [n]."""
        room = np.maximum(degree * most, 1)
        starts, sizes = np.cumsum(room) - room, np.zeros(degree.size, np.int64)
        return cls(starts, sizes, np.empty(room.sum(), np.int64), np.empty(room.sum()))


class Passed(NamedTuple):
    """Labels that nodes pass on, heaviest first."""

    sizes: np.ndarray  # [n] int64
    labels: np.ndarray  # [n, most] int64
    weights: np.ndarray  # [n, most] float64

    @classmethod
    def of(cls, n: int, most: int) -> Passed:
        """With room for `most` labels of each of `n` nodes."""
        return cls(np.zeros(n, np.int64), np.empty((n, most), np.int64), np.empty((n, most)))


@compiled()
def heaviest(held: Lists, degree: np.ndarray, passed: Passed) -> None:
    """What nodes pass on: the heaviest labels of `held` (`Lists`), as many as `passed` (`Passed`) has room for; of equal weights the lower.

    Their weights are divided by √degree.
    """
    starts, sizes, labels, weights = held
    out_sizes, out_labels, out_weights = passed
    most = out_labels.shape[1]
    for node in range(sizes.shape[0]):
        begin, kept = starts[node], 0
        scale = np.sqrt(degree[node])
        for j in range(begin, begin + sizes[node]):
            slot = kept
            # insert by falling weight; labels come in rising order, so a later equal weight stays behind
            while slot > 0 and out_weights[node, slot - 1] < weights[j]:
                slot -= 1
            if slot >= most:
                continue
            kept = min(kept + 1, most)
            for move in range(kept - 1, slot, -1):
                out_labels[node, move], out_weights[node, move] = out_labels[node, move - 1], out_weights[node, move - 1]
            out_labels[node, slot], out_weights[node, slot] = labels[j], weights[j]
        for slot in range(kept):
            out_weights[node, slot] /= scale
        out_sizes[node] = kept


@njit(inline="always")
def _sort(values, size):
    """Shell sort of the first entries, in place: the general sort takes numba ten times as long to compile."""
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for k in range(gap, size):
            value, hole = values[k], k
            while hole >= gap and values[hole - gap] > value:
                values[hole] = values[hole - gap]
                hole -= gap
            values[hole] = value
        gap //= 3


@compiled()
def receive(
    graph: tuple[np.ndarray, np.ndarray], passed: Passed, theta: float, draws: np.ndarray, held: Lists, tally: np.ndarray, seen: np.ndarray
) -> bool:
    """Every row of one side takes over the labels of its neighbours, summed; returns whether all label sets stayed as they were.

    Labels below `theta` times the heaviest are dropped and the rest is scaled to sum 1, in rising order of labels. With
    `draws` [n] (uniform in [0, 1)) not empty, one of the heaviest labels is drawn instead.

    Parameters
    ----------
    graph : (indptr [n+1], indices), rows are receivers, columns those who pass labels on
    passed : of `heaviest`
    held : `Lists` of the receivers, changed in place
    tally : [number of labels] float64, zero between calls; seen : [longest list] int64, scratch
    """
    indptr, indices = graph
    passed_sizes, passed_labels, passed_weights = passed
    starts, sizes, labels, weights = held
    stable = True
    for node in range(sizes.shape[0]):
        found, highest = 0, 0.0
        for e in range(indptr[node], indptr[node + 1]):
            other = indices[e]
            for k in range(passed_sizes[other]):
                label = passed_labels[other, k]
                if tally[label] == 0.0:
                    seen[found] = label
                    found += 1
                tally[label] += passed_weights[other, k]
        _sort(seen, found)
        for k in range(found):
            highest = max(highest, tally[seen[k]])
        least = highest if draws.shape[0] else theta * highest
        kept = 0
        for k in range(found):  # the kept labels move to the front
            if tally[seen[k]] >= least:
                seen[kept], seen[k] = seen[k], seen[kept]
                kept += 1
        first = 0
        if draws.shape[0] and kept:
            first = int(draws[node] * kept)
            kept = first + 1
        same, total, begin = sizes[node] == kept - first, 0.0, starts[node]
        for k in range(first, kept):
            total += tally[seen[k]]
        for k in range(first, kept):
            place = begin + k - first
            same = same and labels[place] == seen[k]
            labels[place] = seen[k]
            weights[place] = tally[seen[k]] / total
        sizes[node] = kept - first
        stable = stable and same
        for k in range(found):
            tally[seen[k]] = 0.0
    return stable

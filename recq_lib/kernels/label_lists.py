"""Label propagation beyond one label and plain counts: EBMD's density score, and the lists of weighted labels of BiMLPA.

Graphs are CSR arrays; `two_way.both_ways` gives that of EBMD. Everything runs on one core, one node after the other.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recq_lib.kernels.compiled import compiled


@compiled()
def density_sweep(order, indptr, indices, n_users, resolution, degree, labels, volumes, inside, tally, candidates):
    """One sweep of EBMD: each node of `order` takes the best label among its neighbours'; returns how many changed.

        s(l) = g·acc - r·g²·d_x·vol/S,   g = (e_l + acc) / ((vol_U + [x∈U])·(vol_V + [x∈V])) - S/(n_U·n_V)

    acc: neighbours of x with label l; vol: the volume of l opposite to x; e_l: a running count of interactions inside l;
    S: sum of all degrees. Of equal scores the label that first appears last in the row wins, as in BACO's solver.

    Parameters
    ----------
    degree : [n] float64
    labels : [n] uint32, changed in place
    volumes : [2, n] float64, degrees of users and of items per label, changed in place
    inside : [n] float64, e_l, changed in place
    tally : [n] float64, zero between calls; candidates : [largest degree, at least 1] uint32, scratch

    Source: official BACO code (its re-implementation of EBMD).
    """
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


@compiled()
def heaviest(starts, sizes, labels, weights, degree, most, out_sizes, out_labels, out_weights):
    """What nodes pass on in BiMLPA: their `most` heaviest labels, weights over √degree; of equal weights the lower label.

    Node x holds `sizes[x]` labels from `starts[x]` on; `out_*` are [n], [n, most], [n, most].
    """
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
def receive(indptr, indices, passed_sizes, passed_labels, passed_weights, theta, draws, starts, sizes, labels, weights, tally, seen):
    """Every row of one side takes over the labels of its neighbours, summed; returns whether all label sets stayed as they were.

    Labels below `theta` times the heaviest are dropped and the rest is scaled to sum 1, in rising order of labels. With `draws`
    [n] (uniform in [0, 1)) not empty, one of the heaviest labels is drawn instead.

    Parameters
    ----------
    indptr [n+1], indices : rows are receivers, columns those who pass labels on
    passed_sizes [m], passed_labels, passed_weights [m, most] : of `heaviest`
    starts [n] : where the labels of a row begin; there must be room for `most` times its degree
    sizes [n], labels, weights : changed in place
    tally : [number of labels] float64, zero between calls; seen : [longest list] int64, scratch
    """
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

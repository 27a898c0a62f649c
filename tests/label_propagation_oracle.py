"""BACO's solver written out with dictionaries and loops, for the tests to compare against."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def neighbours_of(train: sp.csr_matrix) -> list[list[int]]:
    """Sorted neighbours of every node, users first."""
    n_users, n_items = train.shape
    rows = [[] for _ in range(n_users + n_items)]
    for user, item in zip(*np.nonzero(train.toarray()), strict=True):
        rows[user].append(n_users + int(item))
        rows[n_users + item].append(int(user))
    return [sorted(row) for row in rows]


def scores(node, n_users, rows, gamma, weights, labels, volumes):
    """(label, float32 score) in order of first appearance; `volumes` = (seen by users, seen by items)."""
    tally = {}
    for y in rows[node]:
        tally[int(labels[y])] = tally.get(int(labels[y]), 0) + 1
    seen = volumes[0 if node < n_users else 1]
    return [(label, np.float32(count - gamma * weights[node] * seen[label])) for label, count in tally.items()]


def naive_sweep(order, n_users, rows, gamma, weights, labels, volumes):
    """Labels and volumes are changed in place."""
    for node in order:
        best, highest = None, None
        for label, score in reversed(scores(node, n_users, rows, gamma, weights, labels, volumes)):
            if highest is None or score > highest:
                best, highest = label, score
        if best is not None and best != labels[node]:
            own = volumes[1 if node < n_users else 0]
            own[best] += weights[node]
            own[labels[node]] -= weights[node]
            labels[node] = best


def naive_second(n_users, rows, gamma, weights, labels, volumes):
    """Second label of every user, -1 for none."""
    taken, out = {int(label) for label in labels[:n_users]}, []
    for user in range(n_users):
        best, highest = -1, None
        for label, score in reversed(scores(user, n_users, rows, gamma, weights, labels, volumes)):
            if label in taken and label != labels[user] and (highest is None or score > highest):
                best, highest = label, score
        out.append(best)
    return out

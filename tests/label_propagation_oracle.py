"""BACO's solver written out with dictionaries and loops, for the tests to compare against, and random cases for it."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from recq_lib.kernels import label_propagation
from recq_lib.kernels.two_way import both_ways, unsigned


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


# ---- the order of the official code -----------------------------------------------------------------------------------------------


class ChainedSet:
    """A model of `std::unordered_set<long>` (libstdc++), one node after the other on one chain; `clear` keeps the buckets.

    `before[bucket]` is the element in front of the bucket's first one, HEAD for the front of the chain.
    """

    HEAD = "head"
    # bucket counts that g++ 12.2 walks through (its std::__detail::_Prime_rehash_policy, asked for more than twice the last)
    SIZES = (1, 13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153, 2938679, 5967347)

    def __init__(self):
        self.n_buckets = self.SIZES[0]
        self.clear()

    def clear(self):
        self.after, self.before = {self.HEAD: None}, {}

    def __iter__(self):
        element = self.after[self.HEAD]
        while element is not None:
            yield element
            element = self.after[element]

    def add(self, value):
        if value in self.after:
            return
        if len(self.after) > (self.n_buckets if self.n_buckets > 1 else 0):  # the head counts for the new one
            elements = list(self)
            self.n_buckets = self.SIZES[self.SIZES.index(self.n_buckets) + 1]
            self.clear()
            for element in elements:
                self._hang(element)
        self._hang(value)

    def _hang(self, value):
        bucket = value % self.n_buckets
        if bucket in self.before:
            self.after[value] = self.after[self.before[bucket]]
            self.after[self.before[bucket]] = value
            return
        follower = self.after[self.HEAD]
        self.after[value], self.after[self.HEAD] = follower, value
        self.before[bucket] = self.HEAD
        if follower is not None:
            self.before[follower % self.n_buckets] = value


def first_of_best(score_of, order):
    """The first label of `order` with the highest score; labels without one are passed over."""
    best = None
    for label in order:
        if label in score_of and (best is None or score_of[label] > score_of[best]):
            best = label
    return best


def official_sweep(order, n_users, rows, gamma, weights, labels, volumes):
    """`naive_sweep` with the labels of a row in a C++ set that serves the whole sweep."""
    held = ChainedSet()
    for node in order:
        held.clear()
        for y in rows[node]:
            held.add(int(labels[y]))
        best = first_of_best(dict(scores(node, n_users, rows, gamma, weights, labels, volumes)), held)
        if best is not None and best != labels[node]:
            own = volumes[1 if node < n_users else 0]
            own[best] += weights[node]
            own[labels[node]] -= weights[node]
            labels[node] = best


def official_second(n_users, rows, gamma, weights, labels, volumes):
    """`naive_second` with the labels of a row that some user has in a Python set."""
    taken, out = {int(label) for label in labels[:n_users]}, []
    for user in range(n_users):
        held = set()
        for y in rows[user]:
            if int(labels[y]) in taken:
                held.add(int(labels[y]))
        score_of = dict(scores(user, n_users, rows, gamma, weights, labels, volumes))
        score_of.pop(int(labels[user]), None)
        best = first_of_best(score_of, held)
        out.append(-1 if best is None else best)
    return out


# ---- cases ------------------------------------------------------------------------------------------------------------------------


class Case:
    """A random graph with labels, weights, volumes and an order; small whole weights make many equal scores."""

    def __init__(self, n_users, n_items, density, seed, *, whole=True, ghost=True):
        rng = np.random.default_rng(seed)
        self.train = sp.random(n_users, n_items, density=density, random_state=rng, format="csr", dtype=np.float32)
        self.train.sort_indices()
        self.n_users, n = n_users, n_users + n_items
        self.weights = rng.integers(0, 3, n) / 2.0 if whole else rng.random(n)
        self.labels = rng.integers(0, n, n).astype(np.uint32)
        self.order = rng.permutation(n).astype(np.uint32)
        self.volumes = np.stack([self.weights, self.weights]) if ghost else np.zeros((2, n))
        for node in range(n):
            side = 1 if node < n_users else 0
            self.volumes[side, self.labels[node]] += self.weights[node]

    @property
    def graph(self):
        return unsigned(both_ways(self.train))

    def table(self):
        return np.ascontiguousarray(np.stack([np.zeros_like(self.volumes), self.volumes], axis=2))

    def swept(self, gamma, order=None, indptr_type=None, *, kernel=label_propagation, kind=np.float64):
        """(labels, volumes) after one sweep of the kernel; tallies must be clear again. `kind` of weights, volumes and γ."""
        indptr, indices = self.graph
        labels, table = self.labels.copy(), self.table().astype(kind)
        order = self.order if order is None else np.asarray(order, np.uint32)
        indptr = indptr if indptr_type is None else indptr.astype(indptr_type)
        state = kernel.State.of(labels, table, indptr)
        kernel.sweep(order, (indptr, indices), self.n_users, kind(gamma), self.weights.astype(kind), state)
        assert not table[:, :, 0].any()
        return labels, table[:, :, 1]

    def oracle(self, gamma, order=None):
        labels, volumes = self.labels.copy(), self.volumes.copy()
        naive_sweep(self.order if order is None else order, self.n_users, neighbours_of(self.train), gamma, self.weights, labels, volumes)
        return labels, volumes


cases = st.builds(
    Case, st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(0, 10**6),
    whole=st.booleans(), ghost=st.booleans(),
)  # fmt: skip
gammas = st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0, 1e6]) | st.floats(0, 10)

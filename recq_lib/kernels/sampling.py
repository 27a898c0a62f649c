"""One pass over an epoch's triples on the CPU; bit-identical to the torch path in `training/sampling.py`, which runs on any device."""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from recq_lib.kernels.compiled import compiled

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@njit(inline="always")
def _mix(x):
    """SplitMix64's finaliser; unsigned arithmetic wraps around."""
    x = x * _STEP
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))


@njit(inline="always")
def _uniform(key, position, below):
    """Integer in [0, below) from 31 random bits."""
    bits = _mix(key + np.uint64(position)) >> np.uint64(33)
    return (np.int64(bits) * below) >> 31


@njit(inline="always")
def _unobserved(rank, begin, end, items):
    """The item that has `rank` unobserved items before it; `items[begin:end]` are the observed ones, sorted."""
    low, length = begin, end - begin
    while length > 0:  # without branches on the comparison: its outcome is a coin flip, which a processor predicts badly
        half = length >> 1
        middle = low + half
        right = items[middle] - (middle - begin) <= rank
        low = middle + 1 if right else low
        length = length - half - 1 if right else half
    return rank + (low - begin)


@compiled(parallel=True)
def draw_users(key: np.uint64, active: np.ndarray, out: np.ndarray) -> None:
    """A uniform entry of `active` per position."""
    for t in prange(out.shape[0]):
        out[t] = active[_uniform(key, t, active.shape[0])]


@compiled(parallel=True)
def draw_positives(key: np.uint64, users: np.ndarray, indptr: np.ndarray, items: np.ndarray, out: np.ndarray) -> None:
    """A uniform training item of each user."""
    for t in prange(users.shape[0]):
        begin = indptr[users[t]]
        out[t] = items[begin + _uniform(key, t, np.int64(indptr[users[t] + 1] - begin))]


@compiled(parallel=True)
def draw_unobserved(
    key: np.uint64, users: np.ndarray, indptr: np.ndarray, items: np.ndarray, n_items: int, out: np.ndarray
) -> None:
    """A uniform item outside each user's training items."""
    for t in prange(users.shape[0]):
        begin, end = np.int64(indptr[users[t]]), np.int64(indptr[users[t] + 1])
        out[t] = _unobserved(_uniform(key, t, n_items - (end - begin)), begin, end, items)


@compiled(parallel=True)
def draw_uniform(key: np.uint64, n_items: int, out: np.ndarray) -> None:
    """A uniform item per position."""
    for t in prange(out.shape[0]):
        out[t] = _uniform(key, t, n_items)

"""The orders in which two hash containers give back whole numbers: C++'s `std::unordered_set<long>` and Python's `set` (ours).

The official code of BACO lets these orders decide between equal scores. Both depend on the numbers, on the order in which they came, and
on how the container has grown. A C++ set that is cleared keeps its buckets, so what an earlier, larger row did to it is felt later.

Nothing is kept of a container but its scratch, `Places`. Values are distinct and unsigned (uint32); an order is a list of their positions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

_word = np.uintp

# the sizes that a std::unordered_set with one element per bucket grows through (libstdc++: each the first prime of its list above twice
# the one before); labels are nodes, fewer than 2^31
BUCKETS = (
    13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043, 85229, 172933, 351061, 712697, 1447153, 2938679, 5967347, 12117689,
    24607243, 49969847, 101473717, 206062531, 418451333, 849749479, 1725587117, 3504151727,
)  # fmt: skip
FEWEST_BUCKETS = BUCKETS[0]
_FEWEST_SLOTS, _SLOTS_TRIED = 8, 10  # of a Python set: at first, and side by side before it jumps
_LARGE = 50_000  # a Python set of more elements doubles, a smaller one grows four times


class Places(NamedTuple):
    """Scratch for rows of at most a certain length."""

    table: np.ndarray  # [more than any container has slots] int32, -1 between calls: buckets, or slots
    link: np.ndarray  # [longest row] int32
    bucket: np.ndarray  # [longest row] uint32
    order: np.ndarray  # [longest row] int32, the result

    @classmethod
    def of(cls, longest: int) -> Places:
        """For rows of up to `longest` ≥ 1 values."""
        n_buckets = next(n for n in BUCKETS if n >= longest)
        table = np.full(max(n_buckets, _FEWEST_SLOTS * longest, _FEWEST_SLOTS), -1, np.int32)
        return cls(table, *(np.empty(longest, kind) for kind in (np.int32, np.uint32, np.int32)))


# ---- std::unordered_set -----------------------------------------------------------------------------------------------------------


@njit
def more_buckets(n_buckets):
    """The next size."""
    for n in BUCKETS:
        if n > n_buckets:
            return _word(n)
    return _word(n_buckets)


@njit
def unordered_set(values, size, n_buckets, places):
    """Order in which a set of `n_buckets` gives back the first `size` ≤ n_buckets values, inserted one after the other.

    All elements hang on one chain. An element whose bucket is empty comes to the front of the chain, another one to the front of its
    bucket's stretch. So stretches lie in falling order of their first elements' insertion, and elements of a stretch in falling order of
    theirs. The bucket of a number is its remainder.
    """
    table, link, bucket, order = places
    for k in range(size):
        b = values[k] % np.uint32(n_buckets)  # of 32 bits: dividing is most of the work
        bucket[k], link[k], table[b] = b, table[b], k
    n_placed = 0
    for k in range(size - 1, -1, -1):
        if link[k] < 0:  # the first of its bucket
            last = table[bucket[k]]
            table[bucket[k]] = -1
            while last >= 0:
                order[n_placed] = last
                n_placed += 1
                last = link[last]


@njit
def as_if_inserted(values, size, n_buckets, places):
    """Let a set of `n_buckets` grow until it holds the first `size` values; returns its buckets.

    A set that is full is emptied in its order into a larger one before the next value comes. Then it is as if the values had come in that
    order: `values` are put into it.
    """
    while size > n_buckets:
        held = n_buckets
        unordered_set(values, held, n_buckets, places)
        before = values[:held].copy()
        for k in range(held):
            values[k] = before[places.order[k]]
        n_buckets = more_buckets(n_buckets)
    return n_buckets


# ---- Python's set -----------------------------------------------------------------------------------------------------------------


@njit(inline="always")
def _put(position, value, table, n_slots):
    """Into the first free slot: some side by side, then a jump that takes in higher and higher digits of the number."""
    mask = n_slots - _word(1)
    slot, rest = _word(value) & mask, _word(value)
    while True:
        tried = _SLOTS_TRIED if slot + _word(_SLOTS_TRIED) <= n_slots else 1
        for step in range(tried):
            if table[slot + _word(step)] < 0:
                table[slot + _word(step)] = position
                return
        rest >>= _word(5)
        slot = (slot * _word(5) + _word(1) + rest) & mask


@njit(inline="always")
def _take_out(table, n_slots, order):
    n_placed = 0
    for slot in range(n_slots):
        if table[slot] >= 0:
            order[n_placed] = table[slot]
            n_placed += 1
            table[slot] = -1
    return n_placed


@njit
def python_set(values, size, places):
    """Order in which a new Python set gives back the first `size` values, added one after the other (CPython 3.7 to 3.14).

    It is the order of slots. A set of which three fifths are taken moves into a larger table, in the order of the old one.
    """
    table, _, _, order = places
    n_slots = _word(_FEWEST_SLOTS)
    for k in range(size):
        _put(k, values[k], table, n_slots)
        if 5 * (k + 1) >= 3 * (np.int64(n_slots) - 1):
            n_held = _take_out(table, n_slots, order)
            n_slots = _word(_FEWEST_SLOTS)
            while n_slots <= n_held * (2 if n_held > _LARGE else 4):
                n_slots *= _word(2)
            for place in range(n_held):
                _put(order[place], values[order[place]], table, n_slots)
    _take_out(table, n_slots, order)

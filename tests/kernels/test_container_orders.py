"""Orders of containers: of C++ sets against a model on a chain and what g++ gave, of Python sets against Python's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_propagation_oracle import ChainedSet

from recq_lib.kernels import container_orders as module


def cpp_order(*batches):
    """(order, buckets) of the last batch in a set that was cleared after each of the others."""
    n_buckets = module.FEWEST_BUCKETS
    for batch in batches:
        values, places = np.array(batch, np.uint32), module.Places.of(max(len(batch), 1000))
        n_buckets = module.as_if_inserted(values, len(batch), n_buckets, places)
        module.unordered_set(values, len(batch), n_buckets, places)
        assert (places.table == -1).all()
    return values[places.order[: len(batch)]].tolist(), n_buckets


def model_order(*batches):
    held = ChainedSet()
    for batch in batches:
        held.clear()
        for value in batch:
            held.add(value)
    return list(held), held.n_buckets


def python_order(values):
    places = module.Places.of(max(len(values), 1))
    module.python_set(np.array(values, np.uint32), len(values), places)
    assert (places.table == -1).all()
    return [values[k] for k in places.order[: len(values)]]


def batch(start, n, span):
    return list(dict.fromkeys((start + k * k * 31 + k * 7919) % span for k in range(n)))


# ---- std::unordered_set -----------------------------------------------------------------------------------------------------------


def test_an_order_worked_out_by_hand():
    """Buckets of 13: 1, 14, 27 and 40 share one, 2 and 15 another. The chain grows
    1 | 14 1 | 2 14 1 | 2 27 14 1 | 15 2 27 14 1 | 15 2 40 27 14 1."""
    assert cpp_order([1, 14, 2, 27, 15, 40]) == ([15, 2, 40, 27, 14, 1], 13)


def test_growth_worked_out_by_hand():
    """0 to 12 lie 12 … 0 in 13 buckets. The next value moves them, in that order, into 29: 0 1 … 12. Then 29 joins bucket 0, in front."""
    assert cpp_order([*range(13), 29]) == ([29, *range(13)], 29)


# last batches in a set of g++ 12.2 (libstdc++, x86-64): sizes of the batches, span of the values -> (order, buckets)
RECORDED = {
    ((9,), 1000): ([337, 631, 371, 953, 173, 37, 951, 963, 1], 13),
    ((40, 12), 5000): ([862, 3784, 338, 1954, 3632, 372, 2292, 2174, 4038, 964, 2952, 2], 59),
    ((700, 20, 15), 100000): (
        [16945, 8189, 99495, 90863, 82293, 73785, 65339, 56955, 48633, 40373, 32175, 24039, 15965, 7953, 3], 1109,
    ),
    ((13, 14, 12), 97): ([71, 37, 58, 16, 65, 36, 21, 68, 80, 57, 96, 3], 29),
}  # fmt: skip


@pytest.mark.parametrize(("sizes", "span"), RECORDED)
def test_orders_and_buckets_of_gcc(sizes, span):
    batches = [batch(1 + number, size, span) for number, size in enumerate(sizes)]
    assert cpp_order(*batches) == model_order(*batches) == RECORDED[sizes, span]


batches = st.lists(st.lists(st.integers(0, 300), max_size=70, unique=True), min_size=1, max_size=4)


@given(batches)
def test_orders_equal_those_of_the_model(batches):
    assert cpp_order(*batches) == (model_order(*batches)[0], max(model_order(*batches)[1], 13))


def test_a_large_set_equals_the_model(rng):
    large = rng.choice(2**32 - 1, 900, replace=False).tolist()
    for then in (large[:30], large[::-1]):
        assert cpp_order(large, then) == model_order(large, then)


def test_a_cleared_set_remembers_how_large_it_was():
    small = [5, 18, 31, 44]
    assert cpp_order(small)[0] == [44, 31, 18, 5]  # one bucket of 13, the last first
    assert cpp_order(list(range(100, 150)), [5, 64, 18])[0] == [18, 64, 5] != cpp_order([5, 64, 18])[0]


def test_buckets_are_the_sizes_of_gcc():
    assert module.BUCKETS[: len(ChainedSet.SIZES) - 1] == ChainedSet.SIZES[1:]
    for small, large in zip(module.BUCKETS[:-1], module.BUCKETS[1:], strict=True):
        assert 2 * small < large < 2.3 * small and all(large % divisor for divisor in range(2, min(int(large**0.5) + 1, 10**5)))
    assert module.BUCKETS[-1] > 2**31 and [module.more_buckets(n) for n in (13, 127)] == [29, 257]


# ---- Python's set -----------------------------------------------------------------------------------------------------------------


def added(values):
    held = set()
    for value in values:
        held.add(value)
    return list(held)


@given(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 200), max_size=300, unique=True))
def test_orders_equal_those_of_python(values):
    assert python_order(values) == added(values)


def test_a_very_large_set_equals_pythons(rng):
    values = rng.choice(10**6, 120_000, replace=False).tolist()  # beyond 50,000 a set grows more slowly
    assert python_order(values) == added(values)

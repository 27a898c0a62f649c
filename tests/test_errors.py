"""The checks of arguments: what they let through, and that a message names the thing, its value and the rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from recq_lib.errors import ConfigError, exactly_one, number, whole


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_whole_numbers_become_pythons(value):
    assert whole("k", value, 3, 3) == 3 and type(whole("k", value, 0)) is int


@pytest.mark.parametrize("value", [2, 5, 3.0, np.float32(3), True, "3", None, math.nan, np.array([3])])
def test_other_values_are_no_whole_numbers_from_three_to_four(value):
    with pytest.raises(ConfigError, match=r"k is .* whole number from 3 to 4$"):
        whole("k", value, 3, 4)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(1.5), np.int64(2)])
def test_numbers_become_pythons(value):
    assert number("x", value, 1, 2) == value and type(number("x", value, 0)) is float


@pytest.mark.parametrize("value", [0.5, 2.5, math.nan, math.inf, True, "1", None, 1j])
def test_other_values_are_no_numbers_from_one_to_two(value):
    with pytest.raises(ConfigError, match=r"x is .* finite number from 1 to 2$"):
        number("x", value, 1, 2)


def test_open_ends_are_said_so():
    with pytest.raises(ConfigError, match="k is -1, but must be a whole number of at least 0$"):
        whole("k", -1, 0)
    with pytest.raises(ConfigError, match="x is -0.5, but must be a finite number ≥ 0$"):
        number("x", -0.5, 0)
    with pytest.raises(ConfigError, match="x is inf"):
        number("x", math.inf, 0)


def test_exactly_one():
    exactly_one(a=0, b=None)
    for given in ({"a": None, "b": None}, {"a": 1, "b": 2}):
        with pytest.raises(ConfigError, match=f"a is {given['a']} and b is {given['b']}; give exactly one of them"):
            exactly_one(**given)

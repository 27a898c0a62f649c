"""`Grouping`: what every clustering baseline of BACO gives, and the checks they share."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError
from recq_lib.sharing.sharing import Sharing

SEED = 2025  # of the official code


@dataclass(frozen=True, eq=False)
class Grouping:
    """Users and items that share rows, and how the groups were found.

    Attributes
    ----------
    method : name of the function
    sharing : rows of every user and item; every row has a node unless the method hashes
    seconds : wall time, of all evaluations where a setting was searched for; compilation counts if it is the first call
    settings : every setting, with the value chosen by a search
    tried : (setting, rows of both sides) of every evaluation of a search, in order
    objective : what the method raises, at the start and after each iteration; empty where it has none
    """

    method: str
    sharing: Sharing
    seconds: float
    settings: Mapping[str, object]
    tried: tuple[tuple[float, int], ...] = ()
    objective: tuple[float, ...] = ()

    @property
    def n_user_rows(self) -> int:
        return self.sharing.n_user_rows

    @property
    def n_item_rows(self) -> int:
        return self.sharing.n_item_rows

    @property
    def n_rows(self) -> int:
        return self.sharing.n_rows

    def n_parameters(self, dim: int = 64) -> int:
        """As BACO's code counts, see `Sharing.n_parameters`."""
        return self.sharing.n_parameters(dim)


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start


def sharing_of(users: np.ndarray, items: np.ndarray) -> Sharing:
    """One row per label and side: the labels of users [n_users], and of items [n_items], renumbered in rising order.

    A negative label means "none yet": such a node has a row to itself, after the others.
    """
    (user_rows, n_users), (item_rows, n_items) = _renumbered(users), _renumbered(items)
    return Sharing(user_rows, item_rows, n_users, n_items)


def _renumbered(labels: np.ndarray) -> tuple[np.ndarray, int]:
    labels = np.array(labels, np.int64)
    alone = np.flatnonzero(labels < 0)
    labels[alone] = labels.max(initial=-1) + 1 + np.arange(alone.size)
    values, rows = np.unique(labels, return_inverse=True)
    return rows, values.size


def degrees(data: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """Train degrees of users [n_users] and of items [n_items], int64. Raises `DataError` if there is no train interaction at all."""
    if data.train.nnz == 0:
        raise DataError(f"{data.name} has no train interactions, and groups are found from them; give a dataset that has some")
    users = np.diff(data.train.indptr).astype(np.int64)
    return users, np.bincount(data.train.indices, minlength=data.n_items).astype(np.int64)


def whole(name: str, value: object, low: int, high: float = math.inf) -> int:
    """`value` as an int; `ConfigError` unless it is a whole number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        limit = f"at least {low}" if high == math.inf else f"from {low} to {high:,.0f}"
        raise ConfigError(f"{name} is {value!r}, but must be a whole number {limit}")
    return int(value)


def number(name: str, value: object, low: float, high: float = math.inf) -> float:
    """`value` as a float; `ConfigError` unless it is a finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not (math.isfinite(value) and low <= value <= high):
        limit = f"≥ {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
        raise ConfigError(f"{name} is {value!r}, but must be a finite number {limit}")
    return float(value)


def exactly_one(**given: object) -> None:
    """`ConfigError` unless exactly one of the arguments is not None."""
    if sum(value is not None for value in given.values()) != 1:
        values = " and ".join(f"{name} is {value}" for name, value in given.items())
        raise ConfigError(f"{values}; give exactly one of them")

"""What ways to find groups have in common: labels become rows, degrees are counted, time is taken."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError
from recq_lib.sharing.found import Found
from recq_lib.sharing.sharing import Sharing

SEED = 2025  # of the official code


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._start


class OutOfReach(ConfigError):
    """No setting of a method meets a size. Its text names what was `asked` for, so that a caller may say it in the user's words.

    low, high : fewest and most parameters that were found, or rows where `unit` says so; full : those of a full table
    closest : the rows whose size is closest, where they are known
    """

    def __init__(
        self, asked: str, dataset: str, low: int, high: int, full: int, how: str, others: str, closest: Sharing | None = None,
        unit: str = "parameters",
    ) -> None:  # fmt: skip
        self.dataset, self.low, self.high, self.full, self.how, self.others = dataset, low, high, full, how, others
        self.closest, self.unit = closest, unit
        if low == high:
            given, advice = f"{low:,} {unit} ({low / full:.1%}) whatever the setting", "set that one"
        else:
            given, advice = self._reach(), "set one in between"
        options = "(budget=; `recq compress --budget`, `recq train --set ratio=`)"
        super().__init__(f"{asked} is out of reach on {dataset}: {how} give {given}; {advice} {options}{others}")

    def told(self, asked: str, dim: int, least: int = 0) -> OutOfReach:
        """The same for another way to say what was asked for, in parameters at width `dim`; fewer than `least` cannot be asked for."""
        low, high, full = (size * (dim if self.unit == "rows" else 1) for size in (self.low, self.high, self.full))
        return OutOfReach(asked, self.dataset, max(low, least), max(high, least), full, self.how, self.others, self.closest)

    def instead(self, asked: str, dim: int) -> str:
        """What a warning says where the closest, of width `dim`, is taken in place of what was `asked` for."""
        taken = self.closest.n_parameters(dim)
        closest = f"the closest, {taken:,} parameters ({self.closest.ratio(dim):.1%}), is taken instead"
        return f"{asked} is out of reach on {self.dataset}: {self.how} give {self._reach()}; {closest} (budget= or ratio= sets another)"

    def _reach(self) -> str:
        return f"{self.low:,} to {self.high:,} ({self.low / self.full:.1%} to {self.high / self.full:.1%})"


def sharing_of(users: np.ndarray, items: np.ndarray) -> Sharing:
    """One row per label and side: the labels of users [n_users], and of items [n_items], renumbered in rising order.

    A negative label means "none yet": such a node has a row to itself, after the others.
    """
    (user_rows, n_users), (item_rows, n_items) = _renumbered(users), _renumbered(items)
    return Sharing(user_rows, item_rows, n_users, n_items)


def found_by(sharing: Sharing, method: str, data: Interactions, settings: Mapping[str, Any], watch: Stopwatch, **series: Any) -> Sharing:
    """`sharing` with what is known of how `method` found it on `data`; `series` as in `Found`."""
    return replace(sharing, found=Found(method, data.name, settings, watch.seconds, **series))


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

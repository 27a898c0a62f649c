"""Seeded choices of which pair goes to which split, as labels 0 (train), 1 (val), 2 (test), int8 [n]; `splits.py` applies them."""

from __future__ import annotations

import math

import numpy as np

from recq_lib.errors import ConfigError, one_of

Fractions = tuple[float, float, float]
EIGHTY_TEN_TEN: Fractions = (0.8, 0.1, 0.1)


def edge_labels(n: int, fractions: Fractions, seed: int) -> np.ndarray:
    """A global random choice: floor(fraction × n) pairs for train and for val, the rest for test (BACO's protocol)."""
    n_train, n_val = _wanted(n, fractions)
    label = np.full(n, 2, np.int8)
    order = generator(seed).permutation(n)
    label[order[:n_train]] = 0
    label[order[n_train : n_train + n_val]] = 1
    if fractions[2] == 0:  # the remainder of the two floors
        label[label == 2] = 0
    return label


def user_labels(users: np.ndarray, fractions: Fractions, seed: int) -> np.ndarray:
    """A random choice within each user; `users` [n] is sorted.

    A share that is not whole, such as 10 % of 5 items, is rounded up or down by chance, so its expectation is exact also for users
    with few items. Every user keeps at least one train pair.
    """
    rng = generator(seed)
    degrees = np.bincount(users)
    n_test = _round_by_chance(degrees * fractions[2], np.maximum(degrees - 1, 0), rng)
    n_val = _round_by_chance(degrees * fractions[1], np.maximum(degrees - 1 - n_test, 0), rng)
    rank = _random_ranks(users, degrees, rng)
    label = np.zeros(users.size, np.int8)
    label[rank < (n_test + n_val)[users]] = 1
    label[rank < n_test[users]] = 2
    return label


def time_labels(times: np.ndarray, fractions: Fractions) -> np.ndarray:
    """Two cuts in time for all: every train pair is strictly before every val pair, and these before every test pair.

    Pairs of one moment stay together, so each cut is the boundary between two moments that is nearest to its fraction; at least one
    moment is train. Raises `ConfigError` when a share of at least one pair comes out empty, as with a single moment for all.
    """
    _, moment, counts = np.unique(times, return_inverse=True, return_counts=True)
    ends = np.r_[0, np.cumsum(counts)]  # pairs before each moment, and in all
    n = times.size
    first = 1 + int(np.argmin(np.abs(ends[1:] - fractions[0] * n)))
    second = max(first, int(np.argmin(np.abs(ends - (fractions[0] + fractions[1]) * n))))
    label = (moment >= first).astype(np.int8) + (moment >= second).astype(np.int8)
    for code, (split, share) in enumerate(zip(("val", "test"), fractions[1:], strict=True), start=1):
        if math.floor(share * n + 1e-9) >= 1 and not (label == code).any():
            raise ConfigError(
                f"fractions is {shown(fractions)}, but no cut in time leaves pairs for {split} ({counts.size} different moments, the "
                f"largest of {counts.max()} of {n} pairs); give finer times, other fractions or split='random'"
            )
    return label


def time_note(users: np.ndarray, items: np.ndarray, times: np.ndarray, label: np.ndarray, fractions: Fractions) -> str:
    """Where the cuts of `time_labels` lie, and how many users and items of val and test were never seen in train; all arrays [n]."""
    cold = [np.setdiff1d(side[label > 0], side[label == 0]).size for side in (users, items)]
    parts = [f"{split} from {_moment(times[label == code].min())}" for code, split in ((1, "val"), (2, "test")) if (label == code).any()]
    parts.append(f"{counted(cold[0], 'user')} and {counted(cold[1], 'item')} of val and test are not in train")
    return f"split by time {shown(fractions)}: {', '.join(parts)}"


def split_kind(split: str | None, has_times: bool, name: str) -> str:
    """"time" or "random", by default "time" where there are times; `ConfigError` for another, and for "time" without times."""
    kind = one_of("split", split or ("time" if has_times else "random"), ("time", "random"))
    if kind == "time" and not has_times:
        raise ConfigError(f"{name}: split is 'time', but no column of times is named; pass time='…', or split='random'")
    return kind


def check_fractions(fractions: Fractions) -> Fractions:
    """(train, val, test) as floats; `ConfigError` unless each is in [0, 1], their sum is 1 and train is positive."""
    values = tuple(float(part) for part in fractions)
    if len(values) != 3 or not all(0 <= part <= 1 for part in values) or abs(sum(values) - 1) > 1e-9 or values[0] == 0:
        raise ConfigError(f"fractions is {tuple(fractions)}, but must be (train, val, test), each in [0, 1], with sum 1 and train > 0")
    return values


def generator(seed: int) -> np.random.Generator:
    """A generator; `ConfigError` for a seed that is not a whole number ≥ 0."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed is {seed!r}, but must be a whole number ≥ 0")
    return np.random.default_rng(int(seed))


def shown(fractions: Fractions) -> str:
    """As notes write them: 0.8/0.1/0.1."""
    return "/".join(f"{part:g}" for part in fractions)


def counted(n: int, name: str) -> str:
    """As texts write it: "1 user", "1,200 users"."""
    return f"{n:,} {name}" + ("" if n == 1 else "s")


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _wanted(n: int, fractions: Fractions) -> tuple[int, int]:
    # a hair is added so that 0.1 × 30 counts as 3 in spite of rounding
    n_train, n_val = (math.floor(part * n + 1e-9) for part in fractions[:2])
    return n_train, n_val


def _moment(time: np.generic) -> str:
    return np.datetime_as_string(time, unit="s") if isinstance(time, np.datetime64) else f"{time}"


def _random_ranks(users: np.ndarray, degrees: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order 0, 1, … within each user; `users` is sorted. int64 [n]"""
    order = np.lexsort((rng.random(users.size), users))
    rank = np.empty(users.size, np.int64)
    rank[order] = np.arange(users.size) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    return rank


def _round_by_chance(share: np.ndarray, most: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.minimum(np.floor(share + rng.random(share.size)).astype(np.int64), most)

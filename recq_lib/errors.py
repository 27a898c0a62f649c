"""One family of errors: catch `RecqError` and you have caught all of ours.

Every message names the thing, its value, the rule it breaks, and what to do about it, on one line.
"""

from __future__ import annotations

import difflib
import math
import numbers


class RecqError(Exception):
    """Base of every error this library raises on purpose.

    >>> import recq_lib as recq
    >>> try:
    ...     recq.build("lihgtgcn", recq.load("synthetic-tiny"))
    ... except recq.RecqError as error:
    ...     print(str(error).split("; ")[-1])
    did you mean 'lightgcn'?
    """


class DataError(RecqError, ValueError):
    """Interactions or a data file break a rule (range, duplicate, overlap, dtype, format)."""


class DownloadError(RecqError, OSError):
    """A dataset could not be obtained; the message names the URL and the file to place by hand."""


class ConfigError(RecqError, ValueError):
    """A hyper-parameter, method or dataset name, or other argument is not usable."""


class RecordError(RecqError, ValueError):
    """A run record or checkpoint is missing, damaged or does not belong to the run."""


def one_of(name: str, value: object, allowed: list[str] | tuple[str, ...]) -> str:
    """Return `value` if it is one of `allowed`, else raise `ConfigError` with the closest name."""
    if value in allowed:
        return str(value)
    close = difflib.get_close_matches(str(value), list(allowed), n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ConfigError(f"{name} is {value!r}, but must be one of {', '.join(allowed)}{hint}")


# ---- checks of arguments; each gives the value back, in Python's own type ------------------------------------------------------


def whole(name: str, value: object, low: int, high: float = math.inf) -> int:
    """`value` as an int; `ConfigError` unless it is a whole number in [low, high] (numpy's integers are, True and 2.0 are not)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not low <= value <= high:
        limit = f"of at least {low}" if high == math.inf else f"from {low} to {high:,.0f}"
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

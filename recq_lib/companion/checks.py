"""Building blocks of the `check_*()` functions of exercises: each failure tells the value found and the rule it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recq_lib.errors import RecqError


class ExerciseFailed(RecqError, AssertionError):
    """An answer to an exercise breaks a rule; the message gives the value found and the rule."""


def check(condition: bool, rule: str, *, found: Any) -> None:
    """Building block of a `check_*()` function: raise `ExerciseFailed` with the value found unless `condition` holds."""
    if found is None or found is Ellipsis:
        raise ExerciseFailed(f"no answer yet (found {found!r}): fill in the stub; the rule is: {rule}")
    if not bool(condition):
        raise ExerciseFailed(f"found {_short(found)}, but the rule is: {rule}")


def check_close(found: Any, expected: Any, rule: str, *, tolerance: float = 1e-6) -> None:
    """As `check`, for numbers and arrays: every entry of `found` within `tolerance` of `expected`, shapes equal."""
    import numpy as np

    check(True, rule, found=found)
    try:
        ours, theirs = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ExerciseFailed(f"found {_short(found)}, which is not numeric, but the rule is: {rule}") from error
    if ours.shape != theirs.shape:
        raise ExerciseFailed(f"found shape {ours.shape}, expected shape {theirs.shape}; the rule is: {rule}")
    gap = float(np.max(np.abs(ours - theirs))) if ours.size else 0.0
    if not gap <= tolerance:
        raise ExerciseFailed(f"found {_short(found)}, off by up to {gap:.3g} (allowed {tolerance:g}); the rule is: {rule}")


@contextmanager
def rejects(rule: str) -> Iterator[None]:
    """For checks that call the reader's function: turn whatever it raises into `ExerciseFailed` that names the rule."""
    try:
        yield
    except ExerciseFailed:
        raise
    except Exception as error:
        raise ExerciseFailed(f"your function raised {type(error).__name__}: {error}; the rule is: {rule}") from error


def _short(value: Any) -> str:
    line = " ".join(repr(value).split())
    return line if len(line) <= 120 else line[:117] + "..."

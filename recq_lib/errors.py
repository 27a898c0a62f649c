"""One family of errors: catch `RecqError` and you have caught all of ours.

Every message names the thing, its value, the rule it breaks, and what to do about it, on one line.
"""

from __future__ import annotations

import difflib


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

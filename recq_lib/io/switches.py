"""Environment variables that are on or off, read in one way everywhere: `RECQ_OFFLINE`, `RECQ_PROGRESS`."""

from __future__ import annotations

import os

from recq_lib.errors import ConfigError

_VALUES = {"0": False, "false": False, "no": False, "off": False, "1": True, "true": True, "yes": True, "on": True}


def switch(variable: str) -> bool | None:
    """Whether `variable` is on (1, true, yes, on) or off (0, false, no, off; any case), read at each call; None when unset or empty.

    Raises `ConfigError` for any other value.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        return None
    if value.lower() not in _VALUES:
        raise ConfigError(f"{variable} is {value!r}, but must be 0 (off) or 1 (on); unset it for the default")
    return _VALUES[value.lower()]

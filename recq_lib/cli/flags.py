"""Types of the flags that several commands share, and what `--seconds` means."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from recq_lib.errors import number

Name = Annotated[str, tyro.conf.Positional, arg(metavar="NAME")]
Method = Annotated[str, tyro.conf.Positional, arg(metavar="METHOD")]
NpzFile = Annotated[Path | None, arg(metavar="FILE.npz")]
Settings = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")]


def deadline_after(seconds: float | None) -> float | None:
    """When `--seconds` from now are over, as `time.time` counts; None without the flag. Raises `ConfigError` for less than 0."""
    return None if seconds is None else time.time() + number("--seconds", seconds, 0)

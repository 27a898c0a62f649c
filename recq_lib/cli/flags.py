"""What several commands share: types of flags, what `--seconds` means, folders that must be fit to write to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from recq_lib.errors import number
from recq_lib.io import paths
from recq_lib.io.output import check_folder

Name = Annotated[str, tyro.conf.Positional, arg(metavar="NAME")]
Method = Annotated[str, tyro.conf.Positional, arg(metavar="METHOD")]
NpzFile = Annotated[Path | None, arg(metavar="FILE.npz")]
Settings = Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], arg(metavar="NAME=VALUE")]


def check_folders() -> None:
    """Raise `ConfigError` before the work if records or checkpoints could not be written after it."""
    check_folder(paths.results_dir(), "RECQ_RESULTS_DIR")
    check_folder(paths.checkpoints_dir(), "RECQ_CHECKPOINTS_DIR")


def deadline_after(seconds: float | None) -> float | None:
    """When `--seconds` from now are over, as `time.time` counts; None without the flag. Raises `ConfigError` for less than 0."""
    return None if seconds is None else time.time() + number("--seconds", seconds, 0)

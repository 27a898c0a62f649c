"""What a command prints, and where it may write: decided before the work, not after it."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

from recq_lib.errors import ConfigError


def show(value: Any, text: str, *, as_json: bool) -> None:
    """Print `text`, or `value` as JSON; dataclasses become objects, and what JSON does not know its `str`."""
    print(json.dumps(value, indent=1, default=_plain) if as_json else text)


def output_file(path: Path | str | None) -> Path | None:
    """`path`, fit to be written to (None stays None). Raises `ConfigError` for a folder, a missing folder or one without permission."""
    if path is None:
        return None
    target = Path(path)
    if target.is_dir():
        raise ConfigError(f"output is {str(path)!r}, which is a folder; name a file in it")
    if not target.parent.is_dir():
        raise ConfigError(f"output is {str(path)!r}, but the folder {str(target.parent)!r} does not exist; make it first")
    if not os.access(target.parent, os.W_OK):
        raise ConfigError(f"output is {str(path)!r}, but the folder {str(target.parent)!r} may not be written to; choose another")
    return target


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)

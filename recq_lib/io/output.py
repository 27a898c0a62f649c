"""What a command prints, and where it may write: decided before the work, not after it."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
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
    if target.exists() and not target.is_file():
        raise ConfigError(f"output is {str(path)!r}, which is no ordinary file, and would be replaced by one; name another")
    if (why := _refusal(target.parent)) is not None:
        raise ConfigError(f"output is {str(path)!r}, but the folder {str(target.parent)!r} may not be written to ({why}); choose another")
    return target


def check_folder(folder: Path, variable: str) -> None:
    """Raise `ConfigError` unless `folder`, or the folder in which it will be made, can be written to; `variable` names another one."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    why = _refusal(there) if there.is_dir() else "it is not a folder"
    if why is not None:
        raise ConfigError(f"{folder}: cannot be written to ({there}: {why}); allow it, or set {variable} to another folder")


def _refusal(folder: Path) -> str | None:
    """Why no file can be made in `folder`; None if one can: a nameless one is made, which leaves no trace."""
    if not os.access(folder, os.W_OK):
        return "no permission"
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)

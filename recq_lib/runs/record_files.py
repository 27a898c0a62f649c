"""The two files of a record, replaced as one: its JSON, and beside it the arrays of which the JSON holds the digests (ours).

New arrays are laid down under a second, hidden name, then the JSON is replaced, then the arrays take their place. Killed at any moment,
or out of space at any byte, the old record is whole before the JSON is replaced and the new one after it: a reader whose JSON does not
fit the arrays finds those that fit under the second name.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recq_lib.errors import RecordError
from recq_lib.io.canonical import json_digest
from recq_lib.io.files import array_digest, folder_lock, npz_arrays, set_aside, write_atomically

DIGEST = "sha256"


def put(path: Path, text: bytes, arrays: bytes | None) -> None:
    """Replace the record whose JSON is at `path`, whole or not at all; `arrays` None means that it has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with folder_lock(path.parent):
        _settle(path)
        settled = path.with_suffix(".npz")
        renewed = arrays is not None and not (settled.is_file() and settled.read_bytes() == arrays)
        if renewed:
            write_atomically(coming(path), arrays)
        try:
            write_atomically(path, text)
        except BaseException:
            _settle(path)  # an interruption may have come just after the JSON was replaced
            raise
        if renewed:
            os.replace(coming(path), settled)
        elif arrays is None:
            settled.unlink(missing_ok=True)


def coming(path: Path) -> Path:
    """Where the arrays of a record wait for its JSON to be replaced."""
    return path.with_name(f".{path.stem}.npz.new")


def settle(path: Path) -> None:
    """Finish what a killed writer has begun with the record at `path`; nothing where there is nothing, or nothing can be written."""
    if coming(path).is_file():
        with contextlib.suppress(OSError), folder_lock(path.parent):
            _settle(path)


def arrays_of(path: Path) -> Iterator[Path]:
    """The files that may hold the arrays of the JSON at `path`; the first comes twice, as another process may just have moved them."""
    settled = path.with_suffix(".npz")
    yield from (file for file in (settled, coming(path), settled) if file.is_file())


def forget(path: Path, why: str) -> None:
    """Move a damaged record aside, both files of it."""
    with folder_lock(path.parent):
        for file in (path, path.with_suffix(".npz")):
            if file.is_file():
                set_aside(file, why)
        coming(path).unlink(missing_ok=True)


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """`content` with the digest of all of it, which stands before the history."""
    whole = {**content, DIGEST: json_digest(content)}
    return {name: whole[name] for name in sorted(whole, key="history".__eq__)}


def check_seal(content: dict[str, Any]) -> None:
    """Raise `RecordError` where a record's JSON is not what was written. One from before there were digests passes."""
    if DIGEST not in content:
        return
    try:
        found = json_digest({name: part for name, part in content.items() if name != DIGEST})
    except (ValueError, RecursionError) as error:  # nan, inf
        raise RecordError(f"it holds what no record holds ({error})") from error
    if found != content[DIGEST]:
        raise RecordError("it is not what was written: its digest differs")


def _settle(path: Path) -> None:
    """Finish, or undo, the replacement that a killed writer has begun; the caller holds the folder's lock."""
    waiting = coming(path)
    if not waiting.is_file():
        return
    try:
        expected = json.loads(path.read_bytes())["per_user"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        expected = None
    if expected and _fits(waiting, expected):
        os.replace(waiting, path.with_suffix(".npz"))
    else:
        waiting.unlink()


def _fits(file: Path, expected: dict[str, Any]) -> bool:
    try:
        arrays = npz_arrays(file)
        return all(array_digest(arrays[name].astype(about["dtype"])) == about["sha256"] for name, about in expected.items())
    except (RecordError, KeyError, TypeError, ValueError):
        return False

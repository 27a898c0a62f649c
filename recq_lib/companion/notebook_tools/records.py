"""Which run records a notebook reads, and where it writes its own.

A paper run adds to the records of the project: that is its purpose, and it continues where it was stopped. Runs of smaller profiles
work on a copy in `out/<profile>/results/`, which keeps what they add, so that they leave the project as it is.
"""

from __future__ import annotations

import filecmp
import json
from collections.abc import Callable
from pathlib import Path

from recq_lib.io import paths
from recq_lib.io.files import folder_lock
from recq_lib.runs.record_files import arrays_of, put

_RECORDS = "records/*/*/*.json"


def folder(profile: str) -> Path:
    """The folder of records that a run of this profile reads and writes."""
    return paths.results_dir() if profile == "paper" else paths.out_dir(profile) / "results"


def prepare(profile: str) -> None:
    """Make the copy of a smaller profile what it must be: all records of the project, and what earlier runs of this profile added."""
    source, target = paths.results_dir(), folder(profile)
    if target == source:
        return
    copy_records(source, target)
    with folder_lock(target):
        for path in sorted(target.glob(_RECORDS)):
            if not (source / path.relative_to(target)).exists() and profile_of(path) != profile:
                for part in (path, path.with_suffix(".npz")):  # the record is gone before its arrays are
                    part.unlink(missing_ok=True)


def copy_records(source: Path, target: Path, wanted: Callable[[str], bool] = lambda profile: True) -> None:
    """Copy the run records below `source`, with their arrays, whose profile is `wanted`; what is damaged is copied as it is.

    A record that is there already with the same content is left alone, and a changed one is replaced as one: others may read.
    """
    target.mkdir(parents=True, exist_ok=True)
    with folder_lock(target):
        for path in sorted(source.glob(_RECORDS)):
            if wanted(profile_of(path)):
                _copy(path, target / path.relative_to(source))


def _copy(path: Path, copy: Path) -> None:
    arrays, here = next(arrays_of(path), None), copy.with_suffix(".npz")
    pairs = [(path, copy), *([(arrays, here)] if arrays is not None else [])]
    if all(there.exists() and filecmp.cmp(source, there, shallow=False) for source, there in pairs):
        return
    put(copy, path.read_bytes(), None if arrays is None else arrays.read_bytes())


def profile_of(path: Path) -> str:
    """Profile of a record's file; empty when it is damaged, of which the reader of records complains."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["spec"]["profile"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

"""Which run records a notebook reads, and where it writes its own.

A paper run adds to the records of the project: that is its purpose, and it continues where it was stopped. Runs of smaller profiles
work on a copy in `out/<profile>/results/`, which keeps what they add, so that they leave the project as it is.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from recq_lib.io import paths
from recq_lib.io.files import folder_lock

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

    A file that is there already with the same content is left alone, and a changed one is replaced in one step: others may read.
    """
    target.mkdir(parents=True, exist_ok=True)
    with folder_lock(target):
        for path in sorted(source.glob(_RECORDS)):
            if wanted(profile_of(path)):
                for part in (path.with_suffix(".npz"), path):  # a record exists when it is complete
                    if part.exists():
                        _copy(part, target / part.relative_to(source))


def _copy(path: Path, copy: Path) -> None:
    if copy.exists() and filecmp.cmp(path, copy, shallow=False):
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    temporary = copy.with_name(f".{copy.name}.{uuid.uuid4().hex}.tmp")  # hidden: no reader of records takes it for one
    try:
        shutil.copyfile(path, temporary)
        os.replace(temporary, copy)
    finally:
        temporary.unlink(missing_ok=True)


def profile_of(path: Path) -> str:
    """Profile of a record's file; empty when it is damaged, of which the reader of records complains."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["spec"]["profile"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

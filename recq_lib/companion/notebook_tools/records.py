"""Which run records a notebook reads, and where it writes its own.

A paper run adds to the records of the project: that is its purpose, and it continues where it was stopped. Runs of smaller profiles
work on a copy in `out/<profile>/results/`, which keeps what they add, so that they leave the project as it is.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from recq_lib.io import paths


def folder(profile: str) -> Path:
    """The folder of records that a run of this profile reads and writes."""
    return paths.results_dir() if profile == "paper" else paths.out_dir(profile) / "results"


def prepare(profile: str) -> None:
    """Make the copy of a smaller profile what it must be: all records of the project, and what earlier runs of this profile added."""
    target = folder(profile)
    if target == paths.results_dir():
        return
    for path in sorted(target.glob("records/*/*/*.json")):
        if profile_of(path) != profile:
            for part in (path, path.with_suffix(".npz")):
                part.unlink(missing_ok=True)
    copy_records(paths.results_dir(), target)


def copy_records(source: Path, target: Path, wanted: Callable[[str], bool] = lambda profile: True) -> None:
    """Copy the run records below `source`, with their arrays, whose profile is `wanted`; what is damaged is copied as it is."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("records/*/*/*.json")):
        if wanted(profile_of(path)):
            for part in (path, path.with_suffix(".npz")):
                if part.exists():
                    copy = target / part.relative_to(source)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(part, copy)


def profile_of(path: Path) -> str:
    """Profile of a record's file; empty when it is damaged, of which the reader of records complains."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["spec"]["profile"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""

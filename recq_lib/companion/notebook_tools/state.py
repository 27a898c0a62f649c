"""What a notebook's last successful run depended on, so that a second run of unchanged inputs has nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recq_lib.companion import figure_store
from recq_lib.companion.environment import versions
from recq_lib.companion.notebook_tools.freshness import source_sha256
from recq_lib.companion.notebook_tools.sources import read
from recq_lib.io import paths
from recq_lib.runs.provenance import library_hash

FILE = "state.json"
WRITTEN = ("records", "cache")  # inputs that the notebooks themselves add to


def folder_signature(folder: Path | None, *, skip: Iterable[str] = ()) -> str:
    """SHA-256 over path, size and time of change of every file below `folder`; "none" when there is no such folder."""
    if folder is None or not folder.is_dir():
        return "none"
    skipped, digest = set(skip), hashlib.sha256(str(folder).encode("utf-8"))
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not skipped.intersection(path.relative_to(folder).parts) and not path.name.startswith("."):
            facts = path.stat()
            digest.update(f"\0{path.relative_to(folder).as_posix()}\0{facts.st_size}\0{facts.st_mtime_ns}".encode())
    return digest.hexdigest()


def surroundings() -> dict[str, str]:
    """Inputs that all notebooks share: library, style sheet, package versions, records, data folder, cache."""
    style = hashlib.sha256()
    library = paths.project_root() / "recq_lib"
    for path in sorted(library.rglob("*")):
        if path.suffix in (".mplstyle", ".csv"):
            style.update(path.name.encode() + path.read_bytes())
    return {
        "library": library_hash(),
        "package data": style.hexdigest(),
        "versions": json.dumps(versions(), sort_keys=True),
        "records": folder_signature(paths.results_dir()),
        "data": folder_signature(paths.data_dir()),
        "cache": folder_signature(paths.cache_dir()),
        "offline": os.environ.get("RECQ_OFFLINE", ""),
    }


def fingerprint(notebook: Path, params: Mapping[str, Any], shared: Mapping[str, str]) -> dict[str, str]:
    """All inputs of one notebook by name; `shared` comes from `surroundings()`."""
    return dict(shared) | {"cells": source_sha256(read(notebook)), "parameters": json.dumps(dict(params), sort_keys=True)}


def load(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of the last runs in `out/<profile>/`; empty when there are none or the file is damaged (all is run again)."""
    try:
        entries = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}


def save(folder: Path, entries: Mapping[str, dict[str, Any]]) -> None:
    """Write the entries."""
    figure_store.write_text(folder / FILE, json.dumps(entries, indent=1, sort_keys=True) + "\n")


def changed(entry: Mapping[str, Any] | None, now: Mapping[str, str], folder: Path, name: str) -> list[str]:
    """Names of the inputs (or outputs) that differ from the last successful run; empty when it is up to date."""
    if entry is None:
        return ["first run"]
    before = entry.get("inputs", {})
    found = sorted(key for key in now.keys() | before.keys() if now.get(key) != before.get(key))
    if not (folder / f"{name}.ipynb").exists():
        found.append("executed copy")
    figures = paths.figures_dir()
    if any(not (figures / f"{key}.{suffix}").exists() for key in entry.get("figures", []) for suffix in figure_store.SUFFIXES):
        found.append("figures")
    return found

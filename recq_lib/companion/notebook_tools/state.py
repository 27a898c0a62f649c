"""What a notebook's last successful run depended on, so that a second run of unchanged inputs has nothing to do."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from recq_lib.companion.environment import versions
from recq_lib.companion.figure_store import SUFFIXES, write_text
from recq_lib.companion.notebook_tools.dependencies import companion_hash
from recq_lib.companion.notebook_tools.end_table import Row
from recq_lib.companion.notebook_tools.freshness import source_sha256
from recq_lib.companion.notebook_tools.sources import read
from recq_lib.io import paths
from recq_lib.io.canonical import json_digest
from recq_lib.io.files import folder_lock
from recq_lib.runs.provenance import library_hash

FILE = "state.json"
FIGURES = "figures"  # below out/<profile>/: what the last runs drew
WRITTEN = ("records", "cache")  # inputs that the notebooks themselves add to


@dataclass(frozen=True)
class Entry:
    """A successful run: its inputs by name, and its line of the end table."""

    inputs: dict[str, str]
    row: Row


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
    """Inputs that all notebooks share: library, package versions, records, data folder, cache."""
    return {
        "library": library_hash(),
        "versions": json.dumps(versions(), sort_keys=True),
        "records": folder_signature(paths.results_dir()),
        "data": folder_signature(paths.data_dir()),
        "cache": folder_signature(paths.cache_dir()),
        "offline": os.environ.get("RECQ_OFFLINE", ""),
    }


def fingerprint(notebook: Path, params: Mapping[str, Any], shared: Mapping[str, str]) -> dict[str, str]:
    """All inputs of one notebook by name; `shared` comes from `surroundings()`."""
    content = read(notebook)
    own = {"cells": source_sha256(content), "companion": companion_hash(content), "parameters": json.dumps(dict(params), sort_keys=True)}
    return dict(shared) | own


def load(folder: Path) -> dict[str, Entry]:
    """The last successful runs in `out/<profile>/` by notebook. One that is damaged or not of this version is left out: it runs again."""
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = {name: _decode(name, value) for name, value in stored.items()} if isinstance(stored, dict) else {}
    return {name: entry for name, entry in entries.items() if entry is not None}


def update(folder: Path, notebooks: Iterable[str], entries: Mapping[str, Entry]) -> None:
    """Replace what is known of the notebooks by `entries`; those without one are forgotten, all others stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder):
        gone = set(notebooks)
        kept = {name: entry for name, entry in load(folder).items() if name not in gone} | dict(entries)
        content = {name: asdict(entry) for name, entry in kept.items()}
        content = {name: {**entry, "sha256": _digest(name, entry)} for name, entry in content.items()}
        write_text(folder / FILE, json.dumps(content, indent=1, sort_keys=True) + "\n")


def _decode(name: str, value: object) -> Entry | None:
    """The entry if each of its parts has the type it must have, else None."""
    if not isinstance(value, dict) or value.keys() != {"inputs", "row", "sha256"}:
        return None
    inputs, row = value["inputs"], value["row"]
    if not isinstance(inputs, dict) or not isinstance(row, dict) or row.keys() != {part.name for part in fields(Row)}:
        return None
    strings = [*inputs.values(), row["notebook"], row["source"], row["status"]]
    for part in ("figures", "published", "kept"):
        if not isinstance(row[part], list):
            return None
        strings += row[part]
    numbers = [row["seconds"], 0.0 if row["peak_mb"] is None else row["peak_mb"]]
    good = all(isinstance(text, str) for text in strings) and all(type(number) in (int, float) for number in numbers)
    good = good and row["notebook"] == name and value["sha256"] == _digest(name, {"inputs": inputs, "row": row})
    return Entry(inputs, Row(**row)) if good else None


def _digest(name: str, entry: Mapping[str, Any]) -> str:
    try:
        return json_digest([name, entry])
    except ValueError:  # nan or inf, which no entry has
        return ""


def changed(entry: Entry | None, now: Mapping[str, str], folder: Path, name: str) -> list[str]:
    """Names of the inputs (or outputs) that differ from the last successful run; empty when it is up to date."""
    if entry is None:
        return ["first run"]
    found = sorted(key for key in now.keys() | entry.inputs.keys() if now.get(key) != entry.inputs.get(key))
    if not (folder / f"{name}.ipynb").exists():
        found.append("executed copy")
    figures = folder / FIGURES
    if any(not (figures / f"{key}.{suffix}").exists() for key in entry.row.figures for suffix in SUFFIXES):
        found.append("figures")
    return found

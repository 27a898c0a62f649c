"""Which figure is on show: `figures/<notebook>/<name>.{png,pdf}` and the manifest that says where each came from.

A figure of a lower profile never replaces one of a higher profile (paper > quick > smoke). The manifest is a JSON object
from `<notebook>/<name>` to profile, data source and provenance; `figures/README.md` shows it as a table.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from recq_lib.errors import RecordError, one_of
from recq_lib.io.files import write_atomically
from recq_lib.runs.records import PROFILES

SUFFIXES = ("png", "pdf")
MANIFEST = "manifest.json"
INDEX = "README.md"


def rank(profile: str) -> int:
    """Worth of a profile, smoke 0 < quick 1 < paper 2; `ConfigError` for any other name."""
    return len(PROFILES) - 1 - PROFILES.index(one_of("profile", profile, PROFILES))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode("utf-8"))


def read_manifest(folder: Path) -> dict[str, dict]:
    """Entries of the manifest in `folder`; empty when there is none, `RecordError` when it cannot be read."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path.name} in {folder.name}/ is not JSON ({error}); delete it and run the notebooks again") from error
    if not isinstance(entries, dict):
        raise RecordError(f"{path.name} in {folder.name}/ holds {type(entries).__name__}, but must hold an object; delete it")
    return entries


def write_manifest(folder: Path, entries: dict[str, dict]) -> None:
    """Write the manifest and its readable table."""
    ordered = dict(sorted(entries.items()))
    write_text(folder / MANIFEST, json.dumps(ordered, indent=1, sort_keys=True) + "\n")
    lines = ["# Figures", "", "Written by `./run_all.sh`. A smaller profile never replaces a larger one.", ""]
    lines += ["| figure | profile | data source |", "|---|---|---|"]
    lines += [f"| [{key}]({key}.png) | {entry['profile']} | {entry['source']} |" for key, entry in ordered.items()]
    write_text(folder / INDEX, "\n".join(lines) + "\n")


def may_replace(folder: Path, key: str, profile: str, entries: dict[str, dict] | None = None) -> bool:
    """True unless `folder` already shows the figure `key` from a higher profile."""
    known = read_manifest(folder) if entries is None else entries
    if key not in known or not (folder / f"{key}.png").exists():
        return True
    return rank(profile) >= rank(known[key]["profile"])


def publish(private: Path, public: Path) -> tuple[list[str], list[str]]:
    """Copy the figures of one successful notebook from its private folder to the public one.

    Returns the keys published and the keys kept back because a higher profile is on show.
    """
    fresh, entries = read_manifest(private), read_manifest(public)
    published, kept = [], []
    for key, entry in sorted(fresh.items()):
        if not may_replace(public, key, entry["profile"], entries):
            kept.append(key)
            continue
        for suffix in SUFFIXES:
            _replace(private / f"{key}.{suffix}", public / f"{key}.{suffix}")
        entries[key] = entry
        published.append(key)
    if published:
        write_manifest(public, entries)
    return published, kept


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    os.replace(temporary, target)

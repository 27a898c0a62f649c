"""Figures with a manifest that says where each came from: `<folder>/<notebook>/<name>.{png,pdf}`.

A figure drawn from real data is never replaced by one drawn from a synthetic stand-in, whatever the profiles; among equals a lower
profile never replaces a higher one (paper > quick > smoke). The manifest is a JSON object from `<notebook>/<name>` to profile, data
source, whether the data were synthetic, provenance and, where runs were drawn, their protocol in words (`studies.naming`): a profile says
how large a run is meant to be, not whose settings it has. The folder's `README.md` shows it as a table. Several processes may write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recq_lib.config import PROFILES
from recq_lib.errors import RecordError, one_of
from recq_lib.io.canonical import json_digest
from recq_lib.io.files import folder_lock, write_atomically
from recq_lib.runs.provenance import companion_folder, library_hash, package_versions, source_hash

SUFFIXES = ("png", "pdf")
MANIFEST = "manifest.json"
INDEX = "README.md"
_FIELDS: dict[str, type] = {"profile": str, "source": str, "synthetic": bool, "provenance": dict}
_MORE: dict[str, type] = {"protocol": str}  # only where runs were drawn
_DIGEST = "sha256"  # in the file alone: of an entry and its key; entries of earlier versions have none
_KEY = re.compile(r"[a-z0-9][a-z0-9_\-]*/[a-z0-9][a-z0-9_\-]*")
_ADVICE = "restore it, or delete it and run the notebooks again"


def rank(profile: str) -> int:
    """Worth of a profile, smoke 0 < quick 1 < paper 2; `ConfigError` for any other name."""
    return len(PROFILES) - 1 - PROFILES.index(one_of("profile", profile, PROFILES))


def is_synthetic(source: str) -> bool:
    """Whether a data source names synthetic data in any of its parts: generated datasets and their records carry the word.

    A toy graph or a formula is no stand-in: it is the same for everyone.
    """
    return re.search(r"\bsynthetic\b", source, flags=re.IGNORECASE) is not None


def scope(profile: str, protocol: str = "") -> str:
    """What stands before the source in a stamp: the profile; for runs of the profile "paper" their protocol in its place.

    >>> scope("paper", "BACO's protocol"), scope("quick", "BACO's protocol"), scope("paper")
    ("BACO's protocol", "quick, BACO's protocol", 'paper')
    """
    rank(profile)
    if not protocol:
        return profile
    return protocol if profile == PROFILES[0] else f"{profile}, {protocol}"


def entry_of(profile: str, source: str, protocol: str = "") -> dict[str, Any]:
    """The manifest's entry of a figure drawn now; its provenance covers the library and, on its own, the whole companion."""
    companion = source_hash(companion_folder(), companion_folder().rglob("*.py"))
    provenance = {"lib_sha256": library_hash(), "companion_sha256": companion, **package_versions(("matplotlib",))}
    entry = {"profile": profile, "source": source, "synthetic": is_synthetic(source), "provenance": provenance}
    return entry | ({"protocol": protocol} if protocol else {})


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode("utf-8"))


# ---- the manifest -----------------------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Entries of the manifest in `folder`; empty when there is none, `RecordError` when it is damaged or not one of ours."""
    path = folder / MANIFEST
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder, f"is not JSON: {error}") from error
    if not isinstance(entries, dict):
        raise _damaged(folder, f"holds {type(entries).__name__}, but must hold an object")
    for key, entry in entries.items():
        digest = entry.pop(_DIGEST, None) if isinstance(entry, dict) else None
        fault = _fault(key, entry)
        if not fault and digest is not None and digest != _digest(key, entry):
            fault = "which is not what was written: its digest differs"
        if fault:
            raise _damaged(folder, f"has the entry {key!r}, {fault}")
    return entries


def write_manifest(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the manifest and its readable table; the caller holds the folder's lock if others may write too."""
    ordered = dict(sorted(entries.items()))
    for key, entry in ordered.items():
        if fault := _fault(key, entry):
            raise RecordError(f"the manifest of {folder.name}/ cannot take the entry {key!r}, {fault}")
    sealed = {key: {**entry, _DIGEST: _digest(key, entry)} for key, entry in ordered.items()}
    write_text(folder / MANIFEST, json.dumps(sealed, indent=1, sort_keys=True) + "\n")
    rule = "Renewed by `./run_all.sh --publish`. Synthetic data never replace real ones, nor a smaller profile a larger."
    lines = ["# Figures", "", rule, "", "| figure | profile | data source | synthetic |", "|---|---|---|---|"]
    for key, entry in ordered.items():
        shown = scope(entry["profile"], entry.get("protocol", ""))
        lines.append(f"| [{key}]({key}.png) | {shown} | {entry['source']} | {'yes' if entry['synthetic'] else 'no'} |")
    write_text(folder / INDEX, "\n".join(lines) + "\n")


def _digest(key: str, entry: Mapping[str, Any]) -> str:
    try:
        return json_digest([key, dict(entry)])
    except ValueError:  # nan or inf, which no entry has
        return ""


def _fault(key: str, entry: object) -> str:
    """What is wrong with one entry; empty when it can be used."""
    if not _KEY.fullmatch(key):
        return "but a key must be <notebook>/<name> in lower-case letters, digits, _ and -"
    if not isinstance(entry, Mapping):
        return f"which is {type(entry).__name__}, but must be an object"
    if entry.keys() - _MORE.keys() != _FIELDS.keys():
        return f"which has the fields {', '.join(sorted(entry)) or 'none'}, but must have {', '.join(_FIELDS)}"
    for name, kind in (_FIELDS | _MORE).items():
        if name in entry and not isinstance(entry[name], kind):
            return f"whose {name} is {entry[name]!r}, but must be of type {kind.__name__}"
    return "" if entry["profile"] in PROFILES else f"whose profile is {entry['profile']!r}, but must be one of {', '.join(PROFILES)}"


def _damaged(folder: Path, what: str) -> RecordError:
    return RecordError(f"{MANIFEST} in {folder.name}/ {' '.join(what.split())}; {_ADVICE}")


# ---- which figure stays -----------------------------------------------------------------------------------------------


def worth(entry: Mapping[str, Any]) -> tuple[bool, int]:
    """What decides between two drawings of one figure: real data first, then the profile."""
    return not entry["synthetic"], rank(entry["profile"])


def may_replace(folder: Path, key: str, entry: Mapping[str, Any], entries: Mapping[str, Mapping[str, Any]]) -> bool:
    """True unless `folder`, whose manifest holds `entries`, shows the figure `key` from better data or a higher profile."""
    if key not in entries or not all((folder / f"{key}.{suffix}").exists() for suffix in SUFFIXES):
        return True
    return worth(entry) >= worth(entries[key])


def save(folder: Path, key: str, pictures: Mapping[str, bytes], entry: Mapping[str, Any]) -> bool:
    """Put one figure, as bytes by suffix, and its entry into `folder`; False where a better one is there and stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder):
        entries = read_manifest(folder)
        if not may_replace(folder, key, entry, entries):
            return False
        _write(folder, key, pictures)
        write_manifest(folder, entries | {key: dict(entry)})
    return True


def publish(drawn: Path, public: Path, keys: Iterable[str] | None = None) -> tuple[list[str], list[str]]:
    """Copy figures (all, or those of `keys`) from one folder to another.

    Returns the keys published, and those kept back because real data or a higher profile is on show.
    """
    fresh = read_manifest(drawn)
    chosen = sorted(fresh if keys is None else fresh.keys() & set(keys))
    published, kept = [], []
    if not chosen:
        return published, kept
    public.mkdir(parents=True, exist_ok=True)
    with folder_lock(public):
        entries = read_manifest(public)
        for key in chosen:
            if may_replace(public, key, fresh[key], entries):
                _write(public, key, _read(drawn, key))
                entries[key] = fresh[key]
                published.append(key)
            else:
                kept.append(key)
        if published:
            write_manifest(public, entries)
    return published, kept


def take_over(drawn: Path, folder: Path, notebook: str) -> list[str]:
    """Make `folder` show what one notebook has just drawn, and nothing of its earlier drawings; returns the keys."""
    fresh = read_manifest(drawn)
    folder.mkdir(parents=True, exist_ok=True)
    with folder_lock(folder):
        entries = read_manifest(folder)
        for key in [key for key in entries if key.partition("/")[0] == notebook and key not in fresh]:
            del entries[key]
            for suffix in SUFFIXES:
                (folder / f"{key}.{suffix}").unlink(missing_ok=True)
        for key in fresh:
            _write(folder, key, _read(drawn, key))
        write_manifest(folder, entries | fresh)
    return sorted(fresh)


def _read(folder: Path, key: str) -> dict[str, bytes]:
    try:
        return {suffix: (folder / f"{key}.{suffix}").read_bytes() for suffix in SUFFIXES}
    except OSError as error:
        raise _damaged(folder, f"names the figure {key!r}, whose files cannot be read ({error.strerror})") from error


def _write(folder: Path, key: str, pictures: Mapping[str, bytes]) -> None:
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    for suffix in SUFFIXES:
        write_atomically(folder / f"{key}.{suffix}", pictures[suffix])

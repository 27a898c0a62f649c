"""Records of the profile "paper" come from code that can be had again, or a switch says that they do not (ours).

What provenance knows decides, before anything is trained. Where git says that the commit checked out does not hold the library (changed
files, no commit yet), no record is made: nobody could run that code again. A repository that git does not answer for counts the same. An
installed library or a copy without a repository is not dirty: there git has nothing to say, the record says `"dirty": null`, and the
library's hash names the code. The smaller profiles are for trying things out and are not asked.

A run may take code from several moments: it began before a commit and went on after it, or it starts from a model kept earlier. Each part
counts, so the code behind a checkpoint is noted beside it, and that behind a kept model in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from recq_lib.config import PROFILES
from recq_lib.errors import RecordError
from recq_lib.io import paths
from recq_lib.io.canonical import json_digest
from recq_lib.io.files import set_aside, write_atomically
from recq_lib.io.switches import switch

SWITCH = "RECQ_ALLOW_DIRTY"
ALLOWED = "allowed_dirty"  # the record's word for a run that the switch let through
_CODE = ("commit", "dirty", "library")
_ADVICE = f"or allow it with --allow-dirty, allow_dirty=True or {SWITCH}=1, which the record and its figures then say"

Code = dict[str, object]  # the part of a provenance that names the code


def code_of(origin: Mapping[str, object]) -> Code:
    """Commit, dirty and library of a provenance."""
    return {name: origin[name] for name in _CODE}


def fault(code: Mapping[str, object]) -> str:
    """Why the code that a provenance names cannot be had again; empty where it can, or where there is no repository to ask."""
    if code["dirty"]:
        commit = str(code["commit"])
        return "no commit holds recq_lib" if commit == "uncommitted" else f"recq_lib differs from commit {commit[:12]}"
    root = paths.checkout()
    if code["dirty"] is None and root is not None and (root / ".git").exists():
        return "git does not answer for the repository of recq_lib"
    return ""


def checked(profile: str, origin: Mapping[str, object], allow_dirty: bool | None = None) -> dict[str, object]:
    """`origin`, and in it "allowed_dirty" where only the switch lets this run be recorded.

    allow_dirty : whether to record it all the same; None: what `RECQ_ALLOW_DIRTY` says
    origin : `provenance.collect`; its "code" and "teacher", lists of `code_of`, name what else the run is made of

    Raises `RecordError` for a run of the profile "paper" whose code cannot be had again.
    """
    why = _fault_of_any(origin) if profile == PROFILES[0] else ""
    if not why:
        return dict(origin)
    if not (bool(switch(SWITCH)) if allow_dirty is None else allow_dirty):
        raise RecordError(f"no record of profile {profile!r} is made: {why}, or choose another profile, {_ADVICE}")
    return dict(origin) | {ALLOWED: True}


def _fault_of_any(origin: Mapping[str, object]) -> str:
    if why := fault(origin):
        return f"{why}, so nobody could run this code again; commit it (git status shows what has changed)"
    for name, what in (("code", "checkpoint"), ("teacher", "kept model of its teacher")):
        if any(code["dirty"] for code in origin.get(name, ())):  # type: ignore[union-attr]
            return f"the {what} comes from code that no commit holds; delete it below {paths.checkpoints_dir().name}/ to start anew"
    return ""


def uncommitted(origin: Mapping[str, object]) -> bool:
    """Whether a record's provenance says that no commit holds some of the code it was made with."""
    parts = [origin, *origin.get("code", ()), *origin.get("teacher", ())]  # type: ignore[misc]
    return any(bool(part.get("dirty")) for part in parts)


def behind_checkpoint(checkpoint: Path, now: Code) -> list[Code]:
    """The code that a run is made of, in order: what is noted beside its checkpoint, if there is one, and `now`; noted again.

    Where the note is damaged, it and the checkpoint are moved aside: the run begins anew.
    """
    note = note_of(checkpoint)
    try:
        before = _noted(note) if checkpoint.exists() else []
    except RecordError as error:
        set_aside(note, str(error))
        set_aside(checkpoint, "nobody knows what code is behind it")
        before = []
    codes = [*before, *([] if now in before else [now])]
    write_atomically(note, json.dumps({"codes": codes, "sha256": json_digest(codes)}).encode())
    return codes


def _noted(note: Path) -> list[Code]:
    """What a note says; nothing where there is none. Raises `RecordError` for a damaged one."""
    try:
        content = json.loads(note.read_bytes())
        if isinstance(content, list):  # of an earlier version, without a digest
            content = {"codes": content, "sha256": json_digest(content)}
        codes = content["codes"]
        if content["sha256"] == json_digest(codes) and all(code.keys() == set(_CODE) for code in codes):
            return codes
    except FileNotFoundError:  # the checkpoint is of an earlier version
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(f"it cannot be read: {type(error).__name__}") from error
    raise RecordError("it is not what was written: its digest differs")


def note_of(checkpoint: Path) -> Path:
    """The file beside a checkpoint that names the code behind it."""
    return checkpoint.with_suffix(".json")


def with_others(origin: Mapping[str, object], codes: Sequence[Code], teacher: Sequence[Code]) -> dict[str, object]:
    """`origin` with what the run is made of besides the code at hand: earlier "code" of its own, and that of its "teacher"."""
    now, found = code_of(origin), dict(origin)
    for name, parts in (("code", codes), ("teacher", teacher)):
        if any(part != now for part in parts):
            found[name] = list(parts)
    return found

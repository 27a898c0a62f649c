"""Run records on disk and as tables (ours). A record is written whole or not at all, found by content, and checked when read.

On disk: `results/records/<dataset>/<method>/<key>.json`, and beside it `<key>.npz` with the per-user arrays. The JSON holds digests of
the arrays and, since the first records, one of itself.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from recq_lib.config import PROFILES
from recq_lib.errors import ConfigError, RecordError, one_of
from recq_lib.evaluation import statistics
from recq_lib.io import paths
from recq_lib.io.canonical import canonical_json
from recq_lib.io.files import array_digest, narrow_integers, npz_arrays, npz_bytes
from recq_lib.runs import record_files
from recq_lib.runs.records import SPEC_FIELDS, RunRecord, RunSpec, clean_param

__all__ = [
    "PROFILES", "RunRecord", "RunSpec", "best_available", "exists", "find", "frame", "load", "load_or_set_aside", "per_user_matrix", "save",
    "summarise",
]  # fmt: skip
_FORMAT = 1
_PARTS = ("metrics", "n_bytes", "timings", "provenance", "history")
_NEEDED = {"format", "key", "spec", "per_user", *_PARTS}


# ---- storage -------------------------------------------------------------------------------------------------------------------


def save(record: RunRecord, root: Path | str | None = None) -> Path:
    """Write a record and return the path of its JSON; `root` defaults to `paths.results_dir()`. A record of the same key is replaced.

    An old record stays whole until the new one is, see `record_files`.
    """
    path = _path(record.spec, root)
    stored = {name: narrow_integers(values) for name, values in record.per_user.items()}
    content = {
        "format": _FORMAT,
        "key": record.spec.key,
        "spec": record.spec.as_dict(),
        "metrics": record.metrics,
        "n_bytes": record.n_bytes,
        "timings": record.timings,
        "provenance": record.provenance,
        "per_user": {name: {"sha256": array_digest(values), "dtype": values.dtype.name} for name, values in record.per_user.items()},
        "history": record.history,
    }
    record_files.put(path, _readable_json(record_files.sealed(content)).encode(), npz_bytes(stored) if stored else None)
    return path


def exists(spec: RunSpec, root: Path | str | None = None) -> bool:
    """Whether a complete record of this run is stored."""
    return _path(spec, root).is_file()


def load(key: str | RunSpec, root: Path | str | None = None, *, arrays: bool = True) -> RunRecord:
    """Read one record by its key or spec. Integer arrays come back as int64, others with the dtype they were saved with.

    `arrays=False` leaves `per_user` empty and is faster. Raises `RecordError` when the record is missing, damaged or not the one its name
    says.
    """
    if isinstance(key, RunSpec):
        found = [path] if (path := _path(key, root)).is_file() else []
        key = key.key
    else:
        found = sorted(_records_dir(root).glob(f"*/*/{key}.json")) if re.fullmatch(r"[0-9a-f]{16}", str(key)) else []
    if len(found) != 1:
        where = f"{len(found)} files" if found else "no file"
        raise RecordError(f"record {key!r} has {where} under {_records_dir(root)}; it must have one (a key has 16 hex digits)")
    try:
        return _read(found[0], arrays)
    except FileNotFoundError as error:
        raise RecordError(f"record {key!r} was removed while it was read; try again") from error


def load_or_set_aside(spec: RunSpec, root: Path | str | None = None) -> RunRecord | None:
    """The record of a run, None where there is none. A damaged one is moved aside with a warning: the run can be made again."""
    record_files.settle(_path(spec, root))
    while exists(spec, root):
        try:
            return load(spec, root)
        except RecordError as error:
            if exists(spec, root):
                record_files.forget(_path(spec, root), str(error.__cause__ or error).partition(";")[0])
    return None


def find(
    root: Path | str | None = None,
    *,
    arrays: bool = True,
    skip_damaged: bool = False,
    **filters: object,
) -> list[RunRecord]:
    """Records that meet every filter, sorted by dataset, method, profile, params and seed.

    Filters: method, dataset, profile, seed, data_fingerprint (one value, or a list/tuple/set of allowed ones) and params (a dict that must
    be contained in the record's, types included). A damaged record raises `RecordError` instead of going missing from a table;
    `skip_damaged` leaves it out, for those who will make it again.
    """
    for name in filters:
        one_of("filter", name, SPEC_FIELDS)
    wanted = {name: clean_param(name, value) for name, value in dict(filters.pop("params", None) or {}).items()}
    allowed = {name: value if isinstance(value, (list, tuple, set, frozenset)) else (value,) for name, value in filters.items()}
    for profile in allowed.get("profile", ()):
        one_of("profile", profile, PROFILES)
    hits = []
    for path in _records_dir(root).glob("*/*/*.json"):
        dataset, method = path.parts[-3:-1]
        if method not in allowed.get("method", (method,)) or dataset not in allowed.get("dataset", (dataset,)) or path.name.startswith("."):
            continue
        ignored = (FileNotFoundError, RecordError) if skip_damaged else FileNotFoundError  # removed by another process at this moment
        with contextlib.suppress(ignored):
            spec = _spec_of(path, _json_of(path))
            fits = all(getattr(spec, name) in values for name, values in allowed.items())
            if fits and all(name in spec.params and canonical_json(spec.params[name]) == canonical_json(v) for name, v in wanted.items()):
                hits.append(_read(path, arrays))
    return sorted(hits, key=lambda record: _order(record.spec))


# ---- tables --------------------------------------------------------------------------------------------------------------------


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per run: key, method, dataset, seed, profile, data_fingerprint, `param.*`, metrics by name, `bytes.*`, `timing.*`.

    Where a run lacks a metric, size or time the cell is nan; where it lacks a parameter, None. Parameters keep their Python types.
    """
    rows = []
    for record in records:
        row: dict[str, object] = {"key": record.spec.key, **{n: getattr(record.spec, n) for n in SPEC_FIELDS if n != "params"}}
        row |= {f"param.{name}": value for name, value in record.spec.params.items()}
        row |= record.metrics
        row |= {f"bytes.{name}": value for name, value in record.n_bytes.items()}
        row |= {f"timing.{name}": value for name, value in record.timings.items()}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    first = ["key", *(name for name in SPEC_FIELDS if name != "params")]
    names = first + [n for n in names if n.startswith("param.")] + [n for n in names if n not in first and not n.startswith("param.")]
    table = {}
    for name in names:
        is_param = name.startswith("param.")
        table[name] = pd.Series([row.get(name, None if is_param else np.nan) for row in rows], dtype=object if is_param else None)
    return pd.DataFrame(table)


def best_available(records: Iterable[RunRecord], *, same: Sequence[str] | None = None) -> list[RunRecord]:
    """For each (dataset, method, params) the runs of its best profile: paper before quick before smoke; all seeds of it, input order.

    `same` names the parameters that tell settings apart (all by default); leave out those a profile itself changes, such as epochs.
    """
    records = list(records)

    def setting(record: RunRecord) -> tuple[str, str, str]:
        params = {name: value for name, value in record.spec.params.items() if same is None or name in same}
        return record.spec.dataset, record.spec.method, canonical_json(params)

    best: dict[tuple[str, str, str], int] = {}
    for record in records:
        rank = PROFILES.index(record.spec.profile)
        best[setting(record)] = min(rank, best.get(setting(record), rank))
    return [record for record in records if PROFILES.index(record.spec.profile) == best[setting(record)]]


def summarise(records: Iterable[RunRecord], metric: str, level: float = 0.95) -> statistics.MeanInterval:
    """Mean of a metric over seeds with its t-interval; `.n` is the number of runs.

    Raises `RecordError` unless the runs differ in seed (and its data split) only, each seed once, and all have the metric.
    """
    records = _repetitions(records)
    for record in records:
        if metric not in record.metrics:
            raise RecordError(f"record {record.spec.key} has no metric {metric!r}; it has {', '.join(sorted(record.metrics)) or 'none'}")
    return statistics.mean_interval([record.metrics[metric] for record in records], level)


def per_user_matrix(records: Iterable[RunRecord], name: str, *, divide_by: str | None = None) -> np.ndarray:
    """Per-user values of runs that differ in seed only, float64 of shape (n_runs, n_users): what `statistics.compare` takes.

    `divide_by="n_test"` turns "hits@20" into Recall@20. Raises `RecordError` when an array is missing or the users differ.
    """
    records = _repetitions(records)
    needed = [name] + ([divide_by] if divide_by else [])
    for record in records:
        for wanted in needed:
            if wanted not in record.per_user:
                known = ", ".join(record.per_user) or "none"
                raise RecordError(f"record {record.spec.key} has no per-user array {wanted!r}; it has {known}")
        if not np.array_equal(record.per_user.get("users", ()), records[0].per_user.get("users", ())):
            raise RecordError(f"records {records[0].spec.key} and {record.spec.key} have different test users; compare runs on one split")
    values = np.stack([record.per_user[name].astype(np.float64) for record in records])
    return values / np.stack([record.per_user[divide_by] for record in records]) if divide_by else values


# ---- details -------------------------------------------------------------------------------------------------------------------


def _records_dir(root: Path | str | None) -> Path:
    return (Path(root) if root is not None else paths.results_dir()) / "records"


def _path(spec: RunSpec, root: Path | str | None) -> Path:
    return _records_dir(root) / spec.dataset / spec.method / f"{spec.key}.json"


def _order(spec: RunSpec) -> tuple:
    return spec.dataset, spec.method, PROFILES.index(spec.profile), canonical_json(dict(spec.params)), spec.seed, spec.key


def _repetitions(records: Iterable[RunRecord]) -> list[RunRecord]:
    """The records by seed, if they are one setting under different seeds; else `RecordError`."""
    records = sorted(records, key=lambda record: record.spec.seed)
    if not records:
        raise RecordError("no records were given; run the study first, or show 'not run'")
    for before, record in zip(records, records[1:], strict=False):
        pair = f"records {before.spec.key} and {record.spec.key}"
        if record.spec.setting != before.spec.setting:
            raise RecordError(f"{pair} differ in more than the seed; summarise one setting at a time")
        if record.spec.seed == before.spec.seed:
            raise RecordError(f"{pair} have the same seed {record.spec.seed}; each seed counts once")
    return records


def _read(path: Path, arrays: bool) -> RunRecord:
    """The record at `path`; a reader that meets a replacement by another process starts again."""
    while True:
        content = _json_of(path)
        try:
            return _decode(path, content, arrays)
        except RecordError:
            if path.is_file() and _json_of(path) == content:
                raise


def _json_of(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, f"not readable as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise _damaged(path, f"not a record of format {_FORMAT}")
    if missing := _NEEDED - content.keys():
        raise _damaged(path, f"the part {sorted(missing)[0]!r} is missing")
    if unknown := content.keys() - _NEEDED - {record_files.DIGEST}:
        raise _damaged(path, f"it has a part {sorted(unknown)[0]!r}, which no record has")
    return content


def _spec_of(path: Path, content: dict) -> RunSpec:
    try:
        spec = RunSpec(**content["spec"])
    except (TypeError, ConfigError) as error:
        raise _damaged(path, f"its spec is not usable: {error}") from error
    if (spec.dataset, spec.method, spec.key, spec.key) != (*path.parts[-3:-1], path.stem, content["key"]):
        raise _damaged(path, f"its spec belongs to {spec.dataset}/{spec.method}/{spec.key}")
    try:
        record_files.check_seal(content)
    except RecordError as error:
        raise _damaged(path, str(error)) from error
    return spec


def _decode(path: Path, content: dict, arrays: bool) -> RunRecord:
    spec = _spec_of(path, content)
    per_user = _read_arrays(path, content["per_user"]) if arrays and content["per_user"] else {}
    try:
        return RunRecord(spec=spec, per_user=per_user, **{name: content[name] for name in _PARTS})
    except (TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, f"its content is not usable: {error}") from error


def _read_arrays(path: Path, expected: Mapping[str, Mapping[str, str]]) -> dict[str, np.ndarray]:
    """The per-user arrays that the JSON at `path` was saved with."""
    why = f"its arrays cannot be read: {path.with_suffix('.npz').name} is missing"
    for file in record_files.arrays_of(path):
        try:
            stored = npz_arrays(file)
            arrays = {name: stored[name].astype(about["dtype"]) for name, about in expected.items()}
            wrong = [name for name, values in arrays.items() if array_digest(values) != expected[name].get("sha256")]
        except (RecordError, KeyError, TypeError, ValueError, AttributeError) as error:
            why = f"its arrays cannot be read: {error}"
            continue
        if not wrong:
            return arrays
        why = f"the array {wrong[0]!r} is not the one this record was saved with"
    raise _damaged(path, why)


def _damaged(path: Path, why: str) -> RecordError:
    return RecordError(f"record file {path} is damaged: {' '.join(why.split())}; restore it, or delete the record and run again")


def _readable_json(content: dict[str, object]) -> str:
    """Indented JSON with one line per epoch of the history, which comes last: short files, readable differences."""
    head = json.dumps({name: part for name, part in content.items() if name != "history"}, indent=1, allow_nan=False)
    rows = ",\n  ".join(json.dumps(row, allow_nan=False) for row in content["history"])  # type: ignore[attr-defined]
    return head[:-2] + ',\n "history": [' + (f"\n  {rows}\n " if rows else "") + "]\n}\n"

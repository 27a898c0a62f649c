"""`run_benchmarks`: all parts in one process, with the machine and versions beside the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recq_lib.companion.bench.parts import PARTS
from recq_lib.companion.bench.search_bars import bars
from recq_lib.data import load
from recq_lib.errors import ConfigError, one_of
from recq_lib.io import paths
from recq_lib.runs import provenance


def run_benchmarks(
    dataset: str = "gowalla", *, only: Sequence[str] | None = None, repeats: int = 5, report: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """{"dataset", "provenance", "rows"}: a row has part, contender, median and quartiles in seconds, and ratio to ours.

    Raises `ConfigError` for an unknown part or fewer than one repeat.
    """
    if repeats < 1:
        raise ConfigError(f"repeats is {repeats}, but must be at least 1")
    chosen = [one_of("benchmark part", part, tuple(PARTS)) for part in (only or PARTS)]
    data, rows = load(dataset), []
    for part in chosen:
        if report is not None:
            report(f"benchmark: {part} …")
        rows += PARTS[part](data, repeats)
    return {"dataset": data.name, "provenance": provenance.collect("cpu"), "rows": rows}


def recorded(path: Path | None = None) -> dict[str, Any] | None:
    """The benchmark outcome committed under `benchmarks/`, or None; written by `python -m recq_lib bench --output`."""
    path = path or paths.project_root() / "benchmarks/results.json"  # in one string, so that notebooks that show it notice a new one
    return json.loads(path.read_text()) if path.is_file() else None


def as_text(outcome: dict[str, Any]) -> str:
    """The rows as a plain table."""
    asked = [f"{'met' if bar['met'] else 'UNMET':<6} {bar['bar']}: {bar['measured']:.3g} ({bar['asked']})" for bar in bars(outcome["rows"])]
    lines = [f"{outcome['dataset']}, {outcome['provenance']['device_name']}, {outcome['provenance']['threads']} threads"]
    for row in outcome["rows"]:
        name = f"{row['part']:<16} {row['contender']:<24}"
        if "megabytes" in row:
            more = f", {row['items']:,} items" if "items" in row else ""
            lines.append(f"{name} {row['megabytes']:10.0f} MB{more}")
            continue
        if "curve" in row:
            lines += [f"{name} {p['epoch']:4} epochs {p['seconds']:8.1f} s  {100 * p['recall@20']:6.2f} %" for p in row["curve"]]
            continue
        if "relative_distance" in row:
            lines.append(f"{name} {row['relative_distance']:10.1e} relative distance of the tables after 20 steps")
            continue
        if "sweep" in row:
            seconds = f"{row['seconds']:8.2f} s, {row['sweep']:8.3f} s a sweep"
            lines.append(
                f"{name} {row['edges']:>12,} edges {seconds}, peak {row['peak_mb']:,.0f} MB ({row['loaded_mb']:,.0f} with the data)"
            )
            continue
        if "users_that_differ" in row:
            lines.append(f"{name} {row['users_that_differ']:10,} of {row['users']:,} users have another list than float scores give")
            continue
        extra = f"  {row['edges']:>10,} edges  {row['per_edge']:8.1f} ns per edge" if "edges" in row else _at(row)
        places = 2 if "at_once" in row else 1
        median, low, high = (f"{1e3 * row[name]:.{places}f}" for name in ("median", "low", "high"))
        lines.append(f"{name} {median:>10} ms  [{low}, {high}]  {row['ratio']:7.1f} ×{extra}")
    return "\n".join([*lines, *asked])


def _at(row: dict[str, Any]) -> str:
    """What search is timed on."""
    users = f"  {row['at_once']:>6,} at once" if "at_once" in row else ""
    slowest = f"  95 %: {1e3 * row['p95']:.2f} ms" if "p95" in row else ""
    return (f"  {row['items']:>10,} items" if "items" in row else "") + users + slowest

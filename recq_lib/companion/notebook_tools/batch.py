"""Run many notebooks, each in its own process; publish what succeeded; say what happened in one table."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recq_lib.companion import figure_store
from recq_lib.companion.notebook import thread_count
from recq_lib.companion.notebook_tools import execute, sources, state
from recq_lib.io import paths

UP_TO_DATE = "up to date"
OK = "ok"


@dataclass
class Row:
    """One line of the end table."""

    notebook: str
    source: str = "–"
    seconds: float = 0.0
    peak_mb: float | None = None
    status: str = "not run"
    figures: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Did it end well?"""
        return self.status in (OK, UP_TO_DATE)


def run_all(
    notebooks: list[Path],
    *,
    profile: str,
    params: Mapping[str, Any] | None = None,
    jobs: int = 1,
    force: bool = False,
    cwd: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Execute the notebooks at a profile and return one row each, in the order given.

    params : extra parameters for every notebook; one that a notebook does not have raises `ConfigError` before any starts
    jobs : notebooks at a time; the cores are divided among them
    force : run also what is up to date
    cwd : working directory of the kernels (default: each notebook's folder)

    Executed copies, logs and results go to `out/<profile>/`. Figures go to a private folder and are published only when
    their notebook succeeded, and never over figures of a higher profile.
    """
    figure_store.rank(profile)
    sources.check_parameters(notebooks, dict(params or {}))
    arguments = {path: _arguments(path, profile, params or {}) for path in notebooks}
    out, entries = paths.out_dir(profile), state.load(paths.out_dir(profile))
    shared = state.surroundings()
    rows: dict[Path, Row] = {}
    todo: list[Path] = []
    inputs = {path: state.fingerprint(path, arguments[path], shared) for path in notebooks}
    for path in notebooks:
        reasons = state.changed(entries.get(path.stem), inputs[path], out, path.stem)
        if reasons or force:
            todo.append(path)
        else:
            rows[path] = Row(**entries[path.stem]["row"] | {"status": UP_TO_DATE})
    for path in todo:
        entries.pop(path.stem, None)  # a run that is killed half-way leaves nothing that looks up to date
    if todo:
        state.save(out, entries)
    with tempfile.TemporaryDirectory(prefix="recq-run-", ignore_cleanup_errors=True) as name:
        _run_todo(todo, rows, arguments, profile, jobs, cwd, Path(name), say)
    # Taken after all runs: what they wrote themselves must not make the next call run everything again.
    written = {key: value for key, value in state.surroundings().items() if key in state.WRITTEN} if todo else {}
    for path in todo:
        if rows[path].good:
            figures = rows[path].figures + rows[path].kept
            entries[path.stem] = {"inputs": inputs[path] | written, "row": asdict(rows[path]), "figures": figures}
    if todo:
        state.save(out, entries)
    return [rows[path] for path in notebooks]


def _arguments(path: Path, profile: str, params: Mapping[str, Any]) -> dict[str, Any]:
    known = sources.parameters(path)
    return ({"profile": profile} if "profile" in known else {}) | dict(params)


def _run_todo(
    todo: list[Path],
    rows: dict[Path, Row],
    arguments: Mapping[Path, Mapping[str, Any]],
    profile: str,
    jobs: int,
    cwd: Path | None,
    private: Path,
    say: Callable[[str], None],
) -> None:
    threads = max(1, thread_count() // max(1, min(jobs, len(todo) or 1)))
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        futures: dict[Future[Row], Path] = {}
        for path in todo:
            work = private / path.stem
            futures[pool.submit(_run_one, path, arguments[path], profile, cwd, work, threads, say)] = path
        try:
            for future in as_completed(futures):
                path, row = futures[future], future.result()
                if row.status == OK:  # in this thread: one writer of the manifest
                    row.figures, row.kept = figure_store.publish(private / path.stem / "figures", paths.figures_dir())
                rows[path] = row
                say(f"{path.stem}: {row.status} ({row.seconds:.0f} s)")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            execute.stop_all()
            raise


def _run_one(
    path: Path, params: Mapping[str, Any], profile: str, cwd: Path | None, work: Path, threads: int, say: Callable[[str], None]
) -> Row:
    say(f"{path.stem}: started")
    out = paths.out_dir(profile)
    results, target, log = out / f"{path.stem}.json", out / path.name, out / "logs" / f"{path.stem}.log"
    results.unlink(missing_ok=True)  # a failing notebook must not show the numbers of an earlier run
    env = execute.environment(
        RECQ_FIGURES_DIR=str(work / "figures"),
        RECQ_OUT_DIR=str(out.parent),
        RECQ_THREADS=str(threads),
        IPYTHONDIR=str(work / "ipython"),
    )
    try:
        outcome = execute.execute(
            path,
            target,
            env=env,
            cell_seconds=execute.CELL_SECONDS[profile],
            params=params,
            cwd=path.parent if cwd is None else cwd,
            log=log,
        )
    finally:
        shutil.rmtree(work / "ipython", ignore_errors=True)
    row = Row(path.stem, _source(results), outcome.seconds, outcome.peak_mb, OK)
    if outcome.returncode != 0:
        reason = execute.error_of(target) or f"exit status {outcome.returncode}"
        row.status = f"FAILED {reason}"
    return row


def _source(results: Path) -> str:
    try:
        return str(json.loads(results.read_text(encoding="utf-8"))["source"])
    except (OSError, ValueError, KeyError):
        return "–"


def report(rows: list[Row], profile: str) -> str:
    """The end table: notebook, data source, seconds, peak memory, status; then what became of the figures."""
    head = ("notebook", "data source", "seconds", "peak MB", "status")
    body = [
        (row.notebook, row.source, f"{row.seconds:.1f}", "–" if row.peak_mb is None else f"{row.peak_mb:.0f}", _cut(row.status))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [f"profile {profile}", _line(head, widths), "  ".join("-" * width for width in widths)]
    lines += [_line(cells, widths) for cells in body]
    bad = [row for row in rows if not row.good]
    ran = [row for row in rows if row.status == OK]
    published, kept = sum(len(row.figures) for row in ran), sum(len(row.kept) for row in ran)
    lines.append("")
    lines.append(f"{len(rows) - len(bad)} of {len(rows)} notebooks good, {published} figures published, {kept} kept from a higher profile")
    for row in bad:
        lines.append(f"{row.notebook}: see out/{profile}/{row.notebook}.ipynb and out/{profile}/logs/{row.notebook}.log")
    return "\n".join(lines)


def _cut(text: str, width: int = 100) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    aligned = [cell.rjust(width) if column in (2, 3) else cell.ljust(width) for column, (cell, width) in enumerate(zip(cells, widths))]
    return "  ".join(aligned).rstrip()

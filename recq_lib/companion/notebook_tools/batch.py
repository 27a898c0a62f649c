"""Run many notebooks, each in its own process, into `out/<profile>/`; renew `figures/` when asked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from recq_lib.companion import figure_store
from recq_lib.companion.notebook import thread_count
from recq_lib.companion.notebook_tools import execute, records, sources, state
from recq_lib.companion.notebook_tools.end_table import OK, UP_TO_DATE, Row
from recq_lib.io import paths


def run_all(
    notebooks: list[Path],
    *,
    profile: str,
    params: Mapping[str, Any] | None = None,
    jobs: int = 1,
    force: bool = False,
    publish: bool = False,
    cwd: Path | None = None,
    say: Callable[[str], None] = print,
) -> list[Row]:
    """Execute the notebooks at a profile and return one row each, in the order given.

    params : extra parameters for every notebook; one that a notebook does not have raises `ConfigError` before any starts
    jobs : notebooks at a time; the cores are divided among them
    force : run also what is up to date
    publish : renew `figures/` by what the notebooks drew, in this run or in an earlier one that is up to date; never by worse data
        or a lower profile (`figure_store`)
    cwd : working directory of the kernels (default: each notebook's folder)

    Executed copies, logs, results and figures go to `out/<profile>/`; without `publish` nothing else is written but the records of a
    paper run and what a run caches.
    """
    figure_store.rank(profile)
    sources.check_parameters(notebooks, dict(params or {}))
    arguments = {path: _arguments(path, profile, params or {}) for path in notebooks}
    out, shared = paths.out_dir(profile), state.surroundings()
    entries = state.load(out)
    inputs = {path: state.fingerprint(path, arguments[path], shared) for path in notebooks}
    todo = [path for path in notebooks if force or state.changed(entries.get(path.stem), inputs[path], out, path.stem)]
    rows = {path: replace(entries[path.stem].row, status=UP_TO_DATE) for path in notebooks if path not in todo}
    if todo:
        names = [path.stem for path in todo]
        state.update(out, names, {})  # a run that is killed half-way leaves nothing that looks up to date
        with tempfile.TemporaryDirectory(prefix="recq-run-", ignore_cleanup_errors=True) as name:
            _run_todo(todo, rows, arguments, profile, jobs, cwd, Path(name), say)
        # Taken after all runs: what they wrote themselves must not make the next call run everything again.
        written = {key: value for key, value in state.surroundings().items() if key in state.WRITTEN}
        good = {path.stem: state.Entry(inputs[path] | written, rows[path]) for path in todo if rows[path].good}
        state.update(out, names, good)
    if publish:
        for row in rows.values():
            if row.good:
                row.published, row.kept = figure_store.publish(out / state.FIGURES, paths.figures_dir(), row.figures)
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
    records.prepare(profile)
    threads = max(1, thread_count() // max(1, min(jobs, len(todo) or 1)))
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        futures: dict[Future[Row], Path] = {}
        for path in todo:
            work = private / path.stem
            futures[pool.submit(_run_one, path, arguments[path], profile, cwd, work, threads, say)] = path
        try:
            for future in as_completed(futures):
                path, row = futures[future], future.result()
                if row.status == OK:
                    drawn = private / path.stem / "figures"
                    row.figures = figure_store.take_over(drawn, paths.out_dir(profile) / state.FIGURES, path.stem)
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
        RECQ_RESULTS_DIR=str(records.folder(profile)),
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
    except (OSError, ValueError, KeyError, TypeError):
        return "–"

"""Run one notebook in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recq_lib.companion.notebook_tools.records import copy_records
from recq_lib.companion.notebook_tools.sources import read
from recq_lib.io import paths

CELL_SECONDS = {"smoke": 120, "quick": 1800, "paper": 7 * 24 * 3600}
START_SECONDS = 120
_PAPERMILL = "recq_lib.companion.notebook_tools.papermill"
_RUNNING: set[subprocess.Popen] = set()  # so that an interrupted runner can end its children
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """How one execution ended: exit status, wall-clock seconds, peak memory in MB (None where the system cannot tell)."""

    returncode: int
    seconds: float
    peak_mb: float | None


def environment(**changes: str | None) -> dict[str, str]:
    """Variables of a notebook's process: the caller's, the checkout first on the path, no bars; None removes one."""
    answer = dict(os.environ)
    answer.pop("MPLBACKEND", None)  # the kernel chooses the inline backend
    search = [str(paths.project_root()), *filter(None, [answer.get("PYTHONPATH")])]
    answer |= {
        "PYTHONPATH": os.pathsep.join(search),
        "PYTHONHASHSEED": "0",
        "JUPYTER_PREFER_ENV_PATH": "1",  # `python3` is the kernel of this environment, not one in the home folder
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "RECQ_PROGRESS": "0",
    }
    for name, value in changes.items():
        if value is None:
            answer.pop(name, None)
        else:
            answer[name] = value
    return answer


@contextmanager
def private_folders() -> Iterator[tuple[Path, dict[str, str | None]]]:
    """A temporary folder, and the variables that keep a notebook independent of the machine and away from the project.

    No `RECQ_DATA_DIR`, an empty cache and no internet: data are synthetic, so the output is the same for everyone. Records of
    smoke runs are left out of the copy of `results/`, so that those runs are done and not looked up.
    """
    with tempfile.TemporaryDirectory(prefix="recq-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        copy_records(paths.results_dir(), folder / "results", lambda profile: profile != "smoke")
        yield (
            folder,
            {
                "RECQ_DATA_DIR": None,
                "RECQ_OFFLINE": "1",
                "RECQ_CACHE_DIR": str(folder / "cache"),
                "RECQ_CHECKPOINTS_DIR": str(folder / "checkpoints"),
                "RECQ_FIGURES_DIR": str(folder / "figures"),
                "RECQ_OUT_DIR": str(folder / "out"),
                "RECQ_RESULTS_DIR": str(folder / "results"),
                "IPYTHONDIR": str(folder / "ipython"),
                "RECQ_THREADS": "1",  # smoke data are too small to share, and one thread is the same on every machine
            },
        )


def execute(
    source: Path,
    target: Path,
    *,
    env: Mapping[str, str],
    cell_seconds: int,
    params: Mapping[str, Any] | None = None,
    cwd: Path | None = None,
    log: Path,
) -> Outcome:
    """Execute `source` with papermill on the kernel `python3` and write the executed copy to `target`.

    params : injected after the parameters cell; cwd : working directory of the kernel (default: the caller's)
    log : file that takes papermill's messages
    """
    command = [sys.executable, "-m", _PAPERMILL, str(source), str(target), "-k", "python3", "--no-progress-bar"]
    command += ["--start-timeout", str(START_SECONDS), "--execution-timeout", str(cell_seconds)]
    if cwd is not None:
        command += ["--cwd", str(cwd)]
    for name, value in (params or {}).items():
        command += ["-p", name, str(value)]
    for folder in (target.parent, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        # the pipe to its input is never written to: it closes with this process
        process = subprocess.Popen(command, env=dict(env), stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT)
        with _LOCK:
            _RUNNING.add(process)
        try:
            peak = _wait(process)
        finally:
            process.stdin.close()
            with _LOCK:
                _RUNNING.discard(process)
    return Outcome(process.returncode, time.monotonic() - start, peak)


def _wait(process: subprocess.Popen) -> float | None:
    """Wait for the process; peak memory in MB of the largest process in its tree (the kernel), from the operating system."""
    if not hasattr(os, "wait4"):
        process.wait()
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def stop_all() -> None:
    """End every notebook that is still running (after Ctrl-C or a termination signal)."""
    with _LOCK:
        for process in _RUNNING:
            process.terminate()


def error_of(executed: Path) -> str:
    """First error in an executed copy as "ErrorName: message (cell n)"; empty when there is none or no copy."""
    if not executed.exists():
        return ""
    for cell in read(executed).cells:
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                return f"{output['ename']}: {' '.join(str(output['evalue']).split())} (In [{cell.get('execution_count')}])"
    return ""

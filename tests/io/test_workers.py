"""A killed worker costs its task alone, workers end with their parent, and each has its share of the threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from recq_lib.io import workers
from recq_lib.io.workers import WorkerLost, side_by_side

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def doubled(number: int, deadly: int, marks: str) -> int:
    """Twice the number; a deadly one kills its process as often as `deadly` says."""
    mark = Path(marks, f"{number}")
    before = int(mark.read_text()) if mark.exists() else 0
    mark.write_text(str(before + 1))
    if before < deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def threads(_: int) -> list[str]:
    import numba

    return [os.environ.get(name, "") for name in workers.THREADS] + [str(numba.config.NUMBA_NUM_THREADS)]


def endless(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        time.sleep(0.2)
        Path(folder, f"saved-{os.getpid()}").touch()
        raise


_PARENT = """
import sys
sys.path.insert(0, {here!r})
from test_workers import endless
from recq_lib.io.workers import side_by_side
if __name__ == "__main__":
    list(side_by_side(endless, [({folder!r},)] * 2, 2))
"""


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds: float = 120.0) -> bool:
    until = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    return met


def test_a_killed_worker_costs_its_task_alone(tmp_path):
    tasks = [(n, {1: 1, 3: 9}.get(n, 0), str(tmp_path)) for n in range(5)]
    found = dict(side_by_side(doubled, tasks, 2))
    assert {n: end for n, end in found.items() if n != 3} == {0: 0, 1: 2, 2: 4, 4: 8}
    assert isinstance(found[3], WorkerLost) and str(found[3]) == "its process was killed 2 times (SIGKILL)"
    assert [int((tmp_path / str(n)).read_text()) for n in range(5)] == [1, 2, 1, 2, 1]


def test_a_worker_has_its_share_before_numba_counts_cores(monkeypatch):
    for name in workers.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [workers.threads_of(jobs) for jobs in (1, 3, 8, 100)] == [8, 2, 1, 1]
    assert dict(side_by_side(threads, [(0,)], 3)) == {0: ["2"] * 6}
    assert not any(name in os.environ for name in workers.THREADS)  # the parent's own are as they were
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert workers.threads_of(3) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, how):
    script = tmp_path / "parent.py"
    folder = tmp_path / "workers"
    folder.mkdir()
    script.write_text(_PARENT.format(here=str(Path(__file__).parent), folder=str(folder)))
    environment = {**os.environ, "PYTHONPATH": str(Path(workers.__file__).parents[2])}
    usual = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell lets what runs in the background ignore it
    parent = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL, preexec_fn=usual)
    assert wait_for(lambda: len(list(folder.iterdir())) == 2)
    processes = [int(path.name) for path in folder.iterdir()]
    parent.send_signal(how)
    parent.wait(120)
    assert wait_for(lambda: not any(map(lives, processes)), 10)
    assert len(list(folder.glob("saved-*"))) == (2 if how == signal.SIGINT else 0)  # interrupted ones may save what they have

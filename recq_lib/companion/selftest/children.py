"""Commands in forked processes that are stopped on purpose: at a moment, before a call of the file system, or where the disk is full.

A fork costs milliseconds where a new interpreter costs seconds, so hundreds of kills fit into minutes. The process that forks has run the
command before (`warm`), on one thread: what it needs is imported and compiled.
"""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from recq_lib.errors import RecqError

if TYPE_CHECKING:
    from recq_lib.runs.run import Plan

FOLDERS = ("RESULTS", "CHECKPOINTS", "CACHE", "FIGURES", "OUT")
_CALLS = ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate")
_LONGEST = 300.0  # seconds; a child that takes longer hangs


@dataclass(frozen=True)
class Stop:
    """When a child is stopped: after `seconds`, by `signal`, or (by SIGKILL) before call number `call` of the file system in its folder.

    worker : not the child is stopped, but one of its own children
    largest : bytes that a file may have; the disk is full behind them
    """

    seconds: float | None = None
    signal: int = signal.SIGKILL
    worker: bool = False
    call: int | None = None
    largest: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit status (negative: the signal that killed it), what it printed, seconds, calls of the file system.

    orphans : processes of its own that lived on
    """

    status: int
    text: str
    seconds: float
    calls: int
    orphans: int = 0

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.text


def command(arguments: list[str], folder: Path, stop: Stop = Stop()) -> Ended:
    """`recq ARGUMENTS` with all its folders below `folder`; checkpoints are written after every epoch."""
    return forked(partial(_command, arguments), folder, stop)


def warm(arguments: list[str]) -> None:
    """Run a command here, in silence, so that forked children need not import or compile what it takes."""
    import torch

    from recq_lib.cli.main import main

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place, folders_below(Path(place)):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as told:
            status = main(arguments)
    if status != 0:
        raise RecqError(f"recq {' '.join(arguments)} fails, so there is nothing to attack: {told.getvalue()}")


def _command(arguments: list[str]) -> int:
    from recq_lib.cli.main import main
    from recq_lib.companion.studies.study import STUDIES
    from recq_lib.runs import run as runs

    STUDIES["selftest"] = _plans
    runs.fit = partial(runs.fit, checkpoint_seconds=0.0)
    try:
        return main(arguments)
    except KeyboardInterrupt as leaked:
        raise RuntimeError("the command let an interruption through") from leaked


def _plans(profile: str) -> list[Plan]:
    """A study of seconds, one of its runs with a teacher that is another of them."""
    from recq_lib.config import TrainConfig
    from recq_lib.runs.run import Plan

    config = TrainConfig(dim=8, epochs=6, eval_every=2, batch_size=128, ks=(5, 10), select_metric="recall@5")
    methods = (("lightgcn", 0), ("ptq-sign", 0), ("hashnet", 0), ("hashnet", 1))
    return [Plan(name, "synthetic-tiny", profile, dataclasses.replace(config, seed=seed)) for name, seed in methods]


def forked(work: Callable[[], int], folder: Path, stop: Stop = Stop()) -> Ended:
    """`work()` in a child of its own, whose files go below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    output, counted = folder.with_suffix(".output"), folder.with_suffix(".calls")
    counted.write_bytes(b"")
    start = time.monotonic()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # until the child has handlers of its own
    child = os.fork()
    if child == 0:
        _work(work, folder, stop, output, counted)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status, workers = _wait(child, stop, start)
    seconds = time.monotonic() - start
    return Ended(status, output.read_text(errors="replace"), seconds, counted.stat().st_size, _living(workers))


def _work(work: Callable[[], int], folder: Path, stop: Stop, output: Path, counted: Path) -> None:
    """The child's life; it never returns."""
    status = 99
    try:
        for name in FOLDERS:
            os.environ[f"RECQ_{name}_DIR"] = str(folder / name.lower())
        sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        calls = os.open(counted, os.O_WRONLY | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(sink, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, errors="replace") for stream in (1, 2))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        _count_calls(str(folder), stop.call, calls)
        if stop.largest is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (stop.largest, stop.largest))
        status = work()
    except KeyboardInterrupt:  # before the command began; it catches its own
        status = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _count_calls(folder: str, last: int | None, counted: int) -> None:
    done = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal done
        if event in _CALLS and isinstance(arguments[0], (str, bytes, os.PathLike)) and os.fsdecode(arguments[0]).startswith(folder):
            done += 1
            if done == last:
                os.kill(os.getpid(), signal.SIGKILL)
            if last is None:
                os.write(counted, b".")

    sys.addaudithook(hook)


def _wait(child: int, stop: Stop, start: float) -> tuple[int, list[int]]:
    """Exit status of the child, and its own children when it was stopped."""
    sent, workers = stop.seconds is None, []
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), workers
        passed = time.monotonic() - start
        if not sent and passed >= stop.seconds:
            workers, sent = _children(child), True
            if not stop.worker:
                os.kill(child, stop.signal)
            elif workers:
                os.kill(workers[-1], stop.signal)
        if passed > _LONGEST:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _children(process: int) -> list[int]:
    """The processes that a process has started, as far as Linux tells."""
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def _living(processes: list[int]) -> int:
    """How many of the processes are still there after ten seconds."""
    until = time.monotonic() + 10
    while (left := sum(map(_lives, processes))) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def folders_below(folder: Path) -> Iterator[None]:
    """This process too reads and writes below `folder`."""
    before = {name: os.environ.get(f"RECQ_{name}_DIR") for name in FOLDERS}
    os.environ.update({f"RECQ_{name}_DIR": str(folder / name.lower()) for name in FOLDERS})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(f"RECQ_{name}_DIR", None) if value is None else os.environ.update({f"RECQ_{name}_DIR": value})

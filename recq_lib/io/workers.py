"""Processes side by side, of which one that is killed costs its own task alone (ours).

`concurrent.futures` gives a whole pool up when a worker dies, as one does that takes too much memory. Here its task is tried once more in
a new worker. Workers end with the process that started them, however that ends: they hold the end of a pipe that closes with it. They have
their share of the threads before a library that counts cores is imported.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RECQ_THREADS")
_PATIENCE = 20.0  # seconds in which an interrupted worker may save what it has
_ATTEMPTS = 2


class WorkerLost(Exception):
    """A task's workers were killed, as often as it was tried."""


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    pipe: Connection


def side_by_side(task: Callable[..., Any], arguments: Sequence[tuple], jobs: int) -> Iterator[tuple[int, Any]]:
    """(index, result) of `task(*arguments[index])` in the order in which they end; the result may be a `WorkerLost`.

    `task` can be imported and raises nothing; `jobs` processes work. Interrupted or given up, the iterator interrupts its workers and
    waits until they have saved what they keep.
    """
    waiting = deque((index, 1) for index in range(len(arguments)))
    busy: dict[Connection, tuple[_Worker, int, int]] = {}
    idle: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                worker = idle.pop() if idle else _start(task, jobs)
                index, attempt = waiting.popleft()
                busy[worker.pipe] = (worker, index, attempt)
                with contextlib.suppress(OSError):  # it is dead already, which shows below
                    worker.pipe.send(arguments[index])
            for pipe in wait(list(busy)):
                worker, index, attempt = busy.pop(pipe)
                try:
                    result = pipe.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    if attempt < _ATTEMPTS:
                        waiting.appendleft((index, attempt + 1))
                    else:
                        yield index, WorkerLost(f"its process was killed {attempt} times ({_ending(worker.process)})")
                    continue
                idle.append(worker)
                yield index, result
    finally:
        _stop(idle, [worker for worker, *_ in busy.values()])


def threads_of(jobs: int) -> int:
    """The share of a worker: cores that this process may use by `jobs`, at least 1, and no more than its own variables say."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = [int(value) for value in map(os.environ.get, THREADS) if value and value.isdigit() and int(value) > 0]
    return max(1, min([cores // jobs, *told]))


# ---- in the parent ------------------------------------------------------------------------------------------------------------


def _start(task: Callable[..., Any], jobs: int) -> _Worker:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(task, there), daemon=True)
    with _environment(dict.fromkeys(THREADS, str(threads_of(jobs)))), _no_interruption():
        process.start()  # it starts with Ctrl-C held back, until it can take one
    there.close()  # so that the worker's death closes the pipe
    return _Worker(process, here)


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Variables as a process that is started now finds them."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _no_interruption() -> Iterator[None]:
    """Ctrl-C waits until the block has ended."""
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop(idle: list[_Worker], busy: list[_Worker]) -> None:
    """End the workers: an idle one by closing its pipe, one at work when it has saved what it keeps."""
    for worker in (*idle, *busy):
        worker.pipe.close()
    for worker in busy:
        if worker.process.is_alive() and worker.process.pid is not None:
            with contextlib.suppress(OSError):
                os.kill(worker.process.pid, signal.SIGINT) if os.name == "posix" else worker.process.terminate()
    until = time.monotonic() + _PATIENCE
    for worker in (*idle, *busy):
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _ending(process: BaseProcess) -> str:
    code = process.exitcode
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit status {code}"


# ---- in a worker --------------------------------------------------------------------------------------------------------------


def _serve(task: Callable[..., Any], pipe: Connection) -> None:
    """Do what comes through the pipe until it closes."""
    signal.signal(signal.SIGINT, _interrupted)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while True:
            pipe.send(task(*pipe.recv()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its end is near


def _interrupted(*_: object) -> None:
    """The first Ctrl-C interrupts; further ones, as when terminal and parent both send it, must not disturb the saving."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

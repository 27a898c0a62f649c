"""`recq COMMAND …`: a table of commands by name. One is loaded when it is asked for, so that `recq --help` needs nothing but Python.

A command is a dataclass: its fields are the flags (tyro reads the comment beside each as its help), `run` does the work and returns the
exit status, None for 0. One that reads its arguments in a way of its own brings `parse(arguments)` as well.
"""

from __future__ import annotations

import difflib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

from recq_lib import __version__
from recq_lib.errors import RecqError
from recq_lib.io import plain

INTERRUPTED, TERMINATED = 130, 143  # as shells count them
UNFINISHED = 75  # stopped in time, the same command goes on (EX_TEMPFAIL)


@dataclass(frozen=True)
class Entry:
    """Where a command stands ("module:class") and what it does, in a line."""

    target: str
    text: str


COMMANDS = {
    "data list": Entry("recq_lib.cli.data:List", "the catalogue: sizes, terms of use, whether a dataset is at hand"),
    "data fetch": Entry("recq_lib.cli.data:Fetch", "download and convert a dataset, hashes checked"),
    "data verify": Entry("recq_lib.cli.data:Verify", "check the copies at hand against the catalogue's hashes"),
    "data stats": Entry("recq_lib.cli.data:Stats", "sizes, density, tails"),
    "train": Entry("recq_lib.cli.train:Train", "train or solve one method and print its test metrics"),
    "compress": Entry("recq_lib.cli.compress:Compress", "share embedding rows: rows per side, parameters, seconds"),
    "export": Entry("recq_lib.cli.export:Export", "write an index of a trained model or of vectors, to be searched without PyTorch"),
    "search": Entry("recq_lib.cli.search:Search", "the best items of users by number, from an index"),
    "recommend": Entry("recq_lib.cli.search:Recommend", "the best items of users in own ids, from an index"),
    "study": Entry("recq_lib.companion.commands:Study", "run a named grid; recorded runs are skipped, interrupted ones resume"),
    "report": Entry("recq_lib.companion.commands:Report", "published | ours | difference, from the records"),
    "bench": Entry("recq_lib.companion.commands:Bench", "this library beside what a user would pick instead, in one run"),
    "selftest": Entry("recq_lib.companion.selftest.command:Selftest", "attack it: kills, damaged files, full disks; ends with a table"),
    "notebooks": Entry("recq_lib.companion.commands:Notebooks", "run, check or refresh the notebooks"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 good, 1 an error of ours in one line on stderr, 2 wrong usage, 75 stopped by `--seconds` with something left, 130 interrupted,
    143 terminated.
    """
    _print_what_the_terminal_can()
    with warnings.catch_warnings(), _termination_interrupts():
        warnings.showwarning = _warned
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _main(given: list[str]) -> int:
    name = next((name for name in COMMANDS if given[: name.count(" ") + 1] == name.split()), None)
    try:
        status = _general(given) if name is None else _run(name, given[name.count(" ") + 1 :])
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk or a closed pipe shows here at the latest
        return status
    except RecqError as error:
        return _failed(str(error))
    except BrokenPipeError:  # a reader such as `head` has seen enough
        _abandon_output()
        return 0
    except OSError as error:
        if error.filename is None:
            _abandon_output()
        return _failed(f"{error.filename or 'output'}: {error.strerror or error}; {_OTHER_FOLDER}")
    except MemoryError:
        return _failed(_NO_MEMORY)
    except RuntimeError as error:
        if "allocate memory" in str(error) or "out of memory" in str(error):  # PyTorch has no class of its own for this on a CPU
            return _failed(_NO_MEMORY)
        raise
    except KeyboardInterrupt as stop:
        print("\ninterrupted; what was saved before is kept", file=sys.stderr)
        return TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as a batch system sends it before it kills: whatever saves on Ctrl-C saves now too."""


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_OTHER_FOLDER = "make room, allow writing, or choose another folder (RECQ_RESULTS_DIR, RECQ_CHECKPOINTS_DIR, RECQ_CACHE_DIR)"
_NO_MEMORY = "this machine has not enough memory for these sizes; choose a smaller dimension, batch or dataset"


def _run(name: str, arguments: list[str]) -> int:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(import_module(module), attribute)
    parse = getattr(command, "parse", None) or (lambda given: parsed(command, f"recq {name}", given))
    return parse(arguments).run() or 0


def parsed(command: type, program: str, arguments: list[str], **options: object):
    """The dataclass `command` filled from `arguments` by tyro; wrong usage ends the process with status 2, `--help` with 0."""
    import tyro

    rules = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone, tyro.conf.SuppressFixed)
    return tyro.cli(command, prog=program, args=arguments, config=rules, **options)


def _general(given: list[str]) -> int:
    """What is not the call of a command: `--help`, `--version`, a group of commands, or a mistake."""
    if given[:1] == ["--version"]:
        print(f"recq {__version__}")
        return 0
    asked = given[-1:] in (["-h"], ["--help"])
    group = [name for name in COMMANDS if name.split()[0] == given[0]] if given else []
    if asked and (len(given) == 1 or group):
        print(_usage(group or list(COMMANDS)))
        return 0
    print(_usage(group or list(COMMANDS)), file=sys.stderr)
    if given:
        wrong, known = (" ".join(given[:2]), group) if group else (given[0], sorted({name.split()[0] for name in COMMANDS}))
        close = difflib.get_close_matches(wrong, known, n=1)
        print(f"error: there is no command {wrong!r}{f'; did you mean {close[0]!r}?' if close else ''}", file=sys.stderr)
    return 2


def _usage(names: list[str]) -> str:
    lines = [f"  {name:<12} {COMMANDS[name].text}" for name in names]
    head = "usage: recq COMMAND … | --version | --help\n\nSmall and fast recommender embeddings, reproduced.\n"
    return "\n".join([head, *lines, "\n`recq COMMAND --help` shows the options of a command. `python -m recq_lib` is the same as `recq`."])


def _failed(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 1


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def _abandon_output() -> None:
    """Nothing more can be printed; without this Python would try once more at its end and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_what_the_terminal_can() -> None:
    """A terminal without γ or × gets `gamma` and `x` instead of an error."""
    plain.register()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=plain.HANDLER)

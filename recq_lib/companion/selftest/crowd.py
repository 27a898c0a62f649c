"""Many processes that publish into one folder at once: no entry may be lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from recq_lib.companion import figure_store
from recq_lib.companion.notebook_tools import state
from recq_lib.companion.notebook_tools.end_table import OK, Row


def attack(processes: int, each: int) -> dict[str, int]:
    """What was written → entries lost, for figures and for what the runner remembers."""
    found = {}
    for name, write, read in (
        ("figures published", _publish, lambda folder: figure_store.read_manifest(folder).keys()),
        ("notebooks remembered", _remember, lambda folder: state.load(folder).keys()),
    ):
        with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place:
            folder = Path(place) / "crowd"
            written = _at_once(processes, each, lambda key, folder=folder, write=write: write(folder, key))
            found[name] = len(written - set(read(folder)))
    return found


def _at_once(processes: int, each: int, write: Callable[[str], None]) -> set[str]:
    """Every process writes its own entries; all keys."""
    keys = [[f"notebook_{process}/figure_{n}" for n in range(each)] for process in range(processes)]
    children = []
    for own in keys:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for key in own:
                    write(key)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    return {key for own in keys for key in own}


def _publish(folder: Path, key: str) -> None:
    entry = {"profile": "smoke", "source": "a formula", "synthetic": False, "provenance": {}}
    figure_store.save(folder, key, {suffix: key.encode() for suffix in figure_store.SUFFIXES}, entry)


def _remember(folder: Path, key: str) -> None:
    state.update(folder, [key], {key: state.Entry({"cells": "1"}, Row(key, "a formula", 1.0, None, OK))})

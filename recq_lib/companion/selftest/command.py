"""`recq selftest`: the whole attack, and a table of what broke."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import tyro

from recq_lib.errors import ConfigError, one_of, whole
from recq_lib.io.output import show

PARTS = ("kills", "corruptions", "publications", "disk", "readonly", "lines")


@dataclass(frozen=True)
class Selftest:
    """Attack this installation in a temporary folder: processes killed, files damaged, disks full; a table says what broke."""

    trials: int = 20  # kills in all; files are damaged 2.5 times as often in every format, figures published 0.8 times
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART …")] = ()  # kills, corruptions, publications, …; a wrong name lists them
    seed: int = 0  # of what is tried
    json: bool = False  # print JSON

    def run(self) -> int:
        whole("trials", self.trials, 1)
        chosen = [one_of("part", name, PARTS) for name in self.only] or list(PARTS)
        if not hasattr(os, "fork"):
            raise ConfigError("selftest needs a system that can fork processes, such as Linux or macOS")
        os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"))  # before they are read
        os.environ.update(NUMBA_THREADING_LAYER="workqueue")  # the one that lives on in a fork
        os.environ.update(RECQ_OFFLINE="1", RECQ_PROGRESS="0")
        rows = []
        for name in chosen:
            for row in _parts()[name](self.trials, self.seed):
                rows.append(row)
                print(f"{row.part}: {row.text}", file=sys.stderr, flush=True)
        show([row.__dict__ for row in rows], table(rows), as_json=self.json)
        return 1 if any(row.bad for row in rows) else 0


@dataclass
class Row:
    """A line of the table: `bad` counts what must not happen."""

    part: str
    trials: int
    text: str
    bad: int


def table(rows: list[Row]) -> str:
    """Markdown."""
    head = ["| attack | trials | outcome | broken |", "|---|---|---|---|"]
    return "\n".join([*head, *(f"| {row.part} | {row.trials} | {row.text} | {row.bad} |" for row in rows)])


def _parts() -> dict[str, Callable[[int, int], Iterator[Row]]]:
    return {  # fmt: skip
        "kills": _kills, "corruptions": _corruptions, "publications": _publications, "disk": _disk, "readonly": _readonly, "lines": _lines,
    }


def _kills(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest import kills

    share = {"training": 0.4, "runs with a teacher": 0.3, "forced repeats": 0.25, "study, 2 jobs": 0.05}
    for name in kills.scenarios():
        found = kills.attack(name, max(1, round(share[name] * trials)), seed)
        bad = found.lost + found.different + found.untidy + found.noisy + found.orphans
        text = f"{found.runs} runs: {found.lost} lost, {found.different} different, {found.untidy} leave files"
        yield Row(f"kills, {name}", found.kills, f"{text}, {found.noisy} tracebacks, {found.orphans} orphans", bad)


def _corruptions(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest import corruptions, formats

    for form in formats.FORMATS:
        found = corruptions.attack(form, max(1, round(2.5 * trials)), seed)
        text = f"{found['refused']} refused or made anew, {found['same']} the same, {found['wrong']} silently wrong"
        bad = found["wrong"] + found["traceback"]
        yield Row(f"damaged {form.name}", sum(found.values()), f"{text}, {found['traceback']} tracebacks", bad)


def _publications(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest import crowd

    processes, each = 4, max(1, round(0.2 * trials))
    for name, lost in crowd.attack(processes, each).items():
        yield Row(f"{name}, {processes} processes at once", processes * each, f"{lost} entries lost", lost)


def _disk(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest import disk

    for name, attack in disk.ATTACKS.items():
        found = attack(max(1, trials // 4), seed)
        if found is not None:
            text = f"{found.full} ran out of room: {found.lost} lost the old record, {found.loud} not in one line"
            yield Row(name, found.runs, f"{text}, {found.different} different after", found.lost + found.loud + found.different)


def _readonly(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest import disk

    text = disk.readonly()
    yield Row("read-only library, no HOME", 1, text or "trains", int(bool(text)))


def _lines(trials: int, seed: int) -> Iterator[Row]:
    from recq_lib.companion.selftest.command_lines import bad_command_lines

    found = bad_command_lines(max(1, round(1.5 * trials)), seed)
    counts = found.counts
    text = f"{counts['usage'] + counts['refused']} refused, {counts['accepted']} accepted, {counts['untidy']} untidy"
    yield Row("broken command lines", sum(counts.values()), f"{text}, {counts['traceback']} tracebacks", len(found.bad))

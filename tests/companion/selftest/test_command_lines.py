"""Bad command lines, a few of the many; and that the outcomes are told apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recq_lib.companion.selftest import command_lines


def test_no_bad_line_ends_in_a_traceback():
    before, place = dict(os.environ), Path.cwd()
    found = command_lines.bad_command_lines(40, seed=17)
    assert found.bad == [] and sum(found.counts.values()) == 40
    assert found.counts["refused"] > 15 and found.counts["usage"] > 5
    assert dict(os.environ) == before and Path.cwd() == place


def test_the_same_seed_gives_the_same_lines(monkeypatch):
    monkeypatch.setattr(command_lines, "main", lambda arguments: seen.append(arguments) or 0)
    runs = []
    for seed in (1, 1, 2):
        seen = []
        command_lines.bad_command_lines(20, seed)
        runs.append(seen)
    assert runs[0] == runs[1] != runs[2]


def leaves(error):
    def main(arguments):
        raise error

    return main


def prints(status, text):
    def main(arguments):
        print(text, file=sys.stderr)
        return status

    return main


@pytest.mark.parametrize(("main", "outcome"), [
    (leaves(KeyError("x")), "traceback"), (leaves(SystemExit(2)), "untidy"), (prints(2, "usage: recq"), "usage"),
    (prints(1, "error: this"), "refused"), (prints(1, "warning: that\nerror: this"), "refused"), (prints(1, ""), "untidy"),
    (prints(1, "error: this\nerror: that"), "untidy"), (prints(1, "error: this\nand more"), "untidy"), (prints(0, ""), "accepted"),
    (prints(3, "error: this"), "untidy"), (prints(0, "Traceback (most recent call last):"), "traceback"),
])  # fmt: skip
def test_outcomes(main, outcome, monkeypatch):
    monkeypatch.setattr(command_lines, "main", main)
    found = command_lines.bad_command_lines(3)
    assert found.counts[outcome] == 3 == sum(found.counts.values())
    assert len(found.bad) == (3 if outcome in ("untidy", "traceback") else 0)

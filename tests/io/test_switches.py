from __future__ import annotations

import sys

import pytest

from recq_lib.data.download import is_offline
from recq_lib.errors import ConfigError
from recq_lib.io.progress import interactive, shown_as
from recq_lib.io.switches import switch

ON, OFF = ("1", "true", "TRUE", "yes", "On", " 1 "), ("0", "false", "False", "no", "OFF")


@pytest.mark.parametrize(("values", "expected"), [(ON, True), (OFF, False), (("", "  "), None)])
def test_values(monkeypatch, values, expected):
    for value in values:
        monkeypatch.setenv("RECQ_OFFLINE", value)
        assert switch("RECQ_OFFLINE") is expected
    monkeypatch.delenv("RECQ_OFFLINE")
    assert switch("RECQ_OFFLINE") is None


def test_both_switches_are_read_alike(monkeypatch):
    for value, expected in [(value, True) for value in ON] + [(value, False) for value in OFF]:
        monkeypatch.setenv("RECQ_PROGRESS", value)
        monkeypatch.setenv("RECQ_OFFLINE", value)
        assert interactive() is is_offline() is expected
        assert shown_as() == ("bar" if expected else "nothing")


@pytest.mark.parametrize(("watched", "expected"), [(True, "bar"), (False, "lines")])
def test_unset_progress_depends_on_who_watches(monkeypatch, watched, expected):
    monkeypatch.delenv("RECQ_PROGRESS", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched, raising=False)
    assert shown_as() == expected and interactive() is watched


def test_other_values_are_named(monkeypatch):
    monkeypatch.setenv("RECQ_PROGRESS", "maybe")
    for reader in (interactive, shown_as):
        with pytest.raises(ConfigError, match=r"RECQ_PROGRESS is 'maybe', but must be 0 \(off\) or 1 \(on\)"):
            reader()

from __future__ import annotations

import pytest

from recq_lib.data.download import is_offline, show_progress
from recq_lib.errors import ConfigError
from recq_lib.io.progress import interactive
from recq_lib.io.switches import switch

ON, OFF = ("1", "true", "TRUE", "yes", "On", " 1 "), ("0", "false", "False", "no", "OFF")


@pytest.mark.parametrize(("values", "expected"), [(ON, True), (OFF, False), (("", "  "), None)])
def test_values(monkeypatch, values, expected):
    for value in values:
        monkeypatch.setenv("RECQ_OFFLINE", value)
        assert switch("RECQ_OFFLINE") is expected
    monkeypatch.delenv("RECQ_OFFLINE")
    assert switch("RECQ_OFFLINE") is None


def test_both_readers_of_a_variable_agree(monkeypatch):
    for value, expected in [(value, True) for value in ON] + [(value, False) for value in OFF]:
        monkeypatch.setenv("RECQ_PROGRESS", value)
        monkeypatch.setenv("RECQ_OFFLINE", value)
        assert interactive() is show_progress() is is_offline() is expected


def test_other_values_are_named(monkeypatch):
    monkeypatch.setenv("RECQ_PROGRESS", "maybe")
    for reader in (interactive, show_progress):
        with pytest.raises(ConfigError, match=r"RECQ_PROGRESS is 'maybe', but must be 0 \(off\) or 1 \(on\)"):
            reader()

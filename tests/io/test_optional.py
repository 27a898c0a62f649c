from __future__ import annotations

import sys

import pytest

from recq_lib.errors import ConfigError
from recq_lib.io.optional import optional


def test_what_is_there_is_imported():
    assert optional("json.decoder", "baselines", "this test") is sys.modules["json.decoder"]


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part", "ours"])
def test_what_is_missing_is_named_with_its_extra(module, tmp_path, monkeypatch):
    (tmp_path / "ours.py").write_text("import no_such_package.part\n")  # a module of ours that needs it
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"^sbc needs the package no_such_package, .*; run: pip install 'recq\[baselines\]'$"):
        optional(module, "baselines", "sbc")

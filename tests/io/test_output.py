from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from recq_lib.errors import ConfigError
from recq_lib.io.output import output_file, show


@dataclass
class Size:
    rows: int
    place: Path


def test_text_or_json(capsys):
    value = {"sizes": [Size(3, Path("a"))], "share": 0.5}
    show(value, "three rows", as_json=False)
    assert capsys.readouterr().out == "three rows\n"
    show(value, "three rows", as_json=True)
    # a dataclass is an object; what is inside it and unknown to JSON, its text
    assert json.loads(capsys.readouterr().out) == {"sizes": [{"rows": 3, "place": "a"}], "share": 0.5}


def test_file_that_can_be_written(tmp_path):
    assert output_file(None) is None
    assert output_file(str(tmp_path / "new.npz")) == tmp_path / "new.npz" and not (tmp_path / "new.npz").exists()
    (tmp_path / "old.npz").write_text("x")
    assert output_file(tmp_path / "old.npz") == tmp_path / "old.npz"


def test_places_that_cannot(tmp_path):
    for path, text in ((tmp_path, "is a folder"), (tmp_path / "no" / "x.npz", "does not exist; make it first"), ("", "is a folder")):
        with pytest.raises(ConfigError, match=text):
            output_file(path)


def test_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    with pytest.raises(ConfigError, match="may not be written to"):
        output_file(tmp_path / "x.npz")

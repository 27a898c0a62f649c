from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from recq_lib.errors import ConfigError
from recq_lib.io.output import check_folder, output_file, show


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


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", os.devnull):
        with pytest.raises(ConfigError, match="which is no ordinary file"):
            output_file(path)


def test_a_folder_that_refuses_files_though_it_seems_open(tmp_path, monkeypatch):
    def full(dir):
        raise OSError(28, "No space left on device")

    check_folder(tmp_path / "new" / "deeper", "RECQ_RESULTS_DIR")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"file/x: cannot be written to \(.*it is not a folder\); allow it, or set RECQ_RESULTS_DIR"):
        check_folder(tmp_path / "file" / "x", "RECQ_RESULTS_DIR")
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(ConfigError, match=r"may not be written to \(No space left on device\)"):
        output_file(tmp_path / "x.npz")
    with pytest.raises(ConfigError, match="No space left on device"):
        check_folder(tmp_path / "new", "RECQ_RESULTS_DIR")


def test_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    with pytest.raises(ConfigError, match="may not be written to"):
        output_file(tmp_path / "x.npz")

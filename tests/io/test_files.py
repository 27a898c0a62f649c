"""Files are written whole; what killed writers left is swept, what living ones write is not; damaged files are moved aside."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from recq_lib.errors import RecordError
from recq_lib.io import files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs locks")

_KILLED = """
import os, signal, sys
from pathlib import Path
from recq_lib.io import files
with files._temporary(Path(sys.argv[1])) as (_, file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
_FULL = """
import resource, sys
from pathlib import Path
from recq_lib.io.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    write_atomically(Path(sys.argv[1]), bytes(100))
except OSError as error:
    sys.exit(3)
"""


def python(code: str, *arguments: object) -> int:
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=False).returncode


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    assert python(_KILLED, tmp_path / "a") == -9
    assert len(list(tmp_path.iterdir())) == 1
    files.write_atomically(tmp_path / "b", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_what_a_living_writer_writes_stays(tmp_path):
    with files._temporary(tmp_path / "a") as (temporary, file):
        files.sweep(tmp_path)
        files.write_atomically(tmp_path / "b", b"other")
        file.write(b"mine")
        file.flush()
        assert temporary.read_bytes() == b"mine"
    assert not temporary.exists()


def test_a_sweep_that_comes_before_the_lock_costs_nothing(tmp_path, monkeypatch):
    """Between making and locking a file a sweep may take it: the writer makes another."""
    held, calls = files._held, []

    def late(file):
        calls.append(file.name)
        if len(calls) == 1:
            os.unlink(file.name)
        return held(file)

    monkeypatch.setattr(files, "_held", late)
    files.write_atomically(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole" and len(set(calls)) == 2


@pytest.mark.parametrize("room", [0, 1, 99, 100])
def test_a_disk_that_is_full_at_any_byte_leaves_the_old_file(tmp_path, room):
    (tmp_path / "a").write_bytes(b"old")
    assert python(_FULL, tmp_path / "a", room) == (3 if room < 100 else 0)
    assert (tmp_path / "a").read_bytes() == (b"old" if room < 100 else bytes(100))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_mark_is_in_use_as_long_as_somebody_holds_it(tmp_path):
    mark = tmp_path / "run.running"
    with files.in_use(mark):
        with files.in_use(mark):
            assert files.is_in_use(mark)
        assert files.is_in_use(mark)
    assert not files.is_in_use(mark) and not mark.exists()
    mark.touch()  # of a process that was killed
    assert not files.is_in_use(mark) and not mark.exists()


def test_a_damaged_file_is_moved_aside_by_name(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.warns(UserWarning, match=r"a\.json was damaged \(no end\); it is kept as a\.json\.damaged and made anew"):
        files.set_aside(tmp_path / "a.json", "no end")
    assert [path.name for path in tmp_path.iterdir()] == ["a.json.damaged"]


def test_bytes_that_are_no_npz_are_an_error_of_ours(tmp_path):
    whole = files.npz_bytes({})
    for content in (b"", whole[:-3], b"PK" + bytes(50)):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(RecordError, match="damaged or no npz"):
            files.npz_arrays(tmp_path / "a.npz")

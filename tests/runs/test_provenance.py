"""Provenance: what is recorded, that it works without git, and that it names no person or machine."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from helpers import git

from recq_lib.io import paths
from recq_lib.runs import provenance

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "recq_lib").mkdir()
    (tmp_path / "recq_lib" / "a.py").write_text("x = 1\n")
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    return tmp_path


class TestCollect:
    def test_content(self):
        before = datetime.now(UTC)
        found = provenance.collect("cpu", threads=3)
        assert (found["device"], found["threads"]) == ("cpu", 3)
        assert found["versions"]["numpy"] == np.__version__
        assert found["versions"]["python"] == platform.python_version()
        assert set(found["versions"]) == {"python", "torch", "numpy", "numba", "scipy", "torch_geometric"}
        stamp = datetime.fromisoformat(found["time"])
        assert stamp.utcoffset().total_seconds() == 0 and abs((stamp - before).total_seconds()) < 60
        assert found["library"] == provenance.library_hash()
        assert json.loads(json.dumps(found)) == found

    def test_threads_default_to_torch(self):
        import torch

        assert provenance.collect("cpu")["threads"] == torch.get_num_threads()

    def test_missing_package_is_absent(self, monkeypatch):
        monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package-anywhere"))
        assert provenance.collect("cpu")["versions"]["no-such-package-anywhere"] == "absent"

    def test_versions_by_the_names_given(self):
        assert provenance.package_versions(("numpy", "no-such-package"), missing="none") == {
            "python": platform.python_version(), "numpy": np.__version__, "no-such-package": "none",
        }  # fmt: skip

    def test_names_no_person_host_or_folder(self):
        text = json.dumps(provenance.collect("cpu"))
        assert str(Path.home()) not in text or str(Path.home()) == "/"
        assert str(paths.project_root()) not in text
        words = set(re.findall(r"[\w.-]+", text.lower()))
        assert platform.node().lower() not in words - {""}
        assert getpass.getuser().lower() not in words


class TestGit:
    def test_without_repository(self, project):
        found = provenance.collect("cpu")
        assert (found["commit"], found["dirty"]) == ("uncommitted", None)

    def test_without_git(self, project, monkeypatch):
        monkeypatch.setenv("PATH", str(project))
        assert provenance.collect("cpu")["commit"] == "uncommitted"

    @needs_git
    def test_clean_dirty_and_unborn(self, project):
        git(project, "init", "-q")
        assert provenance.collect("cpu")["commit"] == "uncommitted"
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "first")
        found = provenance.collect("cpu")
        assert (found["commit"], found["dirty"]) == (git(project, "rev-parse", "HEAD"), False)
        (project / "results.json").write_text("{}")  # a new record does not make the code dirty
        assert provenance.collect("cpu")["dirty"] is False
        (project / "recq_lib" / "companion").mkdir()  # nor does a figure of the companion
        (project / "recq_lib" / "companion" / "figure.py").write_text("title = 1\n")
        assert provenance.collect("cpu")["dirty"] is False
        (project / "recq_lib" / "b.py").write_text("y = 2\n")
        assert provenance.collect("cpu")["dirty"] is True

    @needs_git
    def test_a_repository_around_the_project_is_not_ours(self, project, monkeypatch):
        git(project, "init", "-q")
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "first")
        monkeypatch.setattr(paths, "checkout", lambda: project / "recq_lib")
        assert provenance.collect("cpu")["commit"] == "uncommitted"
        monkeypatch.setattr(paths, "checkout", lambda: None)  # an installed library
        assert provenance.collect("cpu")["commit"] == "uncommitted"


class TestLibraryHash:
    def test_by_hand(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "b.py").write_bytes(b"1\r\n")
        (tmp_path / "sub" / "a.py").write_bytes(b"")
        (tmp_path / "ignored.txt").write_bytes(b"z")
        expected = hashlib.sha256(b"b.py\x002\x001\nsub/a.py\x000\x00").hexdigest()
        assert provenance.library_hash(tmp_path) == expected

    def test_leaves_out_the_companion_and_nothing_else(self, tmp_path):
        for name in ("a.py", "companion/b.py", "companion/figures/c.py", "data/companion/d.py", "companion.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"")
        expected = hashlib.sha256(b"a.py\x000\x00companion.py\x000\x00data/companion/d.py\x000\x00").hexdigest()
        assert provenance.library_hash(tmp_path) == expected
        (tmp_path / "companion" / "figures" / "c.py").write_text("title = 1\n")
        assert provenance.library_hash(tmp_path) == expected

    def test_changes_with_content_and_name(self, tmp_path):
        (tmp_path / "a.py").write_text("x = 1\n")
        first = provenance.library_hash(tmp_path)
        (tmp_path / "a.py").write_text("x = 2\n")
        second = provenance.library_hash(tmp_path)
        (tmp_path / "a.py").rename(tmp_path / "b.py")
        assert len({first, second, provenance.library_hash(tmp_path)}) == 3

    def test_of_the_library_ignores_the_working_directory(self, tmp_path, monkeypatch):
        here = provenance.library_hash()
        monkeypatch.chdir(tmp_path)
        assert provenance.library_hash() == here and len(here) == 64


class TestPeakMemory:
    def test_sees_an_allocation_and_never_shrinks(self):
        before = provenance.peak_memory_mb()
        block = np.ones(int(before * 2**20 / 8) + 2**23)  # more than the peak so far, by 64 MB
        during = provenance.peak_memory_mb()
        del block
        assert before > 10
        assert during >= before + 60
        assert provenance.peak_memory_mb() >= during - 1

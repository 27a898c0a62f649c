from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recq_lib.errors import ConfigError
from recq_lib.io import paths

FOLDERS = {
    "RECQ_RESULTS_DIR": ("results", paths.results_dir),
    "RECQ_FIGURES_DIR": ("figures", paths.figures_dir),
    "RECQ_CHECKPOINTS_DIR": ("checkpoints", paths.checkpoints_dir),
    "RECQ_OUT_DIR": ("out", lambda: paths.out_dir("smoke").parent),
}


def test_notebooks_draw_into_their_own_folder_unless_one_is_named(monkeypatch, tmp_path):
    """In a checkout, where no variable is set: as in a notebook that a reader has opened."""
    assert paths.drawing_dir() == Path(__file__).resolve().parents[2] / "out" / "figures"
    monkeypatch.setenv("RECQ_OUT_DIR", str(tmp_path / "out"))
    assert paths.drawing_dir() == tmp_path / "out" / "figures"
    monkeypatch.setenv("RECQ_FIGURES_DIR", str(tmp_path / "drawn"))
    assert paths.drawing_dir() == tmp_path / "drawn"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for variable in (*FOLDERS, "RECQ_CACHE_DIR", "RECQ_DATA_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """As if the library lay in site-packages; the user's home is `tmp_path`."""
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "site-packages" / "recq_lib" / "io" / "paths.py"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_this_is_a_checkout():
    root = Path(__file__).resolve().parents[2]
    assert paths.checkout() == paths.project_root() == root
    assert paths.notebooks_dir() == root / "notebooks"
    assert {name: folder() for name, folder in FOLDERS.values()} == {name: root / name for name, _ in FOLDERS.values()}


@pytest.mark.parametrize(
    ("text", "is_checkout"),
    [
        ('[project]\nname = "recq"\n', True),
        ('[project]\r\nname = "recq"\r\n', True),
        ('[project]\nname = "recq-like"\n', False),
        (None, False),
    ],
)
def test_a_checkout_has_the_pyproject_of_recq(tmp_path, monkeypatch, text, is_checkout):
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "recq_lib" / "io" / "paths.py"))
    if text is not None:
        (tmp_path / "pyproject.toml").write_bytes(text.encode())
    assert paths.checkout() == (tmp_path if is_checkout else None)


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_installed_library_writes_to_the_user(installed, monkeypatch):
    assert {name: folder() for name, folder in FOLDERS.values()} == {
        name: installed / ".local" / "share" / "recq" / name for name, _ in FOLDERS.values()
    }
    assert paths.cache_dir() == installed / ".cache" / "recq"
    assert paths.drawing_dir() == installed / ".local" / "share" / "recq" / "out" / "figures"
    monkeypatch.setenv("XDG_DATA_HOME", str(installed / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(installed / "cache"))
    assert (paths.results_dir(), paths.cache_dir()) == (installed / "data" / "recq" / "results", installed / "cache" / "recq")


def test_installed_library_has_no_notebooks(installed):
    for asked in (paths.project_root, paths.notebooks_dir):
        with pytest.raises(ConfigError, match="works in a checkout"):
            asked()


def test_variables_come_first(installed, monkeypatch):
    places = {**FOLDERS, "RECQ_CACHE_DIR": ("cache", paths.cache_dir), "RECQ_DATA_DIR": ("data", paths.data_dir)}
    for variable, (name, folder) in places.items():
        monkeypatch.setenv(variable, f"~/own/{name}")
        assert folder() == installed / "own" / name


# HOME unset and a user id that the system has no entry for, as in some containers
WITHOUT_HOME = """
import pwd
def unknown(uid): raise KeyError(uid)
pwd.getpwuid = unknown
from recq_lib.errors import ConfigError
from recq_lib.io import paths
try:
    paths.cache_dir()
except ConfigError as error:
    print(error)
"""


def test_without_any_home_the_variable_to_set_is_named(installed):
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", WITHOUT_HOME], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "this user has no home folder; set RECQ_CACHE_DIR" in done.stdout


def test_home_unset_is_looked_up(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    assert paths.cache_dir().is_absolute()

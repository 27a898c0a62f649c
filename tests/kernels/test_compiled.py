import importlib
import inspect
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from recq_lib import kernels as room
from recq_lib.kernels import compiled as module

KERNEL = """
from kernels.compiled import compiled
from kernels.helper import added

@compiled()
def total(x):
    return x + added()

print(total(1))
"""


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    """A package of its own, whose one kernel takes in a helper from another file."""
    folder = tmp_path / "kernels"
    folder.mkdir()
    shutil.copy(module.__file__, folder / "compiled.py")
    (folder / "kernel.py").write_text(KERNEL)
    return folder


def help_with(folder: Path, number: int) -> None:
    (folder / "helper.py").write_text(f"import numba\n\n@numba.njit(inline='always')\ndef added():\n    return {number}\n")


def run(folder: Path) -> int:
    done = subprocess.run([sys.executable, "-m", "kernels.kernel"], cwd=folder.parent, capture_output=True, text=True, check=True)
    return int(done.stdout)


def code_files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}


def test_a_kernel_follows_a_helper_that_changes_in_another_file(kernels):
    help_with(kernels, 10)
    assert run(kernels) == 11
    first = code_files(kernels)
    assert len(first) == 1
    assert run(kernels) == 11 and code_files(kernels) == first  # read, not compiled
    help_with(kernels, 20)
    assert run(kernels) == 21
    assert first.items() < code_files(kernels).items()


def test_code_is_kept_beside_the_kernels_or_where_numba_was_told(kernels, tmp_path, monkeypatch):
    help_with(kernels, 10)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    beside = module.folder_of.__wrapped__(kernels)
    assert beside.parent == kernels / "__pycache__"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "elsewhere"))
    assert module.folder_of.__wrapped__(kernels) == tmp_path / "elsewhere" / beside.name
    help_with(kernels, 20)
    assert module.folder_of.__wrapped__(kernels).name != beside.name


def test_the_setting_of_numba_is_as_it_was_after_compiling(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "given")
    with module._cache_in(Path("other")):
        assert numba.config.CACHE_DIR == "other"
    assert numba.config.CACHE_DIR == "given"


def test_no_kernel_takes_more_arguments_than_one_can_tell_apart():
    """What belongs together (a graph, what a sweep changes, its scratch) is one argument, a tuple."""
    seen = {}
    for file in pkgutil.iter_modules(room.__path__):
        for name, value in vars(importlib.import_module(f"{room.__name__}.{file.name}")).items():
            function = getattr(getattr(value, "serial", value), "py_func", None)
            if function is not None:
                seen[f"{file.name}.{name}"] = len(inspect.signature(function).parameters)
    assert {"bpr._pool", "label_lists.receive"} <= set(seen)
    assert [name for name, n in seen.items() if n > 8] == []

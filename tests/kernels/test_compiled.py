import importlib
import inspect
import os
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


def run(folder: Path, limit: int | None = None, **variables: str) -> int:
    """What the kernel gives in a process of its own, which may write files of at most `limit` bytes."""
    code = "import resource, runpy, sys; n = int(sys.argv[1]); n < 0 or resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); "
    command = [sys.executable, "-W", "error", "-c", code + "runpy.run_module('kernels.kernel', run_name='__main__')"]
    environment = {**os.environ, "PYTHONPATH": f"{folder.parent}:{Path(__file__).parents[2]}", **variables}
    command.append(str(-1 if limit is None else limit))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
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


def test_code_is_kept_where_numba_was_told_or_beside_the_kernels_or_where_one_may_write(kernels, tmp_path, monkeypatch):
    help_with(kernels, 10)
    folder_of = module.folder_of.__wrapped__
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "told"))
    name = f"kernels-{module.contents_of(kernels)[:12]}"
    assert folder_of(kernels) == tmp_path / "told" / name
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert folder_of(kernels) == kernels / "__pycache__" / name
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_is_writable", lambda folder: "__pycache__" not in folder.parts)
    assert folder_of(kernels) == tmp_path / "cache" / "recq" / name
    private = tmp_path / f"recq-{os.getuid()}"
    monkeypatch.setattr(module, "_is_writable", lambda folder: private in folder.parents)
    assert folder_of(kernels) == private / name and private.stat().st_mode & 0o777 == 0o700
    private.chmod(0o777)
    assert folder_of(kernels) is None  # code that anybody may have put there is not run
    help_with(kernels, 20)
    assert module.contents_of(kernels)[:12] not in name


def test_without_a_folder_to_write_to_kernels_run(kernels, tmp_path):
    help_with(kernels, 10)
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    (kernels / "__pycache__").write_text("")
    assert run(kernels, XDG_CACHE_HOME=str(nowhere), TMPDIR=str(nowhere), HOME=str(nowhere), PYTHONDONTWRITEBYTECODE="1") == 11
    assert not code_files(tmp_path)


def test_on_a_full_disk_kernels_run(kernels):
    help_with(kernels, 10)
    assert run(kernels, limit=100) == 11
    assert not code_files(kernels) and not list(kernels.rglob("*.tmp"))


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_file_is_removed_and_the_kernel_compiled_again(kernels, suffix):
    help_with(kernels, 10)
    run(kernels)
    (path,) = kernels.rglob(f"*.{suffix}")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:40], *(flipped(whole, at) for at in (3, len(whole) // 2, len(whole) - 9))):
        path.write_bytes(damaged)
        assert module._checked(path) is None and not path.exists()
    path.write_bytes(flipped(whole, len(whole) // 2))
    assert run(kernels) == 11
    assert module._checked(path) is not None


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


# the kernels of search came with more; no other may, and one that is mended leaves this list
_STILL_TO_GROUP = {
    "code_scores._fill", "code_scores.score_group", "code_topk._few", "code_topk._push",
    "code_topk._push_users", "code_topk.score_group", "shared_topk._offer", "topk._offer",
}  # fmt: skip


def test_no_kernel_takes_more_arguments_than_one_can_tell_apart():
    """What belongs together (a graph, what a sweep changes, its scratch) is one argument, a tuple."""
    seen = {}
    for file in pkgutil.iter_modules(room.__path__):
        for name, value in vars(importlib.import_module(f"{room.__name__}.{file.name}")).items():
            function = getattr(getattr(value, "serial", value), "py_func", None)
            if function is not None:
                seen[f"{file.name}.{name}"] = len(inspect.signature(function).parameters)
    assert {"bpr._pool", "label_lists.receive"} <= set(seen)
    assert {name for name, n in seen.items() if n > 8} == _STILL_TO_GROUP

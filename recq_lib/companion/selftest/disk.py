"""Disks that are full at any byte, and machines where little may be written: old files stay, the error is a line, and runs go on later."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recq_lib.companion.selftest import outcomes
from recq_lib.companion.selftest.children import Ended, Stop, command, warm
from recq_lib.companion.selftest.kills import SMALL

_RUN = ["train", "lightgcn", *SMALL.split()]
_DROP, _OVERRIDE = 24, (1, 2)  # PR_CAPBSET_DROP; CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_MEGABYTES = 8


@dataclass
class Full:
    """Counts. `full`: runs that ran out of room; `lost`: the record from before is gone or another; `loud`: not an error in one line."""

    runs: int = 0
    full: int = 0
    lost: int = 0
    loud: int = 0
    different: int = 0


def short_files(trials: int, seed: int = 0) -> Full:
    """No file may be longer than a random number of bytes, so that every write fails at any of its bytes."""
    warm(_RUN)
    rng, counts = random.Random(seed), Full()
    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place:
        whole, folder = Path(place) / "whole", Path(place) / "run"
        command(_RUN, whole)
        longest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        for _ in range(trials):
            shutil.copytree(whole, folder)
            _again(counts, whole, folder, command([*_RUN, "--force"], folder, Stop(largest=rng.randrange(2 * longest))))
            shutil.rmtree(folder)
    return counts


def small_disk(trials: int, seed: int = 0) -> Full | None:
    """A file system in memory with a random number of bytes left; None where this user may not mount one."""
    warm(_RUN)
    rng, counts = random.Random(seed), Full()
    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place:
        whole = Path(place) / "whole"
        command(_RUN, whole)
        for _ in range(trials):
            with _mounted(Path(place) / "disk") as disk:
                if disk is None:
                    return None
                shutil.copytree(whole, disk / "run")
                (disk / "run.output").touch()
                filler = disk / "filler"
                filler.touch()
                free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
                filler.write_bytes(bytes(max(0, free - rng.randrange(0, 65_536, 4096))))
                ended = command([*_RUN, "--force"], disk / "run")
                filler.unlink()
                _again(counts, whole, disk / "run", ended)
    return counts


def _again(counts: Full, whole: Path, folder: Path, ended: Ended) -> None:
    """Count how a run without room ended, and how the next one ends that has room."""
    counts.runs += 1
    expected = outcomes.records(whole)
    if ended.status != 0:
        counts.full += 1
        if ended.status != 1 or ended.traceback or sum("error:" in line for line in ended.text.splitlines()) > 1:
            counts.loud += 1
            print(f"not in one line (status {ended.status}):\n{ended.text}", file=sys.stderr)
    counts.lost += outcomes.records(folder) != expected
    after = command([*_RUN, "--force"], folder)
    counts.different += after.status != 0 or outcomes.records(folder) != expected or bool(outcomes.left_over(folder))


@contextmanager
def _mounted(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)]
    done = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder if done else None
    finally:
        if done:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
        folder.rmdir()


def _without_privileges() -> None:
    """The superuser may write anywhere; on Linux that is a capability, which the next program does not get."""
    if os.geteuid() == 0 and sys.platform == "linux":
        import ctypes

        for capability in _OVERRIDE:
            ctypes.CDLL(None).prctl(_DROP, capability, 0, 0, 0)


ATTACKS = {"full disk, files cut short": short_files, "full disk, a small one": small_disk}


def readonly() -> str:
    """Train with a copy of the library that cannot be written to and without a home; "" or what went wrong."""
    import recq_lib

    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place:
        root = Path(place)
        library, mine = root / "library", root / "mine"
        shutil.copytree(Path(recq_lib.__file__).parent, library / "recq_lib", ignore=shutil.ignore_patterns("__pycache__"))
        mine.mkdir()
        for path in (library, *library.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        root.chmod(0o755)
        own = {"RECQ_RESULTS_DIR": str(mine), "RECQ_CHECKPOINTS_DIR": str(mine), "RECQ_CACHE_DIR": str(mine), "TMPDIR": str(mine)}
        nowhere = str(library / "recq_lib" / "errors.py")  # a file
        changes = own | {"PYTHONPATH": str(library), "HOME": nowhere, "XDG_CACHE_HOME": nowhere}
        dropped = ("NUMBA_CACHE_DIR", "PYTHONPYCACHEPREFIX")
        environment = {name: value for name, value in (os.environ | changes).items() if name not in dropped}
        call = [sys.executable, "-P", "-m", "recq_lib", *_RUN]
        done = subprocess.run(
            call, env=environment, cwd="/", capture_output=True, text=True, check=False, preexec_fn=_without_privileges
        )
        for path in (library, *library.rglob("*")):
            path.chmod(0o755)
        return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1][:200]

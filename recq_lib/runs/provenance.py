"""Where a number comes from: code version, library hash, package versions, device, threads and time (ours).

Nothing here names a person, a host or a folder of the machine, so a record can be committed and published as it is.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from recq_lib.io import paths
from recq_lib.io.versions import content_hash, package_versions, source_hash

PACKAGES = ("torch", "numpy", "numba", "scipy", "torch_geometric")
COMPANION = "companion"  # the one folder below recq_lib that is not the library


def collect(device: str, threads: int | None = None) -> dict[str, object]:
    """Provenance of a run as plain JSON values.

    `device` is a torch device string ("cpu", "cuda", "cuda:1"); `threads` defaults to what torch uses. Keys: `commit` (hash or
    "uncommitted"), `dirty` (the commit does not hold this library; None where git cannot say), `library` (see `library_hash`),
    `versions`, `device`, `device_name`, `threads`, `cpus`, `platform`, `time` (UTC, ISO 8601).
    """
    import torch

    commit, dirty = _git_state(paths.checkout())
    return {
        "commit": commit,
        "dirty": dirty,
        "library": library_hash(),
        "versions": package_versions(PACKAGES),
        "device": str(device),
        "device_name": _device_name(str(device)),
        "threads": int(threads if threads is not None else torch.get_num_threads()),
        "cpus": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def library_hash(root: Path | None = None) -> str:
    """SHA-256 (hex) of the library: every `*.py` below `root` (default: the folder `recq_lib`) but those of `root/companion`.

    The companion is a book about the library, so a new title in a figure changes no number and no hash. See `source_hash`.
    """
    root = Path(root) if root is not None else package_folder()
    return source_hash(root, (path for path in root.rglob("*.py") if _in_library(path.relative_to(root).as_posix())))


def _in_library(name: str) -> bool:
    """Whether the file `name`, relative to `recq_lib`, is hashed as part of the library."""
    return name.endswith(".py") and name.partition("/")[0] != COMPANION


def package_folder() -> Path:
    """The folder `recq_lib`."""
    return Path(__file__).resolve().parents[1]


def companion_folder() -> Path:
    """The folder `recq_lib/companion`, which `library_hash` leaves out."""
    return package_folder() / COMPANION


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB (2**20 bytes); nan where the system does not tell.

    Linux's own high-water mark comes first: `ru_maxrss` is inherited from the process that started this one.
    """
    try:
        marks = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
        if marks:
            return int(marks.group(1)) / 1024
    except OSError:
        pass  # not Linux
    try:
        import resource
    except ImportError:
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 2**10)  # macOS counts bytes, others KiB


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(torch.device(device))
    try:
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except OSError:
        model = None
    return model.group(1).strip() if model else platform.machine()


def _git_state(root: Path | None) -> tuple[str, bool | None]:
    """(commit or "uncommitted", it does not hold the library). Only a repository whose top folder is `root` counts: not one around it.

    The status leaves out what git is told to ignore, so the hashes are compared as well.
    """
    top = None if root is None else _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return "uncommitted", None
    # neither records added by the run itself nor the companion make the code dirty
    status = _git(root, "status", "--porcelain", "--", "recq_lib", f":(exclude)recq_lib/{COMPANION}")
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if status is None:
        return commit or "uncommitted", None
    return commit or "uncommitted", bool(status) or _committed_hash(root) != library_hash(root / "recq_lib")


def _committed_hash(root: Path) -> str | None:
    """`library_hash` of the commit that is checked out in `root`; None where there is none."""
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", "HEAD", "recq_lib/")
    blobs = [entry.split("\t", 1) for entry in (listed or "").split("\0") if entry]  # "mode type hash", path
    wanted = [(about.split()[2], name) for about, path in blobs if _in_library(name := path.partition("/")[2])]
    content = _git_bytes(root, "cat-file", "--batch", given="".join(f"{blob}\n" for blob, _ in wanted).encode())
    if listed is None or content is None:
        return None
    files, at = [], 0
    for _, name in wanted:  # each blob comes as "hash type size", a line end, its bytes, a line end
        start = content.index(b"\n", at) + 1
        size = int(content[at:start].split()[2])
        files.append((name, content[start : start + size]))
        at = start + size + 1
    return content_hash(files)


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command in `root`, or None when git is missing, slow or says no."""
    output = _git_bytes(root, *arguments)
    return None if output is None else output.decode("utf-8", "surrogateescape").strip()


def _git_bytes(root: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # several runs may ask at once
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, input=given, timeout=10, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None

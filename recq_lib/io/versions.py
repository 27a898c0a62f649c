"""Which code and which packages computed something: a hash over source files, and version numbers (ours)."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def source_hash(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 (hex) over relative path, length and content of the files below `root`, in the order of their paths.

    Line ends count as LF, so a checkout on another system has the same hash.
    """
    return content_hash((path.relative_to(root).as_posix(), path.read_bytes()) for path in files)


def content_hash(files: Iterable[tuple[str, bytes]]) -> str:
    """`source_hash` of files that lie anywhere, given as (relative path, content)."""
    digest = hashlib.sha256()
    for name, raw in sorted(files):
        content = raw.replace(b"\r\n", b"\n")
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def package_versions(packages: Iterable[str], missing: str = "absent") -> dict[str, str]:
    """Version of Python and of each package by the name given; `missing` for one that is not installed."""
    answer = {"python": platform.python_version()}
    for name in packages:
        try:
            answer[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            answer[name] = missing
    return answer

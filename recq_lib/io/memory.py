"""How much memory there is, asked before sizes that may be far beyond it are allocated."""

from __future__ import annotations

import os
from pathlib import Path

from recq_lib.errors import ConfigError

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of containers, versions 2 and 1


def limit_bytes() -> float:
    """Memory that this process can have at most: the machine's, or less where a container or `ulimit -v` says so; inf if unknown."""
    return min(_of_machine(), *map(_of_container, _CGROUPS), _of_process())


def check_memory(what: str, n_bytes: float, advice: str) -> None:
    """Raise `ConfigError` if `what` needs more memory than there is: its `n_bytes` are what it takes at the very least."""
    limit = limit_bytes()
    if n_bytes > limit:
        raise ConfigError(f"{what} needs at least {_gigabytes(n_bytes)} of memory, but {_gigabytes(limit)} is all there is; {advice}")


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes < 1e15 else f"{n_bytes / 1e9:.1e} GB"


def _of_machine() -> float:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on every system
        return float("inf")


def _of_container(path: str) -> float:
    try:
        text = Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return float("inf")
    return float(text) if text.isdigit() else float("inf")  # "max"


def _of_process() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("inf")
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)

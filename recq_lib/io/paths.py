"""Where things lie: every path comes from here, none from the working directory.

`RECQ_DATA_DIR` names a folder of ready-made `NAME.npz` files; `RECQ_CACHE_DIR`, `RECQ_RESULTS_DIR`, `RECQ_FIGURES_DIR`
and `RECQ_OUT_DIR` move the other folders. The variables are read at each call, so a test may set them.
"""

from __future__ import annotations

import os
from pathlib import Path


def project_root() -> Path:
    """Folder of the checkout (the one that holds `recq_lib`)."""
    return Path(__file__).resolve().parents[2]


def _folder(variable: str, default: Path) -> Path:
    value = os.environ.get(variable)
    return Path(value).expanduser().resolve() if value else default


def data_dir() -> Path | None:
    """Folder of ready-made datasets, or None when `RECQ_DATA_DIR` is not set."""
    value = os.environ.get("RECQ_DATA_DIR")
    return Path(value).expanduser().resolve() if value else None


def cache_dir() -> Path:
    """Downloaded and converted datasets: `RECQ_CACHE_DIR`, else `$XDG_CACHE_HOME/recq`, else `~/.cache/recq`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return _folder("RECQ_CACHE_DIR", (Path(base) if base else Path.home() / ".cache") / "recq")


def results_dir() -> Path:
    """Run records."""
    return _folder("RECQ_RESULTS_DIR", project_root() / "results")


def figures_dir() -> Path:
    """Published figures: `figures/<notebook>/<name>.{png,pdf}`."""
    return _folder("RECQ_FIGURES_DIR", project_root() / "figures")


def drawing_dir() -> Path:
    """Where a notebook draws: `RECQ_FIGURES_DIR`, else `out/figures`. What is on show is renewed only when asked."""
    return figures_dir() if os.environ.get("RECQ_FIGURES_DIR") else _folder("RECQ_OUT_DIR", project_root() / "out") / "figures"


def notebooks_dir() -> Path:
    """Sources of the notebooks."""
    return project_root() / "notebooks"


def out_dir(profile: str) -> Path:
    """Executed copies of the notebooks for one profile; never the sources."""
    return _folder("RECQ_OUT_DIR", project_root() / "out") / profile


def checkpoints_dir() -> Path:
    """Checkpoints of runs that have not ended yet, and trained models that other runs start from."""
    return _folder("RECQ_CHECKPOINTS_DIR", project_root() / "checkpoints")

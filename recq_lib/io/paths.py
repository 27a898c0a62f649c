"""Where things lie: every path comes from here, none from the working directory.

In a checkout records, figures and the rest lie beside the library, where they can be committed. An installed library writes to the
user's own folders instead. `RECQ_DATA_DIR` names a folder of ready-made `NAME.npz` files; `RECQ_CACHE_DIR`, `RECQ_RESULTS_DIR`,
`RECQ_FIGURES_DIR`, `RECQ_OUT_DIR` and `RECQ_CHECKPOINTS_DIR` move the other folders. The variables are read at each call, so a test may
set them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

from recq_lib.errors import ConfigError

_PROJECT = '\nname = "recq"\n'  # in pyproject.toml


def checkout() -> Path | None:
    """The folder that holds `recq_lib` beside recq's own `pyproject.toml`; None where the library is installed without them."""
    folder = Path(__file__).resolve().parents[2]
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return None
    return folder if _PROJECT in text.replace("\r\n", "\n") else None


def project_root() -> Path:
    """The checkout (see `checkout`). Raises `ConfigError` outside one: what is asked for (notebooks, tests, pins) is not installed."""
    folder = checkout()
    if folder is None:
        raise ConfigError("this part of recq works in a checkout of its repository, but the library is installed; clone it and run there")
    return folder


def data_dir() -> Path | None:
    """Folder of ready-made datasets, or None when `RECQ_DATA_DIR` is not set."""
    value = os.environ.get("RECQ_DATA_DIR")
    return _folder("RECQ_DATA_DIR", lambda: value) if value else None


def cache_dir() -> Path:
    """Downloaded and converted datasets: `RECQ_CACHE_DIR`, else the user's cache (`$XDG_CACHE_HOME/recq` or `~/.cache/recq` on Linux)."""
    return _folder("RECQ_CACHE_DIR", lambda: platformdirs.user_cache_dir("recq", appauthor=False))


def results_dir() -> Path:
    """Run records."""
    return _kept("RECQ_RESULTS_DIR", "results")


def figures_dir() -> Path:
    """Published figures: `figures/<notebook>/<name>.{png,pdf}`."""
    return _kept("RECQ_FIGURES_DIR", "figures")


def drawing_dir() -> Path:
    """Where a notebook draws: `RECQ_FIGURES_DIR`, else `out/figures`. What is on show is renewed only when asked."""
    return figures_dir() if os.environ.get("RECQ_FIGURES_DIR") else _kept("RECQ_OUT_DIR", "out") / "figures"


def notebooks_dir() -> Path:
    """Sources of the notebooks; they are in a checkout only (`ConfigError` elsewhere)."""
    return project_root() / "notebooks"


def out_dir(profile: str) -> Path:
    """Executed copies of the notebooks for one profile; never the sources."""
    return _kept("RECQ_OUT_DIR", "out") / profile


def checkpoints_dir() -> Path:
    """Checkpoints of runs that have not ended yet, and trained models that other runs start from."""
    return _kept("RECQ_CHECKPOINTS_DIR", "checkpoints")


def _kept(variable: str, name: str) -> Path:
    """The folder `variable` names, else `name` in the checkout or in the user's data folder (`~/.local/share/recq` on Linux)."""
    root = checkout()
    return _folder(variable, lambda: root / name if root else Path(platformdirs.user_data_dir("recq", appauthor=False), name))


def _folder(variable: str, default: Callable[[], Path | str]) -> Path:
    try:
        return Path(os.environ.get(variable) or default()).expanduser().resolve()
    except RuntimeError:  # neither HOME nor the system's list of users knows a home
        raise ConfigError(f"{variable} is not set to a full path, and this user has no home folder; set {variable}, or HOME") from None

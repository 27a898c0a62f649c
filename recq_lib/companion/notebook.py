"""What a notebook starts and ends with: set-up, sizes of the profiles, tables and results."""

from __future__ import annotations

import html
import json
import math
import numbers
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recq_lib.companion import figure_store
from recq_lib.errors import ConfigError, one_of
from recq_lib.io import paths

# (message, category, module): deprecations inside libraries that a reader can do nothing about. Ours stay visible.
_QUIET: tuple[tuple[str, type[Warning], str], ...] = (
    (r".*torch_geometric\..* (is|has been) deprecated.*", DeprecationWarning, r""),
    (r".*torch_geometric\..* (is|has been) deprecated.*", UserWarning, r""),
    (r".*torch\.jit\..* is deprecated.*", DeprecationWarning, r""),
    (r".*vert: bool .*deprecated.*", DeprecationWarning, r"seaborn\."),
    (r".*vert: bool .*deprecated.*", PendingDeprecationWarning, r"seaborn\."),
    (r".*[Cc]opy keyword is deprecated.*", DeprecationWarning, r"seaborn\."),
    (r".*[Cc]opy keyword is deprecated.*", FutureWarning, r"seaborn\."),
)


# ---- set-up -----------------------------------------------------------------------------------------------------------


def setup(seed: int = 0, threads: int | None = None) -> None:
    """Make the notebook repeatable and set its look; call it once, in the first code cell.

    seed : seeds Python, NumPy and torch; samplers still take their own generator
    threads : for torch, numba and BLAS; default `RECQ_THREADS`, else the cores this process may use

    Equal bits on one machine with one thread count; agreement within tolerance elsewhere. On a GPU some operations have no
    deterministic form; torch then warns.
    """
    if not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**32:
        raise ConfigError(f"seed is {seed!r}, but must be an integer in [0, 2**32)")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for message, category, module in _QUIET:
        warnings.filterwarnings("ignore", message=message, category=category, module=module)
    _set_threads(thread_count() if threads is None else threads)
    _seed(int(seed))
    _set_look()


def thread_count() -> int:
    """`RECQ_THREADS` if set, else the number of cores this process may use. `ConfigError` unless a positive integer."""
    value = os.environ.get("RECQ_THREADS")
    if value is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if not value.isdigit() or int(value) < 1:
        raise ConfigError(f"RECQ_THREADS is {value!r}, but must be a positive integer")
    return int(value)


def _seed(seed: int) -> None:
    import random

    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)


def _set_threads(threads: int) -> None:
    if not isinstance(threads, numbers.Integral) or threads < 1:
        raise ConfigError(f"threads is {threads!r}, but must be a positive integer")
    import numba
    import threadpoolctl
    import torch

    torch.set_num_threads(int(threads))
    numba.set_num_threads(min(int(threads), numba.config.NUMBA_NUM_THREADS))
    threadpoolctl.threadpool_limits(int(threads), user_api="blas")


def _set_look() -> None:
    from recq_lib.companion.plotting import use_style

    use_style()
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    shell.run_line_magic("matplotlib", "inline")
    set_matplotlib_formats("png", dpi=110)
    use_style()  # the inline backend resets some settings when it starts


# ---- profiles ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profile:
    """Sizes of one profile. Notebooks take theirs from here, so that "quick" means the same everywhere."""

    name: str
    datasets: tuple[str, ...]  # tried in this order; the first that can be had is used, else synthetic data where allowed
    seeds: tuple[int, ...]  # intervals need at least three
    dim: int  # embedding width; 64 is the field's default, 256 that of the 1-bit papers
    layers: int  # propagation steps
    max_epochs: int  # upper bound; early stopping usually ends sooner
    patience: int  # evaluations without improvement before stopping
    batch_size: int  # interactions per step
    synthetic_allowed: bool  # a paper figure never falls back to synthetic data

    def pick(self, *, smoke: Any, quick: Any, paper: Any) -> Any:
        """The value for this profile, for a size that only one notebook needs."""
        return {"smoke": smoke, "quick": quick, "paper": paper}[self.name]

    def __str__(self) -> str:
        count = len(self.seeds)
        plural = "s" if count > 1 else ""
        return f"{self.name}: dim {self.dim}, layers {self.layers}, at most {self.max_epochs} epochs, {count} seed{plural}"


_PROFILES = {
    "smoke": Profile("smoke", (), (0,), 32, 2, 20, 5, 1024, True),
    "quick": Profile("quick", ("ml100k", "lastfm", "beauty"), (0, 1, 2), 64, 2, 60, 5, 2048, True),
    "paper": Profile("paper", ("beauty", "ml1m", "gowalla", "yelp2018"), (0, 1, 2), 64, 2, 400, 10, 2048, False),
}


def resolve_profile(profile: str) -> Profile:
    """Sizes of "smoke", "quick" or "paper"; `ConfigError` naming the closest for anything else."""
    return _PROFILES[one_of("profile", profile, figure_store.PROFILES)]


# ---- tables -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """A data frame with a caption that says profile and data source; HTML where it can be shown, else plain text."""

    frame: Any
    caption: str
    digits: int
    index: bool

    def __repr__(self) -> str:
        return f"{self.caption}\n{self.frame.to_string(index=self.index, float_format=self._number, na_rep='–')}"

    def _repr_html_(self) -> str:
        body = self.frame.to_html(index=self.index, float_format=self._number, na_rep="–", border=0, justify="right")
        return f"<p><b>{html.escape(self.caption)}</b></p>\n{body}"

    def _number(self, value: float) -> str:
        return f"{value:.{self.digits}f}"


def show_table(
    frame: Any, caption: str, *, profile: str, source: str, protocol: str = "", digits: int = 3, index: bool = False
) -> None:
    """Display a pandas data frame under "caption · profile · data source"; `protocol` as in `plotting.save_figure`.

    digits : decimals of floating-point columns; index : show row labels. Missing values are shown as a dash.
    Outside a notebook the table is printed as text. Raises `ConfigError` for an unknown profile or an empty source.
    """
    scope = figure_store.scope(profile, protocol)
    if not source.strip():
        raise ConfigError(f"source of table {caption!r} is empty; say where its data came from, e.g. interactions.source")
    table = Table(frame, f"{caption} · {scope} · {source}", digits, index)
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(table)
        return
    if get_ipython() is None:
        print(table)
    else:
        display(table)


# ---- results ----------------------------------------------------------------------------------------------------------


def save_results(
    notebook: str,
    *,
    profile: str,
    source: str,
    values: Mapping[str, float | int],
    tolerances: Mapping[str, float] | None = None,
    seed: int | None = None,
) -> None:
    """Write `out/<profile>/<notebook>.json`: the numbers the notebook stands for, where they came from, and provenance.

    values : name -> number, e.g. {"recall@20 lightgcn": 0.1834, "parameters": 529093}
    tolerances : name -> absolute deviation allowed when the notebook is run elsewhere; take it from the spread over seeds.
        Without one, integers must be equal and other numbers agree within 5 %.
    source : data source, shown in the end table of `./run_all.sh`

    Raises `ConfigError` for a value that is not a finite number, a negative tolerance or one that names no value.
    """
    figure_store.rank(profile)
    if not source.strip():
        raise ConfigError(f"source of the results of {notebook!r} is empty; say where the data came from, e.g. interactions.source")
    limits = dict(tolerances or {})
    for name, value in values.items():
        if not isinstance(value, numbers.Real) or not math.isfinite(value):
            raise ConfigError(f"result {name!r} of {notebook!r} is {value!r}, but must be a finite number")
    for name, limit in limits.items():
        if name not in values:
            raise ConfigError(f"tolerance {name!r} of {notebook!r} names no value; the values are {', '.join(values)}")
        if not limit >= 0:
            raise ConfigError(f"tolerance {name!r} of {notebook!r} is {limit!r}, but must be a number of at least 0")
    document = {
        "notebook": notebook,
        "profile": profile,
        "source": source,
        "seed": seed,
        "values": {name: int(value) if isinstance(value, numbers.Integral) else float(value) for name, value in values.items()},
        "tolerances": {name: float(limit) for name, limit in limits.items()},
        "provenance": _provenance(),
    }
    text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"
    figure_store.write_text(paths.out_dir(profile) / f"{notebook}.json", text)


def _provenance() -> dict[str, Any]:
    from recq_lib.companion.environment import versions
    from recq_lib.runs.provenance import library_hash

    return {"lib_sha256": library_hash(), "versions": versions(), "threads": thread_count()}

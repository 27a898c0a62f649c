"""`Book`: figures, tables and results of one notebook, each stamped with profile and data source without saying them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from recq_lib.companion.notebook import resolve_profile, save_results, setup, show_table, thread_count
from recq_lib.companion.plotting import save_figure

__all__ = ["Book", "resolve_profile", "setup", "thread_count"]


@dataclass(frozen=True)
class Book:
    """A notebook's name, and the profile and data source that hold unless a call says otherwise.

    name : file name without suffix, e.g. "02_lightgcn"; source : where the data came from, e.g. "beauty (RECQ_DATA_DIR)"
    All methods raise `ConfigError` for an unknown profile or an empty source.
    """

    name: str
    profile: str
    source: str

    def at(self, profile: str, source: str) -> Book:
        """The same notebook with another profile and source: for what is drawn from records, or from a toy (always "smoke")."""
        return dataclasses.replace(self, profile=profile, source=source)

    def show(self, fig: Figure, name: str, *, source: str = "") -> None:
        """Stamp the figure, save it as `<figures>/<notebook>/<name>.{png,pdf}`, and show it."""
        save_figure(fig, name, notebook=self.name, profile=self.profile, source=source or self.source)
        plt.show()

    def table(self, frame: Any, caption: str, *, source: str = "", digits: int = 3, index: bool = False) -> None:
        """Show a data frame under "caption · profile · source"; `digits` and `index` as in `notebook.show_table`."""
        show_table(frame, caption, profile=self.profile, source=source or self.source, digits=digits, index=index)

    def results(
        self, values: Mapping[str, float | int], tolerances: Mapping[str, float] | None = None, *, seed: int | None = None
    ) -> None:
        """Write the numbers the notebook stands for; see `notebook.save_results`."""
        save_results(self.name, profile=self.profile, source=self.source, values=values, tolerances=tolerances, seed=seed)

"""`Book`: figures, tables and results of one notebook, each stamped with profile and data source without saying them again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from recq_lib.companion.notebook import resolve_profile, save_results, setup, show_table, thread_count
from recq_lib.companion.plotting import save_figure
from recq_lib.companion.studies.naming import told
from recq_lib.runs.records import RunRecord

__all__ = ["Book", "resolve_profile", "setup", "thread_count"]


@dataclass(frozen=True)
class Book:
    """A notebook's name, and the profile and data source that hold unless a call says otherwise.

    name : file name without suffix, e.g. "02_lightgcn"; source : where the data came from, e.g. "beauty (RECQ_DATA_DIR)"
    protocol : that of the runs shown, which stands in place of the profile "paper" (`figure_store.scope`); empty where there are none
    All methods raise `ConfigError` for an unknown profile or an empty source.
    """

    name: str
    profile: str
    source: str
    protocol: str = ""

    def at(self, profile: str, source: str, records: Iterable[RunRecord] = (), *, protocol: str = "") -> Book:
        """The same notebook with another profile and source: for what is drawn from `records`, or from a toy (always "smoke").

        With `records`, everything shown names their protocols, and how many of them come from code that no commit holds. `protocol` is
        said where there are none: of a table whose rows name theirs.
        """
        return dataclasses.replace(self, profile=profile, source=source, protocol=told(records) or protocol)

    def show(self, fig: Figure, name: str, *, source: str = "") -> None:
        """Stamp the figure, save it as `<figures>/<notebook>/<name>.{png,pdf}`, and show it."""
        where = {"profile": self.profile, "source": source or self.source, "protocol": self.protocol}
        save_figure(fig, name, notebook=self.name, **where)
        plt.show()

    def table(self, frame: Any, caption: str, *, source: str = "", digits: int = 3, index: bool = False) -> None:
        """Show a data frame under "caption · profile · source"; `digits` and `index` as in `notebook.show_table`."""
        where = {"profile": self.profile, "source": source or self.source, "protocol": self.protocol}
        show_table(frame, caption, digits=digits, index=index, **where)

    def results(
        self, values: Mapping[str, float | int], tolerances: Mapping[str, float] | None = None, *, seed: int | None = None
    ) -> None:
        """Write the numbers the notebook stands for; see `notebook.save_results`."""
        save_results(self.name, profile=self.profile, source=self.source, values=values, tolerances=tolerances, seed=seed)

"""Results of notebook 05: the paper's Table 8 beside ours, and BACO's lead over every other way to share rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recq_lib.companion.analysis.activity import Kept
from recq_lib.companion.analysis.paired import SHOWN
from recq_lib.companion.plotting import figure, method_colour, percent_axis


def beside_published(tables: Mapping[str, pd.DataFrame], xlabel: str) -> Figure:
    """Published values (diamonds) beside ours (dots, 95 % interval over seeds), a panel per title; tables of `beside_rows`."""
    rows = max(len(table) for table in tables.values())
    fig, axes = figure("double" if len(tables) > 1 else "single", 1.1 + 0.24 * rows, ncols=len(tables), squeeze=False)
    for ax, (title, table) in zip(axes[0], tables.items(), strict=True):
        _draw_beside(ax, table.sort_values("published", na_position="first").reset_index(drop=True))
        ax.set(xlabel=xlabel, title=title)
    axes[0, 0].legend(loc="upper left", ncols=3, columnspacing=1.2, handletextpad=0.3, fontsize=7.5)
    return fig


def _draw_beside(ax: Axes, rows: pd.DataFrame) -> None:
    """Hollow: one seed, so no interval."""
    for row, entry in rows.iterrows():
        ax.plot(entry["published"], row, "D", color="none", markeredgecolor="#222222", markersize=5)
        if np.isfinite(entry["ours"]):
            colour, half = method_colour(entry["label"]), entry["half_width"]
            one_seed = {"xerr": 0.0, "markerfacecolor": "white"}
            ax.errorbar(entry["ours"], row, fmt="o", color=colour, markersize=5, **({"xerr": half} if np.isfinite(half) else one_seed))
    for marker, face, label in (("D", "none", "published"), ("o", "#222222", "ours, 95 % over seeds"), ("o", "white", "one seed")):
        ax.plot([], [], marker, markerfacecolor=face, markeredgecolor="#222222", color="none", markersize=5, label=label)
    ax.set_yticks(range(len(rows)), rows["label"])
    furthest = np.nanmax([rows["published"].max(), (rows["ours"] + rows["half_width"].fillna(0)).max()])
    ax.set(xlim=(0, 1.05 * furthest), ylim=(-0.7, len(rows) + 0.5))  # room for the furthest mark and for the legend


def kept_beside(panels: Mapping[str, tuple[Kept, Kept]], quarters: Sequence[str]) -> Figure:
    """What shared rows keep of the full table's metric by quarter of users, a panel per title: (ours solid, published dotted).

    Both are name → {quarter: share}; one name has one colour.
    """
    fig, axes = figure("double", 3.8, ncols=len(panels), sharey=True, squeeze=False)
    for ax, (title, both) in zip(axes[0], panels.items(), strict=True):
        for kept, style, whose in zip(both, ("o-", "D:"), ("ours", "published"), strict=True):
            for name, shares in kept.items():
                colour = method_colour(name)
                face = colour if whose == "ours" else "white"
                ax.plot(list(shares), list(shares.values()), style, color=colour, markerfacecolor=face, label=f"{name}, {whose}")
        ax.set_xticks(range(len(quarters)), [f"{quarter} %" for quarter in quarters])
        ax.set(title=title, xlabel="test users by training activity")
        percent_axis(ax, "y")
    axes[0, 0].set_ylabel("Recall@20, of the full table's")
    axes[0, 0].legend(loc="best")
    return fig


def lead(tests: pd.DataFrame, title: str) -> Figure:
    """One way to share rows minus every other, in points, with 95 % intervals over users; filled where a test shows a difference (Holm).

    tests : rows of `analysis.paired.paired` with one a
    """
    rows = tests.sort_values("difference", ascending=False).reset_index(drop=True)
    fig, ax = figure("single", 1.1 + 0.24 * len(rows))
    for row in rows.itertuples():
        colour, face = method_colour(row.b), method_colour(row.b) if row.verdict in SHOWN else "white"
        ax.plot([row.low, row.high], [row.Index, row.Index], color=colour, linewidth=1.8, zorder=2)
        ax.plot(row.difference, row.Index, "o", color=colour, markerfacecolor=face, markersize=5.5, zorder=3)
    ax.axvline(0, color="#222222", linewidth=1.0, zorder=1)
    ax.set_yticks(range(len(rows)), rows["b"])
    ax.set(title=title, ylim=(-0.6, len(rows) - 0.4))
    ax.set_xlabel(f"Recall@20 of {rows['a'].iloc[0]} minus the other's, points\nbar: 95 % over users; hollow: no difference shown")
    ax.grid(axis="y", visible=False)
    return fig

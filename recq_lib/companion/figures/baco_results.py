"""Results of notebook 05: the paper's Table 8 beside ours, and BACO's lead over every other way to share rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recq_lib.companion import published
from recq_lib.companion.figures.baco import colour_of
from recq_lib.companion.plotting import figure, percent_axis
from recq_lib.companion.report import protocol_of
from recq_lib.data.loading import RESPLIT
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.records import RunRecord

Kept = Mapping[str, Mapping[int, float]]  # name → {quarter of users: share}
_PER_DATASET = {"option.gamma", "option.resolution"}


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
            colour, half = colour_of(entry["method"]), entry["half_width"]
            one_seed = {"xerr": 0.0, "markerfacecolor": "white"}
            ax.errorbar(entry["ours"], row, fmt="o", color=colour, markersize=5, **({"xerr": half} if np.isfinite(half) else one_seed))
    for marker, face, label in (("D", "none", "published"), ("o", "#222222", "ours, 95 % over seeds"), ("o", "white", "one seed")):
        ax.plot([], [], marker, markerfacecolor=face, markeredgecolor="#222222", color="none", markersize=5, label=label)
    ax.set_yticks(range(len(rows)), rows["label"])
    furthest = np.nanmax([rows["published"].max(), (rows["ours"] + rows["half_width"].fillna(0)).max()])
    ax.set(xlim=(0, 1.05 * furthest), ylim=(-0.7, len(rows) + 0.5))  # room for the furthest mark and for the legend


def beside_rows(records: Sequence[RunRecord], dataset: str, metric: str, *, any_protocol: bool = False) -> pd.DataFrame:
    """The paper's Table 8 for one dataset and metric, and ours: method, label, published, ours, half_width, difference (%), seeds.

    Only records on the dataset, or on our own split of it, that follow BACO's protocol count: in every parameter but γ and the resolution,
    which the paper sets per dataset. With `any_protocol` all of them count, and their reader has to be told how they differ. `ours` is nan
    and `seeds` 0 where there is none.
    """
    ours: dict[str, list[float]] = {}
    for record in records:
        here = record.spec.dataset.removesuffix(RESPLIT) == dataset and metric in record.metrics
        if here and (any_protocol or _follows_the_paper(record)):
            ours.setdefault(record.spec.method.removesuffix("-hash"), []).append(100 * record.metrics[metric])
    rows = []
    for number in published.lookup(paper="baco", dataset=dataset, metric=metric, setting=""):
        values = ours.get(number.method, [])
        interval = mean_interval(values) if values else None
        mean, half = (interval.mean, interval.half_width) if interval else (np.nan, np.nan)
        rows.append((number.method, number.label, number.value, mean, half, mean - number.value, len(values)))
    return pd.DataFrame(rows, columns=["method", "label", "published", "ours", "half_width", "difference", "seeds"])


def kept_beside(panels: Mapping[str, tuple[Kept, Kept]], quarters: Sequence[str]) -> Figure:
    """What shared rows keep of the full table's metric by quarter of users, a panel per title: (ours solid, published dotted).

    Both are name → {quarter: share}; one name has one colour.
    """
    fig, axes = figure("double", 3.8, ncols=len(panels), sharey=True, squeeze=False)
    for ax, (title, both) in zip(axes[0], panels.items(), strict=True):
        for kept, style, whose in zip(both, ("o-", "D:"), ("ours", "published"), strict=True):
            for name, shares in kept.items():
                face = colour_of(name) if whose == "ours" else "white"
                ax.plot(list(shares), list(shares.values()), style, color=colour_of(name), markerfacecolor=face, label=f"{name}, {whose}")
        ax.set_xticks(range(len(quarters)), [f"{quarter} %" for quarter in quarters])
        ax.set(title=title, xlabel="test users by training activity")
        percent_axis(ax, "y")
    axes[0, 0].set_ylabel("Recall@20, of the full table's")
    axes[0, 0].legend(loc="best")
    return fig


def _follows_the_paper(record: RunRecord) -> bool:
    protocol, changes = protocol_of(record)
    return protocol == "baco" and changes.keys() <= _PER_DATASET


def lead(tests: pd.DataFrame, reference: str, title: str) -> Figure:
    """`reference` minus every other, in points, with 95 % intervals over users; filled where a test shows a difference (Holm).

    tests : columns other, mean_difference, low, high, verdict ("… better" or "no difference shown")
    """
    rows = tests.sort_values("mean_difference", ascending=False).reset_index(drop=True)
    fig, ax = figure("single", 1.1 + 0.24 * len(rows))
    for row in rows.itertuples():
        colour, shown = colour_of(row.other), row.verdict.endswith("better")
        ax.plot([row.low, row.high], [row.Index, row.Index], color=colour, linewidth=1.8, zorder=2)
        ax.plot(row.mean_difference, row.Index, "o", color=colour, markerfacecolor=colour if shown else "white", markersize=5.5, zorder=3)
    ax.axvline(0, color="#222222", linewidth=1.0, zorder=1)
    ax.set_yticks(range(len(rows)), rows["other"])
    ax.set(title=title, ylim=(-0.6, len(rows) - 0.4))
    ax.set_xlabel(f"Recall@20 of {reference} minus the other's, points\nbar: 95 % over users; hollow: no difference shown")
    ax.grid(axis="y", visible=False)
    return fig


def lead_in_words(tests: pd.DataFrame, reference: str, baselines: Sequence[str]) -> str:
    """Rows of `lead` in words: over how many of the `baselines` a lead is shown, over which it is not, and how the other rows end."""
    among, others = tests[tests["other"].isin(baselines)], tests[~tests["other"].isin(baselines)]
    shown, behind = among["verdict"] == f"{reference} better", among["verdict"] == among["other"] + " better"
    words = [f"of {len(among)} baselines with records {reference} is shown better than {shown.sum()}"]
    for group, what in ((behind, "shown worse than"), (~shown & ~behind, "no difference shown to")):
        if group.any():
            words.append(f"{what} {', '.join(_with_points(row) for row in among[group].itertuples())}")
    words += [f"beside {_with_points(row)}: {row.verdict}" for row in others.itertuples()]
    return "; ".join(words) + "."


def _with_points(row: Any) -> str:
    return f"{row.other} ({row.mean_difference:+.2f} points)"

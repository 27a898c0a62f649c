"""Figures of notebook 09: prices, γ and size, shapes of clusters, ghosts, sweeps, and what each choice does to the ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from recq_lib.companion.analysis.activity import QUARTERS, kept_by_activity
from recq_lib.companion.analysis.clusters import company
from recq_lib.companion.analysis.verdict import SHOWN
from recq_lib.companion.analysis.weighting import DEFAULT, FULL
from recq_lib.companion.plotting import (
    PALETTE,
    figure,
    heat_map,
    legend_below,
    method_colour,
    method_marker,
    name_rows,
    percent_axis,
    plain_numbers,
    seed_dots,
)  # fmt: skip
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.registry import METHODS
from recq_lib.sharing.sharing import Sharing

# weighting → colour, line style; the first is the usual one
STYLES = {
    "degree / released": ("pink", "-"), "degree / uniform": ("blue", "-"), "degree / degree": ("amber", "--"),
    "uniform / uniform": ("green", "-"), "sqrt / sqrt": ("sky", "-."), "log / log": ("brown", ":"),
}  # fmt: skip


# ---- the objective -------------------------------------------------------------------------------------------------------------


def prices(matrices: Mapping[str, np.ndarray]) -> Figure:
    """w_u·w_v of every pair of a small dataset over its mean, one panel per weighting [U, I]; one colour scale."""
    fig, axes = figure("double", 4.6, nrows=2, ncols=-(-len(matrices) // 2), squeeze=False)
    relative = {name: matrix / matrix.mean() for name, matrix in matrices.items()}
    top = max(matrix.max() for matrix in relative.values())
    for ax in axes.flat[len(relative) :]:
        ax.axis("off")
    for ax, (name, matrix) in zip(axes.flat, relative.items()):
        users, items = ([f"{side}{k}" for k in range(n)] for side, n in zip("ui", matrix.shape, strict=True))
        heat_map(ax, pd.DataFrame(matrix, users, items), ".1f", vmin=0, vmax=top)
        ax.set_title(name, color=_colour(name))
    return fig


def gamma_curves(curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]], chosen: Mapping[str, float], budget: float) -> Figure:
    """Size (share of a full table) against γ as it is (left) and in the common unit (right), one line per weighting.

    curves : name → (γ [n], sizes [n], common unit); chosen : name → γ found for `budget`, marked
    """
    fig, axes = figure("double", 3.7, ncols=2, sharey=True)
    for ax, scaled in zip(axes, (False, True), strict=True):
        for name, (gammas, sizes, unit) in curves.items():
            factor = unit if scaled else 1.0
            colour, style = STYLES.get(name, ("grey", "-"))
            ax.plot(factor * gammas, sizes, style, color=PALETTE[colour], linewidth=1.5, label=name)
            if name in chosen:
                ax.plot(factor * chosen[name], budget, "o", color=PALETTE[colour], markersize=5, zorder=4)
        ax.axhline(budget, color="#222222", linewidth=1.0, linestyle="--", label=f"size {budget:.0%}")
        ax.set(xscale="log", xlabel="γ × W_U(all)·W_V(all) / |E|" if scaled else "γ")
    axes[0].set(ylabel="parameters / full table", title="γ as it is")
    axes[1].set_title("γ in one unit")
    percent_axis(axes[0], "y")
    legend_below(fig, axes[0], rows=2)
    return fig


# ---- clusters ------------------------------------------------------------------------------------------------------------------


def row_sizes(found: Mapping[str, Sharing], degrees: tuple[np.ndarray, np.ndarray]) -> Figure:
    """Upper: nodes per row against the rank of the row. Lower: median nodes on a node's row against its degree. Users left, items right.

    found : weighting → clustering, first rows are shown; degrees : of the users [U] and of the items [I]
    """
    fig, axes = figure("double", 5.8, nrows=2, ncols=2, sharey="row")
    for column, (side, degree) in enumerate(zip(("user", "item"), degrees, strict=True)):
        upper, lower = axes[:, column]
        for name, clustering in found.items():
            rows = (clustering.users if side == "user" else clustering.items)[:, 0]
            colour, style = STYLES.get(name, ("grey", "-"))
            falling = np.sort(np.bincount(rows))[::-1]
            upper.plot(np.arange(1, falling.size + 1), falling, style, color=PALETTE[colour], linewidth=1.4, label=name)
            lower.plot(*company(degree, rows), style, marker="o", markersize=3.5, color=PALETTE[colour], linewidth=1.2)
        upper.set(xscale="log", yscale="log", xlabel=f"rank of the {side} row", title=f"{side.capitalize()}s: how large are rows?")
        lower.set(xscale="log", yscale="log", xlabel=f"training degree of the {side}", title=f"{side.capitalize()}s: who is on large rows?")
        for ax in (upper, lower):
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            plain_numbers(ax.xaxis, ax.yaxis)
    axes[0, 0].set_ylabel("nodes on the row")
    axes[1, 0].set_ylabel("nodes on its row, median")
    legend_below(fig, axes[0, 0], rows=2)
    return fig


def agreement(matrix: pd.DataFrame) -> Figure:
    """Adjusted Rand indices, square, as `analysis.clusters.agreement` makes them."""
    fig, ax = figure("single", 1.5 + 0.36 * len(matrix))
    heat_map(ax, matrix, ".2f", vmin=0, vmax=1)
    ax.set_xticks(ax.get_xticks(), matrix.columns, rotation=40, ha="right")
    ax.set_title("Are they the same clusters? (adjusted Rand index)")
    return fig


def ghosts(per_sweep: Mapping[str, Sequence[float]], ends: Mapping[str, tuple[float, float]]) -> Figure:
    """Left: rows over nodes after each sweep, with and without ghosts. Right: weighting → (with, without) after the last, joined."""
    fig, (left, right) = figure("double", 3.4, ncols=2)
    for (name, shares), colour, marker in zip(per_sweep.items(), ("pink", "grey"), "os", strict=False):
        left.plot(range(1, len(shares) + 1), shares, marker + "-", color=PALETTE[colour], label=name)
    left.set(xlabel="sweeps", ylabel="rows / nodes", ylim=(0, None), title=f"{DEFAULT}, one γ")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    percent_axis(left, "y")
    places = np.arange(len(ends))[::-1]
    for place, both in zip(places, ends.values(), strict=True):
        right.plot(both, [place, place], color="#BBBBBB", linewidth=1.6, zorder=1)
        for value, colour, marker in zip(both, ("pink", "grey"), "os", strict=True):
            right.plot(value, place, marker, color=PALETTE[colour], zorder=3)
    name_rows(right, list(ends)[::-1])
    right.set(xlabel="rows / nodes after the last sweep", title="Every weighting at its own γ")
    percent_axis(right, "x", 1)
    legend_below(fig, left)
    return fig


def reach(sizes: Mapping[int, np.ndarray], plain: Mapping[int, float], budgets: Sequence[float]) -> Figure:
    """Bars from the smallest to the largest size any γ gives after T sweeps; budgets as dashed lines.

    sizes : T → shares of a full table for several γ; plain : T → share at γ = 0 (a diamond)
    """
    fig, ax = figure("single", 3.5)
    for number, (sweeps, shares) in enumerate(sizes.items()):
        label = "sizes that some γ gives" if number == 0 else "_"
        ax.bar(sweeps, np.ptp(shares), bottom=np.min(shares), width=0.55, color=PALETTE["sky"], alpha=0.55, label=label)
    ax.plot(list(plain), list(plain.values()), "D", color=PALETTE["grey"], markersize=5.5, label="γ = 0: label propagation")
    for number, budget in enumerate(budgets):
        ax.axhline(budget, color="#222222", linewidth=1.0, linestyle="--", label="sizes of the study" if number == 0 else "_")
    ax.set(
        xlabel="number of sweeps T",
        ylabel="parameters / full table",
        xticks=list(sizes),
        title="What T sweeps can still reach",
        ylim=(0, None),
    )
    ax.grid(axis="x", visible=False)
    percent_axis(ax, "y")
    legend_below(fig, ax, rows=2)
    return fig


# ---- ranking -------------------------------------------------------------------------------------------------------------------


def with_and_without(table: pd.DataFrame, full: np.ndarray, metric: str, title: str) -> Figure:
    """Metric per weighting with second rows (filled) and without (hollow); small marks are seeds, bars 95 % intervals over seeds.

    table : rows of `runs_table` that vary user, item and scu; full : the full table's values, a dashed line
    """
    pairs = list(dict.fromkeys(zip(table["user"], table["item"], strict=True)))
    fig, ax = figure("double", 1.4 + 0.42 * len(pairs))
    for scu, colour, marker, shift in ((True, "pink", "o", 0.15), (False, "grey", "s", -0.15)):
        label = "with second rows" if scu else "without, as many parameters"
        for place, (user, item) in zip(range(len(pairs) - 1, -1, -1), pairs, strict=True):
            values = table.loc[(table["user"] == user) & (table["item"] == item) & (table["scu"] == scu), "value"].to_numpy()
            if values.size:
                seed_dots(ax, values, place + shift, PALETTE[colour], marker, label)
    if len(full):
        ax.axvline(np.mean(full), color=PALETTE["blue"], linestyle="--", linewidth=1.3, label=FULL)
    name_rows(ax, [f"{user} / {item}" for user, item in reversed(pairs)])
    ax.set(xlabel=f"{metric} on test (small: seeds; bar: 95 % interval over seeds)", title=title)
    percent_axis(ax, "x", 1)
    legend_below(fig, ax)
    return fig


def forest(by_choice: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Differences from the usual choice with 95 % intervals over users; filled where the rule of `analysis.verdict` calls it
    better or worse, hollow where not.

    by_choice : choice → rows of `analysis.paired.paired`, a the alternative, b the usual value
    """
    entries = [(choice, row) for choice, tests in by_choice.items() for row in tests.itertuples()]
    fig, ax = figure("double", 1.3 + 0.3 * max(len(entries), 1))
    colours = dict(zip(by_choice, ("pink", "blue", "green", "amber", "brown"), strict=False))
    for place, (choice, row) in zip(range(len(entries) - 1, -1, -1), entries, strict=True):
        colour, shown = PALETTE[colours[choice]], row.verdict in SHOWN
        ax.plot([row.low, row.high], [place, place], color=colour, linewidth=1.8, zorder=2)
        ax.plot(row.difference, place, "o", color=colour, markerfacecolor=colour if shown else "white", markersize=6, zorder=3)
    for choice, tests in by_choice.items():
        if len(tests):
            ax.plot([], [], "o", color=PALETTE[colours[choice]], label=choice)
    ax.axvline(0, color="#222222", linewidth=1.0, zorder=1)
    name_rows(ax, [row.a for _, row in reversed(entries)])
    ax.set(xlabel="difference from the usual choice, points (bar: 95 % over users)", title=title)
    legend_below(fig, ax)
    return fig


def size_curve(table: pd.DataFrame, full: np.ndarray, metric: str, title: str) -> Figure:
    """Metric against the share of parameters for each way to share rows; the full table as a line. Rows of `runs_table`."""
    fig, ax = figure("single", 3.5)
    for method in ("baco", "graphhash", "random-hash"):
        means, colour = [], method_colour(method)
        for _, part in table[table["method"] == method].groupby("ratio"):
            x, interval = part["share"].mean(), mean_interval(part["value"].to_numpy())
            means.append((x, interval.mean))
            if len(part) > 1:
                ax.plot([x, x], [interval.low, interval.high], color=colour, linewidth=1.4)
        if means:
            ax.plot(*zip(*means, strict=True), method_marker(method) + "-", color=colour, label=METHODS[method].title)
    if len(full):
        ax.axhline(np.mean(full), color=PALETTE["blue"], linestyle="--", linewidth=1.3, label=FULL)
    ax.set(xlabel="parameters / full table", ylabel=f"{metric} on test", title=title, xlim=(0, None))
    ax.xaxis.set_major_locator(_whole())
    percent_axis(ax, "x")
    percent_axis(ax, "y", 1)
    legend_below(fig, ax)
    return fig


def lead_by_size(tests: pd.DataFrame, elsewhere: Mapping[float, float], title: str) -> Figure:
    """BACO minus GraphHash at equal size, in points. Left: ours by size, bars 95 % over users. Right: published on Gowalla, by γ.

    tests : rows of `analysis.weighting.by_size` against GraphHash, filled where called better or worse; elsewhere : γ → points
    """
    fig, (left, right) = figure("double", 3.2, ncols=2, sharey=True)
    colour = PALETTE["pink"]
    for row in tests.itertuples():
        left.plot([row.ratio] * 2, [row.low, row.high], color=colour, linewidth=1.8, zorder=2)
        face = colour if row.verdict in SHOWN else "white"
        left.plot(row.ratio, row.difference, "o", color=colour, markerfacecolor=face, markersize=6, zorder=3)
    right.plot(list(elsewhere), list(elsewhere.values()), "P:", color=PALETTE["brown"])
    for ax in (left, right):
        ax.axhline(0, color="#222222", linewidth=1.0, zorder=1)
    notes = "bar: 95 % over users; hollow: neither better nor worse"
    left.set(xlabel=f"parameters / full table\n{notes}", ylabel="BACO − GraphHash, points", title=title, xlim=(0, None))
    right.set(xlabel="γ (the larger, the larger the table)", title="Published on Gowalla (Fig. 6)")
    percent_axis(left, "x")
    return fig


def activity(table: pd.DataFrame, elsewhere: Mapping[str, Mapping[int, float]], degrees: Sequence[str], metric: str) -> Figure:
    """Left: metric by quarter of training activity (rows of `by_activity`). Right: what is kept of the full table's.

    elsewhere : name → {quarter: share kept} on other data, drawn dotted on the right; degrees : ours of each quarter, as text
    """
    fig, (left, right) = figure("double", 3.8, ncols=2)
    names = list(dict.fromkeys(table["name"]))
    ours = {name: (PALETTE[colour], marker) for name, colour, marker in zip(names, ("blue", "pink", "amber", "grey", "green"), "vosD^")}
    for number, (name, (colour, marker)) in enumerate(ours.items()):
        for quarter, values in table[table["name"] == name].groupby("quarter")["value"]:
            interval, x = mean_interval(values.to_numpy()), quarter + 0.06 * (number - (len(ours) - 1) / 2)
            left.plot([x, x], [interval.low, interval.high], color=colour, linewidth=1.3)
            left.plot(x, interval.mean, marker, color=colour, markersize=5.5, label=name if quarter == table["quarter"].min() else "_")
    for name, kept in kept_by_activity(table).items():
        right.plot(list(kept), list(kept.values()), ours[name][1] + "-", color=ours[name][0])
    for (name, kept), colour in zip(elsewhere.items(), ("brown", "sky"), strict=False):
        right.plot(list(kept), list(kept.values()), "P:", color=PALETTE[colour], label=name)
    for ax in (left, right):
        ax.set_xlabel("test users by training activity")
        ax.yaxis.set_major_locator(_whole())
        percent_axis(ax, "y")
    left.set_xticks(range(len(QUARTERS)), [f"{q} %\n({d})" for q, d in zip(QUARTERS, degrees, strict=True)], fontsize=8)
    right.set_xticks(range(len(QUARTERS)), [f"{q} %" for q in QUARTERS], fontsize=8)
    left.set_xlabel("test users by training activity (training degree)\nbar: 95 % interval over seeds")
    left.set(ylabel=f"{metric} on test", title="Who is served how well")
    right.set(ylabel=f"{metric}, of the full table's", title="What is kept")
    legend_below(fig, left, right)
    return fig


# ---- parts ---------------------------------------------------------------------------------------------------------------------


def _whole() -> MaxNLocator:
    """Ticks at whole per cents, which is what their labels say."""
    return MaxNLocator(7, steps=[1, 2, 5, 10])


def _colour(name: str) -> str:
    return PALETTE[STYLES.get(name, ("grey", "-"))[0]]

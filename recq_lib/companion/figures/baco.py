"""Figures of notebook 05: codebooks, the objective cell by cell, sweeps, sizes of clusters, γ and time; Table 8 beside ours, leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from recq_lib.companion.analysis.activity import Kept
from recq_lib.companion.analysis.clusters import by_cluster
from recq_lib.companion.analysis.verdict import SHOWN
from recq_lib.companion.plotting import PALETTE, figure, method_colour, name_rows, percent_axis, plain_numbers
from recq_lib.data.interactions import Interactions
from recq_lib.sharing.sharing import Sharing

_USERS, _ITEMS = PALETTE["blue"], PALETTE["orange"]
_CLUSTERS = tuple(PALETTE[name] for name in ("pink", "green", "amber", "sky", "brown", "blue", "orange"))
_MARKERS = ("o", "s", "D", "^", "v")
_CROSSING = "#C9C9C9"


# ---- the toy -------------------------------------------------------------------------------------------------------------------


def assignment(sharing: Sharing, dim: int) -> Figure:
    """Nodes on the left, codebook rows as strips of `dim` cells on the right; a line per index, dashed for a second one."""
    fig, axes = figure("double", 0.9 + 0.36 * max(sharing.users.shape[0], sharing.items.shape[0]), ncols=2)
    sides = (
        (axes[0], sharing.users, sharing.n_user_rows, "u", "user", _USERS),
        (axes[1], sharing.items, sharing.n_item_rows, "i", "item", _ITEMS),
    )
    for ax, rows, n_rows, letter, side, colour in sides:
        nodes = np.arange(rows.shape[0])
        places = (nodes.size - 1) / 2 + 1.5 * (np.arange(n_rows) - (n_rows - 1) / 2)
        for column in range(rows.shape[1]):
            for node in np.flatnonzero(rows[:, column] >= 0):
                ends = [node, places[rows[node, column]]]
                ax.plot([0.14, 1.0], ends, "--" if column else "-", color="#8A8A8A", linewidth=1.1, zorder=1)
        for row, place in enumerate(places):
            shade = {"facecolor": _CLUSTERS[row % len(_CLUSTERS)], "alpha": 0.75}
            for cell in range(dim):
                ax.add_patch(Rectangle((1.02 + 0.12 * cell, place - 0.28), 0.11, 0.56, **shade))
        for node in nodes:
            ax.text(0, node, f"{letter}{node}", color="white", ha="center", va="center", fontsize=8.5, weight="bold", zorder=3)
        ax.scatter(np.zeros(nodes.size), nodes, s=330, color=colour, zorder=2)
        ax.set(xlim=(-0.15, 1.1 + 0.12 * dim), ylim=(nodes.size - 0.4, -0.6), title=f"{nodes.size} {side}s, {n_rows} rows")
        ax.axis("off")
    return fig


def gains(matrix: np.ndarray, labellings: Mapping[str, np.ndarray]) -> Figure:
    """What each pair adds to F if it shares a cluster, `matrix` [U, I]; per named labelling [U + I] the pairs that count are framed."""
    fig, axes = figure("double", 3.5, ncols=len(labellings), sharey=True, squeeze=False)
    n_users, n_items = matrix.shape
    reach = np.abs(matrix).max()
    for ax, (name, labels) in zip(axes.flat, labellings.items()):
        ax.imshow(matrix, cmap="PiYG", vmin=-1.25 * reach, vmax=1.25 * reach, aspect="auto")
        same = labels[:n_users, None] == labels[None, n_users:]
        for user, item in np.ndindex(matrix.shape):
            counts = bool(same[user, item])
            weight, colour = ("bold", "#222222") if counts else ("normal", "#6E6E6E")
            ax.text(item, user, f"{matrix[user, item]:+.2f}", ha="center", va="center", fontsize=8.5, weight=weight, color=colour)
            if counts:
                ax.add_patch(Rectangle((item - 0.46, user - 0.45), 0.92, 0.9, fill=False, edgecolor="#222222", linewidth=1.5))
        ax.set_xticks(range(n_items), [f"i{i}" for i in range(n_items)])
        ax.set_yticks(range(n_users), [f"u{u}" for u in range(n_users)])
        ax.set_title(f"{name}: F = {matrix[same].sum():.3f}")
        _bare(ax)
    return fig


def sweeps(data: Interactions, history: Sequence[np.ndarray], values: Sequence[float]) -> Figure:
    """The matrix of a small dataset after each sweep, users and items ordered by cluster.

    history : labels [n_nodes] before the first sweep and after each; values : F of each. Filled cells are interactions, coloured where user
    and item share a cluster (one colour per label in all panels); a frame is drawn around every cluster that has users and items.
    """
    fig, axes = figure("double", 2.9, ncols=len(history))
    colours: dict[int, str] = {}
    for number, (ax, labels, value) in enumerate(zip(axes, history, values, strict=True)):
        users, items = by_cluster(labels, data.n_users)
        own, theirs = labels[users], labels[data.n_users + items]
        filled = data.train[users][:, items].toarray() > 0
        for row, column in np.argwhere(filled):
            label = int(own[row])
            colour = colours.setdefault(label, _CLUSTERS[len(colours) % len(_CLUSTERS)]) if label == theirs[column] else _CROSSING
            ax.add_patch(Rectangle((column - 0.42, row - 0.42), 0.84, 0.84, color=colour, linewidth=0))
        for label in np.intersect1d(own, theirs):
            rows, columns = np.flatnonzero(own == label), np.flatnonzero(theirs == label)
            corner = (columns[0] - 0.5, rows[0] - 0.5)
            ax.add_patch(Rectangle(corner, columns.size, rows.size, fill=False, edgecolor="#222222", linewidth=1.3, clip_on=False))
        ax.set_xticks(range(items.size), [f"i{i}" for i in items], fontsize=7.5)
        ax.set_yticks(range(users.size), [f"u{u}" for u in users], fontsize=7.5)
        ax.set(xlim=(-0.55, items.size - 0.45), ylim=(users.size - 0.45, -0.55), aspect="equal")
        ax.set_title("start" if number == 0 else f"sweep {number}")
        ax.set_xlabel(f"{np.unique(own).size} + {np.unique(theirs).size} rows\nF = {value:.3f}", fontsize=8.5)
        _bare(ax)
    return fig


def _bare(ax: Axes) -> None:
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


# ---- sizes ---------------------------------------------------------------------------------------------------------------------


def share_after_sweeps(shares: Mapping[str, Sequence[float]], published: Mapping[int, float], published_name: str) -> Figure:
    """Parameters over those of a full table (fractions) after sweeps 1, 2, …, one line per name; published points as diamonds."""
    fig, ax = figure("single", 3.4)
    for (name, values), colour, marker in zip(shares.items(), ("pink", "green", "sky", "brown"), _MARKERS, strict=False):
        ax.plot(range(1, len(values) + 1), values, marker + "-", color=PALETTE[colour], label=name)
    if published:
        ax.plot(*zip(*sorted(published.items())), "D", color="none", markeredgecolor="#222222", markersize=7, label=published_name)
    ax.set(xlabel="sweeps", ylabel="parameters / full table", ylim=(0, None), title="Every sweep merges rows")
    percent_axis(ax, "y")
    ax.legend(loc="upper right")
    return fig


def cluster_sizes(sharings: Mapping[str, Sharing]) -> Figure:
    """Nodes per codebook row against the row's rank, log-log, users left and items right (first rows only)."""
    fig, axes = figure("double", 3.3, ncols=2, sharey=True)
    for ax, side in zip(axes, ("users", "items"), strict=True):
        for name, sharing in sharings.items():
            falling = np.sort(np.bincount(getattr(sharing, side)[:, 0]))[::-1]
            falling = falling[falling > 0]
            ax.plot(np.arange(1, falling.size + 1), falling, color=method_colour(name), drawstyle="steps-post", label=name)
        ax.set(xscale="log", yscale="log", xlabel=f"rank of the {side[:-1]} row", title=f"Who shares: {side}")
        plain_numbers(ax.xaxis, ax.yaxis)
    axes[0].set_ylabel("nodes that share the row")
    axes[1].legend(loc="upper right")
    return fig


def gamma_curve(curve: Mapping[float, float], tried: Sequence[tuple[float, float]], budget: float, chosen: float) -> Figure:
    """Share of a full table (fractions) against γ; the points a search tried, numbered in order, its budget and the γ it chose."""
    fig, ax = figure("double", 3.5)
    ax.plot(*zip(*sorted(curve.items())), color=PALETTE["pink"], label="5 sweeps, one seed")
    peak = max(curve, key=lambda gamma: curve[gamma])
    ax.annotate(
        f"most: {curve[peak]:.0%}", (peak, curve[peak]), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8.5,
        color=PALETTE["pink"],
    )  # fmt: skip
    ax.axhline(budget, color="#222222", linewidth=1.0, linestyle="--", label=f"budget: {budget:.0%}")
    points = [pair for pair in tried if pair[0] > 0]
    ax.plot(*zip(*points), "o", color=PALETTE["blue"], markersize=4.5, label=f"tried by the search ({len(tried)})")
    ax.plot(chosen, dict(tried)[chosen], "*", color=PALETTE["orange"], markersize=13, label=f"chosen: γ = {chosen:.3g}")
    ax.set(xscale="log", xlabel="γ", ylabel="parameters / full table", ylim=(0, 1.25 * max(curve.values())))
    ax.set_title("The size that γ gives")
    percent_axis(ax, "y")
    ax.legend(loc="upper left")
    return fig


# ---- time ----------------------------------------------------------------------------------------------------------------------


def time_against_edges(table: pd.DataFrame) -> Figure:
    """Seconds of clustering against train interactions, log-log, a line per solver; columns solver, edges, seconds.

    Dotted: in proportion to the edges, through the point with most of them.
    """
    fig, ax = figure("single", 3.6)
    for (name, part), marker in zip(table.groupby("solver", sort=False), _MARKERS, strict=False):
        ax.plot(part["edges"], part["seconds"], marker + "-", color=method_colour(name), label=name)
    largest = table.iloc[int(table["edges"].to_numpy().argmax())]
    ends = np.array([table["edges"].min(), largest["edges"]])
    ax.plot(ends, largest["seconds"] * ends / largest["edges"], ":", color="#444444", linewidth=1.2, label="proportional")
    ax.set(xscale="log", yscale="log", xlabel="train interactions", ylabel="seconds", title="Time of clustering")
    ax.legend(loc="lower right")
    return fig


# ---- results -------------------------------------------------------------------------------------------------------------------


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
    """One way to share rows minus every other, in points, with 95 % intervals over users.

    Filled where the rule of `analysis.verdict` says better or worse.

    tests : rows of `analysis.paired.paired` with one a
    """
    rows = tests.sort_values("difference", ascending=False).reset_index(drop=True)
    fig, ax = figure("single", 1.1 + 0.24 * len(rows))
    for row in rows.itertuples():
        colour, face = method_colour(row.b), method_colour(row.b) if row.verdict in SHOWN else "white"
        ax.plot([row.low, row.high], [row.Index, row.Index], color=colour, linewidth=1.8, zorder=2)
        ax.plot(row.difference, row.Index, "o", color=colour, markerfacecolor=face, markersize=5.5, zorder=3)
    ax.axvline(0, color="#222222", linewidth=1.0, zorder=1)
    name_rows(ax, rows["b"])
    xlabel = f"Recall@20 of {rows['a'].iloc[0]} minus the other's, points\nbar: 95 % over users; hollow: neither better nor worse"
    ax.set(title=title, xlabel=xlabel)
    return fig

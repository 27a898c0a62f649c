"""Figures of notebook 01: tails, sparsity, splits, metric conventions, selection on test, ties, uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.sparse as sp
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from recq_lib.companion.plotting import PALETTE, figure, method_colour, name_rows, percent_axis, plain_numbers
from recq_lib.evaluation.statistics import MeanInterval

_CYCLE = ("blue", "orange", "green", "pink", "amber", "sky")
_NULL = {"color": PALETTE["grey"], "linestyle": ":", "linewidth": 1.4}


def tails(degrees: Mapping[str, tuple[np.ndarray, np.ndarray]], null: tuple[np.ndarray, np.ndarray]) -> Figure:
    """Interactions against rank, log-log: items left, users right.

    degrees : dataset → (user degrees, item degrees); null : the same for the first dataset with uniformly drawn pairs
    """
    fig, axes = figure("double", 3.3, ncols=2, sharey=True)
    for ax, side, title in ((axes[0], 1, "Items: a few are everywhere"), (axes[1], 0, "Users: a few do a lot")):
        for colour, (name, pair) in zip(_CYCLE, degrees.items(), strict=False):
            ax.plot(*_rank_frequency(pair[side]), color=PALETTE[colour], label=name)
        ax.plot(*_rank_frequency(null[side]), label=f"{next(iter(degrees))} if drawn evenly", **_NULL)
        ax.set(xscale="log", yscale="log", xlabel=f"rank of the {'item' if side else 'user'}", title=title)
        plain_numbers(ax.xaxis, ax.yaxis)
    axes[0].set_ylabel("train interactions")
    axes[0].legend(loc="lower left")
    return fig


def _rank_frequency(degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    falling = np.sort(degrees[degrees > 0])[::-1]  # nodes without an interaction have no place on a logarithmic axis
    return np.arange(1, falling.size + 1), falling


def concentration(item_degrees: Mapping[str, np.ndarray], top: float = 0.1) -> Figure:
    """Share of all train interactions held by the most popular items; `item_degrees` [I] per dataset, a dot at the share `top`."""
    fig, ax = figure("single", 3.5)
    for colour, (name, degrees) in zip(_CYCLE, item_degrees.items(), strict=False):
        falling = np.sort(degrees)[::-1]
        share = np.concatenate([[0.0], np.cumsum(falling) / falling.sum()])
        x = np.arange(share.size) / falling.size
        held = share[max(1, falling.size // round(1 / top))]
        ax.plot(x, share, color=PALETTE[colour], label=f"{name}: {100 * held:.0f}%")
        ax.plot(top, held, "o", color=PALETTE[colour], markersize=5)
    ax.plot([0, 1], [0, 1], label=f"all equally popular: {top:.0%}", **_NULL)
    ax.axvline(top, color="#BBBBBB", linewidth=0.9, zorder=0)
    ax.set(xlabel="items, most popular first", ylabel="share of train interactions", xlim=(0, 1), ylim=(0, 1.02))
    ax.set_title(f"What the top {top:.0%} of items hold")
    percent_axis(ax, "x")
    percent_axis(ax, "y")
    ax.legend(loc="lower right")
    return fig


def density(matrix: sp.csr_matrix, orders: Mapping[str, tuple[np.ndarray, np.ndarray]], bins: int = 48) -> Figure:
    """The interaction matrix as density, once per order; `orders`: title → (users in order, items in order)."""
    fig, axes = figure("double", 3.7, ncols=len(orders), sharey=True)
    pictures = [_binned(matrix, users, items, bins) for users, items in orders.values()]
    filled = np.concatenate([picture[picture > 0] for picture in pictures])
    norm = LogNorm(filled.min(), filled.max())
    for ax, title, picture in zip(np.atleast_1d(axes), orders, pictures, strict=True):
        shown = ax.imshow(np.ma.masked_equal(picture, 0), norm=norm, extent=(0, 1, 1, 0), aspect="equal", interpolation="nearest")
        ax.set(title=title, xlabel="items in this order", facecolor="white")
        percent_axis(ax, "x")
        percent_axis(ax, "y")
        ax.grid(visible=False)
    np.atleast_1d(axes)[0].set_ylabel("users in this order")
    bar = fig.colorbar(shown, ax=axes, shrink=0.86, label="share of cells filled (white: none)")
    bar.outline.set_visible(False)
    return fig


def _binned(matrix: sp.csr_matrix, users: np.ndarray, items: np.ndarray, bins: int) -> np.ndarray:
    """Filled share of each block when users and items are cut into `bins` equal parts in the orders given. float64 [bins, bins]"""
    parts = []
    for order in (users, items):
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size) * min(bins, order.size) // order.size
        parts.append(place)
    rows, columns = matrix.nonzero()
    counts = np.zeros((parts[0].max() + 1, parts[1].max() + 1))
    np.add.at(counts, (parts[0][rows], parts[1][columns]), 1)
    return counts / np.outer(np.bincount(parts[0]), np.bincount(parts[1]))


def splits(sizes: Mapping[str, tuple[np.ndarray, np.ndarray]], cold: pd.DataFrame) -> Figure:
    """Left: test items against all items of a user, per split. Right: nodes that a random edge split leaves without train items.

    sizes : split → (items in all, test items) per user; cold : columns share, side, found, expected, one row per split drawn
    """
    fig, (left, right) = figure("double", 3.4, ncols=2)
    for (name, (total, held)), colour in zip(sizes.items(), ("amber", "green"), strict=False):
        some = total > 0
        left.plot(total[some], held[some] / total[some], ".", color=PALETTE[colour], markersize=3, alpha=0.7, label=name, rasterized=True)
    left.set(xscale="log", xlabel="interactions of the user, all splits", ylabel="share of these in test", title="Test share of each user")
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    percent_axis(left, "y")
    left.legend(loc="upper right", markerscale=4)
    for side, colour in (("items", "orange"), ("users", "blue")):
        part = cold[cold["side"] == side]
        right.plot(part["share"], part["found"], "o", color=PALETTE[colour], markersize=3.5, alpha=0.7, label=f"{side}, counted")
        line = part.groupby("share")["expected"].mean()
        right.plot(line.index, line, "-", color=PALETTE[colour], linewidth=1.2, label=f"{side}, foretold")
    right.set_yscale("symlog", linthresh=1)
    right.set(ylim=(0, 12 * max(1, cold["found"].max())), xlabel="share of edges kept for training", ylabel="nodes without a train pair")
    right.set_title("A random edge split makes cold nodes")
    plain_numbers(left.xaxis, right.yaxis)
    percent_axis(right, "x")
    right.legend(loc="upper right", ncols=2)
    return fig


def conventions(recalls: pd.DataFrame, ndcgs: pd.DataFrame, k: int) -> Figure:
    """One ranking, several conventions across K; index K, one column per convention (fractions), `k` marked."""
    fig, axes = figure("double", 3.5, ncols=2)
    colours = (("blue", "orange", "green"), ("blue", "sky", "pink", "brown", "amber"))
    for ax, table, names in zip(axes, (recalls, ndcgs), colours, strict=True):
        for column, colour in zip(table.columns, names, strict=False):
            dashed = "-" if column == table.columns[0] else "--"
            ax.plot(table.index, table[column], dashed, color=PALETTE[colour], linewidth=1.6, label=column)
        ax.axvline(k, color="#999999", linewidth=1.1, zorder=0)
        ax.set(xlabel="K", ylim=(0, 1.08 * table.max().max()), xlim=(0, table.index.max()))
        ax.text(k, ax.get_ylim()[1], f" K = {k}", fontsize=7.5, color="#777777", va="top")
        percent_axis(ax, "y")
        ax.legend(loc="best")
    axes[0].set(title="Hits divided by what?", ylabel="mean over test users")
    axes[1].set_title("NDCG: which list is ideal?")
    return fig


def optimism(table: pd.DataFrame) -> Figure:
    """Value of the best of m candidates on the half of the users it was chosen on, and on the other half.

    table : one row per cut and direction, columns m, trial (the cut), chosen_on, fresh (fractions)
    """
    means = table.groupby("m")[["chosen_on", "fresh"]].mean()
    fig, (left, right) = figure("double", 3.2, ncols=2)
    left.plot(means.index, means["chosen_on"], "o-", color=PALETTE["orange"], label="users it was chosen on")
    left.plot(means.index, means["fresh"], "o-", color=PALETTE["blue"], label="users it has not seen")
    left.set(xlabel="candidates to choose from", ylabel="Recall of the winner", title="The winner looks better than it is")
    left.legend(loc="lower right")
    percent_axis(left, "y", decimals=1)
    gap = (table["chosen_on"] - table["fresh"]).groupby([table["m"], table["trial"]]).mean().groupby("m")
    mean, error = 100 * gap.mean(), 100 * gap.sem()
    right.errorbar(mean.index, mean, yerr=2 * error, fmt="o-", color=PALETTE["grey"])
    right.axhline(0, color="#444444", linewidth=0.8)
    right.set(xlabel="candidates to choose from", ylabel="gap in points (± 2 s.e. over cuts)", title="Reported minus real")
    return fig


def ties(values: Mapping[str, np.ndarray], fixed: Mapping[str, Mapping[str, float]], metric: str) -> Figure:
    """The metric of each model under many seeded tie orders (dots) and under fixed ones; `fixed`: model → order → value."""
    markers = (("^", "green"), ("v", "pink"), ("s", "amber"))
    fig, ax = figure("double", 0.75 * len(values) + 1.5)
    rng = np.random.default_rng(0)
    for row, (name, found) in enumerate(reversed(list(values.items()))):
        ax.plot(found, row + rng.uniform(-0.16, 0.16, found.size), "o", color=method_colour(name), markersize=3.5, alpha=0.6)
        for (marker, colour), (order, value) in zip(markers, fixed[name].items(), strict=False):
            ax.plot(value, row, marker, color=PALETTE[colour], markersize=8, markeredgecolor="white", label=order if row == 0 else "_")
        low, high = min(*found, *fixed[name].values()), max(*found, *fixed[name].values())
        text = f"{100 * (high - low):.2f} points apart"
        ax.annotate(text, (high, row), xytext=(10, 0), textcoords="offset points", va="center", fontsize=8)
    ax.plot([], [], "o", color=PALETTE["grey"], markersize=4, label="seeded permutations")
    name_rows(ax, list(reversed(values)))
    ax.set(xlabel=f"{metric} on test", title="The same scores, other orders among equals")
    ax.margins(x=0.2)
    percent_axis(ax, "x", decimals=1)
    fig.legend(loc="outside upper center", ncols=4)
    return fig


def intervals(single: Mapping[str, MeanInterval], differences: Mapping[str, MeanInterval], seeds: np.ndarray, seed_name: str) -> Figure:
    """Left: 95 % intervals over users per method, with the seeds of one as dots. Right: paired differences in points.

    single, differences : name → interval over users; seeds : means over users of `seed_name`, one per seed
    """
    fig, (left, right) = figure("double", 0.55 * max(len(single), len(differences)) + 1.5, ncols=2, width_ratios=(1.15, 1))
    _forest(left, single, 1.0)
    row = list(reversed(single)).index(seed_name)
    left.plot(seeds, np.full(len(seeds), row + 0.22), "o", color=method_colour(seed_name), markersize=3.5, alpha=0.8)
    left.set(title="Each method alone", xlabel="Recall on test (small dots: seeds)")
    percent_axis(left, "x")
    _forest(right, differences, 100.0)
    right.axvline(0, color="#444444", linewidth=0.9)
    right.set(title="The same users, paired", xlabel="difference in points")
    return fig


def _forest(ax: Axes, rows: Mapping[str, MeanInterval], scale: float) -> None:
    for row, (name, interval) in enumerate(reversed(list(rows.items()))):
        colour = method_colour(name)
        ax.plot([scale * interval.low, scale * interval.high], [row, row], color=colour, linewidth=2.4)
        ax.plot(scale * interval.mean, row, "o", color=colour, markersize=6)
    name_rows(ax, list(reversed(rows)))
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))

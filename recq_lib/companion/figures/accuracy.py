"""Accuracy of methods side by side: with seeds and intervals, against bytes, and as a share of full precision (notebooks 02, 03, 05)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from scipy.optimize import isotonic_regression

from recq_lib.companion.analysis.kept import label, title_of
from recq_lib.companion.plotting import PALETTE, bytes_axis, figure, method_colour, method_marker, name_rows, percent_axis
from recq_lib.evaluation.statistics import mean_interval

METRIC_TITLES = {"recall@20": "Recall@20", "ndcg_authors@20": "authors' NDCG@20", "ndcg@20": "standard NDCG@20"}


def accuracy(table: pd.DataFrame, metric: str, title: str, name_of: Callable[[str], str] = title_of) -> Figure:
    """Rings per seed, mean and 95 % t-interval per method; columns method, seed and the metric (fractions); `name_of` a method here."""
    means = table.groupby("method")[metric].mean().sort_values()
    fig, ax = figure("single", 0.9 + 0.36 * len(means))
    for row, name in enumerate(means.index):
        _dots(ax, row, table.loc[table["method"] == name, metric].to_numpy(), method_colour(name))
    name_rows(ax, [name_of(name) for name in means.index])
    seeds = "rings: seeds; bar: 95 % interval over seeds" if table.groupby("method").size().max() > 1 else "one seed each"
    ax.set(xlabel=f"{METRIC_TITLES.get(metric, metric)} on test\n{seeds}", title=title)
    ax.set_xlim(0, 1.16 * ax.dataLim.x1)
    percent_axis(ax, "x")
    return fig


def _dots(ax: Axes, row: int, values: np.ndarray, colour: str, *, above: bool = False) -> None:
    interval = mean_interval(values)
    ax.scatter(values, np.full(values.size, row), s=15, facecolors="none", edgecolors=colour, zorder=3)
    ax.scatter(interval.mean, row, s=38, color=colour, zorder=4)
    right = values.max()
    if values.size > 1:
        ax.plot([interval.low, interval.high], [row, row], color=colour, linewidth=2.2, zorder=2)
        right = max(right, interval.high)
    place = {"xytext": (0, 4), "ha": "center", "va": "bottom"} if above else {"xytext": (7, 0), "va": "center"}
    point = (interval.mean if above else right, row)
    text = ax.annotate(f"{100 * interval.mean:.1f}%", point, textcoords="offset points", fontsize=8.5, **place)
    text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def accuracy_against_bytes(table: pd.DataFrame, metric: str, title: str) -> Figure:
    """Mean metric over seeds against bytes stored for all nodes; columns method, metric, bytes.stored."""
    fig, ax = figure("double", 3.9)
    points = []
    for name, part in table.groupby("method", sort=False):
        size, mean, colour = float(part["bytes.stored"].iloc[0]), part[metric].mean(), method_colour(name)
        marker = method_marker(name)
        edge = {"markeredgecolor": "white", "markeredgewidth": 0.5} if marker in Line2D.filled_markers else {}
        ax.plot(size, mean, marker, color=colour, markersize=8, **edge)
        points.append((size, mean, title_of(name), colour))
    sizes, means = zip(*(point[:2] for point in points))
    room = max(max(means) - min(means), 0.1 * max(means))
    ax.set(xscale="log", xlim=(min(sizes) / 1.4, 3 * max(sizes)), ylim=(max(0, min(means) - 0.2 * room), max(means) + 0.15 * room))
    bytes_axis(ax.xaxis)
    ax.set(xlabel="stored for search, all users and items", ylabel=f"{METRIC_TITLES.get(metric, metric)}, mean over seeds", title=title)
    percent_axis(ax, "y")
    _name_points(ax, points)
    return fig


def _name_points(ax: Axes, points: Sequence[tuple[float, float, str, str]], gap: float = 11.0) -> None:
    """Names beside the points, left where the next point is near; names above each other keep `gap` points of distance."""
    ax.figure.canvas.draw()  # transData is settled only then
    scale = 72 / ax.figure.dpi
    sizes = sorted({point[0] for point in points})
    for size, following in zip(sizes, [*sizes[1:], np.inf]):
        shift, side = (-13, "right") if following < 2 * size else (13, "left")
        column = sorted((point for point in points if point[0] == size), key=lambda point: point[1])
        heights = np.array([ax.transData.transform(point[:2])[1] * scale for point in column])
        steps = gap * np.arange(len(column))
        placed = isotonic_regression(heights - steps).x + steps
        for (x, y, name, colour), height, place in zip(column, heights, placed):
            line = {"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
            ax.annotate(
                name, (x, y), xytext=(shift, place - height), textcoords="offset points",
                ha=side, va="center", fontsize=8, color=colour, arrowprops=line,
            )  # fmt: skip


def recovery(rows: Sequence[Mapping[str, object]], metrics: Sequence[str] = ("recall@20", "ndcg@20")) -> Figure:
    """Share of full precision that codes keep, one panel per metric; the band is the abstract's 90-99 %.

    rows : those of `analysis.kept.kept_rows`
    """
    fig, axes = figure("double", 1.2 + 0.34 * len(rows), ncols=len(metrics), sharey=True)
    for ax, metric in zip(axes, metrics):
        ax.axvspan(0.90, 0.99, color=PALETTE["amber"], alpha=0.18, linewidth=0)
        ax.axvline(1, color=PALETTE["blue"], linewidth=1.2)
        for place, row in enumerate(reversed(rows)):
            _dots(ax, place, np.asarray(row[metric], dtype=np.float64), method_colour(str(row["method"])), above=True)
        low, high = min(0.88, ax.dataLim.x0), max(1.02, ax.dataLim.x1)
        ax.set(xlim=(low - 0.02, high + 0.02), ylim=(-0.7, len(rows) - 0.2))
        ax.set(xlabel="share of full precision", title=METRIC_TITLES.get(metric, metric))
        ax.grid(axis="y", visible=False)
        percent_axis(ax, "x")
    axes[0].set_yticks(range(len(rows)), [label(row) for row in reversed(rows)])
    return fig

"""Figures of notebooks 06 and 07: codes of layers at equal bits, and the ways to hard codes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from recq_lib.companion.analysis.layers_and_annealing import CODED, FULL, HARD, PATHS, annealing_table
from recq_lib.companion.plotting import PALETTE, figure, heat_map, legend_below, name_rows, percent_axis, seed_dots
from recq_lib.companion.report import groups
from recq_lib.config import OPTION
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.parts.annealing import Schedule
from recq_lib.runs.records import RunRecord

# colour, marker, and a factor on the place, so that intervals at one place do not hide each other
_STYLES = {"all": ("orange", "o", 1.0), "last": ("grey", "s", 0.97), "mean": ("sky", "D", 1.03)}
_ASIDE = {"all": (5, -12), "last": (-5, -12), "mean": (-5, 6)}  # of a label from its marker, in points
_PATH_COLOURS = dict(zip(PATHS, ("orange", "grey", "blue", "sky", "green", "amber", "pink"), strict=True))
_STARTS = {True: ("warm start", PALETTE["orange"], "o", 0.14), False: ("from scratch", PALETTE["grey"], "s", -0.14)}


# ---- 06: layers --------------------------------------------------------------------------------------------------------------


def storage(rows: Sequence[tuple[str, int, int]]) -> Figure:
    """What a node takes: (name, bytes of bits, bytes of scalers) as stacked bars."""
    fig, ax = figure("double", 0.9 + 0.36 * len(rows))
    names, bits, scalers = zip(*rows, strict=True)
    places = np.arange(len(rows))[::-1]
    ax.barh(places, bits, color=PALETTE["orange"], height=0.6, label="bits")
    ax.barh(places, scalers, left=bits, color=PALETTE["sky"], height=0.6, label="scalers (float32)")
    for place, total in zip(places, np.add(bits, scalers), strict=True):
        _note(ax, f"{total} bytes", (total, place), (5, -3))
    ax.set_yticks(places, names)
    ax.set(xlabel="bytes per node", title="What is stored for a node", xlim=(0, 1.15 * max(np.add(bits, scalers))))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.grid(axis="y", visible=False)
    return fig


def one_node(parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """name → (vector, code) of one node: bars are the vector, marks the values its code stands for."""
    fig, axes = figure("double", 2.5, ncols=len(parts), sharey=True, squeeze=False)
    for ax, (name, (vector, code)) in zip(axes[0], parts.items(), strict=True):
        places = np.arange(1, vector.size + 1)
        ax.bar(places, vector, color=PALETTE["blue"], width=0.7, label="vector")
        ax.plot(places, code, "_", color=PALETTE["orange"], markersize=13, markeredgewidth=2.2, label="code: ±α")
        error = np.square(vector - code).sum() / np.square(vector).sum()
        ax.set(title=f"{name}\nerror {error:.2f}", xlabel="coordinate", xticks=places)
        ax.axhline(0, color="#999999", linewidth=0.8)
    axes[0, 0].set_ylabel("value")
    legend_below(fig, axes[0, 0])
    return fig


def equal_bits(table: pd.DataFrame, title: str) -> Figure:
    """Metric against bits (left) and against stored bytes (right) per node, log₂ axes; a line joins the widths of one kind of code.

    table : rows of `layerwise_table`: one depth, scaler and weighting, and full precision (a dashed line)
    """
    fig, axes = figure("double", 3.5, ncols=2, sharey=True)
    coded, full = table[table["coded"] != FULL], table[table["coded"] == FULL]
    for ax, column in zip(axes, ("bits", "bytes"), strict=True):
        for kind, name in CODED.items():
            means = _interval_points(ax, coded[coded["coded"] == kind], ["width", "bits", column], _STYLES[kind], name)
            for (width, bits, x), value in means.items():
                name = f"{bits // width}×{width}" if bits > width else str(width)
                _note(ax, name, (x, value), _ASIDE[kind])
        if len(full):
            ax.axhline(full["value"].mean(), color=PALETTE["blue"], linestyle="--", linewidth=1.3, label=FULL)
        ax.set_xscale("log", base=2)
        ax.xaxis.set_major_locator(FixedLocator(sorted(coded[column].unique())))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter("{x:g}")
        ax.margins(x=0.12, y=0.12)
        ax.set(xlabel=f"{column} per node" + (" as stored (64-bit words, scalers)" if column == "bytes" else " of the code"))
    axes[0].set(ylabel="Recall@20 on test", title=title)
    percent_axis(axes[0], "y", 1)
    legend_below(fig, axes[0])
    return fig


def switches(rows: Sequence[tuple[str, np.ndarray, np.ndarray]], names: tuple[str, str], title: str) -> Figure:
    """Two settings per row: (name, values per seed with, values per seed without), joined by a line."""
    fig, ax = figure("single", 1.1 + 0.4 * len(rows))
    for place, (_, *both) in zip(range(len(rows) - 1, -1, -1), rows, strict=True):
        ax.plot([values.mean() for values in both], [place + 0.13, place - 0.13], color="#BBBBBB", linewidth=1.4, zorder=1)
        for number, (values, colour, marker) in enumerate(zip(both, ("orange", "grey"), "os", strict=True)):
            seed_dots(ax, values, place + 0.13 - 0.26 * number, PALETTE[colour], marker, names[number])
    name_rows(ax, [name for name, *_ in rows][::-1])
    ax.set(xlabel="Recall@20 on test (bar: 95 % interval over seeds)", title=title)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    percent_axis(ax, "x", 1)
    legend_below(fig, ax)
    return fig


def depth(table: pd.DataFrame, title: str) -> Figure:
    """Metric against the number of layers; a code of every layer grows with it, a code of the mean does not."""
    fig, ax = figure("single", 3.2)
    for kind, part in table.groupby("coded"):
        means = _interval_points(ax, part, ["bits", "depth"], _STYLES[kind], CODED[kind])
        for (bits, x), value in means.items():
            _note(ax, f"{bits} bits", (x, value), (6, 5 if kind == "all" else -11))
    ax.set(xlabel="number of layers L", ylabel="Recall@20 on test", title=title, xticks=sorted(table["depth"].unique()))
    ax.margins(x=0.2, y=0.2)
    percent_axis(ax, "y", 1)
    legend_below(fig, ax)
    return fig


def inside(cosines: Mapping[str, np.ndarray], shared: np.ndarray) -> Figure:
    """Left: cosine between vector and code, per node, for each code. Right: share of equal bits between the codes of two layers.

    cosines : name → [N]; shared : [L+1, L+1]. For a long vector of independent normal numbers the cosine is √(2/π).
    """
    fig, (left, right) = figure("double", 3.1, ncols=2, width_ratios=(1.5, 1))
    sns.boxplot(list(cosines.values()), ax=left, color=PALETTE["sky"], saturation=1, width=0.55, whis=(5, 95), showfliers=False,
                medianprops={"color": "#222222"})  # fmt: skip
    normal = left.axhline(math.sqrt(2 / math.pi), color=PALETTE["orange"], linestyle="--", linewidth=1.3, zorder=0)
    left.legend([normal], ["√(2/π): independent normal numbers"], loc="upper center", bbox_to_anchor=(0.5, -0.14))
    left.set_xticks(range(len(cosines)), list(cosines), fontsize=8)
    left.set(ylabel="cosine of vector and code", title="How close a code is (box: half of the nodes)")
    heat_map(right, shared, ".0%", vmin=0.5, vmax=1)
    right.set(xlabel="layer", ylabel="layer", title="Bits two layers share", aspect="equal")
    return fig


# ---- 07: annealing -----------------------------------------------------------------------------------------------------------


def relaxations(curves: Mapping[float, np.ndarray], x: np.ndarray) -> Figure:
    """τ → relaxed value z/α at x = v/α, between the identity and the staircase."""
    fig, ax = figure("single", 3.5)
    ax.plot(x, x, ":", color=PALETTE["grey"], linewidth=1.3, label="v itself (τ → ∞)")
    for (temperature, values), colour in zip(curves.items(), ("sky", "blue", "green", "amber", "pink")):
        ax.plot(x, values, color=PALETTE[colour], label=f"τ = {temperature:g}")
    ax.plot(x, np.where(x >= 0, 1.0, -1.0), "--", color=PALETTE["orange"], linewidth=1.3, label="α·sign(v) (τ → 0)")
    ax.plot([-1, 1], [-1, 1], "o", color="#222222", markersize=4.5, zorder=5)
    ax.set(xlabel="v / α", ylabel="relaxed value / α", title="From the vector to its code", xlim=(x.min(), x.max()), ylim=(-2.1, 2.1))
    ax.legend(loc="upper left", fontsize=8)
    return fig


def schedules(named: Mapping[str, Schedule], epochs: int) -> Figure:
    """Temperature over a run for each schedule, on a logarithmic axis; a dot marks where training changes to hard codes."""
    fig, ax = figure("double", 3.2)
    for name, schedule in named.items():
        values = [schedule(epoch, epochs) for epoch in range(epochs)]
        colour = PALETTE[_PATH_COLOURS.get(name, "brown")]
        ax.step(range(epochs), values, where="post", color=colour, label=name)
        arrived = [epoch for epoch in range(epochs) if schedule.done(epoch, epochs)]
        if arrived:
            ax.plot(arrived[0], values[arrived[0]], "o", color=colour, markersize=5, zorder=5)
    ax.set(yscale="log", xlabel="epoch", ylabel="temperature τ", title="Schedules over a run (dot: hard codes begin)")
    ax.set_yticks([4, 2, 1, 0.5, 0.2, 0.1], ["4", "2", "1", "0.5", "0.2", "0.1"])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def gap(losses: pd.DataFrame, slopes: Mapping[str, np.ndarray], temperatures: np.ndarray, references: Mapping[str, float]) -> Figure:
    """Left: relaxed and hard loss of models trained at one τ. Right: share of coordinates that get almost no gradient at τ.

    losses : columns temperature, seed, relaxed, hard; slopes : name → share [temperatures]; references : path → hard loss of a whole run
    """
    fig, (left, right) = figure("double", 3.6, ncols=2)
    means = losses.groupby("temperature")[["relaxed", "hard"]].mean()
    left.fill_between(means.index, means["relaxed"], means["hard"], color=PALETTE["sky"], alpha=0.25, linewidth=0, label="gap")
    for column, colour, marker in (("relaxed", "blue", "o"), ("hard", "orange", "s")):
        left.plot(means.index, means[column], marker=marker, color=PALETTE[colour], label=f"{column} loss")
    for (name, loss), style in zip(references.items(), ("--", ":", "-.")):
        left.axhline(loss, color=PALETTE["grey"], linestyle=style, linewidth=1.2, label=f"run: {name}")
    left.set(ylabel="BPR loss on the toy", title="Trained at τ: what the codes lose", ylim=(0, None))
    for (name, share), colour in zip(slopes.items(), ("grey", "green", "pink", "amber")):
        right.plot(temperatures, share, color=PALETTE[colour], label=name)
    right.set(ylabel="coordinates", title="Almost no slope left", ylim=(0, 1))
    percent_axis(right, "y")
    for ax in (left, right):
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set_xlabel("temperature τ (falls to the right)")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, fontsize=8)
    return fig


def by_path(table: pd.DataFrame, title: str) -> Figure:
    """Metric by path and start, with seeds and intervals; `table` as from `annealing_table`, one end per path."""
    names = [name for name in PATHS if name in set(table["path"])]
    fig, ax = figure("double", 1.4 + 0.42 * len(names))
    for warm, (start, colour, marker, shift) in _STARTS.items():
        for row, name in enumerate(reversed(names)):
            values = table.loc[(table["path"] == name) & (table["warm"] == warm), "value"].to_numpy()
            if values.size:
                seed_dots(ax, values, row + shift, colour, marker, start)
    full = table.loc[table["path"] == FULL, "value"]
    if len(full):
        ax.axvline(full.mean(), color=PALETTE["blue"], linestyle="--", linewidth=1.3, label=FULL)
    name_rows(ax, names[::-1])
    ax.set(xlabel="Recall@20 on test, hard codes (small: seeds; bar: 95 % interval over seeds)", title=title)
    percent_axis(ax, "x", 1)
    legend_below(fig, ax)
    return fig


def paths_over_epochs(records: Sequence[RunRecord], metric: str) -> Figure:
    """Validation metric of hard codes against epoch, mean over seeds; shaded: epochs in which annealed runs train the relaxation."""
    fig, axes = figure("double", 3.4, ncols=2)
    for group in groups([record for record in records if record.history]):
        row = annealing_table(group).iloc[0]
        if row["path"] == FULL or (row["path"] == "exponential" and row["end"] != 0.1):
            continue
        params, ax = group[0].spec.params, axes[int(row["warm"])]
        points = [[(entry["epoch"], entry[metric]) for entry in record.history if metric in entry] for record in group]
        epochs, values = np.mean(points, axis=0).T
        ax.plot(epochs, values, color=PALETTE[_PATH_COLOURS[row["path"]]], linewidth=1.4, label=row["path"])
        if row["path"] not in (HARD, "none") and not any(patch.get_gid() == "relaxed" for patch in ax.patches):
            end = (params[OPTION + "hold"] + params[OPTION + "span"]) * params["epochs"]
            ax.axvspan(0, end, color="#EFEFEF", zorder=0, gid="relaxed")
            ax.text(0.98 * end, 0.03, "relaxed", transform=ax.get_xaxis_transform(), ha="right", fontsize=8, color="#777777")
    for ax, name in zip(axes, ("From scratch", "From a warm start"), strict=True):
        ax.set(title=name, xlabel="epoch")
        percent_axis(ax, "y", 1)
    axes[0].set_ylabel(f"{metric.removeprefix('val_').capitalize()} on validation")
    legend_below(fig, *axes, order=PATHS)
    return fig


def ends(table: pd.DataFrame, reference: pd.Series, title: str) -> Figure:
    """Metric against the temperature at which the relaxation gives way to hard codes; a line at the mean of `reference`."""
    fig, ax = figure("single", 3.1)
    means = _interval_points(ax, table, ["end"], ("green", "o", 1.0), "exponential, warm start")
    if len(reference):
        ax.axhline(reference.mean(), color=PALETTE["orange"], linestyle="--", linewidth=1.3, label=f"{HARD}, warm start")
    ax.set(xscale="log", xlabel="last temperature before hard codes", ylabel="Recall@20 on test", title=title)
    ax.set_xticks(sorted(end for (end,) in means), [f"{end:g}" for end in sorted(end for (end,) in means)])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.margins(x=0.2, y=0.25)
    percent_axis(ax, "y", 1)
    legend_below(fig, ax)
    return fig


# ---- parts -------------------------------------------------------------------------------------------------------------------


def _note(ax: Axes, text: str, point: tuple[float, float], offset: tuple[int, int]) -> None:
    side = "right" if offset[0] < 0 else "left"
    ax.annotate(text, point, offset, textcoords="offset points", ha=side, fontsize=7.5, color="#555555")


def _interval_points(ax: Axes, part: pd.DataFrame, by: list[str], style: tuple[str, str, float], label: str) -> dict[tuple, float]:
    """Mean and 95 % interval over seeds at the last column of `by`, joined by a line; returns {values of `by`: mean}.

    style : colour, marker, factor on the place
    """
    (colour, marker, shift), means = style, {}
    for place, runs in part.groupby(by):
        interval = mean_interval(runs["value"].to_numpy())
        means[place] = interval.mean
        if len(runs) > 1:
            ax.errorbar(shift * place[-1], interval.mean, yerr=interval.half_width, color=PALETTE[colour], linewidth=1.2, zorder=2)
    if means:
        x, y = [shift * place[-1] for place in means], list(means.values())
        ax.plot(x, y, color=PALETTE[colour], marker=marker, linewidth=1.3, label=label)
    return means

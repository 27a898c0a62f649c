"""Figures of notebook 08: the staircase loss, gradient errors, and GSTE against STE under the same quantizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from recq_lib.companion.analysis.hessian import BOUNDS, EVERY_EPOCH, acted
from recq_lib.companion.analysis.verdict import SHOWN
from recq_lib.companion.plotting import PALETTE, figure, legend_below, name_rows, percent_axis
from recq_lib.companion.report import groups
from recq_lib.config import OPTION
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.records import RunRecord

STE, GSTE = "grey", "green"  # colours of the two estimators throughout
_BITS = {1: "orange", 2: "blue", 4: "pink"}
_BOUNDS = dict(zip(BOUNDS, ("sky", "orange", "blue"), strict=True))
_DATASETS = (("blue", "o", 0.13), ("orange", "s", -0.13), ("pink", "D", 0.0))  # colour, marker, shift of a row


# ---- the loss and its slopes -------------------------------------------------------------------------------------------------


def staircase(
    v: np.ndarray, stairs: np.ndarray, smooth: np.ndarray, at: tuple[float, float, float], slopes: Mapping[str, float], plane: Sequence
) -> Figure:
    """Left: loss against one entry, with the linear models at its code. Right: loss of the codes over two entries.

    v : [n] values of the entry, in half levels; stairs, smooth : [n] loss with and without rounding it
    at : the entry's value, its code, the loss there; slopes : name → slope of the model through (code, loss)
    plane : (values [m], loss of the codes [m, m], loss without rounding [m, m] for the contours); rows are the second entry
    """
    fig, (left, right) = figure("double", 4.0, ncols=2, width_ratios=(1.2, 1))
    left.plot(v, smooth, "--", color=PALETTE["sky"], linewidth=1.5, label="loss without rounding")
    left.step(v, stairs, where="mid", color="#222222", linewidth=1.8, label="loss of the codes")
    value, code, loss = at
    towards = code + np.array([0.0, 2.4 if value >= code else -2.4])
    for (name, slope), colour in zip(slopes.items(), (STE, GSTE, "orange")):
        left.plot(towards, loss + slope * (towards - code), color=PALETTE[colour], linewidth=1.8, label=name)
    left.plot(code, loss, "o", color="#222222", markersize=6, zorder=5, label="its code")
    left.axvline(value, color="#999999", linestyle=":", linewidth=1.2, label="value of the entry")
    left.set(xlabel="one entry v, in half levels", ylabel="BPR loss on the toy", title="Along one entry")
    places, rounded, unrounded = plane
    shown = right.pcolormesh(places, places, rounded, cmap="Blues_r", shading="nearest", rasterized=True)
    right.contour(places, places, unrounded, levels=9, colors=PALETTE["orange"], linewidths=1.0)
    fig.colorbar(shown, ax=right, label="loss of the codes")
    right.set(xlabel="this entry", ylabel="the same column of an item", title="Over two entries")
    right.grid(visible=False)
    legend_below(fig, left, rows=2)
    return fig


def gradient_errors(by_scale: pd.DataFrame, by_delta: pd.DataFrame, natural: Mapping[int, float], s: float) -> Figure:
    """Rows of `gradient_errors.estimator_errors`. Left: against the code scale, STE dashed, GSTE solid. Right: against multiples of δ.

    natural : bits → the scale at which the codes have the mean size of the vectors (marked); s : scale of the right panel
    """
    fig, (left, right) = figure("double", 3.7, ncols=2)
    for bits, part in by_scale.groupby("bits"):
        for times, style in ((0.0, "--"), (1.0, "-")):
            line = part[part["times"] == times]
            name = f"{bits} bit{'s' if bits > 1 else ''}, {'GSTE' if times else 'STE'}"
            left.plot(line["s"], line["error"], style, color=PALETTE[_BITS[bits]], linewidth=1.5, label=name)
            if bits in natural:
                at = np.exp(np.interp(np.log(natural[bits]), np.log(line["s"]), np.log(line["error"])))
                left.plot(natural[bits], at, "o", color=PALETTE[_BITS[bits]], markersize=5)
    left.set(xscale="log", yscale="log", xlabel="output scale s (largest |Q|)", ylabel="relative error of the gradient")
    left.set_title("Error against the code scale")
    left.xaxis.set_major_formatter("{x:g}")
    left.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    left.legend(loc="upper left", fontsize=7.5)
    for bits, part in by_delta.groupby("bits"):
        right.plot(part["times"], part["error"], color=PALETTE[_BITS[bits]], label=f"{bits} bit{'s' if bits > 1 else ''}")
    right.axvline(1, color="#999999", linewidth=1.0)
    right.text(1.04, 0.98, "measured δ", transform=right.get_xaxis_transform(), va="top", fontsize=8, color="#555555")
    right.set(xlabel="multiple of the measured δ (0 is STE)", title=f"Error against δ, at s = {s:g}", ylim=(0, None))
    percent_axis(right, "y")
    right.legend(loc="upper left", fontsize=7.5)
    return fig


# ---- runs --------------------------------------------------------------------------------------------------------------------


def corrections(records: Sequence[RunRecord], title: str) -> Figure:
    """δ·|error| of GSTE's runs over the epochs, mean over seeds; one panel per table, one line per setting of bits and code scale."""
    fig, axes = figure("double", 3.2, ncols=2, sharey=True)
    styles = {1: "-", 2: "--", 4: ":"}
    for group in groups([r for r in records if r.spec.params.get(OPTION + "estimator") == "gste"]):
        params = group[0].spec.params
        bits, bounds = params[OPTION + "bits"], params[OPTION + "bounds"]
        label = f"{bits} bit{'s' if bits > 1 else ''}, {BOUNDS[bounds]}"
        for ax, side in zip(axes, ("users", "items"), strict=True):
            values = np.mean([[entry[f"{side}_correction"] for entry in r.history if entry["epoch"] > 0] for r in group], axis=0)
            epochs = [entry["epoch"] for entry in group[0].history if entry["epoch"] > 0]
            ax.plot(epochs, values, styles.get(bits, "-"), color=PALETTE[_BOUNDS[bounds]], label=label)
    for ax, side in zip(axes, ("users", "items"), strict=True):
        ax.set(xlabel="epoch", title=f"{title}: {side}" if side == "users" else side)
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _percent_log(axes[0], [value for ax in axes for line in ax.get_lines() for value in line.get_ydata()], "y")  # shared by both
    axes[0].set_ylabel("mean correction δ·|error|")
    legend_below(fig, axes[0], rows=-(-len(axes[0].get_lines()) // 3))
    return fig


def forest(found: pd.DataFrame, title: str) -> Figure:
    """GSTE − STE per setting of `analysis.hessian.differences`, with seed intervals, beside the mean correction.

    Filled: better or worse by the rule of `analysis.verdict`; hollow: neither; cross: δ could not act,
    since every seed kept its first epoch.
    """
    names = list(dict.fromkeys(found.sort_values(["measured", "bits", "warm", "bounds"], key=_forest_order)["setting"]))
    fig, (left, right) = figure("double", 1.5 + 0.3 * len(names), ncols=2, sharey=True, width_ratios=(2.4, 1))
    many = found["dataset"].nunique() > 1
    for (dataset, part), (colour, marker, shift) in zip(found.groupby("dataset", sort=False), _DATASETS):
        for row in part.itertuples():
            y = len(names) - 1 - names.index(row.setting) + many * shift
            face = PALETTE[colour] if row.verdict in SHOWN else "white"
            style = {"marker": marker, "color": PALETTE[colour], "markerfacecolor": face, "markersize": 6, "linestyle": "none"}
            idle = row.idle == row.seeds
            left.plot([row.low, row.high], [y, y], color=PALETTE[colour], linewidth=1.6, zorder=2)
            left.plot(row.difference, y, zorder=3, **(style | {"marker": "x" if idle else marker}))
            right.plot(row.correction, y, zorder=3, **(style | {"markerfacecolor": PALETTE[colour], "markersize": 5}))
        left.plot([], [], marker=marker, color=PALETTE[colour], label=f"{dataset} ({_counted(part['seeds'])} seeds)")
    if len(acted(found)) < len(found):
        left.plot([], [], "x", color="#555555", label="δ did not act")
    left.axvline(0, color="#555555", linewidth=1.0, zorder=1)
    name_rows(left, names[::-1])
    left.set(xlabel="GSTE − STE in Recall@50, points (bar: 95 % over seeds)", title=title)
    right.set(xlabel="mean δ·|error|", title="Correction")
    _percent_log(right, found["correction"])
    right.grid(axis="y", visible=False)
    legend_below(fig, left)
    return fig


def gain_against_correction(found: pd.DataFrame, title: str) -> Figure:
    """Difference against mean correction, one point per setting in which δ could act, with its seed interval; numbers are the bits.

    A star stands at the bits where δ is not measured every epoch.
    """
    found = acted(found)
    fig, ax = figure("single", 3.5)
    for (dataset, part), (colour, marker, _) in zip(found.groupby("dataset", sort=False), _DATASETS):
        for row in part.itertuples():
            face = PALETTE[colour] if row.verdict in SHOWN else "white"
            ax.plot([row.correction] * 2, [row.low, row.high], color=PALETTE[colour], linewidth=0.9, alpha=0.5, zorder=1)
            ax.plot(row.correction, row.difference, marker, color=PALETTE[colour], markerfacecolor=face, markersize=6, zorder=3)
            bits = f"{row.bits}{'' if row.measured == EVERY_EPOCH else '*'}"
            at = (row.correction, row.high if np.isfinite(row.high) else row.difference)  # ends of bars lie further apart than points
            ax.annotate(bits, at, (0, 3), textcoords="offset points", ha="center", va="bottom", fontsize=7.5, color="#555555")
        ax.plot([], [], marker, color=PALETTE[colour], label=dataset)
    ax.axhline(0, color="#555555", linewidth=1.0, zorder=0)
    notes = "number: bits; bar: 95 % over seeds; hollow: neither better nor worse"
    ax.set(xlabel=f"mean correction δ·|error| of GSTE's runs\n{notes}", ylabel="GSTE − STE, points", title=title)
    ax.margins(y=0.1)
    _percent_log(ax, found["correction"])
    legend_below(fig, ax)
    return fig


def scale_and_estimator(table: pd.DataFrame, title: str) -> Figure:
    """Metric by code scale and estimator; a panel per dataset and start, bits along the axis. Grey to green is the estimator's effect.

    Hollow: δ is measured otherwise than every epoch.
    """
    runs = table[table["bits"] > 0]
    others = sorted(runs["measured"].unique(), key=lambda way: way != EVERY_EPOCH)
    panels = list(runs.groupby(["dataset", "warm"], sort=False))
    widths = [part["bits"].nunique() for _, part in panels]
    fig, axes = figure("double", 3.6, ncols=len(panels), squeeze=False, width_ratios=widths)
    for ax, ((dataset, warm), part) in zip(axes[0], panels, strict=True):
        bits, names = sorted(part["bits"].unique()), [name for name in BOUNDS if name in set(part["bounds"])]
        for (b, bounds), cell in part.groupby(["bits", "bounds"]):
            x = bits.index(b) + 0.26 * (names.index(bounds) - (len(names) - 1) / 2)
            for (estimator, measured), values in cell.groupby(["estimator", "measured"], sort=False)["value"]:
                colour, aside = (STE, -0.05) if estimator == "ste" else (GSTE, 0.05 + 0.06 * others.index(measured))
                mark = {"scale": "^", "learn": "o", "fixed": "s"}[bounds]
                _dot(ax, x + aside, values.to_numpy(), PALETTE[colour], mark, hollow=measured != EVERY_EPOCH)
        full = table.loc[(table["bits"] == 0) & (table["dataset"] == dataset), "value"]
        if len(full):
            ax.axhline(full.mean(), color=PALETTE["blue"], linestyle="--", linewidth=1.2)
        ax.set_xticks(range(len(bits)), [str(b) for b in bits])
        ax.set(xlabel="bits", title=f"{dataset},\n{'warm start' if warm else 'from scratch'}", xlim=(-0.5, len(bits) - 0.5))
        ax.yaxis.set_major_locator(MaxNLocator(6))
        percent_axis(ax, "y", 1)
        ax.grid(axis="x", visible=False)
    axes[0, 0].set_ylabel("Recall@50 on test")
    fig.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=10.5)
    keys = [("STE", {"color": PALETTE[STE], "linewidth": 3}), ("GSTE", {"color": PALETTE[GSTE], "linewidth": 3})]
    marks = zip(("^", "o", "s"), BOUNDS.items(), strict=True)
    keys += [(name, {"color": "#555555", "marker": m, "linestyle": "none"}) for m, (key, name) in marks if key in set(runs["bounds"])]
    keys += [("full precision", {"color": PALETTE["blue"], "linestyle": "--", "linewidth": 1.2})] if (table["bits"] == 0).any() else []
    hollow = {"color": PALETTE[GSTE], "marker": "s", "markerfacecolor": "white", "linestyle": "none"}
    keys += [(f"GSTE, δ measured {' or '.join(others[1:])}", hollow)] if len(others) > 1 else []
    for label, style in keys:
        axes[0, 0].plot([], [], label=label, **style)
    legend_below(fig, axes[0, 0], rows=1 + (len(others) > 1))
    return fig


# ---- parts -------------------------------------------------------------------------------------------------------------------


def _dot(ax: Axes, x: float, values: np.ndarray, colour: str, marker: str, *, hollow: bool) -> None:
    """Mean over seeds and its 95 % interval, upright."""
    interval = mean_interval(values)
    if values.size > 1:
        ax.plot([x, x], [interval.low, interval.high], color=colour, linewidth=1.4, zorder=2)
    ax.plot(x, interval.mean, marker, color=colour, markerfacecolor="white" if hollow else colour, markersize=5.5, zorder=3)


def _forest_order(column: pd.Series) -> pd.Series:
    """Settings measured every epoch first, then by bits, warm starts first, code scales in the order of `BOUNDS`."""
    ranks = {"measured": lambda c: c.ne(EVERY_EPOCH), "warm": lambda c: ~c.astype(bool), "bounds": lambda c: c.map(list(BOUNDS).index)}
    return ranks.get(column.name, lambda c: c)(column)


def _counted(seeds: pd.Series) -> str:
    return str(seeds.min()) if seeds.min() == seeds.max() else f"{seeds.min()} to {seeds.max()}"


def _percent_log(ax: Axes, values: Sequence[float], axis: str = "x") -> None:
    """Per cent on a logarithmic axis; on a linear one where the values are too close together for logarithmic ticks."""
    percent = FuncFormatter(lambda value, _: f"{100 * value:.3g}%")
    positive = [value for value in values if value > 0]
    wide = bool(positive) and max(positive) > 6 * min(positive)
    if wide:
        ax.set(**{f"{axis}scale": "log"})
    target = ax.xaxis if axis == "x" else ax.yaxis
    target.set_major_locator(LogLocator(subs=(1.0, 3.0)) if wide else MaxNLocator(4))
    target.set_minor_locator(NullLocator())
    target.set_major_formatter(percent)

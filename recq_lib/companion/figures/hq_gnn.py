"""Figures of notebook 04: staircase, gradient factor, mismatch and optimum on the toy, trace, diagnostics, share kept against bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import norm

from recq_lib.companion.analysis.kept import ENCODERS, title_of
from recq_lib.companion.plotting import PALETTE, bytes_axis, figure, method_colour, percent_axis
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.papers.hq_gnn.quantizer import UniformQuantizer

DIAGNOSTICS = {
    "beta": "clip range β",
    "s": "largest |Q|, s",
    "delta": "δ, in 1/Q",
    "correction": "mean δ·|error|",
    "clipped": "clipped values",
    "used_levels": "levels in use",
}
_BITS = {1: "orange", 2: "green", 3: "pink", 4: "blue", 8: "grey"}
_SHARES = ("correction", "clipped", "used_levels")


def bits_colour(bits: int) -> str:
    """The colour of a bit width in this notebook."""
    return PALETTE[_BITS.get(bits, "brown")]


# ---- the quantizer --------------------------------------------------------------------------------------------------------------


def staircases(widths: Sequence[int] = (1, 2, 4)) -> Figure:
    """Q against x for normally distributed values (x in standard deviations), β and s as the library sets them at the start."""
    x = np.linspace(-4, 4, 1601)
    values = torch.from_numpy(norm.ppf((np.arange(20_000) + 0.5) / 20_000))
    fig, axes = figure("double", 3.3, ncols=len(widths), sharex=True, sharey=True)
    for ax, bits in zip(np.atleast_1d(axes), widths):
        quantizer = UniformQuantizer(bits).double().eval()
        quantizer.initialise(values)
        with torch.no_grad():
            q, lost = quantizer(torch.from_numpy(x)).numpy(), (values - quantizer(values)).square().mean()
            beta = float(quantizer.beta)
        ax.fill_between(x, -4, -4 + 2.5 * norm.pdf(x), color=PALETTE["sky"], alpha=0.35, linewidth=0, label="where values lie")
        ax.plot(x, x, color="#BBBBBB", linewidth=1.2, label="x itself")
        ax.plot(x, q, color=bits_colour(bits), linewidth=1.6, label="Q(x)")
        for edge in (-beta, beta):
            ax.axvline(edge, color="#222222", linestyle=":", linewidth=1, label="clip range ±β" if edge > 0 else "_")
        ax.set_title(f"b = {bits}: {2**bits} levels, {100 * lost / values.square().mean():.1f} % lost")
        ax.set(xlabel="x, in standard deviations", xlim=(-4, 4), ylim=(-4, 4))
    np.atleast_1d(axes)[0].set_ylabel("Q(x)")
    np.atleast_1d(axes)[0].legend(loc="upper left", fontsize=7.5, bbox_to_anchor=(0.13, 1.0))
    return fig


def factors(deltas: Sequence[float] = (0, 0.5, 1, 1.5)) -> Figure:
    """GSTE's gradient factor 1 + δ·sign(g)·error against the error, for both signs of g; δ in units of half a level."""
    error = np.linspace(-1, 1, 201)
    colours = ("grey", "sky", "blue", "orange", "pink")
    fig, axes = figure("double", 3.5, ncols=2, sharey=True)
    for ax, sign in zip(axes, (1, -1)):
        ax.axhspan(-0.7, 0, color=PALETTE["grey"], alpha=0.15, linewidth=0)
        ax.text(0, -0.35, "factor below 0: the gradient turns round", ha="center", va="center", fontsize=8)
        for delta, colour in zip(deltas, colours):
            ax.plot(error, 1 + delta * sign * error, color=PALETTE[colour], label="STE, δ = 0" if delta == 0 else f"δ = {delta:g}")
        ax.axvline(-sign, color="#222222", linestyle=":", linewidth=1)
        ax.text(-0.96 * sign, 2.62, "about to cross", ha="left" if sign > 0 else "right", va="center", fontsize=8)
        ax.set_xticks(np.arange(-1, 1.1, 0.5))
        way = ("g > 0", "down") if sign > 0 else ("g < 0", "up")
        ax.set(title=f"{way[0]}: descent moves v {way[1]}", xlabel="error v − c, in half levels", xlim=(-1.02, 1.02), ylim=(-0.7, 2.8))
    axes[0].set_ylabel("gradient factor")
    axes[1].legend(loc="upper left", fontsize=8, bbox_to_anchor=(0.0, 0.47))
    return fig


# ---- the toy, where the truth can be computed -----------------------------------------------------------------------------------


def mismatch(table: pd.DataFrame) -> Figure:
    """Cosine with the truth against δ, one panel per `question`, one line per bit width with its 95 % interval over starts.

    table : question, bits, start, multiple (of the measured δ; NaN: the exact diagonal), cosine
    """
    questions = list(dict.fromkeys(table["question"]))
    fig, axes = figure("double", 3.6, ncols=len(questions), squeeze=False)
    for ax, question in zip(axes.flat, questions):
        part = table[table["question"] == question]
        for bits, rows in part.groupby("bits"):
            curve = rows.dropna(subset="multiple").groupby("multiple")["cosine"]
            intervals = {multiple: mean_interval(values.to_numpy()) for multiple, values in curve}
            x, colour = list(intervals), bits_colour(int(bits))
            ax.fill_between(x, [i.low for i in intervals.values()], [i.high for i in intervals.values()], color=colour, alpha=0.15, lw=0)
            ax.plot(x, [i.mean for i in intervals.values()], color=colour, label=f"b = {bits}")
            exact = rows.loc[rows["multiple"].isna(), "cosine"]
            ax.axhline(exact.mean(), color=colour, linestyle="--", linewidth=1)
        ax.axvline(1, color="#222222", linestyle=":", linewidth=1)
        ax.set(title=question, xlabel="δ, as a multiple of Tr(H)/‖g‖₁ (0: STE)", xlim=(0, part["multiple"].max()))
    axes.flat[0].set_ylabel("cosine with the truth")
    handles = [line for line in axes.flat[0].get_lines() if str(line.get_label()).startswith("b =")]
    handles.append(Line2D([], [], color="#222222", linestyle="--", linewidth=1, label="own factor per value"))
    axes.flat[-1].legend(handles=handles, loc="lower left", fontsize=8)
    return fig


def against_optimum(paths: Mapping[float, Mapping[str, tuple[np.ndarray, np.ndarray]]], lowest: Mapping[float, float]) -> Figure:
    """Training on the toy: above, how far the mean loss is from the best codes there are; below, the codes that change in a step.

    paths : code scale s → estimator → (losses [steps, starts], share of codes that flip [steps]); lowest : s → the smallest possible loss
    """
    looks = (("blue", "-"), ("orange", "-"), ("green", "-"), ("pink", "--"))
    fig, axes = figure("double", 4.9, nrows=2, ncols=len(paths), sharex=True, sharey="row", height_ratios=(1.5, 1), squeeze=False)
    for (top, below), (scale, runs) in zip(axes.T, paths.items()):
        for (colour, style), (name, (losses, flips)) in zip(looks, runs.items()):
            top.plot(losses.mean(axis=1) - lowest[scale], style, color=PALETTE[colour], label=name)
            smooth = np.convolve(flips, np.ones(9) / 9, mode="valid")
            below.plot(np.arange(smooth.size) + 4, smooth, style, color=PALETTE[colour])
        top.set(title=f"codes ±{scale:g}", yscale="log")
        top.yaxis.set_major_formatter("{x:g}")
        below.set(xlabel="step", xlim=(0, losses.shape[0]))
        percent_axis(below, "y", decimals=1)
    axes[1, 0].set_ylim(bottom=0)
    axes[0, 0].set_ylabel("mean loss above the optimum")
    axes[1, 0].set_ylabel("codes that flip\n(mean of 9 steps)")
    axes[0, 0].legend(loc="upper right", fontsize=7.5)
    return fig


# ---- the trace ------------------------------------------------------------------------------------------------------------------


def trace_band(samples: Mapping[str, np.ndarray], exact: Mapping[str, float], std: Mapping[str, float]) -> Figure:
    """Hutchinson's running mean over the exact trace, several sequences, in the band ±2·std/√m; one panel per table.

    samples : table → [sequences, m]; exact, std : table → trace, and the standard deviation of one sample
    """
    fig, axes = figure("double", 3.3, ncols=len(samples), sharey=True, squeeze=False)
    for ax, (name, drawn) in zip(axes.flat, samples.items()):
        m = np.arange(1, drawn.shape[1] + 1)
        half = 2 * std[name] / np.sqrt(m) / exact[name]
        ax.fill_between(m, 1 - half, 1 + half, color=PALETTE["sky"], alpha=0.3, lw=0, label="±2·std/√m")
        for sequence in drawn:
            ax.plot(m, np.cumsum(sequence) / m / exact[name], color=PALETTE["green"], linewidth=0.8, alpha=0.7)
        ax.axhline(1, color="#222222", linewidth=1.1, label="exact = closed form")
        ax.set(xscale="log", xlabel="random vectors m", title=name, xlim=(1, m[-1]))
        ax.xaxis.set_major_formatter("{x:g}")
    axes.flat[0].set_ylabel("running mean / exact trace")
    axes.flat[-1].lines[0].set_label("Hutchinson")
    axes.flat[-1].legend(loc="upper right", fontsize=8)
    return fig


# ---- training -------------------------------------------------------------------------------------------------------------------


def diagnostics(histories: Mapping[int, Sequence[Mapping[str, float]]]) -> Figure:
    """What the quantizers do over the epochs: `HessianAware.diagnostics` by bits; solid for users, dashed for items."""
    fig, axes = figure("double", 4.6, nrows=2, ncols=3, sharex=True)
    for ax, (key, title) in zip(axes.flat, DIAGNOSTICS.items()):
        for bits, history in histories.items():
            for side, style in (("users", "-"), ("items", "--")):
                points = [(entry["epoch"], entry[f"{side}_{key}"]) for entry in history if f"{side}_{key}" in entry]
                ax.plot(*zip(*points), style, color=bits_colour(bits), linewidth=1.3, label=f"b = {bits}" if side == "users" else "_")
        ax.set(title=title, ylim=(0, 1.06 if key == "used_levels" else None))
        if key in _SHARES:
            percent_axis(ax, "y", decimals=1 if ax.get_ylim()[1] < 0.04 else 0)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[1]:
        ax.set_xlabel("epoch")
    sides = [Line2D([], [], color="#222222", linestyle=style, label=name) for name, style in (("users", "-"), ("items", "--"))]
    axes[1, 2].legend(handles=axes[0, 0].get_lines()[::2] + sides, loc="lower right", fontsize=8)
    return fig


def learning(history: Sequence[Mapping[str, float]], metric: str, title: str) -> Figure:
    """Training loss, and the validation metric where it was measured, against the epoch; the best epoch marked."""
    fig, (left, right) = figure("double", 2.9, ncols=2)
    left.plot([entry["epoch"] for entry in history], [entry["loss"] for entry in history], color=method_colour("ngcf"))
    left.set(xlabel="epoch", ylabel="training loss (BPR + L2)", title=title)
    left.set_ylim(0, 1.08 * max(entry["loss"] for entry in history))
    epochs, values = np.array([(entry["epoch"], entry[metric]) for entry in history if metric in entry]).T
    right.plot(epochs, values, "o-", color=method_colour("ngcf"), markersize=3)
    best = int(np.argmax(values))
    right.plot(epochs[best], values[best], "o", color=PALETTE["orange"], markersize=6)
    name = metric.removeprefix("val_").capitalize()
    right.set(xlabel="epoch", ylabel=f"{name} on validation", title="Dot: the best epoch", ylim=(0, 1.08 * values.max()))
    percent_axis(right, "y", decimals=1 if values.max() < 0.04 else 0)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig


# ---- share kept -----------------------------------------------------------------------------------------------------------------


def kept(rows: Sequence[Mapping[str, object]], metric: str = "recall@50") -> Figure:
    """Share of full precision against stored bytes, one panel per dataset and encoder; bars: 95 % intervals over seeds."""
    panels = list(dict.fromkeys((str(row["dataset"]), str(row["encoder"])) for row in rows))
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    fig, axes = figure("double" if columns > 1 else "single", 3.5 * lines, nrows=lines, ncols=columns, squeeze=False, sharey=True)
    for ax, panel in zip(axes.flat, panels):
        part = [row for row in rows if (row["dataset"], row["encoder"]) == panel]
        _full_line(ax, part)
        for method, shift in (("ptq-bits", "bottom"), ("hq-gnn", "top")):
            _kept_line(ax, sorted((row for row in part if row["method"] == method), key=lambda row: row["bits"]), metric, method, shift)
        ax.set(title=f"{panel[0]}: {ENCODERS[panel[1]]}", xlabel="stored for search, all users and items")
        bytes_axis(ax.xaxis)
    for ax in list(axes.flat)[len(panels) :]:
        ax.set_visible(False)
    for ax in axes[:, 0]:
        ax.set_ylabel(f"{metric.capitalize()}, share of full precision")
        percent_axis(ax, "y")
        ax.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))
    low = min(min(row[metric]) for row in rows)
    axes[0, 0].set_ylim(max(0, low - 0.08), max(1.06, max(max(row[metric]) for row in rows) + 0.05))
    axes[0, 0].legend(loc="lower right", fontsize=8)
    return fig


def _full_line(ax: Axes, part: Sequence[Mapping[str, object]]) -> None:
    full = float(part[0]["full"])
    smallest = min(float(row["stored"]) for row in part)
    ax.axhline(1, color=method_colour(str(part[0]["encoder"])), linewidth=1.2)
    ax.plot(full, 1, "o", color=method_colour(str(part[0]["encoder"])), markersize=7, label="full precision")
    ax.set(xscale="log", xlim=(smallest / 1.5, 1.7 * full))


def _kept_line(ax: Axes, rows: Sequence[Mapping[str, object]], metric: str, method: str, side: str) -> None:
    if not rows:
        return
    intervals = [mean_interval(np.asarray(row[metric], dtype=np.float64)) for row in rows]
    means, sizes = [i.mean for i in intervals], [float(row["stored"]) for row in rows]
    spread = [0.0 if np.isnan(i.half_width) else i.half_width for i in intervals]
    form, colour = ("s-" if method == "hq-gnn" else "D--"), method_colour(method)
    ax.errorbar(sizes, means, yerr=spread, fmt=form, color=colour, markersize=5, linewidth=1.2, label=title_of(method))
    for row, size, mean, half in zip(rows, sizes, means, spread):
        end, shift, va = (mean + half, 5, "bottom") if side == "top" else (mean - half, -5, "top")
        name = f"b = {row['bits']}" if row is rows[0] else str(row["bits"])  # neighbours are too close for the whole name
        place = {"xytext": (0, shift), "textcoords": "offset points", "ha": "center", "va": va}
        ax.annotate(name, (size, end), fontsize=8, color=colour, **place)

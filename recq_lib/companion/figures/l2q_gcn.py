"""Figures of notebook 03: bytes of a node, the scaler, gradients through a step, annealing, learning curves beside logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy.integrate import cumulative_trapezoid

from recq_lib.companion.analysis.kept import title_of
from recq_lib.companion.figures.accuracy import METRIC_TITLES
from recq_lib.companion.plotting import PALETTE, figure, label_lines, method_colour, percent_axis
from recq_lib.parts.annealing import Schedule
from recq_lib.parts.estimators import ESTIMATORS

SLOPE_TITLES = {
    "identity": "identity (straight-through)",
    "clipped": "clipped",
    "tanh": "tanh",
    "gaussian": "Gaussian (BiGeaR)",
    "fourier": "Fourier (BGCH)",
}
_LAYERS = ("sky", "blue", "green", "amber", "pink")


# ---- the idea ------------------------------------------------------------------------------------------------------------------


def storage(dim: int, n_layers: int) -> Figure:
    """Bytes of one node, to scale: float32 layers side by side, one float32 vector, codes; below, the codes enlarged."""
    segments, bits = n_layers + 1, dim / 8
    codes = segments * (bits + 4)
    rows = ((f"{segments} float32 layers", 4 * dim * segments), ("one float32 vector", 4 * dim), ("codes and scalers", codes))
    fig, (top, below) = figure("double", 3.3, nrows=2, height_ratios=(3, 1.3))
    for row, (_, size) in enumerate(rows):
        top.barh(-row, size, color=PALETTE["orange" if row == 2 else "blue"], height=0.6)
        smaller = f": {4 * dim / codes:.2f}× less than one vector, {rows[0][1] / codes:.1f}× less than {segments}" if row == 2 else ""
        top.annotate(f"{size:,.0f} bytes{smaller}", (size, -row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)
    top.set_yticks([-row for row in range(len(rows))], [name for name, _ in rows])
    top.set(xlim=(0, 1.18 * rows[0][1]), xlabel="bytes per node", title=f"One node, d = {dim}, L = {n_layers}")
    for layer in range(segments):
        start = layer * (bits + 4)
        below.barh(0, bits, left=start, color=PALETTE["orange"], height=0.8, edgecolor="white")
        below.barh(0, 4, left=start + bits, color=PALETTE["grey"], height=0.8, edgecolor="white")
        below.text(start + bits / 2, 0, f"layer {layer}: {dim} bits", ha="center", va="center", color="white", fontsize=8.5)
        below.text(start + bits + 2, 0, r"$\alpha$", ha="center", va="center", color="white", fontsize=9)
    below.set(xlim=(0, codes), yticks=[], xlabel="the codes, enlarged: bytes (α is one float32)")
    for ax in (top, below):
        ax.grid(visible=False)
    return fig


def scaler_error(vectors: Mapping[str, np.ndarray]) -> Figure:
    """‖v - s·sign(v)‖²/‖v‖² against the scaler s, one curve per named vector [d]; a dot at s = ‖v‖₁/d."""
    fig, ax = figure("single", 3.2)
    reach = 2 * max(np.abs(v).mean() for v in vectors.values())
    s = np.linspace(0, reach, 201)
    for colour, (name, v) in zip(_LAYERS, vectors.items()):
        best = np.abs(v).mean()
        ax.plot(s, _relative_error(v, s), color=PALETTE[colour], label=name)
        ax.plot(best, _relative_error(v, np.array([best]))[0], "o", color=PALETTE[colour], markersize=6)
    ax.set(xlabel="scaler s (dot: mean of |v|)", ylabel="share of ‖v‖² that is lost", title="The mean of |v| is the best scaler")
    ax.set(xlim=(0, reach), ylim=(0, 1.3))
    ax.legend(loc="lower right")
    percent_axis(ax, "y")
    return fig


def _relative_error(v: np.ndarray, s: np.ndarray) -> np.ndarray:
    sign = np.where(v >= 0, 1.0, -1.0)
    return ((v - s[:, None] * sign) ** 2).sum(axis=1) / (v**2).sum()


# ---- learning through a step ----------------------------------------------------------------------------------------------------


def slopes() -> Figure:
    """sign, then for each estimator its slope and the curve that has this slope."""
    x = np.linspace(-3.2, 3.2, 1281)
    fig, axes = figure("double", 4.4, nrows=2, ncols=3, sharex=True, sharey=True)
    first, *others = axes.flat
    for ax in axes.flat:
        ax.plot([x[0], 0, np.nan, 0, x[-1]], [-1, -1, np.nan, 1, 1], color="#BBBBBB", linewidth=1.2)
    first.plot([0], [1], "o", color="#222222", markersize=5)
    first.plot([0], [-1], "o", markerfacecolor="white", markeredgecolor="#222222", markersize=5)
    first.set(title="sign: slope 0, a jump at 0", xlim=(x[0], x[-1]), ylim=(-1.7, 1.7))
    for ax, (name, slope) in zip(others, ESTIMATORS.items()):
        y = slope(torch.from_numpy(x)).numpy()
        curve = cumulative_trapezoid(y, x, initial=0)
        ax.plot(x, y, color=PALETTE["orange"], linewidth=1.8, label="slope used")
        ax.plot(x, curve - curve[x.size // 2], "--", color=PALETTE["blue"], linewidth=1.2, label="curve with that slope")
        ax.set_title(SLOPE_TITLES[name])
    first.legend(handles=others[0].get_lines()[1:], loc="center left", fontsize=8)
    fig.supxlabel("value v", fontsize=9.5)
    return fig


def value_histogram(layers: np.ndarray, slope: str = "gaussian") -> Figure:
    """Above, the estimator's slope beside the straight-through one; below, on the same axis, how the values of each layer are spread.

    layers : [L+1, N, d]
    """
    spread = [np.quantile(np.abs(layer), 0.99) for layer in layers]
    reach = max(1.5, 1.3 * max(spread))
    x = np.linspace(-reach, reach, 401)
    fig, (top, below) = figure("single", 4.4, nrows=2, sharex=True, height_ratios=(1, 1.3))
    top.plot(x, np.ones_like(x), color=PALETTE["grey"], label="straight-through")
    top.plot(x, ESTIMATORS[slope](torch.from_numpy(x)).numpy(), color=PALETTE["orange"], label=SLOPE_TITLES[slope])
    top.set(ylabel="slope", ylim=(0, 1.15), title="A slope, and where the values lie")
    top.legend(loc="upper left", bbox_to_anchor=(0.0, 0.88))
    bins = np.linspace(-reach, reach, 121)
    for layer, (values, colour, width) in enumerate(zip(layers, _LAYERS, spread)):
        sns.histplot(values.ravel(), ax=below, bins=bins, stat="density", element="step", fill=False, color=PALETTE[colour],
                     linewidth=1.3, label=f"layer {layer}: 99 % within ±{width:.2f}")  # fmt: skip
    below.set(xlabel="value v of a coordinate", ylabel="density", xlim=(-reach, reach), ylim=(0, None))
    below.legend(loc="upper right", fontsize=7.5)
    return fig


def relaxation(temperatures: Sequence[float], schedule: Schedule, epochs: int) -> Figure:
    """Left: tanh(x/τ)/tanh(1/τ), x = v/α, for several τ, and the hard sign. Right: τ over a run under `schedule`."""
    x = np.linspace(-3, 3, 601)
    fig, (left, right) = figure("double", 3.2, ncols=2, width_ratios=(1.25, 1))
    shades = mpl.colormaps["YlOrBr"](np.linspace(0.35, 0.8, len(temperatures)))
    for tau, colour in zip(temperatures, shades):
        left.plot(x, np.tanh(x / tau) / np.tanh(1 / tau), color=colour, label=f"τ = {tau:g}")
    left.plot([x[0], 0, 0, x[-1]], [-1, -1, 1, 1], color="#222222", linewidth=1.2, label="sign")
    left.plot([-1, 1], [-1, 1], "o", color="#222222", markersize=4.5)
    left.set(xlabel="v / α", ylabel="z / α", title="A coordinate at |v| = α never moves", xlim=(-3, 3.9))
    label_lines(left)
    values = [schedule(epoch, epochs) for epoch in range(epochs)]
    hard = next((epoch for epoch in range(epochs) if schedule.done(epoch, epochs)), epochs)
    right.step(range(epochs), values, where="post", color=PALETTE["orange"])
    if hard < epochs:
        right.axvspan(hard, epochs, color=PALETTE["grey"], alpha=0.18, linewidth=0)
        right.text(
            (hard + epochs) / 2, (max(values) * min(values)) ** 0.5, "hard codes", ha="center", va="center", rotation=90, fontsize=8.5
        )
    right.set(yscale="log", xlabel="epoch", ylabel="temperature τ", title="Our schedule", xlim=(0, epochs))
    right.set_yticks([t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 4, 10) if 0.9 * min(values) <= t <= 1.1 * max(values)])
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_locator(NullLocator())
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig


# ---- learning curves ------------------------------------------------------------------------------------------------------------


def against_logs(
    curves: Mapping[str, Mapping[int, Mapping[str, float]]], logged: Mapping[str, Mapping[int, Mapping[str, float]]]
) -> Figure:
    """Learning curves of several methods beside their logged points (diamonds): Recall@20 and both forms of NDCG@20.

    curves : method → epoch → metric → fraction; logged : method → epoch → metric → per cent.
    Histories without test metrics show their validation metric in one panel.
    """
    known = {metric for curve in curves.values() for entry in curve.values() for metric in entry}
    metrics = [metric for metric in METRIC_TITLES if metric in known] or sorted(m for m in known if m.startswith("val_"))[:1]
    fig, axes = figure("double" if len(metrics) > 1 else "single", 3.3, ncols=len(metrics), squeeze=False)
    for ax, metric in zip(axes.flat, metrics):
        for method, curve in curves.items():
            colour, style = method_colour(method), "--" if "anl" in method else "-"
            points = [(epoch, 100 * entry[metric]) for epoch, entry in curve.items() if metric in entry]
            ax.plot(*zip(*points), style, color=colour, linewidth=1.4, label=title_of(method))
            marks = [(epoch, entry[metric]) for epoch, entry in logged.get(method, {}).items() if metric in entry]
            if marks:
                label = f"{title_of(method)}, authors' log"
                ax.plot(*zip(*marks), "D", color=colour, markeredgecolor="#222222", markersize=4.5, zorder=3, label=label)
        part, name = "validation" if metric.startswith("val_") else "test", metric.removeprefix("val_")
        ax.set(xlabel="epoch (0-based)", ylabel=f"% on {part}", ylim=(0, None), title=METRIC_TITLES.get(name, name))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.flat[0].legend(loc="lower right", fontsize=7.5)
    return fig

"""Figures of notebook 02: propagation on the toy, what an epoch is, accuracy, depth, learning curves, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from recq_lib.companion.figures.accuracy import accuracy
from recq_lib.companion.plotting import PALETTE, figure, label_lines, method_colour, name_rows, percent_axis, plain_numbers
from recq_lib.data.interactions import Interactions
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS

_CONTENDERS = {"fast recipe": ("orange", "o"), "BPR": ("blue", "s")}
_PANELS = 2  # side by side


def drift(layers: np.ndarray, data: Interactions) -> Figure:
    """Where the toy's nodes lie at each layer: `layers` [L+1, n, 2]; interactions are drawn as lines."""
    n_users = data.n_users
    names = [f"u{u}" for u in range(n_users)] + [f"i{i}" for i in range(data.n_items)]
    fig, axes = figure("double", 2.9, ncols=len(layers), sharex=True, sharey=True)
    for layer, (ax, points) in enumerate(zip(axes, layers, strict=True)):
        for user, item in zip(*data.pairs("train"), strict=True):
            ends = points[[user, n_users + item]]
            ax.plot(*ends.T, color="#C9C9C9", linewidth=0.8, zorder=1)
        for part, colour, marker in ((slice(0, n_users), PALETTE["blue"], "o"), (slice(n_users, None), PALETTE["orange"], "s")):
            ax.scatter(*points[part].T, color=colour, marker=marker, s=28, zorder=2)
        for name, point in zip(names, points, strict=True):
            ax.annotate(name, point, xytext=(4, 3), textcoords="offset points", fontsize=7.5)
        title = "layer 0: the table" if layer == 0 else f"layer {layer}"
        ax.set(title=title, xlabel="first coordinate")
    axes[0].set_ylabel("second coordinate")
    return fig


def epoch_shares(data: Interactions, users_by_convention: Mapping[str, np.ndarray]) -> Figure:
    """Cumulative share of an epoch's triples against users from the most to the least active.

    users_by_convention : convention → user ids of one epoch's triples
    """
    degree = np.diff(data.train.indptr)
    order = np.argsort(-degree, kind="stable")
    x = np.arange(1, order.size + 1) / order.size
    fig, ax = figure("single", 3.4)
    styles = {"per_interaction": ("blue", "-"), "uniform_user": ("orange", "-"), "per_user": ("green", "--")}
    for name, users in users_by_convention.items():
        share = np.cumsum(np.bincount(users, minlength=order.size)[order]) / users.size
        colour, style = styles[name]
        ax.plot(x, share, style, color=PALETTE[colour], label=name)
    ax.set(
        xlabel="users, most active first", ylabel="share of the epoch's triples", title="Who an epoch is about", ylim=(0, 1.02), xlim=(0, 1)
    )
    percent_axis(ax, "x")
    percent_axis(ax, "y")
    ax.legend(loc="lower right")
    return fig


def accuracy_by_method(table: pd.DataFrame, metric: str, title: str) -> Figure:
    """`accuracy` with every method under its own title: here full precision is the subject, not the reference."""
    return accuracy(table, metric, title, _title)


def _title(method: str) -> str:
    return METHODS[method].title


def learning_curves(records: Sequence[RunRecord], metric: str) -> Figure:
    """Validation metric against epoch, one thin line per seed, the chosen epoch marked."""
    fig, (left, right) = figure("double", 2.8, ncols=2)
    seen: set[str] = set()
    for record in records:
        name, colour = record.spec.method, method_colour(record.spec.method)
        label = "_" if name in seen else _title(name)
        seen.add(name)
        points = [(entry["epoch"], entry[metric]) for entry in record.history if metric in entry]
        epochs, values = np.array(points).T
        left.plot(epochs, values, color=colour, linewidth=1.1, alpha=0.8, label=label)
        best = int(np.argmax(values))
        left.plot(epochs[best], values[best], "o", color=colour, markersize=4.5)
        right.plot([e["epoch"] for e in record.history], [e["loss"] for e in record.history], color=colour, linewidth=1.1, label=label)
    left.set(xlabel="epoch", ylabel=metric.removeprefix("val_") + " on validation", title="Dot: the epoch that is kept")
    right.set(xlabel="epoch", ylabel="training loss (BPR + L2)", title="The loss alone does not choose")
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    percent_axis(left, "y")
    right.legend(loc="upper right")
    return fig


def depth(table: pd.DataFrame, single_layers: np.ndarray, metric: str) -> Figure:
    """Left: metric against the number of layers L. Right: what each layer alone ranks, beside their mean.

    table : columns layers, seed, metric; single_layers : [L+2] metric of layers 0…L of one model, then of their mean
    """
    fig, (left, right) = figure("double", 3.2, ncols=2)
    for layers, part in table.groupby("layers"):
        interval = mean_interval(part[metric].to_numpy())
        left.scatter(np.full(len(part), layers), part[metric], s=16, facecolors="none", edgecolors=PALETTE["blue"], zorder=3)
        left.errorbar(layers, interval.mean, yerr=interval.half_width, fmt="o", color=PALETTE["blue"], zorder=2)
    left.set(xlabel="number of layers L", ylabel=f"{metric} on test", title="Depth", xticks=sorted(table["layers"].unique()))
    left.margins(x=0.15, y=0.25)
    names = [f"layer {k}" for k in range(single_layers.size - 1)] + ["mean"]
    colours = [PALETTE["sky"]] * (single_layers.size - 1) + [PALETTE["blue"]]
    bars = right.bar(names, single_layers, color=colours, width=0.62)
    right.bar_label(bars, [f"{100 * value:.1f}" for value in single_layers], fontsize=8, padding=2)
    right.set(ylabel=f"{metric} on test", title=f"One model, each layer alone (L = {single_layers.size - 2})")
    right.set_ylim(0, 1.15 * single_layers.max())
    for ax in (left, right):
        percent_axis(ax, "y")
        ax.grid(axis="x", visible=False)
    return fig


def against_logs(curves: Sequence[Mapping[int, Mapping[str, float]]], logged: Mapping[int, Mapping[str, float]]) -> Figure:
    """Our learning curves beside the authors' logged points: Recall@20, and NDCG@20 in the authors' and the standard form.

    curves : per seed, epoch → metric → fraction; logged : epoch → metric → per cent
    """
    fig, axes = figure("double", 3.2, ncols=2)
    panels = (
        (("recall@20", "blue", "Recall@20"),),
        (("ndcg_authors@20", "orange", "authors' NDCG@20"), ("ndcg@20", "sky", "standard NDCG@20")),
    )
    for ax, metrics in zip(axes, panels, strict=True):
        for metric, colour, name in metrics:
            for number, curve in enumerate(curves):
                x, y = zip(*[(epoch, 100 * entry[metric]) for epoch, entry in curve.items()], strict=True)
                ax.plot(x, y, color=PALETTE[colour], linewidth=1.4, label=f"ours, {name}" if number == 0 else "_")
            points = [(epoch, entry[metric]) for epoch, entry in logged.items() if metric in entry]
            if points:
                ax.plot(*zip(*points, strict=True), "D", color="#222222", markersize=4.5, label=f"authors' log, {name}")
        ax.set(xlabel="epoch (0-based)", ylabel="% on test", ylim=(0, None))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(loc="lower right")
    axes[0].set_title("Same model, same epochs")
    axes[1].set_title("Two metrics of one name")
    return fig


def speed(rows: Sequence[Mapping[str, object]]) -> Figure:
    """Time relative to this library, per part, on a logarithmic axis; the label gives the time itself."""
    names = [(row["part"], row["contender"]) for row in rows if row["ratio"] != 1.0]
    by_name = {(row["part"], row["contender"]): row for row in rows}
    fig, ax = figure("double", 0.9 + 0.34 * len(names))
    for position, key in enumerate(reversed(names)):
        row = by_name[key]
        ours = next(r for r in rows if r["part"] == row["part"] and r["ratio"] == 1.0)
        ax.barh(position, row["ratio"], color=PALETTE["sky"], height=0.62)
        text = f"{row['ratio']:.1f}×   ({_seconds(row['median'])} against {_seconds(ours['median'])})"
        ax.annotate(text, (max(row["ratio"], 1), position), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    ax.axvline(1, color=PALETTE["blue"], linewidth=1.5)
    name_rows(ax, [f"{part}: {contender}" for part, contender in reversed(names)])
    ax.set_xscale("log")
    ax.set_xlim(0.5, 12 * max(by_name[key]["ratio"] for key in names))
    ax.set(xlabel="time relative to this library (line at 1)", title="The same mathematics, side by side in one run")
    return fig


def growth(rows: Sequence[Mapping[str, object]]) -> Figure:
    """Seconds per training step against training interactions, log-log, with a line of slope one."""
    table = pd.DataFrame(rows)
    fig, ax = figure("single", 3.4)
    for name, part in table.groupby("contender", sort=False):
        colour = PALETTE["blue"] if name == "recq" else PALETTE["grey"]
        ax.plot(part["edges"], part["median"], "o-", color=colour, label=name)
    ours = table[table["contender"] == "recq"]
    first = ours.iloc[0]
    ax.plot(ours["edges"], first["median"] * ours["edges"] / first["edges"], ":", color="#999999", linewidth=1.2, label="proportional")
    ax.set(
        xscale="log", yscale="log", xlabel="training interactions", ylabel="seconds per training step", title="Cost grows with the edges"
    )
    ax.set_xlim(right=6 * ours["edges"].max())
    label_lines(ax)
    return fig


def time_to_quality(curves: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> Figure:
    """Recall@20 on validation against seconds of training (logarithmic), one panel a dataset; the legend says where a curve ends.

    curves : dataset → contender → points of `bench.recipe.curve`: "epoch", "seconds", "recall@20" (a fraction)

    A random start costs next to nothing, too little for a logarithmic axis. So curves begin at the first point after training began, and
    the untrained model is a short line at the left edge.
    """
    rows = -(-len(curves) // _PANELS)
    fig, axes = figure("double", 0.3 + 2.7 * rows, nrows=rows, ncols=min(_PANELS, len(curves)), squeeze=False)
    for ax, (name, sides) in zip(axes.flat, curves.items()):
        for contender, points in sides.items():
            _course(ax, contender, points)
        ax.set(title=name, xscale="log", xlabel="seconds of training", ylabel="Recall@20 on validation")
        ax.margins(x=0.1, y=0.12)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        plain_numbers(ax.xaxis)
        percent_axis(ax, "y")
        ax.legend(loc="lower right")
    for ax in axes.flat[len(curves) :]:
        ax.set_visible(False)
    return fig


def _course(ax: Axes, contender: str, points: Sequence[Mapping[str, float]]) -> None:
    colour, marker = _CONTENDERS[contender]
    trained = [point for point in points if point["epoch"] > 0]
    last = trained[-1]
    end = f"{contender}: {100 * last['recall@20']:.1f} % after {last['epoch']} epoch{'s' if last['epoch'] > 1 else ''}"
    x, y = ([point[of] for point in trained] for of in ("seconds", "recall@20"))
    ax.plot(x, y, marker=marker, markersize=4, color=PALETTE[colour], label=end)
    for start in points[: len(points) - len(trained)]:
        ax.plot([0, 0.05], [start["recall@20"]] * 2, transform=ax.get_yaxis_transform(), color=PALETTE[colour], linewidth=2.5)


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{1000 * value:.0f} ms" if value >= 0.01 else f"{1000 * value:.1f} ms"

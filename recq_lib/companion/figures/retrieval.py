"""Figures of notebook 10: cache lines, XOR and layout, times, growth, bytes and quality against time, HQ-GNN's trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator

from recq_lib.companion.analysis import retrieval as said
from recq_lib.companion.analysis.kept import title_of
from recq_lib.companion.plotting import PALETTE, figure, legend_below, method_colour, method_marker, name_rows, percent_axis, plain_numbers

Rows = Sequence[Mapping[str, Any]]
LINE = 64  # bytes of a cache line
_LOOKS = {
    "our codes": ("orange", "o"), "our scores": ("orange", "x"), "floats": ("blue", "s"), "int8": ("sky", "^"),
    "bits alone": ("brown", "D"), "RaBitQ": ("amber", "v"), "PQ": ("pink", "P"),
}  # fmt: skip
_MARKERS = {"FAISS flat": "h"}  # beside torch, of the same family
_STYLES = {"torch": "-", "recq rank": "--", "FAISS flat": ":", "usearch": "--"}  # of lines in one colour
_SECOND = ("ranked", "PQ, 8", "not rotated", "RaBitQ, ")  # lines of `quality` that share a colour with another
_DARK, _PALE = "#222222", "#F2F2F2"


def _look(contender: str) -> tuple[str, str]:
    colour, marker = _LOOKS[said.family(contender)]
    return PALETTE[colour], _MARKERS.get(contender.partition(",")[0], marker)


def _hollow(contender: str) -> dict[str, str]:
    """How a second library's marker of one colour differs."""
    return {"markerfacecolor": "white"} if contender.startswith(("recq rank", "usearch")) else {}


# ---- the idea -------------------------------------------------------------------------------------------------------------------


def cache_lines(vectors: Mapping[str, tuple[float, str]]) -> Figure:
    """Bytes of one item's vector as cache lines of 64 bytes: name → (bytes, family for the colour)."""
    most = max(-(-size // LINE) for size, _ in vectors.values())
    fig, ax = figure("double", 0.7 + 0.36 * len(vectors))
    for y, (size, family) in enumerate(reversed(list(vectors.values()))):
        for line in range(int(-(-size // LINE))):
            full = min(1.0, size / LINE - line)
            ax.add_patch(Rectangle((line + 0.06, y - 0.32), 0.88, 0.64, facecolor=_PALE, edgecolor="#BBBBBB", linewidth=0.5))
            ax.add_patch(Rectangle((line + 0.06, y - 0.32), 0.88 * full, 0.64, facecolor=PALETTE[_LOOKS[family][0]], linewidth=0))
        text = f"{size:g} bytes, {size / LINE:.3g} lines"
        ax.annotate(text, (-(-size // LINE), y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    name_rows(ax, list(reversed(list(vectors))))
    sizes = [size for size, _ in vectors.values()]
    ax.set(xlim=(0, 1.22 * most), xlabel="cache lines of 64 bytes that one item takes")
    ax.set_title(f"A product with {max(vectors, key=lambda name: vectors[name][0])} reads {max(sizes) / min(sizes):.0f} times the bytes")
    ax.grid(visible=False)
    return fig


def words(user: np.ndarray, items: np.ndarray) -> Figure:
    """Left: XOR of one user's bits [n] with one item's, and their count. Right: words of items side by side; bits of `items` [I, n]."""
    fig, (left, right) = figure("double", 2.9, ncols=2, width_ratios=(1.15, 1))
    differ = user ^ items[0]
    for y, (name, bits) in zip((2, 1, 0), (("user", user), ("item", items[0]), ("XOR", differ))):
        for x, bit in enumerate(bits):
            colour = PALETTE["orange"] if bit and name == "XOR" else PALETTE["blue"] if bit else _PALE
            left.add_patch(Rectangle((x, y - 0.38), 0.92, 0.76, facecolor=colour, edgecolor="#BBBBBB", linewidth=0.5))
            left.text(x + 0.46, y, str(int(bit)), ha="center", va="center", fontsize=8, color="white" if bit else _DARK)
    n, apart = user.size, int(differ.sum())
    left.set(xlim=(-0.2, n + 0.2), ylim=(-0.7, 2.7), yticks=(2, 1, 0), yticklabels=("user", "item", "XOR"), xticks=())
    left.set_title(f"{apart} of {n} signs differ: product {n} − 2·{apart} = {n - 2 * apart}")
    many, rows = 8, 3
    for word in range(rows):
        for item in range(many):
            x, y = item, rows - 1 - word
            one = word == 0
            colour = PALETTE["sky"] if one else _PALE
            right.add_patch(Rectangle((x, y - 0.38), 0.92, 0.76, facecolor=colour, edgecolor="#BBBBBB", linewidth=0.5))
            right.text(x + 0.46, y, f"$w_{word}$", ha="center", va="center", fontsize=8.5)
    right.set(xlim=(-0.2, many + 0.2), ylim=(-0.7, rows - 0.3), xlabel="items, neighbours in the order of ties")
    right.set(xticks=np.arange(many) + 0.46, xticklabels=range(many))
    right.set(yticks=range(rows), yticklabels=[f"word {rows - 1 - w}" for w in range(rows)])
    right.set_title("Blue: one instruction, eight items")
    for ax in (left, right):
        ax.grid(visible=False)
        ax.tick_params(length=0, labelsize=8)
        for side in ax.spines.values():
            side.set_visible(False)
    return fig


# ---- times ----------------------------------------------------------------------------------------------------------------------


def latency(rows: Rows, items: int) -> Figure:
    """Time of 64 users at once and of one user, a line each contender: dot the median, bar to the slowest of twenty (95 %)."""
    panels = [n for n in (64, 1) if said.of_part(rows, "search", items=items, at_once=n)]
    order = sorted(said.medians(rows, "search", items=items, at_once=64).items(), key=lambda pair: -pair[1])
    fig, axes = figure("double", 0.9 + 0.27 * len(order), ncols=len(panels), sharey=True, squeeze=False)
    for ax, at_once in zip(axes.flat, panels):
        found = {row["contender"]: row for row in said.of_part(rows, "search", items=items, at_once=at_once)}
        for y, (name, _) in enumerate(order):
            if name in found:
                _timed(ax, y, name, found[name])
        name_rows(ax, [said.named(name) for name, _ in order])
        ax.set(xscale="log", xlabel="ms until all are answered" if at_once > 1 else "ms until the user is answered")
        ax.set_title(said.race_title(rows, items, at_once), fontsize=9)
        values = [1e3 * row[key] for row in found.values() for key in ("median", "p95") if key in row]
        ax.set_xlim(min(values) / 2, 7 * max(values))
        plain_numbers(ax.xaxis)
    return fig


def _timed(ax: Axes, y: float, name: str, row: Mapping[str, Any]) -> None:
    colour, marker = _look(name)
    middle, late = 1e3 * row["median"], 1e3 * row.get("p95", row["high"])
    ax.plot([middle, max(middle, late)], [y, y], color=colour, linewidth=1.6, alpha=0.6, zorder=2)
    ax.plot(middle, y, marker, color=colour, markersize=6, zorder=3, **_hollow(name))
    text = f"{middle:,.0f}" if middle >= 1000 else f"{middle:.3g}"
    ax.annotate(text, (max(middle, late), y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=7.5, color="#333333")


def growth(rows: Rows) -> Figure:
    """Time against the number of items, log-log, one user and 64 at once."""
    fig, axes = figure("double", 4.0, ncols=2)
    for ax, at_once in zip(axes, (64, 1)):
        found = pd.DataFrame(said.of_part(rows, "search growth", at_once=at_once))
        for name, part in found.groupby("contender", sort=False):
            if name == said.SCORES:
                continue
            colour, marker = _look(name)
            style = next((line for words, line in _STYLES.items() if name.startswith(words)), "-")
            width = 2.4 if name == said.OURS else 1.3
            looks = {"color": colour, "marker": marker, "markersize": 4.5, "linewidth": width, "label": said.named(name)}
            ax.plot(part["items"], 1e3 * part["median"], style, **looks, **_hollow(name))
        ax.set(xscale="log", yscale="log", xlabel="items", ylabel="ms")
        ax.set_title(said.growth_title(rows, at_once), fontsize=9.5)
        plain_numbers(ax.yaxis)
    legend_below(fig, *axes, rows=3)
    return fig


def bytes_against_time(rows: Rows, items: int) -> Figure:
    """Bytes that an item takes against the time of 64 users and of one, log-log; grey lines: equal bytes a second."""
    fig, axes = figure("double", 4.0, ncols=2)
    for ax, at_once in zip(axes, (64, 1)):
        found = [row for row in said.of_part(rows, "search", items=items, at_once=at_once) if row["contender"] != said.SCORES]
        x, y = (np.array(v) for v in ([row["bytes"] / items for row in found], [1e3 * row["median"] for row in found]))
        for row, size, took in zip(found, x, y):
            colour, marker = _look(row["contender"])
            name, large = said.named(row["contender"]), row["contender"] == said.OURS
            ax.plot(size, took, marker, color=colour, markersize=8 if large else 6, label=name, **_hollow(row["contender"]))
        rate = min(took / size for size, took in zip(x, y))
        ends = np.array([x.min() / 1.6, x.max() * 1.6])
        for factor in (1, 10, 100):
            ax.plot(ends, rate * factor * ends, ":", color="#BBBBBB", linewidth=1, zorder=1)
        best = min(zip(found, x, y), key=lambda each: each[2] / each[1])[0]["contender"]
        who = "1 user" if at_once == 1 else f"{at_once} users"
        ax.set_title(f"{who}, most bytes a second: {said.family(best)}", fontsize=9.5)
        ax.set(xscale="log", yscale="log", xlabel="bytes an item", ylabel="ms", xlim=tuple(ends), ylim=(y.min() / 2, y.max() * 2))
        ax.set_xticks([32, 64, 128, 256, 512, 1024, 3072])
        plain_numbers(ax.xaxis, ax.yaxis)
    legend_below(fig, *axes, rows=3)
    return fig


# ---- quality --------------------------------------------------------------------------------------------------------------------


def reranking(counts: np.ndarray, shares: Mapping[str, np.ndarray], k: int) -> Figure:
    """Share of the exact best `k` that stands among the nearest candidates by Hamming distance; name of a code → share by `counts`."""
    fig, ax = figure("single", 3.3)
    for (name, share), style in zip(shares.items(), ("-", "--", ":")):
        ax.plot(counts, share, style, color=PALETTE["brown"], label=name)
    name, share = next(iter(shares.items()))
    enough = counts[np.argmax(share >= 0.99)] if (share >= 0.99).any() else counts[-1]
    ax.axvline(enough, color="#BBBBBB", linewidth=1)
    ax.set(xscale="log", xlabel="candidates by Hamming distance", ylabel=f"of the best {k} by score", ylim=(0, 1.03))
    ax.set_title(f"Bits alone find {100 * share[0]:.0f} %; {enough:,} candidates hold 99 %")
    plain_numbers(ax.xaxis)
    percent_axis(ax, "y")
    if len(shares) > 1:
        ax.legend(loc="lower right")
    return fig


def quality(rows: Rows, where: str) -> Figure:
    """Recall@20 of the same trained vectors against bytes an item, and against the time of 64 users; numbers: bits of our codes."""
    timed = all(row["milliseconds"] == row["milliseconds"] for row in rows)
    fig, axes = figure("double", 4.2, ncols=2 if timed else 1, sharey=True, squeeze=False)
    for ax, key, label in zip(axes.flat, ("bytes", "milliseconds"), ("bytes an item", "ms for 64 users")):
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            groups.setdefault(_group(row["method"]), []).append(row)
        for name, part in groups.items():
            part = sorted(part, key=lambda row: row["bytes"])
            colour, marker = _look(name)
            hollow = {"markerfacecolor": "white"} if any(word in name for word in _SECOND) else {}
            line = "-" if len(part) > 1 else ""
            points = [row[key] for row in part], [row["recall@20"] for row in part]
            ax.plot(*points, line, marker=marker, color=colour, lw=1.2, markersize=6, label=name, **hollow)
            for row in part:
                if name == "recq codes" and key == "bytes":
                    b = row["method"].removeprefix("recq, ").partition(" ")[0]
                    ax.annotate(b, (row[key], row["recall@20"]), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=8)
        recalls = [row["recall@20"] for row in rows]
        ax.set(xscale="log", xlabel=label, ylim=(0.85 * min(recalls), 1.06 * max(recalls)))
        _few_numbers(ax)
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        percent_axis(ax, "y")
    axes.flat[0].set_ylabel(f"Recall@20, {where}")
    axes.flat[0].set_title(_quality_title(rows), fontsize=9.5)
    legend_below(fig, *axes.flat, rows=3)
    return fig


def _few_numbers(ax: Axes) -> None:
    """1, 2, 5, 10, … along a logarithmic axis, as few decades as it may have."""
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    plain_numbers(ax.xaxis)


def _group(method: str) -> str:
    """Methods that one line joins."""
    if method.startswith("recq"):
        return "recq codes, not rotated" if "not rotated" in method else "recq codes"
    if method.startswith("1 bit"):
        return "bits alone: " + ("best of 200 ranked by scores" if "ranked" in method else "Hamming distance")
    groups = ("PQ FastScan", "PQ FastScan, 4 bits"), ("PQ,", "PQ, 8 bits"), ("RaBitQ FastScan",) * 2, ("RaBitQ", "RaBitQ, 1 to 8 bits")
    return next((group for words, group in groups if words in method), method)


def _quality_title(rows: Rows) -> str:
    """How few bytes keep 99 % of what floats reach, and with whom."""
    full = next(row["recall@20"] for row in rows if row["method"] == "floats")
    least = min((row for row in rows if row["recall@20"] >= 0.99 * full), key=lambda row: row["bytes"])
    return f"Fewest bytes for 99 % of floats: {least['bytes']:.0f}, {_group(least['method'])}"


def trade_off(table: pd.DataFrame, metric: str = "recall@50") -> Figure:
    """Quality against the time of 64 users by bits, a row a dataset; floats as a dot and a line. `table` from `analysis.retrieval`."""
    names = list(dict.fromkeys(table["dataset"]))
    fig, axes = figure("double", 0.4 + 3.0 * len(names), nrows=len(names), sharex=True, squeeze=False)
    for ax, name in zip(axes.flat, names):
        here = table[(table["dataset"] == name) & table[metric].notna()]
        full, colour = here[here["bits"] == 0], method_colour("lightgcn")
        if len(full):
            ax.axhline(full[metric].iloc[0], color=colour, linewidth=1)
            ax.plot(full["milliseconds"], full[metric], "o", color=colour, markersize=8, label="64 floats")
        for method in ("ptq-bits", "hq-gnn"):
            part, style = here[here["method"] == title_of(method)].sort_values("milliseconds"), "-" if method == "hq-gnn" else "--"
            looks = {"marker": method_marker(method), "color": method_colour(method), "linewidth": 1.1, "label": title_of(method)}
            ax.plot(part["milliseconds"], part[metric], style, **looks)
        ax.margins(x=0.12, y=0.16)
        for b, took in table[(table["dataset"] == name) & (table["bits"] > 0)].groupby("bits")["milliseconds"].first().items():
            ax.axvline(took, color="#DDDDDD", linewidth=0.8, zorder=0)
            ax.annotate(f"{b}", (took, 1), xycoords=("data", "axes fraction"), xytext=(0, -3), textcoords="offset points", ha="center",
                        va="top", fontsize=8)  # fmt: skip
        ax.set(xscale="log", ylabel=metric.capitalize(), title=f"{name}: {_gain(here, metric)}")
        _few_numbers(ax)
        percent_axis(ax, "y")
    axes.flat[-1].set_xlabel("ms for the best 20 of 64 users (numbers at the top: bits)")
    legend_below(fig, *axes.flat)
    return fig


def _gain(here: pd.DataFrame, metric: str) -> str:
    """What the fastest of HQ-GNN's widths that keeps 95 % of floats gains."""
    full, codes = here[here["bits"] == 0], here[here["method"] == title_of("hq-gnn")]
    if not len(full) or not len(codes):
        return "floats are not recorded" if len(codes) else "codes are not recorded"
    good = codes[codes[metric] >= 0.95 * full[metric].iloc[0]].sort_values("milliseconds")
    if not len(good):
        return "no width of HQ-GNN keeps 95 % of floats"
    best = good.iloc[0]
    ratio = full["milliseconds"].iloc[0] / best["milliseconds"]
    return f"{best['bits']} bits keep {100 * best[metric] / full[metric].iloc[0]:.0f} % and answer {ratio:.1f}× faster"

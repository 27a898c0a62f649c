"""Figures of notebook 00: the parts every method is made of, bytes by arithmetic, the toy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from recq_lib.companion.plotting import PALETTE, figure
from recq_lib.data.interactions import Interactions

_ROUND = "round,pad=0,rounding_size=0.08"
_USERS, _ITEMS = PALETTE["blue"], PALETTE["orange"]
# (part, what it is, what the full-precision model does, what papers do instead: (paper, what, colour) side by side)
_PARTS = (
    (
        "table", "rows that are trained", "one row of d numbers\nper user and item",
        (("BACO", "alike users share rows,\nso do alike items", "pink"),),
    ),
    ("encoder", "spread over the graph", "LightGCN: L rounds of\naveraging neighbours", ()),
    (
        "readout", "what is stored", "mean of the L + 1\nlayers, 32-bit floats",
        (("L²Q-GCN", "1-bit code\nof each layer", "orange"), ("HQ-GNN", "b-bit code\nof the result", "green")),
    ),
    (
        "score", "what is ranked", "inner product of user\nand item vector",
        (("packed codes", "XOR and popcount,\n64 bits at a time", "brown"),),
    ),
)  # fmt: skip
_STORAGE = (
    ("float32", "float32 table", PALETTE["blue"], "o"),
    ("shared", "a quarter of the rows + index", PALETTE["pink"], "s"),
    ("codes", "1-bit codes + one scale", PALETTE["orange"], "D"),
)


def parts() -> Figure:
    """Table → encoder → readout → score, and where each paper puts something else."""
    fig, ax = figure("double", 2.9)
    ax.set(xlim=(0, 4), ylim=(-0.16, 1.2), title="Every method is four choices")
    ax.axis("off")
    for column, (name, meaning, plain, changes) in enumerate(_PARTS):
        centre = column + 0.5
        _box(ax, centre, 0.98, 0.84, 0.3, PALETTE["grey"], face="#E9EEF3")
        ax.text(centre, 1.05, name, ha="center", va="center", fontsize=11.5, weight="bold")
        ax.text(centre, 0.9, meaning, ha="center", va="center", fontsize=8, color="#555555")
        _box(ax, centre, 0.49, 0.84, 0.3, PALETTE["blue"])
        ax.text(centre, 0.49, plain, ha="center", va="center", fontsize=8.2)
        if column < len(_PARTS) - 1:
            ax.annotate("", (centre + 0.57, 0.98), (centre + 0.43, 0.98), arrowprops={"arrowstyle": "-|>", "color": "#444444"})
        for number, (paper, what, colour) in enumerate(changes):
            width = 0.86 / len(changes)
            x = centre - 0.43 + (number + 0.5) * width
            _box(ax, x, 0.03, width - 0.02, 0.36, PALETTE[colour])
            ax.text(x, 0.14, paper, ha="center", va="center", fontsize=8.6, weight="bold", color=PALETTE[colour])
            ax.text(x, -0.015, what, ha="center", va="center", fontsize=7.8)
    ax.text(0.08, 0.715, "full precision", fontsize=8, color=PALETTE["blue"], va="center")
    ax.text(0.08, 0.275, "made small", fontsize=8, color="#555555", va="center")
    return fig


def _box(ax: Axes, x: float, y: float, width: float, height: float, edge: str, face: str = "white") -> None:
    corner = (x - width / 2, y - height / 2)
    shape = FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.03", facecolor=face, edgecolor=edge, linewidth=1.1)
    ax.add_patch(shape)


def table_bytes(table: pd.DataFrame) -> Figure:
    """Bytes of a node table stored in three ways. `table` has columns dataset, d, float32, shared and codes (bytes)."""
    widths = sorted(table["d"].unique())
    names = table[table["d"] == widths[0]].sort_values("float32")["dataset"].tolist()
    fig, axes = figure("double", 0.34 * len(names) + 1.5, ncols=len(widths), sharex=True, sharey=True)
    rows = np.arange(len(names))
    for ax, width in zip(axes, widths, strict=True):
        part = table[table["d"] == width].set_index("dataset").loc[names]
        ax.hlines(rows, part["codes"] / 1e6, part["float32"] / 1e6, color="#C9C9C9", linewidth=1.6, zorder=1)
        for column, label, colour, marker in _STORAGE:
            ax.scatter(part[column] / 1e6, rows, color=colour, marker=marker, s=34, label=label, zorder=2)
        for row, (big, small) in enumerate(zip(part["float32"], part["codes"], strict=True)):
            text = f"{big / small:.0f}×" if row < len(names) - 1 else f"{big / small:.0f}× from end to end"
            ax.annotate(text, (big / 1e6, row), xytext=(7, 0), textcoords="offset points", va="center", fontsize=8)
        ax.set(xscale="log", xlabel="MB (10⁶ bytes), logarithmic scale", title=f"d = {width}: bytes of the node table")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(rows, names)
    axes[0].set_ylim(-0.6, len(names) - 0.4)
    axes[0].set_xlim(right=18 * table["float32"].max() / 1e6)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return fig


def toy_matrix(data: Interactions) -> Figure:
    """A small dataset as a matrix with its degrees, and as a bipartite graph."""
    fig, (left, right) = figure("double", 3.1, ncols=2, width_ratios=(1, 1.25))
    state = data.train.toarray() + 2 * data.test.toarray()
    looks = (("", "#F3F3F3", "white"), ("train", "#9AA7B4", "white"), ("test", "white", _ITEMS))  # text, face, edge
    for user, item in np.ndindex(state.shape):
        text, face, edge = looks[int(state[user, item])]
        place = (item + 0.07, user + 0.07)
        left.add_patch(FancyBboxPatch(place, 0.86, 0.86, boxstyle=_ROUND, facecolor=face, edgecolor=edge, linewidth=1.4))
        left.text(item + 0.5, user + 0.5, text, ha="center", va="center", fontsize=7.5, color=edge)
    left.set(xlim=(0, data.n_items + 0.9), ylim=(data.n_users + 0.9, 0), aspect="equal", title="as a matrix")
    left.set_xticks(np.arange(data.n_items) + 0.5, [f"i{i}" for i in range(data.n_items)])
    left.set_yticks(np.arange(data.n_users) + 0.5, [f"u{u}" for u in range(data.n_users)])
    left.xaxis.tick_top()
    for user, degree in enumerate(np.diff(data.train.indptr)):
        left.text(data.n_items + 0.45, user + 0.5, str(degree), ha="center", va="center", color=_USERS)
    for item, degree in enumerate(np.bincount(data.train.indices, minlength=data.n_items)):
        left.text(item + 0.5, data.n_users + 0.45, str(degree), ha="center", va="center", color=_USERS)
    left.text(data.n_items + 0.45, data.n_users + 0.45, "degree", ha="center", va="center", fontsize=7, color=_USERS)
    left.tick_params(length=0)
    left.grid(visible=False)
    left.spines[:].set_visible(False)
    _bipartite(right, data)
    return fig


def _bipartite(ax: Axes, data: Interactions) -> None:
    users = np.linspace(0, 1, data.n_users)
    items = np.linspace(0.1, 0.9, data.n_items)
    styles = {"train": {"color": "#9AA7B4", "linewidth": 1.5}, "test": {"color": _ITEMS, "linewidth": 1.1, "linestyle": "--"}}
    for split, style in styles.items():
        for number, (user, item) in enumerate(zip(*data.pairs(split), strict=True)):
            ax.plot([users[user], items[item]], [1, 0], zorder=1, label=split if number == 0 else "_", **style)
    for places, height, letter, colour in ((users, 1, "u", _USERS), (items, 0, "i", "#444444")):
        ax.scatter(places, np.full(places.size, height), s=330, color=colour, zorder=2)
        for number, x in enumerate(places):
            ax.text(x, height, f"{letter}{number}", color="white", ha="center", va="center", fontsize=8.5, weight="bold", zorder=3)
    ax.set(xlim=(-0.09, 1.09), ylim=(-0.3, 1.2))
    ax.set_title("as a graph", pad=20)  # as high as the other title, which stands above tick labels
    ax.axis("off")
    ax.legend(loc="lower center", ncols=2)

"""One style for every figure, and the one way to save a figure. Figure functions live in files of their own.

Colours are those of Okabe and Ito (2008), which readers with colour-vision deficiency can tell apart. A family of methods
has one colour in every notebook; members of a family differ in marker or line style.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from recq_lib.companion import figure_store
from recq_lib.errors import ConfigError, one_of
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.io import paths
from recq_lib.parts.method import Method
from recq_lib.runs.registry import METHODS

PALETTE = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "pink": "#CC79A7",
    "amber": "#E69F00",
    "sky": "#56B4E9",
    "grey": "#6E6E6E",
    "brown": "#8C6D1F",
}

# a method has the colour of its family, unless its entry names another
_FAMILY = {"full precision": "blue", "one bit": "orange", "b bits": "green", "shared rows": "green", "simple": "grey"}
# labels that are no method's name or title have the colour of the first pattern they contain
_LABELS: tuple[tuple[str, str], ...] = (
    (r"baco", "pink"),
    (r"hq-?gnn|gste|ste\b", "green"),
    (r"l2q|l²q|bigear|bgch", "orange"),
    (r"graphhash|louvain", "amber"),
    (r"leiden", "brown"),
    (r"lightgcn|full", "blue"),
    (r"ngcf|gf-?cf", "sky"),
    (r"\bmf\b|matrix", "amber"),
    (r"lsh|hashnet|hashgnn|hashrec|gumbel|binary", "brown"),
)

WIDTHS = {"single": 5.2, "double": 8.4}  # inches; "double" fills a notebook page
_STAMP = "recq-stamp"
_STAMP_LETTERS = 20  # of a stamp in an inch
_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]*")


def use_style() -> None:
    """Apply the project's style sheet to matplotlib."""
    plt.style.use(Path(__file__).with_name("recq.mplstyle"))


def figure(width: str = "single", height: float = 3.4, **kwargs: Any) -> tuple[Figure, Any]:
    """`plt.subplots` at one of two widths.

    width : "single" (5.2 inches) or "double" (8.4 inches); height in inches
    kwargs : passed on to `plt.subplots` (nrows, ncols, sharey, …)
    Raises `ConfigError` for another width.
    """
    one_of("width", width, tuple(WIDTHS))
    if not height > 0:
        raise ConfigError(f"height is {height}, but must be a positive number of inches")
    return plt.subplots(figsize=(WIDTHS[width], height), **kwargs)


def method_colour(name: str) -> str:
    """Colour of a method, by name or title, as `#RRGGBB`; of any other label that of the method it speaks of, else grey."""
    method = _method(name)
    if method is None:
        return PALETTE[next((colour for pattern, colour in _LABELS if re.search(pattern, name.lower())), "grey")]
    return PALETTE[method.colour or _FAMILY[method.family]]


def method_marker(name: str) -> str:
    """Marker of a method, by name or title; a cross for any other label."""
    method = _method(name)
    return "X" if method is None else method.marker


def _method(name: str) -> Method | None:
    return METHODS.get(name) or next((method for method in METHODS.values() if method.title == name), None)


def percent_axis(ax: Axes, axis: str = "y", decimals: int = 0) -> None:
    """Show fractions in [0, 1] on one axis as per cent."""
    one_of("axis", axis, ("x", "y"))
    target = ax.yaxis if axis == "y" else ax.xaxis
    target.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.{decimals}f}%"))


def plain_numbers(*axes: Axis) -> None:
    """10, 100, 1000 in place of powers of ten; no labels between them."""
    for axis in axes:
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def bytes_axis(axis: Axis) -> None:
    """Bytes as kB and MB (10³ and 10⁶ bytes), no minor ticks."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e6:g} MB" if value >= 1e6 else f"{value / 1e3:g} kB"))
    axis.set_minor_locator(NullLocator())


def legend_below(fig: Figure, *axes: Axes, rows: int = 1, order: Sequence[str] = ()) -> None:
    """One legend under all axes, in figure coordinates: an "outside" one would move into the stamp when the saved box is fitted.

    rows : lines of the legend; order : labels that come first, in this order
    """
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    labels = [*(label for label in order if label in found), *(label for label in found if label not in order)]
    room = (0.1 + 0.2 * rows) / fig.get_figheight()  # in inches
    fig.set_layout_engine("constrained", rect=(0, room, 1, 1 - room))
    place = {"loc": "lower center", "bbox_to_anchor": (0, 0, 1, 1), "bbox_transform": fig.transFigure}
    fig.legend([found[label] for label in labels], labels, ncols=max(1, -(-len(labels) // rows)), **place)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Names of the rows 0, 1, … from the bottom up, with half a row of room and no lines across."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.6, max(len(names), 1) - 0.4)
    ax.grid(axis="y", visible=False)


def heat_map(ax: Axes, values: np.ndarray | pd.DataFrame, form: str, *, vmin: float, vmax: float) -> None:
    """A matrix as shades of blue with its numbers written as `form`; a data frame's labels stand at the rows and columns."""
    sns.heatmap(values, ax=ax, annot=True, fmt=form, vmin=vmin, vmax=vmax, cmap="Blues", cbar=False, annot_kws={"fontsize": 8})
    ax.tick_params(length=0, labelsize=8)
    ax.tick_params(axis="y", rotation=0)


def label_lines(ax: Axes, *, offset: float = 4.0, gap: float = 11.0) -> None:
    """Write each labelled line's name at its right end instead of a legend; call it last.

    Names lie `offset` points right of the end and keep `gap` points of distance from each other.
    """
    ax.figure.canvas.draw()  # layout and axis limits are settled only when the figure is drawn
    lines = [line for line in ax.get_lines() if _last_point(line) is not None and not str(line.get_label()).startswith("_")]
    scale = 72.0 / ax.figure.dpi
    ends = sorted((float(ax.transData.transform(_last_point(line))[1]) * scale, index) for index, line in enumerate(lines))
    floor = -float("inf")
    for height, index in ends:
        line, placed = lines[index], max(height, floor + gap)
        floor = placed
        ax.annotate(
            str(line.get_label()),
            xy=_last_point(line),
            xytext=(offset, placed - height),
            textcoords="offset points",
            va="center",
            color=line.get_color(),
            fontsize=8.5,
            annotation_clip=False,
        )


def seed_dots(ax: Axes, values: np.ndarray, y: float, colour: str, marker: str, label: str) -> None:
    """At height `y`: values per seed (small), their mean, and the 95 % interval over seeds where there is one."""
    interval = mean_interval(values)
    if values.size > 1:
        ax.scatter(values, np.full(values.size, y), s=9, facecolors="none", edgecolors=colour, marker=marker, linewidths=0.8, zorder=3)
        ax.plot([interval.low, interval.high], [y, y], color=colour, linewidth=1.8, zorder=2)
    ax.scatter(interval.mean, y, s=40, color=colour, marker=marker, label=label, zorder=4)


def _last_point(line: Line2D) -> tuple[float, float] | None:
    points = [(x, y) for x, y in zip(line.get_xdata(), line.get_ydata()) if x == x and y == y]
    return points[-1] if points else None


def annotate_profile(fig: Figure, text: str) -> None:
    """Print `text` in small grey letters below the figure, in lines no longer than it is wide, replacing an earlier stamp.

    It lies outside the axes and is taken in by the tight bounding box, so it never covers a label.
    """
    for old in [item for item in fig.texts if item.get_gid() == _STAMP]:
        old.remove()
    lines = textwrap.fill(text, max(20, int(_STAMP_LETTERS * fig.get_figwidth())), break_long_words=False)
    fig.text(0.995, -0.012, lines, ha="right", va="top", fontsize=6.5, color=PALETTE["grey"], gid=_STAMP)


def save_figure(fig: Figure, name: str, *, notebook: str, profile: str, source: str, protocol: str = "") -> None:
    """Stamp the figure with "profile · data source" and save `<notebook>/<name>.{png,pdf}` where notebooks draw.

    fig : the figure; the stamp stays on it, so the notebook shows it too
    name, notebook : lower-case file names without suffix, e.g. "accuracy_by_method", "02_lightgcn"
    profile : "smoke", "quick" or "paper": the profile of the records drawn, which may exceed that of the run
    source : where the data came from, e.g. "beauty (RECQ_DATA_DIR)"
    protocol : that of the runs drawn, as `studies.naming.told` says it; it stands in the stamp as `figure_store.scope` puts it

    The files are byte-stable for one matplotlib version and go to `paths.drawing_dir()`; one already there from better data or a
    higher profile is left alone.
    Raises `ConfigError` for an unknown profile, an empty source or a name that is not a plain file name.
    """
    figure_store.rank(profile)
    for what, value in (("name", name), ("notebook", notebook)):
        if not _NAME.fullmatch(value):
            raise ConfigError(f"{what} is {value!r}, but must be lower-case letters, digits, _ and - (a file name without suffix)")
    if not source.strip():
        raise ConfigError(f"source of figure {name!r} is empty; say where its data came from, e.g. interactions.source")
    annotate_profile(fig, f"{figure_store.scope(profile, protocol)} · {source}")
    figure_store.save(paths.drawing_dir(), f"{notebook}/{name}", render(fig), figure_store.entry_of(profile, source, protocol))


def render(fig: Figure) -> dict[str, bytes]:
    """The figure as png and pdf bytes without dates or program names, so that equal figures are equal files."""
    answer = {}
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    for suffix in figure_store.SUFFIXES:
        buffer = io.BytesIO()
        fig.savefig(buffer, format=suffix, bbox_inches="tight", metadata=metadata[suffix])
        answer[suffix] = buffer.getvalue()
    return answer

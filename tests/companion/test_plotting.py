"""Style, colours and the saving of figures: stamped, byte-stable, never replaced by a lower profile."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from recq_lib.companion import figure_store
from recq_lib.companion.plotting import (
    PALETTE,
    annotate_profile,
    bytes_axis,
    figure,
    heat_map,
    label_lines,
    legend_below,
    method_colour,
    method_marker,
    percent_axis,
    plain_numbers,
    render,
    save_figure,
    use_style,
)
from recq_lib.companion.report import name_in
from recq_lib.errors import ConfigError
from recq_lib.parts.method import Method
from recq_lib.runs import registry


@pytest.fixture(autouse=True)
def styled():
    with plt.rc_context():
        use_style()
        yield


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECQ_FIGURES_DIR", str(tmp_path))
    return tmp_path


def line_figure(values=(1.0, 3.0, 2.0)):
    fig, ax = figure()
    ax.plot(values, label="a")
    ax.set_xlabel("epoch")
    return fig


class TestSave:
    def test_equal_figures_are_equal_files(self, figures: Path) -> None:
        contents = []
        for _ in range(2):
            save_figure(line_figure(), "line", notebook="02_lightgcn", profile="smoke", source="synthetic")
            contents.append([(figures / "02_lightgcn" / f"line.{suffix}").read_bytes() for suffix in ("png", "pdf")])
        assert contents[0] == contents[1]
        assert contents[0][0].startswith(b"\x89PNG") and contents[0][1].startswith(b"%PDF")
        assert b"CreationDate" not in contents[0][1]

    def test_manifest_says_where_it_came_from(self, figures: Path) -> None:
        save_figure(line_figure(), "line", notebook="02_lightgcn", profile="quick", source="lastfm (cache)")
        entry = figure_store.read_manifest(figures)["02_lightgcn/line"]
        assert (entry["profile"], entry["source"]) == ("quick", "lastfm (cache)")
        assert len(entry["provenance"]["lib_sha256"]) == 64

    def test_higher_profile_stays_and_is_replaced_by_its_equal(self, figures: Path) -> None:
        path = figures / "n" / "line.png"
        save_figure(line_figure(), "line", notebook="n", profile="paper", source="beauty")
        paper = path.read_bytes()
        for lower in ("smoke", "quick"):
            save_figure(line_figure((5.0, 1.0)), "line", notebook="n", profile=lower, source="synthetic")
            assert path.read_bytes() == paper
        save_figure(line_figure((5.0, 1.0)), "line", notebook="n", profile="paper", source="beauty")
        assert path.read_bytes() != paper

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"profile": "papr"}, "did you mean 'paper'"),
            ({"source": " "}, "source of figure 'line' is empty"),
            ({"name": "a/b"}, "name is 'a/b'"),
            ({"notebook": "../x"}, "notebook is '../x'"),
        ],
    )
    def test_wrong_arguments(self, figures: Path, change: dict[str, str], message: str) -> None:
        arguments = {"name": "line", "notebook": "n", "profile": "smoke", "source": "synthetic"} | change
        with pytest.raises(ConfigError, match=message):
            save_figure(line_figure(), arguments.pop("name"), **arguments)
        assert list(figures.iterdir()) == []


class TestStamp:
    def test_runs_are_named_by_their_protocol(self, figures: Path) -> None:
        protocol, fig = "laptop scale of BACO's protocol (batch 16384)", line_figure()
        save_figure(fig, "line", notebook="n", profile="paper", source="gowalla", protocol=protocol)
        assert [text.get_text() for text in fig.texts] == [f"{protocol} · gowalla"]
        entry = figure_store.read_manifest(figures)["n/line"]
        assert (entry["profile"], entry["protocol"]) == ("paper", protocol)
        save_figure(fig, "line", notebook="n", profile="quick", source="gowalla", protocol=protocol)
        assert [text.get_text() for text in fig.texts] == [f"quick, {protocol} · gowalla"]

    def test_a_long_stamp_is_no_wider_than_the_figure(self) -> None:
        fig, text = line_figure(), "laptop scale of some protocol, " * 12
        annotate_profile(fig, text)
        stamp = fig.texts[0]
        fig.canvas.draw()
        assert stamp.get_window_extent().width < fig.bbox.width and stamp.get_text().split() == text.split()

    def test_stamp_is_replaced_not_repeated(self) -> None:
        fig = line_figure()
        annotate_profile(fig, "smoke · synthetic")
        annotate_profile(fig, "paper · beauty")
        assert [text.get_text() for text in fig.texts] == ["paper · beauty"]

    def test_stamp_covers_nothing_and_enlarges_the_picture(self) -> None:
        fig = line_figure()
        bare = plt.imread(io.BytesIO(render(fig)["png"]))
        annotate_profile(fig, "smoke · synthetic")
        stamped = plt.imread(io.BytesIO(render(fig)["png"]))
        assert stamped.shape[0] > bare.shape[0]
        fig.canvas.draw()
        assert fig.texts[0].get_window_extent().y1 <= 0.0  # below the canvas, on which the axes and labels lie


class TestStyle:
    def test_families_have_one_colour(self) -> None:
        assert method_colour("baco") == method_colour("BACO without SCU") != method_colour("lightgcn")
        assert method_colour("l2q-gcn-anl") == method_colour("l2q-gcn")
        assert method_colour("mostpop") == method_colour("something new") == PALETTE["grey"]
        assert len({method_colour(name) for name in ("baco", "hq-gnn", "l2q-gcn", "lightgcn", "mf", "mostpop", "lsh", "gfcf")}) == 8

    def test_a_registered_method_has_the_colour_of_its_family_and_its_own_marker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for family, same in (("one bit", "bigear"), ("b bits", "hq-gnn"), ("shared rows", "scc"), ("full precision", "lightgcn")):
            entry = Method("toy", "Toy (1)", family, "trained", lambda *args: None, marker="h", published={"baco": "theirs"})
            monkeypatch.setitem(registry.METHODS, "toy", entry)
            assert method_colour("toy") == method_colour("Toy (1)") == method_colour(same)
            assert method_marker("toy") == method_marker("Toy (1)") == "h" != method_marker("something new")
            assert (name_in("baco", "toy"), name_in("bigear", "toy")) == ("theirs", "toy")

    def test_every_method_has_a_colour_and_a_mark_that_matplotlib_knows(self) -> None:
        for name in registry.METHODS:
            assert method_colour(name) in PALETTE.values() and method_marker(name) in Line2D.markers

    def test_colours_differ_in_lightness_or_hue_for_colour_blind_readers(self) -> None:
        """Deuteranopia (Viénot 1999, linear RGB): the colours of the method families stay apart."""
        matrix = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
        seen = [
            matrix @ np.array(to_rgb(colour)) ** 2.2
            for name, colour in PALETTE.items()
            if name in ("blue", "orange", "green", "pink", "amber")
        ]
        gaps = [np.linalg.norm(a - b) for index, a in enumerate(seen) for b in seen[:index]]
        assert min(gaps) > 0.05

    def test_widths(self) -> None:
        assert figure("double", 2.0)[0].get_size_inches() == pytest.approx([8.4, 2.0])
        with pytest.raises(ConfigError, match="width is 'wide'"):
            figure("wide")
        with pytest.raises(ConfigError, match="height is 0"):
            figure(height=0)

    def test_percent_axis(self) -> None:
        fig, ax = figure()
        ax.plot([0.0, 0.5])
        percent_axis(ax)
        percent_axis(ax, "x", decimals=1)
        assert ax.yaxis.get_major_formatter()(0.25) == "25%"
        assert ax.xaxis.get_major_formatter()(0.1234) == "12.3%"

    def test_heat_map_writes_numbers_and_labels(self) -> None:
        fig, ax = figure()
        heat_map(ax, pd.DataFrame([[0.25, 1.0]], ["row"], ["a", "b"]), ".1f", vmin=0, vmax=2)
        assert [text.get_text() for text in ax.texts] == ["0.2", "1.0"] and ax.collections[0].get_clim() == (0, 2)
        assert [label.get_text() for label in (*ax.get_yticklabels(), *ax.get_xticklabels())] == ["row", "a", "b"]

    def test_legend_below_joins_axes_and_orders_labels(self) -> None:
        fig, axes = figure("double", ncols=2)
        for ax, names in zip(axes, ("ab", "bc"), strict=True):
            for name in names:
                ax.plot([0, 1], label=name)
        legend_below(fig, *axes, rows=2, order=("c", "x"))
        assert [text.get_text() for text in fig.legends[0].get_texts()] == ["c", "a", "b"]
        fig.canvas.draw()
        assert fig.legends[0].get_window_extent().y1 <= min(ax.get_tightbbox().y0 for ax in axes)

    def test_numbers_and_bytes_are_written_in_full(self) -> None:
        fig, ax = figure()
        ax.set(xscale="log", yscale="log")
        plain_numbers(ax.xaxis)
        bytes_axis(ax.yaxis)
        assert ax.xaxis.get_major_formatter()(1000) == "1000" and ax.xaxis.get_minor_formatter()(20) == ""
        assert [ax.yaxis.get_major_formatter()(value) for value in (400, 25_000, 4e6)] == ["0.4 kB", "25 kB", "4 MB"]

    def test_labels_keep_their_distance(self) -> None:
        fig, ax = figure()
        for index in range(3):
            ax.plot([0, 1], [1.0, 1.0 + 0.001 * index], label=f"line {index}")
        ax.plot([0, 1], [0.0, 3.0], label="_hidden")
        label_lines(ax)
        fig.canvas.draw()
        boxes = sorted(text.get_window_extent().y0 for text in ax.texts)
        assert [text.get_text() for text in ax.texts] == ["line 0", "line 1", "line 2"]
        assert min(np.diff(boxes)) >= 11.0 * fig.dpi / 72 - 1

    def test_labels_far_apart_stand_at_their_lines(self) -> None:
        fig, axes = figure("double", ncols=2)
        for value in (0.0, 10.0, 30.0):
            axes[0].plot([0, 5], [0.0, value], label=str(value))
        label_lines(axes[0])
        fig.canvas.draw()
        for value, text in zip((0.0, 10.0, 30.0), axes[0].texts):
            box = text.get_window_extent()
            assert (box.y0 + box.y1) / 2 == pytest.approx(axes[0].transData.transform((5, value))[1], abs=3)

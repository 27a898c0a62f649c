"""What the figures of notebook 05's results show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest

from recq_lib.companion.figures import baco_results as plots


def test_beside_published_is_sorted_and_shows_ours_where_there_is_one():
    table = pd.DataFrame(
        {
            "method": ["baco", "random", "leiden"], "label": ["BACO", "Random", "Leiden"], "published": [6.3, 3.0, 5.5],
            "ours": [6.0, np.nan, 5.0], "half_width": [0.2, np.nan, np.nan],
        }
    )  # fmt: skip
    ax, other = plots.beside_published({"t": table, "two of them": table.iloc[:2]}, "x").axes
    assert ax.get_title(loc="left") + ax.get_title() == "t" and len(other.get_yticks()) == 2
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Random", "Leiden", "BACO"]
    diamonds = [line.get_xydata()[0].tolist() for line in ax.get_lines() if line.get_marker() == "D" and len(line.get_xydata())]
    assert diamonds == [[3.0, 0], [5.5, 1], [6.3, 2]]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o" and len(line.get_xydata())]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [[5.0, 1], [6.0, 2]]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False]  # one seed, several
    widths = [np.ptp(segments.get_segments()[0][:, 0]) for segments in ax.collections]
    assert widths == pytest.approx([0, 0.4])
    wide = table.assign(half_width=[2.0, np.nan, np.nan])
    assert plots.beside_published({"t": wide}, "x").axes[0].get_xlim()[1] > 8.0  # the whole interval of BACO


TESTS = pd.DataFrame(
    [
        ("BACO", "full table", -1.3, -1.7, -0.9, "b better"),
        ("BACO", "Random", 4.0, 3.5, 4.5, "a better"),
        ("BACO", "SCC", 0.2, -0.1, 0.5, "no difference shown"),
    ],
    columns=["a", "b", "difference", "low", "high", "verdict"],
)


def test_lead_is_sorted_and_hollow_where_no_test_shows_it():
    ax = plots.lead(TESTS, "t").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Random", "SCC", "full table"]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [[4.0, 0], [0.2, 1], [-1.3, 2]]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True, False]
    bars = [line.get_xdata() for line in ax.get_lines() if line.get_marker() != "o" and len(set(line.get_ydata())) == 1]
    assert [list(bar) for bar in bars] == [[3.5, 4.5], [-0.1, 0.5], [-1.7, -0.9]]
    assert ax.get_xlabel().startswith("Recall@20 of BACO minus")


def test_kept_beside_shows_ours_filled_and_published_hollow_in_one_colour():
    ours, theirs = {"BACO": {0: 0.9, 1: 0.8}, "GraphHash": {0: 0.7, 1: 0.6}}, {"BACO": {0: 0.95, 1: 0.85}}
    left, right = plots.kept_beside({"a": (ours, theirs), "b": (ours, {})}, ["0-50", "50-100"]).axes
    found = {line.get_label(): line for line in left.get_lines()}
    assert found["BACO, ours"].get_xydata().tolist() == [[0, 0.9], [1, 0.8]]
    assert found["BACO, published"].get_xydata().tolist() == [[0, 0.95], [1, 0.85]]
    assert found["BACO, ours"].get_color() == found["BACO, published"].get_color() != found["GraphHash, ours"].get_color()
    assert found["BACO, published"].get_markerfacecolor() == "white" != found["BACO, ours"].get_markerfacecolor()
    assert len(right.get_lines()) == 2 and [label.get_text() for label in right.get_xticklabels()] == ["0-50 %", "50-100 %"]

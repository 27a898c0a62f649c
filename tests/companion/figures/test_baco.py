"""What the figures of notebook 05 show: the numbers in the artists, not the pixels."""


import numpy as np
import pandas as pd
import pytest

from recq_lib.companion.figures import baco as plots
from recq_lib.data.toy import toy
from recq_lib.sharing.sharing import Sharing

GROUPS = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1])


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


# ---- the toy -------------------------------------------------------------------------------------------------------------------


def test_assignment_draws_a_line_per_index_and_a_strip_per_row():
    sharing = Sharing(np.array([[0, 1], [0, -1], [1, -1]]), np.array([0, 1]), 2, 2)
    users, items = plots.assignment(sharing, dim=5).axes
    assert len(users.get_lines()) == 4 and len(items.get_lines()) == 2
    assert sum(line.get_linestyle() == "--" for line in users.get_lines()) == 1
    assert len(users.patches) == len(items.patches) == 10
    assert [text.get_text() for text in users.texts] == ["u0", "u1", "u2"]
    assert title(users) == "3 users, 2 rows" and title(items) == "2 items, 2 rows"
    ends = {(round(line.get_ydata()[0]), float(line.get_ydata()[1])) for line in users.get_lines()}
    first, second = sorted({end for _, end in ends})
    assert ends == {(0, first), (0, second), (1, first), (2, second)}


def test_gains_frames_the_pairs_of_a_cluster_and_sums_them():
    matrix = np.random.default_rng(0).normal(size=(6, 5))
    moved = GROUPS.copy()
    moved[8] = 1
    fig = plots.gains(matrix, {"before": GROUPS, "after": moved})
    for ax, labels in zip(fig.axes, (GROUPS, moved), strict=True):
        pairs = [(u, i) for u in range(6) for i in range(5) if labels[u] == labels[6 + i]]
        assert {(round(p.get_y() + 0.45), round(p.get_x() + 0.46)) for p in ax.patches} == set(pairs)
        assert float(title(ax).split("F = ")[1]) == pytest.approx(sum(matrix[pair] for pair in pairs), abs=6e-4)
        assert sum(text.get_weight() == "bold" for text in ax.texts) == len(pairs)


def test_sweeps_colour_interactions_inside_and_frame_two_sided_clusters():
    data, start = toy(), np.arange(11)
    begin, end = plots.sweeps(data, [start, GROUPS], [0.0, 5.6042]).axes
    assert len(begin.patches) == 13 and len({patch.get_facecolor() for patch in begin.patches}) == 1
    cells, frames = end.patches[:13], end.patches[13:]
    grey = begin.patches[0].get_facecolor()
    pairs = list(zip(*data.pairs("train"), strict=True))
    assert sum(cell.get_facecolor() != grey for cell in cells) == sum(GROUPS[u] == GROUPS[6 + i] for u, i in pairs) == 11
    assert sorted((frame.get_width(), frame.get_height()) for frame in frames) == [(2, 3), (3, 3)]
    assert begin.get_xlabel().startswith("6 + 5 rows") and end.get_xlabel() == "2 + 2 rows\nF = 5.604"
    assert [title(begin), title(end)] == ["start", "sweep 1"]


# ---- sizes, γ, time --------------------------------------------------------------------------------------------------------------


def test_share_after_sweeps_counts_from_one_and_shows_published_diamonds():
    ax = plots.share_after_sweeps({"a": [0.6, 0.4], "b": [0.5]}, {2: 0.46, 1: 0.6}, "paper").axes[0]
    shown = lines(ax)
    assert shown["a"].get_xydata().tolist() == [[1, 0.6], [2, 0.4]] and shown["b"].get_xydata().tolist() == [[1, 0.5]]
    assert shown["paper"].get_xydata().tolist() == [[1, 0.6], [2, 0.46]]
    assert "paper" not in lines(plots.share_after_sweeps({"a": [0.6]}, {}, "paper").axes[0])


def test_cluster_sizes_fall_and_count_first_rows():
    sharing = Sharing(np.array([[0, 2], [0, -1], [1, -1], [0, -1]]), np.array([1, 1]), 3, 2)
    users, items = plots.cluster_sizes({"BACO": sharing}).axes
    assert lines(users)["BACO"].get_xydata().tolist() == [[1, 3], [2, 1]]  # row 2 has a second index only
    assert lines(items)["BACO"].get_xydata().tolist() == [[1, 2]]
    assert users.get_xscale() == users.get_yscale() == "log"


def test_gamma_curve_marks_peak_budget_and_choice():
    curve = {4.0: 0.3, 1.0: 0.1, 2.0: 0.4}
    ax = plots.gamma_curve(curve, [(1.0, 0.1), (0.0, 0.01), (1.5, 0.25)], 0.24, 1.5).axes[0]
    shown = lines(ax)
    assert shown["5 sweeps, one seed"].get_xydata().tolist() == [[1, 0.1], [2, 0.4], [4, 0.3]]
    assert shown["tried by the search (3)"].get_xydata().tolist() == [[1.0, 0.1], [1.5, 0.25]]  # γ = 0 has no place on a logarithmic axis
    assert shown["chosen: γ = 1.5"].get_xydata().tolist() == [[1.5, 0.25]]
    assert [text.get_text() for text in ax.texts] == ["most: 40%"] and ax.texts[0].xy == (2.0, 0.4)
    assert set(shown["budget: 24%"].get_ydata()) == {0.24}


def test_time_against_edges_has_a_proportional_line_through_the_largest_point():
    table = pd.DataFrame(
        {"solver": ["BACO", "BACO", "Louvain"], "edges": [100, 1000, 100], "seconds": [0.5, 4.0, 9.0]},
        index=[0, 0, 0],
    )
    shown = lines(plots.time_against_edges(table).axes[0])
    assert shown["BACO"].get_xydata().tolist() == [[100, 0.5], [1000, 4]]
    assert shown["proportional"].get_xydata() == pytest.approx(np.array([[100, 0.4], [1000, 4]]))
    assert shown["Louvain"].get_ydata().tolist() == [9]


# ---- results -------------------------------------------------------------------------------------------------------------------


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
        ("BACO", "full table", -1.3, -1.7, -0.9, "worse"),
        ("BACO", "Random", 4.0, 3.5, 4.5, "better"),
        ("BACO", "SCC", 0.2, -0.1, 0.5, "undecided"),
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

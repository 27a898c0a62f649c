"""What notebook 02's figure of time to quality shows: the numbers in the artists, not the pixels."""

import pytest

from recq_lib.companion.figures import lightgcn as plots

FAST = [(0, 1.5, 0.10), (1, 20.0, 0.16), (2, 40.0, 0.17)]
BPR = [(0, 0.0, 0.01), (3, 30.0, 0.05), (12, 120.0, 0.12)]
ENDS = ["fast recipe: 17.0 % after 2 epochs", "BPR: 12.0 % after 12 epochs"]


def points(rows):
    return [{"epoch": epoch, "seconds": seconds, "recall@20": recall} for epoch, seconds, recall in rows]


def curves_of(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_each_dataset_has_a_panel_with_seconds_on_a_log_axis():
    fig = plots.time_to_quality({name: {"fast recipe": points(FAST), "BPR": points(BPR)} for name in ("gowalla", "ml1m", "pinterest")})
    shown = [ax for ax in fig.axes if ax.get_visible()]
    assert [ax.get_title(loc="left") or ax.get_title() for ax in shown] == ["gowalla", "ml1m", "pinterest"] and len(fig.axes) == 4
    for ax in shown:
        lines = curves_of(ax)
        assert ax.get_xscale() == "log" and list(lines) == ENDS
        assert lines[ENDS[0]].get_xdata() == pytest.approx([20, 40]) and lines[ENDS[1]].get_ydata() == pytest.approx([0.05, 0.12])
        assert ax.get_ylim()[0] == 0 and ax.get_ylim()[1] > 0.17
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ENDS


def test_what_a_model_knows_before_training_stands_at_the_left_edge_and_no_point_lies_at_zero_seconds():
    (ax,) = plots.time_to_quality({"gowalla": {"fast recipe": points(FAST), "BPR": points(BPR)}}).axes
    starts = [line for line in ax.get_lines() if line.get_label().startswith("_")]
    assert [list(line.get_ydata()) for line in starts] == [[0.10, 0.10], [0.01, 0.01]]
    assert all(line.get_transform() == ax.get_yaxis_transform() and line.get_xdata()[0] == 0 for line in starts)
    assert min(min(line.get_xdata()) for line in curves_of(ax).values()) > 0

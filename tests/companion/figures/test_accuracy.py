"""What the figures of accuracy show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from recq_lib.companion.figures import accuracy as plots
from recq_lib.companion.plotting import method_colour


def frame():
    rows = [("lightgcn", s, 0.25 + 0.001 * s, 4000.0) for s in range(3)]
    rows += [("l2q-gcn", s, 0.22 + 0.01 * s, 300.0) for s in range(3)] + [("hashnet", 0, 0.17, 100.0)]
    return pd.DataFrame(rows, columns=["method", "seed", "recall@20", "bytes.stored"])


def test_accuracy_rows_are_sorted_and_show_every_seed():
    ax = plots.accuracy(frame(), "recall@20", "t").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["HashNet", "L²Q-GCN", "full precision"]
    rings = [dots.get_offsets()[:, 0].tolist() for dots in ax.collections[::2]]
    assert rings == [[0.17], pytest.approx([0.22, 0.23, 0.24]), pytest.approx([0.25, 0.251, 0.252])]
    assert [text.get_text() for text in ax.texts] == ["17.0%", "23.0%", "25.1%"]
    bars = [line.get_xdata() for line in ax.get_lines()]
    half = 4.302653 * 0.01 / np.sqrt(3)  # Student's t with two degrees of freedom
    assert len(bars) == 2 and bars[0] == pytest.approx([0.23 - half, 0.23 + half], rel=1e-6)


def test_accuracy_has_the_colours_and_names_of_methods():
    ax = plots.accuracy(frame(), "recall@20", "t", str.upper).axes[0]
    expected = [to_rgba(method_colour(name)) for name in ("hashnet", "l2q-gcn", "lightgcn")]
    assert [tuple(dots.get_facecolor()[0]) for dots in ax.collections[1::2]] == expected and len(set(expected)) == 3
    assert [label.get_text() for label in ax.get_yticklabels()] == ["HASHNET", "L2Q-GCN", "LIGHTGCN"]


def test_accuracy_against_bytes_places_means_and_keeps_names_apart():
    table = pd.concat([frame(), frame().query("method == 'l2q-gcn'").assign(method="bigear")])
    fig = plots.accuracy_against_bytes(table, "recall@20", "t")
    ax = fig.axes[0]
    points = {(line.get_xdata()[0], round(float(line.get_ydata()[0]), 6)) for line in ax.get_lines() if len(line.get_xdata()) == 1}
    assert points == {(4000, 0.251), (300, 0.23), (100, 0.17)}
    names = {text.get_text(): text for text in ax.texts}
    assert set(names) == {"full precision", "L²Q-GCN", "BiGeaR", "HashNet"}
    apart = [names[name].xyann[1] for name in ("L²Q-GCN", "BiGeaR")]
    assert abs(apart[0] - apart[1]) == pytest.approx(11) and sum(apart) == pytest.approx(0, abs=1e-6)
    assert names["HashNet"].get_ha() == "left"


def test_names_go_left_of_points_with_a_near_neighbour():
    table = frame().assign(**{"bytes.stored": [4000.0] * 3 + [300.0] * 3 + [200.0]})
    ax = plots.accuracy_against_bytes(table, "recall@20", "t").axes[0]
    sides = {text.get_text(): text.get_ha() for text in ax.texts}
    assert sides == {"full precision": "left", "L²Q-GCN": "left", "HashNet": "right"}


def test_recovery_shows_the_first_row_on_top_and_the_band():
    rows = [
        {"dataset": "a", "dim": 64, "method": "bigear", "recall@20": [0.95, 0.97], "ndcg@20": [0.9, 0.9]},
        {"dataset": "b", "dim": 8, "method": "l2q-gcn", "recall@20": [0.8], "ndcg@20": [1.1]},
    ]
    left, right = plots.recovery(rows).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["b, d = 8: L²Q-GCN", "a, d = 64: BiGeaR"]
    assert left.patches[0].get_x() == 0.9 and left.patches[0].get_width() == pytest.approx(0.09)
    assert [text.get_text() for text in left.texts] == ["80.0%", "96.0%"]  # rows are placed from the bottom up
    for ax in (left, right):
        low, high = ax.get_xlim()
        assert all(low < x < high for dots in ax.collections for x in dots.get_offsets()[:, 0])

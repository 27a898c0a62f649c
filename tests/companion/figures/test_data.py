"""What the figures of notebook 01 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from helpers import random_interactions

from recq_lib.companion.figures import data as plots
from recq_lib.evaluation.statistics import MeanInterval


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def test_tails_are_falling_and_leave_out_empty_nodes():
    fig = plots.tails({"a": (np.array([1, 5, 2]), np.array([0, 3, 9, 3]))}, (np.array([3, 3, 2]), np.array([4, 4, 4, 4])))
    items, users = fig.axes
    assert lines(items)["a"].get_ydata().tolist() == [9, 3, 3]
    assert lines(items)["a"].get_xdata().tolist() == [1, 2, 3]
    assert lines(users)["a"].get_ydata().tolist() == [5, 2, 1]
    assert lines(users)["a if drawn evenly"].get_ydata().tolist() == [3, 3, 2]


def test_concentration_labels_the_share_of_the_top_tenth():
    degrees = np.array([30, *[2] * 5, *[1] * 4 + [4] * 10])  # 20 items: the top two hold 30 + 4 of 84
    fig = plots.concentration({"a": degrees})
    shown = lines(fig.axes[0])
    assert "a: 40%" in shown and round(100 * 34 / 84) == 40
    curve = shown["a: 40%"]
    assert curve.get_ydata()[[0, 1, 2, -1]] == pytest.approx([0, 30 / 84, 34 / 84, 1])


def test_density_equals_a_count_by_hand():
    data = random_interactions(n_users=10, n_items=7, n_pairs=40, test=5)
    rng = np.random.default_rng(1)
    users, items = rng.permutation(10), rng.permutation(7)
    found = plots._binned(data.train, users, items, bins=5)
    dense = data.train.toarray()[users][:, items]
    for row in range(5):
        for column in range(5):
            in_column = [j for j in range(7) if j * 5 // 7 == column]
            assert found[row, column] == pytest.approx(dense[2 * row : 2 * row + 2][:, in_column].mean())
    fig = plots.density(data.train, {"one": (users, items), "two": (users, items)}, bins=5)
    assert [ax.get_title(loc="left") or ax.get_title() for ax in fig.axes[:2]] == ["one", "two"]


def test_splits_show_shares_and_counts():
    total, held = np.array([10, 4, 0]), np.array([2, 4, 0])
    cold = pd.DataFrame([(0.5, "users", 3, 2.5), (0.5, "items", 1, 1.5), (0.8, "users", 0, 0.1), (0.8, "items", 0, 0.2)])
    cold.columns = ["share", "side", "found", "expected"]
    left, right = plots.splits({"global": (total, held)}, cold).axes
    assert lines(left)["global"].get_ydata().tolist() == [0.2, 1.0]  # the user without interactions has no share
    assert lines(right)["users, counted"].get_ydata().tolist() == [3, 0]
    assert lines(right)["items, foretold"].get_ydata() == pytest.approx([1.5, 0.2])


def test_conventions_draw_one_line_per_column():
    recalls = pd.DataFrame({"a": [0.1, 0.2], "b": [0.3, 0.2], "c": [0.1, 0.0]}, index=[1, 20])
    ndcgs = pd.DataFrame({"standard": [0.1, 0.2], "other": [0.4, np.nan]}, index=[1, 20])
    left, right = plots.conventions(recalls, ndcgs, k=20).axes
    assert list(lines(left)) == ["a", "b", "c"] and list(lines(right)) == ["standard", "other"]
    assert lines(left)["b"].get_ydata().tolist() == [0.3, 0.2]


def test_optimism_averages_both_directions_of_a_cut():
    rows = [(1, 0, 0.5, 0.3), (1, 0, 0.3, 0.5), (1, 1, 0.4, 0.2), (1, 1, 0.2, 0.4)]
    rows += [(2, 0, 0.5, 0.4), (2, 0, 0.5, 0.4), (2, 1, 0.5, 0.3), (2, 1, 0.5, 0.3)]
    left, right = plots.optimism(pd.DataFrame(rows, columns=["m", "trial", "chosen_on", "fresh"])).axes
    assert lines(left)["users it was chosen on"].get_ydata() == pytest.approx([0.35, 0.5])
    gaps, _, bars = right.containers[0]
    assert gaps.get_ydata() == pytest.approx([0.0, 15.0])
    half = [(segment[1, 1] - segment[0, 1]) / 2 for segment in bars[0].get_segments()]
    assert half == pytest.approx([0.0, 2 * np.std([10, 20], ddof=1) / np.sqrt(2)])


def test_ties_tell_the_range_over_all_orders():
    values = {"float": np.array([0.3, 0.3]), "codes": np.array([0.2, 0.22])}
    fixed = {"float": {"by id": 0.3}, "codes": {"by id": 0.25}}
    ax = plots.ties(values, fixed, "Recall@20").axes[0]
    assert [text.get_text() for text in ax.texts] == ["5.00 points apart", "0.00 points apart"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["codes", "float"]


def test_intervals_span_low_to_high_in_points():
    one, two = MeanInterval(0.3, 0.25, 0.4, 9, 0.95, "BCa"), MeanInterval(0.1, 0.05, 0.2, 9, 0.95, "BCa")
    left, right = plots.intervals({"LightGCN": one, "MostPop": two}, {"difference": two}, np.array([0.28, 0.32]), "LightGCN").axes
    assert left.get_lines()[2].get_xdata() == pytest.approx([0.25, 0.4])  # rows go from the bottom up
    assert left.get_lines()[4].get_xdata() == pytest.approx([0.28, 0.32])
    assert right.get_lines()[0].get_xdata() == pytest.approx([5, 20])

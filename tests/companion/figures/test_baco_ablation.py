"""What the figures of notebook 09 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from helpers import random_interactions

from recq_lib.companion.analysis.weighting import DEFAULT, FULL
from recq_lib.companion.figures import baco_ablation as plots
from recq_lib.companion.plotting import PALETTE
from recq_lib.companion.studies.sharing import WEIGHTS
from recq_lib.papers.baco.clustering import cluster


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def dots(ax, marker="o"):
    return [tuple(line.get_xydata()[0]) for line in ax.get_lines() if line.get_marker() == marker and len(line.get_xydata()) == 1]


def runs(rows, columns):
    return pd.DataFrame(rows, columns=columns)


def test_every_weighting_has_its_own_style():
    assert list(plots.STYLES) == [f"{user} / {item}" for user, item in WEIGHTS] and next(iter(plots.STYLES)) == DEFAULT
    assert len({colour for colour, _ in plots.STYLES.values()}) == len(WEIGHTS)


def test_prices_are_relative_to_their_mean():
    matrix = np.array([[1.0, 3.0], [2.0, 2.0]])
    first, second, third, rest = plots.prices({"a": matrix, "b": 10 * matrix, "c": np.ones((2, 2))}).axes
    assert [text.get_text() for text in first.texts] == ["0.5", "1.5", "1.0", "1.0"] == [text.get_text() for text in second.texts]
    assert [text.get_text() for text in third.texts] == ["1.0"] * 4 and not rest.axison
    assert {ax.collections[0].get_clim() for ax in (first, second, third)} == {(0, 1.5)}


def test_gamma_curves_are_scaled_on_the_right_only():
    gammas, sizes = np.array([1.0, 2.0, 4.0]), np.array([0.1, 0.2, 0.3])
    left, right = plots.gamma_curves({DEFAULT: (gammas, sizes, 5.0), "other": (gammas, sizes, 0.5)}, {DEFAULT: 2.0}, 0.2).axes
    assert lines(left)[DEFAULT].get_xdata().tolist() == [1, 2, 4] and lines(right)[DEFAULT].get_xdata().tolist() == [5, 10, 20]
    assert lines(right)["other"].get_xdata().tolist() == [0.5, 1, 2] and lines(left)["other"].get_ydata().tolist() == sizes.tolist()
    assert dots(left) == [(2, 0.2)] and dots(right) == [(10, 0.2)]
    assert set(lines(left)["size 20%"].get_ydata()) == {0.2}


def test_row_sizes_fall_and_company_is_by_degree():
    data = random_interactions(30, 20, 150, seed=3, test=5)
    found = cluster(data, 0.5)
    degrees = np.diff(data.train.indptr), np.bincount(data.train.indices, minlength=20)
    users, items, below_users, _ = plots.row_sizes({DEFAULT: found}, degrees).axes
    for ax, rows in ((users, found.users[:, 0]), (items, found.items[:, 0])):
        counts = [rows.tolist().count(row) for row in set(rows.tolist())]
        assert lines(ax)[DEFAULT].get_ydata().tolist() == sorted(counts, reverse=True)
    x = below_users.get_lines()[0].get_xdata()
    assert (np.diff(x) > 0).all() and degrees[0].min() <= x[0] and x[-1] <= degrees[0].max()


def test_agreement_writes_every_cell():
    matrix = pd.DataFrame([[1.0, 0.25], [0.25, 1.0]], index=["a", "b"], columns=["a", "b"])
    ax = plots.agreement(matrix).axes[0]
    assert [text.get_text() for text in ax.texts] == ["1.00", "0.25", "0.25", "1.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_ghosts_joins_with_and_without():
    left, right = plots.ghosts({"with ghosts": [0.4, 0.3], "without": [0.5, 0.2]}, {"p": (0.2, 0.3), "q": (0.1, 0.1)}).axes
    assert lines(left)["without"].get_xydata().tolist() == [[1, 0.5], [2, 0.2]]
    assert dots(right) == [(0.2, 1), (0.1, 0)] and dots(right, "s") == [(0.3, 1), (0.1, 0)]
    assert [label.get_text() for label in right.get_yticklabels()] == ["q", "p"]  # from the bottom up


def test_reach_draws_the_span_of_sizes():
    ax = plots.reach({1: np.array([0.5, 0.3, 0.4]), 2: np.array([0.1, 0.45])}, {1: 0.3, 2: 0.1}, [0.2, 0.35]).axes[0]
    spans = [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_y() + bar.get_height()) for bar in ax.patches]
    assert spans == [pytest.approx((1, 0.3, 0.5)), pytest.approx((2, 0.1, 0.45))]
    assert lines(ax)["γ = 0: label propagation"].get_xydata().tolist() == [[1, 0.3], [2, 0.1]]
    assert [line.get_ydata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] == [0.2, 0.35]


def test_with_and_without_leaves_out_what_is_not_recorded():
    rows = [
        ("degree", "released", True, 0.2),
        ("degree", "released", True, 0.4),
        ("degree", "released", False, 0.1),
        ("log", "log", True, 0.5),
    ]
    ax = plots.with_and_without(runs(rows, ["user", "item", "scu", "value"]), np.array([0.6, 0.8]), "R", "t").axes[0]
    means = {
        tuple(np.round(part.get_offsets()[0], 2)) for part in ax.collections if part.get_label() and not part.get_label().startswith("_")
    }
    assert means == {(0.3, 1.15), (0.1, 0.85), (0.5, 0.15)}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["log / log", "degree / released"]
    assert lines(ax)[FULL].get_xdata()[0] == pytest.approx(0.7)


def test_lead_by_size_sets_ours_beside_the_published():
    rows = [(0.1, -2.0, -3.0, -1.0, "worse"), (0.3, 0.5, -0.5, 1.5, "undecided")]
    tests = pd.DataFrame(rows, columns=["ratio", "difference", "low", "high", "verdict"])
    left, right = plots.lead_by_size(tests, {4.0: 0.6, 10.0: 1.5}, "title").axes
    faces = {float(line.get_ydata()[0]): line.get_markerfacecolor() for line in left.get_lines() if line.get_marker() == "o"}
    assert set(faces) == {-2.0, 0.5} and faces[0.5] == "white" and faces[-2.0] != "white"
    assert sorted(tuple(line.get_ydata()) for line in left.get_lines() if line.get_linewidth() == 1.8) == [(-3, -1), (-0.5, 1.5)]
    assert right.get_lines()[0].get_xydata().tolist() == [[4, 0.6], [10, 1.5]]


def test_forest_fills_only_what_is_shown():
    columns = ["a", "difference", "low", "high", "verdict"]
    tests = {
        "weights": runs([("p", 1.0, 0.5, 1.5, "better"), ("q", -0.1, -0.5, 0.3, "undecided")], columns),
        "ghosts": runs([], columns),
        "sweeps": runs([("r", -2.0, -3.0, -1.0, "worse")], columns),
    }
    ax = plots.forest(tests, "t").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["r", "q", "p"] and dots(ax) == [(1.0, 2), (-0.1, 1), (-2.0, 0)]
    faces = [line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o" and len(line.get_xydata())]
    assert [face == "white" for face in faces] == [False, True, False]
    bars = [line.get_xdata().tolist() for line in ax.get_lines() if line.get_marker() == "None" and len(set(line.get_xdata())) == 2]
    assert bars == [[0.5, 1.5], [-0.5, 0.3], [-3.0, -1.0]]
    assert set(lines(ax)) == {"weights", "sweeps"}
    assert plots.forest({"ghosts": tests["ghosts"]}, "t").axes[0].get_lines()  # an empty one is drawn, with its zero line


def test_size_curve_joins_means_over_seeds():
    rows = [
        ("baco", 0.2, 0.21, 0.3),
        ("baco", 0.2, 0.19, 0.4),
        ("baco", 0.1, 0.1, 0.2),
        ("graphhash", 0.1, 0.1, 0.15),
        ("lightgcn", None, 1, 0.9),
    ]
    ax = plots.size_curve(runs(rows, ["method", "ratio", "share", "value"]), np.array([0.5]), "R", "t").axes[0]
    shown = lines(ax)
    assert shown["BACO"].get_xydata() == pytest.approx(np.array([[0.1, 0.2], [0.2, 0.35]]))
    assert shown["GraphHash"].get_xydata().tolist() == [[0.1, 0.15]] and set(shown) == {"BACO", "GraphHash", FULL}
    assert set(shown[FULL].get_ydata()) == {0.5}


def test_activity_shows_means_and_what_is_kept():
    rows = [(name, quarter, seed, base * (quarter + 1) + seed * 0.01) for name, base in ((FULL, 0.1), ("x", 0.05)) for quarter in range(4)
            for seed in (0, 1)]  # fmt: skip
    table = runs(rows, ["name", "quarter", "seed", "value"])
    left, right = plots.activity(table, {"published": {0: 0.9, 3: 0.8}}, ["a", "b", "c", "d"], "R").axes
    assert [y for _, y in dots(left, "v")] == pytest.approx([0.105, 0.205, 0.305, 0.405])
    shares = {line.get_color(): line.get_ydata() for line in right.get_lines()}
    assert shares[PALETTE["pink"]] == pytest.approx([0.055 / 0.105, 0.105 / 0.205, 0.155 / 0.305, 0.205 / 0.405])
    assert lines(right)["published"].get_xydata().tolist() == [[0, 0.9], [3, 0.8]]
    assert [label.get_text() for label in left.get_xticklabels()] == ["0-25 %\n(a)", "25-50 %\n(b)", "50-75 %\n(c)", "75-100 %\n(d)"]

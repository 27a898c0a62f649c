"""What the figures of notebooks 06 and 07 show: the numbers in the artists, not the pixels."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.figures import ablation_codes as plots
from recq_lib.parts.annealing import Schedule
from recq_lib.runs.records import RunRecord, RunSpec


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def runs(rows, columns):
    return pd.DataFrame(rows, columns=columns)


def test_storage_stacks_bits_and_scalers():
    ax = plots.storage([("three", 24, 12), ("one", 8, 4)]).axes[0]
    bars = [(round(bar.get_x()), round(bar.get_width())) for bar in ax.patches]
    assert bars == [(0, 24), (0, 8), (24, 12), (8, 4)]
    assert [text.get_text() for text in ax.texts] == ["36 bytes", "12 bytes"]


def test_one_node_titles_carry_the_relative_error():
    vector, code = np.array([3.0, -1.0]), np.array([2.0, -2.0])
    fig = plots.one_node({"layer 0": (vector, code), "mean": (vector, vector)})
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in fig.axes]  # the style sheet moves titles to the left
    assert [title.split("\n")[1] for title in titles] == ["error 0.20", "error 0.00"]
    assert fig.axes[0].get_lines()[0].get_ydata().tolist() == [2, -2]


def test_equal_bits_places_codes_by_bits_and_by_bytes_with_seed_intervals():
    seeds = np.array([0.20, 0.22, 0.24])
    rows = [("all", 64, 192, 36, v) for v in seeds] + [("mean", 64, 64, 12, 0.21), ("mean", 192, 192, 28, 0.25)]
    rows += [("full precision", 64, 6144, 768, 0.3)]
    fig = plots.equal_bits(runs(rows, ["coded", "width", "bits", "bytes", "value"]), "title")
    by_bits, by_bytes = fig.axes
    assert lines(by_bits)["mean of layers"].get_xydata() == pytest.approx(
        np.array([[64, 0.21], [192, 0.25]]), rel=0.04
    )  # set aside a little
    assert lines(by_bytes)["mean of layers"].get_xdata() == pytest.approx([12, 28], rel=0.04)
    assert lines(by_bytes)["every layer"].get_xdata().tolist() == [36]
    assert "last layer" not in lines(by_bits)
    assert lines(by_bits)["full precision"].get_ydata() == pytest.approx([0.3, 0.3])
    assert sorted(text.get_text() for text in by_bits.texts) == ["192", "3×64", "64"]
    (bar,) = [container for container in by_bits.containers if container.has_yerr]
    low, high = bar[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx(stats.t.interval(0.95, 2, seeds.mean(), stats.sem(seeds)))
    assert by_bits.get_xscale() == "log"


def test_equal_bits_draws_what_there_is():
    fig = plots.equal_bits(runs([("full precision", 64, 6144, 768, 0.3)], ["coded", "width", "bits", "bytes", "value"]), "title")
    assert list(lines(fig.axes[0])) == ["full precision"]


def test_switches_join_the_means_of_with_and_without():
    fig = plots.switches([("a", np.array([0.1, 0.3]), np.array([0.1])), ("b", np.array([0.5]), np.array([0.6]))], ("with", "without"), "t")
    joins = [line.get_xdata().tolist() for line in fig.axes[0].get_lines() if line.get_color() == "#BBBBBB"]
    assert joins == [pytest.approx([0.2, 0.1]), pytest.approx([0.5, 0.6])]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["b", "a"]  # from the bottom up
    assert fig.axes[0].get_yticks().tolist() == [0, 1]


def test_depth_writes_the_bits_beside_the_points():
    rows = [("all", 1, 128, 0.2), ("all", 2, 192, 0.3), ("mean", 1, 64, 0.25)]
    ax = plots.depth(runs(rows, ["coded", "depth", "bits", "value"]), "title").axes[0]
    assert lines(ax)["every layer"].get_xydata() == pytest.approx(np.array([[1, 0.2], [2, 0.3]]), rel=0.04)
    assert [text.get_text() for text in ax.texts] == ["128 bits", "192 bits", "64 bits"]


def test_inside_shows_medians_and_shared_bits():
    cosines = {"layer 0": np.linspace(0.5, 0.9, 41), "mean": np.linspace(0.6, 1.0, 41)}
    shared = np.array([[1.0, 0.93], [0.93, 1.0]])
    left, right = plots.inside(cosines, shared).axes
    medians = [line.get_ydata()[0] for line in left.get_lines() if line.get_color() == "#222222"]
    assert medians == pytest.approx([0.7, 0.8])
    assert [text.get_text() for text in right.texts] == ["100%", "93%", "93%", "100%"]
    assert math.sqrt(2 / math.pi) in [line.get_ydata()[0] for line in left.get_lines()]


def test_relaxations_lie_between_the_vector_and_its_sign():
    x = np.array([-2.0, -1.0, 1.0, 2.0])
    shown = lines(plots.relaxations({0.5: np.tanh(x / 0.5) / np.tanh(2)}, x).axes[0])
    assert shown["τ = 0.5"].get_ydata()[[1, 2]] == pytest.approx([-1, 1])
    assert shown["v itself (τ → ∞)"].get_ydata().tolist() == x.tolist()
    assert shown["α·sign(v) (τ → 0)"].get_ydata().tolist() == [-1, -1, 1, 1]


def test_schedules_mark_where_hard_codes_begin():
    named = {"linear": Schedule("linear", 4.0, 1.0, hold=0.0, span=0.5), "none": Schedule("none", 4.0)}
    ax = plots.schedules(named, 10).axes[0]
    assert lines(ax)["linear"].get_ydata() == pytest.approx([4, 3.4, 2.8, 2.2, 1.6, 1, 1, 1, 1, 1])
    assert lines(ax)["none"].get_ydata().tolist() == [4] * 10
    dots = [line.get_xydata().tolist() for line in ax.get_lines() if line.get_marker() == "o"]
    assert dots == [[[5, 1]]]


def test_gap_means_over_seeds():
    losses = runs([(1.0, 0, 0.2, 0.4), (1.0, 1, 0.4, 0.6), (0.1, 0, 0.5, 0.5)], ["temperature", "seed", "relaxed", "hard"])
    left, right = plots.gap(losses, {"a": np.array([0.0, 0.7])}, np.array([1.0, 0.1]), {"linear": 0.25}).axes
    assert lines(left)["relaxed loss"].get_xydata() == pytest.approx(np.array([[0.1, 0.5], [1, 0.3]]))
    assert lines(left)["hard loss"].get_ydata() == pytest.approx([0.5, 0.5])
    assert lines(left)["run: linear"].get_ydata() == pytest.approx([0.25, 0.25])
    assert lines(right)["a"].get_ydata().tolist() == [0.0, 0.7]
    assert left.xaxis_inverted() and right.xaxis_inverted()


def test_by_path_places_starts_beside_each_other_in_the_order_of_the_paths():
    rows = [("linear", True, 0.3), ("hard codes", True, 0.2), ("hard codes", False, 0.1), ("full precision", False, 0.4)]
    ax = plots.by_path(runs(rows, ["path", "warm", "value"]), "title").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["linear", "hard codes"]
    dots = {tuple(np.round(part.get_offsets()[0], 2)): part.get_label() for part in ax.collections}
    assert set(dots) == {(0.3, 0.14), (0.2, 1.14), (0.1, 0.86)}
    assert {label for label in dots.values() if not label.startswith("_")} == {"warm start", "from scratch"}
    assert lines(ax)["full precision"].get_xdata() == pytest.approx([0.4, 0.4])


def run(method, seed, values, **options):
    params = {"dim": 8, "n_layers": 2, "epochs": 10} | {f"option.{name}": value for name, value in options.items()}
    history = [{"epoch": epoch, "loss": 1.0} | ({"val_recall@20": values[epoch // 5]} if epoch % 5 == 0 else {}) for epoch in range(10)]
    return RunRecord(RunSpec(method, "tiny", seed, "smoke", params, "f"), {"recall@20": 0.1}, history=history)


def test_paths_over_epochs_average_seeds_and_shade_the_relaxed_epochs():
    annealed = {"schedule": "linear", "relaxation": "tanh", "start": 4.0, "end": 0.1, "hold": 0.2, "span": 0.5}
    records = [run("l2q-gcn-anl", seed, (0.1 * seed, 0.3), warm_start=True, **annealed) for seed in (0, 1)]
    records += [run("l2q-gcn", 0, (0.2, 0.2), warm_start=False), run("lightgcn", 0, (0.4, 0.4))]
    cold, warm = plots.paths_over_epochs(records, "val_recall@20").axes
    assert lines(warm)["linear"].get_xydata() == pytest.approx(np.array([[0, 0.05], [5, 0.3]]))
    assert list(lines(cold)) == ["hard codes"] and list(lines(warm)) == ["linear"]
    assert not cold.patches and [patch.get_x() + patch.get_width() for patch in warm.patches] == pytest.approx([7.0])


def test_ends_are_ordered_and_the_reference_is_a_mean():
    table = runs([(0.5, 0.2), (0.05, 0.3), (0.1, 0.25)], ["end", "value"])
    ax = plots.ends(table, pd.Series([0.2, 0.4]), "title").axes[0]
    assert lines(ax)["exponential, warm start"].get_xydata() == pytest.approx(np.array([[0.05, 0.3], [0.1, 0.25], [0.5, 0.2]]))
    assert lines(ax)["hard codes, warm start"].get_ydata() == pytest.approx([0.3, 0.3])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.05", "0.1", "0.5"]

"""What the figures of notebook 08 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.analysis.hessian import EVERY_EPOCH
from recq_lib.companion.analysis.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from recq_lib.companion.figures import hessian as plots
from recq_lib.runs.records import RunRecord, RunSpec


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


@pytest.mark.parametrize(("value", "end"), [(-0.2, 1.4), (-1.5, -3.4)])
def test_staircase_draws_models_from_the_code_towards_the_value(value, end):
    v = np.linspace(-3, 3, 7)
    plane = (np.array([-1.0, 1.0]), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 5.0]]))
    left, right, _ = plots.staircase(v, np.arange(7.0), v**2, (value, -1.0, 0.5), {"STE": 2.0, "GSTE": 3.0}, plane).axes
    shown = lines(left)
    assert shown["STE"].get_xydata() == pytest.approx(np.array([[-1, 0.5], [end, 0.5 + 2 * (end + 1)]]))
    assert shown["GSTE"].get_ydata()[1] == pytest.approx(0.5 + 3 * (end + 1))
    assert shown["loss of the codes"].get_ydata().tolist() == list(range(7))
    assert shown["loss without rounding"].get_ydata() == pytest.approx(v**2)
    assert shown["value of the entry"].get_xdata() == [value, value]
    assert np.asarray(right.collections[0].get_array()).ravel().tolist() == [1, 2, 3, 4]


def test_gradient_errors_mark_the_natural_scale_on_each_line():
    by_scale = pd.DataFrame([(b, s, t, b * s**2 / (1 + t)) for b in (1, 2) for s in (0.1, 1.0) for t in (0.0, 1.0)],
                            columns=["bits", "s", "times", "error"])  # fmt: skip
    by_delta = pd.DataFrame([(1, t, (t - 1) ** 2 + 0.1) for t in (0.0, 1.0, 2.0)], columns=["bits", "times", "error"])
    left, right = plots.gradient_errors(by_scale, by_delta, {1: 0.5}, 1.0).axes
    assert lines(left)["2 bits, GSTE"].get_xydata() == pytest.approx(np.array([[0.1, 0.01], [1, 1]]))
    assert lines(left)["1 bit, STE"].get_linestyle() == "--" and lines(left)["1 bit, GSTE"].get_linestyle() == "-"
    dots = sorted(float(line.get_ydata()[0]) for line in left.get_lines() if line.get_marker() == "o")
    assert dots == pytest.approx([0.125, 0.25])  # on the power law, between the points that are drawn
    assert lines(right)["1 bit"].get_ydata() == pytest.approx([1.1, 0.1, 1.1])


def run(estimator, seed, bits, bounds, corrections):
    params = {"option.estimator": estimator, "option.bits": bits, "option.bounds": bounds}
    history = [{"epoch": e, "loss": 1.0, "users_correction": c, "items_correction": c / 2} for e, c in enumerate(corrections)]
    return RunRecord(RunSpec("hq-gnn", "tiny", seed, "smoke", params, "f"), {"recall@50": 0.1}, history=history)


def test_corrections_average_seeds_and_leave_out_ste_and_the_first_epoch():
    records = [run("gste", 0, 1, "fixed", (0, 0.1, 0.2)), run("gste", 1, 1, "fixed", (0, 0.3, 0.6)), run("ste", 0, 1, "fixed", (0, 0, 0))]
    users, items = plots.corrections([*records, run("gste", 0, 2, "learn", (0, 0.01, 0.02))], "tiny").axes
    assert set(lines(users)) == {"1 bit, codes ±1", "2 bits, one scale"}
    assert lines(users)["1 bit, codes ±1"].get_xydata() == pytest.approx(np.array([[1, 0.2], [2, 0.4]]))
    assert lines(items)["1 bit, codes ±1"].get_ydata() == pytest.approx([0.1, 0.2])


def differences(*rows):
    columns = ["dataset", "setting", "bits", "bounds", "measured", "difference", "correction", "verdict", "idle"]
    table = pd.DataFrame(rows, columns=columns).assign(warm=True, seeds=3)
    return table.assign(low=table["difference"] - 1, high=table["difference"] + 1)


FOUND = (
    ("lastfm", "late", 1, "fixed", "Hutchinson", 0.5, 0.3, UNDECIDED, 0),
    ("lastfm", "two", 2, "scale", EVERY_EPOCH, -2.0, 0.01, WORSE, 0),
    ("lastfm", "one", 1, "fixed", EVERY_EPOCH, 0.2, 0.1, EQUIVALENT, 0),
    ("beauty", "one", 1, "fixed", EVERY_EPOCH, 3.0, 0.2, BETTER, 0),
    ("beauty", "zero", 1, "learn", EVERY_EPOCH, 0.0, 0.05, UNDECIDED, 3),
)


def test_forest_fills_what_is_shown_and_crosses_what_could_not_act():
    left, right = plots.forest(differences(*FOUND), "title").axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["late", "two", "one", "zero"]  # from below
    points = {float(line.get_xdata()[0]): line for line in left.get_lines() if line.get_linestyle() == "None" and len(line.get_xdata())}
    faces = {value: line.get_markerfacecolor() for value, line in points.items()}
    assert {value for value, face in faces.items() if face != "white"} == {-2.0, 3.0}
    assert points[0.0].get_marker() == "x" and points[0.2].get_marker() == "o" and points[3.0].get_marker() == "s"
    assert float(points[-2.0].get_ydata()[0]) == pytest.approx(1, abs=0.2)
    bars = sorted(
        tuple(np.ravel(line.get_xdata())) for line in left.get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() == 1.6
    )
    assert bars == [(-3, -1), (-1, 1), (-0.8, 1.2), (-0.5, 1.5), (2, 4)]
    assert sorted(float(line.get_xdata()[0]) for line in right.get_lines()) == [0.01, 0.05, 0.1, 0.2, 0.3]
    assert {"lastfm (3 seeds)", "beauty (3 seeds)", "δ did not act"} <= set(lines(left))


def test_gain_leaves_out_settings_that_could_not_act():
    ax = plots.gain_against_correction(differences(*FOUND), "title").axes[0]
    points = {(float(x), float(y)) for line in ax.get_lines() if len(line.get_xdata()) == 1 for x, y in [line.get_xydata()[0]]}
    assert points == {(0.3, 0.5), (0.01, -2.0), (0.1, 0.2), (0.2, 3.0)}
    assert sorted(text.get_text() for text in ax.texts) == ["1", "1", "1*", "2"]  # the star: measured otherwise
    # numbers stand at the upper ends of the bars, which are a point above the differences here
    assert {tuple(text.xy) for text in ax.texts} == {(0.3, 1.5), (0.01, -1.0), (0.1, 1.2), (0.2, 4.0)}


def test_scale_and_estimator_has_a_panel_per_dataset_and_start():
    rows = [("a", 1, "fixed", True, e, s, v + 0.01 * s) for e, v in (("ste", 0.2), ("gste", 0.3)) for s in range(3)]
    rows += [
        ("a", 1, "learn", True, "ste", 0, 0.4),
        ("a", 0, "", False, "full precision", 0, 0.5),
        ("a", 1, "fixed", False, "gste", 0, 0.1),
    ]
    table = pd.DataFrame(rows, columns=["dataset", "bits", "bounds", "warm", "estimator", "seed", "value"]).assign(measured=EVERY_EPOCH)
    warm, cold = plots.scale_and_estimator(table, "title").axes
    points = {round(float(line.get_ydata()[0]), 3): line for line in warm.get_lines() if len(line.get_xdata()) == 1}
    assert set(points) == {0.21, 0.31, 0.4}
    assert points[0.21].get_marker() == points[0.31].get_marker() == "s" and points[0.4].get_marker() == "o"
    assert points[0.21].get_xdata()[0] < points[0.31].get_xdata()[0]  # STE left of GSTE
    (bar,) = [line for line in warm.get_lines() if len(line.get_xdata()) == 2 and 0.3 < np.mean(line.get_ydata()) < 0.32]
    assert tuple(bar.get_ydata()) == pytest.approx(stats.t.interval(0.95, 2, 0.31, stats.sem([0.3, 0.31, 0.32])))
    assert [line.get_ydata()[0] for line in cold.get_lines() if line.get_linestyle() == "--"] == [0.5]
    assert cold.get_title(loc="left") or cold.get_title()


def test_scale_and_estimator_draws_other_ways_of_measuring_hollow():
    rows = [("ste", EVERY_EPOCH, 0.2), ("gste", EVERY_EPOCH, 0.3), ("gste", "every 10 epochs", 0.4)]
    table = pd.DataFrame(rows, columns=["estimator", "measured", "value"])
    table = table.assign(dataset="a", bits=1, bounds="fixed", warm=True, seed=0)
    (ax,) = plots.scale_and_estimator(table, "title").axes
    faces = {round(float(line.get_ydata()[0]), 3): line.get_markerfacecolor() for line in ax.get_lines() if len(line.get_xdata()) == 1}
    assert {value for value, face in faces.items() if face == "white"} == {0.4} and set(faces) == {0.2, 0.3, 0.4}
    assert "GSTE, δ measured every 10 epochs" in lines(ax)

"""What the figures of notebook 04 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from recq_lib.companion.analysis.kept import kept_rows
from recq_lib.companion.figures import hq_gnn as plots
from recq_lib.runs.records import RunRecord, RunSpec

METRICS = ("recall@50", "ndcg@50")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()  # the project's style puts titles on the left


def record(method, seed=0, *, dataset="a", recall=0.2, ndcg=0.1, stored=100, encoder=None, bits=None, epochs=40):
    params = {"dim": 64, "epochs": epochs}
    params |= {"option.bits": bits} if bits else {}
    params |= {"option.encoder": encoder} if encoder else {}
    return RunRecord(
        spec=RunSpec(method, dataset, seed, "smoke", params, "f"),
        metrics={"recall@50": recall, "ndcg@50": ndcg},
        n_bytes={"parameters": 1000, "stored": stored},
    )


# ---- the quantizer --------------------------------------------------------------------------------------------------------------


def test_staircases_have_two_to_the_b_levels_and_tell_the_loss_of_a_normal():
    fig = plots.staircases((1, 2))
    for ax, bits in zip(fig.axes, (1, 2)):
        x, q = lines(ax)["Q(x)"].get_data()
        levels = np.unique(q)
        assert levels.size == 2**bits and np.allclose(np.diff(levels), np.diff(levels)[0])
        edges = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"]
        assert edges == pytest.approx([-3, 3], rel=1e-3)
        assert q[np.searchsorted(x, 1e-9)] > 0 > q[np.searchsorted(x, -0.01)]
    # one bit at ±E|x| loses 1 - (E|x|)²/E x² = 1 - 2/π of a normal
    assert float(title(fig.axes[0]).split(", ")[1].split(" %")[0]) == pytest.approx(100 * (1 - 2 / np.pi), abs=0.1)
    # two bits: thresholds at 0 and ±2 (2/3 of the clip range); levels ±t and ±3t with t = E|x| / E|c|
    inner = norm.cdf(2) - norm.cdf(-2)
    assert np.unique(lines(fig.axes[1])["Q(x)"].get_ydata())[3] == pytest.approx(
        3 * np.sqrt(2 / np.pi) / (inner + 3 * (1 - inner)), rel=1e-3
    )


def test_factors_are_one_without_error_and_slow_what_is_about_to_cross():
    down, up = plots.factors((0, 0.5, 1.5)).axes
    for ax, sign in ((down, 1), (up, -1)):
        found = lines(ax)
        assert found["STE, δ = 0"].get_ydata() == pytest.approx(1)
        error, factor = found["δ = 0.5"].get_data()
        assert np.interp(0, error, factor) == pytest.approx(1) and np.interp(-sign, error, factor) == pytest.approx(0.5)
        assert found["δ = 1.5"].get_ydata().min() == pytest.approx(-0.5)
        marker = next(line for line in ax.get_lines() if line.get_linestyle() == ":")
        assert marker.get_xdata()[0] == -sign


# ---- the toy --------------------------------------------------------------------------------------------------------------------


def test_mismatch_draws_means_over_starts_and_the_exact_diagonal():
    rows = []
    for question, shift in (("first", 0.0), ("second", 0.1)):
        for start in range(3):
            rows += [(question, 2, start, m, 0.8 - shift - 0.1 * m + 0.01 * start) for m in (0.0, 1.0, 2.0)]
            rows.append((question, 2, start, np.nan, 0.95 - shift))
    fig = plots.mismatch(pd.DataFrame(rows, columns=["question", "bits", "start", "multiple", "cosine"]))
    for ax, shift in zip(fig.axes, (0.0, 0.1)):
        curve = lines(ax)["b = 2"]
        assert curve.get_xdata() == pytest.approx([0, 1, 2]) and curve.get_ydata() == pytest.approx(np.array([0.81, 0.71, 0.61]) - shift)
        dashed = next(line for line in ax.get_lines() if line.get_linestyle() == "--")
        assert dashed.get_ydata() == pytest.approx([0.95 - shift] * 2)
        half = 4.302653 * 0.01 / np.sqrt(3)  # Student's t with two degrees of freedom
        band = ax.collections[0].get_paths()[0].vertices
        assert band[:, 1].max() == pytest.approx(0.81 - shift + half, rel=1e-5)
    assert [title(ax) for ax in fig.axes] == ["first", "second"]


def test_against_optimum_subtracts_the_lowest_loss():
    losses, flips = np.linspace(1, 0.4, 30)[:, None] + np.array([0.1, -0.1]), np.full(30, 0.2)
    paths = {0.5: {"STE": (losses, flips)}, 1.0: {"STE": (losses + 1, flips), "GSTE": (losses + 2, 0 * flips)}}
    fig = plots.against_optimum(paths, {0.5: 0.3, 1.0: 0.2})
    left, right, below, other = fig.axes
    assert lines(left)["STE"].get_ydata() == pytest.approx(np.linspace(0.7, 0.1, 30))
    assert lines(right)["GSTE"].get_ydata()[-1] == pytest.approx(0.4 + 2 - 0.2)
    x, share = below.get_lines()[0].get_data()
    assert share == pytest.approx(0.2) and (x[0], x[-1]) == (4, 25)  # a mean of 9 steps stands at its middle
    assert other.get_lines()[1].get_ydata() == pytest.approx(0)


# ---- the trace ------------------------------------------------------------------------------------------------------------------


def test_trace_band_shows_running_means_over_the_exact_trace():
    drawn = np.array([[2.0, 4.0, 6.0], [4.0, 4.0, 4.0]])
    ax = plots.trace_band({"users": drawn}, {"users": 2.0}, {"users": 1.0}).axes[0]
    assert ax.get_lines()[0].get_ydata() == pytest.approx([1, 1.5, 2]) and ax.get_lines()[1].get_ydata() == pytest.approx([2, 2, 2])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(2) and band[band[:, 0] == 3][:, 1].max() == pytest.approx(1 + 1 / np.sqrt(3))


# ---- training -------------------------------------------------------------------------------------------------------------------


def test_diagnostics_have_a_panel_per_key_and_a_line_per_side_and_width():
    keys = ("beta", "s", "delta", "correction", "clipped", "used_levels")
    history = [
        {"epoch": epoch, "loss": 1.0}
        | {f"{side}_{key}": (k + 1) * (0.1 + 0.02 * epoch) for side in ("users", "items") for k, key in enumerate(keys)}
        for epoch in range(3)
    ]
    fig = plots.diagnostics({1: history, 4: history[1:]})
    assert [title(ax) for ax in fig.axes] == list(plots.DIAGNOSTICS.values())
    for k, ax in enumerate(fig.axes):
        assert [line.get_linestyle() for line in ax.get_lines()] == ["-", "--"] * 2
        assert ax.get_lines()[0].get_xydata() == pytest.approx(np.array([[e, (k + 1) * (0.1 + 0.02 * e)] for e in range(3)]))
        assert ax.get_lines()[2].get_xdata().tolist() == [1, 2]


def test_learning_marks_the_best_epoch():
    history = [{"epoch": e, "loss": 0.7 - 0.1 * e} for e in range(4)]
    history[1]["val_recall@50"], history[3]["val_recall@50"] = 0.3, 0.2
    left, right = plots.learning(history, "val_recall@50", "NGCF").axes
    assert left.get_lines()[0].get_ydata() == pytest.approx([0.7, 0.6, 0.5, 0.4])
    assert right.get_lines()[0].get_xdata().tolist() == [1, 3] and right.get_lines()[1].get_xydata().tolist() == [[1, 0.3]]


# ---- share kept -----------------------------------------------------------------------------------------------------------------


def records():
    out = [record("lightgcn", s, recall=0.4 + 0.1 * s, stored=4000) for s in (0, 1)] + [record("ngcf", 0, recall=0.5, stored=16000)]
    out += [record("hq-gnn", s, recall=0.36, stored=200, encoder="lightgcn", bits=1) for s in (0, 1, 2)]
    out += [record("ptq-bits", 0, recall=0.2, ndcg=0.05, stored=200, encoder="lightgcn", bits=1)]
    out += [record("hq-gnn", 0, recall=0.45, stored=900, encoder="ngcf", bits=1), record("hq-gnn", 0, dataset="b", encoder="ngcf", bits=1)]
    return out


def test_kept_places_shares_against_bytes_in_a_panel_per_encoder():
    fig = plots.kept(kept_rows(records(), METRICS))
    assert [title(ax) for ax in fig.axes] == ["a: LightGCN", "a: NGCF"]
    left, right = fig.axes
    bars = {container.get_label(): container for container in left.containers}
    assert bars["HQ-GNN"].lines[0].get_xydata() == pytest.approx(np.array([[200, 0.81]]))
    assert bars["post-training quantization"].lines[0].get_xydata() == pytest.approx(np.array([[200, 0.5]]))
    half = 12.706205 * 0.09 * np.sqrt(2) / np.sqrt(2)  # Student's t with one degree of freedom
    ends = bars["HQ-GNN"].lines[2][0].get_segments()[0][:, 1]
    assert ends == pytest.approx([0.81 - half, 0.81 + half], rel=1e-5)
    assert [container.get_label() for container in right.containers] == ["HQ-GNN"]
    assert lines(right)["full precision"].get_xydata().tolist() == [[16000, 1]]
    for ax in fig.axes:
        assert {text.get_text() for text in ax.texts} == {"b = 1"}

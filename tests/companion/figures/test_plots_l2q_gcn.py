"""What the figures of notebook 03 show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgba
from scipy.special import erf

from recq_lib.companion.figures import l2q_gcn as plots
from recq_lib.papers.l2q_gcn import AnnealedSign
from recq_lib.parts.annealing import Schedule
from recq_lib.runs.records import RunRecord, RunSpec


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()  # the project's style puts titles on the left


def record(method, seed=0, *, dim=64, dataset="a", recall=0.2, ndcg=0.1, stored=100, parameters=1000, history=()):
    return RunRecord(
        spec=RunSpec(method, dataset, seed, "smoke", {"dim": dim}, "f"),
        metrics={"recall@20": recall, "ndcg@20": ndcg},
        n_bytes={"parameters": parameters, "stored": stored},
        history=list(history),
    )


def test_storage_bars_are_the_bytes_and_the_parts_add_up():
    top, below = plots.storage(256, 2).axes
    assert [bar.get_width() for bar in top.patches] == [3 * 1024, 1024, 108]
    assert "9.48×" in top.texts[2].get_text() and "28.4×" in top.texts[2].get_text()
    assert [bar.get_width() for bar in below.patches] == [32, 4] * 3
    assert [text.get_text() for text in below.texts[::2]] == [f"layer {layer}: 256 bits" for layer in range(3)]


def test_scaler_error_curves_touch_their_dot_at_the_bottom(rng):
    vectors = {"one": rng.standard_normal(12), "two": 0.3 * rng.standard_normal(5)}
    ax = plots.scaler_error(vectors).axes[0]
    curves = [line for line in ax.get_lines() if line.get_xdata().size > 1]
    dots = [line for line in ax.get_lines() if len(line.get_xdata()) == 1]
    for vector, curve, dot in zip(vectors.values(), curves, dots, strict=True):
        s, error = curve.get_data()
        # independent of the plot: 1 - (‖v‖₁)²/(d‖v‖²) is what the best scaler loses
        least = 1 - np.linalg.norm(vector, 1) ** 2 / (vector.size * np.linalg.norm(vector) ** 2)
        assert dot.get_ydata()[0] == pytest.approx(least) and error.min() >= least - 1e-12
        assert dot.get_xdata()[0] == pytest.approx(np.linalg.norm(vector, 1) / vector.size)
        assert abs(s[np.argmin(error)] - dot.get_xdata()[0]) <= s[1] - s[0]
        assert error[0] == pytest.approx(1)


def test_slopes_belong_to_their_curves():
    fig = plots.slopes()
    names = [title(ax) for ax in fig.axes]
    assert names[1:] == list(plots.SLOPE_TITLES.values())
    curves = {name: lines(ax) for name, ax in zip(names[1:], fig.axes[1:])}
    x = curves["tanh"]["slope used"].get_xdata()
    for name, curve in (
        ("identity (straight-through)", x),
        ("clipped", np.clip(x, -1, 1)),
        ("tanh", np.tanh(x)),
        ("Gaussian (BiGeaR)", erf(x) / 2),
    ):
        assert curves[name]["curve with that slope"].get_ydata() == pytest.approx(curve, abs=0.01), name
    wave = curves["Fourier (BGCH)"]["slope used"].get_ydata()
    assert wave.min() == -1 and wave.max() == 1


def test_value_histogram_integrates_to_one_and_tells_the_99th_percentile(rng):
    layers = np.stack([0.2 * rng.standard_normal((50, 40)), 0.1 * rng.uniform(-1, 1, (50, 40))])
    top, below = plots.value_histogram(layers).axes
    slope = lines(top)["Gaussian (BiGeaR)"]
    assert slope.get_ydata().max() == pytest.approx(1 / np.sqrt(np.pi))
    for stairs, layer in zip(below.patches, layers, strict=True):
        density, edges, _ = stairs.get_data()
        middles, mass = (edges[1:] + edges[:-1]) / 2, density * np.diff(edges)
        assert mass.sum() == pytest.approx(1) and (mass * middles**2).sum() == pytest.approx((layer**2).mean(), rel=0.03)
    labels = [text.get_text() for text in below.get_legend().get_texts()]
    for label, layer in zip(labels, layers, strict=True):
        inside = np.sort(np.abs(layer).ravel())[int(0.99 * layer.size)]
        assert float(label.split("±")[1]) == pytest.approx(inside, abs=0.02)


def test_relaxation_is_the_readouts_curve_and_the_right_panel_its_schedule():
    schedule = Schedule("exponential", 4.0, 0.1, hold=0.0, span=0.7)
    left, right = plots.relaxation((4, 0.5), schedule, epochs=20).axes
    v = torch.tensor([[[0.3, -0.9, 0.6, -0.2]]], dtype=torch.float64)
    alpha = v.abs().mean().item()
    for tau in (4, 0.5):
        readout = AnnealedSign(Schedule("none", start=float(tau)), weighted=False)
        readout.train()
        z = readout(v).squeeze() / alpha
        x, y = lines(left)[f"τ = {tau:g}"].get_data()
        assert np.interp(v.squeeze().numpy() / alpha, x, y) == pytest.approx(z.numpy(), abs=1e-3)
    steps = right.get_lines()[0]
    assert steps.get_ydata() == pytest.approx([schedule(epoch, 20) for epoch in range(20)])
    assert right.patches[0].get_x() == 14  # 0.7 of 20 epochs, then hard codes


def test_relaxation_without_hard_epochs_shades_nothing():
    right = plots.relaxation((1,), Schedule("none", start=2.0), epochs=5).axes[1]
    assert not right.patches


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


def test_accuracy_takes_colours():
    ax = plots.accuracy(frame(), "recall@20", "t", lambda name: "#123456" if name == "hashnet" else "#654321").axes[0]
    assert [tuple(dots.get_facecolor()[0]) for dots in ax.collections[1::2]] == [to_rgba(c) for c in ("#123456", "#654321", "#654321")]


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


def test_recovery_rows_divide_by_the_same_width_and_seed():
    records = [record("lightgcn", s, recall=0.2 + 0.1 * s, ndcg=0.1, parameters=1024) for s in (0, 1)]
    records += [record("lightgcn", 0, dim=256, recall=0.5, parameters=4096)]
    records += [record("l2q-gcn-anl", s, recall=0.18, ndcg=0.08, stored=108) for s in (0, 1, 2)]  # seed 2 has no reference
    records += [record("l2q-gcn-anl", 0, dim=256, recall=0.4, stored=432), record("bigear", 0, dataset="b")]
    narrow, wide = plots.recovery_rows(records)
    assert narrow["recall@20"] == pytest.approx([0.9, 0.6]) and narrow["ndcg@20"] == pytest.approx([0.8, 0.8])
    assert narrow["ratio"] == pytest.approx(1024 / 108) and narrow["label"] == "a, d = 64: L²Q-GCN-anl (ours)"
    assert (wide["dim"], wide["recall@20"]) == (256, pytest.approx([0.8]))


def test_recovery_shows_the_first_row_on_top_and_the_band():
    rows = [
        {"label": "first", "method": "bigear", "recall@20": [0.95, 0.97], "ndcg@20": [0.9, 0.9]},
        {"label": "second", "method": "l2q-gcn", "recall@20": [0.8], "ndcg@20": [1.1]},
    ]
    left, right = plots.recovery(rows).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["second", "first"]
    assert left.patches[0].get_x() == 0.9 and left.patches[0].get_width() == pytest.approx(0.09)
    assert [text.get_text() for text in left.texts] == ["80.0%", "96.0%"]  # rows are placed from the bottom up
    for ax in (left, right):
        low, high = ax.get_xlim()
        assert all(low < x < high for dots in ax.collections for x in dots.get_offsets()[:, 0])


def test_against_logs_draws_curves_in_per_cent_and_logged_points():
    curve = {epoch: {"loss": 0.1, "recall@20": 0.1 * epoch, "ndcg@20": 0.2, "ndcg_authors@20": 0.4} for epoch in range(3)}
    logged = {"lightgcn": {2: {"recall@20": 21.0, "ndcg_authors@20": 41.0}}}
    recall, theirs, standard = plots.against_logs({"lightgcn": curve, "bigear": curve}, logged).axes
    assert [title(ax) for ax in (recall, theirs, standard)] == ["Recall@20", "authors' NDCG@20", "standard NDCG@20"]
    assert lines(recall)["full precision"].get_ydata() == pytest.approx([0, 10, 20])
    assert lines(recall)["full precision, authors' log"].get_xydata().tolist() == [[2, 21]]
    assert lines(theirs)["full precision, authors' log"].get_ydata().tolist() == [41]
    assert "BiGeaR, authors' log" not in lines(recall) and "full precision, authors' log" not in lines(standard)
    assert lines(standard)["BiGeaR"].get_ydata() == pytest.approx([20, 20, 20])


def test_against_logs_falls_back_to_validation():
    curve = {0: {"loss": 0.3, "val_recall@20": 0.1}, 1: {"loss": 0.2}, 2: {"loss": 0.1, "val_recall@20": 0.3}}
    (ax,) = plots.against_logs({"lightgcn": curve}, {}).axes
    assert lines(ax)["full precision"].get_xydata() == pytest.approx(np.array([[0, 10], [2, 30]]))
    assert ax.get_ylabel() == "% on validation"

"""What the figures of notebook 03 show: the numbers in the artists, not the pixels."""

import numpy as np
import pytest
import torch
from scipy.special import erf

from recq_lib.companion.figures import l2q_gcn as plots
from recq_lib.papers.l2q_gcn import AnnealedSign
from recq_lib.parts.annealing import Schedule


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()  # the project's style puts titles on the left


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
    for stairs, layer in zip(below.get_lines(), layers, strict=True):
        edges, density = stairs.get_xdata(), stairs.get_ydata()[:-1]
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

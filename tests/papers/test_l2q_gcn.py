import math

import numpy as np
import pytest
import torch

from recq_lib.config import TrainConfig
from recq_lib.data.toy import toy
from recq_lib.errors import ConfigError
from recq_lib.papers.l2q_gcn import AnnealedSign, LayerwiseSign
from recq_lib.parts.annealing import Schedule
from recq_lib.runs.registry import build

LAYERS = torch.randn(3, 7, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def naive(layers, weights, alpha):
    """z of every node by plain loops."""
    out = []
    for r in range(layers.shape[1]):
        row = []
        for layer, weight in zip(layers, weights, strict=True):
            v = [float(value) for value in layer[r]]
            scale = sum(abs(value) for value in v) / len(v) if alpha else math.sqrt(10 / len(v))
            row += [weight * scale * (1 if value >= 0 else -1) for value in v]
        out.append(row)
    return np.array(out)


@pytest.mark.parametrize("scaler", ["alpha", "constant"])
@pytest.mark.parametrize(("weighted", "weights"), [(True, [1 / 3, 2 / 3, 1]), (False, [1, 1, 1])])
def test_layerwise_codes_by_hand(scaler, weighted, weights):
    z = LayerwiseSign(scaler=scaler, weighted=weighted)(LAYERS)
    np.testing.assert_allclose(z, naive(LAYERS, weights, scaler == "alpha"), rtol=1e-12)


def test_one_segment_of_the_last_or_the_mean_layer():
    np.testing.assert_allclose(LayerwiseSign(layers="last")(LAYERS), naive(LAYERS[2:], [1], True), rtol=1e-12)
    np.testing.assert_allclose(LayerwiseSign(layers="mean")(LAYERS), naive(LAYERS.mean(0, keepdim=True), [1], True), rtol=1e-12)


def test_alpha_is_the_least_squares_scaler():
    v = LAYERS[0, 0]
    readout = LayerwiseSign(layers="last")
    alpha = float(readout.scales(v[None, None]).squeeze())
    grid = np.linspace(0.5 * alpha, 1.5 * alpha, 1001)
    errors = [float((v - a * torch.where(v >= 0, 1.0, -1.0)).square().sum()) for a in grid]
    assert grid[int(np.argmin(errors))] == pytest.approx(alpha, rel=2e-3)


@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_the_gradient_carries_the_layer_weight_and_the_slope_but_not_alpha(gamma):
    layers = LAYERS.clone().requires_grad_()
    incoming = torch.randn(7, 210, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    LayerwiseSign(estimator="gaussian", constants={"gamma": gamma})(layers).backward(incoming)
    parts = incoming.reshape(7, 3, 70).transpose(0, 1).numpy()
    slope = np.clip(gamma / math.sqrt(math.pi) * np.exp(-((gamma * LAYERS.numpy()) ** 2)), 1e-8, 1)
    expected = np.array([1 / 3, 2 / 3, 1])[:, None, None] * slope * parts
    np.testing.assert_allclose(layers.grad, expected, atol=1e-6)


def relaxed(layers, temperature, training=True, **options):
    readout = AnnealedSign(Schedule("none", start=temperature), **options)
    readout.train(training)
    readout.begin_epoch(0, 10)
    return readout(layers)


def test_the_relaxation_leads_from_the_vector_to_its_code():
    weights = np.repeat([1 / 3, 2 / 3, 1], 70)
    floats = LAYERS.transpose(0, 1).reshape(7, 210).numpy() * weights
    np.testing.assert_allclose(relaxed(LAYERS, 1e4), floats, rtol=1e-6)
    np.testing.assert_allclose(relaxed(LAYERS, 1e-7), LayerwiseSign()(LAYERS), rtol=1e-6)
    np.testing.assert_allclose(relaxed(LAYERS, 1.0, relaxation="mix"), floats, rtol=1e-12)
    np.testing.assert_allclose(relaxed(LAYERS, 0.0, relaxation="mix"), LayerwiseSign()(LAYERS), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 5.0])
def test_the_temperature_means_the_same_for_small_and_large_vectors(temperature):
    torch.testing.assert_close(relaxed(LAYERS * 1e-3, temperature), relaxed(LAYERS, temperature) * 1e-3)


def test_the_relaxed_gradient_is_that_of_the_relaxed_function():
    """α inside the tanh is a constant, α outside is not."""
    layers, alpha = LAYERS[:, :2, :5].clone().requires_grad_(), LAYERS[:, :2, :5].abs().mean(2, keepdim=True)
    outer = layers.abs().mean(2, keepdim=True)
    weights = torch.tensor([1 / 3, 2 / 3, 1], dtype=torch.float64)[:, None, None]
    by_hand = (weights * outer * torch.tanh(layers / (0.4 * alpha)) / math.tanh(2.5)).transpose(0, 1).reshape(2, 15)
    incoming = torch.arange(30, dtype=torch.float64).view(2, 15)
    (expected,) = torch.autograd.grad((by_hand * incoming).sum(), layers)
    (got,) = torch.autograd.grad((relaxed(layers, 0.4) * incoming).sum(), layers)
    torch.testing.assert_close(got, expected)


def test_evaluation_always_reads_hard_codes_and_so_does_training_once_the_schedule_has_arrived():
    hard = LayerwiseSign()(LAYERS)
    readout = AnnealedSign(Schedule("linear", 1.0, 0.1, hold=0.0, span=0.5))
    readout.begin_epoch(0, 10)
    assert torch.equal(readout.eval()(LAYERS), hard)
    assert not torch.equal(readout.train()(LAYERS), hard)
    readout.begin_epoch(5, 10)
    assert torch.equal(readout(LAYERS), hard)


def test_zero_rows_stay_zero_and_have_finite_gradients():
    layers = torch.zeros(3, 2, 64, requires_grad=True)
    for readout in (LayerwiseSign(), AnnealedSign(Schedule("none"))):
        z = readout(layers)
        z.sum().backward()
        assert torch.equal(z, torch.zeros(2, 192)) and torch.isfinite(layers.grad).all()


@pytest.mark.parametrize(
    "options", [{}, {"scaler": "constant"}, {"layers": "last"}, {"layers": "mean", "weighted": False}, {"weighted": False}]
)
def test_packed_codes_score_like_the_float_vectors(options):
    data = toy()
    model = build("l2q-gcn", data, TrainConfig(dim=70, n_layers=2, options=options))
    users, items = model.embeddings()
    codes = model.codes()
    np.testing.assert_allclose(codes.vectors(), torch.cat([users, items]).numpy(), rtol=1e-6)
    assert codes.n_bytes() == model.n_bytes()["stored"]
    assert codes.n_users == data.n_users


def test_bytes_follow_the_papers_formula_at_256_bits_and_two_layers():
    """(L+1)(d/8 + 4) bytes per node: 9.48 times below a float32 vector of 256 dimensions."""
    stored = LayerwiseSign().n_bytes(1000, 256, 2)
    assert stored == 1000 * 3 * (256 // 8 + 4)
    assert 4 * 256 * 1000 / stored == pytest.approx(9.48, abs=0.005)


def test_divergence_and_unknown_choices_are_refused():
    with pytest.raises(ConfigError, match="NaN or infinity"):
        LayerwiseSign()(torch.full((1, 2, 3), float("nan")))
    for options in ({"estimator": "steep"}, {"scaler": "learned"}, {"layers": "first"}):
        with pytest.raises(ConfigError):
            LayerwiseSign(**options)
    with pytest.raises(ConfigError, match="relaxation"):
        AnnealedSign(Schedule("none"), relaxation="sigmoid")

import math

import numpy as np
import pytest
import torch

from recq_lib.errors import ConfigError
from recq_lib.parts.estimators import ESTIMATORS, sign

POINTS = np.concatenate([np.linspace(-4, 4, 161), [1.0, -1.0, 1e-9, 0.0]])


def gaussian(x, gamma):
    return min(1.0, max(1e-8, gamma / math.sqrt(math.pi) * math.exp(-((gamma * x) ** 2))))


def fourier(x, terms, omega):
    return min(1.0, max(-1.0, sum(4 * omega / math.pi * math.cos(i * omega * x) for i in range(1, terms) if i % 2)))


FORMULAS = [
    ("identity", {}, lambda x: 1.0),
    ("clipped", {}, lambda x: float(-1 <= x <= 1)),
    ("clipped", {"bound": 0.5}, lambda x: float(-0.5 <= x <= 0.5)),
    ("tanh", {}, lambda x: 1 / math.cosh(x) ** 2),
    ("tanh", {"temperature": 0.25}, lambda x: 4 / math.cosh(4 * x) ** 2),
    ("gaussian", {}, lambda x: gaussian(x, 1.0)),
    ("gaussian", {"gamma": 10.0}, lambda x: gaussian(x, 10.0)),
    ("fourier", {}, lambda x: fourier(x, 8, 1.0)),
    ("fourier", {"terms": 16, "omega": 0.5}, lambda x: fourier(x, 16, 0.5)),
]


@pytest.mark.parametrize(("name", "constants", "formula"), FORMULAS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_backward_equals_the_formula(name, constants, formula, dtype):
    x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    incoming = torch.linspace(-2, 3, x.numel(), dtype=dtype)
    estimator = name if not constants else lambda values: ESTIMATORS[name](values, **constants)
    sign(x, estimator).backward(incoming)
    expected = [formula(float(value)) * float(g) for value, g in zip(x.detach(), incoming, strict=True)]
    np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-6, rtol=1e-6)


def test_every_estimator_is_compared_with_its_formula():
    assert {name for name, _, _ in FORMULAS} == set(ESTIMATORS)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_forward_is_the_sign_and_zero_counts_as_positive(name):
    x = torch.tensor([-2.0, -1e-30, -0.0, 0.0, 1e-30, 3.0])
    assert sign(x, name).tolist() == [-1, -1, 1, 1, 1, 1]


def test_tanh_slope_is_the_derivative_of_its_curve():
    x = torch.linspace(-3, 3, 50, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(torch.tanh(x / 0.3).sum(), x)
    torch.testing.assert_close(ESTIMATORS["tanh"](x.detach(), temperature=0.3), expected)


def test_bad_input_is_refused():
    with pytest.raises(ConfigError, match="1 of 2 values to quantize are NaN"):
        sign(torch.tensor([1.0, float("nan")]))
    with pytest.raises(ConfigError, match="estimator"):
        sign(torch.ones(2), "gausian")

"""Gradient estimators for `sign`: what stands in for its derivative, which is zero almost everywhere.

Each is a function `slope(x)` by which the incoming gradient is multiplied, element by element. The forward value is the same
for all: +1 where x >= 0, else -1. So sign(0) = +1, also for -0.0: a stored bit has no third value. (The authors' sign(0) is 0;
in rows that carry a scaler the two differ only where the scaler is 0 as well.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from recq_lib.errors import ConfigError, one_of


def identity(x: torch.Tensor) -> torch.Tensor:
    """1 everywhere: the straight-through estimator (Bengio et al., 2013; HashGNN's official code)."""
    return torch.ones_like(x)


def clipped(x: torch.Tensor, bound: float = 1.0) -> torch.Tensor:
    """1 where |x| <= bound, else 0 (BinaryConnect, Courbariaux et al., 2015): values far from 0 are left where they are."""
    return (x.abs() <= bound).to(x.dtype)


def tanh(x: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Derivative of tanh(x/τ): (1 - tanh²(x/τ))/τ."""
    return (1 - torch.tanh(x / temperature).square()) / temperature


def gaussian(x: torch.Tensor, gamma: float = 1.0) -> torch.Tensor:
    """A Gaussian for the delta function, clamp((γ/√π)·exp(-γ²x²), 1e-8, 1) (official BiGeaR code; it leaves out sign's factor 2)."""
    # in place on the one new tensor: this runs over millions of values in every step
    return (gamma * x).square_().neg_().exp_().mul_(gamma / math.sqrt(math.pi)).clamp_(1e-8, 1.0)


def fourier(x: torch.Tensor, terms: int = 8, omega: float = 1.0) -> torch.Tensor:
    """Derivative of the square wave's Fourier series, Σ_{odd i < terms} (4ω/π)·cos(iωx), clamped to [-1, 1] (official BGCH code)."""
    angle = omega * x.double()  # many periods: in float32 the angle's rounding alone is 1e-6
    total = sum(torch.cos(i * angle) for i in range(1, terms, 2))
    return (4 * omega / math.pi * total).clamp(-1.0, 1.0).to(x.dtype)


ESTIMATORS: dict[str, Callable[..., torch.Tensor]] = {
    "identity": identity,
    "clipped": clipped,
    "tanh": tanh,
    "gaussian": gaussian,
    "fourier": fourier,
}


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return (grad if ctx.slope is identity else grad * ctx.slope(x)), None


def sign(x: torch.Tensor, estimator: str | Callable[[torch.Tensor], torch.Tensor] = "identity") -> torch.Tensor:
    """sign(x) in {-1, +1}, with `estimator` (a name, or any `slope(x)`) as its derivative. NaN has no sign: `ConfigError`."""
    slope = ESTIMATORS[one_of("estimator", estimator, tuple(ESTIMATORS))] if isinstance(estimator, str) else estimator
    if torch.isnan(x).any():
        raise ConfigError(
            f"{int(torch.isnan(x).sum())} of {x.numel()} values to quantize are NaN; training has diverged, lower the learning rate"
        )
    return _Sign.apply(x, slope)

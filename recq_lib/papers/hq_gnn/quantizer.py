"""The b-bit uniform quantizer of HQ-GNN and its gradient estimator, GSTE (readout.py puts them into a model).

    v = clip(L·x/β, -L, L),  L = 2^b - 1        clip range [-β, β], in units of half a level
    c = the odd integer nearest to v            the stored code, in {-L, -L+2, …, L}; ties go up
    Q = (s/L)·c                                 what training sees
    dL/dv = g·(1 + δ·sign(g)·(v - c))           GSTE, g = dL/dc; δ = 0 is the straight-through estimator

In the usual notation xn = (v/L + 1)/2, z = (c/L + 1)/2 and Q = s·(2z - 1). Codes of one bit are sign(x) with sign(0) =
+1, as everywhere in this project; `torch.round` would send 0 to -1. Clip, round, learned scales and GSTE are those of
EWGS (Lee et al., CVPR 2021; official code), here with a symmetric range, so that scores can be computed from integers
(codes/codes.py).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from recq_lib.codes.planes import top_level
from recq_lib.errors import ConfigError, one_of

BOUNDS = ("scale", "learn", "scale_ema", "ema", "fixed")
_EMA_BOUNDS = {"scale_ema", "ema"}
_QUANTILE = 0.99  # of |x|, the bound of "ema"


def nearest_odd(v: torch.Tensor) -> torch.Tensor:
    """The odd integer nearest to `v`, ties up: 0 → 1 (and -0.0 → 1), 2 → 3, -2 → -1."""
    return 2 * torch.floor(v / 2) + 1


class _Gste(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, rounded, delta, clamp):
        ctx.save_for_backward(value - rounded, delta)
        ctx.clamp = clamp
        return rounded

    @staticmethod
    def backward(ctx, grad):
        error, delta = ctx.saved_tensors
        factor = 1 + delta * torch.sign(grad) * error
        return grad * (factor.clamp_min(0) if ctx.clamp else factor), None, None, None


def gste(value: torch.Tensor, rounded: torch.Tensor, delta: torch.Tensor | float, *, clamp: bool = False) -> torch.Tensor:
    """`rounded`, with the gradient g·(1 + δ·sign(g)·(value - rounded)) into `value` (EWGS; δ = 0 gives STE bit for bit).

    Parameters
    ----------
    value, rounded : same shape and unit
    delta : in the inverse of that unit, at least 0; no gradient flows into it
    clamp : never let the factor turn negative (it can where δ·|error| > 1; EWGS does not guard, so off by default)
    """
    delta = torch.as_tensor(delta, dtype=value.dtype, device=value.device).detach()
    return _Gste.apply(value, rounded.detach(), delta, clamp)


class UniformQuantizer(nn.Module):
    """Q = (s/L)·c for one table; β, s and δ are scalars.

    Parameters
    ----------
    bits : 1…8
    bounds : how β and s are set.
        "scale": both learned (EWGS); "learn": one learned number for both; "scale_ema": β is a moving average of
        3·std(x), s learned;
        "ema": both are a moving average of the 99 % quantile of |x|; "fixed": both 1
    momentum : share of the old value in moving averages (ours)
    clamp : see `gste`
    name : for error messages

    The first batch in training sets β = 3·std(x) ("ema": its quantile) and s = mean|x| / mean|c/L| (tied: s = β). Until
    then evaluation uses what its own input would give and keeps nothing. β and s are the absolute values of what is
    learned. Moving averages follow in training with gradients on; merely looking (evaluation, `no_grad`) changes
    nothing. All state is in parameters and buffers.

    δ is kept in units of 1/Q, so that δ·(error in Q) needs no conversion when s moves.
    """

    def __init__(self, bits: int, bounds: str = "scale", *, momentum: float = 0.9, clamp: bool = False, name: str = "values") -> None:
        super().__init__()
        self.bits, self.top, self.bounds = bits, top_level(bits), one_of("bounds", bounds, BOUNDS)
        if not 0 <= momentum < 1:
            raise ConfigError(f"momentum is {momentum}, but must be at least 0 and below 1")
        self.momentum, self.clamp, self.name = momentum, clamp, name
        self._place("raw_beta", learned=bounds in ("scale", "learn"))
        if not self.tied:
            self._place("raw_s", learned=True)
        self.register_buffer("initialised", torch.tensor(bounds == "fixed"))
        self.register_buffer("delta", torch.zeros(()))
        self.register_buffer("delta_measured", torch.tensor(False))
        self._last: torch.Tensor | None = None

    def _place(self, name: str, *, learned: bool) -> None:
        if learned:
            self.register_parameter(name, nn.Parameter(torch.ones(())))
        else:
            self.register_buffer(name, torch.ones(()))

    @property
    def tied(self) -> bool:
        """Is s the same number as β?"""
        return self.bounds in ("learn", "ema", "fixed")

    @property
    def beta(self) -> torch.Tensor:
        """Half width of the clip range, a scalar in units of x."""
        return self.raw_beta.abs()

    @property
    def s(self) -> torch.Tensor:
        """Largest |Q|, a scalar."""
        return self.beta if self.tied else self.raw_s.abs()

    # ---- quantizing --------------------------------------------------------------------------------------------------------

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Q in the shape of `x`. Raises `ConfigError` if x is empty or not finite, or if β or s is not a positive number."""
        beta, s = self._scales(x)
        if self._learning():
            self._last = x.detach()
        v, step = self._units(x, beta), s / self.top
        return step * gste(v, nearest_odd(v.detach()), self.delta.to(x.dtype) * step.detach(), clamp=self.clamp)

    @torch.no_grad()
    def levels(self, x: torch.Tensor) -> torch.Tensor:
        """Odd codes in {-L, …, L}, int16, in the shape of `x`; `forward` is s/L times these."""
        beta, _ = self._scales(x)
        return nearest_odd(self._units(x, beta)).to(torch.int16)

    @torch.no_grad()
    def step(self, x: torch.Tensor) -> float:
        """s/L, the factor from codes of `x` to Q."""
        return float(self._scales(x)[1]) / self.top

    def _units(self, x: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
        return (x * (self.top / beta)).clamp(-self.top, self.top)  # the bounds themselves keep their gradient

    def _learning(self) -> bool:
        return self.training and torch.is_grad_enabled()

    # ---- scales ------------------------------------------------------------------------------------------------------------

    def _scales(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if x.numel() == 0:
            raise ConfigError(f"quantizer of {self.name}: there is nothing to quantize (shape {tuple(x.shape)}); give at least one row")
        if self.initialised:
            if self._learning() and self.bounds in _EMA_BOUNDS:
                self._follow(x)
            beta, s = self.beta, self.s
        elif self._learning():
            self.initialise(x)
            beta, s = self.beta, self.s
        else:
            beta, s = self._estimates(x.detach())
        self._check(x, beta, s)
        return beta, s

    @torch.no_grad()
    def initialise(self, x: torch.Tensor) -> None:
        """Set β and s from `x`; "fixed" has nothing to set."""
        if self.bounds != "fixed":
            beta, s = self._estimates(x)
            self._check(x, beta, s)
            self.raw_beta.copy_(beta)
            if not self.tied:
                self.raw_s.copy_(s)
        self.initialised.fill_(True)

    def _estimates(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        beta = self._bound(x)
        s = beta if self.tied else x.abs().mean() * self.top / nearest_odd(self._units(x, beta)).abs().mean()
        return beta, s

    def _bound(self, x: torch.Tensor) -> torch.Tensor:
        if self.bounds == "ema":
            magnitudes = x.abs().flatten()
            return magnitudes.kthvalue(math.ceil(_QUANTILE * magnitudes.numel())).values  # torch.quantile refuses large tables
        return 3 * x.std(correction=0)

    @torch.no_grad()
    def _follow(self, x: torch.Tensor) -> None:
        new = self._bound(x)
        self._check(x, new, new)  # before it is mixed in: one NaN would stay
        self.raw_beta.mul_(self.momentum).add_((1 - self.momentum) * new.to(self.raw_beta.dtype))

    def _check(self, x: torch.Tensor, beta: torch.Tensor, s: torch.Tensor) -> None:
        scales = torch.stack([beta.detach(), s.detach()])
        if torch.isfinite(x).all() & (torch.isfinite(scales) & (scales > 0)).all():  # one look: on an accelerator each costs a wait
            return
        bad, (beta, s) = int((~torch.isfinite(x)).sum()), scales.tolist()
        if bad:
            raise ConfigError(
                f"quantizer of {self.name}: {bad} of {x.numel()} values are NaN or infinite; training has diverged, lower the learning rate"
            )
        raise ConfigError(
            f"quantizer of {self.name}: clip range β is {beta} and scale s is {s}, but both must be positive numbers; "
            "the values to quantize are all alike, or training has diverged"
        )

    # ---- the Hessian's share -----------------------------------------------------------------------------------------------

    def set_delta(self, delta: float) -> None:
        """Use this δ from now on (EWGS has such a mode, with 1e-3)."""
        _check_delta(delta)
        self.delta.fill_(delta)
        self.delta_measured.fill_(True)

    def update_delta(self, measured: float | None, momentum: float = 0.9) -> None:
        """Mix a new measurement into δ; the first is taken whole (ours), and None, a measurement that failed, changes nothing."""
        if measured is not None:
            self.set_delta(momentum * float(self.delta) + (1 - momentum) * measured if self.delta_measured else measured)

    # ---- looking -----------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def statistics(self, x: torch.Tensor | None = None) -> dict[str, float]:
        """What to log, for `x` or else for the last input in training, at the present β, s and δ.

        Returns
        -------
        beta, s, delta ; clipped : fraction with |x| > β, which gets no gradient ; entropy : of the codes, in bits (at
        most `bits`) ;
        used_levels : fraction of the 2^bits codes that occur ; correction : mean δ·|error in Q|, by how much GSTE
            changes the gradient ;
        flips : fraction with δ·|error| > 1, where a gradient can change its sign
        """
        x = self._last if x is None else x
        if x is None:
            raise ConfigError(f"quantizer of {self.name} has not quantized anything in training yet; give the values to look at")
        beta, s = self._scales(x)
        v = self._units(x, beta)
        codes = nearest_odd(v)
        counts = torch.bincount(((codes + self.top) / 2).long().flatten(), minlength=self.top + 1).double()
        share = counts[counts > 0] / counts.sum()
        size = self.delta * (s / self.top) * (v - codes).abs()
        return {
            "beta": float(beta), "s": float(s), "delta": float(self.delta),
            "clipped": float((x.abs() > beta).double().mean()),
            "entropy": float(-(share * share.log2()).sum()),
            "used_levels": share.numel() / (self.top + 1),
            "correction": float(size.mean()), "flips": float((size > 1).double().mean()),
        }  # fmt: skip

    def extra_repr(self) -> str:
        return f"bits={self.bits}, bounds={self.bounds}, momentum={self.momentum}, clamp={self.clamp}"


def _check_delta(delta: float) -> None:
    if not (math.isfinite(delta) and delta >= 0):
        raise ConfigError(f"delta is {delta}, but must be a finite number, 0 or more")

"""L²Q-GCN and L²Q-GCN-anl: 1-bit codes at every layer of a graph convolution (Chen et al., arXiv 2112.01944).

    V^(l) = Â V^(l-1)                          full-precision propagation (encoders.LightGCN)
    z_x^(l) = w_l · α_x^(l) · sign(v_x^(l)),   α_x^(l) = ‖v_x^(l)‖₁/d,   w_l = (l+1)/(L+1)
    y_ui = Σ_l <z_u^(l), z_i^(l)>

Quantization reads out every layer; a quantized vector is never propagated. No code of this paper is public: the
formulas are those of its authors' next system (official BiGeaR code). `-anl` is known by two words of the abstract,
"quantization approximation" and "annealing training strategy", and our reconstruction covers both readings; wherever it
is shown it is labelled "ours".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from recq_lib.codes.codes import Codes
from recq_lib.codes.planes import stored_bytes
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.parts.annealing import Schedule
from recq_lib.parts.building import SCHEDULE_OPTIONS, TEACHER_OPTIONS, WARM_OPTIONS, concatenated, concatenated_if_warm, recommender
from recq_lib.parts.estimators import ESTIMATORS
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Readout
from recq_lib.parts.readouts import layer_weights, side_by_side

LAYERS = ("all", "last", "mean")
SCALERS = ("alpha", "constant")
RELAXATIONS = ("tanh", "mix")


class LayerwiseSign(Readout):
    """The readout z = [w_l·scale·sign(v^(l))]_l, [R, S·d] for S coded segments.

    Parameters
    ----------
    estimator : name in `estimators.ESTIMATORS`; stands in for the derivative of sign
    scaler : "alpha" (‖v‖₁/d per node and segment, the least-squares optimum of ‖v - α·sign(v)‖², stored as float32), or
        "constant" (√(10/d) for all, nothing stored; CIGAR's official code scales its scores by 10/d)
    weighted : use w_l; without it every segment counts the same
    layers : "all" (the paper), or one segment for the ablations: the "last" layer, or the "mean" of the layers
        (LightGCN's vector)
    constants : keyword arguments of the estimator

    In the gradient α is a constant and, as in the official code, not a factor: dL/dv = dL/dz · w_l · slope(v).
    """

    def __init__(
        self,
        *,
        estimator: str = "identity",
        scaler: str = "alpha",
        weighted: bool = True,
        layers: str = "all",
        constants: dict | None = None,
    ) -> None:
        super().__init__()
        self.estimator = one_of("estimator", estimator, tuple(ESTIMATORS))
        self.scaler, self.layers = one_of("scaler", scaler, SCALERS), one_of("layers", layers, LAYERS)
        self.weighted, self.constants = weighted, dict(constants or {})

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        segments = self.segments(layers)
        return side_by_side(self.quantize(segments, self.weights(segments)[:, None, None]))

    def segments(self, layers: torch.Tensor) -> torch.Tensor:
        """[S, R, d]: what is coded."""
        if self.layers == "all":
            return layers
        return layers[-1:] if self.layers == "last" else layers.mean(dim=0, keepdim=True)

    def weights(self, segments: torch.Tensor) -> torch.Tensor:
        """w_l [S]; 1 for a single segment."""
        return layer_weights(segments) if self.weighted else torch.ones_like(segments[:, 0, 0])

    def scales(self, segments: torch.Tensor) -> torch.Tensor:
        """α [S, R, 1], outside the gradient."""
        alpha = segments.detach().abs().mean(dim=2, keepdim=True)
        if not torch.isfinite(alpha).all():
            raise ConfigError("the vectors to quantize hold NaN or infinity; training has diverged, lower the learning rate")
        return alpha if self.scaler == "alpha" else torch.full_like(alpha, (10 / segments.shape[2]) ** 0.5)

    def quantize(self, segments: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """w·scale·sign(v) [S, R, d]; `weights` [S, 1, 1]."""
        slope = None if self.estimator == "identity" else partial(ESTIMATORS[self.estimator], **self.constants)
        return _ScaledSign.apply(segments, self.scales(segments), weights, slope)

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: one bit per column, padded to 64, and a float32 scaler per segment where it differs by node."""
        return stored_bytes(n_nodes, dim, n_segments=self.n_segments(n_layers), scaled=self.scaler == "alpha")

    def width(self, dim: int, n_layers: int) -> int:
        """S·d"""
        return dim * self.n_segments(n_layers)

    def n_segments(self, n_layers: int) -> int:
        """S for layers 0 … `n_layers`."""
        return n_layers + 1 if self.layers == "all" else 1

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        """Layers [L+1, N, d] of all nodes as packed codes; their scores equal the inner products of `forward`'s vectors."""
        segments = self.segments(layers.detach())
        weights, scales = self.weights(segments), self.scales(segments).squeeze(2)
        if self.scaler == "constant":  # one number for all nodes belongs to the weights: nothing per node is stored
            return Codes.from_signs(segments, weights=weights * scales[0, 0], n_users=n_users)
        return Codes.from_signs(segments, scales=scales, weights=weights, n_users=n_users)

    def extra_repr(self) -> str:
        return f"{self.estimator}, {self.constants}, scaler={self.scaler}, weighted={self.weighted}, layers={self.layers}"


class AnnealedSign(LayerwiseSign):
    """L²Q-GCN-anl (ours): train with a relaxation that a schedule sharpens, then with hard codes; evaluate with hard codes always.

    Parameters
    ----------
    schedule : temperature τ over the run
    relaxation : "tanh": scale·tanh(v/(τ·α))/tanh(1/τ). Dividing by α makes τ mean the same at every layer, whose
        vectors shrink with depth; with the last factor and scale α it leads from v itself (τ → ∞) to α·sign(v) (τ → 0),
        and |v| = α stays where it is.
        "mix": τ·v + (1-τ)·scale·sign(v), so start at 1 and end at 0.
    others : see `LayerwiseSign`; `estimator` is used once the schedule has arrived (and by the hard part of "mix")

    With scaler "alpha", v is approximated by α·sign(v) *and* sign by a sharpening curve: both readings of the abstract
    at once. "mix" is the first reading alone, "tanh" with the constant scaler the second alone.
    """

    def __init__(self, schedule: Schedule, *, relaxation: str = "tanh", **options) -> None:
        super().__init__(**options)
        self.schedule, self.relaxation = schedule, one_of("relaxation", relaxation, RELAXATIONS)
        self.temperature, self.hard = schedule(0, 1), False

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Set τ, and whether the schedule has arrived."""
        self.temperature, self.hard = self.schedule(epoch, epochs), self.schedule.done(epoch, epochs)

    def quantize(self, segments: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """[S, R, d]: the relaxation at τ in training until the schedule has arrived, hard codes otherwise."""
        if self.hard or not self.training:
            return super().quantize(segments, weights)
        if self.relaxation == "mix":
            return self.temperature * weights * segments + (1 - self.temperature) * super().quantize(segments, weights)
        alpha = segments.abs().mean(dim=2, keepdim=True)
        outer = alpha if self.scaler == "alpha" else self.scales(segments)
        tiny = torch.finfo(segments.dtype).tiny  # rows of isolated nodes are zero; 0/0 would be NaN
        outer = outer / math.tanh(1 / self.temperature)
        return weights * outer * torch.tanh(segments / (self.temperature * alpha.detach()).clamp_min(tiny))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.relaxation}, {self.schedule}"


class _ScaledSign(torch.autograd.Function):
    """w·scale·sign(v), with w·slope(v) as derivative (slope None: 1); sign(0) = +1."""

    @staticmethod
    def forward(ctx, v, scale, weight, slope):
        ctx.save_for_backward(v, weight)
        ctx.slope = slope
        scale = weight * scale
        return torch.where(v >= 0, scale, -scale)

    @staticmethod
    def backward(ctx, grad):
        v, weight = ctx.saved_tensors
        slope = weight if ctx.slope is None else ctx.slope(v).mul_(weight)
        return grad * slope, None, None, None


# ---- entries ----------------------------------------------------------------------------------------------------------------

SIGN_OPTIONS = {"estimator": "identity", "scaler": "alpha", "weighted": True, "layers": "all"}
# full precision first, then from τ = 4, where the relaxation is nearly linear, to hard codes (chosen in study
# "annealing", ours)
_ANNEALED = WARM_OPTIONS | SCHEDULE_OPTIONS | {"warm_start": True, "start": 4.0, "hold": 0.0, "span": 0.7, "relaxation": "tanh"}


def sign_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a method's options that `LayerwiseSign` takes."""
    return {name: options[name] for name in SIGN_OPTIONS}


def _l2q(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, LayerwiseSign(**sign_options(config.options)), teacher=teacher)


def _l2q_anl(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    options = config.options
    readout = AnnealedSign(Schedule.from_options(options), relaxation=options["relaxation"], **sign_options(options))
    return recommender(data, config, readout, teacher=teacher)


def _post_training(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    return recommender(data, config, LayerwiseSign(**sign_options(SIGN_OPTIONS | dict(config.options))), teacher=teacher)


METHODS = (
    Method("l2q-gcn", "L²Q-GCN", "one bit", "trained", _l2q, SIGN_OPTIONS | WARM_OPTIONS, concatenated_if_warm, marker="o"),
    Method("l2q-gcn-anl", "L²Q-GCN-anl (ours)", "one bit", "trained", _l2q_anl, SIGN_OPTIONS | _ANNEALED, concatenated_if_warm, marker="s"),
    Method(
        "ptq-sign", "post-training sign", "one bit", "derived", _post_training,
        TEACHER_OPTIONS | {"scaler": "alpha", "weighted": True, "layers": "all"}, concatenated, marker="x", colour="grey",
    ),
)  # fmt: skip

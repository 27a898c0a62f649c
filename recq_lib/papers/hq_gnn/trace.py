"""How strongly GSTE corrects the gradient: δ = (Tr(H)/N) / (typical |g|), from the loss's Hessian with respect to the quantized vectors.

The correction is a first-order Taylor step, g(v) ≈ g(c) + H·(v - c), in which EWGS (Lee et al., CVPR 2021) keeps H's
diagonal and replaces every h_kk/|g_k| by one number. H is the second derivative with respect to Q, not through the
quantizer: GSTE's backward rule is no derivative, and differentiating it again gives no Hessian. Downstream of Q BPR
has only inner products and softplus, so for

    L = mean_t softplus(-s_t),   s_t = <Q_u, Q_i - Q_j>,   w_t = σ(s_t)·σ(-s_t)

the trace has a closed form, exact also where users and items repeat, because s_t is bilinear and has no second
derivative on the diagonal:

    Tr_user = mean_t w_t·‖Q_i - Q_j‖²              Tr_item = mean_t w_t·2‖Q_u‖²

With the mean of |g| as typical gradient the number N of elements cancels: δ = Tr(H)/‖g‖₁, whatever untouched rows are
counted in. Of another loss the trace is estimated (Hutchinson). δ does not change when the loss is scaled, and δ·error
does not change with the unit of Q, as long as H, g and the error share one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from recq_lib.errors import ConfigError, one_of

if TYPE_CHECKING:
    from recq_lib.papers.hq_gnn.readout import SidedQuantizer

TRACES = ("closed", "hutchinson")
MAGNITUDES = ("mean", "3std")
_TINY = 1e-12  # keeps a vanishing gradient from dividing by zero
Loss = Callable[[torch.Tensor], torch.Tensor]
Measured = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def bpr_trace_columns(
    q_user: torch.Tensor, q_positive: torch.Tensor, q_negative: torch.Tensor, same: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The closed-form traces, by column: (users [D], items [D]).

    Parameters
    ----------
    q_user, q_positive, q_negative : [T, D] the three vectors of every triple
    same : [T] bool, where positive and negative are one item, so that its vector cancels from the score; default
        nowhere
    """
    if q_user.shape[0] == 0:
        raise ConfigError("the Hessian's trace of no triples is not defined; give at least one")
    difference = q_positive - q_negative
    scores = (q_user * difference).sum(dim=1)
    weights = torch.sigmoid(scores) * torch.sigmoid(-scores) / scores.numel()
    item_weights = weights if same is None else weights * ~same
    return weights @ difference.square(), 2 * (item_weights @ q_user.square())


def bpr_trace(
    q_user: torch.Tensor, q_positive: torch.Tensor, q_negative: torch.Tensor, same: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(Tr_user, Tr_item), scalars: traces of the Hessian of the mean BPR loss with respect to the users' and the items' vectors."""
    users, items = bpr_trace_columns(q_user, q_positive, q_negative, same)
    return users.sum(), items.sum()


def hutchinson_samples(
    loss: Callable[..., torch.Tensor], tensors: Sequence[torch.Tensor], samples: int = 50, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """v·(Hv) for random v of ±1, [samples, len(tensors)]; its expectation is the trace of each tensor's own Hessian block.

    `loss(*tensors)` must be a scalar that can be differentiated twice; the tensors are detached first. The variance of
    one sample is 2·Σ_{a≠b} H_ab². Vectors are drawn on the CPU, so a seed means the same on every device.
    """
    if samples < 1:
        raise ConfigError(f"samples is {samples}, but at least 1 random vector is needed")
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    with torch.enable_grad():
        gradients = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    out = torch.zeros(samples, len(leaves), dtype=leaves[0].dtype, device=leaves[0].device)
    for row in out:
        for k, (leaf, gradient) in enumerate(zip(leaves, gradients)):
            v = (2 * torch.randint(2, leaf.shape, generator=generator) - 1).to(leaf)
            if gradient.requires_grad:  # else the loss is linear in this tensor
                (product,) = torch.autograd.grad(gradient, leaf, v, retain_graph=True, materialize_grads=True)
                row[k] = (v * product).sum()
    return out


def hutchinson_trace(
    loss: Callable[..., torch.Tensor], tensors: Sequence[torch.Tensor], samples: int = 50, *, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Estimated trace of each tensor's Hessian block, [len(tensors)]: the mean of `hutchinson_samples`.

    EWGS stops once the running mean changes by less than 1e-3 of its signed value, hence at once when that is negative;
    here all samples are drawn.
    """
    return hutchinson_samples(loss, tensors, samples, generator=generator).mean(dim=0)


def delta_from(trace: torch.Tensor | float, gradient: torch.Tensor, *, delta_max: float = 100.0, magnitude: str = "mean") -> float | None:
    """δ = clip((Tr/N)/G, 0, delta_max), or None where trace or gradient is not finite (keep the old δ then).

    Parameters
    ----------
    trace : of the Hessian of the loss with respect to the tensor that `gradient` [N elements, any shape] belongs to
    delta_max : far above any δ of use (ours); it stops a vanishing gradient from giving an absurd one
    magnitude : G = mean of |g| ("mean", ours: Tr/‖g‖₁), or 3·std(g) ("3std", EWGS), for which rows without gradient
        must be left out
    """
    one_of("magnitude", magnitude, MAGNITUDES)
    if gradient.numel() == 0:
        raise ConfigError("delta needs a gradient with at least one element")
    if magnitude == "mean":
        denominator = float(gradient.abs().sum())
    else:
        denominator = 3 * gradient.numel() * (float(gradient.std()) if gradient.numel() > 1 else math.nan)
    value = float(trace) / (denominator + _TINY)
    return min(max(value, 0.0), delta_max) if math.isfinite(value) and math.isfinite(denominator) else None


def bpr_deltas(
    vectors: torch.Tensor,
    users: torch.Tensor,
    positives: torch.Tensor,
    negatives: torch.Tensor,
    *,
    blocks: int = 1,
    trace: str = "closed",
    samples: int = 50,
    generator: torch.Generator | None = None,
    magnitude: str = "mean",
    shared: bool = False,
    delta_max: float = 100.0,
    loss: Loss | None = None,
) -> tuple[list[float | None], list[float | None]]:
    """One batch's δ for every table: (users [blocks], items [blocks]), in units of 1/Q.

    Parameters
    ----------
    vectors : [R, D] quantized vectors Q; only values are used
    users, positives, negatives : [T] rows of `vectors`; users' and items' rows do not overlap
    blocks : equal column blocks with a δ each
    trace : "closed", or "hutchinson" with so many `samples` and `generator`
    loss : of vectors [R, D], differentiable twice, in place of BPR of the triples; without a closed form, so its trace is estimated
    magnitude : see `delta_from`; rows outside the batch are not counted
    shared : one δ for all tables, from summed traces and all gradients

    Computed in float32 or better. Raises `ConfigError` for an empty batch and for unknown names.
    """
    one_of("trace", trace, TRACES)
    if users.numel() == 0:
        raise ConfigError("delta needs at least one triple")
    u_rows, u = torch.unique(users, return_inverse=True)
    i_rows, ij = torch.unique(torch.cat([positives, negatives]), return_inverse=True)
    i, j = ij.chunk(2)
    vectors = vectors.detach() if vectors.dtype == torch.float64 else vectors.detach().float()
    sides = [vectors.index_select(0, rows).chunk(blocks, dim=1) for rows in (u_rows, i_rows)]
    leaves = [part.clone().requires_grad_() for side in sides for part in side]

    def of_parts(*parts: torch.Tensor) -> torch.Tensor:
        q_users, q_items = torch.cat(parts[:blocks], dim=1), torch.cat(parts[blocks:], dim=1)
        if loss is not None:
            return loss(vectors.index_copy(0, torch.cat([u_rows, i_rows]), torch.cat([q_users, q_items])))
        difference = q_items.index_select(0, i) - q_items.index_select(0, j)
        return F.softplus(-(q_users.index_select(0, u) * difference).sum(dim=1)).mean()

    with torch.enable_grad():
        gradients = torch.autograd.grad(of_parts(*leaves), leaves)
    if trace == "hutchinson" or loss is not None:
        traces = hutchinson_trace(of_parts, leaves, samples, generator=generator)
    else:
        columns = bpr_trace_columns(*(vectors.index_select(0, nodes) for nodes in (users, positives, negatives)), positives == negatives)
        traces = torch.stack([part.sum() for side in columns for part in side.chunk(blocks)])
    if shared:
        everything = torch.cat([gradient.flatten() for gradient in gradients])
        deltas = [delta_from(traces.sum(), everything, delta_max=delta_max, magnitude=magnitude)] * (2 * blocks)
    else:
        deltas = [delta_from(t, g, delta_max=delta_max, magnitude=magnitude) for t, g in zip(traces, gradients)]
    return deltas[:blocks], deltas[blocks:]


def refresh_deltas(
    readout: SidedQuantizer, batches: Iterable[Measured], *, losses: Sequence[Loss] | None = None, momentum: float = 0.9, **options
) -> None:
    """Average δ over batches of (vectors Q, users, positives, negatives), as for `bpr_deltas`, and mix it into the readout's.

    `losses` : one for each batch, where the objective is not BPR. EWGS averages over 3 batches. A table for which no batch
    gave a finite δ keeps its own. `options` go to `bpr_deltas`.
    """
    batches = list(batches)
    pairs = zip(batches, losses or [None] * len(batches), strict=True)
    measured = [bpr_deltas(*batch, blocks=readout.blocks, loss=loss, **options) for batch, loss in pairs]
    if not measured:
        raise ConfigError("delta is to be refreshed from no batches; give at least one")
    users, items = ([_mean(values) for values in zip(*side)] for side in zip(*measured))
    readout.update_deltas(users, items, momentum)


def _mean(values: Iterable[float | None]) -> float | None:
    finite = [value for value in values if value is not None]
    return sum(finite) / len(finite) if finite else None

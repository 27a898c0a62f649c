"""Losses over a batch of triples (user, positive, negative)."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def bpr(positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """Mean of -log σ(y⁺ - y⁻) (Rendle et al., UAI 2009), as softplus(y⁻ - y⁺), which does not overflow.

    BACO's code takes -log(1e-10 + σ(y⁺ - y⁻)) in float32: its gradient vanishes where y⁻ - y⁺ > 23, and where y⁺ - y⁻ > 17, because
    σ rounds to 1 there. Ours keeps the exact gradient at both ends.
    """
    return F.softplus(negative - positive).mean()


def l2_of_rows(rows: torch.Tensor, counts: torch.Tensor, batch_size: int) -> torch.Tensor:
    """½·Σ_r counts[r]·‖e_r‖² / B over the distinct layer-0 rows [R, d] of a batch (LightGCN and BiGeaR codes count repeats)."""
    return 0.5 * (counts.to(rows.dtype) * rows.square().sum(dim=1)).sum() / batch_size

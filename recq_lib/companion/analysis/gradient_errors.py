"""How far STE's and GSTE's gradients are from what a change of code does to the loss (ours)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import torch
from torch.nn.functional import softplus

from recq_lib.papers.hq_gnn.quantizer import nearest_odd, top_level
from recq_lib.papers.hq_gnn.trace import bpr_deltas


def change_slopes(vectors: torch.Tensor, triples: Sequence[torch.Tensor], change: torch.Tensor) -> torch.Tensor:
    """(loss after adding change[r, k] to vectors[r, k] alone, minus loss) / change[r, k], for every r and k: [R, d].

    The loss is the mean BPR loss of the triples (user, positive, negative), each [T] rows of `vectors` [R, d]; users' and items' rows do
    not overlap, and positive and negative differ, so that an entry acts on a triple's score once. `change` must have no zeros.
    """
    users, positives, negatives = triples
    difference = vectors[positives] - vectors[negatives]
    scores = (vectors[users] * difference).sum(dim=1)
    before, moved = softplus(-scores), torch.zeros_like(vectors)
    for rows, other in ((users, difference), (positives, vectors[users]), (negatives, -vectors[users])):
        after = softplus(-(scores[:, None] + change[rows] * other))
        moved.index_add_(0, rows, after - before[:, None])
    return moved / scores.numel() / change


def estimator_errors(
    x: torch.Tensor, n_users: int, triples: Sequence[torch.Tensor], bits: int, s: float, times: Sequence[float] = (0.0, 1.0)
) -> pd.DataFrame:
    """How far STE's and GSTE's gradients are from what a change of code would do to the loss; one row per multiple of the measured δ.

    Parameters
    ----------
    x : [R, d] vectors to quantize, users' rows first; clip range ±3·std(x) per side, output scale `s`
    triples : (users, positives, negatives), each [T] rows of x
    times : multiples of δ; 0 is STE and 1 is GSTE

    The true slope of an entry is that of the line between its code and the neighbour on the side of its error. Entries outside the clip
    range (no estimator moves them) and rows in no triple are left out. Columns: bits, s, times, error (‖estimate − slope‖/‖slope‖),
    cosine, wrong_sign (share), correction (mean δ·|error in Q|, not multiplied).
    """
    x, top = x.double(), top_level(bits)  # a change of one entry moves the loss in its last digits
    sides = [part * (top / (3 * part.std(correction=0))) for part in (x[:n_users], x[n_users:])]
    v = torch.cat(sides)
    codes = nearest_odd(v.clamp(-top, top))
    error, step = v.clamp(-top, top) - codes, s / top
    vectors = (step * codes).requires_grad_()
    users, positives, negatives = triples
    loss = softplus(-(vectors[users] * (vectors[positives] - vectors[negatives])).sum(dim=1)).mean()
    (gradient,) = torch.autograd.grad(loss, vectors)
    vectors = vectors.detach()
    slopes = change_slopes(vectors, triples, 2 * step * torch.where(error >= 0, 1.0, -1.0).to(x))
    delta_users, delta_items = bpr_deltas(vectors, *triples)
    delta = torch.full((x.shape[0], 1), delta_items[0]).to(x)
    delta[:n_users] = delta_users[0]
    kept = v.abs() < top
    kept &= torch.zeros_like(kept).index_fill_(0, torch.cat([users, positives, negatives]), True)
    g, t, size = gradient[kept], slopes[kept], (delta * step * error)[kept]
    rows = []
    for multiple in times:
        estimate = g * (1 + multiple * torch.sign(g) * size)
        cosine = (estimate * t).sum() / (estimate.norm() * t.norm())
        wrong = (torch.sign(estimate) != torch.sign(t)).double().mean()
        rows.append((bits, s, multiple, float((estimate - t).norm() / t.norm()), float(cosine), float(wrong), float(size.abs().mean())))
    return pd.DataFrame(rows, columns=["bits", "s", "times", "error", "cosine", "wrong_sign", "correction"])

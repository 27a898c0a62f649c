"""`pair_scores`: inner products of chosen pairs of rows, the one operation that every pairwise loss here needs.

Gathering both rows of each pair, as one would write it, copies every row once per pair and adds the copies' gradients
up again. With y_k = <z[i_k], z[j_k]> the gradient is a sparse product: row i collects g_k·z[j_k], row j collects
g_k·z[i_k]. Nothing is copied, and a row is summed by one thread in a fixed order, so the result repeats bit for bit.
The loops are in `recq_lib.kernels.pair_scores`.
"""

from __future__ import annotations

import torch

from recq_lib.kernels.pair_scores import dots, group
from recq_lib.kernels.propagation import balanced_chunks, product


def pair_scores(z: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """`y[k] = <z[left[k]], z[right[k]]>`, differentiable in `z`.

    Parameters
    ----------
    z : [R, D] float32 or float64
    left, right : [P] int64 row numbers

    Returns
    -------
    [P]
    """
    if z.device.type == "cpu":
        return _CpuPairs.apply(z, left, right)
    return (z.index_select(0, left) * z.index_select(0, right)).sum(dim=1)


class _CpuPairs(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, left, right):
        z = z.contiguous()
        ctx.save_for_backward(z, left, right)
        out = z.new_empty(left.numel())
        dots(z.detach().numpy(), left.numpy(), right.numpy(), out.numpy())
        return out

    @staticmethod
    def backward(ctx, grad):
        z, left, right = ctx.saved_tensors
        indptr, other, pair = group(left.numpy(), right.numpy(), z.shape[0])
        values = grad.contiguous().numpy()[pair]
        out = torch.empty_like(z)
        product(indptr, other, values, balanced_chunks(indptr), z.numpy(), out.numpy())
        return out, None, None

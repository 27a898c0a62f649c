"""What a batch of triples is scored by: BPR, as in the papers, or a softmax over the batch's items (ours, for short trainings).

BPR compares a positive with one negative, so that a step tells an item little. The softmax compares it with every item of the batch:

    s_uc = <z_u, z_c> / (‖z_u‖·m·τ),   m² = mean of ‖z_c‖² over the batch's distinct items C
    loss = mean over pairs (u, p) of  log( e^{s_up} + Σ_{c∈C, c≠p} w_c·e^{s_uc} ) - s_up

Users' vectors are of unit length, because a user's length moves no ranking; items keep theirs relative to each other, so that the score
in training ranks as the inner product does later. Dividing by m makes the loss blind to the vectors' unit: codes and floats take
the same τ. Popular items are in C more often; w_c = (B/I)/π_c, π_c = 1 - (1 - p_c)^B the probability of that (Horvitz and Thompson), where
p_c is the share of c among the positives that the sampler draws, makes the sum an unbiased one over the whole catalogue, as large as
if it had B items (Jean et al., ACL 2015, and Bengio and Senécal, 2008, on sampled softmax with known probabilities; Wu et al., *On the
effectiveness of sampled softmax loss*, on its use here).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.parts.pair_scores import pair_scores
from recq_lib.training.losses import bpr

if TYPE_CHECKING:
    from recq_lib.training.sampling import TripleSampler
    from recq_lib.training.trainer import Batch

_TINY = 1e-12  # a vector of zeros has no direction; it scores 0


class Objective(Protocol):
    """The loss of a batch as a function of its stored vectors, a scalar; `twice`: so that it can be differentiated twice (slower)."""

    def __call__(self, batch: Batch, *, twice: bool = False) -> torch.Tensor: ...


class Bpr:
    """-log σ(y⁺ - y⁻), mean over triples; see `losses.bpr`."""

    def __call__(self, batch: Batch, *, twice: bool = False) -> torch.Tensor:
        u, p, n = batch.places()
        if twice:
            users, positives, negatives = (batch.vectors.index_select(0, nodes) for nodes in (u, p, n))
            return bpr((users * positives).sum(dim=1), (users * negatives).sum(dim=1))
        return bpr(*pair_scores(batch.vectors, torch.cat([u, u]), torch.cat([p, n])).chunk(2))


class SampledSoftmax:
    """The softmax above.

    Parameters
    ----------
    shares : [I] the items' probabilities of being a triple's positive, `TripleSampler.item_shares`
    batch_size : B
    temperature : τ
    """

    def __init__(self, shares: np.ndarray, batch_size: int, temperature: float) -> None:
        self.temperature = temperature
        self.log_weights = torch.from_numpy(log_weights(shares, batch_size))
        self._moved: dict[tuple[torch.device, torch.dtype], torch.Tensor] = {}

    def __call__(self, batch: Batch, *, twice: bool = False) -> torch.Tensor:
        users, row = torch.unique(batch.users, return_inverse=True)
        items, column = torch.unique(batch.positives, return_inverse=True)
        z_users, z_items = (batch.vectors.index_select(0, nodes) for nodes in (batch.at(users), batch.at_items(items)))
        loss = softmax_by_autograd if twice else softmax_of_pairs
        return loss(*scaled(z_users, z_items, self.temperature), self._weights_as(z_items)[items], row, column)

    def _weights_as(self, like: torch.Tensor) -> torch.Tensor:
        """log w [I] where and as `like` is; moved once, not in every step."""
        key = (like.device, like.dtype)
        if key not in self._moved:
            self._moved[key] = self.log_weights.to(like)
        return self._moved[key]


def log_weights(share: np.ndarray, batch_size: int) -> np.ndarray:
    """log w [I] of items with `share` [I] of the positives, in batches of B; 0 for items that never occur."""
    present = -np.expm1(batch_size * np.log1p(-np.minimum(share, 1 - 1e-12)))
    return np.log(batch_size / share.size / np.where(present > 0, present, batch_size / share.size))


def scaled(users: torch.Tensor, items: torch.Tensor, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors whose inner products are s: users [U, D] of length 1/τ, items [C, D] of mean square length 1."""
    length = items.square().sum(dim=1).mean().clamp_min(_TINY).sqrt()
    return F.normalize(users, dim=1, eps=_TINY) / temperature, items / length


def softmax_of_pairs(
    users: torch.Tensor, items: torch.Tensor, log_weight: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """Mean over pairs b of log(e^{s_b} + Σ_{c≠column[b]} w_c·e^{s_c}) - s_b for s = users·itemsᵀ.

    Parameters
    ----------
    users [U, D], items [C, D] : distinct ones
    log_weight [C] : log w
    row, column [B] : the user and the item of every pair

    A user's scores serve all of its pairs, and the gradient is made together with the loss: three products of matrices and one pass of
    exponentials, on any device. For second derivatives take `softmax_by_autograd`.
    """
    return _SoftmaxOfPairs.apply(users, items, log_weight, row, column)


def softmax_by_autograd(
    users: torch.Tensor, items: torch.Tensor, log_weight: torch.Tensor, row: torch.Tensor, column: torch.Tensor
) -> torch.Tensor:
    """`softmax_of_pairs` as its formula is written, for automatic differentiation of any order."""
    scores = (users @ items.T).index_select(0, row)
    own = scores.gather(1, column[:, None])
    return (torch.logsumexp((scores + log_weight).scatter(1, column[:, None], own), dim=1) - own.squeeze(1)).mean()


class _SoftmaxOfPairs(torch.autograd.Function):
    """With E_uc = w_c·e^{s_uc} and S_u = Σ_c E_uc, the pair (u, p) has the sum S_u + (1 - w_p)·e^{s_up}; all are taken relative to the
    row's largest term, so that nothing overflows."""

    @staticmethod
    def forward(ctx, users, items, log_weight, row, column):
        terms = users @ items.T
        own = terms[row, column]
        terms += log_weight
        largest = terms.amax(dim=1)
        # an own term without its weight may be the largest of its row
        largest = torch.maximum(largest, torch.full_like(largest, -torch.inf).scatter_reduce(0, row, own, "amax"))
        terms.sub_(largest[:, None]).exp_()
        at_pair = torch.exp(own - largest[row])
        own_weight = -torch.expm1(log_weight)[column]  # 1 - w_p
        total = terms.sum(dim=1)[row] + own_weight * at_pair
        loss = (torch.log(total) + largest[row] - own).mean()
        n = row.numel()
        per_user = torch.zeros_like(largest).index_add_(0, row, 1 / total) / n
        at_own = (own_weight * at_pair / total - 1) / n
        ctx.save_for_backward(users, items, terms, per_user, row, column, at_own)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        users, items, terms, per_user, row, column, at_own = ctx.saved_tensors
        to_users = (terms @ items).mul_(per_user[:, None]).index_add_(0, row, at_own[:, None] * items[column])
        to_items = (terms.T @ (users * per_user[:, None])).index_add_(0, column, at_own[:, None] * users[row])
        return to_users * grad, to_items * grad, None, None, None


def objective_of(sampler: TripleSampler, config: TrainConfig) -> Objective:
    """The configuration's loss of what the sampler draws."""
    if config.loss == "bpr":
        return Bpr()
    return SampledSoftmax(sampler.item_shares(), min(config.batch_size, sampler.n_triples), config.temperature)

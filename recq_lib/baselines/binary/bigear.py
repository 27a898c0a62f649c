"""BiGeaR, the evolved L²Q-GCN (Chen et al., KDD 2022; official code): teacher, student started from it, inference distillation.

The teacher is the full-precision model with the same layers and weights w_l. The student starts as a copy of its table,
reads out 1-bit codes at every layer (papers/l2q_gcn.py, Gaussian gradient), and is drawn towards the teacher's
rankings:

    L_ID = (1/(L+1)) Σ_l mean_u (1/R) Σ_{k=1..R} ω_k · softplus(-<z_u^(l), z_{S_u^(l)(k)}^(l)>),   ω_k = exp(-0.1·k)

where S_u^(l) are the R items that layer l of the teacher ranks first for user u, training items included. The official
code computes the whole score matrix of the batch's users; here only the R listed items are scored, which gives the same
value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import rank
from recq_lib.papers.l2q_gcn import SIGN_OPTIONS, LayerwiseSign, sign_options
from recq_lib.parts.building import TEACHER_OPTIONS, concatenated, recommender
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.pair_scores import pair_scores
from recq_lib.parts.protocols import Auxiliary

if TYPE_CHECKING:
    from recq_lib.training.trainer import Batch


@torch.no_grad()
def top_lists(teacher: Recommender, length: int = 100) -> torch.Tensor:
    """int32 [L+1, U, R]: for every layer and user the items that this layer's vectors rank first, best first; R = min(length, I)."""
    if length < 1:
        raise ConfigError(f"distillation lists of {length} items are empty; give at least 1")
    length, users = min(length, teacher.n_items), np.arange(teacher.n_users, dtype=np.int32)
    lists = []
    for layer in teacher.layers():
        vectors = (layer[: teacher.n_users], layer[teacher.n_users :])
        lists.append(torch.from_numpy(rank(vectors, users, teacher.n_items, length, masks=())))
    return torch.stack(lists)


class InferenceDistillation(Auxiliary):
    """L_ID over the users of a batch, repeats counted.

    Parameters
    ----------
    lists : [L+1, U, R] from `top_lists`
    weight : factor of the term (1 in the official code)
    decay : ω_k = exp(-decay·k), k from 1
    """

    def __init__(self, lists: torch.Tensor, weight: float = 1.0, decay: float = 0.1) -> None:
        super().__init__()
        if lists.ndim != 3 or lists.shape[2] < 1:
            raise ConfigError(f"lists have shape {tuple(lists.shape)}, but must be [layers, users, items] with at least one item")
        self.weight, self.decay = weight, decay
        self.register_buffer("lists", lists, persistent=False)  # comes from the teacher, not from training
        ranks = torch.arange(1, lists.shape[2] + 1, dtype=torch.float32)
        self.register_buffer("omega", torch.exp(-decay * ranks) / ranks.numel(), persistent=False)

    def nodes(self, users: torch.Tensor) -> torch.Tensor:
        """Node ids of the items listed for `users`."""
        n_items = int(self.lists.max()) + 1
        listed = torch.zeros(n_items, dtype=torch.bool, device=self.lists.device)
        listed[self.lists[:, users].flatten().long()] = True
        return listed.nonzero().squeeze(1) + self.lists.shape[1]

    def forward(self, model: Recommender, batch: Batch) -> torch.Tensor:
        n_layers, _, length = self.lists.shape
        if batch.vectors.shape[1] % n_layers:
            raise ConfigError(
                f"vectors of width {batch.vectors.shape[1]} do not split into {n_layers} layers; distillation is for layer-wise codes"
            )
        segments = batch.vectors.view(batch.vectors.shape[0], n_layers, -1).transpose(0, 1).contiguous()
        users, counts = torch.unique(batch.users, return_counts=True)
        left = batch.at(users).repeat_interleave(length)
        total = segments.new_zeros(())
        for z, lists in zip(segments, self.lists, strict=True):
            scores = pair_scores(z, left, batch.at_items(lists[users].flatten().long()))
            per_user = F.softplus(-scores).view(-1, length) @ self.omega.to(z.dtype)
            total = total + (per_user * counts).sum() / batch.users.numel()
        return self.weight * total / n_layers

    def extra_repr(self) -> str:
        return f"{tuple(self.lists.shape)}, weight={self.weight}, decay={self.decay}"


# ---- entry ------------------------------------------------------------------------------------------------------------------

def _bigear(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    options = config.options
    distillation = InferenceDistillation(top_lists(teacher, options["top"]), options["weight"]) if options["weight"] else None
    readout = LayerwiseSign(constants={"gamma": options["gamma"]} if options["estimator"] == "gaussian" else {}, **sign_options(options))
    return recommender(data, config, readout, teacher=teacher, auxiliary=distillation)


METHODS = (
    Method(
        "bigear", "BiGeaR", "one bit", "trained", _bigear,
        SIGN_OPTIONS | TEACHER_OPTIONS | {"estimator": "gaussian", "gamma": 1.0, "top": 100, "weight": 1.0}, concatenated, marker="^",
    ),
)  # fmt: skip

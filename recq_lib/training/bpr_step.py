"""One training step's loss and gradient in four kernels, for the model that most runs train: two layers, their mean, BPR.

What autograd would do in some thirty operations with as many temporaries is done by hand here: layers 1 and 2 at the
batch as sums over the parameters and over those rows of layer 1 that many of the batch read (`layer_expansion`), the
mean of the layers, the loss with its gradient, and the way back, which hands every gradient on to the rows that it came
from without storing it. Same mathematics; sums are in another order, so losses and gradients agree within rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.config import TrainConfig
from recq_lib.kernels import bpr as kernel
from recq_lib.kernels import propagation as products
from recq_lib.parts.model import Recommender
from recq_lib.training.layer_expansion import Expansion, expand, parts, read_probability

if TYPE_CHECKING:
    from recq_lib.training.trainer import Trainer


class BprStep:
    """Loss of a batch; its gradient goes to `weight.grad` of the model's table. Source: ours."""

    def __init__(self, model: Recommender, l2: float) -> None:
        self.weight, self.graph, self.l2 = model.table.weight, model.graph, l2
        n = model.graph.n_nodes
        self.shares = model.table.sharing_matrix()
        self.gradient = torch.empty_like(self.weight)
        self.place = np.empty(n, np.int32)
        self.plan: Expansion | None = None  # made for the first batch's size

    @staticmethod
    def fits(model: Recommender, config: TrainConfig) -> bool:
        """BPR, two linear layers, their mean, a table of constant shares, no further loss, on the CPU."""
        if not (config.loss == "bpr" and model.encoder.linear and model.encoder.n_layers == 2 and model.auxiliary is None):
            return False
        mean = model.readout.pooling(2) == [1 / 3] * 3
        return mean and model.table.weight.device.type == "cpu" and model.table.sharing_matrix() is not None

    @classmethod
    def of(cls, trainer: Trainer) -> BprStep:
        """For the trainer's model and its factor of L2."""
        return cls(trainer.model, trainer.config.l2)

    def __call__(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> float:
        graph, parameters = self.graph, self.weight.detach().numpy()
        ends = [users.numpy(), positives.numpy() + graph.n_users, negatives.numpy() + graph.n_users]
        slot, rows = self._slots(ends)
        if self.plan is None:
            self._make_plan(users.numel())
        shares, plan, below = self.share_parts, self.plan, self.below
        taken, met = products.take(*plan.near, rows, plan.kept[0].size - 1)
        nodes = np.flatnonzero(met[0][1:] > met[0][:-1])
        products.product_at(*plan.kept, nodes, parameters, below, places=nodes)
        start, z, upper = (np.empty((rows.size, parameters.shape[1]), parameters.dtype) for _ in range(3))
        kernel.pool(taken, below, plan.far, shares, rows, parameters, start, z)
        places = [slot[end] for end in ends]
        total = kernel.loss(z, *places, upper)
        upper *= upper.dtype.type(1 / 3)  # of the mean of three layers, for each of them
        own = upper
        if self.l2:
            own = upper.copy()
            total += self.l2 * kernel.add_l2(start, *places, own.dtype.type(self.l2 / users.numel()), own)
        kernel.backward(met, plan.kept, plan.far, shares, rows, (upper, own), self.gradient.numpy(), numba.get_num_threads())
        self.weight.grad = self.gradient
        return total / users.numel()

    def _make_plan(self, batch_size: int) -> None:
        graph, dtype = self.graph, self.weight.detach().numpy().dtype
        shape = (graph.n_nodes, graph.n_nodes)
        adjacency = sp.csr_matrix((graph.values_as(torch.float64), graph.indices, graph.indptr), shape=shape)
        merged = (adjacency @ self.shares.astype(np.float64)).tocsr()
        read = read_probability(np.diff(graph.indptr), graph.n_users, batch_size)
        self.plan = expand(adjacency, merged, read).astype(dtype)
        self.share_parts = parts(self.shares, dtype)
        self.below = np.empty((self.plan.kept[0].size - 1, self.weight.shape[1]), dtype)  # a row for every kept node

    def _slots(self, ends: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The batch's nodes, ascending, and for every node its place among them or -1."""
        slot = self.place
        slot[:] = -1
        for end in ends:
            slot[end] = 0
        rows = np.flatnonzero(slot == 0)
        slot[rows] = np.arange(rows.size, dtype=np.int32)
        return slot, rows

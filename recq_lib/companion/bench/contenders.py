"""What a user would write or install instead; each does the same mathematics as ours on the same batch.

Written for comparison only: plain, correct, and tested against ours.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph
from recq_lib.io.optional import optional
from recq_lib.sharing.sharing import Sharing


class PlainLightGCN(nn.Module):
    """LightGCN with full propagation every step, by `product`: a function x → Âx that autograd can differentiate."""

    def __init__(self, weight: torch.Tensor, product, n_users: int, config: TrainConfig) -> None:
        super().__init__()
        self.table = nn.Parameter(weight.clone())
        self.product, self.n_users, self.config = product, n_users, config
        self.optimizer = torch.optim.Adam([self.table], lr=config.lr, weight_decay=config.weight_decay)

    def layer0(self) -> torch.Tensor:
        return self.table

    def encode(self) -> torch.Tensor:
        layers = [self.layer0()]
        for _ in range(self.config.n_layers):
            layers.append(self.product(layers[-1]))
        return torch.stack(layers).mean(dim=0)

    def loss(self, z: torch.Tensor, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        """BPR of nodes."""
        u, p, n = z[users], z[positives], z[negatives]
        return F.softplus((u * n).sum(dim=1) - (u * p).sum(dim=1)).mean()

    def step(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> float:
        nodes = (users, positives + self.n_users, negatives + self.n_users)
        loss = self.loss(self.encode(), *nodes)
        if self.config.l2:
            loss = loss + self.config.l2 * 0.5 * sum(self.table[part].square().sum() for part in nodes) / users.numel()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())


class PlainSoftmax(PlainLightGCN):
    """The same with the softmax of `training.objectives`, written out pair by pair for autograd; `log_weights` [I]."""

    log_weights: torch.Tensor

    def loss(self, z: torch.Tensor, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        """The softmax of every pair over the batch's distinct items."""
        items, own = torch.unique(positives, return_inverse=True)
        candidates = z[items] / z[items].square().sum(dim=1).mean().sqrt()
        scores = F.normalize(z[users], dim=1) @ candidates.T / self.config.temperature
        other = scores + self.log_weights[items - self.n_users]
        right = scores.gather(1, own[:, None])
        return (torch.logsumexp(other.scatter(1, own[:, None], right), dim=1) - right.squeeze(1)).mean()


class PlainShared(PlainLightGCN):
    """The same on shared rows, which `EmbeddingBag` looks up (as in BACO's and GraphHash's codes)."""

    def __init__(self, weight: torch.Tensor, sharing: Sharing, product, n_users: int, config: TrainConfig) -> None:
        super().__init__(weight, product, n_users, config)
        sides = ((sharing.users, 0), (sharing.items, sharing.n_user_rows))
        bags = [row[row >= 0] + first for rows, first in sides for row in rows]
        self.mode = sharing.combine
        self.offsets = torch.from_numpy(np.cumsum([0, *(bag.size for bag in bags[:-1])]))
        self.members = torch.from_numpy(np.concatenate(bags))

    def layer0(self) -> torch.Tensor:
        return F.embedding_bag(self.members, self.table, self.offsets, mode=self.mode)


def coo_product(graph: Graph):
    """`torch.sparse.mm` with a coalesced COO matrix, as in LightGCN-PyTorch."""
    matrix = graph.to_scipy().tocoo()
    index = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
    adjacency = torch.sparse_coo_tensor(index, torch.from_numpy(matrix.data), matrix.shape, check_invariants=False).coalesce()
    return lambda x: torch.sparse.mm(adjacency, x)


def csr_product(graph: Graph):
    """`torch.sparse.mm` with torch's CSR matrix."""
    adjacency = graph.matrix()
    return lambda x: torch.sparse.mm(adjacency, x)


def pyg_product(data: Interactions):
    """PyTorch Geometric's `LGConv` on an edge index."""
    users, items = (torch.from_numpy(side.astype(np.int64)) for side in data.pairs("train"))
    edges = torch.stack([torch.cat([users, items + data.n_users]), torch.cat([items + data.n_users, users])])
    convolution = optional("torch_geometric.nn", "notebooks", "the benchmark beside PyTorch Geometric").LGConv()
    return lambda x: convolution(x, edges)


def loop_sampling(data: Interactions, seed: int = 0) -> np.ndarray:
    """LightGCN's epoch as a Python loop: a user, one of its items, items drawn until one is unobserved. Returns [T, 3]."""
    rng = np.random.default_rng(seed)
    items_of = [data.train.indices[a:b] for a, b in zip(data.train.indptr[:-1], data.train.indptr[1:], strict=True)]
    known = [set(items.tolist()) for items in items_of]
    triples = []
    for user in rng.integers(0, data.n_users, data.n_train):
        if not known[user]:
            continue
        positive = items_of[user][rng.integers(0, len(items_of[user]))]
        negative = rng.integers(0, data.n_items)
        while int(negative) in known[user]:
            negative = rng.integers(0, data.n_items)
        triples.append((user, positive, negative))
    return np.array(triples)


def scipy_graph(data: Interactions) -> sp.csr_matrix:
    """Â from scipy's building blocks: block matrix, degrees, two diagonal products."""
    adjacency = sp.bmat([[None, data.train], [data.train.T, None]], format="csr")
    degree = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = sp.diags(np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0))
    return (scale @ adjacency @ scale).tocsr()


def blocked_topk(users: torch.Tensor, items: torch.Tensor, data: Interactions, k: int, block: int = 256) -> np.ndarray:
    """`matmul`, mask, `torch.topk` for all users, a block at a time; item ids [U, k], order of ties unspecified."""
    top = []
    for start in range(0, users.shape[0], block):
        scores = users[start : start + block] @ items.t()
        known = data.train[start : start + block].tocoo()
        scores[torch.from_numpy(known.row.astype(np.int64)), torch.from_numpy(known.col.astype(np.int64))] = -torch.inf
        top.append(torch.topk(scores, k).indices)
    return torch.cat(top).numpy()

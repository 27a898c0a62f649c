"""NGCF's encoder and readout (Wang et al., SIGIR 2019).

    S = P·E^(l),   E^(l+1) = dropout(LeakyReLU(S W1 + b1) + LeakyReLU((E^(l) ⊙ S) W2 + b2)),   layers: E^(0), E^(l)/‖E^(l)‖₂

Formula, LeakyReLU slope 0.2, dropout before the normalisation (the dropped-out E goes on to the next layer), Xavier
start of weights and biases and the unweighted concatenation follow the official code. P is

    "symmetric"    D^-1/2 A D^-1/2, no self loops: the matrix of all encoders here, and of MixGCF's NGCF, whose logs are compared with
                   (its code takes one LeakyReLU of the two terms' sum);
    "self_loops"   (D + I)^-1 (A + I): the official code's default, "norm", averages over the neighbours and the node itself.

The paper's own text has D^-1/2 A D^-1/2 with a self connection in the first term only. Node dropout (off by default in
the official code) and the Xavier start of its table are left out; the start of the table is the table's matter.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recq_lib.errors import ConfigError, one_of
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import propagate
from recq_lib.parts.protocols import Encoder
from recq_lib.parts.readouts import FullPrecision, side_by_side

ADJACENCIES = ("symmetric", "self_loops")


class NGCF(Encoder):
    """Encoder: a table [n, d] to layers [L+1, R, d]; layer 0 is the table itself, the others have unit rows.

    Parameters
    ----------
    n_layers : L, at least 1
    dim : d, the same for every layer
    dropout : share of E's elements set to zero while training (the others grow by 1/(1 - dropout)), drawn from torch's
        random state
    slope : of LeakyReLU below 0
    adjacency : see above
    generator : for the start of weights [d, d] and biases [d] per layer and term, uniform within √(6/(fan_in +
        fan_out)); a bias counts as 1 × d
    """

    def __init__(
        self,
        n_layers: int,
        dim: int,
        *,
        dropout: float = 0.1,
        slope: float = 0.2,
        adjacency: str = "symmetric",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if n_layers < 1 or dim < 1:
            raise ConfigError(f"NGCF has {n_layers} layers of width {dim}, but needs at least 1 of each")
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}, but must be at least 0 and below 1")
        self.n_layers, self.dim, self.dropout, self.slope = n_layers, dim, dropout, slope
        self.adjacency = one_of("adjacency", adjacency, ADJACENCIES)

        def uniform(*shape: int, fans: int) -> nn.Parameter:
            bound = (6 / fans) ** 0.5
            return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound, generator=generator))

        self.sum_weight, self.product_weight = (uniform(n_layers, dim, dim, fans=2 * dim) for _ in range(2))
        self.sum_bias, self.product_bias = (uniform(n_layers, dim, fans=1 + dim) for _ in range(2))

    def forward(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        """`rows` [R] distinct nodes: the last layer is computed for them alone, the others for all nodes, which it reads."""
        if x.shape[1] != self.dim:
            raise ConfigError(f"the table has width {x.shape[1]}, but NGCF was built for {self.dim}; give both the same dim")
        layers, ego = [_at(x, rows)], x
        for layer in range(self.n_layers):
            last = rows if layer == self.n_layers - 1 else None
            side = self._gathered(ego, graph, last)
            ego = self._transformed(_at(ego, last), side, layer)
            layers.append(F.normalize(ego if last is rows else _at(ego, rows), dim=1))
        return torch.stack(layers)

    def _transformed(self, ego: torch.Tensor, side: torch.Tensor, layer: int) -> torch.Tensor:
        total = torch.addmm(self.sum_bias[layer], side, self.sum_weight[layer])
        product = torch.addmm(self.product_bias[layer], ego * side, self.product_weight[layer])
        out = F.leaky_relu(total, self.slope) + F.leaky_relu(product, self.slope)
        return F.dropout(out, self.dropout, self.training)

    def _gathered(self, ego: torch.Tensor, graph: Graph, rows: torch.Tensor | None) -> torch.Tensor:
        """P·E at `rows`."""
        if self.adjacency == "symmetric":
            return propagate(ego, graph, 1, rows)[1]
        degree = torch.from_numpy(np.diff(graph.indptr)).to(ego)[:, None]
        root = degree.sqrt()
        summed = _at(root, rows) * propagate(root * ego, graph, 1, rows)[1]  # A·E, from the symmetric product
        return (summed + _at(ego, rows)) / (_at(degree, rows) + 1)

    def extra_repr(self) -> str:
        return f"{self.n_layers}, {self.dim}, dropout={self.dropout}, slope={self.slope}, adjacency={self.adjacency}"


class SideBySide(FullPrecision):
    """Readout: the layers concatenated without weights, [R, (L+1)·d] (`readouts.Concat` has the weights of L²Q-GCN's family)."""

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        return side_by_side(layers)

    def width(self, dim: int, n_layers: int) -> int:
        """(L+1)·d"""
        return dim * (n_layers + 1)


def _at(x: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
    return x if rows is None else x.index_select(0, rows)

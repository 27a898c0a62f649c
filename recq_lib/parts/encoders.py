"""Encoders: how vectors spread over the graph. Each maps a table [n, d] to its layers [L+1, R, d] at the nodes asked for."""

from __future__ import annotations

import torch

from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import propagate
from recq_lib.parts.protocols import Encoder


class NoPropagation(Encoder):
    """Matrix factorisation: the table is the only layer."""

    n_layers = 0

    def forward(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        return propagate(x, graph, 0, rows)


class LightGCN(Encoder):
    """`V^(l) = Â V^(l-1)`: no weights, no non-linearity (He et al., SIGIR 2020, Eq. 3 and 7)."""

    linear = True

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        if n_layers < 1:
            raise ConfigError(f"LightGCN has {n_layers} layers, but needs at least 1; without propagation use method 'mf'")
        self.n_layers = n_layers

    def forward(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        return propagate(x, graph, self.n_layers, rows)

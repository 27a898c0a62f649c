"""Tables: where a node's trainable vector comes from. The result is always a matrix [n_nodes, d], users first."""

from __future__ import annotations

import torch
from torch import nn

from recq_lib.errors import ConfigError


class FullTable(nn.Module):
    """One trainable row per node, drawn from N(0, std²).

    The papers differ: std 0.1 (LightGCN and L²Q-GCN codes), 1.0 (BACO code). It decides how long the ranking takes to leave
    its random start, so it is part of the protocol.
    """

    def __init__(self, n_nodes: int, dim: int, std: float = 0.1, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if n_nodes < 1 or dim < 1:
            raise ConfigError(f"a table needs at least one row and one column, not {n_nodes} × {dim}")
        if not std >= 0:
            raise ConfigError(f"init std is {std}, but must be 0 or more")
        self.weight = nn.Parameter(torch.randn(n_nodes, dim, generator=generator).mul_(std))

    @property
    def dim(self) -> int:
        return self.weight.shape[1]

    @property
    def n_parameters(self) -> int:
        return self.weight.numel()

    def forward(self) -> torch.Tensor:
        """[n_nodes, d]"""
        return self.weight

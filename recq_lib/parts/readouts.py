"""Readouts in full precision: how layers [L+1, R, d] become the vector [R, D] that is stored and searched."""

from __future__ import annotations

import torch

from recq_lib.parts.protocols import Readout


def layer_weights(layers: torch.Tensor) -> torch.Tensor:
    """`w_l = (l+1)/(L+1)` [L+1], in the type and on the device of `layers`."""
    n_layers = layers.shape[0]
    return torch.arange(1, n_layers + 1, dtype=layers.dtype, device=layers.device) / n_layers


def side_by_side(segments: torch.Tensor) -> torch.Tensor:
    """[S, R, d] as [R, S·d], the columns of the first segment first."""
    n_segments, n_rows, dim = segments.shape
    return segments.transpose(0, 1).reshape(n_rows, n_segments * dim)


class FullPrecision(Readout):
    """Readouts that store the vectors of `forward` as they are."""

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: one float32 vector per node."""
        return 4 * n_nodes * self.width(dim, n_layers)


class MeanPool(FullPrecision):
    """Mean over layers (LightGCN, Eq. 4 with α_k = 1/(K+1)); D = d."""

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        return layers.mean(dim=0)

    def pooling(self, n_layers: int) -> list[float]:
        """1/(L+1) for every layer."""
        return [1 / (n_layers + 1)] * (n_layers + 1)


class LastLayer(FullPrecision):
    """The last layer alone; D = d."""

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        return layers[-1]

    def pooling(self, n_layers: int) -> list[float]:
        """1 for layer L, 0 for the others."""
        return [0.0] * n_layers + [1.0]


class Concat(FullPrecision):
    """Layers side by side, layer l times `w_l = (l+1)/(L+1)`; D = (L+1)·d.

    Source: official BiGeaR code, the family L²Q-GCN belongs to (its papers' text writes the weight differently).
    """

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        return side_by_side(layers * layer_weights(layers)[:, None, None])

    def width(self, dim: int, n_layers: int) -> int:
        """(L+1)·d"""
        return dim * (n_layers + 1)

"""HQ-GNN: b-bit node embeddings trained with a Hessian-aware gradient (Chen et al., RecSys 2023, arXiv 2309.01032).

An encoder gives full-precision vectors; the tables of users and of items are quantized, each with its own scales, and
scored by y_ui = <Q_u, Q_i> under BPR:

    Q = (s/L)·c                                     odd integer codes c, L = 2^b - 1 (quantizer.py)
    dL/dv = g·(1 + δ·sign(g)·(v - c))               GSTE in place of STE; δ = 0 is STE
    δ = Tr(d²L/dQ²) / ‖dL/dQ‖₁                      one per table, refreshed once per epoch (trace.py)
    y_ui ∝ <c_u, c_i>                               integers only (codes/codes.py)

No code of the paper is public, and its text was not at hand: this is EWGS (Lee et al., CVPR 2021; official code), which
the abstract's description of GSTE matches, put behind a recommender's encoder. Choices that neither settles are ours
and are named where they are made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from recq_lib.codes.codes import Codes
from recq_lib.codes.planes import stored_bytes
from recq_lib.errors import ConfigError
from recq_lib.papers.hq_gnn.quantizer import UniformQuantizer
from recq_lib.parts.protocols import Readout
from recq_lib.parts.readouts import MeanPool


class SidedQuantizer(Readout):
    """HQ-GNN's readout: one `UniformQuantizer` for users and one for items, after a full-precision readout.

    Parameters
    ----------
    n_users, n_items : nodes below n_users are users
    inner : full-precision readout, [L+1, R, d] → [R, D]; default `MeanPool` (LightGCN). For NGCF: `ngcf.SideBySide`
    blocks : equal column blocks of D, each with quantizers of its own. NGCF's un-normalised layer 0 and its unit rows
        need different ranges: blocks = L+1. Scores are then weighted sums of integers, and no longer integers
        themselves
    warm : epochs in full precision before quantization begins
    options : see `UniformQuantizer`

    In training the result is Q. In evaluation it is what is stored: with one block the codes themselves (same ranking
    as Q, and exact in float32 while D·L² <= 2^24, so equal scores stay equal), else Q. `vectors` gives Q in both.

    HQ-GNN quantizes whole tables and then gathers rows. The trainer encodes each distinct node of a batch once and adds
    up the gradients of its repeats before they reach this readout, so quantizing the batch's distinct rows gives the
    same values and gradients; rows that nobody reads have no gradient. Only statistics differ: the first batch's scales
    and moving averages are those of the batch's rows. With repeated `rows` GSTE would see the sign of every copy's
    gradient instead of the sum's.
    """

    def __init__(
        self, n_users: int, n_items: int, bits: int, bounds: str = "scale", *, inner: Readout | None = None, blocks: int = 1,
        warm: int = 0, **options: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if blocks < 1 or warm < 0:
            raise ConfigError(f"blocks is {blocks} and warm is {warm}, but there must be at least 1 block and 0 warm epochs")
        self.n_users, self.n_items, self.blocks, self.warm = n_users, n_items, blocks, warm
        self.inner, self.quantizing = MeanPool() if inner is None else inner, warm == 0

        def side(name: str) -> nn.ModuleList:
            names = [name if blocks == 1 else f"{name}, block {k}" for k in range(blocks)]
            return nn.ModuleList(UniformQuantizer(bits, bounds, name=part, **options) for part in names)

        self.users, self.items = side("users"), side("items")

    @property
    def bits(self) -> int:
        """b, of all quantizers."""
        return self.users[0].bits

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Quantize from epoch `warm` on."""
        self.quantizing = epoch >= self.warm

    def forward(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """[R, D]. `rows` [R] distinct node ids in any order, or None for all nodes."""
        if self.training:
            return self.vectors(layers, rows) if self.quantizing else self.inner(layers, rows)
        return self.levels(layers, rows).to(layers.dtype) if self.blocks == 1 else self.vectors(layers, rows)

    def vectors(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Q [R, D], in training and in evaluation."""
        return self._each(layers, rows, UniformQuantizer.__call__)

    def levels(self, layers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Odd integer codes [R, D], int16."""
        return self._each(layers, rows, UniformQuantizer.levels)

    def codes(self, layers: torch.Tensor, n_users: int) -> Codes:
        """Layers [L+1, N, d] of all nodes as packed codes, a segment per block of columns; see `forward` for their scores.

        Users and items have scales of their own, u and i, but a segment has one weight: √(u·i) on both sides gives the
        same products.
        """
        levels, weights = self.levels(layers), None
        if self.blocks > 1:
            sides = self.tables(layers)
            steps = ([quantizer.step(x) for quantizer, x in side] for side in (sides["users"], sides["items"]))
            weights = [(u * i) ** 0.5 for u, i in zip(*steps, strict=True)]
        segments = levels.view(levels.shape[0], self.blocks, -1).transpose(0, 1)
        return Codes.from_levels(segments, self.bits, weights=weights, n_users=n_users)

    def tables(self, layers: torch.Tensor) -> dict[str, list[tuple[UniformQuantizer, torch.Tensor]]]:
        """From layers of all nodes: for "users" and "items", every block's quantizer and what it quantizes."""
        x = self.inner(layers, None)
        self._n_users_among(None, x.shape[0])
        sides = {"users": (self.users, x[: self.n_users]), "items": (self.items, x[self.n_users :])}
        return {name: list(zip(quantizers, self._split(part))) for name, (quantizers, part) in sides.items()}

    def statistics(self, layers: torch.Tensor) -> dict[str, dict[str, float]]:
        """`UniformQuantizer.statistics` of every table, from layers of all nodes; keys like "users" or "items, block 2"."""
        return {quantizer.name: quantizer.statistics(x) for side in self.tables(layers).values() for quantizer, x in side}

    def update_deltas(self, users: Sequence[float | None], items: Sequence[float | None], momentum: float = 0.9) -> None:
        """New measurements of δ, one per block (`trace.bpr_deltas`); see `UniformQuantizer.update_delta`."""
        for quantizers, measured in ((self.users, users), (self.items, items)):
            if len(measured) != self.blocks:
                raise ConfigError(f"{len(measured)} measurements of δ were given for {self.blocks} blocks; give one per block and side")
            for quantizer, value in zip(quantizers, measured):
                quantizer.update_delta(value, momentum)

    def n_bytes(self, n_nodes: int, dim: int, n_layers: int) -> int:
        """Bytes stored for search: bit planes padded to 64 columns per block."""
        return stored_bytes(n_nodes, self.width(dim, n_layers) // self.blocks, bits=self.bits, n_segments=self.blocks)

    def width(self, dim: int, n_layers: int) -> int:
        """D, that of the full-precision readout."""
        return self.inner.width(dim, n_layers)

    def extra_repr(self) -> str:
        return f"n_users={self.n_users}, n_items={self.n_items}, blocks={self.blocks}, warm={self.warm}"

    def _each(self, layers: torch.Tensor, rows: torch.Tensor | None, quantize: Callable) -> torch.Tensor:
        x = self.inner(layers, rows)
        n_users, order = self._n_users_among(rows, x.shape[0]), None
        if rows is not None and (rows[:n_users] >= self.n_users).any():  # not users first, as the trainer's rows are
            order = torch.argsort((rows >= self.n_users).to(torch.uint8), stable=True)
            x = x.index_select(0, order)
        sides = ((self.users, x[:n_users]), (self.items, x[n_users:]))
        done = [
            torch.cat([quantize(quantizer, block) for quantizer, block in zip(quantizers, self._split(part))], dim=1)
            for quantizers, part in sides
            if part.shape[0]
        ]
        out = done[0] if len(done) == 1 else torch.cat(done)
        return out if order is None else out.index_select(0, torch.argsort(order))

    def _n_users_among(self, rows: torch.Tensor | None, n_rows: int) -> int:
        expected = self.n_users + self.n_items if rows is None else rows.numel()
        if n_rows != expected or n_rows == 0:
            what = "all nodes" if rows is None else "the nodes of `rows`"
            raise ConfigError(f"there are {n_rows} rows to quantize, but {what} are {expected}; pass the ids of the rows, at least one")
        return self.n_users if rows is None else int((rows < self.n_users).sum())

    def _split(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        if x.shape[1] % self.blocks:
            raise ConfigError(f"vectors of width {x.shape[1]} do not split into {self.blocks} equal blocks")
        return x.chunk(self.blocks, dim=1)

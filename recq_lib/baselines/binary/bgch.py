"""BGCH (Chen et al., WWW 2023) and BGCH+ (TKDE 2024), in brief, from their official codes.

Both hash every layer with sign·α after one fixed random linear map (the official code never trains it: it is not
registered), use the Fourier gradient and give all layers the same weight. BGCH spreads its table before propagation and
adds a cross-entropy on layer 0; BGCH+ drops layer 0 and contrasts two noisy views. "In brief": the L2 term is the
common one, on the batch's rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from recq_lib.baselines.binary.readouts import LinkEntropy
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import propagate
from recq_lib.papers.l2q_gcn import LayerwiseSign
from recq_lib.parts.building import own_generator, recommender
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Auxiliary, Encoder

if TYPE_CHECKING:
    from recq_lib.training.trainer import Batch


class ProjectedSign(LayerwiseSign):
    """[α·sign(v^(l) W)]_l, W fixed, [R, S·d]; `skip` leaves out the first layers (BGCH+: 1)."""

    def __init__(self, dim: int, *, skip: int = 0, terms: int = 8, generator: torch.Generator | None = None) -> None:
        super().__init__(estimator="fourier", weighted=False, constants={"terms": terms})
        self.skip = skip
        bound = dim**-0.5  # torch's own start of a linear layer
        self.register_buffer("projection", torch.empty(dim, dim).uniform_(-bound, bound, generator=generator))

    def segments(self, layers: torch.Tensor) -> torch.Tensor:
        """V^(l)·W [S, R, d], from layer `skip` on."""
        return layers[self.skip :] @ self.projection

    def n_segments(self, n_layers: int) -> int:
        """S, without the layers left out."""
        return super().n_segments(n_layers) - self.skip

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, skip={self.skip}"


class DispersedLightGCN(Encoder):
    """LightGCN on a dispersed table: E ← E - η·E·v·vᵀ/‖v‖², v the leading right singular direction of E, users and items apart.

    v: two steps of power iteration on EᵀE, averaged over two random starts, outside the gradient. The official code
    draws the starts anew at test as well; here evaluation has its own fixed draw, so that it repeats.
    """

    def __init__(self, n_layers: int, rate: float = 0.1) -> None:
        super().__init__()
        self.n_layers, self.rate = n_layers, rate

    def forward(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        sides = (x[: graph.n_users], x[graph.n_users :])
        return propagate(torch.cat([self._dispersed(side) for side in sides]), graph, self.n_layers, rows)

    def _dispersed(self, table: torch.Tensor) -> torch.Tensor:
        generator = None if self.training else torch.Generator(table.device).manual_seed(0)
        with torch.no_grad():
            v = torch.randn(table.shape[1], 2, device=table.device, dtype=table.dtype, generator=generator)
            for _ in range(2):
                v = table.T @ (table @ v)
            v = F.normalize(v, dim=0).mean(dim=1)
            v = v / v.norm().clamp_min(torch.finfo(v.dtype).tiny)
        return table - self.rate * torch.outer(table @ v, v)

    def extra_repr(self) -> str:
        return f"{self.n_layers}, rate={self.rate}"


class NoisyViews(Auxiliary):
    """BGCH+'s contrast: rate · (InfoNCE of two noisy float views + InfoNCE of two noisy hash views), users and items apart.

    A view adds ε·sign(v)⊙(random unit vector) to the layers after the first; temperature 0.2. The views of a node
    should resemble each other more than those of other nodes of the batch. The official code takes all of them; here
    `sample` per side are drawn in each step, because the cost grows with the square.
    """

    def __init__(self, rate: float = 0.02, epsilon: float = 0.1, temperature: float = 0.2, sample: int = 512) -> None:
        super().__init__()
        self.rate, self.epsilon, self.temperature, self.sample = rate, epsilon, temperature, sample

    def forward(self, model: Recommender, batch: Batch) -> torch.Tensor:
        users, items = (self._some(torch.unique(ids)) for ids in (batch.users, torch.cat([batch.positives, batch.negatives])))
        total = batch.layers.new_zeros(())
        for place in (batch.at(users), batch.at_items(items)):
            layers = batch.layers.index_select(1, place)
            views = [self._noisy(layers) for _ in range(2)]
            total = total + self._contrast(*(view[1:].mean(dim=0) for view in views))
            total = total + self._contrast(*(model.readout(view) for view in views))
        return self.rate * total

    def _some(self, nodes: torch.Tensor) -> torch.Tensor:
        return nodes[torch.randperm(nodes.numel(), device=nodes.device)[: self.sample]]

    def _noisy(self, layers: torch.Tensor) -> torch.Tensor:
        noise = F.normalize(torch.rand_like(layers), dim=2)
        noise[0] = 0
        return layers + self.epsilon * layers.detach().sign() * noise

    def _contrast(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        similarity = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / self.temperature
        return F.cross_entropy(similarity, torch.arange(first.shape[0], device=first.device))

    def extra_repr(self) -> str:
        return f"rate={self.rate}, epsilon={self.epsilon}, temperature={self.temperature}, sample={self.sample}"


# ---- entries ----------------------------------------------------------------------------------------------------------------

def _bgch(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, terms=config.options["terms"], generator=own_generator(config))
    encoder = DispersedLightGCN(config.n_layers, config.options["dispersion"])
    return recommender(data, config, readout, encoder=encoder, auxiliary=LinkEntropy(1.0, layer0=True))


def _bgch_plus(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, skip=1, terms=config.options["terms"], generator=own_generator(config))
    return recommender(data, config, readout, auxiliary=NoisyViews(config.options["rate"]))


METHODS = (
    Method("bgch", "BGCH", "one bit", "trained", _bgch, {"terms": 8, "dispersion": 0.1}, marker="D"),
    Method("bgch-plus", "BGCH+", "one bit", "trained", _bgch_plus, {"terms": 8, "rate": 0.02}, marker="d"),
)

"""HQ-GNN in the training loop: the readout that refreshes its δ from training batches and says what its quantizers do."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch

from recq_lib.errors import ConfigError, one_of
from recq_lib.papers.hq_gnn.readout import SidedQuantizer
from recq_lib.papers.hq_gnn.trace import TRACES, refresh_deltas
from recq_lib.parts.mode import evaluating

if TYPE_CHECKING:
    from recq_lib.parts.model import Recommender
    from recq_lib.training.objectives import Objective
    from recq_lib.training.trainer import Batch, Trainer

ESTIMATORS = ("gste", "ste")
_BATCHES = 3  # δ is the mean over so many (EWGS, official code)


class HessianAware(SidedQuantizer):
    """`SidedQuantizer` with the schedule of δ: measured at the start of epoch `refresh` and every `refresh` epochs from then on.

    Parameters
    ----------
    estimator : "gste", or "ste" (δ stays 0)
    trace, samples : see `trace.bpr_deltas`
    refresh : epochs between measurements; EWGS takes 10 on CIFAR and starts, as here, with δ = 0
    scale_lr : learning rate of β and s as a fraction of the model's; they get no weight decay (EWGS: 1e-2; ours: 0.1)
    others : see `SidedQuantizer`
    """

    def __init__(
        self, *args, estimator: str = "gste", trace: str = "closed", samples: int = 50, refresh: int = 1, scale_lr: float = 0.1, **options
    ) -> None:
        super().__init__(*args, **options)
        if refresh < 1 or not scale_lr >= 0:
            raise ConfigError(f"refresh is {refresh} and scale_lr {scale_lr}, but they must be at least 1 epoch and 0")
        self.estimator, self.trace = one_of("estimator", estimator, ESTIMATORS), one_of("trace", trace, TRACES)
        self.samples, self.refresh, self.scale_lr = samples, refresh, scale_lr

    def parameter_groups(self, lr: float) -> list[dict]:
        """Adam's settings for β and s."""
        scales = [p for quantizer in (*self.users, *self.items) for p in quantizer.parameters()]
        return [{"params": scales, "lr": lr * self.scale_lr, "weight_decay": 0.0}] if scales else []

    def prepare(self, trainer: Trainer) -> None:
        """Measure δ before an epoch, on its first batches and the present parameters."""
        quantizing_for = trainer.epoch - self.warm
        if self.estimator == "ste" or quantizing_for < 1 or quantizing_for % self.refresh:
            return
        batches = islice(trainer.sampler.epoch(trainer.epoch).batches(trainer.config.batch_size), _BATCHES)
        generator = torch.Generator().manual_seed(trainer.config.seed * 1_000_003 + trainer.epoch)
        encoded = [self._encoded(trainer, batch) for batch in batches]
        measured = [(batch.vectors, *batch.places()) for batch in encoded]
        losses = None if trainer.config.loss == "bpr" else [partial(_loss, trainer.objective, batch) for batch in encoded]
        refresh_deltas(self, measured, losses=losses, trace=self.trace, samples=self.samples, generator=generator)

    @torch.no_grad()
    def _encoded(self, trainer: Trainer, triples) -> Batch:
        """A batch with its quantized vectors Q."""
        batch = trainer.encode(*triples)
        return dataclasses.replace(batch, vectors=self.vectors(batch.layers, batch.rows))

    @torch.no_grad()
    def diagnostics(self, model: Recommender) -> dict[str, float]:
        """For the history: β, s, δ, mean δ·|error|, share of clipped values and of used levels for every table."""
        if not self.quantizing:
            return {}
        kept = ("beta", "s", "delta", "correction", "clipped", "used_levels", "flips")
        found = self.statistics(model.layers())
        return {f"{name.replace(', block ', '_')}_{key}": values[key] for name, values in found.items() for key in kept}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, {self.estimator}, {self.trace}, refresh={self.refresh}, scale_lr={self.scale_lr}"


def _loss(objective: Objective, batch: Batch, vectors: torch.Tensor) -> torch.Tensor:
    """The training loss of `batch` as a function of its vectors, differentiable twice."""
    return objective(dataclasses.replace(batch, vectors=vectors), twice=True)


def post_training(trained: Recommender, quantizer: SidedQuantizer) -> SidedQuantizer:
    """`quantizer`, its scales set by a trained model's vectors, for quantization without further training.

    Raises `ConfigError` where these are not finite or all alike. Source: the start of `UniformQuantizer` on all nodes
    at once (ours).
    """
    with torch.no_grad(), evaluating(trained):  # NGCF's dropout is for training
        for side in quantizer.tables(trained.layers()).values():
            for part, x in side:
                part.initialise(x)
    return quantizer

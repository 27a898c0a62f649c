"""One training step: a batch's loss, with its gradient left where the optimiser reads it. Several ways, the same mathematics.

`STEPS` lists the ways, fastest first; each says by itself which models it is written for, and the last fits all. A way of one's own goes
into the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from recq_lib.training.bpr_step import BprStep

if TYPE_CHECKING:
    from recq_lib.config import TrainConfig
    from recq_lib.parts.model import Recommender
    from recq_lib.training.trainer import Trainer


class Step(Protocol):
    """A way to make a step."""

    @staticmethod
    def fits(model: Recommender, config: TrainConfig) -> bool:
        """Is it written for `model`, where that lies now, and for the configuration's loss?"""
        ...

    @classmethod
    def of(cls, trainer: Trainer) -> Step:
        """For one run."""
        ...

    def __call__(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor | float:
        """Loss of a batch of triples [B]; the gradients of the model's parameters are in their `.grad` afterwards."""
        ...


class AutogradStep:
    """Whatever the model: `Trainer.loss` and automatic differentiation."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    @staticmethod
    def fits(model: Recommender, config: TrainConfig) -> bool:
        return True

    @classmethod
    def of(cls, trainer: Trainer) -> AutogradStep:
        return cls(trainer)

    def __call__(self, users: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        loss = self.trainer.loss(users, positives, negatives)
        self.trainer.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()


STEPS: list[type[Step]] = [BprStep, AutogradStep]


def step_for(trainer: Trainer) -> Step:
    """The first of `STEPS` that fits the trainer's model."""
    return next(step for step in STEPS if step.fits(trainer.model, trainer.config)).of(trainer)

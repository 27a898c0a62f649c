"""`Method`: how a method is built; and the pieces that the families share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.encoders import LightGCN
from recq_lib.parts.model import Recommender
from recq_lib.parts.tables import FullTable

Builder = Callable[[Interactions, TrainConfig, Recommender | None], object]
Teacher = Callable[[TrainConfig], tuple[str, TrainConfig] | None]


@dataclass(frozen=True)
class Method:
    """How a method is built.

    kind : "trained" (by `training.fit`), "derived" (from a trained teacher, ready when built), "closed_form" (a `BlockScorer`, ready)
    build : (data, config, teacher or None) → model
    options : names and defaults of the settings only this method has, `TrainConfig.options`
    teacher : from the resolved configuration to (method, configuration) of the trained model it starts from, or None
    """

    name: str
    title: str
    kind: str
    build: Builder
    options: Mapping[str, Any] = field(default_factory=dict)
    teacher: Teacher = lambda config: None


TEACHER_OPTIONS = {"teacher_epochs": 0, "teacher_lr": 0.0}  # 0: the same as the method itself
SCHEDULE_OPTIONS = {"schedule": "exponential", "start": 1.0, "end": 0.1, "hold": 0.2, "span": 0.5}


def full_precision(config: TrainConfig, readout: str) -> tuple[str, TrainConfig]:
    """LightGCN with the same data, seed, width, depth and batches: the teacher of most methods that have one."""
    epochs, lr = config.options["teacher_epochs"] or config.epochs, config.options["teacher_lr"] or config.lr
    return "lightgcn", dataclasses.replace(config, readout=readout, epochs=epochs, lr=lr, options={})


def recommender(
    data: Interactions,
    config: TrainConfig,
    readout: nn.Module,
    *,
    table: nn.Module | None = None,
    encoder: nn.Module | None = None,
    teacher: Recommender | None = None,
    auxiliary: nn.Module | None = None,
) -> Recommender:
    """LightGCN (or `encoder`) with `readout`; the table is a copy of the teacher's, if there is one, else random (or `table`)."""
    table = full_table(data, config) if table is None else table
    if teacher is not None:
        with torch.no_grad():
            table.weight.copy_(teacher.table.weight)
    return Recommender(Graph.from_interactions(data), table, encoder or LightGCN(config.n_layers), readout, auxiliary)


def full_table(data: Interactions, config: TrainConfig) -> FullTable:
    return FullTable(data.n_nodes, config.dim, config.init_std, generator=torch.Generator().manual_seed(config.seed))


def own_generator(config: TrainConfig) -> torch.Generator:
    """For parameters beside the table, whose draw they must not disturb."""
    return torch.Generator().manual_seed(config.seed + 1_000_003)

"""Methods by name, in one place: `build("lightgcn", data, config)` gives a model, trained or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from recq_lib.baselines import simple
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.encoders import LightGCN, NoPropagation
from recq_lib.errors import one_of
from recq_lib.graph import Graph
from recq_lib.model import Recommender
from recq_lib.readouts import Concat, LastLayer, MeanPool
from recq_lib.tables import FullTable

_READOUTS = {"mean": MeanPool, "concat": Concat, "last": LastLayer}


@dataclass(frozen=True)
class Method:
    """`kind`: "trained" (by `training.fit`), or "closed_form" (a `BlockScorer`, ready when built)."""

    name: str
    title: str
    kind: str
    build: Callable[[Interactions, TrainConfig], object]


def _lightgcn(data: Interactions, config: TrainConfig) -> Recommender:
    return _recommender(data, config, LightGCN(config.n_layers), _READOUTS[config.readout]())


def _mf(data: Interactions, config: TrainConfig) -> Recommender:
    return _recommender(data, config, NoPropagation(), MeanPool())


def _recommender(data: Interactions, config: TrainConfig, encoder, readout) -> Recommender:
    generator = torch.Generator().manual_seed(config.seed)
    table = FullTable(data.n_nodes, config.dim, config.init_std, generator=generator)
    return Recommender(Graph.from_interactions(data), table, encoder, readout)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lightgcn", "LightGCN", "trained", _lightgcn),
        Method("mf", "MF (BPR)", "trained", _mf),
        Method("mostpop", "MostPop", "closed_form", lambda data, config: simple.MostPop(data)),
        Method("itemknn", "ItemKNN", "closed_form", lambda data, config: simple.ItemKNN(data)),
        Method("ease", "EASE^R", "closed_form", lambda data, config: simple.EASE(data)),
        Method("gfcf", "GF-CF", "closed_form", lambda data, config: simple.GFCF(data)),
    )
}


def method(name: str) -> Method:
    return METHODS[one_of("method", name, tuple(METHODS))]


def build(name: str, data: Interactions, config: TrainConfig | None = None):
    """An untrained `Recommender`, or a closed-form scorer that is ready to rank."""
    return method(name).build(data, config or TrainConfig())

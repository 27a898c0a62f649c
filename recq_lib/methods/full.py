"""Full precision and closed forms: what every compressed method is measured against."""

from __future__ import annotations

from recq_lib.baselines import simple
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.encoders import NoPropagation
from recq_lib.parts.method import Method, full_table, recommender
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import Concat, LastLayer, MeanPool

READOUTS = {"mean": MeanPool, "concat": Concat, "last": LastLayer}


def _lightgcn(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, READOUTS[config.readout]())


def _mf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return Recommender(Graph.from_interactions(data), full_table(data, config), NoPropagation(), MeanPool())


METHODS = (
    Method("lightgcn", "LightGCN", "trained", _lightgcn),
    Method("mf", "MF (BPR)", "trained", _mf),
    Method("mostpop", "MostPop", "closed_form", lambda data, config, teacher: simple.MostPop(data)),
    Method("itemknn", "ItemKNN", "closed_form", lambda data, config, teacher: simple.ItemKNN(data)),
    Method("ease", "EASE^R", "closed_form", lambda data, config, teacher: simple.EASE(data)),
    Method("gfcf", "GF-CF", "closed_form", lambda data, config, teacher: simple.GFCF(data)),
)

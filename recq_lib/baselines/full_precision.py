"""Full precision: LightGCN, matrix factorisation and NGCF, which every compressed method is measured against."""

from __future__ import annotations

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.parts.building import READOUTS, own_generator, recommender, xavier_table
from recq_lib.parts.encoders import NoPropagation
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.ngcf import NGCF, SideBySide
from recq_lib.parts.readouts import MeanPool


def _lightgcn(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, READOUTS[config.readout]())


def _mf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, MeanPool(), encoder=NoPropagation())


def _ngcf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    encoder = NGCF(config.n_layers, config.dim, dropout=config.options["dropout"], generator=own_generator(config))
    return recommender(data, config, SideBySide(), table=xavier_table(data, config), encoder=encoder)


METHODS = (
    Method("lightgcn", "LightGCN", "full precision", "trained", _lightgcn, marker="o", published={"bigear": "bigear-teacher"}),
    Method("mf", "MF (BPR)", "full precision", "trained", _mf, marker="s", colour="amber"),
    Method("ngcf", "NGCF", "full precision", "trained", _ngcf, {"dropout": 0.1}, marker="^", colour="sky"),
)

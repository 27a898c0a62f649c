"""b-bit codes: HQ-GNN on LightGCN or NGCF, post-training quantization, and NGCF in full precision."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import one_of
from recq_lib.papers.hq_gnn.training import HessianAware, post_training
from recq_lib.parts.method import TEACHER_OPTIONS, Method, full_precision, full_table, own_generator, recommender
from recq_lib.parts.model import Recommender
from recq_lib.parts.ngcf import NGCF, SideBySide
from recq_lib.parts.readouts import MeanPool
from recq_lib.parts.tables import FullTable

_ENCODERS = ("lightgcn", "ngcf")
_ENCODER = {"encoder": "lightgcn", "dropout": 0.1}  # dropout: NGCF only
_QUANTIZER = {"bits": 1, "bounds": "scale"}
_TRAINING = {"estimator": "gste", "trace": "closed", "samples": 50, "refresh": 1, "scale_lr": 0.1, "warm": 0, "warm_start": False}


def _ngcf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, SideBySide(), table=_xavier_table(data, config), encoder=_ngcf_encoder(config))


def _ngcf_encoder(config: TrainConfig) -> NGCF:
    return NGCF(config.n_layers, config.dim, dropout=config.options["dropout"], generator=own_generator(config))


def _xavier_table(data: Interactions, config: TrainConfig) -> FullTable:
    """Uniform within √(6/(n + d)), n the users or the items: NGCF's start (official code). `init_std` has no say in it."""
    table = full_table(data, config)
    generator = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for rows in table.weight.split([data.n_users, data.n_items]):
            bound = (6 / (rows.shape[0] + rows.shape[1])) ** 0.5
            rows.uniform_(-bound, bound, generator=generator)
    return table


def _hq_gnn(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    rest = {name: value for name, value in config.options.items() if name not in (*_ENCODER, *TEACHER_OPTIONS, "warm_start")}
    return _quantized(data, config, teacher, rest)


def _post_training(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    model = _quantized(data, config, teacher, {name: config.options[name] for name in _QUANTIZER})
    post_training(model, model.readout)
    return model


def _quantized(data: Interactions, config: TrainConfig, teacher: Recommender | None, options: dict[str, Any]) -> Recommender:
    """An encoder behind a quantizer per side (NGCF: per side and layer); weights copied from the teacher, if there is one."""
    if _is_ngcf(config):
        readout = HessianAware(data.n_users, data.n_items, inner=SideBySide(), blocks=config.n_layers + 1, **options)
        model = recommender(data, config, readout, table=_xavier_table(data, config), encoder=_ngcf_encoder(config), teacher=teacher)
    else:
        readout = HessianAware(data.n_users, data.n_items, inner=MeanPool(), **options)
        model = recommender(data, config, readout, teacher=teacher)
    if teacher is not None:
        model.encoder.load_state_dict(teacher.encoder.state_dict())
    return model


def _is_ngcf(config: TrainConfig) -> bool:
    return one_of("encoder", config.options["encoder"], _ENCODERS) == "ngcf"


def _teacher(config: TrainConfig) -> tuple[str, TrainConfig]:
    """The same encoder without quantization."""
    name, same = full_precision(config, "mean")
    return ("ngcf", dataclasses.replace(same, options={"dropout": config.options["dropout"]})) if _is_ngcf(config) else (name, same)


def _if_warm(config: TrainConfig) -> tuple[str, TrainConfig] | None:
    return _teacher(config) if config.options["warm_start"] else None


METHODS = (
    Method("ngcf", "NGCF", "trained", _ngcf, {"dropout": 0.1}),
    Method("hq-gnn", "HQ-GNN", "trained", _hq_gnn, _ENCODER | _QUANTIZER | _TRAINING | TEACHER_OPTIONS, _if_warm),
    Method("ptq-bits", "post-training quantization", "derived", _post_training, _ENCODER | _QUANTIZER | TEACHER_OPTIONS, _teacher),
)

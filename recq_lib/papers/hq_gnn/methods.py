"""HQ-GNN by name: on LightGCN or NGCF, trained or quantized after training."""

from __future__ import annotations

import dataclasses
from typing import Any

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import one_of
from recq_lib.papers.hq_gnn.training import HessianAware, post_training
from recq_lib.parts.building import TEACHER_OPTIONS, full_precision, own_generator, recommender, xavier_table
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.ngcf import NGCF, SideBySide
from recq_lib.parts.readouts import MeanPool

_ENCODERS = ("lightgcn", "ngcf")
_ENCODER = {"encoder": "lightgcn", "dropout": 0.1}  # dropout: NGCF only
_QUANTIZER = {"bits": 1, "bounds": "scale"}
_TRAINING = {"estimator": "gste", "trace": "closed", "samples": 50, "refresh": 1, "scale_lr": 0.1, "warm": 0, "warm_start": False}


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
        encoder = NGCF(config.n_layers, config.dim, dropout=config.options["dropout"], generator=own_generator(config))
        model = recommender(data, config, readout, table=xavier_table(data, config), encoder=encoder, teacher=teacher)
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
    Method("hq-gnn", "HQ-GNN", "b bits", "trained", _hq_gnn, _ENCODER | _QUANTIZER | _TRAINING | TEACHER_OPTIONS, _if_warm, marker="o"),
    Method(
        "ptq-bits", "post-training quantization", "b bits", "derived", _post_training, _ENCODER | _QUANTIZER | TEACHER_OPTIONS, _teacher,
        marker="x", colour="grey",
    ),
)  # fmt: skip

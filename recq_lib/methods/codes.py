"""One-bit codes: L²Q-GCN and its family, and the binary baselines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from recq_lib.baselines.binary.bgch import DispersedLightGCN, NoisyViews, ProjectedSign
from recq_lib.baselines.binary.bigear import InferenceDistillation, top_lists
from recq_lib.baselines.binary.readouts import ContinuedTanh, GuidedHash, GumbelBits, LinkEntropy, RandomHyperplanes
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.papers.l2q_gcn import AnnealedSign, LayerwiseSign
from recq_lib.parts.annealing import Schedule
from recq_lib.parts.method import SCHEDULE_OPTIONS, TEACHER_OPTIONS, Method, full_precision, own_generator, recommender
from recq_lib.parts.model import Recommender

_SIGN = {"estimator": "identity", "scaler": "alpha", "weighted": True, "layers": "all"}
_WARM = {"warm_start": False} | TEACHER_OPTIONS
# full precision first, then from τ = 4, where the relaxation is nearly linear, to hard codes (chosen in study "annealing", ours)
_ANNEALED = _WARM | SCHEDULE_OPTIONS | {"warm_start": True, "start": 4.0, "hold": 0.0, "span": 0.7, "relaxation": "tanh"}


def _concatenated(config: TrainConfig) -> tuple[str, TrainConfig]:
    return full_precision(config, "concat")  # concatenated layers, as in the family's official code


def _if_warm(config: TrainConfig) -> tuple[str, TrainConfig] | None:
    return _concatenated(config) if config.options["warm_start"] else None


def _sign_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _SIGN}


# ---- L²Q-GCN and its family --------------------------------------------------------------------------------------------------


def _l2q(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, LayerwiseSign(**_sign_options(config.options)), teacher=teacher)


def _l2q_anl(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    options = config.options
    readout = AnnealedSign(Schedule.from_options(options), relaxation=options["relaxation"], **_sign_options(options))
    return recommender(data, config, readout, teacher=teacher)


def _bigear(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    options = config.options
    distillation = InferenceDistillation(top_lists(teacher, options["top"]), options["weight"]) if options["weight"] else None
    readout = LayerwiseSign(constants={"gamma": options["gamma"]} if options["estimator"] == "gaussian" else {}, **_sign_options(options))
    return recommender(data, config, readout, teacher=teacher, auxiliary=distillation)


def _post_training(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    return recommender(data, config, LayerwiseSign(**_sign_options({"estimator": "identity"} | dict(config.options))), teacher=teacher)


# ---- binary baselines --------------------------------------------------------------------------------------------------------


def _lsh(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    width = config.dim * (config.n_layers + 1)
    readout = RandomHyperplanes(width, config.options["bits"] or config.dim, generator=own_generator(config))
    return recommender(data, config, readout, teacher=teacher)


def _continued(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, ContinuedTanh(Schedule.from_options(config.options)))


def _gumbel(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, GumbelBits(Schedule.from_options(config.options), config.options["gain"]))


def _hashgnn(data: Interactions, config: TrainConfig, teacher: Recommender | None, *, soft: bool) -> Recommender:
    readout = GuidedHash(config.dim, Schedule.from_options(config.options), soft=soft, generator=own_generator(config))
    return recommender(data, config, readout, auxiliary=LinkEntropy(config.options["link_weight"]))


def _bgch(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, terms=config.options["terms"], generator=own_generator(config))
    encoder = DispersedLightGCN(config.n_layers, config.options["dispersion"])
    return recommender(data, config, readout, encoder=encoder, auxiliary=LinkEntropy(1.0, layer0=True))


def _bgch_plus(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, skip=1, terms=config.options["terms"], generator=own_generator(config))
    return recommender(data, config, readout, auxiliary=NoisyViews(config.options["rate"]))


METHODS = (
    Method("l2q-gcn", "L²Q-GCN", "trained", _l2q, _SIGN | _WARM, _if_warm),
    Method("l2q-gcn-anl", "L²Q-GCN-anl (ours)", "trained", _l2q_anl, _SIGN | _ANNEALED, _if_warm),
    Method(
        "bigear", "BiGeaR", "trained", _bigear,
        _SIGN | TEACHER_OPTIONS | {"estimator": "gaussian", "gamma": 1.0, "top": 100, "weight": 1.0}, _concatenated,
    ),
    Method(
        "ptq-sign", "post-training sign", "derived", _post_training,
        TEACHER_OPTIONS | {"scaler": "alpha", "weighted": True, "layers": "all"}, _concatenated,
    ),
    Method("lsh", "LSH", "derived", _lsh, TEACHER_OPTIONS | {"bits": 0}, _concatenated),  # 0: as many as d
    Method(
        "hashnet", "HashNet", "trained", _continued,
        SCHEDULE_OPTIONS | {"schedule": "doubling", "end": 1 / 64, "hold": 0.1, "span": 0.8},
    ),
    Method("hashrec", "HashRec (CIGAR)", "trained", _continued, SCHEDULE_OPTIONS | {"schedule": "root"}),
    Method("gumbelrec", "GumbelRec", "trained", _gumbel, SCHEDULE_OPTIONS | {"end": 0.2, "hold": 0.0, "span": 0.8, "gain": 10.0}),
    Method(
        "hashgnn-hard", "HashGNN (hard)", "trained", partial(_hashgnn, soft=False),
        SCHEDULE_OPTIONS | {"schedule": "linear", "start": 0.0, "end": 1.0, "hold": 0.0, "span": 0.8, "link_weight": 0.1},
    ),
    Method(
        "hashgnn-soft", "HashGNN (soft)", "trained", partial(_hashgnn, soft=True),
        SCHEDULE_OPTIONS | {"schedule": "linear", "start": 0.0, "end": 0.5, "hold": 0.0, "span": 0.8, "link_weight": 0.1},
    ),
    Method("bgch", "BGCH", "trained", _bgch, {"terms": 8, "dispersion": 0.1}),
    Method("bgch-plus", "BGCH+", "trained", _bgch_plus, {"terms": 8, "rate": 0.02}),
)  # fmt: skip

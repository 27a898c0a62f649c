"""Methods by name, in one place: `build("lightgcn", data, config)` gives a model, trained or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from recq_lib.annealing import Schedule
from recq_lib.baselines import simple
from recq_lib.baselines.bgch import DispersedLightGCN, NoisyViews, ProjectedSign
from recq_lib.baselines.binary import ContinuedTanh, GuidedHash, GumbelBits, LinkEntropy, RandomHyperplanes
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.encoders import LightGCN, NoPropagation
from recq_lib.errors import ConfigError, one_of
from recq_lib.graph import Graph
from recq_lib.model import Recommender
from recq_lib.ngcf import NGCF, SideBySide
from recq_lib.papers.bigear import InferenceDistillation, top_lists
from recq_lib.papers.hq_training import HessianAware
from recq_lib.papers.l2q_gcn import AnnealedSign, LayerwiseSign
from recq_lib.readouts import Concat, LastLayer, MeanPool
from recq_lib.tables import FullTable

_READOUTS = {"mean": MeanPool, "concat": Concat, "last": LastLayer}
Builder = Callable[[Interactions, TrainConfig, Recommender | None], object]


@dataclass(frozen=True)
class Method:
    """How a method is built.

    kind : "trained" (by `training.fit`), "derived" (from a trained teacher, ready when built), "closed_form" (a `BlockScorer`, ready)
    build : (data, config, teacher or None) → model
    options : names and defaults of the settings only this method has, `TrainConfig.options`
    needs_teacher : whether the method starts from the full-precision model of the same configuration
    """

    name: str
    title: str
    kind: str
    build: Builder
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_teacher: Callable[[Mapping[str, Any]], bool] = lambda options: False


# ---- parts -------------------------------------------------------------------------------------------------------------------


def recommender(
    data: Interactions,
    config: TrainConfig,
    readout: nn.Module,
    *,
    encoder: nn.Module | None = None,
    teacher: Recommender | None = None,
    auxiliary: nn.Module | None = None,
) -> Recommender:
    """LightGCN (or `encoder`) with `readout`; the table is a copy of the teacher's, if there is one, else random."""
    table = _table(data, config)
    if teacher is not None:
        with torch.no_grad():
            table.weight.copy_(teacher.table.weight)
    return Recommender(Graph.from_interactions(data), table, encoder or LightGCN(config.n_layers), readout, auxiliary)


def _table(data: Interactions, config: TrainConfig) -> FullTable:
    return FullTable(data.n_nodes, config.dim, config.init_std, generator=torch.Generator().manual_seed(config.seed))


def schedule_of(options: Mapping[str, Any]) -> Schedule:
    """The schedule that flat options describe."""
    return Schedule(options["schedule"], options["start"], options["end"], options["hold"], options["span"])


def _sign_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("estimator", "scaler", "weighted", "layers")}


# ---- full precision ----------------------------------------------------------------------------------------------------------


def _lightgcn(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, _READOUTS[config.readout]())


def _mf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return Recommender(Graph.from_interactions(data), _table(data, config), NoPropagation(), MeanPool())


# ---- L²Q-GCN and its family --------------------------------------------------------------------------------------------------

_SIGN = {"estimator": "identity", "scaler": "alpha", "weighted": True, "layers": "all"}
_TEACHER = {"teacher_epochs": 0, "teacher_lr": 0.0}  # 0: the same as the method itself
_WARM = {"warm_start": False} | _TEACHER
_SCHEDULE = {"schedule": "exponential", "start": 1.0, "end": 0.1, "hold": 0.2, "span": 0.5}
# full precision first, then from τ = 4, where the relaxation is nearly linear, to hard codes (chosen in study "annealing", ours)
_ANNEALED = _WARM | _SCHEDULE | {"warm_start": True, "start": 4.0, "hold": 0.0, "span": 0.7, "relaxation": "tanh"}


def _l2q(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, LayerwiseSign(**_sign_options(config.options)), teacher=teacher)


def _l2q_anl(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    options = config.options
    readout = AnnealedSign(schedule_of(options), relaxation=options["relaxation"], **_sign_options(options))
    return recommender(data, config, readout, teacher=teacher)


def _bigear(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    options = config.options
    distillation = InferenceDistillation(top_lists(teacher, options["top"]), options["weight"]) if options["weight"] else None
    readout = LayerwiseSign(constants={"gamma": options["gamma"]} if options["estimator"] == "gaussian" else {}, **_sign_options(options))
    return recommender(data, config, readout, teacher=teacher, auxiliary=distillation)


def _post_training(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    return recommender(data, config, LayerwiseSign(**_sign_options({"estimator": "identity"} | dict(config.options))), teacher=teacher)


# ---- binary baselines --------------------------------------------------------------------------------------------------------


def _own_generator(config: TrainConfig) -> torch.Generator:
    """For parameters beside the table, whose draw they must not disturb."""
    return torch.Generator().manual_seed(config.seed + 1_000_003)


def _lsh(data: Interactions, config: TrainConfig, teacher: Recommender) -> Recommender:
    width = config.dim * (config.n_layers + 1)
    readout = RandomHyperplanes(width, config.options["bits"] or config.dim, generator=_own_generator(config))
    return recommender(data, config, readout, teacher=teacher)


def _continued(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, ContinuedTanh(schedule_of(config.options)))


def _gumbel(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    return recommender(data, config, GumbelBits(schedule_of(config.options), config.options["gain"]))


def _hashgnn(data: Interactions, config: TrainConfig, teacher: Recommender | None, *, soft: bool) -> Recommender:
    readout = GuidedHash(config.dim, schedule_of(config.options), soft=soft, generator=_own_generator(config))
    return recommender(data, config, readout, auxiliary=LinkEntropy(config.options["link_weight"]))


def _bgch(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, terms=config.options["terms"], generator=_own_generator(config))
    encoder = DispersedLightGCN(config.n_layers, config.options["dispersion"])
    return recommender(data, config, readout, encoder=encoder, auxiliary=LinkEntropy(1.0, layer0=True))


def _bgch_plus(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    readout = ProjectedSign(config.dim, skip=1, terms=config.options["terms"], generator=_own_generator(config))
    return recommender(data, config, readout, auxiliary=NoisyViews(config.options["rate"]))


# ---- HQ-GNN ------------------------------------------------------------------------------------------------------------------

_ENCODERS = ("lightgcn", "ngcf")


def _hq_gnn(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    options = dict(config.options)
    ngcf = one_of("encoder", options.pop("encoder"), _ENCODERS) == "ngcf"
    encoder = NGCF(config.n_layers, config.dim, dropout=options["dropout"], generator=_own_generator(config)) if ngcf else None
    inner, blocks = (SideBySide(), config.n_layers + 1) if ngcf else (MeanPool(), 1)
    options.pop("dropout")
    return recommender(data, config, HessianAware(data.n_users, data.n_items, inner=inner, blocks=blocks, **options), encoder=encoder)


def _ngcf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    encoder = NGCF(config.n_layers, config.dim, dropout=config.options["dropout"], generator=_own_generator(config))
    return recommender(data, config, SideBySide(), encoder=encoder)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("lightgcn", "LightGCN", "trained", _lightgcn),
        Method("mf", "MF (BPR)", "trained", _mf),
        Method("mostpop", "MostPop", "closed_form", lambda data, config, teacher: simple.MostPop(data)),
        Method("itemknn", "ItemKNN", "closed_form", lambda data, config, teacher: simple.ItemKNN(data)),
        Method("ease", "EASE^R", "closed_form", lambda data, config, teacher: simple.EASE(data)),
        Method("gfcf", "GF-CF", "closed_form", lambda data, config, teacher: simple.GFCF(data)),
        Method("l2q-gcn", "L²Q-GCN", "trained", _l2q, _SIGN | _WARM, lambda options: options["warm_start"]),
        Method(
            "l2q-gcn-anl", "L²Q-GCN-anl (ours)", "trained", _l2q_anl, _SIGN | _ANNEALED,
            lambda options: options["warm_start"],
        ),
        Method(
            "bigear", "BiGeaR", "trained", _bigear,
            _SIGN | _TEACHER | {"estimator": "gaussian", "gamma": 1.0, "top": 100, "weight": 1.0}, lambda options: True,
        ),
        Method(
            "ptq-sign", "post-training sign", "derived", _post_training,
            _TEACHER | {"scaler": "alpha", "weighted": True, "layers": "all"}, lambda options: True,
        ),
        Method("lsh", "LSH", "derived", _lsh, _TEACHER | {"bits": 0}, lambda options: True),  # 0: as many as d
        Method("hashnet", "HashNet", "trained", _continued, _SCHEDULE | {"schedule": "doubling", "end": 1 / 64, "hold": 0.1, "span": 0.8}),
        Method("hashrec", "HashRec (CIGAR)", "trained", _continued, _SCHEDULE | {"schedule": "root"}),
        Method("gumbelrec", "GumbelRec", "trained", _gumbel, _SCHEDULE | {"end": 0.2, "hold": 0.0, "span": 0.8, "gain": 10.0}),
        Method(
            "hashgnn-hard", "HashGNN (hard)", "trained", partial(_hashgnn, soft=False),
            _SCHEDULE | {"schedule": "linear", "start": 0.0, "end": 1.0, "hold": 0.0, "span": 0.8, "link_weight": 0.1},
        ),
        Method(
            "hashgnn-soft", "HashGNN (soft)", "trained", partial(_hashgnn, soft=True),
            _SCHEDULE | {"schedule": "linear", "start": 0.0, "end": 0.5, "hold": 0.0, "span": 0.8, "link_weight": 0.1},
        ),
        Method("ngcf", "NGCF", "trained", _ngcf, {"dropout": 0.1}),
        Method(
            "hq-gnn", "HQ-GNN", "trained", _hq_gnn,
            {
                "encoder": "lightgcn", "dropout": 0.1, "bits": 1, "bounds": "scale", "estimator": "gste", "trace": "closed", "samples": 50,
                "refresh": 1, "scale_lr": 0.1, "warm": 0,
            },
        ),
        Method("bgch", "BGCH", "trained", _bgch, {"terms": 8, "dispersion": 0.1}),
        Method("bgch-plus", "BGCH+", "trained", _bgch_plus, {"terms": 8, "rate": 0.02}),
    )
}  # fmt: skip


# ---- look-up -----------------------------------------------------------------------------------------------------------------


def method(name: str) -> Method:
    return METHODS[one_of("method", name, tuple(METHODS))]


def resolve(name: str, config: TrainConfig | None = None) -> TrainConfig:
    """`config` with the method's default options filled in, so that a record says all that was used. Raises `ConfigError` on others."""
    config, defaults = config or TrainConfig(), method(name).options
    for option, value in config.options.items():
        if not defaults:
            raise ConfigError(f"method {name!r} has no options of its own, but option {option!r} was given; drop it")
        default = defaults[one_of(f"option of {name!r}", option, tuple(defaults))]
        if type(value) is not type(default) and not (type(default) is float and type(value) is int):
            raise ConfigError(f"option {option} of {name!r} is {value!r}, but must be of type {type(default).__name__}, like {default!r}")
    options = {option: type(default)(config.options.get(option, default)) for option, default in defaults.items()}
    return dataclasses.replace(config, options=options)


def teacher_of(name: str, config: TrainConfig) -> TrainConfig | None:
    """Configuration of the full-precision LightGCN that a run starts from, or None if it starts from nothing.

    Same data, seed, width, depth and batches; concatenated layers, as in the family's official code.
    """
    config = resolve(name, config)
    if not method(name).needs_teacher(config.options):
        return None
    epochs, lr = config.options["teacher_epochs"] or config.epochs, config.options["teacher_lr"] or config.lr
    return dataclasses.replace(config, readout="concat", epochs=epochs, lr=lr, options={})


def build(name: str, data: Interactions, config: TrainConfig | None = None, teacher: Recommender | None = None):
    """An untrained `Recommender`, or a scorer that is ready to rank. `teacher` where `teacher_of` asks for one (`runs` provides it)."""
    config = resolve(name, config)
    if teacher is None and teacher_of(name, config) is not None:
        raise ConfigError(f"method {name!r} starts from a trained model; pass teacher=, or let recq_lib.runs train it")
    return method(name).build(data, config, teacher)

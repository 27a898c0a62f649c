"""The grids that carry the papers' claims to large data: every method by the fast recipe, three seeds, the most telling runs first.

Runs train on all of train for a fixed length, as study `recipe` does, with the recipe's settings, students too. The start alone was chosen,
on a tenth of ML-1M's train that was held out (results/README.md, "The campaign"). Smaller profiles have no such runs.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from recq_lib.companion.studies import bits, sharing
from recq_lib.companion.studies.protocols import Grid, for_each, per_seed
from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

SEEDS = 3
_PAPER = "paper"
_TEACHER = {"teacher_epochs": protocol("fast").epochs, "teacher_lr": protocol("fast").lr}
WARM = {"warm_start": True} | _TEACHER  # options of a student that starts from the full-precision model
STUDENT = {"epochs": 10, "lr": 5e-3}  # length and step of students: the recipe's
SCHEDULES = ("exponential", "linear", "cosine", "doubling")
BIGEAR = (("ml1m", 256), ("ml1m", 64), ("gowalla", 64))
WIDE = {64: 256, 256: 832}  # width of one code with one scaler that takes the bytes of three codes of this width: 36 and 108
# together the best eight of BACO's Table 8 on these data at K = 10, and chance
STRONGEST = ("graphhash", "leiden", "scc", "random-hash")
FURTHER = ("doublegraphhash", "lp", "cce", "hybrid-hash", "sbc")


def _large(grid: Callable[[], list[Plan]]) -> Grid:
    """A grid of the paper profile alone; a run that two parts of it share is in it once."""

    @wraps(grid)
    def plans(profile: str) -> list[Plan]:
        return list({(plan.method, plan.dataset, plan.config): plan for plan in grid()}.values()) if profile == _PAPER else []

    return plans


# ---- L²Q-GCN -----------------------------------------------------------------------------------------------------------------


def family(dim: int, **changes: Any) -> TrainConfig:
    """L²Q-GCN's model by the fast recipe: two layers side by side; K up to 100, as its authors' NDCG has it.

    The start is rotated: in the basis of the singular vectors signs tell little, until they are trained.
    """
    own = {"n_layers": 2, "readout": "concat", "ks": (10, 20, 50, 100), "select_on": "none", "start": "rotated"}
    return protocol("fast", **(own | {"dim": dim} | changes))


def _coded(dataset: str, method: str, dim: int, options: dict[str, Any] | None = None, **changes: Any) -> list[Plan]:
    return per_seed(_PAPER, dataset, method, family(dim, **changes), SEEDS, options)


def _student(dataset: str, method: str, dim: int, options: dict[str, Any], **changes: Any) -> list[Plan]:
    """A run that starts from the full-precision model."""
    return _coded(dataset, method, dim, _TEACHER | options, **(STUDENT | changes))


@_large
def warm_validated() -> list[Plan]:
    """ML-1M, d = 64, seed 0: length and step of students that start from the full-precision model; the start of both, rotated or not."""

    def run(method: str, options: dict[str, Any], **changes: Any) -> list[Plan]:
        return per_seed(_PAPER, "ml1m", method, family(64, select_on="val", **changes), 1, options)

    def student(method: str, epochs: int, lr: float) -> list[Plan]:
        return run(method, WARM, epochs=epochs, lr=lr)

    ways = itertools.product(("l2q-gcn", "l2q-gcn-anl"), ((10, 1e-3), (10, 5e-3), (5, 1e-3), (5, 5e-3)))
    rotated = run("lightgcn", {}) + for_each(ways, lambda method, way: student(method, *way))
    return rotated + run("lightgcn", {}, start="spectral") + run("l2q-gcn", WARM, start="spectral")


@_large
def layers_large() -> list[Plan]:
    """Full precision, post-training sign, L²Q-GCN from it and from scratch, -anl and BiGeaR, at d = 256 and 64.

    At d = 256 codes are 9.5 times smaller than a float32 vector, at 64 they are 7.1 times. BiGeaR's lists make a step of it four times as
    dear where items are many, so at d = 256 it stays on ML-1M.
    """

    def on(dataset: str, dim: int) -> list[Plan]:
        full, plain, scratch = (_coded(dataset, method, dim) for method in ("lightgcn", "ptq-sign", "l2q-gcn"))
        warm = for_each(("l2q-gcn", "l2q-gcn-anl"), lambda method: _student(dataset, method, dim, WARM))
        return full + plain + warm + (_student(dataset, "bigear", dim, {}) if (dataset, dim) in BIGEAR else []) + scratch

    return for_each((("ml1m", 256), ("ml1m", 64), ("gowalla", 64), ("gowalla", 256), ("pinterest", 256), ("yelp2018", 256)), on)


@_large
def layerwise_large() -> list[Plan]:
    """Codes of every layer against single codes, of the mean of layers and of the last, as wide and of as many bytes; from scratch."""

    def on(dataset: str, dim: int) -> list[Plan]:
        single = (("mean", WIDE[dim]), ("mean", dim), ("last", dim), ("last", WIDE[dim]))
        codes = for_each(single, lambda layers, width: _coded(dataset, "l2q-gcn", width, {"layers": layers}))
        return _coded(dataset, "l2q-gcn", dim, {"layers": "all"}) + codes

    return for_each((("ml1m", 64), ("gowalla", 64), ("ml1m", 256), ("gowalla", 256)), on)


@_large
def anneal_large() -> list[Plan]:
    """ML-1M, d = 64: what annealing is good for. From a trained model and in one run; schedules, ends, hard epochs, steps that stay."""

    def run(warm: bool, options: dict[str, Any], method: str = "l2q-gcn-anl", **changes: Any) -> list[Plan]:
        if warm:
            return _student("ml1m", method, 64, WARM | options, **changes)
        return _coded("ml1m", method, 64, {"warm_start": False} | options, **changes)

    starts = (False, True)
    plans = _coded("ml1m", "lightgcn", 64) + for_each(starts, lambda warm: run(warm, {}, "l2q-gcn") + run(warm, {}))
    # as many epochs in one run as teacher and student have together: in full precision, in hard codes, and from the one to the other
    whole = {"epochs": protocol("fast").epochs + STUDENT["epochs"]}
    plans += _coded("ml1m", "lightgcn", 64, **whole) + run(False, {}, "l2q-gcn", **whole)
    plans += for_each(({}, {"span": 0.3}, {"hold": 0.5, "span": 0.2}), lambda schedule: run(False, schedule, **whole))
    # from τ = 1, to a blunter end, most epochs hard, by difference or in stages, and by mixing
    shapes = ({"start": 1.0}, {"end": 0.3}, {"span": 0.2}, *({"schedule": name} for name in SCHEDULES[1:]))
    mixed = {"relaxation": "mix", "schedule": "linear", "start": 1.0, "end": 0.0}
    plans += for_each(itertools.product(starts, (*shapes, mixed)), run)
    still = {"lr_decay": "none"}  # Adam's step stays, so codes go on flipping after they have hardened; of a teacher it would stay too
    return plans + for_each(("l2q-gcn", "l2q-gcn-anl"), lambda method: run(False, {}, method, **still))


# ---- HQ-GNN ------------------------------------------------------------------------------------------------------------------


@_large
def bits_large() -> list[Plan]:
    """HQ-GNN of 1, 2, 4 and 8 bits by STE and by GSTE, beside full precision and codes without training; at 1 bit more of both.

    At 1 bit also codes of ±1, δ measured every fifth epoch, and from scratch. The softmax does not see the codes' length, so its Hessian
    is estimated (five random vectors for each of three batches).
    """
    config = protocol("fast", select_on="none", start="rotated")

    def on(dataset: str) -> list[Plan]:
        def trained(estimator: str, **options: Any) -> list[Plan]:
            given = {"estimator": estimator, "trace": "hutchinson", "samples": 5} | options
            changes = STUDENT if given["warm_start"] else {}
            return per_seed(_PAPER, dataset, "hq-gnn", dataclasses.replace(config, **changes), SEEDS, given)

        def pair(**options: Any) -> list[Plan]:
            return trained("ste", **options) + trained("gste", **options)

        started = [bits.start(b) | _TEACHER for b in (1, 2, 4, 8)]
        full = per_seed(_PAPER, dataset, "lightgcn", config, SEEDS)
        plain = for_each((1, 2, 4, 8), lambda b: per_seed(_PAPER, dataset, "ptq-bits", config, SEEDS, {"bits": b}))
        more = pair(**started[0] | {"bounds": "fixed"}) + trained("gste", **started[0] | {"bounds": "fixed", "refresh": 5})
        scratch = pair(bits=1, bounds="scale", warm_start=False)
        return full + plain + for_each(started, lambda options: pair(**options)) + more + scratch

    return for_each(("ml1m", "gowalla", "yelp2018"), on)


# ---- BACO --------------------------------------------------------------------------------------------------------------------


def _shared(dataset: str, names: Iterable[str], config: TrainConfig, seeds: int = SEEDS) -> list[Plan]:
    return for_each(names, lambda name: per_seed(_PAPER, dataset, name, config, seeds, sharing.paper_options(dataset, name)))


@_large
def sharing_validated() -> list[Plan]:
    """Re-split Gowalla, seed 0: whether the full table or BACO's wants another temperature, step or λ than the recipe's."""
    changes = ({}, {"temperature": 0.1}, {"temperature": 0.2}, {"lr": 1e-2}, {"l2": 1e-3})
    configs = [protocol("fast", n_layers=2, select_metric="recall_min@20", **change) for change in changes]
    return for_each(configs, lambda config: _shared("gowalla-resplit", ("baco", "lightgcn"), config, 1))


@_large
def sharing_recipe() -> list[Plan]:
    """The full table, BACO and Table 8's strongest on re-split Gowalla and Yelp2018, two layers; their validation part is not used."""
    config = protocol("fast", n_layers=2, select_on="none")
    parts = itertools.product((("lightgcn", "baco", *STRONGEST), FURTHER), sharing.LARGE)
    return for_each(parts, lambda names, dataset: _shared(dataset, names, config))

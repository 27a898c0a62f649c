"""The grids of HQ-GNN's notebooks: bits against full precision, and STE against the Hessian-aware estimator."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from recq_lib.companion.studies import protocols
from recq_lib.companion.studies.protocols import for_each, small_dataset
from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

BITS = (1, 2, 3, 4, 8)
BOUNDS = ("scale", "learn", "fixed")  # scale conventions: range and scale learned apart, one number for both, codes of ±1


def start(bits: int) -> dict[str, Any]:
    """HQ-GNN's options for so many bits: from the trained full-precision model, scale convention chosen with STE on validation (ours).

    LastFM, seed 0: at 1 bit "scale" reached 31.1 % and "learn" 27.7, whose codes are too long for BPR; from 2 bits on "learn" is ahead.
    """
    return {"bits": bits, "bounds": "scale" if bits == 1 else "learn", "warm_start": True}


# the best of study "tune-bits" on validation
_NGCF = {"l2": 3e-2}  # on LastFM
_TWO_BITS = {"scale_lr": 1.0}, {"l2": 1e-2}  # options and λ of HQ-GNN on Beauty


def laptop(dataset: str) -> TrainConfig:
    """LightGCN's protocol with a larger step and Recall@50 for selection, so that a run takes a minute: for small datasets (ours).

    Beauty's λ is full precision's best on validation (study "tune-bits").
    """
    own = {"lastfm": {"lr": 1e-2}, "beauty": {"l2": 3e-3}}.get(dataset, {})
    return protocols.laptop("lightgcn", dataset, **({"lr": 5e-3, "select_metric": "recall@50"} | own))


def tune(profile: str) -> list[Plan]:
    """Seed 0: λ of full precision on Beauty, λ and the scale's step of HQ-GNN at 2 bits there, λ of NGCF on LastFM."""
    if profile != "paper":
        return []

    def two_bits(l2: float, scale_lr: float) -> list[Plan]:
        return _plans(profile, "beauty", "hq-gnn", 1, start(2) | {"scale_lr": scale_lr}, l2=l2)

    full = for_each((1e-4, 1e-3, 3e-3, 1e-2, 3e-2), lambda l2: _plans(profile, "beauty", "lightgcn", 1, l2=l2))
    codes = for_each(itertools.product((3e-3, 1e-2, 3e-2), (0.1, 1.0)), two_bits)
    return full + codes + for_each((1e-3, 1e-2, 3e-2, 1e-1), lambda l2: _plans(profile, "lastfm", "ngcf", 1, l2=l2))


def _plans(profile: str, dataset: str, method: str, seeds: int, options: dict[str, Any] | None = None, **changes: Any) -> list[Plan]:
    config, options = dataclasses.replace(laptop(dataset), **changes), options or {}
    if options.get("warm_start") and profile != "smoke":  # half as long, from a teacher of full length
        config = dataclasses.replace(config, epochs=config.epochs // 2)
    if options.get("warm_start"):
        options = options | {"teacher_epochs": laptop(dataset).epochs}
    elif method == "ptq-bits":
        options = options | {"teacher_epochs": _in_all(profile, dataset)}
    return protocols.per_seed(profile, dataset, method, config, seeds, options)


def bits(profile: str) -> list[Plan]:
    """Full precision, HQ-GNN started from it, and the same vectors quantized without training, by bits; LightGCN and NGCF.

    At paper scale LightGCN is also trained for as many epochs as its first run and HQ-GNN's take together: that is what HQ-GNN's
    codes are compared with, and what is quantized without training.
    """
    datasets, seeds = (("lastfm", "beauty"), 3) if profile == "paper" else ((small_dataset(profile),), 1 if profile == "quick" else 3)
    widths = BITS if profile == "paper" else (1, 2, 4)

    def trained(dataset: str, b: int) -> list[Plan]:
        options, changes = _TWO_BITS if (dataset, b) == ("beauty", 2) else ({}, {})
        return _plans(profile, dataset, "hq-gnn", seeds, start(b) | options, **changes)

    def on(dataset: str) -> list[Plan]:
        full = _plans(profile, dataset, "lightgcn", seeds) + _longer(profile, dataset, seeds)
        codes = for_each(widths, lambda b: trained(dataset, b))
        return full + codes + for_each(widths, lambda b: _plans(profile, dataset, "ptq-bits", seeds, {"bits": b}))

    return for_each(datasets, on) + ([] if profile == "quick" else _ngcf(profile, seeds))


def _ngcf(profile: str, seeds: int) -> list[Plan]:
    dataset, changes = small_dataset(profile), _NGCF if profile == "paper" else {}

    def trained(b: int) -> list[Plan]:
        return _plans(profile, dataset, "hq-gnn", seeds, start(b) | {"encoder": "ngcf"}, **changes)

    return _plans(profile, dataset, "ngcf", seeds, **changes) + for_each((1, 2, 4), trained)


def _longer(profile: str, dataset: str, seeds: int) -> list[Plan]:
    epochs = _in_all(profile, dataset)
    return [] if epochs == laptop(dataset).epochs else _plans(profile, dataset, "lightgcn", seeds, epochs=epochs)


def _in_all(profile: str, dataset: str) -> int:
    """Epochs of a teacher and of a run that starts from it, at paper scale; smaller profiles do without the longer run."""
    epochs = laptop(dataset).epochs
    return epochs * 3 // 2 if profile == "paper" else epochs


def ngcf_published(profile: str) -> list[Plan]:
    """NGCF at its published settings (batch 1024, step 1e-4, λ 1e-5, dropout 0.1): does it train stably here?"""
    dataset, epochs = {"smoke": ("synthetic-smoke", 10), "quick": ("lastfm", 20), "paper": ("beauty", 15)}[profile]
    return [Plan("ngcf", dataset, profile, protocol("ngcf", epochs=epochs, eval_every=2, patience=0))]


def hessian(profile: str) -> list[Plan]:
    """STE beside GSTE under the same quantizer: scale convention × bits × start; how often δ is measured, and how.

    Small scale: five seeds. Paper scale: LastFM with five seeds, and warm starts on Beauty with three (at 1 bit under every convention,
    at 2 and 4 bits under the one that `start` uses).
    """
    if profile != "paper":
        dataset, seeds = small_dataset(profile), 5 if profile == "smoke" else 1
        widths = (1, 2) if profile == "smoke" else (1, 4)
        return _plans(profile, dataset, "lightgcn", seeds) + _pairs(profile, dataset, widths, ("learn", "fixed"), True, seeds)
    plans = _plans(profile, "lastfm", "lightgcn", 5) + _pairs(profile, "lastfm", (1, 2, 4), BOUNDS, True, 5)
    plans += _pairs(profile, "lastfm", (1,), ("learn", "fixed"), False, 5)
    measured = ({"refresh": 10}, {"trace": "hutchinson", "samples": 10})
    plans += for_each(measured, lambda how: _plans(profile, "lastfm", "hq-gnn", 5, {"bounds": "fixed"} | how))
    plans += _plans(profile, "beauty", "lightgcn", 3) + _pairs(profile, "beauty", (1,), BOUNDS, True, 3)
    return plans + _pairs(profile, "beauty", (2, 4), ("learn",), True, 3)


def _pairs(profile: str, dataset: str, widths: tuple[int, ...], bounds: tuple[str, ...], warm: bool, seeds: int) -> list[Plan]:
    """Both estimators, everything else equal."""

    def setting(b: int, bound: str, estimator: str) -> list[Plan]:
        options = {"bits": b, "bounds": bound, "estimator": estimator, "warm_start": warm}
        return _plans(profile, dataset, "hq-gnn", seeds, options)

    return for_each(itertools.product(widths, bounds, ("ste", "gste")), setting)

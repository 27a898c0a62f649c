"""The grids of HQ-GNN's notebooks: bits against full precision, and STE against the Hessian-aware estimator."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

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
    small = {
        "synthetic-smoke": {"dim": 32, "batch_size": 512, "epochs": 20, "l2": 1e-2},
        "lastfm": {"lr": 1e-2, "batch_size": 2048, "epochs": 60, "l2": 1e-3},
        "beauty": {"batch_size": 4096, "epochs": 40, "l2": 3e-3},
    }[dataset]
    return protocol("lightgcn", **({"lr": 5e-3, "patience": 0, "eval_every": 4, "select_metric": "recall@50"} | small))


def tune(profile: str) -> list[Plan]:
    """Seed 0: λ of full precision on Beauty, λ and the scale's step of HQ-GNN at 2 bits there, λ of NGCF on LastFM."""
    if profile != "paper":
        return []
    plans = [p for l2 in (1e-4, 1e-3, 3e-3, 1e-2, 3e-2) for p in _plans(profile, "beauty", "lightgcn", 1, l2=l2)]
    for l2, scale_lr in itertools.product((3e-3, 1e-2, 3e-2), (0.1, 1.0)):
        plans += _plans(profile, "beauty", "hq-gnn", 1, start(2) | {"scale_lr": scale_lr}, l2=l2)
    return plans + [p for l2 in (1e-3, 1e-2, 3e-2, 1e-1) for p in _plans(profile, "lastfm", "ngcf", 1, l2=l2)]


def _dataset(profile: str) -> str:
    return "synthetic-smoke" if profile == "smoke" else "lastfm"


def _plans(profile: str, dataset: str, method: str, seeds: int, options: dict[str, Any] | None = None, **changes: Any) -> list[Plan]:
    config, options = dataclasses.replace(laptop(dataset), **changes), options or {}
    if options.get("warm_start") and profile != "smoke":  # half as long, from a teacher of full length
        config = dataclasses.replace(config, epochs=config.epochs // 2)
    if options.get("warm_start"):
        options = options | {"teacher_epochs": laptop(dataset).epochs}
    elif method == "ptq-bits":
        options = options | {"teacher_epochs": _in_all(profile, dataset)}
    config = dataclasses.replace(config, options=options)
    return [Plan(method, dataset, profile, dataclasses.replace(config, seed=seed)) for seed in range(seeds)]


def bits(profile: str) -> list[Plan]:
    """Full precision, HQ-GNN started from it, and the same vectors quantized without training, by bits; LightGCN and NGCF.

    At paper scale LightGCN is also trained for as many epochs as its first run and HQ-GNN's take together: that is what HQ-GNN's
    codes are compared with, and what is quantized without training.
    """
    datasets, seeds = (("lastfm", "beauty"), 3) if profile == "paper" else ((_dataset(profile),), 1 if profile == "quick" else 3)
    widths = BITS if profile == "paper" else (1, 2, 4)
    plans = []
    for dataset in datasets:
        plans += _plans(profile, dataset, "lightgcn", seeds) + _longer(profile, dataset, seeds)
        for b in widths:
            options, changes = _TWO_BITS if (dataset, b) == ("beauty", 2) else ({}, {})
            plans += _plans(profile, dataset, "hq-gnn", seeds, start(b) | options, **changes)
        plans += [p for b in widths for p in _plans(profile, dataset, "ptq-bits", seeds, {"bits": b})]
    return plans if profile == "quick" else plans + _ngcf(profile, seeds)


def _ngcf(profile: str, seeds: int) -> list[Plan]:
    dataset = _dataset(profile)
    encoder = {"encoder": "ngcf"}
    changes = _NGCF if profile == "paper" else {}
    plans = _plans(profile, dataset, "ngcf", seeds, **changes)
    return plans + [p for b in (1, 2, 4) for p in _plans(profile, dataset, "hq-gnn", seeds, start(b) | encoder, **changes)]


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
        dataset, seeds = _dataset(profile), 5 if profile == "smoke" else 1
        widths = (1, 2) if profile == "smoke" else (1, 4)
        return _plans(profile, dataset, "lightgcn", seeds) + _pairs(profile, dataset, widths, ("learn", "fixed"), True, seeds)
    plans = _plans(profile, "lastfm", "lightgcn", 5) + _pairs(profile, "lastfm", (1, 2, 4), BOUNDS, True, 5)
    plans += _pairs(profile, "lastfm", (1,), ("learn", "fixed"), False, 5)
    measured = ({"refresh": 10}, {"trace": "hutchinson", "samples": 10})
    plans += [p for how in measured for p in _plans(profile, "lastfm", "hq-gnn", 5, {"bounds": "fixed"} | how)]
    plans += _plans(profile, "beauty", "lightgcn", 3) + _pairs(profile, "beauty", (1,), BOUNDS, True, 3)
    return plans + _pairs(profile, "beauty", (2, 4), ("learn",), True, 3)


def _pairs(profile: str, dataset: str, widths: tuple[int, ...], bounds: tuple[str, ...], warm: bool, seeds: int) -> list[Plan]:
    """Both estimators, everything else equal."""
    grid = [(b, bound, estimator) for b in widths for bound in bounds for estimator in ("ste", "gste")]
    options = [{"bits": b, "bounds": bound, "estimator": estimator, "warm_start": warm} for b, bound, estimator in grid]
    return [p for setting in options for p in _plans(profile, dataset, "hq-gnn", seeds, setting)]

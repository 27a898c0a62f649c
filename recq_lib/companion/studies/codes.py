"""The grids of L²Q-GCN's notebooks: binary methods side by side, layer-wise against single codes, annealing schedules."""

from __future__ import annotations

import dataclasses
from typing import Any

from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

FAMILY = ("ptq-sign", "l2q-gcn", "l2q-gcn-anl", "bigear")
BINARY = ("lsh", "hashnet", "hashrec", "gumbelrec", "hashgnn-hard", "hashgnn-soft", "bgch", "bgch-plus")


def laptop(dataset: str) -> TrainConfig:
    """The family's protocol with a larger step and a validation split, so that a run takes a minute: for small datasets (ours)."""
    small = {
        "synthetic-smoke": {"dim": 32, "batch_size": 512, "epochs": 20, "eval_every": 4, "l2": 1e-2, "ks": (10, 20, 50)},
        "lastfm": {"dim": 64, "batch_size": 2048, "epochs": 60, "eval_every": 4, "l2": 1e-3},
        "beauty": {"dim": 64, "batch_size": 4096, "epochs": 40, "eval_every": 4, "l2": 1e-4},
    }[dataset]
    return protocol("l2q", lr=5e-3, patience=0, **({"ks": (20, 50, 100)} | small))


def _dataset(profile: str) -> str:
    return "synthetic-smoke" if profile == "smoke" else "lastfm"


def _plans(profile: str, dataset: str, method: str, seeds: int = 3, options: dict[str, Any] | None = None, **changes: Any) -> list[Plan]:
    config = dataclasses.replace(laptop(dataset), options=options or {}, **changes)
    return [Plan(method, dataset, profile, dataclasses.replace(config, seed=seed)) for seed in range(seeds)]


def teacher(profile: str, dataset: str, seeds: int = 3, **changes: Any) -> list[Plan]:
    """The full-precision model that warm starts and post-training codes begin from."""
    return _plans(profile, dataset, "lightgcn", seeds, readout="concat", **changes)


def binary(profile: str) -> list[Plan]:
    """L²Q-GCN, -anl, BiGeaR and the binary baselines beside full precision: one encoder, one protocol, three seeds."""
    datasets, seeds = (("lastfm", "beauty"), 3) if profile == "paper" else ((_dataset(profile),), 1 if profile == "quick" else 3)
    methods = {"paper": FAMILY + BINARY, "quick": (*FAMILY, "hashnet"), "smoke": (*FAMILY, "lsh", "hashnet")}[profile]
    return [
        plan
        for dataset in datasets
        for plan in (*teacher(profile, dataset, seeds), *(p for name in methods for p in _plans(profile, dataset, name, seeds)))
    ]


def l2q_paper(profile: str) -> list[Plan]:
    """ML-1M at d = 256, L = 2 with the authors' protocol, one seed: teacher, BiGeaR's student, -anl. Small profiles: their own scale.

    The teacher stops after 44 of the authors' 100 epochs, the student after 51 of 1000, -anl after 20: what two cores can do.
    """
    if profile != "paper":
        dataset = _dataset(profile)
        return [*teacher(profile, dataset, 1), *(p for name in ("bigear", "l2q-gcn-anl") for p in _plans(profile, dataset, name, 1))]
    full = protocol("l2q-authors", epochs=44)
    student = dataclasses.replace(full, epochs=51, options={"teacher_epochs": 44})
    annealed = dataclasses.replace(full, epochs=20, options={"teacher_epochs": 44})
    runs = (("lightgcn", full), ("l2q-gcn-anl", annealed), ("bigear", student))
    return [Plan(method, "ml1m", profile, config) for method, config in runs]


def wide(profile: str) -> list[Plan]:
    """-anl and its teacher at d = 256, where a node's three codes and scalers take 9.5 times less than one float32 vector."""
    if profile != "paper":
        return []
    grid = {"lastfm": (3, {"dim": 256}), "beauty": (1, {"dim": 256, "l2": 3e-3})}  # λ: full precision's choice in study "tune-bits"
    return [
        plan
        for dataset, (seeds, changes) in grid.items()
        for plan in (*teacher(profile, dataset, seeds, **changes), *_plans(profile, dataset, "l2q-gcn-anl", seeds, **changes))
    ]


def layerwise(profile: str) -> list[Plan]:
    """What is coded, at equal bits: every layer (3·d), the last layer or the mean of the layers (d and 3d); scalers; widths and depths.

    All trained from scratch with the straight-through estimator, so that only the readout differs.
    """
    dataset = _dataset(profile)
    seeds, dim = (3, 64) if profile == "paper" else (1, 32)

    def grid(layers: str, width: int, depth: int = 2, **options: Any) -> list[Plan]:
        return _plans(profile, dataset, "l2q-gcn", seeds, {"layers": layers} | options, dim=width, n_layers=depth)

    plans = [*teacher(profile, dataset, seeds, dim=dim)]
    if profile == "quick":  # minutes must do
        return plans + [p for layers, width in (("all", dim), ("last", dim), ("mean", dim), ("mean", 3 * dim)) for p in grid(layers, width)]
    for scaler in ("alpha", "constant"):
        plans += grid("all", dim, scaler=scaler)
        plans += [p for layers in ("last", "mean") for width in (dim, 3 * dim) for p in grid(layers, width, scaler=scaler)]
    plans += grid("all", dim, weighted=False)
    plans += [p for width in (dim // 2, 2 * dim) for layers in ("all", "mean") for p in grid(layers, width)]
    return plans + [p for depth in (1, 3) for layers in ("all", "mean") for p in grid(layers, dim, depth)]


SCHEDULES = ("none", "linear", "cosine", "exponential", "doubling")


def annealing(profile: str) -> list[Plan]:
    """-anl: schedule × warm start at one end, three ends of the exponential one, the mixing variant, and hard codes from the start."""
    dataset, seeds = _dataset(profile), 3 if profile == "paper" else 1

    def grid(warm: bool, **options: Any) -> list[Plan]:
        return _plans(profile, dataset, "l2q-gcn-anl", seeds, {"warm_start": warm} | options)

    plans = [*teacher(profile, dataset, seeds)]
    if profile == "quick":
        hard = [p for warm in (False, True) for p in _plans(profile, dataset, "l2q-gcn", seeds, {"warm_start": warm})]
        return plans + hard + [p for warm in (False, True) for p in grid(warm)]
    for warm in (False, True):
        plans += _plans(profile, dataset, "l2q-gcn", seeds, {"warm_start": warm})
        plans += [p for schedule in SCHEDULES for p in grid(warm, schedule=schedule)]
        plans += grid(warm, relaxation="mix", schedule="linear", start=1.0, end=0.0)
    return plans + [p for end in (0.05, 0.5) for p in grid(True, schedule="exponential", end=end)]

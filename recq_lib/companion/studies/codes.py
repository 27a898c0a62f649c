"""The grids of L²Q-GCN's notebooks: binary methods side by side, layer-wise against single codes, annealing schedules."""

from __future__ import annotations

import dataclasses
from typing import Any

from recq_lib.companion.studies import protocols
from recq_lib.companion.studies.protocols import for_each, small_dataset
from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

FAMILY = ("ptq-sign", "l2q-gcn", "l2q-gcn-anl", "bigear")
BINARY = ("lsh", "hashnet", "hashrec", "gumbelrec", "hashgnn-hard", "hashgnn-soft", "bgch", "bgch-plus")
SCHEDULES = ("none", "linear", "cosine", "exponential", "doubling")


def laptop(dataset: str) -> TrainConfig:
    """The family's protocol with a larger step and a validation split, so that a run takes a minute: for small datasets (ours)."""
    small = {"ks": (10, 20, 50)} if dataset == "synthetic-smoke" else {"ks": (20, 50, 100), "dim": 64}
    return protocols.laptop("l2q", dataset, lr=5e-3, **small)


def _plans(profile: str, dataset: str, method: str, seeds: int = 3, options: dict[str, Any] | None = None, **changes: Any) -> list[Plan]:
    return protocols.per_seed(profile, dataset, method, dataclasses.replace(laptop(dataset), **changes), seeds, options)


def teacher(profile: str, dataset: str, seeds: int = 3, **changes: Any) -> list[Plan]:
    """The full-precision model that warm starts and post-training codes begin from."""
    return _plans(profile, dataset, "lightgcn", seeds, readout="concat", **changes)


def binary(profile: str) -> list[Plan]:
    """L²Q-GCN, -anl, BiGeaR and the binary baselines beside full precision: one encoder, one protocol, three seeds."""
    datasets, seeds = (("lastfm", "beauty"), 3) if profile == "paper" else ((small_dataset(profile),), 1 if profile == "quick" else 3)
    methods = {"paper": FAMILY + BINARY, "quick": (*FAMILY, "hashnet"), "smoke": (*FAMILY, "lsh", "hashnet")}[profile]

    def on(dataset: str) -> list[Plan]:
        return teacher(profile, dataset, seeds) + for_each(methods, lambda name: _plans(profile, dataset, name, seeds))

    return for_each(datasets, on)


def l2q_paper(profile: str) -> list[Plan]:
    """ML-1M at d = 256, L = 2 with the authors' protocol, one seed: teacher, BiGeaR's student, -anl. Small profiles: their own scale.

    The teacher stops after 44 of the authors' 100 epochs, the student after 51 of 1000, -anl after 20: what two cores can do.
    """
    if profile != "paper":
        dataset = small_dataset(profile)
        return teacher(profile, dataset, 1) + for_each(("bigear", "l2q-gcn-anl"), lambda name: _plans(profile, dataset, name, 1))
    full = protocol("l2q-authors", epochs=44)
    student = dataclasses.replace(full, epochs=51, options={"teacher_epochs": 44})
    annealed = dataclasses.replace(full, epochs=20, options={"teacher_epochs": 44})
    runs = (("lightgcn", full), ("l2q-gcn-anl", annealed), ("bigear", student))
    return [Plan(method, "ml1m", profile, config) for method, config in runs]


def wide(profile: str) -> list[Plan]:
    """-anl and its teacher at d = 256, where a node's three codes and scalers take 9.5 times less than one float32 vector."""
    if profile != "paper":
        return []

    def on(dataset: str, seeds: int, **changes: Any) -> list[Plan]:
        return teacher(profile, dataset, seeds, **changes) + _plans(profile, dataset, "l2q-gcn-anl", seeds, **changes)

    return on("lastfm", 3, dim=256) + on("beauty", 1, dim=256, l2=3e-3)  # λ: full precision's choice in study "tune-bits"


def layerwise(profile: str) -> list[Plan]:
    """What is coded, at equal bits: every layer (3·d), the last layer or the mean of the layers (d and 3d); scalers; widths and depths.

    All trained from scratch with the straight-through estimator, so that only the readout differs.
    """
    dataset = small_dataset(profile)
    seeds, dim = (3, 64) if profile == "paper" else (1, 32)

    def coded(layers: str, width: int, depth: int = 2, **options: Any) -> list[Plan]:
        return _plans(profile, dataset, "l2q-gcn", seeds, {"layers": layers} | options, dim=width, n_layers=depth)

    def at_equal_bits(scaler: str) -> list[Plan]:
        single = [(layers, width) for layers in ("last", "mean") for width in (dim, 3 * dim)]
        return coded("all", dim, scaler=scaler) + for_each(single, lambda layers, width: coded(layers, width, scaler=scaler))

    full = teacher(profile, dataset, seeds, dim=dim)
    if profile == "quick":  # minutes must do
        return full + for_each((("all", dim), ("last", dim), ("mean", dim), ("mean", 3 * dim)), coded)
    scalers = for_each(("alpha", "constant"), at_equal_bits)
    weights = coded("all", dim, weighted=False)
    widths = [(layers, width) for width in (dim // 2, 2 * dim) for layers in ("all", "mean")]
    depths = [(layers, dim, depth) for depth in (1, 3) for layers in ("all", "mean")]
    return full + scalers + weights + for_each(widths, coded) + for_each(depths, coded)


def annealing(profile: str) -> list[Plan]:
    """-anl: schedule × warm start at one end, three ends of the exponential one, the mixing variant, and hard codes from the start."""
    dataset, seeds = small_dataset(profile), 3 if profile == "paper" else 1

    def hard(warm: bool) -> list[Plan]:
        return _plans(profile, dataset, "l2q-gcn", seeds, {"warm_start": warm})

    def annealed(warm: bool, **options: Any) -> list[Plan]:
        return _plans(profile, dataset, "l2q-gcn-anl", seeds, {"warm_start": warm} | options)

    def ways(warm: bool) -> list[Plan]:
        schedules = for_each(SCHEDULES, lambda schedule: annealed(warm, schedule=schedule))
        return hard(warm) + schedules + annealed(warm, relaxation="mix", schedule="linear", start=1.0, end=0.0)

    full, starts = teacher(profile, dataset, seeds), (False, True)
    if profile == "quick":
        return full + for_each(starts, hard) + for_each(starts, annealed)
    return full + for_each(starts, ways) + for_each((0.05, 0.5), lambda end: annealed(True, schedule="exponential", end=end))

"""The grids of BACO's notebooks: its table of results, the same at laptop scale, and the ablation of weights, SCU, sweeps and size."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

HASHES = ("random-hash", "frequency-hash", "double-hash", "hybrid-hash", "lsh-hash", "cce", "legcf")
CLUSTERINGS = ("graphhash", "doublegraphhash", "lp", "leiden", "ebmd", "infomap", "bimlpa", "brim", "scc", "sbc", "itcc")
BASELINES = HASHES + CLUSTERINGS  # the 18 of the paper's Table 8
GAMMA = {"beauty": 0.1308}  # Table 7's, to four digits (commands of the official code); for other splits γ is searched again
_LEIDEN = {"beauty": 201.0, "gowalla-resplit": 197.0, "yelp2018-resplit": 198.0}
_MAIN = ("graphhash", "random-hash", "leiden", "scc")  # run first, and on the larger datasets alone
_LARGE = ("gowalla-resplit", "yelp2018-resplit")
RATIO = 0.25  # rows as a share of the nodes where GraphHash's size is beyond what BACO reaches (small dense data)


def laptop(dataset: str) -> TrainConfig:
    """BACO's protocol with larger steps from a smaller start: a run takes a minute on the small datasets, some on the large ones (ours)."""
    if dataset in _LARGE:  # batch, step and λ: the best of some on validation, of the full table and of BACO's on Gowalla with seed 0
        return protocol("baco", init_std=0.1, batch_size=16384, epochs=150, lr=1e-2, l2=1e-4, eval_every=5)
    small = {
        "synthetic-smoke": {"dim": 32, "batch_size": 512, "epochs": 20, "lr": 1e-2, "l2": 1e-2},
        "lastfm": {"batch_size": 2048, "epochs": 60, "lr": 1e-2, "l2": 1e-3},
        "beauty": {"batch_size": 4096, "epochs": 40, "lr": 5e-3, "l2": 1e-4},
    }[dataset]
    return protocol("baco", init_std=0.1, eval_every=4, patience=0, **small)


def _plans(profile: str, dataset: str, method: str, config: TrainConfig, seeds: int, options: dict[str, Any] | None = None) -> list[Plan]:
    config = dataclasses.replace(config, options=options or {})
    return [Plan(method, dataset, profile, dataclasses.replace(config, seed=seed)) for seed in range(seeds)]


def sharing(profile: str) -> list[Plan]:
    """Table 8: full, BACO with and without second rows, and all 18 baselines on Beauty; six of them on re-split Gowalla and Yelp2018.

    The paper's protocol takes hours on a CPU; smaller profiles are those of `sharing_laptop`.
    """
    if profile != "paper":
        return sharing_laptop(profile)
    config, plans = protocol("baco"), []
    names = {"beauty": (*_MAIN, *(name for name in BASELINES if name not in _MAIN)), **dict.fromkeys(_LARGE, _MAIN)}
    for dataset in names:
        given = {"gamma": GAMMA[dataset]} if dataset in GAMMA else {}
        plans += _plans(profile, dataset, "lightgcn", config, 3)
        plans += _plans(profile, dataset, "baco", config, 3, given)
        if dataset == "beauty":
            plans += _plans(profile, dataset, "baco", config, 3, given | {"scu": False})
        for name in names[dataset]:
            plans += _plans(profile, dataset, name, config, 3, {"resolution": _LEIDEN[dataset]} if name == "leiden" else {})
    return plans


def unstopped(profile: str) -> list[Plan]:
    """The full table of `sharing` on Beauty without early stopping, all 1000 epochs: what the stop decides."""
    dataset = {"smoke": "synthetic-smoke", "quick": "lastfm", "paper": "beauty"}[profile]
    config = dataclasses.replace(protocol("baco"), patience=0) if profile == "paper" else laptop(dataset)
    return _plans(profile, dataset, "lightgcn", config, 3)


def sharing_laptop(profile: str) -> list[Plan]:
    """The same comparison at laptop scale: all methods at equal size, three seeds; quick and smoke: some of them."""
    if profile == "paper":
        return [p for dataset in ("lastfm", "beauty") for p in _compared(profile, dataset, BASELINES, 3)]
    dataset, seeds = ("synthetic-smoke", 3) if profile == "smoke" else ("lastfm", 1)
    return _compared(profile, dataset, ("random-hash", "double-hash", "graphhash"), seeds)


def sharing_large(profile: str) -> list[Plan]:
    """Full, BACO and four baselines on re-split Gowalla and Yelp2018: what `sharing` plans there, at laptop scale; seed by seed."""
    if profile != "paper":
        return sharing_laptop(profile)
    plans = []
    for dataset in _LARGE:
        config = laptop(dataset)
        for name in ("lightgcn", "baco", *_MAIN):
            plans += _plans(profile, dataset, name, config, 3, {"resolution": _LEIDEN[dataset]} if name == "leiden" else {})
    return sorted(plans, key=lambda plan: plan.config.seed)


def _compared(profile: str, dataset: str, names: Iterable[str], seeds: int) -> list[Plan]:
    config, size = laptop(dataset), {} if dataset == "beauty" else {"ratio": RATIO}
    free = ("infomap", "bimlpa", "brim")
    plans = _plans(profile, dataset, "lightgcn", config, seeds)
    plans += [p for scu in (True, False) for p in _plans(profile, dataset, "baco", config, seeds, size | {"scu": scu})]
    return plans + [p for name in names for p in _plans(profile, dataset, name, config, seeds, {} if name in free else size)]


WEIGHTS = (
    ("degree", "released"), ("degree", "uniform"), ("degree", "degree"), ("uniform", "uniform"), ("sqrt", "sqrt"), ("log", "log"),
)  # fmt: skip
SWEEPS = (2, 3, 5, 8)  # one sweep leaves more rows than the size asks for
RATIOS = (0.05, 0.1, 0.2, 0.3)
SIZE = 0.2  # of the ablation: every variant's γ is searched for it


def weighting(profile: str) -> list[Plan]:
    """BACO at equal size: weights × SCU, ghost volumes, number of sweeps; and the curve over sizes beside GraphHash and random rows."""
    dataset, seeds = ("synthetic-smoke" if profile == "smoke" else "lastfm"), 3 if profile != "quick" else 1
    config = laptop(dataset)

    def grid(method: str = "baco", **options: Any) -> list[Plan]:
        return _plans(profile, dataset, method, config, seeds, {"ratio": SIZE} | options)

    full = _plans(profile, dataset, "lightgcn", config, seeds)
    pairs = WEIGHTS if profile == "paper" else WEIGHTS[:2]
    plans = full + [p for user, item in pairs for scu in (True, False) for p in grid(user_weight=user, item_weight=item, scu=scu)]
    if profile != "paper":
        return plans
    plans += grid(ghost=False) + [p for sweeps in SWEEPS for p in grid(sweeps=sweeps)]
    return plans + [p for ratio in RATIOS for method in ("baco", "graphhash", "random-hash") for p in grid(method, ratio=ratio)]

"""The grids of BACO's notebooks: its table of results, the same at laptop scale, and the ablation of weights, SCU, sweeps and size."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from recq_lib.companion.studies import protocols
from recq_lib.companion.studies.protocols import for_each, per_seed, small_dataset
from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

HASHES = ("random-hash", "frequency-hash", "double-hash", "hybrid-hash", "lsh-hash", "cce", "legcf")
CLUSTERINGS = ("graphhash", "doublegraphhash", "lp", "leiden", "ebmd", "infomap", "bimlpa", "brim", "scc", "sbc", "itcc")
BASELINES = HASHES + CLUSTERINGS  # the 18 of the paper's Table 8
GAMMA = {"beauty": 0.1308}  # Table 7's, to four digits (commands of the official code); for other splits γ is searched again
_LEIDEN = {"beauty": 201.0, "gowalla-resplit": 197.0, "yelp2018-resplit": 198.0}
_MAIN = ("graphhash", "random-hash", "leiden", "scc")  # run first, and on the larger datasets alone
LARGE = ("gowalla-resplit", "yelp2018-resplit")
RATIO = 0.25  # rows as a share of the nodes where GraphHash's size is beyond what BACO reaches (small dense data)


def laptop(dataset: str) -> TrainConfig:
    """BACO's protocol with larger steps from a smaller start: a run takes a minute on the small datasets, some on the large ones (ours)."""
    if dataset in LARGE:  # batch, step and λ: the best of some on validation, of the full table and of BACO's on Gowalla with seed 0
        return protocol("baco", init_std=0.1, batch_size=16384, epochs=150, lr=1e-2, l2=1e-4, eval_every=5)
    return protocols.laptop("baco", dataset, init_std=0.1, lr=5e-3 if dataset == "beauty" else 1e-2)


def paper_options(dataset: str, method: str) -> dict[str, Any]:
    """Leiden's resolution is the paper's, which sets it for each dataset; the others meet GraphHash's size themselves."""
    return {"resolution": _LEIDEN[dataset]} if method == "leiden" else {}


def sharing(profile: str) -> list[Plan]:
    """Table 8: full, BACO with and without second rows, and all 18 baselines on Beauty; six of them on re-split Gowalla and Yelp2018.

    The paper's protocol takes hours on a CPU; smaller profiles are those of `sharing_laptop`.
    """
    if profile != "paper":
        return sharing_laptop(profile)
    config = protocol("baco")

    def on(dataset: str, names: Iterable[str], *variants: dict[str, Any]) -> list[Plan]:
        given = {"gamma": GAMMA[dataset]} if dataset in GAMMA else {}
        full = per_seed(profile, dataset, "lightgcn", config, 3)
        baco = for_each(variants, lambda change: per_seed(profile, dataset, "baco", config, 3, given | change))
        return full + baco + for_each(names, lambda name: per_seed(profile, dataset, name, config, 3, paper_options(dataset, name)))

    every = (*_MAIN, *(name for name in BASELINES if name not in _MAIN))
    return on("beauty", every, {}, {"scu": False}) + for_each(LARGE, lambda dataset: on(dataset, _MAIN, {}))


def unstopped(profile: str) -> list[Plan]:
    """The full table of `sharing` on Beauty without early stopping, all 1000 epochs: what the stop decides."""
    dataset = {"smoke": "synthetic-smoke", "quick": "lastfm", "paper": "beauty"}[profile]
    config = dataclasses.replace(protocol("baco"), patience=0) if profile == "paper" else laptop(dataset)
    return per_seed(profile, dataset, "lightgcn", config, 3)


def sharing_laptop(profile: str) -> list[Plan]:
    """The same comparison at laptop scale: all methods at equal size, three seeds; quick and smoke: some of them."""
    if profile == "paper":
        return for_each(("lastfm", "beauty"), lambda dataset: _compared(profile, dataset, BASELINES, 3))
    return _compared(profile, small_dataset(profile), ("random-hash", "double-hash", "graphhash"), 3 if profile == "smoke" else 1)


def sharing_large(profile: str) -> list[Plan]:
    """Full, BACO and four baselines on re-split Gowalla and Yelp2018: what `sharing` plans there, at laptop scale; seed by seed."""
    if profile != "paper":
        return sharing_laptop(profile)

    def on(dataset: str) -> list[Plan]:
        names, config = ("lightgcn", "baco", *_MAIN), laptop(dataset)
        return for_each(names, lambda name: per_seed(profile, dataset, name, config, 3, paper_options(dataset, name)))

    return sorted(for_each(LARGE, on), key=lambda plan: plan.config.seed)


def _compared(profile: str, dataset: str, names: Iterable[str], seeds: int) -> list[Plan]:
    config, size = laptop(dataset), {} if dataset == "beauty" else {"ratio": RATIO}

    def shared(method: str, **options: Any) -> list[Plan]:
        free = method in ("infomap", "bimlpa", "brim")  # they choose the number of rows themselves
        return per_seed(profile, dataset, method, config, seeds, options if free else size | options)

    full = per_seed(profile, dataset, "lightgcn", config, seeds)
    return full + for_each((True, False), lambda scu: shared("baco", scu=scu)) + for_each(names, shared)


WEIGHTS = (
    ("degree", "released"), ("degree", "uniform"), ("degree", "degree"), ("uniform", "uniform"), ("sqrt", "sqrt"), ("log", "log"),
)  # fmt: skip
SWEEPS = (2, 3, 5, 8)  # one sweep leaves more rows than the size asks for
RATIOS = (0.05, 0.1, 0.2, 0.3)
SIZE = 0.2  # of the ablation: every variant's γ is searched for it


ORDERS = (2025, 2026, 2027, 2028, 2029)  # seeds of the orders in which BACO visits nodes (`cluster_seed`); the first is the official code's


def _at_size(profile: str, dataset: str, seeds: int, method: str = "baco", ratio: float = SIZE, **options: Any) -> list[Plan]:
    """A setting of the ablation."""
    return per_seed(profile, dataset, method, laptop(dataset), seeds, {"ratio": ratio} | options)


def _choices(profile: str, seeds: int, **fixed: Any) -> list[Plan]:
    """BACO's choices, one changed at a time, at equal size: weights × second rows; at paper scale also ghost volumes and sweeps."""
    dataset = small_dataset(profile)

    def changed(**options: Any) -> list[Plan]:
        return _at_size(profile, dataset, seeds, **options, **fixed)

    def weighted(user: str, item: str) -> list[Plan]:
        return for_each((True, False), lambda scu: changed(user_weight=user, item_weight=item, scu=scu))

    plans = for_each(WEIGHTS if profile == "paper" else WEIGHTS[:2], weighted)
    return plans + (changed(ghost=False) + for_each(SWEEPS, lambda sweeps: changed(sweeps=sweeps)) if profile == "paper" else [])


def weighting(profile: str) -> list[Plan]:
    """BACO at equal size: weights × SCU, ghost volumes, number of sweeps; and the curve over sizes beside GraphHash and random rows."""
    dataset, seeds = small_dataset(profile), 1 if profile == "quick" else 3
    full = per_seed(profile, dataset, "lightgcn", laptop(dataset), seeds)
    plans = full + _choices(profile, seeds)
    if profile != "paper":
        return plans
    methods = [(method, ratio) for ratio in RATIOS for method in ("baco", "graphhash", "random-hash")]
    return plans + for_each(methods, lambda method, ratio: _at_size(profile, dataset, seeds, method, ratio))


def weighting_orders(profile: str) -> list[Plan]:
    """The choices of `weighting`, every one under five orders of visits crossed with three seeds; order by order (smoke: three and two)."""
    if profile == "paper":
        return for_each(ORDERS, lambda order: _choices(profile, 3, cluster_seed=order))
    return for_each(ORDERS[:3], lambda order: _choices(profile, 2 if profile == "smoke" else 1, cluster_seed=order))


def weighting_orders_large(profile: str) -> list[Plan]:
    """Some of these choices on re-split Gowalla, five orders crossed with three seeds; order by order. Smaller profiles: none."""
    chosen = ({}, {"scu": False}, {"user_weight": "sqrt", "item_weight": "sqrt"}, {"item_weight": "uniform"}, {"sweeps": 3})

    def visited(order: int) -> list[Plan]:
        return for_each(chosen, lambda change: _at_size(profile, "gowalla-resplit", 3, cluster_seed=order, **change))

    return for_each(ORDERS, visited) if profile == "paper" else []

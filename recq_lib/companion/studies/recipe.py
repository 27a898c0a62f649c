"""The grids behind the fast recipe: its full-precision level on whole training splits, and what it was chosen by on validation."""

from __future__ import annotations

import dataclasses

from recq_lib.companion.studies.protocols import for_each, per_seed
from recq_lib.config import protocol
from recq_lib.runs.run import Plan

LARGE = ("ml1m", "gowalla", "yelp2018", "pinterest")
_DATASETS = {"smoke": ("synthetic-smoke",), "quick": ("lastfm",), "paper": LARGE}


def recipe(profile: str) -> list[Plan]:
    """LightGCN by the fast recipe on all of train, its length fixed in advance (published numbers are made so); three seeds."""
    config = protocol("fast", select_on="none")
    return for_each(_DATASETS[profile], lambda dataset: per_seed(profile, dataset, "lightgcn", config, 3))


def validated(profile: str) -> list[Plan]:
    """The recipe with a tenth of train held out, and variants of one setting each: what it was chosen by; seed 0."""
    config = protocol("fast")
    temperatures = [{"temperature": value} for value in (0.1, 0.15, 0.2)]
    changes = [{}, *temperatures, {"start": "normal"}, {"lr_decay": "none"}, {"epochs": 5}]
    configs = [dataclasses.replace(config, **change) for change in changes]
    return [Plan("lightgcn", dataset, profile, variant) for dataset in _DATASETS[profile] for variant in configs]

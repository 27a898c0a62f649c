"""What the grids share: settings for small data, the dataset of a small profile, and a plan per seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

Grid = Callable[[str], list[Plan]]  # profile → plans

# batch and length for a run of about a minute; λ of the families that were not tuned there
_SMALL: dict[str, dict[str, Any]] = {
    "synthetic-smoke": {"dim": 32, "batch_size": 512, "epochs": 20, "l2": 1e-2},
    "lastfm": {"batch_size": 2048, "epochs": 60, "l2": 1e-3},
    "beauty": {"batch_size": 4096, "epochs": 40, "l2": 1e-4},
}
SMALL = tuple(_SMALL)


def laptop(family: str, dataset: str, **changes: Any) -> TrainConfig:
    """The protocol `family` with `changes`, cut down for a small dataset; no early stopping (ours)."""
    return protocol(family, **({"eval_every": 4, "patience": 0} | _SMALL[dataset] | changes))


def small_dataset(profile: str) -> str:
    """The dataset of a profile that has only one."""
    return "synthetic-smoke" if profile == "smoke" else "lastfm"


def per_seed(
    profile: str, dataset: str, method: str, config: TrainConfig, seeds: int, options: Mapping[str, Any] | None = None
) -> list[Plan]:
    """One plan for each of the seeds 0, 1, …; `options` are the method's own."""
    config = dataclasses.replace(config, options=dict(options or {}))
    return [Plan(method, dataset, profile, dataclasses.replace(config, seed=seed)) for seed in range(seeds)]


def for_each(values: Iterable[Any], plans_of: Callable[..., list[Plan]]) -> list[Plan]:
    """The plans of every value, one after the other; a tuple gives several arguments."""
    return [plan for value in values for plan in plans_of(*(value if isinstance(value, tuple) else (value,)))]

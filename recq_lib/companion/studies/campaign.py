"""The grids that carry the papers' claims to large data: every method by the fast recipe, three seeds, the most telling runs first.

Runs train on all of train for a fixed length, as study `recipe` does. What had to be chosen was chosen on a tenth of ML-1M's train
that was held out (`warm_validated`), before test was looked at.
"""

from __future__ import annotations

import itertools
from typing import Any

from recq_lib.companion.studies.protocols import for_each, per_seed
from recq_lib.config import TrainConfig, protocol
from recq_lib.runs.run import Plan

SEEDS = 3
_TEACHER = {"teacher_epochs": protocol("fast").epochs, "teacher_lr": protocol("fast").lr}


def family(dim: int, **changes: Any) -> TrainConfig:
    """L²Q-GCN's model by the fast recipe: two layers side by side; K up to 100, as its authors' NDCG has it."""
    return protocol("fast", **({"dim": dim, "n_layers": 2, "readout": "concat", "ks": (10, 20, 50, 100), "select_on": "none"} | changes))


def warm_validated(profile: str) -> list[Plan]:
    """ML-1M, seed 0: length and step of students that start from the full-precision model, of hard and of annealed codes."""
    if profile != "paper":
        return []

    def student(method: str, epochs: int, lr: float) -> list[Plan]:
        config = family(64, select_on="val", epochs=epochs, lr=lr)
        return per_seed(profile, "ml1m", method, config, 1, {"warm_start": True} | _TEACHER)

    full = per_seed(profile, "ml1m", "lightgcn", family(64, select_on="val"), 1)
    return full + for_each(itertools.product(("l2q-gcn", "l2q-gcn-anl"), (10, 5), (5e-3, 1e-3)), student)

"""`search_quality.quality` of vectors that are trained here: what a file of `python -m recq_lib bench --only search-quality` holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from recq_lib.companion.bench.search_quality import quality
from recq_lib.config import TrainConfig, protocol
from recq_lib.data.interactions import Interactions
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer


def trained(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Rows of part "search quality": `quality` of LightGCN by the fast recipe (d = 64, L = 3) from a rotated start.
    `repeats` is not used: the times beside Recall are `quality`'s own.
    """
    found = quality(*vectors(data, protocol("fast", start="rotated")), data)
    ours = next(row["milliseconds"] for row in found if row["method"] == "recq, 1 bit")
    same = {"part": "search quality", "items": data.n_items, "at_once": 64}
    return [same | row | _timed(row, ours) for row in found]


def _timed(row: dict[str, Any], ours: float) -> dict[str, Any]:
    seconds = dict.fromkeys(("median", "low", "high"), row["milliseconds"] / 1e3)
    return {"contender": row["method"], **seconds, "ratio": row["milliseconds"] / ours}


def vectors(data: Interactions, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """(users [U, d], items [I, d]) of LightGCN after all epochs of `config`, float32."""
    trainer = Trainer(build("lightgcn", data, config), data, config)
    for _ in range(config.epochs):
        trainer.timed_epoch()
        trainer.epoch += 1
    users, items = trainer.model.embeddings()
    return users.detach().numpy(), items.detach().numpy()

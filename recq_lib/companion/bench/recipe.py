"""Time to quality: the fast recipe beside BPR, each a curve of Recall@20 on a validation cut over seconds of training."""

from __future__ import annotations

import time
from typing import Any

from recq_lib.config import TrainConfig, protocol
from recq_lib.data.interactions import Interactions
from recq_lib.data.splits import with_validation
from recq_lib.evaluation.ranking import evaluate
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer

BPR_TIME = 3.0  # BPR trains so many times as long as the recipe took
_POINTS = 12  # evaluations of BPR: its epochs are many


def time_to_quality(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Rows with a `curve` each: epochs, seconds of training (start included, evaluation not), Recall@20 on validation.

    Same model (LightGCN, d = 64, L = 3), same cut, same process. The recipe runs to its end, LightGCN's protocol `BPR_TIME` times as long.
    """
    data = with_validation(data)
    fast = curve(data, protocol("fast"))
    limit = BPR_TIME * fast[-1]["seconds"]
    bpr = curve(data, protocol("lightgcn"), limit=limit, every=limit / _POINTS)
    return [{"part": "time to quality", "contender": name, "curve": points} for name, points in (("fast recipe", fast), ("BPR", bpr))]


def curve(data: Interactions, config: TrainConfig, *, limit: float = float("inf"), every: float = 0.0) -> list[dict[str, float]]:
    """{"epoch", "seconds", "recall@20"} before training and then after the first epoch that ends `every` seconds later, up to `limit`."""
    started = time.perf_counter()
    trainer = Trainer(build("lightgcn", data, config), data, config)
    trainer.seconds = time.perf_counter() - started  # singular vectors are not free
    points = [{"epoch": 0, "seconds": trainer.seconds, "recall@20": _recall(trainer)}]
    while trainer.epoch < config.epochs and trainer.seconds < limit:
        trainer.timed_epoch()
        trainer.epoch += 1
        last = trainer.epoch == config.epochs or trainer.seconds >= limit
        if last or trainer.seconds - points[-1]["seconds"] >= every:
            points.append({"epoch": trainer.epoch, "seconds": trainer.seconds, "recall@20": _recall(trainer)})
    return points


def _recall(trainer: Trainer) -> float:
    return evaluate(trainer.model, trainer.data, ks=(20,), split="val", mask=("train",)).values["recall@20"]

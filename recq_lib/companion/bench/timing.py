"""Timing side by side: contenders take turns, so that a slow minute of the machine hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Median and quartiles in seconds over `repeats` calls."""

    median: float
    low: float
    high: float
    repeats: int

    @classmethod
    def of(cls, seconds: list[float]) -> Timing:
        low, median, high = np.percentile(seconds, [25, 50, 75])
        return cls(float(median), float(low), float(high), len(seconds))


def take_turns(contenders: Mapping[str, Callable[[], Any]], repeats: int, slow: tuple[str, ...] = ()) -> dict[str, Timing]:
    """Call every contender once to warm up, then `repeats` times in turn; those named `slow` run once after one warm-up at most.

    A `slow` contender (seconds to minutes per call) is timed on its first call: its compilation share is negligible.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for name, call in contenders.items():
        if name not in slow:
            call()
    for turn in range(repeats):
        for name, call in contenders.items():
            if name in slow and turn > 0:
                continue
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing.of(values) for name, values in seconds.items()}


def table(part: str, timings: Mapping[str, Timing], *, ours: str = "recq") -> list[dict[str, Any]]:
    """Rows with the ratio to ours: 8.0 means that the contender takes eight times as long."""
    base = timings[ours].median
    return [{"part": part, "contender": name, **asdict(timing), "ratio": timing.median / base} for name, timing in timings.items()]

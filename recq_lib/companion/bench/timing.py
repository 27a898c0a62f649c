"""Timing side by side: contenders take turns, so that a slow minute of the machine hits all of them."""

from __future__ import annotations

import math
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


def latencies(
    contenders: Mapping[str, Callable[[int], Any]], queries: int, limit: float = math.inf, rounds: int = 10
) -> dict[str, list[float]]:
    """Seconds of each query, `queries` in all: in every round a contender answers its share in one go; a call gets the query's number.

    One go, because a server answers one query after the other, its data in the caches and its threads awake. A contender that would take
    longer than `limit` seconds in all answers fewer, but one a round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    share = {}
    for name, call in contenders.items():
        call(0)
        start = time.perf_counter()
        call(1)
        share[name] = max(1, int(min(-(-queries // rounds), limit / rounds / (time.perf_counter() - start))))
    for _ in range(rounds):
        for name, call in contenders.items():
            for _ in range(share[name]):
                start = time.perf_counter()
                call(len(seconds[name]))
                seconds[name].append(time.perf_counter() - start)
    return seconds


def table(part: str, timings: Mapping[str, Timing], *, ours: str = "recq") -> list[dict[str, Any]]:
    """Rows with the ratio to ours: 8.0 means that the contender takes eight times as long."""
    base = timings[ours].median
    return [{"part": part, "contender": name, **asdict(timing), "ratio": timing.median / base} for name, timing in timings.items()]

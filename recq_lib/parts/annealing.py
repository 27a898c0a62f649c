"""Annealing schedules as data: a temperature (or a slope, or a probability) for every epoch, from the epoch's number alone.

Depending on nothing else, a schedule needs no state: a resumed run continues where it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recq_lib.errors import ConfigError, one_of

KINDS = ("none", "linear", "cosine", "exponential", "doubling", "root")


@dataclass(frozen=True)
class Schedule:
    """`start` during the first `hold` of all epochs, then towards `end` over the next `span`, then `end`.

    Parameters
    ----------
    kind :
        "none": `start` always;
        "linear", "cosine": by difference;
        "exponential": by a constant factor per epoch (the schedule in BiGeaR's `utils`; its constants are unknown, ours are the defaults);
        "doubling": 1/value doubles from stage to stage, stages of equal length (HashNet, Cao et al., ICCV 2017);
        "root": start/√(1 + 10e) at epoch e, without hold, span or end (CIGAR's official code)
    hold, span : fractions of the run, in [0, 1]
    """

    kind: str = "exponential"
    start: float = 1.0
    end: float = 0.1
    hold: float = 0.2
    span: float = 0.5

    def __post_init__(self) -> None:
        one_of("schedule", self.kind, KINDS)
        for name in ("hold", "span"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"schedule: {name} is {getattr(self, name)}, but is a fraction of the run, from 0 to 1")
        if self.kind in ("exponential", "doubling") and not (self.start > 0 and self.end > 0):
            raise ConfigError(f"schedule {self.kind!r} multiplies, so start ({self.start}) and end ({self.end}) must be positive")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Schedule:
        """The schedule that a method's flat options describe: `schedule`, `start`, `end`, `hold`, `span`."""
        return cls(options["schedule"], options["start"], options["end"], options["hold"], options["span"])

    def __call__(self, epoch: int, epochs: int) -> float:
        """The value at 0-based `epoch` of a run of `epochs`."""
        if self.kind == "none":
            return self.start
        if self.kind == "root":
            return self.start / math.sqrt(1 + 10 * epoch)
        progress = self.progress(epoch, epochs)
        if self.kind == "linear":
            return self.start + (self.end - self.start) * progress
        if self.kind == "cosine":
            return self.end + (self.start - self.end) * (1 + math.cos(math.pi * progress)) / 2
        ratio = self.end / self.start
        if self.kind == "exponential":
            return self.start * ratio**progress
        stages = max(1, math.ceil(abs(math.log2(ratio))))  # the last stage lands on `end`, which need not be a power of two away
        stage = math.floor(progress * stages) if progress < 1 else stages
        return self.end if stage == stages else self.start * 2.0 ** math.copysign(stage, math.log2(ratio))

    def progress(self, epoch: int, epochs: int) -> float:
        """0 while holding, then rising evenly to 1 at the end of the span."""
        begin, length = self.hold * epochs, self.span * epochs
        if epoch < begin:
            return 0.0
        return 1.0 if length == 0 else min(1.0, (epoch - begin) / length)

    def done(self, epoch: int, epochs: int) -> bool:
        """Has the value arrived at `end`?"""
        return self.kind not in ("none", "root") and self.progress(epoch, epochs) >= 1.0


SCHEDULES: dict[str, Schedule] = {
    "none": Schedule("none"),
    "hold-exponential": Schedule("exponential"),
    "linear": Schedule("linear"),
    "cosine": Schedule("cosine"),
    "doubling": Schedule("doubling"),
    "root": Schedule("root"),
}

"""`Found`: how the rows of a `Sharing` were found, beside the rows themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Found:
    """What a method says of the rows it found; each fills in what it has.

    Attributes
    ----------
    method : name of the method, or of the function that found the rows
    dataset : name of the data
    settings : every setting, with the value that a search chose (BACO: "gamma")
    seconds : wall time, of all evaluations where a setting was searched for; compilation counts if it is the first call
    tried : (setting, size) of every evaluation of a search, in order; the size is rows, or for BACO's γ parameters
    objective : what the method raises, at the start and after each iteration; empty where it has none
    sweeps : (user rows, item rows) after each sweep of label propagation
    labels [n_nodes] int32 : the co-cluster of every node, users first; a label may be on one side only
    asked : parameters that were asked for, to stand beside those that the rows have; None where no size was set
    """

    method: str = ""
    dataset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    tried: tuple[tuple[float, int], ...] = ()
    objective: tuple[float, ...] = ()
    sweeps: tuple[tuple[int, int], ...] = ()
    labels: np.ndarray | None = None
    asked: int | None = None

    @property
    def gamma(self) -> float | None:
        """BACO's γ; None for other methods."""
        return self.settings.get("gamma")

    def as_json(self) -> str:
        """Everything but the labels, which are an array."""
        facts = {"method": self.method, "dataset": self.dataset, "settings": dict(self.settings), "seconds": self.seconds}
        facts |= {} if self.asked is None else {"asked": self.asked}
        series = {name: getattr(self, name) for name in ("tried", "objective", "sweeps")}
        return json.dumps(facts | series, default=lambda value: value.item())  # numpy's numbers

    @classmethod
    def from_json(cls, text: str, labels: np.ndarray | None = None) -> Found:
        """What `as_json` wrote. Raises `ValueError`, `KeyError` or `TypeError` for another text."""
        facts = json.loads(text)
        asked = facts["asked"] if "asked" in facts else None  # older files have none
        pairs = {name: tuple((first, int(second)) for first, second in facts[name]) for name in ("tried", "sweeps")}
        return cls(
            str(facts["method"]), str(facts["dataset"]), dict(facts["settings"]), float(facts["seconds"]),
            objective=tuple(map(float, facts["objective"])), labels=labels, asked=None if asked is None else int(asked), **pairs,
        )  # fmt: skip

"""`Method`: all that is known of a method, in one entry at the end of its file. `runs.registry` finds the entries by themselves.

A module of `papers/` or `baselines/` lists its entries as `METHODS = (Method(…), …)`. Command line, studies, packing, bytes, colours and
reports read what they need from there, so that a new method touches its own file and its test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.parts.model import Recommender
from recq_lib.sharing.sharing import Sharing

Builder = Callable[[Interactions, TrainConfig, Recommender | None], object]
Teacher = Callable[[TrainConfig], tuple[str, TrainConfig] | None]
Sharer = Callable[[Interactions, TrainConfig], Sharing]


def no_teacher(config: TrainConfig) -> None:
    """For methods that start from nothing."""


FAMILIES = ("full precision", "one bit", "b bits", "shared rows", "simple")
KINDS = ("trained", "derived", "closed_form")


@dataclass(frozen=True)
class Method:
    """How a method is built, shown and quoted.

    name, title : as in commands and records; as in tables and figures
    family : one of `FAMILIES`; it decides the colour
    kind : "trained" (by `training.trainer.fit`), "derived" (from a trained teacher, ready when built), "closed_form" (scores blocks, ready)
    build : (data, configuration with all options, teacher or None) → model
    options : names and defaults of the settings only this method has, `TrainConfig.options`
    teacher : from the resolved configuration to (method, configuration) of the trained model it starts from, or None
    share : for methods that share rows: (data, configuration with all options) → the rows of every node
    marker : matplotlib's name of its mark; colour : of the companion's palette, where it is not the family's
    published : paper → the name under which that paper's tables list it, where it is not `name`

    Raises `ConfigError` for an unknown family or kind.
    """

    name: str
    title: str
    family: str
    kind: str
    build: Builder
    options: Mapping[str, Any] = field(default_factory=dict)
    teacher: Teacher = no_teacher
    share: Sharer | None = None
    marker: str = "o"
    colour: str | None = None
    published: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of(f"family of method {self.name!r}", self.family, FAMILIES)
        one_of(f"kind of method {self.name!r}", self.kind, KINDS)
        if not self.name or self.name != self.name.strip().lower():
            raise ConfigError(f"method name is {self.name!r}, but must be lower-case text without spaces around it")

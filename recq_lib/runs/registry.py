"""Methods by name: `build("lightgcn", data, config)` gives a model, trained or not.

Entries are found by themselves: every module of `recq_lib.papers` and `recq_lib.baselines` may list some as `METHODS` (see `parts.method`).
`register` adds one from anywhere else.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from types import ModuleType

from recq_lib import baselines, papers
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.evaluation.scorers import BlockScorer
from recq_lib.parts.method import FAMILIES, Method, Sharer
from recq_lib.parts.model import Recommender
from recq_lib.runs.sizes import check_fits


def _entries(package: ModuleType) -> list[Method]:
    """Of every module below `package`, in the order of their names."""
    modules = (importlib.import_module(found.name) for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
    return [entry for module in modules for entry in getattr(module, "METHODS", ())]


METHODS: dict[str, Method] = {}


def register(entry: Method) -> Method:
    """Add a method, for this process. Raises `ConfigError` if its name is taken."""
    if entry.name in METHODS:
        raise ConfigError(f"method {entry.name!r} is registered already ({METHODS[entry.name].title}); choose another name")
    METHODS[entry.name] = entry
    return entry


for _entry in sorted(_entries(papers) + _entries(baselines), key=lambda entry: FAMILIES.index(entry.family)):
    register(_entry)


def method(name: str) -> Method:
    return METHODS[one_of("method", name, tuple(METHODS))]


def sharer(name: str) -> Sharer:
    """What finds the rows of a method that shares them: (data, configuration with all options) → `Sharing`.

    Raises `ConfigError` for another method, and for CCE and LEGCF, whose rows are only found while training.
    """
    able = tuple(entry.name for entry in METHODS.values() if entry.share is not None)
    return METHODS[one_of("sharing method", name, able)].share


def resolve(name: str, config: TrainConfig | None = None) -> TrainConfig:
    """`config` with the method's default options filled in, so that a record says all that was used. Raises `ConfigError` on others."""
    config, defaults = config or TrainConfig(), method(name).options
    for option, value in config.options.items():
        if not defaults:
            raise ConfigError(f"method {name!r} has no options of its own, but option {option!r} was given; drop it")
        default = defaults[one_of(f"option of {name!r}", option, tuple(defaults))]
        if type(value) is not type(default) and not (type(default) is float and type(value) is int):
            raise ConfigError(f"option {option} of {name!r} is {value!r}, but must be of type {type(default).__name__}, like {default!r}")
    options = {option: type(default)(config.options.get(option, default)) for option, default in defaults.items()}
    return dataclasses.replace(config, options=options)


def teacher_of(name: str, config: TrainConfig) -> tuple[str, TrainConfig] | None:
    """(method, configuration) of the trained model that a run starts from, or None if it starts from nothing.

    It has the same data, seed, width, depth and batches; option `teacher_epochs` or `teacher_lr` gives it a length or step of its own.
    """
    return method(name).teacher(resolve(name, config))


def build(
    name: str, data: Interactions, config: TrainConfig | None = None, teacher: Recommender | None = None
) -> Recommender | BlockScorer:
    """The method `name` on `data`: an untrained `Recommender`, or a scorer that is ready to rank (MostPop and its like).

    Parameters
    ----------
    config : settings, with `options` for those that only this method has; default `TrainConfig()`
    teacher : the trained model to start from, for a method that starts from one (`teacher_of` tells; `runs.run` trains it by itself)

    Raises `ConfigError` for an unknown method or option, where a teacher is missing, and for sizes beyond this machine's memory.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic")
    >>> config = recq.TrainConfig(dim=64, n_layers=2, epochs=2, eval_every=1)
    >>> teacher = recq.build("lightgcn", data, config)
    >>> result = recq.fit(teacher, data)
    >>> student = recq.build("ptq-sign", data, config, teacher)  # its signs, no further training
    >>> student.n_bytes()["stored"] < teacher.n_bytes()["stored"]
    True
    """
    config = resolve(name, config)
    if teacher is None and teacher_of(name, config) is not None:
        raise ConfigError(f"method {name!r} starts from a trained model; pass teacher=, or let runs.run train it")
    check_fits(method(name), data, config)
    return method(name).build(data, config, teacher)

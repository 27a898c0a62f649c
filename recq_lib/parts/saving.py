"""Models as files: tensors beside the recipe of every part, in one safetensors file with a digest over both (ours).

A part remembers the arguments it was made from. They are written as JSON; arrays among them, and the rows of a `Sharing`, as tensors.
Reading makes each part again from its class and arguments and then fills in the parameters. Only classes of this library, or parts that
the process has defined itself, are made: a file names classes, it never brings code.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.config import TrainConfig
from recq_lib.data.checks import check_csr
from recq_lib.data.id_bytes import decode_ids, encode_ids
from recq_lib.errors import ConfigError, RecordError
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.protocols import Encoder, Part, Readout, Table
from recq_lib.parts.tensor_file import damaged, read_tensors, write_tensors
from recq_lib.sharing.sharing import Sharing

if TYPE_CHECKING:
    from recq_lib.parts.model import Recommender

_KIND = "recq.model"
_PARTS = ("table", "encoder", "readout")
_LIBRARY = "recq_lib."


@dataclass(frozen=True)
class Saved:
    """What a file holds; `state` are the parameters and buffers of the model, `config` its settings where it can be trained on."""

    graph: Graph
    table: Table
    encoder: Encoder
    readout: Readout
    user_ids: np.ndarray | None
    item_ids: np.ndarray | None
    config: TrainConfig | None
    state: dict[str, torch.Tensor]


# ---- writing ----------------------------------------------------------------------------------------------------------------


def write(model: Recommender, path: Path) -> Path:
    """See `Recommender.save`."""
    writer = _Writer(model)
    parts = {name: writer.part(getattr(model, name)) for name in _PARTS}
    matrix = model.graph.interactions()
    tensors = {f"state.{name}": tensor.detach().cpu() for name, tensor in _state(model).items()} | writer.tensors
    tensors |= {"graph.indptr": torch.from_numpy(matrix.indptr), "graph.indices": torch.from_numpy(matrix.indices)}
    for name, ids in (("user_ids", model.user_ids), ("item_ids", model.item_ids)):
        if ids is not None:
            tensors[name] = torch.from_numpy(encode_ids(name, ids))
    config = None
    if model.config is not None and model.auxiliary is None:  # without its auxiliary loss a model would be trained to another end
        config = {"params": writer.value(model.config.params(), "config"), "seed": model.config.seed}
    return write_tensors(path, _KIND, {"shape": list(matrix.shape), "parts": parts, "config": config}, tensors)


def _state(model: Recommender) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("auxiliary.")}


class _Writer:
    """Arguments as JSON, with the arrays among them gathered in `tensors`."""

    def __init__(self, model: Recommender) -> None:
        self.model, self.tensors = model, {}

    def part(self, part: Part) -> dict[str, Any]:
        args, kwargs = part.recipe
        where = type(part).__qualname__
        return {
            "class": f"{type(part).__module__}:{where}",
            "args": [self.value(value, where) for value in args],
            "kwargs": {name: self.value(value, where) for name, value in kwargs.items()},
        }

    def value(self, value: Any, where: str) -> Any:
        if type(value) is float and not math.isfinite(value):
            return {"float": repr(value)}  # JSON has none of these
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, torch.Generator):
            return None  # it drew a start that the parameters replace
        if isinstance(value, np.generic):
            return self.value(value.item(), where)
        if isinstance(value, (list, tuple)):
            return {"list" if isinstance(value, list) else "tuple": [self.value(entry, where) for entry in value]}
        if isinstance(value, dict) and all(isinstance(name, str) for name in value):
            return {"dict": {name: self.value(entry, where) for name, entry in value.items()}}
        if isinstance(value, (np.ndarray, torch.Tensor)):
            return {"tensor": self.keep(value, where), "numpy": isinstance(value, np.ndarray)}
        if isinstance(value, Sharing):
            rows = {side: self.keep(getattr(value, side), where) for side in ("users", "items")}
            return {"sharing": rows | {"sizes": [value.n_user_rows, value.n_item_rows], "combine": value.combine}}
        if value is self.model.table:
            return {"same": "table"}
        if isinstance(value, Part):
            return {"part": self.part(value)}
        if dataclasses.is_dataclass(value) and type(value).__module__.startswith(_LIBRARY):
            fields = {field.name: self.value(getattr(value, field.name), where) for field in dataclasses.fields(value)}
            return {"dataclass": f"{type(value).__module__}:{type(value).__qualname__}", "fields": fields}
        raise _unwritable(where, "a dict with other keys than texts" if isinstance(value, dict) else f"a {type(value).__name__}")

    def keep(self, values: np.ndarray | torch.Tensor, where: str) -> str:
        if isinstance(values, np.ndarray) and values.dtype.kind not in "biuf":
            raise _unwritable(where, f"an array of {values.dtype}")
        name = f"argument.{len(self.tensors)}"
        self.tensors[name] = values.detach().cpu() if isinstance(values, torch.Tensor) else torch.tensor(values)
        return name


def _unwritable(where: str, what: str) -> ConfigError:
    rule = "which cannot be written to a file; make it from numbers, texts, arrays or other parts"
    return ConfigError(f"{where} was made from {what}, {rule}")


# ---- reading ----------------------------------------------------------------------------------------------------------------


def read(path: Path) -> Saved:
    """Everything in the file, its parts made again but not yet filled. Raises `RecordError`."""
    header, tensors = read_tensors(path, _KIND)
    try:
        (n_users, n_items), parts = header["shape"], header["parts"]
        indptr, indices = (tensors.pop(f"graph.{name}").numpy() for name in ("indptr", "indices"))
        matrix = _interactions(indptr, indices, (n_users, n_items))
        ids = {name: decode_ids(tensors.pop(name).numpy()) if name in tensors else None for name in ("user_ids", "item_ids")}
        made: dict[str, Any] = {}
        with torch.random.fork_rng(devices=[]):  # starts are drawn and thrown away
            for name, kind in zip(_PARTS, (Table, Encoder, Readout), strict=True):
                made[name] = _Reader(tensors, made).part(parts[name], kind)
        state = {name.removeprefix("state."): tensor for name, tensor in tensors.items() if name.startswith("state.")}
        return Saved(Graph.from_matrix(matrix), **made, **ids, config=_config(header["config"]), state=state)
    except RecordError as error:
        raise RecordError(f"model file {path}: {error}") from error
    except Exception as error:  # whatever a foreign header leads to, it means the same here
        raise damaged(path, f"{type(error).__name__}: {error}") from error


def _interactions(indptr: np.ndarray, indices: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    """The matrix, checked in full: the kernels that build a graph from it trust it. Raises `ValueError`."""
    if indptr.dtype not in (np.int32, np.int64) or indices.dtype != np.int32:
        raise ValueError(f"the graph has {indptr.dtype} and {indices.dtype}, but must have whole numbers")
    matrix = sp.csr_matrix((np.ones(indices.size, np.float32), indices, indptr), shape=shape)
    matrix.check_format(full_check=True)
    check_csr("graph", "train", matrix)  # sorted, each pair once
    matrix.has_sorted_indices = True
    return matrix


def _config(saved: dict[str, Any] | None) -> TrainConfig | None:
    return None if saved is None else TrainConfig.from_params(_Reader({}, {}).value(saved["params"]), saved["seed"])


def fill(model: Recommender, saved: Saved, path: Path) -> None:
    """Put the saved parameters into `model`."""
    try:
        model.load_state_dict(saved.state)
    except RuntimeError as error:
        raise damaged(path, str(error)) from error


class _Reader:
    """Arguments from JSON; `made` are the parts of the model that exist already."""

    def __init__(self, tensors: dict[str, torch.Tensor], made: dict[str, Any]) -> None:
        self.tensors, self.made = tensors, made

    def part(self, recipe: dict[str, Any], kind: type[Part]) -> Part:
        cls = _class(recipe["class"])
        if not (isinstance(cls, type) and issubclass(cls, kind)):
            raise RecordError(f"{recipe['class']} is no {kind.__name__.lower()} of a model; the file is damaged or foreign")
        args = [self.value(value) for value in recipe["args"]]
        return cls(*args, **{name: self.value(value) for name, value in recipe["kwargs"].items()})

    def value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind, content = next(iter((name, value[name]) for name in _KINDS if name in value))
        return getattr(self, f"_{kind}")(content, value)

    def _float(self, content, _) -> float:
        return float(content)

    def _list(self, content, _) -> list:
        return [self.value(entry) for entry in content]

    def _tuple(self, content, _) -> tuple:
        return tuple(self._list(content, _))

    def _dict(self, content, _) -> dict:
        return {name: self.value(entry) for name, entry in content.items()}

    def _tensor(self, content, value) -> np.ndarray | torch.Tensor:
        return self.tensors[content].numpy() if value["numpy"] else self.tensors[content]

    def _sharing(self, content, _) -> Sharing:
        rows = (self.tensors[content[side]].numpy() for side in ("users", "items"))
        return Sharing(*rows, *content["sizes"], content["combine"])

    def _same(self, content, _) -> Part:
        return self.made[content]

    def _part(self, content, _) -> Part:
        return self.part(content, Part)

    def _dataclass(self, content, value) -> Any:
        cls = _class(content)
        if not (dataclasses.is_dataclass(cls) and content.startswith(_LIBRARY)):
            raise RecordError(f"{content} is no setting of this library; the file is damaged or foreign")
        return cls(**self._dict(value["fields"], None))


_KINDS = ("float", "list", "tuple", "dict", "tensor", "sharing", "same", "part", "dataclass")


def _class(name: str) -> Any:
    """A class of this library by name, or a part that this process has defined."""
    module, _, qualified = name.partition(":")
    known = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in _subclasses(Part)}
    if name not in known and module.startswith(_LIBRARY):
        found = importlib.import_module(module)
        return getattr(found, qualified)
    if name not in known:
        raise RecordError(f"the model has a part {name}, which is not defined in this process; import the module that defines it first")
    return known[name]


def _subclasses(cls: type) -> list[type]:
    return [each for sub in cls.__subclasses__() for each in (sub, *_subclasses(sub))]

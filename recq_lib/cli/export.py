"""`recq export`: a trained model, or vectors from anywhere, as an index to be searched."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tyro.conf import arg

from recq_lib.codes.index import Index
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError, RecordError
from recq_lib.io.output import output_file, show

_OF_VECTORS = ("items", "user_ids", "item_ids")
_OneSource = tyro.conf.create_mutex_group(required=True, title="source")
_Npy = Annotated[Path | None, arg(metavar="FILE.npy")]
_Ids = Annotated[Path | None, arg(metavar="FILE")]


@dataclass(frozen=True)
class Export:
    """Write an index, from which `recq search` and `recq recommend` answer: codes, own ids, and what users have already."""

    output: Annotated[Path, arg(metavar="FILE.index")]  # the file to write
    model: Annotated[Path | None, _OneSource, arg(metavar="FILE.safetensors")] = None  # what `recq train --output` or model.save wrote
    users: Annotated[Path | None, _OneSource, arg(metavar="FILE.npy")] = None  # vectors of users [U, d], with --items
    items: _Npy = None  # with --users: vectors of items [I, d]
    user_ids: _Ids = None  # with --users: own ids, one for each vector: .npy, or text with one id a line
    item_ids: _Ids = None  # with --users: the same for items
    bits: int | None = None  # pack vectors with so many bits, 1 to 8; a model with codes of its own needs none
    no_seen: bool = False  # with --model: leave out what users have already; `recq recommend` then recommends it again
    tie_seed: int = 0  # of the order that decides between equal scores
    json: bool = False  # print JSON

    def run(self) -> None:
        target = output_file(self.output)
        index = self._of_vectors() if self.model is None else self._of_model()
        index.save(target)
        sizes = _sizes(index, target)
        show(sizes, _told(index, sizes), as_json=self.json)

    def _of_model(self) -> Index:
        from recq_lib.parts.model import Recommender  # with PyTorch, which vectors do not need
        from recq_lib.runs.export import index_of

        given = [field.name for field in fields(self) if field.name in _OF_VECTORS and getattr(self, field.name) is not None]
        if given:
            raise ConfigError(f"--{given[0].replace('_', '-')} belongs to --users; a model brings its own, leave it out")
        return index_of(Recommender.load(self.model), bits=self.bits, seen=not self.no_seen, tie_seed=self.tie_seed)

    def _of_vectors(self) -> Index:
        for name, value in (("--items", self.items), ("--bits", self.bits)):
            if value is None:
                raise ConfigError(f"vectors need {name} as well: --users FILE.npy --items FILE.npy --bits N, N from 1 to 8")
        if self.no_seen:
            raise ConfigError("--no-seen belongs to --model; vectors do not tell what users have already, leave it out")
        codes = pack(_array(self.users), _array(self.items), self.bits)
        return Index.of(codes, user_ids=_ids(self.user_ids), item_ids=_ids(self.item_ids), tie_seed=self.tie_seed)


def _array(path: Path) -> np.ndarray:
    """The array in an .npy file, mapped. Raises `RecordError`."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(f"{path} cannot be read as an .npy file ({_why(error)}); write it with numpy.save") from error
    if not isinstance(values, np.ndarray):
        raise RecordError(f"{path} holds several arrays; give an .npy file with one, written with numpy.save")
    return values


def _ids(path: Path | None) -> np.ndarray | list[str] | None:
    """Own ids from an .npy file or from lines of text. Raises `RecordError`."""
    if path is None or path.suffix == ".npy":
        return None if path is None else _array(path)
    try:
        with open(path, encoding="utf-8") as file:
            return [line.removesuffix("\n") for line in file]
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read as text ({_why(error)}); give one id a line, in UTF-8") from error


def _why(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:120]


def _sizes(index: Index, path: Path) -> dict[str, Any]:
    form, parts = index.items.form, index.n_bytes()
    a_node, float_node = parts["codes"] / (index.n_users + index.n_items), 4 * form.dim
    return {
        "path": str(path), "users": index.n_users, "items": index.n_items, "bits": form.bits, "segments": len(index.factors),
        "dim": form.dim, "file_bytes": path.stat().st_size, **{f"{name}_bytes": size for name, size in parts.items()},
        "bytes_per_node": a_node, "float32_bytes_per_node": float_node, "times_smaller": float_node / a_node,
    }  # fmt: skip


def _told(index: Index, sizes: dict[str, Any]) -> str:
    return (
        f"{sizes['path']}: {index}\n"
        f"codes: {sizes['bytes_per_node']:.1f} bytes a node, {sizes['times_smaller']:.1f} times smaller than a float32 vector of "
        f"{sizes['dim']} ({sizes['float32_bytes_per_node']:,} bytes)\n"
        f"bytes: file {sizes['file_bytes']:,}, of it codes {sizes['codes_bytes']:,}, own ids {sizes['names_bytes']:,}, "
        f"what users have already {sizes['seen_bytes']:,}"
    )

"""What a model is made of, as one digest: whether a checkpoint may be continued is decided by content, not by how parts print (ours)."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from recq_lib.graph.adjacency import Graph
from recq_lib.parts.protocols import Part
from recq_lib.sharing.sharing import Sharing


def digest_of(parts: Iterable[Part]) -> str:
    """SHA-256 (hex) over class and arguments of every part; arrays, rows and random streams among them by content.

    Ask before training: a start that was handed over may be trained in place.
    """
    digest = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    """The value as bytes; values that differ give other bytes."""
    yield type(value).__name__.encode()
    if isinstance(value, Part):
        yield from _pieces(list(value.recipe))
    elif isinstance(value, torch.Tensor):
        yield from _pieces(value.detach().cpu().numpy())
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes()
    elif isinstance(value, torch.Generator):
        yield str(value.initial_seed()).encode()
    elif isinstance(value, Sharing):  # not how long it took to find
        yield from _pieces([value.users, value.items, value.n_user_rows, value.n_item_rows, value.combine])
    elif isinstance(value, Graph):
        yield str(value.n_nodes).encode()  # its interactions are the data, whose fingerprint is compared as well
    elif isinstance(value, nn.Module):
        yield from _pieces(value.state_dict())
    elif isinstance(value, Mapping):
        yield from _pieces([entry for pair in value.items() for entry in pair])
    elif isinstance(value, (list, tuple)):
        yield str(len(value)).encode()
        for entry in value:
            yield from _pieces(entry)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _pieces({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif value is None or isinstance(value, (bool, int, float, str, np.generic)):
        yield repr(value).encode()
    else:  # a function or a class of one's own: its name
        yield getattr(value, "__qualname__", type(value).__qualname__).encode()

"""Own ids as bytes and back, the same way in every file that keeps some (ours).

The bytes are JSON: the kind of the ids, their dtype where numpy has one, and the values. So text may have any length and any character,
whole numbers keep their dtype, dates their unit, and nothing is pickled.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from recq_lib.data.ids import shown
from recq_lib.errors import ConfigError


def id_array(name: str, ids: object) -> np.ndarray:
    """A read-only copy of ids [n]: whole numbers and dates in their own dtype, everything else as pandas has it, text as objects.

    Raises `ConfigError` for what is no flat list of ids, and for an id that occurs twice.
    """
    try:
        if isinstance(ids, np.ndarray) and ids.ndim == 1 and ids.dtype.kind in "iuM":  # pandas knows but some of the units of dates
            own = ids.astype(ids.dtype.newbyteorder("="))
        else:
            index = pd.Index(ids, tupleize_cols=False)  # a tuple is one id
            own = index.to_numpy(object if pd.api.types.is_string_dtype(index.dtype) else None, copy=True)
        again = pd.Index(own.view(np.int64) if own.dtype.kind == "M" else own, tupleize_cols=False).duplicated()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is a {type(ids).__name__} ({' '.join(str(error).split())}); pass a flat list of ids") from error
    if again.any():
        raise ConfigError(f"{name} holds {shown(own[again][0])} twice; ids must be distinct")
    own.setflags(write=False)
    return own


def encode_ids(name: str, ids: object) -> np.ndarray:
    """Ids [n] as bytes, uint8 [m]. Raises `ConfigError` for ids that are neither text nor whole numbers nor dates.

    >>> decode_ids(encode_ids("user_ids", ["ann", "bob"]))
    array(['ann', 'bob'], dtype=object)
    """
    own = id_array(name, ids)
    if own.dtype.kind in "iu":
        content = {"kind": "number", "dtype": own.dtype.name, "values": own.tolist()}
    elif own.dtype.kind == "M":
        content = {"kind": "date", "dtype": own.dtype.name, "values": own.view(np.int64).tolist()}
    elif own.dtype == object and all(isinstance(key, str) for key in own):
        content = {"kind": "text", "values": own.tolist()}
    else:
        kinds = f" of {type(own[0]).__name__}" if own.dtype == object else ""
        rule = "which cannot be written; pass texts, whole numbers or dates, such as ids.astype(str)"
        raise ConfigError(f"{name} has dtype {own.dtype}{kinds}, {rule}")
    return np.frombuffer(json.dumps(content).encode(), np.uint8).copy()


def decode_ids(content: np.ndarray) -> np.ndarray:
    """What `encode_ids` was given. Raises `ValueError` for other bytes."""
    if content.dtype != np.uint8 or content.ndim != 1:
        raise ValueError(f"ids are {content.dtype} of shape {content.shape}, not bytes")
    try:
        facts = json.loads(content.tobytes())
        return _of_kind(facts["kind"], facts.get("dtype"), facts["values"])
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"bytes of ids are damaged ({type(error).__name__}: {error})") from error


def _of_kind(kind: str, name: str | None, values: list) -> np.ndarray:
    wanted = {"text": str, "number": int, "date": int}[kind]
    if not isinstance(values, list) or any(type(value) is not wanted for value in values):
        raise ValueError(f"ids of kind {kind} hold other values")
    if kind == "text":
        ids = np.empty(len(values), object)
        ids[:] = values
        return ids
    dtype = np.dtype(name)
    if dtype.kind not in {"number": "iu", "date": "M"}[kind]:
        raise ValueError(f"ids of kind {kind} have dtype {dtype}")
    return np.array(values, dtype) if kind == "number" else np.array(values, np.int64).view(dtype)

"""The file of codes: three lines of text, then arrays as they lie in memory, so that they can be mapped later (ours).

    recq codes                              what it is
    <64 hexadecimal digits>                 SHA-256 of all that follows this line
    {"format": 1, "arrays": {…}, …}         JSON, filled up with blanks so that the first array begins at a multiple of 64 bytes
    arrays                                  little-endian, one right behind the other, the widest numbers first

`arrays` gives name → [type, shape, first byte behind the header]. The header is what stands before the first array, so a file has the
bytes of its header and of its arrays, and no others. What a file tells of itself is compared with its size before memory is taken, and
with the checksum before it is believed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recq_lib.errors import RecordError
from recq_lib.io.files import write_atomically

FORMAT = 1
_MAGIC = b"recq codes\n"
_DIGEST = 65  # the digits and the end of their line
_LONGEST = 1 << 20  # bytes of a third line that are read at all
_ALIGNMENT = 64
_WIDTHS = {"<u8": 8, "<f4": 4}


def write(path: Path, fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `fields` (JSON values) and `arrays` (uint64, then float32), whole or not at all. Equal content gives equal files."""
    contents = {name: values.astype(values.dtype.newbyteorder("<"), copy=False) for name, values in arrays.items()}
    plan, end = {}, 0
    for name, values in contents.items():
        plan[name] = [values.dtype.str.replace("=", "<"), list(values.shape), end]
        end += values.nbytes
    text = json.dumps({"format": FORMAT, **fields, "arrays": plan}).encode()
    blanks = -(len(_MAGIC) + _DIGEST + len(text) + 1) % _ALIGNMENT
    body = b"".join([text, b" " * blanks, b"\n", *(values.tobytes() for values in contents.values())])
    write_atomically(path, b"".join([_MAGIC, hashlib.sha256(body).hexdigest().encode(), b"\n", body]))


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(fields, arrays) of a file that `write` made. Raises `RecordError` when it is missing, foreign, newer, damaged or cut short."""
    if not path.is_file():
        raise RecordError(f"codes file {path} does not exist; write it with Codes.save")
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise RecordError(f"{path} is not a codes file, or its first line is damaged; write one with Codes.save")
        digest, header = file.read(_DIGEST), file.readline(_LONGEST)
        fields = _fields(path, header)
        plan = _plan(path, fields.pop("arrays", None))
        begin, size = file.tell(), file.seek(0, 2)
        needed = begin + sum(_WIDTHS[kind] * n for kind, n, _ in plan.values())
        if size != needed:
            raise damaged(path, f"it has {size} bytes, but tells of {needed}")
        file.seek(begin)
        found, arrays = hashlib.sha256(header), {}
        for name, (kind, n, _) in plan.items():
            arrays[name] = np.fromfile(file, kind, n)
            found.update(arrays[name].data)
            arrays[name].setflags(write=False)  # nobody else has it, so `Codes` need not copy it
    if digest != found.hexdigest().encode() + b"\n":
        raise damaged(path, "its checksum does not fit its content")
    try:
        return fields, {name: values.reshape(plan[name][2]) for name, values in arrays.items()}
    except (ValueError, OverflowError) as error:  # no shape that an array can have
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> RecordError:
    return RecordError(f"codes file {path} is damaged ({why}); delete it and export the codes again")


def _fields(path: Path, header: bytes) -> dict[str, Any]:
    """The third line, once it is known to be of this format."""
    try:
        fields = json.loads(header)
        version = fields.pop("format")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:  # no JSON, or not an object with a format
        raise damaged(path, f"its header cannot be read: {type(error).__name__}") from error
    if type(version) is int and version > FORMAT:
        raise RecordError(f"codes file {path} has format {version}, this version reads {FORMAT}; update recq, or export the codes again")
    if type(version) is not int or version != FORMAT:
        raise damaged(path, "its format is not a number that was ever used")
    return fields


def _plan(path: Path, arrays: Any) -> dict[str, tuple[str, int, list[int]]]:
    """name → (type, count of numbers, shape) of arrays that lie one right behind the other."""
    plan, end = {}, 0
    for name, entry in arrays.items() if isinstance(arrays, dict) else ():
        fits = isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and entry[0] in _WIDTHS
        fits = fits and isinstance(entry[1], list) and all(type(n) is int and n >= 0 for n in entry[1])
        if not fits or entry[2] != end:
            raise damaged(path, f"it has no usable type, shape and place of {name}")
        kind, shape, _ = entry
        plan[name] = (kind, math.prod(shape), shape)
        end += _WIDTHS[kind] * plan[name][1]
    if not plan:
        raise damaged(path, "it tells of no arrays")
    return plan

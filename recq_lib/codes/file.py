"""The files of codes and of indexes: three lines of text, then arrays as they lie in memory, so that they can be mapped (ours).

    recq codes  (or: recq index)            what it is
    <64 hexadecimal digits>                 SHA-256 of all that follows this line
    {"format": 1, "arrays": {…}, …}         JSON, filled up with blanks so that the first array begins at a multiple of 64 bytes
    arrays                                  little-endian, one right behind the other, the widest numbers first

`arrays` gives name → [type, shape, first byte behind the header]. The header is what stands before the first array, so a file has the
bytes of its header and of its arrays, and no others. What a file tells of itself is compared with its size before memory is taken, and
with the checksum before it is believed.

A new file takes the place of an old one by renaming, so who has mapped the old one keeps it. Never change or shorten a mapped file in its
place: the system ends a process that reads what is no longer there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recq_lib.errors import RecordError
from recq_lib.io.files import write_atomically

FORMAT = 1
_DIGEST = 65  # the digits and the end of their line
_LONGEST = 1 << 20  # bytes of a third line that are read at all
_ALIGNMENT = 64
_NO_FORMAT = 10**6  # no format will ever have a number like this
_MOST_AXES, _LONGEST_AXIS = 8, 1 << 48  # of an array: what numbers beyond them would cost to multiply and to print is not paid
_WIDTHS = {"<u8": 8, "<i8": 8, "<f4": 4, "<u4": 4, "<i4": 4, "|u1": 1}


@dataclass(frozen=True)
class Kind:
    """A kind of file: its first line, without the end; what a message calls it; where one comes from."""

    line: str
    called: str
    made_by: str

    @property
    def name(self) -> str:
        return self.called.partition(" ")[2]

    @property
    def magic(self) -> bytes:
        return f"{self.line}\n".encode()

    def damaged(self, path: Path, why: str) -> RecordError:
        return RecordError(f"{self.name} {path} is damaged ({' '.join(why.split())[:200]}); delete it and export it again")


CODES = Kind("recq codes", "a codes file", "Codes.save")
INDEX = Kind("recq index", "an index file", "Index.save or `recq export`")


def write(kind: Kind, path: Path, fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `fields` (JSON values) and `arrays` (the widest numbers first), whole or not at all. Equal content gives equal files."""
    contents = {name: np.ascontiguousarray(values, values.dtype.newbyteorder("<")) for name, values in arrays.items()}
    plan, end = {}, 0
    for name, values in contents.items():
        plan[name] = [values.dtype.str.replace("=", "<"), list(values.shape), end]
        end += values.nbytes
    text = json.dumps({"format": FORMAT, **fields, "arrays": plan}).encode()
    header = text + b" " * (-(len(kind.magic) + _DIGEST + len(text) + 1) % _ALIGNMENT) + b"\n"
    pieces = [memoryview(values.reshape(-1)).cast("B") for values in contents.values() if values.size]
    digest = hashlib.sha256(header)
    for piece in pieces:
        digest.update(piece)
    write_atomically(path, [kind.magic, digest.hexdigest().encode(), b"\n", header, *pieces])


def read(kind: Kind, path: Path, *, mapped: bool = False) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(fields, arrays) of a file that `write` made; `mapped`: arrays stay in the file, several processes share their memory.

    Raises `RecordError` when it is missing, foreign, newer, damaged or cut short.
    """
    if not path.is_file():
        raise RecordError(f"{kind.name} {path} does not exist; write it with {kind.made_by}")
    try:
        return _read(kind, path, mapped)
    except OSError as error:
        raise RecordError(f"{kind.name} {path} cannot be read ({error.strerror or error}); check the path and its permissions") from error


def _read(kind: Kind, path: Path, mapped: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with open(path, "rb") as file:
        if file.read(len(kind.magic)) != kind.magic:
            raise RecordError(f"{path} is not {kind.called}, or its first line is damaged; write one with {kind.made_by}")
        digest, header = file.read(_DIGEST), file.readline(_LONGEST)
        fields = _fields(kind, path, header)
        plan = _plan(kind, path, fields.pop("arrays", None))
        begin, size = file.tell(), file.seek(0, 2)
        needed = begin + sum(_WIDTHS[dtype] * n for dtype, n, _ in plan.values())
        if size != needed:
            raise kind.damaged(path, f"it has {size} bytes, but tells of {needed}")
        if mapped and begin % _ALIGNMENT:
            raise kind.damaged(path, f"its arrays begin at byte {begin}, no multiple of {_ALIGNMENT}")
        file.seek(begin)
        flat = _mapped(file, begin, plan) if mapped else {name: np.fromfile(file, dtype, n) for name, (dtype, n, _) in plan.items()}
    found = hashlib.sha256(header)
    for values in flat.values():
        found.update(values.data)
        values.setflags(write=False)  # nobody else has it, so `Codes` need not copy it
    if digest != found.hexdigest().encode() + b"\n":
        raise kind.damaged(path, "its checksum does not fit its content")
    try:
        return fields, {name: values.reshape(plan[name][2]) for name, values in flat.items()}
    except (ValueError, OverflowError) as error:  # no shape that an array can have
        raise kind.damaged(path, str(error)) from error


def _mapped(opened: BinaryIO, begin: int, plan: dict[str, tuple[str, int, list[int]]]) -> dict[str, np.ndarray]:
    content, first, arrays = np.memmap(opened, np.uint8, "r"), begin, {}
    for name, (dtype, n, _) in plan.items():
        end = first + _WIDTHS[dtype] * n
        arrays[name], first = np.asarray(content[first:end]).view(dtype), end
    return arrays


def _fields(kind: Kind, path: Path, header: bytes) -> dict[str, Any]:
    """The third line, once it is known to be of this format."""
    try:
        fields = json.loads(header)
        version = fields.pop("format")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:  # no JSON, or not an object with a format
        raise kind.damaged(path, f"its header cannot be read: {type(error).__name__}") from error
    if type(version) is int and FORMAT < version < _NO_FORMAT:
        raise RecordError(f"{kind.name} {path} has format {version}, this version reads {FORMAT}; update recq, or export it again")
    if type(version) is not int or version != FORMAT:
        raise kind.damaged(path, "its format is not a number that was ever used")
    return fields


def _plan(kind: Kind, path: Path, arrays: Any) -> dict[str, tuple[str, int, list[int]]]:
    """name → (type, count of numbers, shape) of arrays that lie one right behind the other."""
    plan, end = {}, 0
    for name, entry in arrays.items() if isinstance(arrays, dict) else ():
        fits = isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and entry[0] in _WIDTHS
        fits = fits and isinstance(entry[1], list) and len(entry[1]) <= _MOST_AXES
        fits = fits and all(type(n) is int and 0 <= n <= _LONGEST_AXIS for n in entry[1])
        if not fits or entry[2] != end or end % _WIDTHS[entry[0]]:
            raise kind.damaged(path, f"it has no usable type, shape and place of {name}")
        dtype, shape, _ = entry
        plan[name] = (dtype, math.prod(shape), shape)
        end += _WIDTHS[dtype] * plan[name][1]
    if not plan:
        raise kind.damaged(path, "it tells of no arrays")
    return plan

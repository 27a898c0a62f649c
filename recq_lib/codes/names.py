"""Own ids of one side as arrays that lie in a file, and the numbers that stand for them, without pandas (ours).

Whole numbers lie as they are, text as UTF-8, one id behind the other, with the end of each. Looking up goes by a rising order of the ids:
binary search, so that no table of all ids is ever built.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from recq_lib.errors import ConfigError, DataError

_SPELLED = re.compile(r"0|-?[1-9][0-9]*")  # int() would also take 007 and 4_2, and blanks around a number
_NARROW = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Names:
    """Ids of the numbers 0 to n - 1.

    values : int32 or int64 [n], or uint8, the bytes of all texts; ends : int64 [n], where each text ends, None for whole numbers
    order : int32 [n], numbers whose ids rise (text by its bytes)
    """

    values: np.ndarray
    ends: np.ndarray | None
    order: np.ndarray

    @classmethod
    def of(cls, ids: Iterable, side: str) -> Names:
        """From whole numbers or text. Raises `ConfigError` for other ids, for a mixture, and for one that comes twice."""
        given = listed(ids, side)
        if all(type(name) is int for name in given):
            if not all(-(2**63) <= name < 2**63 for name in given):
                raise ConfigError(f"{side} ids hold whole numbers beyond 64 bits; give them as text")
            keys, values, ends = given, np.array(given, np.int64), None
        else:
            keys = [_text(name, side) for name in given]
            values, ends = np.frombuffer(b"".join(keys), np.uint8), np.cumsum([len(key) for key in keys], dtype=np.int64)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        twice = next((b for a, b in pairwise(order) if keys[a] == keys[b]), None)
        if twice is not None:
            raise ConfigError(f"{side} id {given[twice]!r} comes twice; ids must differ")
        return cls(values, ends, np.array(order, np.int32))

    def __len__(self) -> int:
        return self.order.size

    def __getitem__(self, number: int) -> int | str:
        return int(self.values[number]) if self.ends is None else self._bytes(number).decode()

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Ids of `numbers` [n]: int64, or objects (text)."""
        if self.ends is None:
            return self.values[numbers].astype(np.int64)
        found = np.empty(len(numbers), object)
        found[:] = [self[number] for number in numbers]
        return found

    def are_numbers(self) -> bool:
        """Whether the ids are the numbers themselves, and so need not be kept."""
        return self.ends is None and np.array_equal(self.values, np.arange(len(self)))

    def numbers(self, ids: Iterable, side: str) -> np.ndarray:
        """int32 [n], the numbers of `ids`; whole numbers and their spelling mean the same. Raises `DataError` for an unknown one."""
        return np.array([self._number(name, side) for name in listed(ids, side)], np.int32)

    def _number(self, name: object, side: str) -> int:
        key = whole_number(name) if self.ends is None else _bytes_of(name)
        if key is not None:
            place = bisect_left(self.order, key, key=self._key)
            if place < len(self) and self._key(self.order[place]) == key:
                return int(self.order[place])
        raise DataError(f"{side} {name!r} is not among the {len(self):,} {side}s, such as {self[0]!r}; correct or drop it")

    def _key(self, number: int) -> int | bytes:
        """By what the ids rise."""
        return int(self.values[number]) if self.ends is None else self._bytes(number)

    def _bytes(self, number: int) -> bytes:
        number = int(number)
        return self.values[int(self.ends[number - 1]) if number else 0 : int(self.ends[number])].tobytes()

    # ---- file --------------------------------------------------------------------------------------------------------------

    def arrays(self, side: str) -> dict[str, np.ndarray]:
        """What a file keeps; an order that rises anyway needs nothing."""
        kept = {f"{side}_names": self.values}
        if self.ends is None and self.values.size and _NARROW.min <= self.values.min() and self.values.max() <= _NARROW.max:
            kept[f"{side}_names"] = self.values.astype(np.int32)
        if self.ends is not None:
            kept[f"{side}_name_ends"] = self.ends
        if not np.array_equal(self.order, np.arange(len(self))):
            kept[f"{side}_name_order"] = self.order
        return kept

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], side: str, n: int) -> Names | None:
        """Inverse of `arrays`; None where there are none. Raises `ValueError` where they do not fit together.

        Whether text rises in its order is not looked at, which would take long: where it does not, an id is unknown, never mistaken.
        """
        values, ends = arrays.get(f"{side}_names"), arrays.get(f"{side}_name_ends")
        if values is None:
            return None
        order = arrays.get(f"{side}_name_order", np.arange(n, dtype=np.int32))
        fits = order.dtype == np.int32 and order.shape == (n,) and 0 <= order.min() <= order.max() < n
        if not (fits and (_rise(values, order) if ends is None else _are_texts(values, ends, n))):
            raise ValueError(f"its {side} names do not fit {n} {side}s")
        return cls(values, ends, order)


def listed(ids: Iterable, side: str) -> list[Any]:
    """`ids`, an array, a column, a list or a generator, in Python's own types. Raises `ConfigError` for what is no flat list."""
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__") or getattr(ids, "ndim", 1) != 1:
        given = f"of shape {tuple(ids.shape)}" if hasattr(ids, "shape") else repr(ids)
        raise ConfigError(f"{side} ids are {given}, but must be a list of ids")
    dates = getattr(getattr(ids, "dtype", None), "kind", "") in ("m", "M")  # numpy would make whole numbers of some
    return [_own(name) for name in (ids.tolist() if hasattr(ids, "tolist") and not dates else ids)]


def _own(name: object) -> object:
    return name.item() if isinstance(name, np.generic) and not isinstance(name, (np.datetime64, np.timedelta64)) else name


def whole_number(name: object) -> int | None:
    """A whole number, or its spelling, as a number; None for anything else."""
    if isinstance(name, str):
        return int(name) if len(name) <= 20 and _SPELLED.fullmatch(name) else None
    return int(name) if isinstance(name, (int, np.integer)) and not isinstance(name, bool) else None


def _bytes_of(name: object) -> bytes | None:
    """The bytes of a text; of a whole number, those of its spelling; None for anything else."""
    if isinstance(name, bool) or not isinstance(name, (str, int, np.integer)):
        return None
    try:
        return str(name).encode()
    except UnicodeEncodeError:  # half a surrogate pair, such as a command line with foreign bytes brings
        return None


def _text(name: object, side: str) -> bytes:
    if not isinstance(name, str):
        raise ConfigError(f"{side} id {name!r} is a {type(name).__name__}, but ids must all be whole numbers or all be text")
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{side} id {name!r} holds half a surrogate pair, which no file can keep; clean the id") from None


def _rise(values: np.ndarray, order: np.ndarray) -> bool:
    """Are these whole numbers that rise, none twice, in this order?"""
    return values.dtype in (np.int32, np.int64) and values.shape == order.shape and bool((values[order][1:] > values[order][:-1]).all())


def _are_texts(values: np.ndarray, ends: np.ndarray, n: int) -> bool:
    """Do the bytes hold n texts, one behind the other, each ending at its place?"""
    if values.dtype != np.uint8 or values.ndim != 1 or ends.dtype != np.int64 or ends.shape != (n,):
        return False
    if ends.min() < 0 or ends.max() > values.size or ends[-1] != values.size or (np.diff(ends) < 0).any():
        return False
    values.tobytes().decode()  # a UnicodeDecodeError is a ValueError
    begins = ends[ends < values.size]
    return not (values[begins] & 0xC0 == 0x80).any()  # the second byte of a character and those behind it are 10xxxxxx

"""Own ids of one side as arrays that lie in a file, and the numbers that stand for them, without pandas (ours).

Whole numbers lie as they are, text as UTF-8, one id behind the other, with the end of each. Looking up goes by a rising order of the ids:
binary search, so that opening a file reads no id.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from recq_lib.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Names:
    """Ids of the numbers 0 to n - 1.

    values : int64 [n], or uint8 bytes of text; ends : int64 [n], where each text ends, None for whole numbers
    order : int32 [n], numbers whose ids rise (text by its bytes)
    """

    values: np.ndarray
    ends: np.ndarray | None
    order: np.ndarray

    @classmethod
    def of(cls, ids: Iterable, side: str) -> Names:
        """From whole numbers or text. Raises `ConfigError` for other ids and for one that comes twice."""
        given = np.asarray(ids)
        if given.ndim != 1:
            raise ConfigError(f"{side} ids have shape {given.shape}, but must be a list [{side}s]")
        if given.dtype.kind in "iu" and not (given.size and given.max() > np.iinfo(np.int64).max):
            values, ends = given.astype(np.int64), None
            order = np.argsort(values, kind="stable")
            twice = np.flatnonzero(values[order][1:] == values[order][:-1])
        else:
            texts = [_text(name, side) for name in given.tolist()]
            ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
            values = np.frombuffer(b"".join(texts), np.uint8)
            order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
            twice = np.flatnonzero([texts[a] == texts[b] for a, b in zip(order[1:], order[:-1])])
        if twice.size:
            raise ConfigError(f"{side} id {given[order[twice[0]]]!r} comes twice; ids must differ")
        return cls(values, ends, order.astype(np.int32))

    def __len__(self) -> int:
        return self.order.size

    def __getitem__(self, number: int) -> int | str:
        if self.ends is None:
            return int(self.values[number])
        return self._bytes(number).decode()

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Ids of `numbers` [n]: int64, or objects (text)."""
        if self.ends is None:
            return self.values[numbers]
        found = np.empty(len(numbers), object)
        found[:] = [self[number] for number in numbers]
        return found

    def numbers(self, ids: Iterable, side: str) -> np.ndarray:
        """int32 [n], the numbers of `ids`; whole numbers and their spelling mean the same. Raises `DataError` for an unknown one."""
        return np.array([self._number(name, side) for name in (ids.tolist() if isinstance(ids, np.ndarray) else ids)], np.int32)

    def _number(self, name: object, side: str) -> int:
        key = self._key(name)
        if key is not None:
            place = bisect_left(self.order, key, key=self._comparable)
            if place < len(self) and self._comparable(self.order[place]) == key:
                return int(self.order[place])
        raise DataError(f"{side} {name!r} is unknown; {len(self):,} are known, such as {self[0]!r}" if len(self) else f"no {side} is known")

    def _key(self, name: object) -> int | bytes | None:
        if self.ends is not None:
            return str(name).encode() if isinstance(name, (str, int, np.integer)) and not isinstance(name, bool) else None
        try:
            return int(name) if isinstance(name, (str, int, np.integer)) and not isinstance(name, bool) else None
        except ValueError:
            return None

    def _comparable(self, number: int) -> int | bytes:
        return int(self.values[number]) if self.ends is None else self._bytes(number)

    def _bytes(self, number: int) -> bytes:
        number = int(number)
        return self.values[int(self.ends[number - 1]) if number else 0 : int(self.ends[number])].tobytes()

    # ---- file --------------------------------------------------------------------------------------------------------------

    def arrays(self, side: str) -> dict[str, np.ndarray]:
        """What a file keeps; an order that rises anyway, and whole numbers 0 to n - 1, need nothing."""
        kept = {f"{side}_names": self.values}
        if self.ends is None and self.values.size and np.abs(self.values).max() < 2**31:
            kept[f"{side}_names"] = self.values.astype(np.int32)
        if self.ends is not None:
            kept[f"{side}_name_ends"] = self.ends
        if not np.array_equal(self.order, np.arange(len(self))):
            kept[f"{side}_name_order"] = self.order
        return kept

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], side: str, n: int) -> Names | None:
        """Inverse of `arrays`; None where there are none. Raises `ValueError` where they do not fit together."""
        values, ends = arrays.get(f"{side}_names"), arrays.get(f"{side}_name_ends")
        if values is None:
            return None
        order = arrays.get(f"{side}_name_order")
        order = np.arange(n, dtype=np.int32) if order is None else order
        fits = values.ndim == 1 and order.shape == (n,) and (n == 0 or 0 <= order.min() <= order.max() < n)
        if ends is None:
            fits = fits and values.shape == (n,) and values.dtype.kind == "i"
        else:
            rises = n == 0 or (ends[0] >= 0 and (np.diff(ends) >= 0).all() and ends[-1] == values.size)
            fits = fits and ends.shape == (n,) and values.dtype == np.uint8 and rises
        if not fits:
            raise ValueError(f"its {side} names do not fit {n} {side}s")
        return cls(values, ends, order)


def _text(name: object, side: str) -> bytes:
    if not isinstance(name, str):
        raise ConfigError(f"{side} id {name!r} is a {type(name).__name__}, but ids must all be whole numbers or all be text")
    return name.encode()

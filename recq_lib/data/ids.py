"""Own ids, of any kind, and the 0-based numbers that stand for them (ours).

Numbers follow the order of the ids, so the same set of ids always gets the same numbers: whole numbers by value, text by code
points (by value when every id is written in digits alone), any other kind by its own order.

Which ids are missing: in a frame the type tells, in a text file the spelling. So in a frame None, NaN, NaT, NA and blank text are
missing and the text "None" is an id like any other; in a text file the cells of `MISSING_SPELLINGS`, in any case of letters, are
missing as well. A negative number is refused in both, because -1 usually stands for a missing id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recq_lib.errors import DataError

MISSING_SPELLINGS = ("", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none")
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)  # as a number may be written


@dataclass(frozen=True)
class Place:
    """Where the rows of a table stand, for messages: `file:line` when `line_of` is known, else the row counted from 0."""

    name: str
    line_of: Callable[[int], int] | None = None

    def row(self, row: int) -> str:
        return f"{self.name}: row {row} (from 0)" if self.line_of is None else f"{self.name}:{self.line_of(row)}"

    def again(self, row: int) -> str:
        return f"in row {row}" if self.line_of is None else f"on line {self.line_of(row)}"


@dataclass(frozen=True, eq=False)
class IdColumn:
    """A column of ids, every one of them usable.

    codes : int64 [rows], the place of each row's id in `values`
    values : distinct ids in no order; int64 or uint64 for whole numbers, objects for text, else the column's own type
    """

    codes: np.ndarray
    values: np.ndarray

    def numbered(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(ids in their order, number of the id of each of `rows`); only ids that occur in `rows` get a number."""
        codes = self.codes[rows]
        used = np.flatnonzero(np.bincount(codes, minlength=self.values.size))
        used = used[_order(self.values[used])]
        number = np.empty(self.values.size, np.int64)
        number[used] = np.arange(used.size)
        return self.values[used], number[codes]


def read_ids(column: pd.Series, name: object, place: Place, spellings: Collection[str] | None = None) -> IdColumn:
    """Check and factorise a column of ids.

    spellings : lower-case texts that mean a missing id; None for a frame, where the type tells. Text cells are stripped when given.
    Raises `DataError` naming the row, the column and the value: for a missing or negative id, a number that is not whole, text with
    a NUL or half a surrogate pair, and ids of several kinds in one column.
    """
    column = column.reset_index(drop=True)
    dtype = column.dtype  # factorising widens some
    if isinstance(dtype, pd.CategoricalDtype):
        column, dtype = column.cat.remove_unused_categories(), dtype.categories.dtype
        values, codes = pd.Series(column.cat.categories), column.cat.codes.to_numpy()
        _check_kinds(values, name, place, lambda code: _first(codes == code))
    else:
        _check_kinds(column, name, place, lambda row: row)
        try:
            codes, values = pd.factorize(column)
        except TypeError as error:  # lists and other things that cannot be compared by value
            raise DataError(f"{place.name}: {name} holds values that cannot be ids ({error}); pass text or whole numbers") from error
        values = pd.Series(values)
    if (codes < 0).any():
        _refuse(place, _first(codes < 0), name, column[_first(codes < 0)], "every row needs an id, drop the row")
    if spellings is not None:  # of a file: blanks around an id are not part of it
        same, values = pd.factorize(values.str.strip())
        codes, values = same[codes], pd.Series(values)
    codes, plain = codes.astype(np.int64), _plain(values)
    for bad, rule in _faults(plain, spellings, _exact_bits(dtype)):
        rows = np.flatnonzero(bad[codes])
        if rows.size:
            _refuse(place, int(rows[0]), name, plain[codes[rows[0]]], rule)
    return IdColumn(codes, plain.astype(np.int64) if plain.dtype.kind == "f" else plain)


def look_up(own: Iterable[Any], known: pd.Index | int, side: str, where: str) -> np.ndarray:
    """Numbers (int64 [n]) of own ids: places in the index `known`, or, where the numbers are the ids, ids in [0, `known`).

    Raises `DataError` naming the first id that is not known.
    """
    if isinstance(own, (str, bytes)) or not hasattr(own, "__iter__") or (hasattr(own, "ndim") and own.ndim != 1):
        raise DataError(f"{where}: {side} ids are {shown(own)}; pass a list, an array or a column of ids")
    wanted = pd.Index(own if isinstance(own, (list, tuple)) else np.asarray(own), tupleize_cols=False)
    if wanted.size == 0:
        return np.empty(0, np.int64)
    index = pd.RangeIndex(known) if isinstance(known, int) else known
    numbers = np.full(wanted.size, -1) if wanted.dtype == bool and index.dtype != bool else index.get_indexer(wanted)
    unknown = np.flatnonzero(numbers < 0)
    if unknown.size:
        some = f"whole numbers below {known}" if isinstance(known, int) else f"such as {shown(index[0])}"
        more = f" ({unknown.size} of {wanted.size} are unknown)" if unknown.size > 1 else ""
        value = shown(wanted[unknown[0]])
        raise DataError(f"{where}: {side} {value} is not among the {index.size} {side}s, {some}{more}; correct or drop it")
    return numbers.astype(np.int64)


def are_numbers(ids: np.ndarray) -> bool:
    """True for whole numbers, as such or in digits; no id may be blank."""
    if ids.dtype != object:
        return ids.dtype.kind in "iu"
    try:
        digits = "".join(ids)
    except TypeError:  # dates and other objects
        return False
    return digits.isascii() and digits.isdigit()


def shown(value: object) -> str:
    """A value for a message: one line, at most 40 characters."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    text = " ".join(text.split())
    return text if len(text) <= 40 else f"{text[:40]}…"


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _check_kinds(values: pd.Series, name: object, place: Place, row_of: Callable[[int], int]) -> None:
    """Refuse what factorising would merge without a word: 1 with True, "a" with "a\\0"."""
    present = values[values.notna()]
    if pd.api.types.is_object_dtype(values.dtype):
        kinds = [_kind(type_) for type_ in set(map(type, present))]
        if len(set(kinds)) > 1:
            first = _kind(type(present.iloc[0]))
            other = next(index for index, value in present.items() if _kind(type(value)) != first)
            rule = f"the first id is {first}; make all ids of one kind, such as text by astype(str)"
            _refuse(place, row_of(other), name, values[other], rule)
        if "text" not in kinds:
            return
    elif not pd.api.types.is_string_dtype(values.dtype):
        return
    if not _is_clean("".join(present.to_numpy(object))):
        bad = next(index for index, value in present.items() if not _is_clean(value))
        _refuse(place, row_of(bad), name, values[bad], "ids are text without NUL and without half surrogate pairs, clean the id")


def _kind(type_: type) -> str:
    if issubclass(type_, str):
        return "text"
    if issubclass(type_, (bool, np.bool_)):
        return "a truth value"
    if issubclass(type_, (int, float, np.integer, np.floating)):
        return "a number"
    return type_.__name__


def _is_clean(text: str) -> bool:
    try:
        return "\0" not in text and text.encode() is not None
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def _plain(values: pd.Series) -> np.ndarray:
    """Distinct ids as an array: int64, uint64 or float64 numbers, objects for text, else the column's own type."""
    if pd.api.types.is_object_dtype(values.dtype):
        values = values.infer_objects()
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(bool)
    if pd.api.types.is_unsigned_integer_dtype(values.dtype):
        wide = values.to_numpy(np.uint64)
        return wide if wide.size and wide.max() > np.iinfo(np.int64).max else wide.astype(np.int64)
    if pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy(np.int64)
    if pd.api.types.is_float_dtype(values.dtype):
        return values.to_numpy(np.float64)
    return values.to_numpy(object) if pd.api.types.is_string_dtype(values.dtype) else values.to_numpy()


def _exact_bits(dtype: Any) -> int:
    """Bits of a whole number that floats of `dtype` keep: from 2 to this power on, two numbers may share one float."""
    own = getattr(dtype, "numpy_dtype", dtype)  # pandas' own types wrap numpy's
    return np.finfo(own).nmant + 1 if isinstance(own, np.dtype) and own.kind == "f" else 53


def _faults(values: np.ndarray, spellings: Collection[str] | None, bits: int) -> list[tuple[np.ndarray, str]]:
    """(mask over distinct ids, the rule they break), for each rule; `bits` of a float are exact."""
    negative = "negative ids usually stand for missing ones, drop the row, or pass an honest id as text"
    if values.dtype.kind in "iuf":
        whole = f"numbers as ids must be whole and below 2^{bits} (floats of this width), pass others as whole numbers or text"
        is_float = values.dtype.kind == "f"
        inexact = is_float & ((values != np.floor(values)) | (np.abs(values) >= 2.0**bits))
        return [(inexact, whole), (values < 0, negative)]
    if values.dtype != object or not all(isinstance(value, str) for value in values):
        return []
    missing = {""} if spellings is None else {"", *(text.lower() for text in spellings)}
    faults = [(np.array([value.strip().lower() in missing for value in values], bool), "every row needs an id, drop the row")]
    if spellings is not None:
        negative = "negative ids usually stand for missing ones, rename or drop them"
        faults.append((np.array([_NEGATIVE.fullmatch(value) is not None for value in values], bool), negative))
    return faults


def _order(ids: np.ndarray) -> np.ndarray:
    """Places that put distinct ids in their order."""
    if ids.dtype != object:
        return np.argsort(ids, kind="stable")
    keys, places = ids.tolist(), range(ids.size)
    try:
        order = sorted(places, key=keys.__getitem__)
    except TypeError as error:
        raise DataError(f"ids of type {type(keys[0]).__name__} have no order ({error}); pass them as text by astype(str)") from error
    if are_numbers(ids):  # by value, then as text: stable sorts by the digits and by their number, which need no limit on either
        digits = [text.lstrip("0") for text in keys]
        order = sorted(sorted(order, key=digits.__getitem__), key=lambda place: len(digits[place]))
    return np.array(order, np.int64)


def _first(mask: np.ndarray) -> int:
    return int(np.argmax(mask))


def _refuse(place: Place, row: int, column: object, value: object, rule: str) -> None:
    raise DataError(f"{place.row(row)}: {column} is {shown(value)}; {rule}")

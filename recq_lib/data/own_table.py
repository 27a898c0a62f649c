"""A table of events, one row each, as numbered pairs: ids checked, low ratings and repeats left out, times made comparable (ours)."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recq_lib.data.ids import Place, are_numbers, read_ids, shown
from recq_lib.errors import ConfigError, DataError, one_of


@dataclass(frozen=True, eq=False)
class NumberedTable:
    """What `number_table` makes of a frame.

    Attributes
    ----------
    users, items : int64 [n], distinct 0-based pairs, sorted by user, then item
    times : [n], int64, uint64, float64 or datetime64, when each pair was first seen; None without a column of times
    user_ids, item_ids : the own id of each number, in order
    notes : what was left out and how numbers and ids belong together
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray | None
    user_ids: np.ndarray
    item_ids: np.ndarray
    notes: tuple[str, ...]


def number_table(
    frame: pd.DataFrame,
    user: Hashable,
    item: Hashable,
    *,
    time: Hashable | None = None,
    rating: Hashable | None = None,
    min_rating: float | None = None,
    duplicates: str = "error",
    place: Place,
    spellings: Collection[str] | None = None,
) -> NumberedTable:
    """Check and number the rows of `frame`; the columns are those of `Interactions.from_pandas`.

    Every row is checked; then rows below `min_rating` are left out, and of repeats all but the earliest. `place` names the rows in
    messages, `spellings` are those of `ids.read_ids`. Raises `DataError` for the first row that breaks a rule, and for a table
    without rows; `ConfigError` for a wrong `duplicates` or one column in two roles.
    """
    one_of("duplicates", duplicates, ("error", "drop"))
    if min_rating is not None and (rating is None or not math.isfinite(min_rating)):
        rule = "no rating column is named; pass rating='…'" if rating is None else "it must be a finite number"
        raise DataError(f"{place.name}: min_rating is {min_rating}, but {rule}")
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"{place.name}: events is a {type(frame).__name__}; pass a pandas DataFrame, one row per event")
    check_columns(list(frame.columns), [name for name in (user, item, time, rating) if name is not None], place.name)
    if len(frame) == 0:
        raise DataError(f"{place.name}: holds no interactions; at least one row is needed")

    columns = [read_ids(frame[name], name, place, spellings) for name in (user, item)]
    times = None if time is None else read_times(frame[time], time, place)
    rows, notes = np.arange(len(frame)), []
    if rating is not None:
        rows = np.flatnonzero(read_ratings(frame[rating], rating, place) >= (-math.inf if min_rating is None else min_rating))
    if rows.size < len(frame):
        notes.append(f"{len(frame) - rows.size:,} of {len(frame):,} rows left out, rated below {min_rating:g}")
    if rows.size == 0:
        raise DataError(f"{place.name}: holds no interactions ({notes[0]}); lower min_rating")

    (user_ids, users), (item_ids, items) = (column.numbered(rows) for column in columns)
    when = None if times is None else times[rows]
    order = np.lexsort((items, users) if when is None else (when, items, users))  # stable: of equal times the first row
    again = np.r_[False, (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)]
    if again.any():
        if duplicates == "error":
            _refuse_repeat(users, items, rows, user_ids, item_ids, place)
        kept = "" if when is None else ", the earliest is kept"
        notes.append(f"{int(again.sum()):,} of {len(frame):,} rows left out as repeats{kept}")
        order = order[~again]
    notes += [note for side, ids in (("user", user_ids), ("item", item_ids)) if (note := _renumbered(side, ids))]
    return NumberedTable(users[order], items[order], None if when is None else when[order], user_ids, item_ids, tuple(notes))


def check_columns(there: Sequence[Hashable], wanted: Sequence[Hashable], where: str) -> None:
    """Raise `DataError` unless each wanted column is there exactly once, `ConfigError` when one is wanted twice."""
    for name in wanted:
        if list(wanted).count(name) > 1:
            rule = "user, item, time and rating need columns of their own"
            raise ConfigError(f"{where}: column {shown(name)} is named for two purposes; {rule}")
        found = sum(1 for other in there if other == name)
        if found == 0:
            names = " ".join(", ".join(map(str, there[:20])).split()) + (", …" if len(there) > 20 else "")
            raise DataError(f"{where}: there is no column {shown(name)} (columns: {names}); name the right one")
        if found > 1:
            raise DataError(f"{where}: {found} columns are called {shown(name)}; give each its own name")


def read_ratings(column: pd.Series, name: Hashable, place: Place) -> np.ndarray:
    """Finite numbers, float64 [n]; text is read as numbers. Raises `DataError` naming the first row that holds none."""
    values = pd.to_numeric(_text_or_numbers(column), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        value = shown(column.iloc[bad[0]])
        raise DataError(f"{place.row(bad[0])}: {name} is {value}; ratings must be finite numbers, correct or drop the row")
    return values


def read_times(column: pd.Series, name: Hashable, place: Place) -> np.ndarray:
    """Numbers (int64, uint64 where they need it, or float64) or dates (datetime64, UTC), [n].

    Text is read as numbers if all of it can be, else as ISO dates.

    Raises `DataError` naming the first row that holds neither.
    """
    column = _text_or_numbers(column)
    text = pd.api.types.is_object_dtype(column.dtype) or pd.api.types.is_string_dtype(column.dtype)
    if text or pd.api.types.is_numeric_dtype(column.dtype):
        numbers = pd.to_numeric(column, errors="coerce")
        missing = numbers.isna().to_numpy() | np.isinf(numbers.to_numpy(np.float64, na_value=np.nan))
        if not missing.any():
            whole = pd.api.types.is_integer_dtype(numbers.dtype)  # int64 keeps the order of nanoseconds, float64 would not
            if whole and numbers.max() > np.iinfo(np.int64).max:
                return numbers.to_numpy(np.uint64)
            return numbers.to_numpy(np.int64 if whole else np.float64)
    if not text and pd.api.types.is_numeric_dtype(column.dtype) or text and not missing[0]:
        bad = int(np.argmax(missing))
    else:
        dates = pd.to_datetime(column, utc=True, errors="coerce", **({"format": "ISO8601"} if text else {}))
        if not dates.isna().any():
            return dates.dt.tz_localize(None).to_numpy()
        bad = int(np.argmax(dates.isna().to_numpy()))
    rule = "times must be finite numbers or ISO dates, all of one kind"
    raise DataError(f"{place.row(bad)}: {name} is {shown(column.iloc[bad])}; {rule}")


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _text_or_numbers(column: pd.Series) -> pd.Series:
    """The column with truth values and categories as what they stand for, and objects in their own type where they have one."""
    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    return column.infer_objects() if pd.api.types.is_object_dtype(column.dtype) else column


def _refuse_repeat(
    users: np.ndarray, items: np.ndarray, rows: np.ndarray, user_ids: np.ndarray, item_ids: np.ndarray, place: Place
) -> None:
    order = np.lexsort((items, users))  # stable: rows of one pair stay in order
    again = np.flatnonzero((np.diff(users[order]) == 0) & (np.diff(items[order]) == 0))
    at = again[np.argmin(order[again + 1])]
    first, second = order[at], order[at + 1]
    pair = f"(user {shown(user_ids[users[first]])}, item {shown(item_ids[items[first]])})"
    raise DataError(
        f"{place.row(rows[second])}: the pair {pair} was {place.again(rows[first])} already ({again.size} repeats in all); "
        "drop repeats, or pass duplicates='drop'"
    )


def _renumbered(side: str, ids: np.ndarray) -> str:
    """A note when ids are numbers, but not 0, 1, 2, … in a row: then the library's numbers differ from the user's."""
    if not are_numbers(ids) or all(str(key) == str(number) for number, key in enumerate(ids.tolist())):
        return ""
    return f"{side} ids {ids[0]} … {ids[-1]} are numbered 0 … {ids.size - 1}"

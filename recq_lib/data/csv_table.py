"""The user's own table of interactions: any ids, mapped to 0-based numbers that can be mapped back."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recq_lib.data.readers import ReadPairs
from recq_lib.errors import DataError, one_of

_MISSING = {"", "nan", "null", "none"}


@dataclass(frozen=True, eq=False)
class CsvTable:
    """What `read_csv` found.

    Attributes
    ----------
    pairs : distinct 0-based pairs in file order
    user_ids, item_ids : str [n_users], str [n_items]; `user_ids[u]` is the id in the file of user u
    dropped : rows left out: repeats (with duplicates="drop") and ratings below `min_rating`
    """

    pairs: ReadPairs
    user_ids: np.ndarray
    item_ids: np.ndarray
    dropped: int = 0

    def user_index(self) -> dict[str, int]:
        """Id in the file → number in the library."""
        return {key: number for number, key in enumerate(self.user_ids.tolist())}

    def item_index(self) -> dict[str, int]:
        return {key: number for number, key in enumerate(self.item_ids.tolist())}


def read_csv(
    path: Path | str,
    user: str = "user",
    item: str = "item",
    *,
    rating: str | None = None,
    min_rating: float | None = None,
    separator: str = ",",
    duplicates: str = "error",
) -> CsvTable:
    """Read a UTF-8 table with a header line; `user`, `item` and `rating` name columns, other columns are ignored.

    Ids are texts; 0-based numbers follow their order (by value when all are whole numbers), so the same set of ids always gets the
    same numbers. With `rating`, values must be finite, and rows below `min_rating` are left out. `duplicates` is "error" or "drop".
    Raises `DataError` with `file:line` for a missing column, a row of the wrong length, a missing, NaN or negative id, a bad rating,
    a repeat, and for a table without rows; `ConfigError` for a wrong `duplicates`.
    """
    one_of("duplicates", duplicates, ("error", "drop"))
    if rating is None and min_rating is not None:
        raise DataError(f"{path}: min_rating is {min_rating}, but no rating column is named; pass rating='…'")
    users, items, seen, dropped = [], [], {}, 0
    for line, row in _rows(path, [user, item] + ([rating] if rating else []), separator):
        pair = (_id(path, line, user, row[0]), _id(path, line, item, row[1]))
        if rating and _rating(path, line, rating, row[2]) < (-math.inf if min_rating is None else min_rating):
            dropped += 1
        elif pair in seen:
            if duplicates == "error":
                raise DataError(
                    f"{path}:{line}: the pair (user {pair[0]!r}, item {pair[1]!r}) was on line {seen[pair]} already; "
                    "drop repeats, or pass duplicates='drop'"
                )
            dropped += 1
        else:
            seen[pair] = line
            users.append(pair[0])
            items.append(pair[1])
    if not users:
        raise DataError(f"{path}: holds no interactions{f' ({dropped} rows were left out)' if dropped else ''}; at least one row is needed")
    user_ids, user_numbers = _number(users)
    item_ids, item_numbers = _number(items)
    return CsvTable(ReadPairs(user_numbers, item_numbers, user_ids.size, item_ids.size), user_ids, item_ids, dropped)


def _rows(path: Path | str, columns: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """(last line number of the row, the wanted cells) of each row that is not blank."""
    line = 1
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter=separator, strict=True)
            header = [name.strip() for name in next(reader, [])]
            if not header:
                raise DataError(f"{path}: is empty; a header line with {', '.join(columns)} is needed")
            missing = [name for name in columns if name not in header]
            if missing:
                raise DataError(f"{path}:1: there is no column {missing[0]!r} (columns: {', '.join(header)}); name the right one")
            places = [header.index(name) for name in columns]
            for row in reader:
                line = reader.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    raise DataError(f"{path}:{line}: has {len(row)} fields, the header has {len(header)}; correct or drop the line")
                yield line, [row[place].strip() for place in places]
            line = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}:{line + 1}: is not proper CSV ({error}); check the quotes and the separator {separator!r}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.object[error.start]:#04x} found); convert it") from error
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: separator is {separator!r}, but must be one character, not a quote or a line end") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _id(path: Path | str, line: int, column: str, cell: str) -> str:
    if cell.lower() in _MISSING:
        raise DataError(f"{path}:{line}: {column} is {cell!r}; every row needs an id, drop the line")
    if cell[0] == "-" and cell[1:].isdigit():
        raise DataError(f"{path}:{line}: {column} is {cell!r}; negative ids usually stand for missing ones, rename or drop them")
    return cell


def _rating(path: Path | str, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{path}:{line}: {column} is {cell[:30]!r}; ratings must be finite numbers, correct or drop the line")
    return value


def _number(keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Distinct keys in order, and for each key its place (int64)."""
    distinct = set(keys)
    whole = all(key.isascii() and key.isdigit() for key in distinct)
    # by length first: equal to numeric order for whole numbers without leading zeros, and total with them
    ordered = sorted(distinct, key=(lambda key: (len(key.lstrip("0")), key.lstrip("0"), key)) if whole else None)
    place = {key: number for number, key in enumerate(ordered)}
    return np.array(ordered, dtype=np.str_), np.fromiter((place[key] for key in keys), np.int64, len(keys))

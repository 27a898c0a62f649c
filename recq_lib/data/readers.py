"""Readers of the public text formats: LightGCN lists, MovieLens ratings, weighted lines.

Each returns `ReadPairs`; each raises `DataError` with `file:line`, the value and the rule. Binary formats are in `containers.py`,
the user's own tables in `table_files.py`.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recq_lib.data.interactions import SPLITS, Interactions
from recq_lib.errors import DataError, one_of

MAX_ID = 2**31 - 2  # ids are int32 in every kernel
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, eq=False)
class ReadPairs:
    """Distinct pairs of one file, 0-based, in file order.

    Attributes
    ----------
    users, items : int64 [n]
    n_users, n_items : largest id seen + 1; a user listed without items counts
    """

    users: np.ndarray
    items: np.ndarray
    n_users: int
    n_items: int

    @property
    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """(users, items), as `Interactions.from_pairs` takes them."""
        return self.users, self.items


def to_interactions(
    parts: dict[str, ReadPairs],
    *,
    name: str,
    n_users: int | None = None,
    n_items: int | None = None,
    source: str = "memory",
    notes: str = "",
) -> Interactions:
    """Join the files of one dataset, {"train": …, "test": …, "val": …}; sizes default to the largest id in any file."""
    if "train" not in parts:
        raise DataError(f"{name}: files are given for {', '.join(parts) or 'no split'}; a train file is needed")
    return Interactions.from_pairs(
        **{split: part.pair for split, part in parts.items()},
        n_users=max(part.n_users for part in parts.values()) if n_users is None else n_users,
        n_items=max(part.n_items for part in parts.values()) if n_items is None else n_items,
        name=name,
        source=source,
        notes=notes,
    )


def without_earlier(parts: dict[str, ReadPairs]) -> dict[str, ReadPairs]:
    """The files of one dataset, each pair in the first of train, val and test alone that has it; sizes stay.

    For public files whose test holds pairs of train: such a pair is masked when items are ranked, so it could never be found.
    """
    kept: dict[str, ReadPairs] = {}
    width = max(part.n_items for part in parts.values())
    known = np.empty(0, np.int64)
    for split in (split for split in SPLITS if split in parts):
        part = parts[split]
        keys = part.users * width + part.items
        new = ~np.isin(keys, known)
        kept[split] = ReadPairs(part.users[new], part.items[new], part.n_users, part.n_items)
        known = np.concatenate([known, keys[new]])
    return kept


# ---- formats --------------------------------------------------------------------------------------------------------------


def read_lightgcn(path: Path | str, *, repeats: str = "error") -> ReadPairs:
    """Lines `user item item …`, ids 0-based, separated by blanks (LightGCN, NGCF, BGCH); a user alone has no items.

    Blank lines and CRLF are accepted. Raises `DataError` for a malformed or negative entry, and for a file without pairs; for a repeated
    pair as well unless `repeats` is "drop", which keeps the first.
    """
    one_of("repeats", repeats, ("error", "drop"))
    rows = _Rows(path)
    for number, tokens in _token_lines(path):
        user = _whole(tokens[0], path, number, "user")
        items = [_whole(token, path, number, "item") for token in tokens[1:]]
        rows.add(number, user, items)
    return rows.finish(repeats)


def read_movielens(path: Path | str, *, min_rating: float | None = None) -> ReadPairs:
    """Lines `user item rating timestamp`, ids 1-based, separated by tabs (ml-100k) or `::` (ml-1m).

    Every rating is a positive unless `min_rating` is given; then lower ones are left out. Raises `DataError` as `read_lightgcn`.
    """
    rows = _Rows(path)
    for number, tokens in _token_lines(path):
        if len(tokens) == 1 and b"::" in tokens[0]:
            tokens = tokens[0].split(b"::")
        if len(tokens) not in (3, 4):
            raise _bad(path, number, f"has {len(tokens)} fields; it must be user, item, rating, timestamp (by tabs or '::')")
        user, item = _one_based(tokens, path, number)
        if min_rating is None or _finite(tokens[2], path, number, "rating") >= min_rating:
            rows.add(number, user, [item])
        else:
            rows.see(user, item)
    return rows.finish()


def read_weighted(path: Path | str) -> ReadPairs:
    """Lines `user item weight`, ids 1-based (Last.fm of LightGCN-PyTorch); the weight must be finite and is dropped."""
    rows = _Rows(path)
    for number, tokens in _token_lines(path):
        if len(tokens) != 3:
            raise _bad(path, number, f"has {len(tokens)} fields; it must be user, item, weight")
        user, item = _one_based(tokens, path, number)
        _finite(tokens[2], path, number, "weight")
        rows.add(number, user, [item])
    return rows.finish()


# ---- collecting -----------------------------------------------------------------------------------------------------------


class _Rows:
    """Pairs with the line each came from, so that a repeat found at the end can still be located."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.users, self.items, self.lines = array("q"), array("q"), array("q")
        self.max_user = self.max_item = -1

    def see(self, user: int, item: int = -1) -> None:
        """Count an id towards the sizes without storing a pair."""
        self.max_user, self.max_item = max(self.max_user, user), max(self.max_item, item)

    def add(self, number: int, user: int, items: list[int]) -> None:
        self.see(user, max(items, default=-1))
        self.users.extend([user] * len(items))
        self.items.extend(items)
        self.lines.extend([number] * len(items))

    def finish(self, repeats: str = "error") -> ReadPairs:
        if not self.users:
            raise DataError(f"{self.path}: holds no interactions; at least one line with a user and an item is needed")
        users, items, lines = (np.frombuffer(part, dtype=np.int64).copy() for part in (self.users, self.items, self.lines))
        if repeats == "drop":
            _, first = np.unique(users * (self.max_item + 1) + items, return_index=True)
            first.sort()  # file order
            users, items = users[first], items[first]
        else:
            _check_repeats(self.path, users, items, lines)
        return ReadPairs(users, items, self.max_user + 1, self.max_item + 1)


def _check_repeats(path: Path | str, users: np.ndarray, items: np.ndarray, lines: np.ndarray) -> None:
    order = np.lexsort((np.arange(users.size), items, users))
    same = (np.diff(users[order]) == 0) & (np.diff(items[order]) == 0)
    if same.any():
        later = order[1:][same]
        first = int(later[np.argmin(lines[later])])
        raise _bad(
            path, int(lines[first]),
            f"holds the pair (user {users[first]}, item {items[first]}) again (ids 0-based, {later.size} repeats in all); drop duplicates",
        )


# ---- tokens ---------------------------------------------------------------------------------------------------------------


def _token_lines(path: Path | str) -> Iterator[tuple[int, list[bytes]]]:
    """(line number from 1, tokens) of every line that is not blank; bytes, because only ASCII digits are ids."""
    try:
        with open(path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                tokens = (line.removeprefix(_BOM) if number == 1 else line).split()
                if tokens:
                    yield number, tokens
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _whole(token: bytes, path: Path | str, number: int, side: str) -> int:
    if token.isdigit() and len(token) <= 10 and (value := int(token)) <= MAX_ID:
        return value
    shown = _shown(token)
    if token[:1] == b"-" and token[1:].isdigit():
        raise _bad(path, number, f"{side} id is {shown}; ids must not be negative, correct or drop the line")
    if token.isdigit():
        raise _bad(path, number, f"{side} id is {shown}; ids must be at most {MAX_ID}, renumber them")
    raise _bad(path, number, f"{side} id is {shown}; ids must be whole numbers (load_csv reads tables with names)")


def _one_based(tokens: list[bytes], path: Path | str, number: int) -> tuple[int, int]:
    ids = [_whole(token, path, number, side) for token, side in zip(tokens, ("user", "item"), strict=False)]
    for value, side in zip(ids, ("user", "item"), strict=True):
        if value == 0:
            raise _bad(path, number, f"{side} id is 0; ids of this format start at 1, is this a 0-based file?")
    return ids[0] - 1, ids[1] - 1


def _finite(token: bytes, path: Path | str, number: int, what: str) -> float:
    try:
        value = float(token)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _bad(path, number, f"{what} is {_shown(token)}; it must be a finite number, correct or drop the line")
    return value


def _shown(token: bytes) -> str:
    text = token.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 30 else text[:30] + "…")


def _bad(path: Path | str, number: int, what: str) -> DataError:
    return DataError(f"{path}:{number}: {what}")

"""`recq search` and `recq recommend`: the best items of users, from an index. PyTorch and pandas are not loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tyro.conf import arg

from recq_lib.codes.index import Index
from recq_lib.errors import ConfigError
from recq_lib.io.output import show

_IndexFile = Annotated[Path, tyro.conf.Positional, arg(metavar="INDEX")]
_Count = Annotated[int, arg(aliases=("-k",), metavar="K")]


@dataclass(frozen=True)
class Search:
    """The best items of users, both by number, and their scores; nothing is left out."""

    index: _IndexFile  # a file of `recq export` or Index.save
    user: Annotated[tuple[int, ...], arg(metavar="NUMBER ...")]  # from 0
    k: _Count = 10  # items a user
    json: bool = False  # print JSON

    def run(self) -> None:
        _check_users(self.user)
        _answer(self.user, *Index.load(self.index).search(self.user, self.k), as_json=self.json)


@dataclass(frozen=True)
class Recommend:
    """The best items of users in the own ids of the data, without what a user has already."""

    index: _IndexFile  # a file of `recq export` or Index.save
    user: Annotated[tuple[str, ...], arg(metavar="ID ...")]  # own ids; numbers where the data had none
    k: _Count = 10  # items a user
    seen: bool = False  # recommend also what a user has already
    json: bool = False  # print JSON

    def run(self) -> None:
        _check_users(self.user)
        _answer(self.user, *Index.load(self.index).recommend(self.user, self.k, seen=self.seen), as_json=self.json)


def _check_users(users: tuple) -> None:
    if not users:
        raise ConfigError("--user names nobody; give at least one")


def _answer(users: Iterable, items: list[np.ndarray], scores: list[np.ndarray], *, as_json: bool) -> None:
    found = [
        {"user": user, "items": its.tolist(), "scores": its_scores.tolist()}
        for user, its, its_scores in zip(users, items, scores, strict=True)
    ]
    show(found, _table(found), as_json=as_json)


def _table(found: list[dict[str, Any]]) -> str:
    """One line an item, under a header; a dash where nothing is left for a user."""
    lines = [("user", "rank", "item", "score")]
    for answer in found:
        pairs = list(zip(answer["items"], answer["scores"], strict=True))
        ranked = [(str(rank), _shown(item), f"{score:.6g}") for rank, (item, score) in enumerate(pairs, 1)] or [("-", "-", "-")]
        lines += [(_shown(answer["user"]), *line) for line in ranked]
    wide = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join(f"{user:<{wide[0]}}  {rank:>{wide[1]}}  {item:<{wide[2]}}  {score:>{wide[3]}}" for user, rank, item, score in lines)


def _shown(name: int | str) -> str:
    """An id on one line: line ends and what steers a terminal are spelled out."""
    text = str(name)
    return text if text.isprintable() else repr(text)

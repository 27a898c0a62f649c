"""The bars of search: what was asked, what the rows of the benchmark say, and whether that is met."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[dict[str, Any]]
_OURS, _SCORES, _FLAT = "recq", "recq, scores alone", "FAISS flat, 256 floats"
_BINARY, _RABITQ, _PQ = "FAISS binary flat, 768 bits", "FAISS RaBitQ FastScan, 256 bits", "FAISS PQ FastScan, 64 × 4 bits"
_PER_BIT, _PER_BYTE = 768 / 256, 108 / 32  # our work a user and item as multiple of RaBitQ's and PQ's
_TORCH, _RANK, _EVALUATE = "torch mm + topk, {} floats", "recq rank, {} floats", "recq evaluate, {} floats"


@dataclass(frozen=True)
class Bar:
    """asked : the limit; least : is it a lower one; measured : None where the rows do not hold it."""

    bar: str
    asked: float
    least: bool
    measured: float | None

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.asked if self.least else self.measured <= self.asked


def bars(rows: Rows) -> list[dict[str, Any]]:
    """One row a bar: `bar`, `asked` (with ≥ or ≤), `measured` and `met`; a bar is left out where its rows are not there."""
    found = [bar for make in (_rankings, _sizes, _batches, _singles, _floats, _wholes) for bar in make(rows)]
    return [
        {"bar": bar.bar, "asked": f"{'≥' if bar.least else '≤'} {bar.asked:g}", "measured": bar.measured, "met": bar.met}
        for bar in found if bar.measured is not None
    ]  # fmt: skip


def _rankings(rows: Rows) -> list[Bar]:
    return [Bar("users whose ranking differs from that of float scores", 0, False, _value(rows, "users_that_differ", "search rankings"))]


def _sizes(rows: Rows) -> list[Bar]:
    made = []
    for items in _items(rows, "search file"):
        for kind in ("codes file", "index file"):
            smaller = _value(rows, "smaller", "search file", kind, items=items)
            made.append(Bar(f"{items:,} items: {kind} smaller than 256 floats a node", 9, True, smaller))
    made.append(Bar("memory of evaluate over codes and lists", 1.1, False, _value(rows, "times", "search memory")))
    made.append(Bar("seconds to load an index", 0.2, False, _value(rows, "median", "search start", "load an index")))
    made.append(Bar("seconds from start to first answer", 1.5, False, _value(rows, "median", "search start", "start to first answer")))
    return made


def _batches(rows: Rows) -> list[Bar]:
    made = []
    for items in _items(rows, "search"):
        over = _over(rows, "search", items, 64)
        made += [
            Bar(f"{items:,} items, 64 users: top 20 over scores alone", 1.25, False, over(_OURS, _SCORES)),
            Bar(f"{items:,} items, 64 users: torch on 768 floats over ours", 12, True, over(_TORCH.format(768), _OURS)),
            Bar(f"{items:,} items, 64 users: torch on 256 floats over ours", 4, True, over(_TORCH.format(256), _OURS)),
            Bar(f"{items:,} items, 64 users: FAISS binary flat over ours", 2, True, over(_BINARY, _OURS)),
            Bar(f"{items:,} items, 64 users: RaBitQ FastScan over ours, per bit", 5, True, over(_RABITQ, _OURS, _PER_BIT)),
            Bar(f"{items:,} items, 64 users: PQ FastScan over ours, per byte", 1.5, True, over(_PQ, _OURS, _PER_BYTE)),
        ]
    return made


def _singles(rows: Rows) -> list[Bar]:
    made = []
    for items in _items(rows, "search"):
        over = _over(rows, "search", items, 1)
        made.append(Bar(f"{items:,} items, 1 user: top 20 over scores alone", 1.25, False, over(_OURS, _SCORES)))
        if items >= 1_000_000:
            made.append(Bar(f"{items:,} items, 1 user: FAISS flat over ours", 10, True, over(_FLAT, _OURS)))
            made.append(Bar(f"{items:,} items, 1 user: RaBitQ FastScan over ours, per bit", 1, True, over(_RABITQ, _OURS, _PER_BIT)))
    return made


def _floats(rows: Rows) -> list[Bar]:
    made = []
    for items in _items(rows, "search"):
        for at_once in (1, 64):
            over = _over(rows, "search", items, at_once)
            for d in (256, 768):
                name = f"{items:,} items, {_users(at_once)}: torch over our rank on {d} floats"
                made.append(Bar(name, 1, True, over(_TORCH.format(d), _RANK.format(d))))
    return made


def _wholes(rows: Rows) -> list[Bar]:
    made = []
    for items in _items(rows, "search, all users"):
        over = _over(rows, "search, all users", items)
        for d in (256, 768):
            made.append(Bar(f"all users: torch over our rank on {d} floats", 1, True, over(_TORCH.format(d), _RANK.format(d))))
            made.append(Bar(f"all users through evaluate: {d} floats over codes", 1, True, over(_EVALUATE.format(d), _OURS)))
    for row in _chosen(rows, "search bits, all users"):
        if not row["contender"].endswith("floats"):
            over = _over(rows, "search bits, all users", row["items"])
            bits = "1 bit" if row["contender"] == _OURS else row["contender"].partition(", ")[2]
            name = f"all users through evaluate, d = 64: floats over {bits}"
            made.append(Bar(name, 1, True, over(_EVALUATE.format(64), row["contender"])))
    return made


# ---- looking up -----------------------------------------------------------------------------------------------------------------


def _over(rows: Rows, part: str, items: int, at_once: int | None = None) -> Callable[..., float | None]:
    """(a, b, factor) → factor · median of a / median of b."""
    more = {"items": items} | ({} if at_once is None else {"at_once": at_once})

    def over(a: str, b: str, factor: float = 1.0) -> float | None:
        left, right = (_value(rows, "median", part, name, **more) for name in (a, b))
        return None if left is None or right is None else factor * left / right

    return over


def _chosen(rows: Rows, part: str, contender: str | None = None, **more: Any) -> list[dict[str, Any]]:
    wanted = {"part": part} | ({} if contender is None else {"contender": contender}) | more
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def _value(rows: Rows, name: str, part: str, contender: str | None = None, **more: Any) -> float | None:
    found = _chosen(rows, part, contender, **more)
    return found[0][name] if found else None


def _items(rows: Rows, part: str) -> list[int]:
    return sorted({row["items"] for row in _chosen(rows, part)})


def _users(n: int) -> str:
    return "1 user" if n == 1 else f"{n} users"

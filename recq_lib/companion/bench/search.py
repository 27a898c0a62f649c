"""Search in `python -m recq_lib bench`: the best 20 items by our codes, beside floats and other codes; growth, bits, and whole rankings.

The vectors are random; d = 256 in three layers is L²Q-GCN's (L = 2), d = 64 in one segment HQ-GNN's. Everybody has the same threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from recq_lib.companion.bench import contenders as rivals
from recq_lib.companion.bench import search_contenders as made
from recq_lib.companion.bench.search_contenders import Contender, World, threads
from recq_lib.companion.bench.timing import Timing, latencies, table, take_turns
from recq_lib.data.interactions import Interactions
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.kernels import topk

THREADS = 2
MANY_ITEMS = 1_000_000
AT_ONCE = 64  # users in a batch
QUERIES = 200  # by single users
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)
BITS = (1, 2, 3, 4, 8)
_USERS = 1024  # of random worlds
_LIMIT = 4.0  # seconds that a contender may take for its batches, and again for its single users
_ROUNDS = 10  # in which single users are answered
_FULL = 1_000_000  # items up to which all that learn or keep vectors take part in growth


def times(data: Interactions, repeats: int, sizes: Sequence[int] | None = None, queries: int = QUERIES) -> list[dict[str, Any]]:
    """All contenders with as many items as `data` has and with a million, for 64 users at once and one by one."""
    rows = []
    with threads(THREADS):
        for n_items in sizes or (data.n_items, MANY_ITEMS):
            rows += measured("search", made.everyone(World(_USERS, n_items)), repeats, queries, items=n_items)
    return rows


def growth(data: Interactions, repeats: int, sizes: Sequence[int] = GROWTH, queries: int = QUERIES) -> list[dict[str, Any]]:
    """From 10^4 to 10^7 items; contenders that learn from vectors or keep them stop at 10^6."""
    rows = []
    with threads(THREADS):
        for n_items in sizes:
            world = World(_USERS, n_items)
            chosen = made.ours(world) | made.hamming(world)
            if n_items <= _FULL:
                chosen |= made.faiss_floats(world) | made.floats(world, world.narrow)
            rows += measured("search growth", chosen, repeats, queries, items=n_items)
    return rows


def bits(data: Interactions, repeats: int, n_items: int | None = None, queries: int = QUERIES) -> list[dict[str, Any]]:
    """Codes of 1 to 8 bits, d = 64 in one segment, beside 64 floats: batches and single users, and all users through `evaluate`."""
    rows = []
    with threads(THREADS):
        worlds = {b: World(_USERS, n_items or data.n_items, 64, 1, b) for b in BITS}
        chosen = {("recq" if b == 1 else f"recq, {b} bits"): made.ours(world)["recq"] for b, world in worlds.items()}
        rows += measured("search bits", chosen | made.floats(worlds[1], worlds[1].narrow), repeats, queries, items=n_items or data.n_items)
        calls: dict[str, Callable[[], Any]] = {}
        for b in BITS:
            world = World(data.n_users, data.n_items, 64, 1, b)
            calls["recq" if b == 1 else f"recq, {b} bits"] = lambda codes=world.codes: evaluate(codes, data)
        calls["recq evaluate, 64 floats"] = lambda pair=world.narrow: evaluate(pair, data)
        rows += whole("search bits, all users", calls, data, repeats)
    return rows


def everyone(data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """All users of `data`, d = 256 in three layers, through `evaluate` and `rank`, beside torch; and whether codes rank as floats."""
    world, users = World(data.n_users, data.n_items), np.arange(data.n_users, dtype=np.int32)
    with threads(THREADS):
        calls: dict[str, Callable[[], Any]] = {"recq": lambda: evaluate(world.codes, data)}
        for pair in (world.narrow, world.wide):
            width = f"{pair[0].shape[1]} floats"
            calls[f"recq evaluate, {width}"] = lambda pair=pair: evaluate(pair, data)
            calls[f"recq rank, {width}"] = lambda pair=pair: rank(pair, users, data.n_items, made.K, [data.train])
            calls[f"torch mm + topk, {width}"] = lambda pair=pair: rivals.blocked_topk(*pair, data, made.K)
        rows = whole("search, all users", calls, data, repeats)
        differ = (rank(world.codes, users, data.n_items, made.K, []) != by_floats(world, users)).any(axis=1)
    return [*rows, {"part": "search rankings", "contender": "recq", "users": users.size, "users_that_differ": int(differ.sum())}]


def by_floats(world: World, users: np.ndarray) -> np.ndarray:
    """Rankings [B, K] by float products of the codes: torch multiplies -1 and +1 (exact), then factors and sums in the same precision."""
    codes = world.codes
    signs, factors, n = codes.values().astype(np.float32), codes.factors(), codes.n_users

    def tiles(block: np.ndarray):
        total = np.zeros((block.size, codes.n_items), np.float32)
        for of, f in zip(signs, factors, strict=True):
            total += (f[block, None] * f[None, n:]) * made.products(of[block], of[n:])
        yield total

    return topk.best(tiles, users, made.K, [], codes.n_items, 0)[0]


# ---- rows -----------------------------------------------------------------------------------------------------------------------


def measured(part: str, chosen: Mapping[str, Contender], repeats: int, queries: int, *, items: int) -> list[dict[str, Any]]:
    """Rows for 64 users at once (seconds a batch, four in one go), and for one (seconds a query, `queries` of them)."""
    rows = []
    for at_once, n, rounds in ((AT_ONCE, 4 * repeats, repeats), (1, queries, min(queries, _ROUNDS))):
        calls = {name: lambda q, one=one, at_once=at_once: one.answer(_numbers(q, at_once)) for name, one in chosen.items()}
        seconds = latencies(calls, n, _LIMIT, rounds)
        for row in table(part, {name: Timing.of(found) for name, found in seconds.items()}):
            name = row["contender"]
            more = {"p95": float(np.percentile(seconds[name], 95)), "items": items, "at_once": at_once, "bytes": chosen[name].n_bytes}
            rows.append(row | more)
    return rows


def _numbers(query: int, at_once: int) -> np.ndarray:
    """Other users in every query."""
    return (np.arange(query * at_once, (query + 1) * at_once) % _USERS).astype(np.int32)


def whole(part: str, calls: Mapping[str, Callable[[], Any]], data: Interactions, repeats: int) -> list[dict[str, Any]]:
    """Rows of calls that rank all users; floats, whose first call is like any other, are timed once."""
    slow = tuple(name for name in calls if "floats" in name)
    rows = table(part, take_turns(calls, repeats, slow=slow))
    return [row | {"items": data.n_items, "at_once": data.n_users} for row in rows]

"""What the benchmark of search says (`bench.search`): its rows by contender, and what is concluded from them (ours).

Only `live` and `live_quality` measure. Titles and sentences are computed from rows, so that they change with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from recq_lib.companion.bench import search, search_quality
from recq_lib.companion.bench import search_contenders as made
from recq_lib.companion.bench.run import recorded
from recq_lib.companion.bench.search_contenders import World
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.io import paths

Rows = Sequence[Mapping[str, Any]]
RECORD = "benchmarks/search.json"  # a whole path, so that a notebook that shows it notices a new one
COMMAND = f"python -m recq_lib bench --only {{}} --output {RECORD}"
OURS, SCORES = "recq", "recq, scores alone"
_QUALITY = ("benchmarks/search-quality-gowalla.json", "benchmarks/search-quality-lastfm.json")  # the first that is there is shown
_PLAIN = re.compile(r"recq, \d bits?")  # our codes as they are meant to be made
# words of a contender's name → its family; the first that fits
_FAMILIES = (
    ("PQ", "PQ"), ("RaBitQ", "RaBitQ"), ("int8", "int8"), ("binary", "bits alone"), ("usearch", "bits alone"), ("Hamming", "bits alone"),
    ("bits alone", "bits alone"), ("recq, scores", "our scores"), ("float", "floats"), ("recq", "our codes"),
)  # fmt: skip


def recorded_search() -> dict[str, Any] | None:
    """The benchmark of search that is committed, or None."""
    return recorded(paths.project_root() / RECORD)


def recorded_quality() -> dict[str, Any] | None:
    """The benchmark of one trained model in many codes that is committed (part "search quality"), of the largest dataset; or None."""
    found = (recorded(paths.project_root() / path) for path in _QUALITY)
    return next((outcome for outcome in found if outcome is not None), None)


def machine(outcome: Mapping[str, Any]) -> str:
    """On what it ran: "a processor, 2 threads"."""
    where = outcome["provenance"]
    return f"{where['device_name']}, {where['threads']} threads"


def source(outcome: Mapping[str, Any]) -> str:
    """What a caption says of a benchmark: sizes and machine."""
    return f"random codes and vectors, {outcome['dataset']}'s size and others, {machine(outcome)}"


def live(items: int, queries: int = 20, repeats: int = 2) -> list[dict[str, Any]]:
    """Part "search" measured now, by our codes and by floats alone: a small random world, which anybody can time."""
    world = World(1024, items)
    chosen = made.ours(world) | made.floats(world, world.narrow) | made.floats(world, world.wide)
    return search.measured("search", chosen, repeats, queries, items=items)


def live_quality(users: np.ndarray, items: np.ndarray, data: Interactions) -> list[dict[str, Any]]:
    """`search_quality.quality` of these vectors without times; nothing where FAISS is not installed."""
    try:
        return search_quality.quality(users, items, data, times=False)
    except ConfigError:
        return []


def family(contender: str) -> str:
    """"our codes", "our scores", "floats", "PQ", "RaBitQ", "int8" or "bits alone"."""
    return next(name for words, name in _FAMILIES if words in contender)


def of_part(rows: Rows, part: str, **wanted: Any) -> list[Mapping[str, Any]]:
    """Rows of a part whose other fields are as `wanted`."""
    return [row for row in rows if row["part"] == part and all(row.get(name) == value for name, value in wanted.items())]


def most_items(rows: Rows, part: str = "search") -> int:
    """The largest number of items that the part was measured with; 0 where it was not."""
    return max((row["items"] for row in of_part(rows, part)), default=0)


def medians(rows: Rows, part: str, **wanted: Any) -> dict[str, float]:
    """Contender → median in seconds."""
    return {row["contender"]: row["median"] for row in of_part(rows, part, **wanted)}


# ---- tables ---------------------------------------------------------------------------------------------------------------------


def times_table(rows: Rows, items: int) -> pd.DataFrame:
    """One row a contender, the fastest batch first: bytes an item, MB of all items, ms of one user and of 64 (median, 95 %), users/s."""
    one, batch = ({row["contender"]: row for row in of_part(rows, "search", items=items, at_once=n)} for n in (1, 64))
    found = []
    for name in sorted(batch, key=lambda name: batch[name]["median"]):
        single, many = one.get(name, {}), batch[name]
        found.append({
            "contender": named(name), "bytes an item": round(many["bytes"] / items), "MB": f"{many['bytes'] / 1e6:.1f}",
            "1 user, ms": _ms(single, "median"), "95 %": _ms(single, "p95"),
            "64 users, ms": _ms(many, "median"), "95 % ": _ms(many, "p95"), "users/s": round(64 / many["median"]),
        })  # fmt: skip
    return pd.DataFrame(found)


def files_table(rows: Rows) -> pd.DataFrame:
    """Files of codes and of an index: MB, and by what factor smaller than 256 floats a node."""
    found = [(row["items"], row["users"], row["contender"], row["bytes"] / 1e6, row["smaller"]) for row in of_part(rows, "search file")]
    return pd.DataFrame(found, columns=["items", "users", "file", "MB", "times smaller"])


def everyone_table(rows: Rows) -> pd.DataFrame:
    """Seconds for all users of a dataset, three layers of 256 bits and the floats beside them, and how often as long as codes."""
    found = [(_through(row["contender"]), row["median"], row["ratio"]) for row in of_part(rows, "search, all users")]
    return pd.DataFrame(found, columns=["what ranks", "seconds", "times as long"])


def quality_table(rows: Rows) -> pd.DataFrame:
    """Rows of `search_quality.quality` by rising bytes: bytes an item, Recall@20 in %, share of floats, ms of 64 users."""
    full = next(row["recall@20"] for row in rows if row["method"] == "floats")
    ordered = sorted(rows, key=lambda row: (row["bytes"], -row["recall@20"]))
    found = [(r["method"], round(r["bytes"]), 100 * r["recall@20"], 100 * r["recall@20"] / full, r["milliseconds"]) for r in ordered]
    return pd.DataFrame(found, columns=["method", "bytes an item", "Recall@20, %", "of floats, %", "64 users, ms"])


def named(contender: str) -> str:
    """How a contender is called beside others."""
    whole = {OURS: "recq codes, 3 × 256 bits", SCORES: "recq, scores alone"}
    return whole.get(contender, contender)


def _through(contender: str) -> str:
    return "recq evaluate, codes" if contender == OURS else contender


def _ms(row: Mapping[str, Any], name: str) -> float:
    return 1e3 * row.get(name, np.nan)


# ---- conclusions ----------------------------------------------------------------------------------------------------------------


def answer(rows: Rows, quality: Rows = ()) -> list[str]:
    """What a reader came for, a sentence each: first where others win, then what codes gain; without what is not there."""
    lost, won = [], []
    for at_once in (64, 1):
        for sentence, behind in _race(rows, most_items(rows), at_once):
            (lost if behind else won).append(sentence)
    if quality:
        lost += [recall_sentence(quality), *equal_bytes(quality)]
    return [*lost, *won, *_sizes(rows), *_exactness(rows)]


def _race(rows: Rows, items: int, at_once: int) -> list[tuple[str, bool]]:
    """(sentence, are our codes behind): against the fastest other, and against products of floats."""
    took = {name: seconds for name, seconds in medians(rows, "search", items=items, at_once=at_once).items() if name != SCORES}
    if OURS not in took or len(took) == 1:
        return []
    ours, size = took.pop(OURS), {row["contender"]: row["bytes"] for row in of_part(rows, "search", items=items, at_once=at_once)}
    first = min(took, key=lambda name: took[name])
    who = "One user" if at_once == 1 else f"{at_once} users at once"
    where = f"{who}, {items:,} items: "
    behind, more = took[first] < ours, size[OURS] / size[first]
    if behind:
        told = f"{first} is first with {shown(took[first])}; our codes take {shown(ours)}, {times(ours / took[first])} as long, over "
        told += f"{times(more)} the bytes"
    else:
        told = f"our codes are first with {shown(ours)}, ahead of {first} ({shown(took[first])})"
    found = [(f"{where}{told}.", behind)]
    floats = [name for name in took if name.startswith("torch")]
    if floats:
        said = ", ".join(f"{times(took[name] / ours)} as long on {name.partition(', ')[2]}" for name in floats)
        found.append((f"{where}torch takes {said} as our codes.", any(took[name] < ours for name in floats)))
    return found


def recall_sentence(quality: Rows) -> str:
    """Floats and our codes by bits: Recall@20 of the same vectors."""
    by_name = {row["method"]: row for row in quality}
    full = by_name["floats"]["recall@20"]
    kept = {name.removeprefix("recq, "): row["recall@20"] / full for name, row in by_name.items() if _PLAIN.fullmatch(name)}
    said = [f"{name} {100 * share:.0f} %" for name, share in kept.items()]
    return f"Recall@20 of the same vectors: of what floats reach ({100 * full:.1f} %), rounding afterwards keeps {', '.join(said)}."


def equal_bytes(quality: Rows) -> list[str]:
    """Our codes beside the best of other codes that take no more bytes: where those rank better is said first."""
    behind, ahead = [], []
    for ours in sorted((row for row in quality if _PLAIN.fullmatch(row["method"])), key=lambda row: row["bytes"]):
        others = [row for row in quality if row["method"].startswith("FAISS") and row["bytes"] <= ours["bytes"]]
        best = max(others, key=lambda row: row["recall@20"], default=None)
        name = ours["method"].removeprefix("recq, ")
        if best is not None and best["recall@20"] > ours["recall@20"]:
            pair = (f"{100 * row['recall@20']:.1f} % in {row['bytes']:.0f} bytes" for row in (best, ours))
            behind.append("our {} ({}: {}, ours {})".format(name, best["method"].removeprefix("FAISS "), *pair))
        elif best is not None:
            ahead.append(name)
    told = [f"Codes that are no larger rank better than {' and '.join(behind)}."] if behind else []
    return told + ([f"No code of at most as many bytes ranks better than ours of {', '.join(ahead)}."] if ahead else [])


def _sizes(rows: Rows) -> list[str]:
    found = []
    for row in of_part(rows, "search file", items=most_items(rows, "search file"), contender="index file"):
        found.append(f"On disk an index is {row['smaller']:.1f} times smaller than 256 floats a node ({row['items']:,} items).")
    for row in of_part(rows, "search start", contender="start to first answer"):
        (load,) = (each["median"] for each in of_part(rows, "search start", contender="load an index"))
        found.append(f"It is loaded in {shown(load)}; a new process has answered after {row['median']:.1f} s.")
    return found


def _exactness(rows: Rows) -> list[str]:
    told = "The ranking is that of the codes' float scores, ties included: {users_that_differ} of {users:,} users differ."
    return [told.format(**row) for row in of_part(rows, "search rankings")]


def race_title(rows: Rows, items: int, at_once: int) -> str:
    """Title of a panel of times: who is first."""
    took = {name: seconds for name, seconds in medians(rows, "search", items=items, at_once=at_once).items() if name != SCORES}
    ours, who = took.pop(OURS), "1 user" if at_once == 1 else f"{at_once} users"
    first = min(took, key=lambda name: took[name])
    if took[first] < ours:
        return f"{who}: {family(first)} is {ours / took[first]:.1f}× faster than our codes"
    return f"{who}: our codes are {took[first] / ours:.1f}× faster than {family(first)}"


def growth_title(rows: Rows, at_once: int) -> str:
    """How time grows with items: the exponent between the last two sizes of our codes, 1 = in proportion."""
    mine = sorted((row["items"], row["median"]) for row in of_part(rows, "search growth", contender=OURS, at_once=at_once))
    who = "1 user" if at_once == 1 else f"{at_once} users"
    if len(mine) < 2:
        return who
    (n, before), (m, after) = mine[0], mine[-1]
    return f"{who}: {m / n:,.0f}× the items take {after / before:,.0f}× the time"


def times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 100 else f"{ratio:.0f} times"


def shown(seconds: float) -> str:
    """"1.52 s", "58.6 ms" or "0.10 ms"."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.1f} ms" if seconds >= 1e-3 else f"{1e3 * seconds:.2f} ms"

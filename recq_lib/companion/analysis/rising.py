"""Which runs end still rising: the one rule by which a notebook says that a run may have been too short (ours)."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS

RULE = "the epoch that was kept is the last one evaluated"


def ends_rising(record: RunRecord) -> bool:
    """Whether the epoch that was kept is the last one evaluated, so that longer training might have been better; False without epochs."""
    metric = record.spec.params.get("select_metric", "")
    name = metric if record.spec.params.get("select_on") == "test" else f"val_{metric}"
    evaluated = [entry["epoch"] for entry in record.history if name in entry]
    return bool(evaluated) and record.timings["best_epoch"] >= max(evaluated)


def rising_table(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per dataset and method: dataset, method (its title), runs, rising (how many of them end so)."""
    rows = [(r.spec.dataset, _title(r.spec.method), ends_rising(r)) for r in records if r.history]
    found = pd.DataFrame(rows, columns=["dataset", "method", "rising"]).groupby(["dataset", "method"], sort=False)["rising"]
    return found.agg(runs="size", rising="sum").reset_index()


def rising_in_words(records: Iterable[RunRecord]) -> str:
    """How many runs end still rising, and which, as one sentence."""
    table = rising_table(records)
    told = f"{table['rising'].sum()} of {table['runs'].sum()} trained runs end still rising ({RULE})"
    some = table[table["rising"] > 0]
    return told + "".join(f"; {row.method} on {row.dataset} {row.rising} of {row.runs}" for row in some.itertuples()) + "."


def _title(method: str) -> str:
    return METHODS[method].title if method in METHODS else method

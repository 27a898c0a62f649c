"""What is recorded of the fast recipe: its curves of quality over time beside BPR's, and the level it reaches on test (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.bench.run import recorded
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.io import paths
from recq_lib.runs.records import RunRecord

# whole paths, so that a notebook that shows them notices a new file
_TIMES = {
    "ml1m": "benchmarks/recipe-ml1m.json",
    "gowalla": "benchmarks/recipe-gowalla.json",
    "yelp2018": "benchmarks/recipe-yelp2018.json",
    "pinterest": "benchmarks/recipe-pinterest.json",
}
Curves = dict[str, list[dict[str, float]]]  # contender → points of `bench.recipe.curve`


def recorded_times() -> dict[str, dict[str, Any]]:
    """Dataset → outcome of its benchmark "recipe" (`bench.run.recorded`), those that are recorded."""
    found = {name: recorded(paths.project_root() / path) for name, path in _TIMES.items()}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def curves_of(outcome: Mapping[str, Any]) -> Curves:
    """Contender → its curve."""
    return {row["contender"]: row["curve"] for row in outcome["rows"] if "curve" in row}


def machines(outcomes: Iterable[Mapping[str, Any]]) -> str:
    """On what the benchmarks ran: "a processor, 2 threads", several after "; "."""
    ran = (outcome["provenance"] for outcome in outcomes)
    return "; ".join(dict.fromkeys(f"{where['device_name']}, {where['threads']} threads" for where in ran))


def how_to_record(names: Iterable[str]) -> list[str]:
    """The commands that make the missing ones of `_TIMES`; `names` are recorded."""
    command = "python -m recq_lib bench --only recipe --dataset {name} --output {path}"
    return [command.format(name=name, path=path) for name, path in _TIMES.items() if name not in set(names)]


def levels(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per dataset of runs of one method, in %: Recall@20 and NDCG@20 on test, ± half of Recall's 95 % interval over seeds.

    "published" is LightGCN's Recall@20 in the README of its code, nan where none is known.
    """
    by_dataset: dict[str, list[RunRecord]] = {}
    for record in records:
        by_dataset.setdefault(record.spec.dataset, []).append(record)
    rows = []
    for name, group in by_dataset.items():
        recall, ndcg = (np.array([100 * record.metrics[metric] for record in group]) for metric in ("recall@20", "ndcg@20"))
        theirs = published.value(paper="lightgcn", dataset=name, method="lightgcn", metric="recall@20")
        epochs = "/".join(str(epochs) for epochs in sorted({record.spec.params["epochs"] for record in group}))
        row = (name, len(group), epochs, recall.mean(), mean_interval(recall).half_width, ndcg.mean())
        rows.append((*row, np.nan if theirs is None else theirs))
    return pd.DataFrame(rows, columns=["dataset", "seeds", "epochs", "Recall@20", "±", "NDCG@20", "published Recall@20, BPR"])


def levels_in_text(records: Iterable[RunRecord]) -> pd.DataFrame:
    """`levels` as text of two digits, "–" for what is not known: for README."""
    return levels(records).map(lambda value: value if isinstance(value, (str, int)) else "–" if np.isnan(value) else f"{value:.2f}")

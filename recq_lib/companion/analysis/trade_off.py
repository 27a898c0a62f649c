"""HQ-GNN's trade-off: Recall of its recorded runs by bits, beside the time that codes of so many bits take (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from recq_lib.companion.analysis import retrieval
from recq_lib.companion.analysis.kept import ENCODERS, encoder_of, title_of
from recq_lib.companion.studies import bits as widths
from recq_lib.companion.studies import study
from recq_lib.config import OPTION
from recq_lib.runs.records import RunRecord


def hq_records() -> list[RunRecord]:
    """Recorded runs of HQ-GNN's bits: LastFM of study "bits", Gowalla of "bits-large" once codes are among them."""
    small, large = (
        [record for record in study.recorded(name, "paper") if record.spec.dataset == dataset]
        for name, dataset in (("bits", "lastfm"), ("bits-large", "gowalla"))
    )
    return small + (large if any(record.spec.method == "hq-gnn" for record in large) else [])


def trade_off(records: Iterable[RunRecord], rows: retrieval.Rows, metric: str = "recall@50") -> pd.DataFrame:
    """Quality of LightGCN's codes by bits (study "bits" or "bits-large") beside the time that codes of these bits take, d = 64.

    One row per dataset, method and bits (0: floats), bits that no record has included: dataset, method, bits, seeds, metric (mean over
    seeds, nan where nothing is recorded), milliseconds of 64 users (part "search bits"; nan where it was not measured).
    HQ-GNN's are the runs that start warm under the scale convention of `studies.bits.start`, by GSTE.
    """
    found: dict[tuple[str, str, int], dict[int, tuple[int, float]]] = {}
    for record in records:
        key = _place(record)
        if key is not None and metric in record.metrics:
            seeds = found.setdefault(key, {})
            run = int(record.spec.params.get("epochs", 0)), record.metrics[metric]
            seeds[record.spec.seed] = max(run, seeds.get(record.spec.seed, run))  # full precision: its longest run
    took = retrieval.medians(rows, "search bits", at_once=64)
    datasets = dict.fromkeys(dataset for dataset, _, _ in found)
    wanted = [("lightgcn", 0), *((method, b) for method in ("hq-gnn", "ptq-bits") for b in widths.BITS)]
    table = []
    for dataset, (method, b) in ((dataset, pair) for dataset in datasets for pair in wanted):
        values = [value for _, value in found.get((dataset, method, b), {}).values()]
        mean = float(np.mean(values)) if values else np.nan
        table.append((dataset, title_of(method), b, len(values), mean, 1e3 * _time_of(took, b)))
    return pd.DataFrame(table, columns=["dataset", "method", "bits", "seeds", metric, "milliseconds"])


def not_run(table: pd.DataFrame) -> list[str]:
    """What of `trade_off` no record holds: "gowalla: HQ-GNN of 3 bits"."""
    missing = table[table["seeds"] == 0]
    groups = missing.groupby(["dataset", "method"], sort=False)["bits"]
    names = (("lastfm", "bits"), ("gowalla", "bits-large"))
    wholly = [f"{name}: HQ-GNN, study {of}" for name, of in names if name not in set(table["dataset"])]
    return wholly + [f"{dataset}: {method} of {', '.join(map(str, of))} bits" for (dataset, method), of in groups]


def _place(record: RunRecord) -> tuple[str, str, int] | None:
    method, params = record.spec.method, record.spec.params
    if encoder_of(record) != "lightgcn" or params.get("dim") != 64:
        return None
    if method in ENCODERS:
        return record.spec.dataset, method, 0
    b = int(params.get(f"{OPTION}bits", 0))
    options = {"estimator": "gste"} | widths.start(b) if method == "hq-gnn" else {}
    plain = all(params.get(OPTION + name, value) == value for name, value in options.items()) and params.get(f"{OPTION}refresh", 1) == 1
    return (record.spec.dataset, method, b) if method in ("hq-gnn", "ptq-bits") and plain else None


def _time_of(took: Mapping[str, float], b: int) -> float:
    """Seconds with b bits; of floats (0) the faster of torch and our `rank`."""
    if b == 0:
        return min((seconds for name, seconds in took.items() if "floats" in name), default=np.nan)
    return took.get(retrieval.OURS if b == 1 else f"{retrieval.OURS}, {b} bits", np.nan)

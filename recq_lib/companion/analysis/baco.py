"""BACO beside every other way to share rows: names, the paper's Table 8 beside ours, paired tests, sizes and costs (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.analysis.paired import named, paired, recalls, seeds_of
from recq_lib.companion.report import PER_DATASET, name_in, protocol_of
from recq_lib.config import OPTION
from recq_lib.data.loading import RESPLIT
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS


def title_of(method: str) -> str:
    """A method's name where tables are compared; LightGCN has the full one."""
    return "full table" if method == "lightgcn" else METHODS[method].title if method in METHODS else method


def name_of(record: RunRecord) -> str:
    """`title_of` of a run, with what sets it apart from the method's usual form."""
    name = title_of(record.spec.method)
    return name if record.spec.params.get(f"{OPTION}scu", True) else f"{name} without SCU"


def by_name(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs by `name_of`, in the order given."""
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(name_of(record), []).append(record)
    return found


def frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """`store.frame` of the runs, with `name_of` as their method."""
    return results.frame(records).assign(method=[name_of(record) for record in records])


# ---- tests -------------------------------------------------------------------------------------------------------------------


def against_others(records: Sequence[RunRecord], *, capped: bool = False) -> pd.DataFrame:
    """Rows of `paired` of BACO (a) against every other way recorded (b), Recall@20 per user; empty without BACO or others.

    capped : divide by min(20, |T|), as the paper does, in place of |T|
    """
    table = named(records, name_of)
    values = recalls(table, 20, capped=capped)
    return paired(values, [("BACO", other) for other in values if other != "BACO"], seeds_of(table))


# ---- the paper's Table 8 -----------------------------------------------------------------------------------------------------


def beside_rows(records: Sequence[RunRecord], dataset: str, metric: str, *, any_protocol: bool = False) -> pd.DataFrame:
    """The paper's Table 8 for one dataset and metric, and ours: method, label, published, ours, half_width, difference (%), seeds.

    Only records on the dataset, or on our own split of it, that follow BACO's protocol count: in every parameter but γ and the resolution,
    which the paper sets per dataset. With `any_protocol` all of them count, and their reader has to be told how they differ. `method` is
    the paper's name for it; `ours` is nan and `seeds` 0 where there is none.
    """
    ours: dict[str, list[float]] = {}
    for record in records:
        here = record.spec.dataset.removesuffix(RESPLIT) == dataset and metric in record.metrics
        if here and (any_protocol or _follows_the_paper(record)):
            ours.setdefault(name_in("baco", record.spec.method), []).append(100 * record.metrics[metric])
    rows = []
    for number in published.lookup(paper="baco", dataset=dataset, metric=metric, setting=""):
        values = ours.get(number.method, [])
        interval = mean_interval(values) if values else None
        mean, half = (interval.mean, interval.half_width) if interval else (np.nan, np.nan)
        rows.append((number.method, number.label, number.value, mean, half, mean - number.value, len(values)))
    return pd.DataFrame(rows, columns=["method", "label", "published", "ours", "half_width", "difference", "seeds"])


def _follows_the_paper(record: RunRecord) -> bool:
    protocol, changes = protocol_of(record)
    return protocol == "baco" and changes.keys() <= {option for _, option in PER_DATASET}


def side_by_side(beside: Mapping[str, pd.DataFrame], metrics: Sequence[str]) -> pd.DataFrame:
    """Tables of `beside_rows` by metric as one to show: paper, ours ± half-width and difference for each of the `metrics`."""
    first = beside[metrics[0]]
    columns = {"method": first["label"], "seeds": first["seeds"].astype(str)}
    for metric in metrics:
        ours, difference = zip(*(_texts(row) for row in beside[metric].itertuples()), strict=True)
        short = f"{metric[0].upper()}@{metric.split('@')[1]}"
        columns |= {f"{short} paper": beside[metric]["published"], f"{short} ours": ours, f"{short} diff.": difference}
    return pd.DataFrame(columns)


def _texts(row) -> tuple[str, str]:
    if not np.isfinite(row.ours):
        return "not run", "–"
    spread = f" ± {row.half_width:.2f}" if np.isfinite(row.half_width) else ""
    return f"{row.ours:.2f}{spread}", f"{row.difference:+.2f}"


def distance_in_words(beside: pd.DataFrame) -> str:
    """How near our numbers of `beside_rows` are to the paper's: order, mean difference, and the three furthest."""
    both = beside.dropna(subset=["published", "ours"])
    if len(both) < 4:
        return f"{len(both)} of {len(beside)} methods have both numbers, too few to compare orders"
    order, apart = both["published"].corr(both["ours"], method="spearman"), both["difference"].abs()
    furthest = both.loc[apart.sort_values().index[::-1]].head(3)
    return (
        f"{len(both)} methods have both numbers: rank correlation {order:.2f}\n"
        f"mean difference {both['difference'].mean():+.2f} points, without signs {apart.mean():.2f}\n"
        f"furthest from the paper: {', '.join(f'{row.label} {row.difference:+.2f}' for row in furthest.itertuples())}"
    )


# ---- sizes and costs ---------------------------------------------------------------------------------------------------------


def sizes(records: Iterable[RunRecord], metric: str = "recall@20") -> pd.DataFrame:
    """One row per way to share rows: seeds, Recall (%) with half of its interval, and kB of what is trained, stored and ranked with."""
    rows = []
    for name, group in by_name(records).items():
        interval = mean_interval([100 * record.metrics[metric] for record in group])
        kilobytes = [group[0].n_bytes[what] / 1000 for what in ("parameters", "table", "stored")]
        rows.append((name, len(group), interval.mean, interval.half_width, *kilobytes))
    columns = ["table", "seeds", "Recall@20, %", "±", "trained, kB", "table with indices, kB", "vectors to rank, kB"]
    return pd.DataFrame(rows, columns=columns).sort_values("Recall@20, %", ascending=False)


def cost_of_rows(records: Iterable[RunRecord]) -> pd.DataFrame:
    """One row per way to share rows: Recall@20 over min(20, |T|) in %, parameters as the paper counts, longest time to find the rows."""
    rows = []
    for name, group in by_name(records).items():
        recall = 100 * results.summarise(group, "recall_min@20").mean
        seconds = max(record.timings["build_seconds"] for record in group)
        rows.append((name, len(group), recall, group[-1].provenance.get("table_parameters"), seconds))
    columns = ["table", "seeds", "Recall@20, %", "parameters (paper's count)", "seconds to find the rows"]
    return pd.DataFrame(rows, columns=columns).sort_values("Recall@20, %", ascending=False)


def kept_in_words(records: Iterable[RunRecord]) -> str:
    """What BACO keeps of the full table's Recall@20 (over min(20, |T|)), parameters and bytes; "" unless both are recorded."""
    own = by_name(records)
    if not {"BACO", "full table"} <= own.keys():
        return ""
    whole, recall = (100 * results.summarise(own[name], "recall_min@20").mean for name in ("full table", "BACO"))
    shared, full = own["BACO"][-1], own["full table"][-1]
    parameters = shared.provenance["table_parameters"] / full.provenance["table_parameters"]  # rows times d, and second indices
    return (
        f"BACO: Recall@20 {recall:.2f} % against {whole:.2f} % of the full table, {1 - parameters:.1%} fewer parameters (the paper's "
        f"count), {1 - shared.n_bytes['table'] / full.n_bytes['table']:.1%} fewer bytes of table"
    )

"""published | ours ± half-width | difference: every record beside the number its paper prints, or the reason there is none."""

from __future__ import annotations

import pandas as pd

from recq_lib import published, results
from recq_lib.records import RunRecord

# which published column a protocol answers: the paper, the published method's name, and the metrics compared
_PROTOCOLS = {
    "baco": ("baco", ("recall_min@10", "ndcg@10", "recall_min@50", "ndcg@50")),
    "l2q": ("bigear", ("recall@20", "ndcg_authors@20", "recall@100", "ndcg_authors@100")),
    "lightgcn": ("lightgcn", ("recall@20", "ndcg@20")),
}


def protocol_of(record: RunRecord) -> str:
    """Which paper's protocol a record follows, read from its parameters: "baco", "l2q", "lightgcn"."""
    params = record.spec.params
    if params.get("sampling") == "per_interaction" and params.get("negatives") == "uniform":
        return "baco"
    return "l2q" if params.get("readout") == "concat" else "lightgcn"


def groups(records: list[RunRecord]) -> list[list[RunRecord]]:
    """Records that differ in seed only, in the order given."""
    found: dict[tuple, list[RunRecord]] = {}
    for record in records:
        found.setdefault((record.spec.dataset, record.spec.method, record.spec.profile, record.spec.setting), []).append(record)
    return list(found.values())


def against_published(records: list[RunRecord] | None = None) -> pd.DataFrame:
    """One row per setting and metric: published, ours, half-width of the 95 % interval over seeds, difference (all in %), and a note.

    Only paper-profile records are compared with papers. `published` is nan where no number is known.
    """
    chosen = results.find(profile="paper", arrays=False) if records is None else [r for r in records if r.spec.profile == "paper"]
    rows = [row for group in groups(chosen) if group[0].history for row in _rows(group)]
    columns = ["dataset", "method", "protocol", "metric", "published", "ours", "half_width", "seeds", "difference", "note"]
    return pd.DataFrame(rows, columns=columns)


def _rows(group: list[RunRecord]) -> list[dict[str, object]]:
    name = protocol_of(group[0])
    paper, metrics = _PROTOCOLS[name]
    spec, rows = group[0].spec, []
    for metric in metrics:
        if metric not in group[0].metrics:
            continue
        quoted = published.value(paper=paper, dataset=spec.dataset, method=spec.method, metric=metric)
        ours = results.summarise(group, metric)
        rows.append(
            {
                "dataset": spec.dataset, "method": spec.method, "protocol": name, "metric": metric,
                "published": quoted, "ours": 100 * ours.mean, "half_width": 100 * ours.half_width, "seeds": ours.n,
                "difference": None if quoted is None else 100 * ours.mean - quoted,
                "note": _note(group[0], quoted),
            }
        )  # fmt: skip
    return rows


def _note(record: RunRecord, quoted: float | None) -> str:
    chosen = "epoch chosen on test, as the authors do" if record.spec.params.get("select_on") == "test" else "epoch chosen on validation"
    return chosen if quoted is not None else f"{chosen}; no published number is known for this cell"

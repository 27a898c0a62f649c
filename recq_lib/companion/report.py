"""published | ours ± half-width | difference: every record beside the number its paper prints, or the reason there is none."""

from __future__ import annotations

import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.studies import naming
from recq_lib.config import OPTION, TrainConfig
from recq_lib.data import CATALOGUE
from recq_lib.runs import registry
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord

# protocol → the paper and the metrics that its published rows answer to
_QUOTED = {
    "baco": ("baco", ("recall_min@10", "ndcg@10", "recall_min@50", "ndcg@50")),
    "l2q-authors": ("bigear", ("recall@20", "ndcg_authors@20", "recall@100", "ndcg_authors@100")),
    "l2q": ("bigear", ("recall@20", "ndcg_authors@20", "recall@100", "ndcg_authors@100")),
    "lightgcn": ("lightgcn", ("recall@20", "ndcg@20")),
}
_CHOSEN = {"val": "epoch chosen on validation", "test": "epoch chosen on test, as the authors do"}
# options that the paper itself sets for each dataset, to meet its budget
PER_DATASET = {("baco", f"{OPTION}gamma"), ("leiden", f"{OPTION}resolution")}


def name_in(paper: str, method: str) -> str:
    """What `paper` calls our method: its own name unless its entry says otherwise."""
    entry = registry.METHODS.get(method)
    return method if entry is None else entry.published.get(paper, method)


def protocol_of(record: RunRecord) -> tuple[str, dict[str, object]]:
    """(name of the nearest protocol, parameters in which the record differs from it). A method's own options count if changed."""
    found = naming.protocol_of(record)
    method = registry.METHODS.get(record.spec.method)
    usual = {} if method is None else TrainConfig(options=dict(method.options)).params()
    options = {name: list(value) if isinstance(value, tuple) else value for name, value in record.spec.params.items()}
    changed = {
        name: value
        for name, value in options.items()
        if name.startswith(OPTION) and usual.get(name) != value and (record.spec.method, name) not in PER_DATASET
    }
    return found.name, dict(found.changes) | changed


def quoted(record: RunRecord) -> dict[str, float | None]:
    """Metric → published number in %, for the metrics its protocol is quoted by; None where none is known, or setting or data differ."""
    name, changes = protocol_of(record)
    if name not in _QUOTED:  # no paper prints numbers of it that we know
        return {}
    paper, metrics = _QUOTED[name]
    method = name_in(paper, record.spec.method)
    cell = {"paper": paper, "dataset": record.spec.dataset, "method": method}
    ours = record.spec.dataset in CATALOGUE and CATALOGUE[record.spec.dataset].cleaned  # another dataset than the paper's of that name
    return {m: None if changes or ours else published.value(metric=m, **cell) for m in metrics if m in record.metrics}


def groups(records: list[RunRecord]) -> list[list[RunRecord]]:
    """Records that differ in seed only, in the order given."""
    found: dict[tuple, list[RunRecord]] = {}
    for record in records:
        found.setdefault((record.spec.dataset, record.spec.method, record.spec.profile, record.spec.setting), []).append(record)
    return list(found.values())


def against_published(records: list[RunRecord] | None = None) -> pd.DataFrame:
    """One row per setting and metric: published, ours, half-width of the 95 % interval over seeds, difference (all in %), and a note.

    Only paper-profile runs are compared, and a number is quoted only beside runs that follow its protocol in every parameter; `differs`
    names the parameters of the others. `protocol` is the nearest in words (`studies.naming`). `published` is nan where no number is known
    or none may be quoted.
    """
    chosen = results.find(profile="paper", arrays=False) if records is None else [r for r in records if r.spec.profile == "paper"]
    rows = [row for group in groups(chosen) if group[0].history for row in _rows(group)]
    columns = ["dataset", "method", "protocol", "differs", "metric", "published", "ours", "half_width", "seeds", "difference", "note"]
    return pd.DataFrame(rows, columns=columns)


def _rows(group: list[RunRecord]) -> list[dict[str, object]]:
    _, changes = protocol_of(group[0])
    spec, rows = group[0].spec, []
    for metric, number in quoted(group[0]).items():
        ours = results.summarise(group, metric)
        rows.append(
            {
                "dataset": spec.dataset, "method": spec.method, "protocol": naming.protocol_of(group[0]).title,
                "differs": ", ".join(f"{key}={value}" for key, value in changes.items()), "metric": metric,
                "published": number, "ours": 100 * ours.mean, "half_width": 100 * ours.half_width, "seeds": ours.n,
                "difference": None if number is None else 100 * ours.mean - number,
                "note": _note(group[0], number),
            }
        )  # fmt: skip
    return rows


def _note(record: RunRecord, number: float | None) -> str:
    select_on = naming.settings_of(record)["select_on"]
    chosen = _CHOSEN.get(select_on) or naming.selection(select_on)
    return chosen if number is not None else f"{chosen}; no published number answers to this setting"

"""Every number quoted from a paper, with its table, metric form, provenance and trust; nothing where nothing is known.

The tables lie in `published_tables/*.csv`; metric names are the library's own, so that a published "recall_min@10" is never set
beside our "recall@10". Numbers are in % unless `unit` says otherwise. They are targets with a note, not ground truth: several were chosen
on test data, most come from one run.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources

import pandas as pd

from recq_lib.errors import ConfigError, one_of

PAPERS = {
    "l2q-gcn": "Chen et al. 2021, L2Q-GCN, arXiv 2112.01944",
    "hq-gnn": "Chen et al. 2023, HQ-GNN, arXiv 2309.01032",
    "baco": "BACO, SIGIR 2026, arXiv 2604.18351",
    "bigear": "BiGeaR, KDD 2022, arXiv 2206.02115",
    "bigear++": "BiGeaR++ / BiGeaR-SS, arXiv 2506.02750",
    "mixgcf": "MixGCF, public repository",
    "lightgcn": "LightGCN, LightGCN-PyTorch repository",
}
CONVENTIONS = {
    "recall": "hits / |T|",
    "recall_min": "hits / min(K, |T|)",
    "precision": "hits / K",
    "ndcg": "ideal over min(K, |T|)",
    "ndcg_authors": "ideal from the hits retrieved in the top max(K)",
    "loss": "training loss",
    "loss_bpr": "BPR part of the training loss",
    "loss_id": "inference-distillation part of the training loss",
    "best_epoch": "epoch of the best test Recall@20",
    "epochs": "length of the run",
    "parameters": "trainable numbers and extra indices",
    "parameter_ratio": "share of the parameters of the full table",
    "gamma": "resolution of the co-clustering",
    "embedding_distance": "average distance to the full-precision embedding, not specified further",
}
TRUST = {
    "transcribed": "read from page images of a published document",
    "digitised": "measured in a published figure",
    "log": "authors' public training logs",
    "readme": "authors' public README",
    "recalled": "recalled, unverified",
}
UNVERIFIED = frozenset({"recalled"})
_REASONS = {
    "hq-gnn": "No table value of HQ-GNN is known: neither the tables nor code or logs were available, only the abstract. "
    "A person with the paper must type them in.",
    "l2q-gcn": "No table value of L2Q-GCN is known: only the abstract's claims were available (see `claims`). "
    "Runs of its successor BiGeaR stand in as a reference, under their own name.",
}


@dataclass(frozen=True)
class PublishedNumber:
    """One quoted number.

    method is the library's name, `label` the paper's own; metric is the library's name without "@K"; k is None where there is no cut-off
    setting : "" for a plain table cell, else what sets it apart ("epoch=5", "gamma=7", "activity=0-25")
    value : in `unit` ("%" mostly); text : as written in the table, with its digits
    convention : how the metric is defined; note : protocol; trust : a key of `TRUST`
    """

    paper: str
    table: str
    dataset: str
    method: str
    label: str
    metric: str
    k: int | None
    setting: str
    value: float
    unit: str
    text: str
    convention: str
    provenance: str
    trust: str
    note: str

    @property
    def name(self) -> str:
        """The metric's name in `RunRecord.metrics`, e.g. "recall_min@10"."""
        return self.metric if self.k is None else f"{self.metric}@{self.k}"


def lookup(
    *,
    paper: str | None = None,
    dataset: str | None = None,
    method: str | None = None,
    metric: str | None = None,
    k: int | None = None,
    setting: str | None = None,
    include_unverified: bool = False,
) -> list[PublishedNumber]:
    """Numbers that meet every given condition; None asks for nothing.

    `method` matches the library's name or the paper's label, whatever the case; `metric` is "recall_min" or "recall_min@10" (which sets k);
    `setting=""` keeps plain table cells. Recalled numbers come only with `include_unverified=True`. Raises `ConfigError` for an unknown
    paper or metric; a dataset or method that no paper reports gives an empty list.
    """
    if paper is not None:
        one_of("paper", paper, tuple(PAPERS))
    if metric is not None:
        metric, k = _split_metric(metric, k)
    method = method.lower() if method is not None else None
    return [
        number
        for number in _numbers()
        if (include_unverified or number.trust not in UNVERIFIED)
        and paper in (None, number.paper)
        and dataset in (None, number.dataset)
        and method in (None, number.method, number.label.lower())
        and metric in (None, number.metric)
        and k in (None, number.k)
        and setting in (None, number.setting)
    ]


def value(
    *,
    dataset: str,
    method: str,
    metric: str,
    k: int | None = None,
    paper: str | None = None,
    setting: str = "",
    include_unverified: bool = False,
) -> float | None:
    """The one number for a table cell, in its unit (mostly %), or None when none is known.

    Raises `ConfigError` when papers disagree: name the paper then.
    """
    found = lookup(
        paper=paper, dataset=dataset, method=method, metric=metric, k=k, setting=setting, include_unverified=include_unverified
    )
    if len({(number.name, number.value) for number in found}) > 1:
        choices = "; ".join(f"{number.value} ({number.name}, {number.paper}, {number.table})" for number in found)
        raise ConfigError(f"{method} on {dataset} has several published values: {choices}; pass paper= and k= to choose one")
    return found[0].value if found else None


def curve(paper: str, dataset: str, method: str, last: int | None = None) -> dict[int, dict[str, float]]:
    """Epoch → metric → value (%) of a run that a paper's authors logged, up to epoch `last`; {} where no log is known."""
    points: dict[int, dict[str, float]] = {}
    for number in lookup(paper=paper, dataset=dataset, method=method):
        epoch = number.setting.removeprefix("epoch=")
        if epoch.isdigit() and number.unit == "%" and (last is None or int(epoch) <= last):
            points.setdefault(int(epoch), {})[number.name] = number.value
    return points


def frame(*, include_unverified: bool = False, **conditions: object) -> pd.DataFrame:
    """`lookup` as a table: one row per number, the fields of `PublishedNumber` and `name`."""
    numbers = lookup(include_unverified=include_unverified, **conditions)  # type: ignore[arg-type]
    columns = [*PublishedNumber.__dataclass_fields__, "name"]
    table = pd.DataFrame([{**asdict(number), "name": number.name} for number in numbers], columns=columns)
    return table.astype({"k": "Int64", "value": float})


def claims(paper: str) -> list[str]:
    """What a paper's abstract or supplement says in words, each with where it is said."""
    one_of("paper", paper, tuple(PAPERS))
    return [f"{row['claim']} ({row['provenance']})" for row in claim_rows() if row["paper"] == paper]


def claim_rows() -> list[dict[str, str]]:
    """All claims: id, paper, claim (in our words, with the paper's number), provenance (where it is said), measure (what would show it)."""
    return _rows("claims")


def reason_empty(
    paper: str, *, dataset: str | None = None, method: str | None = None, metric: str | None = None, k: int | None = None
) -> str | None:
    """Why a "published" cell is empty, as a sentence for the table; None when there is a number for it."""
    if lookup(paper=paper, dataset=dataset, method=method, metric=metric, k=k):
        return None
    if paper in _REASONS:
        return _REASONS[paper]
    if lookup(paper=paper, dataset=dataset, method=method, metric=metric, k=k, include_unverified=True):
        return "Only a recalled, unverified value exists; it is not shown as published."
    if metric is not None:
        metric, k = _split_metric(metric, k)
    if paper == "baco" and (dataset, (method or "").lower()) == ("amazon-book", "legcf"):
        return 'The paper prints "–": LEGCF has no result on AmazonBook.'
    if paper == "baco" and k == 20:
        return "BACO's main tables (K = 20) were not available; its supplementary Table 8 has K = 10 and 50."
    return "No published value is known for this cell."


def _split_metric(metric: str, k: int | None) -> tuple[str, int | None]:
    """("recall_min@10", None) → ("recall_min", 10), checked."""
    stem, _, cut = metric.partition("@")
    one_of("metric", stem, tuple(CONVENTIONS))
    if not cut:
        return stem, k
    if not cut.isdecimal() or k not in (None, int(cut)):
        raise ConfigError(f"metric is {metric!r} and k is {k}; write 'name@K' with a whole number, or give k alone")
    return stem, int(cut)


@cache
def _numbers() -> tuple[PublishedNumber, ...]:
    """All numbers; an empty value means that the paper prints a dash."""
    return tuple(_number(source, row) for source in _rows("sources") for row in _rows(source["source"]) if row["value"])


def _number(source: dict[str, str], row: dict[str, str]) -> PublishedNumber:
    return PublishedNumber(
        paper=source["paper"],
        table=source["table"],
        dataset=row["dataset"],
        method=row["method"],
        label=row["label"],
        metric=row["metric"],
        k=int(row["k"]) if row["k"] else None,
        setting=row["setting"],
        value=float(row["value"]),
        unit=row["unit"],
        text=row["value"],
        convention=CONVENTIONS[row["metric"]],
        provenance=source["provenance"],
        trust=source["trust"],
        note=source["note"],
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = (resources.files("recq_lib.companion") / "published_tables" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))

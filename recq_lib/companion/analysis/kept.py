"""What small codes keep of the same encoder in full precision, seed by seed (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from recq_lib.companion.analysis.paired import named, paired, recalls, seeds_of, to_show
from recq_lib.config import OPTION
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS

ENCODERS = {"lightgcn": "LightGCN", "ngcf": "NGCF"}  # the methods in full precision that codes are compared with
Rows = list[dict[str, object]]
# (dataset, bits) of HQ-GNN on LightGCN whose λ and step were chosen again after the share on test was seen: no verdict rests on it
CHOSEN_ON_TEST = (("beauty", 2),)
WITHDRAWN = "withdrawn"


def title_of(method: str) -> str:
    """A method's name where codes stand beside full precision."""
    return "full precision" if method in ENCODERS else METHODS[method].title if method in METHODS else method


def encoder_of(record: RunRecord) -> str:
    """"lightgcn" or "ngcf"."""
    method = record.spec.method
    return method if method in ENCODERS else str(record.spec.params.get(f"{OPTION}encoder", "lightgcn"))


def kept_rows(records: Iterable[RunRecord], metrics: Sequence[str]) -> Rows:
    """Dictionaries: dataset, encoder, dim, method, bits (1 where the method has no such option), bytes, and each metric's shares per seed.

    A code is compared with the full-precision record of its own dataset, encoder, width and seed; of several with the one of most epochs,
    since codes that start from a trained model have had as many as both. Codes without such a record are left out. STE runs and other scale
    conventions than those of study "bits" should be filtered before: rows differ in the named keys only.

    l2, full_l2 : λ of the codes and of full precision
    stored, full : bytes for all nodes, of the codes and of the vectors that full precision ranks with
    smaller : bytes of full precision's parameters over those of the codes
    """
    records = list(records)
    by_length = sorted((r for r in records if r.spec.method in ENCODERS), key=lambda r: r.spec.params.get("epochs", 0))
    full = {(*_place(record), record.spec.seed): record for record in by_length}
    rows: dict[tuple, dict[str, object]] = {}
    for record in records:
        reference = full.get((*_place(record), record.spec.seed))
        if record.spec.method in ENCODERS or reference is None:
            continue
        key = (*_place(record), record.spec.method, int(record.spec.params.get(f"{OPTION}bits") or 1))
        start = dict(zip(("dataset", "encoder", "dim", "method", "bits"), key, strict=True)) | {metric: [] for metric in metrics}
        stored, whole = record.n_bytes["stored"], reference.n_bytes
        start |= {"l2": record.spec.params.get("l2", np.nan), "full_l2": reference.spec.params.get("l2", np.nan)}
        row = rows.setdefault(key, start | {"stored": stored, "full": whole["stored"], "smaller": whole["parameters"] / stored})
        for metric in metrics:
            row[metric].append(record.metrics[metric] / reference.metrics[metric])
    return list(rows.values())


def _place(record: RunRecord) -> tuple[str, str, int]:
    return record.spec.dataset, encoder_of(record), record.spec.params["dim"]


def label(row: Mapping[str, object]) -> str:
    """How a row of `kept_rows` is called beside others of other data and widths."""
    return f"{row['dataset']}, d = {row['dim']}: {title_of(str(row['method']))}"


def kept_table(rows: Rows, recall: str, ndcg: str) -> pd.DataFrame:
    """Rows of `kept_rows` to show: shares in %, ± half of the 95 % interval of Recall's over seeds."""
    shown = [
        {
            "dataset": row["dataset"], "encoder": ENCODERS[str(row["encoder"])], "d": row["dim"], "method": title_of(str(row["method"])),
            "bits": row["bits"],
            "λ": f"{row['l2']:g}", "λ of full": f"{row['full_l2']:g}", "seeds": len(row[recall]), "times smaller": row["smaller"],
            "Recall kept, %": 100 * np.mean(row[recall]), "±": 100 * mean_interval(row[recall]).half_width,
            "NDCG kept, %": 100 * np.mean(row[ndcg]),
        }
        for row in rows
    ]  # fmt: skip
    return pd.DataFrame(shown)


def name_of(record: RunRecord) -> str:
    """`title_of` of a run, with its bits where the method leaves them open."""
    bits = record.spec.params.get(f"{OPTION}bits")
    return title_of(record.spec.method) + (f", b = {bits}" if bits else "")


def against_full(records: Iterable[RunRecord], dataset: str, encoder: str = "lightgcn", k: int = 50) -> pd.DataFrame:
    """Rows of `paired` of HQ-GNN on one encoder (a) against the same bits without training and against full precision (b).

    Pairs are compared on the seeds that both have; full precision is its longest run, as in `kept_rows`. The verdict of a setting that was
    chosen after a look at test (`CHOSEN_ON_TEST`) is `WITHDRAWN`.
    """
    here = sorted((r for r in records if r.spec.dataset == dataset and encoder_of(r) == encoder), key=lambda r: r.spec.params["epochs"])
    longest = {(name_of(record), record.spec.seed): record for record in here}
    table = named(longest.values(), name_of)
    widths = sorted({record.spec.params[f"{OPTION}bits"] for record in here if record.spec.method == "hq-gnn"})
    others = {b: (f"{title_of('ptq-bits')}, b = {b}", title_of("lightgcn")) for b in widths}
    ours = {b: f"{title_of('hq-gnn')}, b = {b}" for b in widths}
    tests = paired(recalls(table, k), [(ours[b], other) for b in widths for other in others[b]], seeds_of(table))
    withdrawn = [ours[b] for b in widths if encoder == "lightgcn" and (dataset, b) in CHOSEN_ON_TEST]
    tests.loc[tests["a"].isin(withdrawn), "verdict"] = WITHDRAWN
    return tests


def compared(records: Iterable[RunRecord], pairs: Iterable[tuple[str, str]], k: int = 20) -> pd.DataFrame:
    """Paired tests of the pairs of methods (a, b), to show: one row per pair of which both sides are recorded.

    Methods stand under their titles, with the kB that each stores: pairs need not be of equal size.
    """
    records = list(records)
    table = named(records, lambda record: title_of(record.spec.method))
    tests = to_show(paired(recalls(table, k), [(title_of(a), title_of(b)) for a, b in pairs], seeds_of(table)))
    size = {title_of(record.spec.method): record.n_bytes["stored"] / 1000 for record in records}
    for side in ("a", "b"):
        tests.insert(tests.columns.get_loc(side) + 1, f"kB {side}", [round(size[name], 1) for name in tests[side]])
    return tests

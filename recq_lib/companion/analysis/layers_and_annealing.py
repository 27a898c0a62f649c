"""Runs of the studies "layerwise" and "annealing" as tables, and what their paired tests say about codes of layers and schedules (ours)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from recq_lib.companion.analysis.paired import counts
from recq_lib.companion.analysis.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from recq_lib.config import OPTION
from recq_lib.runs.records import RunRecord

FULL, HARD = "full precision", "hard codes"
CODED = {"all": "every layer", "last": "last layer", "mean": "mean of layers"}
PATHS = (HARD, "none", "linear", "cosine", "exponential", "doubling", "mix")


# ---- runs --------------------------------------------------------------------------------------------------------------------


def layerwise_table(records: Iterable[RunRecord], metric: str = "recall@20") -> pd.DataFrame:
    """One row per run of study "layerwise".

    Columns: name of the setting; coded ("all", "last", "mean" or `FULL`); width d; depth L; scaler; weighted; seed; bits and bytes per
    node, bytes as they are stored; value of the metric (fraction); key of the record.
    """
    rows = []
    for record in records:
        params = record.spec.params
        coded, width, depth = params.get(OPTION + "layers", FULL), params["dim"], params["n_layers"]
        scaler, weighted = params.get(OPTION + "scaler"), params.get(OPTION + "weighted")
        bits = width * (32 if coded == FULL else 1) * (depth + 1 if coded in ("all", FULL) else 1)
        stored = record.n_bytes["stored"] * 4 * width / record.n_bytes["parameters"]  # training keeps 4·width bytes per node
        name = FULL if coded == FULL else f"{CODED[coded]} {f'{depth + 1}×' if coded == 'all' else ''}{width}"
        name += (
            {"constant": ", no α"}.get(scaler, "") + (", no w_l" if weighted is False else "") + ("" if depth == 2 else f", L = {depth}")
        )
        rows.append((name, coded, width, depth, scaler, weighted, record.spec.seed, bits, stored, record.metrics[metric], record.spec.key))
    columns = ["name", "coded", "width", "depth", "scaler", "weighted", "seed", "bits", "bytes", "value", "key"]
    return pd.DataFrame(rows, columns=columns)


def annealing_table(records: Iterable[RunRecord], metric: str = "recall@20") -> pd.DataFrame:
    """One row per run of study "annealing".

    Columns: name of the setting; path (of `PATHS`, or `FULL`); warm; end, the last temperature (nan without a schedule); epochs, those of
    the teacher included; seed; value of the metric (fraction); key of the record.
    """
    rows = []
    for record in records:
        params = record.spec.params
        path = {"lightgcn": FULL, "l2q-gcn": HARD}.get(record.spec.method) or params[OPTION + "schedule"]
        path = "mix" if params.get(OPTION + "relaxation") == "mix" else path
        warm, end = bool(params.get(OPTION + "warm_start", False)), params.get(OPTION + "end", np.nan)
        epochs = params["epochs"] + warm * (params.get(OPTION + "teacher_epochs") or params["epochs"])
        name = (
            path if path == FULL else f"{path}{f' to {end:g}' if path == 'exponential' else ''}, {'warm start' if warm else 'from scratch'}"
        )
        rows.append((name, path, warm, end, epochs, record.spec.seed, record.metrics[metric], record.spec.key))
    return pd.DataFrame(rows, columns=["name", "path", "warm", "end", "epochs", "seed", "value", "key"])


# ---- comparisons -------------------------------------------------------------------------------------------------------------


def rivals(table: pd.DataFrame) -> list[tuple[str, str]]:
    """(code of every layer, single code) with equal bits or equal bytes, and one scaler and depth; names of a `layerwise_table`.

    Codes of every layer count with the layer weights w_l and without. Codes whose width
    64 does not divide are compared by bits only, because their bytes contain padding.
    """
    settings = table[table["coded"] != FULL].drop_duplicates("name")
    found = []
    for code in settings[settings["coded"] == "all"].itertuples():
        for other in settings[settings["coded"] != "all"].itertuples():
            same = (code.scaler, code.depth) == (other.scaler, other.depth)
            whole = code.width % 64 == other.width % 64 == 0
            if same and (code.bits == other.bits or whole and code.bytes == other.bytes):
                found.append((code.name, other.name))
    return found


def unmatched(table: pd.DataFrame) -> list[str]:
    """Codes of every layer of a `layerwise_table`, with α and w_l, that no single code of as many *bytes* is recorded beside."""
    settings = table[table["coded"] != FULL].drop_duplicates("name")
    every = settings[(settings["coded"] == "all") & (settings["scaler"] == "alpha") & settings["weighted"].eq(True)]
    single = settings[(settings["coded"] != "all") & (settings["scaler"] == "alpha")]

    def has_rival(code) -> bool:
        return bool((single["bytes"].round().eq(round(code.bytes)) & single["depth"].eq(code.depth)).any())

    return [code.name for code in every.itertuples() if not has_rival(code)]


def layers_or_bits(tests: pd.DataFrame) -> str:
    """What rows of `paired` over `rivals` say about the layers, as one sentence."""
    if tests.empty:
        return "No pair of equal size is recorded, so nothing can be said."
    told = f"At equal size coding every layer is {counts(tests, 'b')}"
    said = set(tests["verdict"])
    if WORSE in said:
        return f"{told}: this speaks against layer-wise codes."
    if said == {BETTER}:
        return f"{told}: it is not only the bits."
    if UNDECIDED in said:
        return f"{told}: these runs do not decide whether the layers add anything to their bits."
    return f"{told}: bits explain what layers would."


def advice(tests: pd.DataFrame, warm: str, cold: str) -> str:
    """What to use, from rows of `paired` whose b is `warm`: hard codes, which have nothing to tune, unless another way is better.

    warm, cold : names of hard codes with a warm start and from scratch
    """
    rows = tests[tests["b"] == warm]
    others = rows.set_index("a")
    if others.empty:
        return f"Nothing is recorded to compare with: {warm}."
    better = others[others["verdict"] == BETTER]
    if len(better):
        best = better["difference"].idxmax()
        return f"Use {best}: better than {warm}, by {better.loc[best, 'difference']:.2f} points. All {len(others)}: {counts(rows, 'a')}."
    text = f"Use hard codes: none of the {len(others)} other ways is better than {warm}; they are {counts(rows, 'a')}."
    if cold in others.index:
        row = others.loc[cold]
        gain = {WORSE: "pays", EQUIVALENT: "makes no difference"}.get(row["verdict"], "is not decided to pay")
        text += f" The warm start {gain} ({row['difference']:+.2f} points without it, which is ahead in {row['seeds']} seeds)."
    return text

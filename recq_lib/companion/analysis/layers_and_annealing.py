"""Runs of the studies "layerwise" and "annealing" as tables, and what their paired tests say about codes of layers and schedules (ours)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from recq_lib.companion.analysis.paired import A_BETTER, B_BETTER, better_and_worse, shown
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

    Codes whose width 64 does not divide are compared by bits only, because their bytes contain padding.
    """
    settings = table[table["coded"] != FULL].drop_duplicates("name")
    found = []
    for code in settings[(settings["coded"] == "all") & settings["weighted"].eq(True)].itertuples():
        for other in settings[settings["coded"] != "all"].itertuples():
            same = (code.scaler, code.depth) == (other.scaler, other.depth)
            whole = code.width % 64 == other.width % 64 == 0
            if same and (code.bits == other.bits or whole and code.bytes == other.bytes):
                found.append((code.name, other.name))
    return found


def layers_or_bits(tests: pd.DataFrame) -> str:
    """What rows of `paired` over `rivals` say about the layers, as one sentence."""
    if tests.empty:
        return "No pair of equal size is recorded, so nothing can be said."
    won, lost = better_and_worse(tests, "b")
    beaten = f" (and better than {' and '.join(won)})" if won else ""
    if lost:
        return f"At equal size coding every layer is worse than {' and '.join(lost)}{beaten}: this speaks against layer-wise codes."
    if len(won) == len(tests):
        return f"At equal size coding every layer is better than {' and '.join(won)}: it is not only the bits."
    rest = tests.loc[~shown(tests), "b"]
    return f"At equal size coding every layer is not shown to differ from {' and '.join(rest)}{beaten}: bits explain what layers would."


def advice(tests: pd.DataFrame, warm: str, cold: str) -> str:
    """What to use, from rows of `paired` whose b is `warm`: hard codes, which have nothing to tune, unless another way is shown better.

    warm, cold : names of hard codes with a warm start and from scratch
    """
    others = tests[tests["b"] == warm].set_index("a")
    if others.empty:
        return f"Nothing is recorded to compare with: {warm}."
    better = others[others["verdict"] == A_BETTER]
    if len(better):
        best = better["difference"].idxmax()
        return f"Use {best}: shown better than {warm}, by {better.loc[best, 'difference']:.2f} points."
    worse = (others["verdict"] == B_BETTER).sum()
    text = f"Use hard codes: of the {len(others)} other ways none is shown better than {warm}, and {worse} are shown worse."
    if cold in others.index:
        row = others.loc[cold]
        shown = "is shown" if row["verdict"] == B_BETTER else "is not shown"
        text += f" The warm start {shown} better than starting from scratch ({row['difference']:+.2f} points without it, "
        text += f"which is ahead in {row['seeds']} seeds)."
    return text

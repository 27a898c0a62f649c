"""Tables behind notebooks 06 and 07: runs of the studies "layerwise" and "annealing", paired tests, and what they say in words (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from recq_lib.evaluation.statistics import compare, holm
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord

FULL, HARD = "full precision", "hard codes"
CODED = {"all": "every layer", "last": "last layer", "mean": "mean of layers"}
PATHS = (HARD, "none", "linear", "cosine", "exponential", "doubling", "mix")
_SAME = ["scaler", "weighted", "depth"]


# ---- runs --------------------------------------------------------------------------------------------------------------------


def layerwise_table(records: Iterable[RunRecord], metric: str = "recall@20") -> pd.DataFrame:
    """One row per run of study "layerwise".

    Columns: name of the setting; coded ("all", "last", "mean" or `FULL`); width d; depth L; scaler; weighted; seed; bits and bytes per
    node, bytes as they are stored; value of the metric (fraction); key of the record.
    """
    rows = []
    for record in records:
        params = record.spec.params
        coded, width, depth = params.get("option.layers", FULL), params["dim"], params["n_layers"]
        scaler, weighted = params.get("option.scaler"), params.get("option.weighted")
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
        path = {"lightgcn": FULL, "l2q-gcn": HARD}.get(record.spec.method) or params["option.schedule"]
        path = "mix" if params.get("option.relaxation") == "mix" else path
        warm, end = bool(params.get("option.warm_start", False)), params.get("option.end", np.nan)
        epochs = params["epochs"] + warm * (params.get("option.teacher_epochs") or params["epochs"])
        name = (
            path if path == FULL else f"{path}{f' to {end:g}' if path == 'exponential' else ''}, {'warm start' if warm else 'from scratch'}"
        )
        rows.append((name, path, warm, end, epochs, record.spec.seed, record.metrics[metric], record.spec.key))
    return pd.DataFrame(rows, columns=["name", "path", "warm", "end", "epochs", "seed", "value", "key"])


def means(table: pd.DataFrame) -> pd.Series:
    """Name → mean value over seeds, in the order of the table."""
    return table.groupby("name", sort=False)["value"].mean()


def recalls(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Name → Recall@20 [seeds, users], read from the records that `table` lists."""
    return {
        name: results.per_user_matrix([results.load(key) for key in keys], "hits@20", divide_by="n_test")
        for name, keys in table.groupby("name", sort=False)["key"]
    }


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


def paired(by_name: Mapping[str, np.ndarray], pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Paired per-user tests of the pairs (a, b), Holm over all of them; arrays [seeds, users] of a metric as a fraction.

    Columns: a, b, difference (a − b), low, high (95 % over users; all three in points, 1 point = 1 %), p_holm, wins, losses (users),
    seeds ("2/3": in two of three seeds the mean of a is higher), verdict. Pairs of which one side is missing are left out.
    """
    chosen = [(a, b) for a, b in pairs if a in by_name and b in by_name]
    tests = [compare(by_name[a], by_name[b]) for a, b in chosen]
    adjusted = holm([test.p_value for test in tests])
    rows = []
    for (a, b), t, p in zip(chosen, tests, adjusted, strict=True):
        ahead = [x.mean() > y.mean() for x, y in zip(by_name[a], by_name[b])]  # as many seeds as both have
        points = [100 * x for x in (t.mean_difference, t.interval.low, t.interval.high)]
        rows.append((a, b, *points, p, t.wins, t.losses, f"{sum(ahead)}/{len(ahead)}", t.verdict(p_value=p)))
    return pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p_holm", "wins", "losses", "seeds", "verdict"])


def sentences(tests: pd.DataFrame) -> list[str]:
    """The rows of `paired` in words."""
    words = {"a better": "better", "b better": "worse"}
    return [
        f"{row.a} against {row.b}: {words.get(row.verdict, row.verdict)} ({row.difference:+.2f} points, {row.low:+.2f} to {row.high:+.2f} "
        f"over users, Holm p = {row.p_holm:.3f}; ahead in {row.seeds} seeds)"
        for row in tests.itertuples()
    ]


def layers_or_bits(tests: pd.DataFrame) -> str:
    """What rows of `paired` over `rivals` say about the layers, as one sentence."""
    if tests.empty:
        return "No pair of equal size is recorded, so nothing can be said."
    won, lost = (tests.loc[tests["verdict"] == verdict, "b"].tolist() for verdict in ("a better", "b better"))
    beaten = f" (and better than {' and '.join(won)})" if won else ""
    if lost:
        return f"At equal size coding every layer is worse than {' and '.join(lost)}{beaten}: this speaks against layer-wise codes."
    if len(won) == len(tests):
        return f"At equal size coding every layer is better than {' and '.join(won)}: it is not only the bits."
    rest = tests.loc[~tests["verdict"].isin(["a better", "b better"]), "b"]
    return f"At equal size coding every layer is not shown to differ from {' and '.join(rest)}{beaten}: bits explain what layers would."


def advice(tests: pd.DataFrame, warm: str, cold: str) -> str:
    """What to use, from rows of `paired` whose b is `warm`: hard codes, which have nothing to tune, unless another way is shown better.

    warm, cold : names of hard codes with a warm start and from scratch
    """
    others = tests[tests["b"] == warm].set_index("a")
    if others.empty:
        return f"Nothing is recorded to compare with: {warm}."
    better = others[others["verdict"] == "a better"]
    if len(better):
        best = better["difference"].idxmax()
        return f"Use {best}: shown better than {warm}, by {better.loc[best, 'difference']:.2f} points."
    worse = (others["verdict"] == "b better").sum()
    text = f"Use hard codes: of the {len(others)} other ways none is shown better than {warm}, and {worse} are shown worse."
    if cold in others.index:
        row = others.loc[cold]
        shown = "is shown" if row["verdict"] == "b better" else "is not shown"
        text += f" The warm start {shown} better than starting from scratch ({row['difference']:+.2f} points without it, "
        text += f"which is ahead in {row['seeds']} seeds)."
    return text

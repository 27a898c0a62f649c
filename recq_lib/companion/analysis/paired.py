"""Per-user values of recorded runs, tests of pairs of them by the rule of `verdict`, and sentences made of those (ours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from recq_lib.companion.analysis.verdict import BETTER, SHOWN, WORSE, counted, judge
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS

Pairs = Sequence[tuple[str, str]]
ANY_SEED = -1  # of closed forms: one run stands for every seed


# ---- values per user ---------------------------------------------------------------------------------------------------------


def named(records: Iterable[RunRecord], name_of: Callable[[RunRecord], str]) -> pd.DataFrame:
    """One row per run: name, seed (`ANY_SEED` for closed forms), key; what the functions below read.

    The tables of the studies have these columns too.
    """
    rows = [(name_of(r), ANY_SEED if _is_closed(r.spec.method) else r.spec.seed, r.spec.key) for r in records]
    return pd.DataFrame(rows, columns=["name", "seed", "key"])


def _is_closed(method: str) -> bool:
    return method in METHODS and METHODS[method].kind == "closed_form"


def means(table: pd.DataFrame) -> pd.Series:
    """Name → mean value over seeds, in the order of the table."""
    return table.groupby("name", sort=False)["value"].mean()


def seeds_of(table: pd.DataFrame) -> dict[str, list[int]]:
    """Name → seeds of its runs, in the order of the rows of `recalls`."""
    return {name: seeds.tolist() for name, seeds in table.groupby("name", sort=False)["seed"]}


def recalls(table: pd.DataFrame, k: int = 20, *, capped: bool = False) -> dict[str, np.ndarray]:
    """Name → Recall@k [seeds, users], read from the records whose `key` the table lists; `capped` as in `recall_of`."""
    return {name: recall_of(keys, k, capped=capped) for name, keys in table.groupby("name", sort=False)["key"]}


def recall_of(keys: Iterable[str], k: int, *, capped: bool = False) -> np.ndarray:
    """Recall@k [records, users] of saved records: hits / |T|, or hits / min(k, |T|) if `capped`, as BACO's paper has it."""
    records = [results.load(key) for key in keys]
    hits, relevant = (results.per_user_matrix(records, name) for name in (f"hits@{k}", "n_test"))
    return hits / (np.minimum(k, relevant) if capped else relevant)


# ---- tests -------------------------------------------------------------------------------------------------------------------


def paired(by_name: Mapping[str, np.ndarray], pairs: Pairs, seeds: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """Rows of `verdict.judge`, one family, of the pairs (a, b) with columns a and b before them; arrays [seeds, users] as fractions.

    seeds : name → the seeds of its rows, as `seeds_of` reads them. A pair is compared on the seeds that both have, a closed form on all of
        the other's; pairs of which one side is missing, or without a common seed, are left out.
    """
    chosen = [(a, b) for a, b in pairs if a in by_name and b in by_name and _common(seeds[a], seeds[b])]
    rows = judge([_on_common_seeds(by_name, seeds, a, b) for a, b in chosen])
    for place, side in enumerate(("a", "b")):
        rows.insert(place, side, [pair[place] for pair in chosen])
    return rows


def _common(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Seeds of both, in order; those of the other for a closed form."""
    if ANY_SEED in a:
        return sorted(b)
    return sorted(a) if ANY_SEED in b else sorted(set(a) & set(b))


def _on_common_seeds(
    by_name: Mapping[str, np.ndarray], seeds: Mapping[str, Sequence[int]], a: str, b: str
) -> tuple[np.ndarray, np.ndarray]:
    both = _common(seeds[a], seeds[b])

    def rows(name: str) -> np.ndarray:
        own = list(seeds[name])
        return by_name[name][[own.index(ANY_SEED if ANY_SEED in own else seed) for seed in both]]

    return rows(a), rows(b)


def with_names(tests: pd.DataFrame) -> pd.DataFrame:
    """Rows of `paired` whose verdicts name the better side: "BACO better" for "better" of a = BACO."""
    words = [f"{row.a} better" if row.verdict == BETTER else f"{row.b} better" if row.verdict == WORSE else row.verdict
             for row in tests.itertuples()]  # fmt: skip
    return tests.assign(verdict=words)


def to_show(tests: pd.DataFrame) -> pd.DataFrame:
    """Rows of `paired` as a reader wants them: the better side named, p-values as text ("< 0.001")."""
    return with_names(tests).assign(p_holm=[f"{p:.3f}" if p >= 0.001 else "< 0.001" for p in tests["p_holm"]])


def shown(tests: pd.DataFrame) -> pd.Series:
    """True for rows of `paired` in which a test shows a difference."""
    return tests["verdict"].isin(SHOWN)


def better_and_worse(tests: pd.DataFrame, side: str) -> tuple[list[str], list[str]]:
    """(names of column `side` where a is shown better, names where b is)."""
    won, lost = (tests.loc[tests["verdict"] == verdict, side].tolist() for verdict in SHOWN)
    return won, lost


# ---- in words ----------------------------------------------------------------------------------------------------------------


def sentences(tests: pd.DataFrame) -> list[str]:
    """The rows of `paired` in words."""
    return [
        f"{row.a} against {row.b}: {row.verdict} ({row.difference:+.2f} points, {row.low:+.2f} to {row.high:+.2f} over users, "
        f"{_span_over_seeds(row)}Holm p = {row.p_holm:.3f}; ahead in {row.seeds} seeds)"
        for row in tests.itertuples()
    ]


def _span_over_seeds(row) -> str:
    return f"{row.seed_low:+.2f} to {row.seed_high:+.2f} over seeds, " if np.isfinite(row.seed_low) else ""


def counts(tests: pd.DataFrame, side: str) -> str:
    """How often each verdict was given to a, and the names of column `side` with their differences, positive ones with a plus."""
    return counted([f"{getattr(row, side)} {row.difference:+.2f}" for row in tests.itertuples()], tests["verdict"].tolist())


def lead_in_words(tests: pd.DataFrame, baselines: Iterable[str]) -> str:
    """Rows of `paired` with one a in words: how it stands against the `baselines`, and how the other rows end."""
    among, reference = tests["b"].isin(list(baselines)), tests["a"].iloc[0]
    words = [f"of {among.sum()} baselines with records, points of Recall, {reference} is {counts(tests[among], 'b')}"]
    words += [f"beside {row.b} ({row.difference:+.2f} points): {row.verdict}" for row in with_names(tests[~among]).itertuples()]
    return "; ".join(words) + "."

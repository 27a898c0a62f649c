"""Per-user values of recorded runs, paired tests between them, and the one vocabulary of their verdicts (ours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from recq_lib.evaluation.statistics import compare, holm
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord

A_BETTER, B_BETTER, UNSHOWN = "a better", "b better", "no difference shown"
SHOWN = (A_BETTER, B_BETTER)
Pairs = Sequence[tuple[str, str]]


# ---- values per user ---------------------------------------------------------------------------------------------------------


def named(records: Iterable[RunRecord], name_of: Callable[[RunRecord], str]) -> pd.DataFrame:
    """One row per run: name, seed, key; what the functions below read. The tables of the studies have these columns too."""
    return pd.DataFrame([(name_of(r), r.spec.seed, r.spec.key) for r in records], columns=["name", "seed", "key"])


def means(table: pd.DataFrame) -> pd.Series:
    """Name → mean value over seeds, in the order of the table."""
    return table.groupby("name", sort=False)["value"].mean()


def recalls(table: pd.DataFrame, k: int = 20, *, capped: bool = False) -> dict[str, np.ndarray]:
    """Name → Recall@k [seeds, users], read from the records whose `key` the table lists; `capped` as in `recall_of`."""
    return {name: recall_of(keys, k, capped=capped) for name, keys in table.groupby("name", sort=False)["key"]}


def recall_of(keys: Iterable[str], k: int, *, capped: bool = False) -> np.ndarray:
    """Recall@k [records, users] of saved records: hits / |T|, or hits / min(k, |T|) if `capped`, as BACO's paper has it."""
    records = [results.load(key) for key in keys]
    hits, relevant = (results.per_user_matrix(records, name) for name in (f"hits@{k}", "n_test"))
    return hits / (np.minimum(k, relevant) if capped else relevant)


# ---- tests -------------------------------------------------------------------------------------------------------------------


def paired(by_name: Mapping[str, np.ndarray], pairs: Pairs, seeds: Mapping[str, Sequence[int]] | None = None) -> pd.DataFrame:
    """Paired per-user tests of the pairs (a, b), Holm over all of them; arrays [seeds, users] of a metric as a fraction.

    seeds : name → the seeds of its rows; if given, a pair is compared on the seeds that both have

    Columns: a, b, difference (a − b), low, high (95 % over users; all three in points, 1 point = 1 %), p_holm, wins, losses, ties (users),
    seeds ("2/3": in two of three seeds the mean of a is higher), verdict. Pairs of which one side is missing are left out.
    """
    chosen = [(a, b) for a, b in pairs if a in by_name and b in by_name]
    values = [(by_name[a], by_name[b]) if seeds is None else _on_common_seeds(by_name, seeds, a, b) for a, b in chosen]
    tests = [compare(*both) for both in values]
    adjusted = holm([test.p_value for test in tests])
    rows = []
    for (a, b), both, t, p in zip(chosen, values, tests, adjusted, strict=True):
        ahead = [x.mean() > y.mean() for x, y in zip(*both)]  # as many seeds as both have
        points = [100 * x for x in (t.mean_difference, t.interval.low, t.interval.high)]
        rows.append((a, b, *points, p, t.wins, t.losses, t.ties, f"{sum(ahead)}/{len(ahead)}", t.verdict(p_value=p)))
    return pd.DataFrame(rows, columns=["a", "b", "difference", "low", "high", "p_holm", "wins", "losses", "ties", "seeds", "verdict"])


def _on_common_seeds(by_name: Mapping[str, np.ndarray], seeds: Mapping[str, Sequence[int]], *names: str) -> list[np.ndarray]:
    both = sorted(set.intersection(*(set(seeds[name]) for name in names)))
    return [by_name[name][[list(seeds[name]).index(seed) for seed in both]] for name in names]


def with_names(tests: pd.DataFrame) -> pd.DataFrame:
    """Rows of `paired` whose verdicts name the better side: "BACO better" for "a better"."""
    words = [f"{row.a} better" if row.verdict == A_BETTER else f"{row.b} better" if row.verdict == B_BETTER else row.verdict
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
    words = {A_BETTER: "better", B_BETTER: "worse"}
    return [
        f"{row.a} against {row.b}: {words.get(row.verdict, row.verdict)} ({row.difference:+.2f} points, {row.low:+.2f} to {row.high:+.2f} "
        f"over users, Holm p = {row.p_holm:.3f}; ahead in {row.seeds} seeds)"
        for row in tests.itertuples()
    ]


def lead_in_words(tests: pd.DataFrame, baselines: Iterable[str]) -> str:
    """Rows of `paired` with one a in words: over how many of the `baselines` it leads, over which not, and how the other rows end."""
    among, reference = tests["b"].isin(list(baselines)), tests["a"].iloc[0]
    rows, ahead, behind = tests[among], tests["verdict"] == A_BETTER, tests["verdict"] == B_BETTER
    words = [f"of {len(rows)} baselines with records {reference} is shown better than {(among & ahead).sum()}"]
    for group, what in ((behind, "shown worse than"), (~ahead & ~behind, "no difference shown to")):
        if (among & group).any():
            words.append(f"{what} {', '.join(_with_points(row) for row in tests[among & group].itertuples())}")
    words += [f"beside {_with_points(row)}: {row.verdict}" for row in with_names(tests[~among]).itertuples()]
    return "; ".join(words) + "."


def _with_points(row) -> str:
    return f"{row.b} ({row.difference:+.2f} points)"

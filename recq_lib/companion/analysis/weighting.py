"""Runs of study "weighting" by choice, paired tests of the choices, and the outcome in words (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.analysis.paired import counts, paired, recalls, seeds_of
from recq_lib.companion.analysis.verdict import SHOWN
from recq_lib.companion.studies.sharing import SIZE
from recq_lib.config import OPTION
from recq_lib.evaluation.statistics import mean_interval
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS
from recq_lib.runs.run import Plan, identity_of

FULL = "full table"
_OPTIONS = {
    "user": "user_weight", "item": "item_weight", "scu": "scu", "ghost": "ghost", "sweeps": "sweeps", "ratio": "ratio",
    "order": "cluster_seed",
}  # fmt: skip
# the usual value of every choice: BACO as released, at the size of the ablation
USUAL = {column: METHODS["baco"].options[option] for column, option in _OPTIONS.items()} | {"ratio": SIZE}


def pair_name(user: str, item: str) -> str:
    """A weighting as the notebook writes it: "degree / released"."""
    return f"{user} / {item}"


# ---- runs ----------------------------------------------------------------------------------------------------------------------


def setting_name(method: str, params: Mapping[str, object]) -> str:
    """What a run of the study varies: a weighting, then whatever differs from `USUAL`; other methods by title and size."""
    if method == "lightgcn":
        return FULL
    value = {column: params.get(OPTION + option) for column, option in _OPTIONS.items()}
    if method != "baco":
        return f"{METHODS[method].title}, size {value['ratio']:.0%}"
    parts = [pair_name(value["user"], value["item"])]
    parts += [] if value["scu"] else ["no second rows"]
    parts += [] if value["ghost"] else ["no ghosts"]
    parts += [] if value["sweeps"] == USUAL["sweeps"] else [f"{value['sweeps']} sweep{'s' if value['sweeps'] > 1 else ''}"]
    parts += [] if value["ratio"] == USUAL["ratio"] else [f"size {value['ratio']:.0%}"]
    parts += [] if value["order"] == USUAL["order"] else [f"order {value['order']}"]
    return ", ".join(parts)


DEFAULT = setting_name("baco", {OPTION + option: USUAL[column] for column, option in _OPTIONS.items()})


def runs_table(records: Iterable[RunRecord], metric: str) -> pd.DataFrame:
    """One row per run of study "weighting".

    Columns: name (`setting_name`), method; user, item, scu, ghost, sweeps, ratio, order (options; None where the method has none); seed;
    user_rows, item_rows, second (None for the full table); share, parameters over those of the full table; bytes of the table with its
    indices; value of the metric (fraction); key of the record.
    """
    rows = []
    for record in records:
        spec, origin = record.spec, record.provenance
        options = [spec.params.get(OPTION + option) for option in _OPTIONS.values()]
        sizes = [origin.get(name) for name in ("user_rows", "item_rows", "extra_rows")]
        full = record.n_bytes["stored"] / 4  # vectors to rank with: one of `dim` float32 per node
        share = origin["table_parameters"] / full
        name = setting_name(spec.method, spec.params)
        rows.append((name, spec.method, *options, spec.seed, *sizes, share, record.n_bytes["table"], record.metrics[metric], spec.key))
    columns = ["name", "method", *_OPTIONS, "seed", "user_rows", "item_rows", "second", "share", "bytes", "value", "key"]
    return pd.DataFrame(rows, columns=columns)


def varied(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """BACO's rows of `runs_table` that have the usual value in every choice but `columns`."""
    kept = table["method"] == "baco"
    for column, usual in USUAL.items():
        if column not in columns:
            kept &= table[column] == usual
    return table[kept]


def n_planned(plans: Iterable[Plan]) -> int:
    """Number of runs that plans ask for; settings that several parts of the study share count once."""
    return len({(setting_name(plan.method, identity_of(plan)[1]), plan.config.seed) for plan in plans})


def missing(plans: Iterable[Plan], table: pd.DataFrame) -> list[str]:
    """Names of planned settings of which no run is recorded, in the order of the plans."""
    planned = dict.fromkeys(setting_name(plan.method, identity_of(plan)[1]) for plan in plans)
    return [name for name in planned if name not in set(table["name"])]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per setting: rows, second rows, size (% of the full table), table in kB, seeds, metric (%) and half of its interval."""
    rows = []
    for name, part in table.groupby("name", sort=False):
        first, interval = part.iloc[0], mean_interval(100 * part["value"].to_numpy())
        counts = ["–" if pd.isna(first[column]) else str(int(first[column])) for column in ("user_rows", "item_rows", "second")]
        rows.append((name, *counts, 100 * part["share"].mean(), part["bytes"].mean() / 1000, len(part), interval.mean, interval.half_width))
    columns = ["setting", "user rows", "item rows", "second", "size, %", "table, kB", "seeds", "value, %", "±"]
    return pd.DataFrame(rows, columns=columns)


# ---- choices -------------------------------------------------------------------------------------------------------------------


def alternatives(table: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Choice → pairs (alternative, usual) of settings of `runs_table` that differ in this choice alone."""

    def against_default(part: pd.DataFrame) -> list[tuple[str, str]]:
        return [(name, DEFAULT) for name in dict.fromkeys(part["name"]) if name != DEFAULT]

    with_rows = dict.fromkeys(varied(table, "user", "item")["name"])
    return {
        "weights": against_default(varied(table, "user", "item")),
        "second rows": [(f"{name}, no second rows", name) for name in with_rows],
        "ghosts": against_default(varied(table, "ghost")),
        "sweeps": against_default(varied(table, "sweeps")),
    }


def tested(table: pd.DataFrame, by_name: Mapping[str, np.ndarray]) -> dict[str, pd.DataFrame]:
    """Choice → rows of `paired`, Holm over all choices together; by_name as `paired.recalls` gives it for `table`."""
    pairs = alternatives(table)
    tests = paired(by_name, [pair for chosen in pairs.values() for pair in chosen], seeds_of(table))
    keys = list(zip(tests["a"], tests["b"], strict=True))
    return {choice: tests[[key in chosen for key in keys]] for choice, chosen in pairs.items()}


def by_size(table: pd.DataFrame, *rivals: str) -> pd.DataFrame:
    """Rows of `paired` of BACO as released (a) against other ways to share rows (b, by title) at each recorded size, column ratio."""

    def at(ratio: float) -> str:
        return DEFAULT if ratio == USUAL["ratio"] else f"{DEFAULT}, size {ratio:.0%}"

    sizes = sorted(set(table["ratio"].dropna()))
    pairs = {(at(ratio), f"{rival}, size {ratio:.0%}"): ratio for ratio in sizes for rival in rivals}
    tests = paired(recalls(table, 20, capped=True), list(pairs), seeds_of(table))
    return tests.assign(ratio=[pairs[pair] for pair in zip(tests["a"], tests["b"], strict=True)])


def published_by_size() -> dict[float, float]:
    """γ → points of Recall@20 (over min(K, |T|)) by which BACO leads GraphHash of the same size on Gowalla, digitised: Fig. 6."""

    def curve(method: str) -> dict[str, float]:
        found = published.lookup(paper="baco", dataset="gowalla", method=method, metric="recall_min@20")
        return {number.setting: number.value for number in found if number.setting.startswith("gamma=")}

    ours, theirs = curve("baco"), curve("graphhash")
    return {float(setting.removeprefix("gamma=")): ours[setting] - theirs[setting] for setting in ours if setting in theirs}


# ---- in words ------------------------------------------------------------------------------------------------------------------


def outcome(choice: str, tests: pd.DataFrame) -> str:
    """Rows of `paired`, a = the alternative and b = the usual value of one choice, as one sentence."""
    if tests.empty:
        return f"{choice}: not recorded."
    low, high = tests["difference"].min(), tests["difference"].max()
    span = f"{low:+.2f}" if len(tests) == 1 else f"{low:+.2f} to {high:+.2f}"
    noun = "alternative" if len(tests) == 1 else "alternatives"
    return f"{choice}: of {len(tests)} {noun} to the usual choice {counts(tests, 'a')}; differences {span} points."


def what_matters(by_choice: Mapping[str, pd.DataFrame]) -> str:
    """Choices by the largest difference that is called better or worse, and those without one; tests as in `outcome`."""
    recorded = {choice: tests for choice, tests in by_choice.items() if len(tests)}
    if not recorded:
        return "No choice is recorded, so nothing can be said."
    differences = {choice: tests.loc[tests["verdict"].isin(SHOWN), "difference"].abs() for choice, tests in recorded.items()}
    largest = {choice: found.max() for choice, found in differences.items() if len(found)}
    ordered = sorted(largest, key=lambda choice: -largest[choice])
    named = ", ".join(f"{name} ({largest[name]:.2f} points)" for name in ordered)
    said = [f"By the largest difference called better or worse: {named}."] if ordered else []
    silent = [choice for choice in recorded if choice not in largest]
    return " ".join(said + ([f"None is called so for {' and '.join(silent)}."] if silent else []))

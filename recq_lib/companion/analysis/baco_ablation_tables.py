"""Tables behind notebook 09: clusterings, runs of study "weighting" by choice, users by activity, and the outcome in words (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score

from recq_lib.companion import published
from recq_lib.companion.studies.sharing import SIZE
from recq_lib.config import OPTION
from recq_lib.data.interactions import Interactions
from recq_lib.papers.baco.clustering import Clustering
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS
from recq_lib.runs.run import Plan, identity_of

FULL = "full table"
_OPTIONS = {"user": "user_weight", "item": "item_weight", "scu": "scu", "ghost": "ghost", "sweeps": "sweeps", "ratio": "ratio"}
# the usual value of every choice: BACO as released, at the size of the ablation
USUAL = {column: METHODS["baco"].options[option] for column, option in _OPTIONS.items()} | {"ratio": SIZE}
QUARTERS = ("0-25", "25-50", "50-75", "75-100")  # of the test users by training activity, in per cent, as in the supplement's Fig. 5


def pair_name(user: str, item: str) -> str:
    """A weighting as the notebook writes it: "degree / released"."""
    return f"{user} / {item}"


# ---- clusterings ---------------------------------------------------------------------------------------------------------------


def common_unit(data: Interactions, weights: np.ndarray) -> float:
    """What one co-cluster of everything would pay per interaction at γ = 1: W_U(all)·W_V(all) / |E|. γ times it compares weightings."""
    users, items = np.split(np.asarray(weights, dtype=np.float64), [data.n_users])
    return float(users.sum() * items.sum() / data.n_train)


def measures(data: Interactions, found: Mapping[str, Clustering], dim: int) -> pd.DataFrame:
    """One row per clustering.

    Columns: weights (its name), γ, user rows, item rows, second (users with two), size (% of a full table's parameters), nodes on the
    largest row of users and of items, alone (% of nodes with a first row of their own), inside (% of interactions within a label).
    """
    users, items = data.pairs("train")
    rows = []
    for name, c in found.items():
        sizes = np.bincount(c.user_rows), np.bincount(c.item_rows)
        alone = 100 * sum(int((size == 1).sum()) for size in sizes) / data.n_nodes
        inside = 100 * (c.labels[users] == c.labels[data.n_users + items]).mean()
        largest = [int(size.max()) for size in sizes]
        rows.append((name, c.gamma, c.n_user_rows, c.n_item_rows, c.n_second, 100 * c.ratio(dim), *largest, alone, inside))
    columns = ["weights", "γ", "user rows", "item rows", "second", "size, %", "largest, users", "largest, items", "alone, %", "inside, %"]
    return pd.DataFrame(rows, columns=columns)


def company(degree: np.ndarray, rows: np.ndarray, bins: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """(median degree, median number of nodes on a node's row) per group of nodes of similar degree; degree and rows [n].

    Groups are cut at quantiles of the degree; equal degrees stay together, so there may be fewer groups than `bins`.
    """
    on_row = np.bincount(rows)[rows]
    group = np.searchsorted(np.unique(np.quantile(degree, np.arange(1, bins) / bins)), degree)
    chosen = [group == number for number in np.unique(group)]
    return np.array([np.median(degree[g]) for g in chosen]), np.array([np.median(on_row[g]) for g in chosen])


def agreement(labels: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Adjusted Rand index of every two labellings of the same nodes: 1 for the same clusters, about 0 for unrelated ones."""
    values = [[adjusted_rand_score(a, b) for b in labels.values()] for a in labels.values()]
    return pd.DataFrame(values, index=list(labels), columns=list(labels))


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
    return ", ".join(parts)


DEFAULT = setting_name("baco", {OPTION + option: USUAL[column] for column, option in _OPTIONS.items()})


def runs_table(records: Iterable[RunRecord], metric: str) -> pd.DataFrame:
    """One row per run of study "weighting".

    Columns: name (`setting_name`), method; user, item, scu, ghost, sweeps, ratio (options; None where the method has none); seed;
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


def recalls(table: pd.DataFrame, k: int) -> dict[str, np.ndarray]:
    """Name → hits / min(k, |T|) [seeds, users], read from the records that `table` lists."""
    found = {}
    for name, keys in table.groupby("name", sort=False)["key"]:
        found[name] = recall_of([results.load(key) for key in keys], k)
    return found


def recall_of(group: Sequence[RunRecord], k: int) -> np.ndarray:
    """hits / min(k, |T|) [seeds, users] of records with their arrays."""
    return results.per_user_matrix(group, f"hits@{k}") / np.minimum(k, results.per_user_matrix(group, "n_test"))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per setting: rows, second rows, size (% of the full table), table in kB, seeds, metric (%) and half of its interval."""
    rows = []
    for name, part in table.groupby("name", sort=False):
        first, interval = part.iloc[0], results.statistics.mean_interval(100 * part["value"].to_numpy())
        counts = ["–" if pd.isna(first[column]) else str(int(first[column])) for column in ("user_rows", "item_rows", "second")]
        rows.append((name, *counts, 100 * part["share"].mean(), part["bytes"].mean() / 1000, len(part), interval.mean, interval.half_width))
    columns = ["setting", "user rows", "item rows", "second", "size, %", "table, kB", "seeds", "value, %", "±"]
    return pd.DataFrame(rows, columns=columns)


# ---- users by activity ---------------------------------------------------------------------------------------------------------


def quarters(degree: np.ndarray) -> np.ndarray:
    """0 to 3 for each user, by the quartiles of the training degrees given; equal degrees stay in one quarter (the lower)."""
    return np.searchsorted(np.quantile(degree, [0.25, 0.5, 0.75]), degree)


def by_activity(by_name: Mapping[str, np.ndarray], quarter: np.ndarray) -> pd.DataFrame:
    """Mean Recall per name and quarter; by_name [seeds, users], quarter [users]. Columns name, quarter, users, seed, value (fraction)."""
    rows = [
        (name, number, int((quarter == number).sum()), seed, values[quarter == number].mean())
        for name, matrix in by_name.items()
        for number in np.unique(quarter)
        for seed, values in enumerate(matrix)
    ]
    return pd.DataFrame(rows, columns=["name", "quarter", "users", "seed", "value"])


def kept_by_activity(table: pd.DataFrame) -> dict[str, dict[int, float]]:
    """Name → {quarter: mean over the full table's mean of that quarter}, from `by_activity`; empty without the full table."""
    means = table.groupby(["name", "quarter"], sort=False)["value"].mean().unstack()
    if FULL not in means.index:
        return {}
    return {name: (row / means.loc[FULL]).to_dict() for name, row in means.drop(index=FULL).iterrows()}


def published_kept(method: str = "baco") -> dict[str, dict[int, float]]:
    """Dataset → {quarter: Recall@20 of `method` over that of the full table}, read from the supplement's Fig. 5 (digitised)."""
    kept: dict[str, dict[int, float]] = {}
    for number in published.lookup(paper="baco", method=method, metric="recall_min@20"):
        quarter = number.setting.removeprefix("activity=")
        if quarter in QUARTERS:
            full = published.value(paper="baco", dataset=number.dataset, method="lightgcn", metric="recall_min@20", setting=number.setting)
            kept.setdefault(number.dataset, {})[QUARTERS.index(quarter)] = number.value / full
    return kept


# ---- in words ------------------------------------------------------------------------------------------------------------------


def outcome(choice: str, tests: pd.DataFrame) -> str:
    """Rows of `ablation_tables.paired`, a = the alternative and b = the usual value of one choice, as one sentence."""
    if tests.empty:
        return f"{choice}: not recorded."
    better, worse = (tests.loc[tests["verdict"] == verdict, "a"].tolist() for verdict in ("a better", "b better"))
    counted = " and ".join(f"{len(group)} shown {word}{_listed(group)}" for word, group in (("better", better), ("worse", worse)))
    low, high = tests["difference"].min(), tests["difference"].max()
    span = f"{low:+.2f}" if len(tests) == 1 else f"{low:+.2f} to {high:+.2f}"
    noun = "alternative" if len(tests) == 1 else "alternatives"
    return f"{choice}: of {len(tests)} {noun} {counted} than the usual choice; differences {span} points."


def what_matters(by_choice: Mapping[str, pd.DataFrame]) -> str:
    """Choices by the largest difference that a test shows, and those of which none is shown; tests as in `outcome`."""
    recorded = {choice: tests for choice, tests in by_choice.items() if len(tests)}
    if not recorded:
        return "No choice is recorded, so nothing can be said."
    shown = {choice: tests.loc[tests["verdict"].isin(["a better", "b better"]), "difference"].abs() for choice, tests in recorded.items()}
    largest = {choice: found.max() for choice, found in shown.items() if len(found)}
    ordered = sorted(largest, key=lambda choice: -largest[choice])
    said = [f"By the largest difference shown: {', '.join(f'{name} ({largest[name]:.2f} points)' for name in ordered)}."] if ordered else []
    silent = [choice for choice in recorded if choice not in largest]
    return " ".join(said + ([f"No difference is shown for {' and '.join(silent)}."] if silent else []))


def _listed(names: Sequence[str]) -> str:
    return f" ({'; '.join(names)})" if names else ""

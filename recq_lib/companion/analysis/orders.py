"""What is a setting's doing and what the luck of one order of visits: runs with orders crossed with training seeds, taken apart (ours).

BACO visits nodes in a random order, and another order gives another clustering. Training seeds under one order say nothing about that.
With every order under every seed, y = mean + order + seed + rest, and the three spreads can be told apart (two-way analysis of variance
with random effects and one run per cell). An interval of a setting is one over orders: each order counts once, as its mean over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recq_lib.companion.analysis.paired import Pairs, recall_of
from recq_lib.companion.analysis.weighting import USUAL
from recq_lib.errors import ConfigError
from recq_lib.evaluation.statistics import MeanInterval, mean_interval


@dataclass(frozen=True)
class Spread:
    """A crossed table of values taken apart; standard deviations are estimates of what one more order, seed or run would bring.

    interval : mean over all runs, with Student's interval over the means of orders (nan with one order)
    orders, seeds, rest : standard deviation between orders, between seeds, and of a run beyond both; nan where nothing can be said of
        it, 0 where the estimated variance is below 0 (the spread of means is no more than the rest explains)
    """

    interval: MeanInterval
    n_seeds: int
    orders: float
    seeds: float
    rest: float


def spread(values: np.ndarray) -> Spread:
    """Take `values` [orders, seeds] apart. Raises `ConfigError` for another shape, nothing in it, or values that are not finite.

    With mean squares MS of orders (O), seeds (S) and rest: σ²_rest = MS_rest, σ²_order = (MS_order - MS_rest) / S, σ²_seed likewise.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ConfigError(f"values have shape {values.shape}; give finite numbers [orders, seeds], one for every order with every seed")
    n_orders, n_seeds = values.shape
    by_order, by_seed = values.mean(axis=1), values.mean(axis=0)
    interval = mean_interval(by_order)
    if n_orders < 2 or n_seeds < 2:  # the rest cannot be told from the one that varies
        return Spread(interval, n_seeds, np.nan, np.nan, np.nan)
    rest = values - by_order[:, None] - by_seed + values.mean()
    within = (rest**2).sum() / ((n_orders - 1) * (n_seeds - 1))
    between = [max(means.var(ddof=1) - within / others, 0.0) for means, others in ((by_order, n_seeds), (by_seed, n_orders))]
    return Spread(interval, n_seeds, *np.sqrt([*between, within]))


# ---- settings ------------------------------------------------------------------------------------------------------------------


def crossed(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Setting → its values in per cent, orders × seeds, from rows of `weighting.runs_table`; nan for a cell that was not run.

    The setting is named without its order. Rows of methods that have none (full table, GraphHash) are left out.
    """
    return {name: 100 * part.pivot_table("value", "order", "seed") for name, part in _by_name(table)}


def _by_name(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    runs = table[table["order"].notna()]
    names = runs["name"].str.replace(r", order \d+$", "", regex=True)
    return runs.assign(name=names, order=runs["order"].astype(int)).groupby("name", sort=False)


def complete(cell: pd.DataFrame) -> pd.DataFrame:
    """The largest part of a table orders × seeds in which every order has every seed (of equal ones that with more orders)."""
    seeds = cell.notna().sum().sort_values(ascending=False, kind="stable").index
    parts = [cell[sorted(seeds[:n])].dropna() for n in range(1, len(seeds) + 1)]
    return max(parts, key=lambda part: (part.size, len(part)))


def by_setting(cells: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per setting of `crossed`.

    Columns: setting; orders, seeds (numbers of them); left out, runs that do not fit into the crossing (`complete`); value, % (mean), low,
    high (95 % over orders); sd orders, sd seeds, sd rest (points, see `Spread`); usual, the place of the usual order among all, 1 the best.
    """
    rows = []
    for name, cell in cells.items():
        part = complete(cell)
        found, means = spread(part.to_numpy()), part.mean(axis=1)
        place = int((means > means[USUAL["order"]]).sum()) + 1 if USUAL["order"] in means.index else None
        left_out = int(cell.notna().sum().sum()) - part.size
        ends = (found.interval.mean, found.interval.low, found.interval.high)
        rows.append((name, *part.shape, left_out, *ends, found.orders, found.seeds, found.rest, place))
    columns = ["setting", "orders", "seeds", "left out", "value, %", "low", "high", "sd orders", "sd seeds", "sd rest", "usual"]
    return pd.DataFrame(rows, columns=columns)


def differences(cells: Mapping[str, pd.DataFrame], pairs: Pairs) -> pd.DataFrame:
    """a − b for pairs of settings of `crossed`, run by run: the same order of visits and the same seed on both sides.

    Columns: a, b, orders, seeds, left out (runs of either side without their like); difference, low, high (points, 95 % over orders);
    sd orders, sd seeds, sd rest of the differences; ahead ("4/5": a is ahead in four of five orders). Pairs of which one side is missing,
    or which share no run, are left out.
    """
    rows = []
    for a, b in pairs:
        if a not in cells or b not in cells:
            continue
        part = complete(cells[a] - cells[b])  # pandas takes orders and seeds by their names
        if part.empty:
            continue
        found, ahead = spread(part.to_numpy()), int((part.mean(axis=1) > 0).sum())
        left_out = sum(int(cells[name].notna().sum().sum()) for name in (a, b)) - 2 * part.size
        ends = (found.interval.mean, found.interval.low, found.interval.high)
        rows.append((a, b, *part.shape, left_out, *ends, found.orders, found.seeds, found.rest, f"{ahead}/{len(part)}"))
    columns = ["a", "b", "orders", "seeds", "left out", "difference", "low", "high", "sd orders", "sd seeds", "sd rest", "ahead"]
    return pd.DataFrame(rows, columns=columns)


def recalls(table: pd.DataFrame, k: int = 20, *, capped: bool = False) -> tuple[dict[str, np.ndarray], dict[str, list[int]]]:
    """Setting → Recall@k [orders, users] of its complete part, averaged over seeds, and setting → those orders.

    `paired.paired(by_name, pairs, orders)` with both judges settings on orders as it judges methods on seeds. Reads the records whose
    `key` the table lists; `capped` as in `paired.recall_of`.
    """
    by_name, orders = {}, {}
    for name, part in _by_name(table):
        cell = complete(part.pivot_table("value", "order", "seed"))
        keys = part.set_index(["order", "seed"])["key"]
        by_order = [recall_of([keys[order, seed] for seed in cell.columns], k, capped=capped).mean(axis=0) for order in cell.index]
        by_name[name], orders[name] = np.array(by_order), cell.index.tolist()
    return by_name, orders


# ---- in words ------------------------------------------------------------------------------------------------------------------


def in_words(settings: pd.DataFrame) -> str:
    """Rows of `by_setting`: how far orders spread beside seeds, and how lucky the usual order is."""
    told = settings[settings["sd orders"].notna()]
    if told.empty:
        return "No setting is recorded under several orders and seeds, so nothing can be said."
    orders, seeds, rest = (float(np.sqrt((told[f"sd {part}"] ** 2).mean())) for part in ("orders", "seeds", "rest"))
    spreads = f"{orders:.2f} points with the order of visits, {seeds:.2f} with the seed, {rest:.2f} beyond"
    text = f"Over {len(told)} setting{'s' if len(told) > 1 else ''} a run varies by {spreads}"
    placed = told[told["usual"].notna()]
    if placed.empty:
        return f"{text} (standard deviations)."
    best = int((placed["usual"] == 1).sum())
    return f"{text} (standard deviations); order {USUAL['order']} is the best of its orders in {best} of {len(placed)}."

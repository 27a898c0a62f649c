"""What is kept of the full table's ranking by quarter of users, from the least to the most active (ours, after BACO's Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.analysis.weighting import FULL

QUARTERS = ("0-25", "25-50", "50-75", "75-100")  # of the test users by training activity, in per cent, as in the supplement's Fig. 5
Kept = Mapping[str, Mapping[int, float]]  # name → {quarter: share of the full table's metric}


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

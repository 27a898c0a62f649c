"""Louvain communities as shared rows (GraphHash), and the size that they set for every other method in BACO's comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, number
from recq_lib.sharing.grouping import Stopwatch, degrees, found_by, sharing_of
from recq_lib.sharing.sharing import Sharing

RESOLUTION = 200.0  # of GraphHash, on every dataset: BACO's budgets are the rows that it gives
SIZE_OPTIONS = {"ratio": 0.0}  # 0: GraphHash's rows at resolution 200
CLUSTER_OPTIONS = SIZE_OPTIONS | {"cluster_seed": 2025}  # of the official code; one clustering for all seeds of a study


def louvain(data: Interactions, resolution: float = RESOLUTION) -> Sharing:
    """GraphHash (Wu et al., 2024): Louvain communities under bipartite modularity, larger `resolution` for more rows.

    scikit-network's Louvain with modularity "dugue" and nodes in the order of their ids, as the official code; no randomness.
    Beauty at 200: 4,154 + 4,113 rows. Raises `DataError` without interactions, `ConfigError` for a resolution below 0.
    """
    from sknetwork.clustering import Louvain

    resolution, watch, _ = number("resolution", resolution, 0), Stopwatch(), degrees(data)
    found = Louvain(resolution=resolution, modularity="dugue", shuffle_nodes=False, tol_optimization=1e-3, tol_aggregation=1e-3)
    found.fit(data.train, force_bipartite=True)
    return found_by(sharing_of(found.labels_row_, found.labels_col_), "louvain", data, {"resolution": resolution}, watch)


def rows_of(data: Interactions, ratio: float = 0.0) -> tuple[int, int]:
    """Rows of the users' and of the items' codebook: `ratio` of each side's nodes, or for 0 those of GraphHash at resolution 200.

    At least two of a side that has two. Raises `ConfigError` for a ratio outside [0, 1].
    """
    if ratio == 0:
        found = louvain(data)
        return found.n_user_rows, found.n_item_rows
    if not 0 < ratio <= 1:
        raise ConfigError(f"ratio is {ratio}, but must be a share of the nodes above 0 and at most 1 (or 0 for GraphHash's rows)")
    return _share_of(data.n_users, ratio), _share_of(data.n_items, ratio)


def at_size(find: Callable[[int, int], Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """`find(user rows, item rows)` for the rows that option `ratio` asks for; `found.asked` are their parameters."""
    rows = rows_of(data, config.options["ratio"])
    sharing = find(*rows)
    return replace(sharing, found=replace(sharing.found, asked=config.dim * sum(rows)))


def _share_of(n: int, ratio: float) -> int:
    return min(n, max(2, round(ratio * n)))  # two at least, where there are two

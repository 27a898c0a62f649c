"""Shared rows: BACO and the 18 baselines it is compared with, each a LightGCN on a compressed table.

All have the size of GraphHash's codebooks, as in BACO's comparison: as many rows per side as Louvain finds communities at resolution 200.
Option `ratio` sets another size, in rows as a share of the nodes. What a method cannot aim at (infomap, BiMLPA, BRIM) is reported as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from recq_lib.baselines.sharing import coclustering, communities, hashing, propagated
from recq_lib.baselines.sharing.cce import CCETable
from recq_lib.baselines.sharing.legcf import ComposedTable, ExtendedLightGCN, metis_assignment
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.methods.full import READOUTS
from recq_lib.papers.baco.clustering import Clustering, cluster, node_weights
from recq_lib.papers.baco.gamma_search import search_gamma
from recq_lib.parts import sharing_store
from recq_lib.parts.method import Method, recommender
from recq_lib.parts.model import Recommender
from recq_lib.parts.sharing import Sharing
from recq_lib.parts.tables import SharedTable

Sharer = Callable[[Interactions, TrainConfig], Sharing]
_SIZE = {"ratio": 0.0}  # 0: GraphHash's rows at resolution 200
_CLUSTERED = _SIZE | {"cluster_seed": 2025}  # of the official code; one clustering for all seeds of a study


def rows_of(data: Interactions, ratio: float = 0.0) -> tuple[int, int]:
    """Rows of the users' and of the items' codebook: `ratio` of each side's nodes, or for 0 those of GraphHash at resolution 200."""
    if ratio == 0:
        found = communities.louvain(data)
        return found.n_user_rows, found.n_item_rows
    if not 0 < ratio <= 1:
        raise ConfigError(f"ratio is {ratio}, but must be a share of the nodes above 0 and at most 1 (or 0 for GraphHash's rows)")
    return max(2, round(ratio * data.n_users)), max(2, round(ratio * data.n_items))


# ---- BACO ----------------------------------------------------------------------------------------------------------------------


def sharing_from(clustering: Clustering) -> Sharing:
    """A user's row and second row, an item's row; users with two take the mean."""
    users = np.stack([clustering.user_rows, clustering.user_second], axis=1)
    return Sharing(users, clustering.item_rows, clustering.n_user_rows, clustering.n_item_rows)


def baco(data: Interactions, config: TrainConfig) -> Clustering:
    """BACO's clustering with γ as given, or searched for the budget of parameters that the rows of `rows_of` make."""
    options = config.options
    settings = {
        "weights": node_weights(data, options["user_weight"], options["item_weight"]),
        "sweeps": options["sweeps"], "seed": options["cluster_seed"], "ghost": options["ghost"], "scu": options["scu"],
    }  # fmt: skip
    if options["gamma"] >= 0:
        return cluster(data, options["gamma"], **settings)
    budget = config.dim * sum(rows_of(data, options["ratio"]))
    return search_gamma(data, budget_parameters=budget, dim=config.dim, tolerance=options["tolerance"], **settings).clustering


# ---- baselines -----------------------------------------------------------------------------------------------------------------


def _hashed(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    """Hash functions are drawn anew with every seed."""
    return function(data, *rows_of(data, config.options["ratio"]), seed=config.seed)


def _double(function: Callable[..., Sharing], data: Interactions, config: TrainConfig) -> Sharing:
    rows = rows_of(data, config.options["ratio"])
    budget = config.dim * sum(rows) if config.options["fair"] else None
    return function(data, *rows, seed=config.seed, budget_parameters=budget, dim=config.dim)


def _lsh(data: Interactions, config: TrainConfig) -> Sharing:
    return hashing.lsh(data, *rows_of(data, config.options["ratio"]), seed=config.seed, fair=config.options["fair"])


def _resolved(name: str, data: Interactions, config: TrainConfig) -> Sharing:
    """Louvain and its relatives: at the paper's resolution, or at one that gives the rows of `ratio`."""
    options, function = config.options, getattr(communities, name)
    seed = {} if name == "louvain" else {"seed": config.seed + 1 if name == "double_graph_hash" else options["cluster_seed"]}
    if not options["ratio"]:
        return function(data, options["resolution"], **seed).sharing
    return _at_rows(partial(function, data, **seed), sum(rows_of(data, options["ratio"])), data)


def _at_rows(function: Callable[[float], Any], rows: int, data: Interactions, evaluations: int = 14) -> Sharing:
    """Communities at the resolution whose rows are closest to `rows` (within 1 %, or after so many evaluations), by bisection."""
    low, high, best = 1.0, 4.0 * data.n_nodes, None  # far above, every node is alone
    for _ in range(evaluations):
        middle = math.sqrt(low * high)
        sharing = function(middle).sharing
        if best is None or abs(sharing.n_rows - rows) < abs(best.n_rows - rows):
            best = sharing
        if abs(best.n_rows / rows - 1) <= 0.01:
            break
        low, high = (low, middle) if sharing.n_rows > rows else (middle, high)
    return best


def _total(function: Callable[..., Any], data: Interactions, config: TrainConfig) -> Sharing:
    """Methods that meet a number of rows of both sides together."""
    return function(data, rows=sum(rows_of(data, config.options["ratio"])), seed=config.options["cluster_seed"]).sharing


def _free(function: Callable[..., Any], data: Interactions, config: TrainConfig) -> Sharing:
    """Methods whose number of rows follows from the graph."""
    return function(data, seed=config.options["cluster_seed"]).sharing


def _itcc(data: Interactions, config: TrainConfig) -> Sharing:
    return coclustering.itcc(data, *rows_of(data, config.options["ratio"]), seed=config.options["cluster_seed"]).sharing


# ---- models --------------------------------------------------------------------------------------------------------------------


def shared_model(data: Interactions, config: TrainConfig, sharing: Sharing) -> Recommender:
    """LightGCN on the codebooks that `sharing` names."""
    generator = torch.Generator().manual_seed(config.seed)
    return _model(data, config, SharedTable(sharing, config.dim, config.init_std, generator=generator))


def _model(data: Interactions, config: TrainConfig, table: nn.Module, encoder: nn.Module | None = None) -> Recommender:
    return recommender(data, config, READOUTS[config.readout](), table=table, encoder=encoder)


def _shared(name: str, data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    find = partial(share, name, data, config)
    if "cluster_seed" in config.options:  # then the rows do not depend on the run's own seed
        return shared_model(data, config, sharing_store.kept(find, data, name, config.dim, config.options))
    return shared_model(data, config, find())


def share(name: str, data: Interactions, config: TrainConfig) -> Sharing:
    """The rows that method `name` gives every node, without a model. `config` with all options (`registry.resolve`).

    Raises `ConfigError` for a method that does not share rows, and for CCE and LEGCF, whose rows are only found while training.
    """
    return SHARERS[one_of("sharing method", name, tuple(SHARERS))](data, config)


def _cce(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    rows, generator = rows_of(data, config.options["ratio"]), torch.Generator().manual_seed(config.seed)
    std = config.init_std if config.options["normal_start"] else None
    return _model(data, config, CCETable(data.n_users, data.n_items, *rows, config.dim, std=std, seed=config.seed, generator=generator))


def _legcf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    n_rows, generator = sum(rows_of(data, config.options["ratio"])), torch.Generator().manual_seed(config.seed)
    rows, weights = metis_assignment(data, n_rows, seed=config.seed)
    table = ComposedTable(rows, weights, n_rows, config.dim, config.init_std, generator=generator)
    return _model(data, config, table, ExtendedLightGCN(config.n_layers, table))


_BACO = {  # γ below 0: searched for the budget
    "gamma": -1.0, "scu": True, "user_weight": "degree", "item_weight": "released", "ghost": True, "sweeps": 5, "tolerance": 0.01,
}  # fmt: skip

# name → (title, rows of every node, options)
_SHARED: dict[str, tuple[str, Sharer, dict[str, Any]]] = {
    "baco": ("BACO", lambda data, config: sharing_from(baco(data, config)), _CLUSTERED | _BACO),
    "random-hash": ("Random", partial(_hashed, hashing.random_hash), _SIZE),
    "frequency-hash": ("Frequency", partial(_hashed, hashing.frequency_hash), _SIZE),
    "double-hash": ("Double", partial(_double, hashing.double_hash), _SIZE | {"fair": False}),
    "hybrid-hash": ("Hybrid", partial(_double, hashing.hybrid_hash), _SIZE | {"fair": False}),
    "lsh-hash": ("LSH (rows)", _lsh, _SIZE | {"fair": True}),
    "graphhash": ("GraphHash", partial(_resolved, "louvain"), _SIZE | {"resolution": 200.0}),
    "doublegraphhash": ("DoubleGraphHash", partial(_resolved, "double_graph_hash"), _SIZE | {"resolution": 200.0}),
    "lp": ("LP", partial(_total, propagated.label_propagation), _CLUSTERED),
    "leiden": ("Leiden", partial(_resolved, "leiden"), _SIZE | {"resolution": 201.0, "cluster_seed": 1}),
    "ebmd": ("EBMD", partial(_total, propagated.ebmd), _CLUSTERED),
    "infomap": ("infomap", partial(_free, communities.infomap), {"cluster_seed": 2025}),
    "bimlpa": ("BiMLPA", partial(_free, propagated.bimlpa), {"cluster_seed": 2025}),
    "brim": ("BRIM", partial(_free, communities.brim), {"cluster_seed": 2025}),
    "scc": ("SCC", partial(_total, coclustering.scc), _CLUSTERED),
    "sbc": ("SBC", partial(_total, coclustering.sbc), _CLUSTERED),
    "itcc": ("ITCC", _itcc, _CLUSTERED),
}
SHARERS: dict[str, Sharer] = {name: sharer for name, (_, sharer, _) in _SHARED.items()}

METHODS = (
    *(Method(name, title, "trained", partial(_shared, name), options) for name, (title, _, options) in _SHARED.items()),
    Method("cce", "CCE", "trained", _cce, _SIZE | {"normal_start": False}),
    Method("legcf", "LEGCF", "trained", _legcf, _SIZE),
)

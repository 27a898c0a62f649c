"""BACO by name: its rows at a given γ or for a budget, under a LightGCN."""

from __future__ import annotations

import warnings

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.papers.baco.clustering import cluster, node_weights
from recq_lib.papers.baco.gamma_search import search_gamma
from recq_lib.parts.building import sharing_method
from recq_lib.sharing.grouping import OutOfReach
from recq_lib.sharing.louvain import CLUSTER_OPTIONS, RESOLUTION, rows_of
from recq_lib.sharing.sharing import Sharing

_OPTIONS = {  # γ below 0: searched for the budget
    "gamma": -1.0, "scu": True, "user_weight": "degree", "item_weight": "released", "ghost": True, "sweeps": 5, "tolerance": 0.01,
    "ties": "last",
}  # fmt: skip


def baco(data: Interactions, config: TrainConfig) -> Sharing:
    """BACO's rows with γ as given, or searched for the budget of parameters that the rows of `rows_of` make.

    The default budget, GraphHash's size, is out of reach on some data; then a warning says so and the closest size is taken.
    """
    options = config.options
    settings = {
        "weights": node_weights(data, options["user_weight"], options["item_weight"]),
        "sweeps": options["sweeps"], "seed": options["cluster_seed"], "ghost": options["ghost"], "scu": options["scu"],
        "ties": options["ties"],
    }  # fmt: skip
    if options["gamma"] >= 0:
        return cluster(data, options["gamma"], **settings)
    budget = config.dim * sum(rows_of(data, options["ratio"]))
    try:
        return search_gamma(data, budget_parameters=budget, dim=config.dim, tolerance=options["tolerance"], **settings)
    except OutOfReach as miss:
        if options["ratio"]:
            raise
        size = f"{budget:,} parameters ({budget / miss.full:.1%} of a full table)"
        warnings.warn(miss.instead(f"the default size, GraphHash's at resolution {RESOLUTION:g}, {size},", config.dim), stacklevel=2)
        return miss.closest


METHODS = (sharing_method("baco", "BACO", baco, CLUSTER_OPTIONS | _OPTIONS, marker="o", colour="pink"),)

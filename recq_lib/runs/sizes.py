"""Sizes far beyond this machine, told with the numbers before anything is built (ours)."""

from __future__ import annotations

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.io.memory import check_memory
from recq_lib.parts.method import Method


def check_fits(entry: Method, data: Interactions, config: TrainConfig) -> None:
    """Raise `ConfigError` if the vectors of all nodes, one per layer, cannot be held: what every model needs when it is evaluated.

    Training needs several times as much. Closed forms have no table and look after themselves.
    """
    if entry.kind == "closed_form":
        return
    layers = 1 if entry.name == "mf" else config.n_layers + 1  # MF ignores its layers
    shape = f"{layers:,} × {data.n_nodes:,} × {config.dim:,} numbers"
    what = f"{entry.name} on {data.name} with dim {config.dim:,} and {layers - 1:,} layers ({shape})"
    check_memory(what, 4 * layers * data.n_nodes * config.dim, "give a smaller dim or fewer layers, or take a smaller dataset")


def check_cutoffs(data: Interactions, ks: tuple[int, ...]) -> None:
    """Raise `ConfigError` for a cutoff beyond the catalogue, before the work that an evaluation would end."""
    for k in ks:
        if k > data.n_items:
            raise ConfigError(f"K is {k}, but {data.name} has {data.n_items} items; choose ks and select_metric within the catalogue")

"""What builders of methods have in common: tables, generators, the usual model, teachers."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import torch

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.encoders import LightGCN
from recq_lib.parts.method import Method, Sharer
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Auxiliary, Encoder, Readout, Table
from recq_lib.parts.readouts import Concat, LastLayer, MeanPool
from recq_lib.parts.start import begin
from recq_lib.parts.tables import FullTable, SharedTable
from recq_lib.sharing import store

READOUTS = {"mean": MeanPool, "concat": Concat, "last": LastLayer}
TEACHER_OPTIONS = {"teacher_epochs": 0, "teacher_lr": 0.0}  # 0: the same as the method itself
SCHEDULE_OPTIONS = {"schedule": "exponential", "start": 1.0, "end": 0.1, "hold": 0.2, "span": 0.5}
WARM_OPTIONS = {"warm_start": False} | TEACHER_OPTIONS


def recommender(
    data: Interactions,
    config: TrainConfig,
    readout: Readout,
    *,
    table: Table | None = None,
    encoder: Encoder | None = None,
    teacher: Recommender | None = None,
    auxiliary: Auxiliary | None = None,
) -> Recommender:
    """LightGCN (or `encoder`) with `readout`; the table is a copy of the teacher's, if there is one, else begins as the settings say."""
    table, graph = full_table(data, config) if table is None else table, Graph.from_interactions(data)
    if teacher is None:
        begin(table, graph, config)
    else:
        with torch.no_grad():
            table.weight.copy_(teacher.table.weight)
    model = Recommender(graph, table, encoder or LightGCN(config.n_layers), readout, auxiliary)
    model.config, model.user_ids, model.item_ids = config, data.user_ids, data.item_ids
    return model


def full_table(data: Interactions, config: TrainConfig) -> FullTable:
    return FullTable(data.n_nodes, config.dim, config.init_std, generator=torch.Generator().manual_seed(config.seed))


def xavier_table(data: Interactions, config: TrainConfig) -> FullTable:
    """Uniform within √(6/(n + d)), n the users or the items: NGCF's start (official code). `init_std` has no say in it."""
    table = full_table(data, config)
    generator = torch.Generator().manual_seed(config.seed)
    with torch.no_grad():
        for rows in table.weight.split([data.n_users, data.n_items]):
            bound = (6 / (rows.shape[0] + rows.shape[1])) ** 0.5
            rows.uniform_(-bound, bound, generator=generator)
    return table


def own_generator(config: TrainConfig) -> torch.Generator:
    """For parameters beside the table, whose draw they must not disturb."""
    return torch.Generator().manual_seed(config.seed + 1_000_003)


# ---- teachers ---------------------------------------------------------------------------------------------------------------


def full_precision(config: TrainConfig, readout: str) -> tuple[str, TrainConfig]:
    """LightGCN with the same data, seed, width, depth and batches: the teacher of most methods that have one."""
    epochs, lr = config.options["teacher_epochs"] or config.epochs, config.options["teacher_lr"] or config.lr
    return "lightgcn", dataclasses.replace(config, readout=readout, epochs=epochs, lr=lr, options={})


def concatenated(config: TrainConfig) -> tuple[str, TrainConfig]:
    """Full precision with concatenated layers, as in the official code of L²Q-GCN's family."""
    return full_precision(config, "concat")


def concatenated_if_warm(config: TrainConfig) -> tuple[str, TrainConfig] | None:
    return concatenated(config) if config.options["warm_start"] else None


# ---- shared rows ------------------------------------------------------------------------------------------------------------


def sharing_method(name: str, title: str, share: Sharer, options: dict[str, Any], **entry: Any) -> Method:
    """The entry of a method that is LightGCN on rows that `share` finds; with option `cluster_seed` they are found once for all seeds."""
    return Method(name, title, "shared rows", "trained", partial(_on_shared_rows, name, share), options, share=share, **entry)


def on_rows(data: Interactions, config: TrainConfig, table: Table, encoder: Encoder | None = None) -> Recommender:
    """LightGCN (or `encoder`) on a compressed table, with the readout that the configuration names."""
    return recommender(data, config, READOUTS[config.readout](), table=table, encoder=encoder)


def _on_shared_rows(name: str, share: Sharer, data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    find = partial(share, data, config)
    # without a seed of its own the clustering follows the run's, and is not worth keeping
    rows = store.kept(find, data, name, config.dim, config.options) if "cluster_seed" in config.options else find()
    generator = torch.Generator().manual_seed(config.seed)
    return on_rows(data, config, SharedTable(rows, config.dim, config.init_std, generator=generator))

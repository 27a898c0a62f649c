"""Measures of clusterings of users and items: sizes of rows, interactions inside, inequality, agreement (ours where no paper is named)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.metrics import adjusted_rand_score

from recq_lib.data.interactions import Interactions
from recq_lib.sharing.sharing import Sharing


def by_cluster(labels: np.ndarray, n_users: int) -> tuple[np.ndarray, np.ndarray]:
    """(users in order, items in order), both sorted by cluster: the one with most users and items first, of equal ones the lower label.

    labels [n_nodes], users first
    """
    _, cluster, counts = np.unique(labels, return_inverse=True, return_counts=True)
    place = np.argsort(np.argsort(-counts, kind="stable"))[cluster]
    return np.argsort(place[:n_users], kind="stable"), np.argsort(place[n_users:], kind="stable")


def gini(sizes: np.ndarray) -> float:
    """Inequality of cluster sizes [K]: 0 when all are equal, towards 1 when one holds everything. Paper, supplement B.3."""
    rising = np.sort(np.asarray(sizes, dtype=np.float64))
    shares, count = np.cumsum(rising) / rising.sum(), rising.size
    return float(2 / count * (np.arange(1, count + 1) / count - shares).sum())


def inside(train: sp.csr_matrix, labels: np.ndarray) -> int:
    """Number of interactions whose user and item have one label; `labels` [n_users + n_items], users first."""
    users, items = train.nonzero()
    return int((labels[users] == labels[train.shape[0] + items]).sum())


def balance(train: sp.csr_matrix, labels: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """One row per named labelling [n_nodes]: rows, share of interactions inside, largest cluster, share of singletons, Gini, ACCL.

    A cluster is all users and items of one label. ACCL, the average number of interactions that connect two clusters, is those not inside
    over the K·(K - 1)/2 pairs (supplement B.3; that pairs of different clusters are meant is our reading).
    """
    rows = []
    for name, found in labels.items():
        sizes = np.unique(found, return_counts=True)[1]
        kept, pairs = inside(train, found), sizes.size * (sizes.size - 1) / 2
        rows.append(
            {
                "labels": name, "user rows": np.unique(found[: train.shape[0]]).size, "item rows": np.unique(found[train.shape[0] :]).size,
                "inside, %": 100 * kept / train.nnz, "clusters": sizes.size, "largest": int(sizes.max()),
                "singletons, %": 100 * (sizes == 1).mean(), "Gini": gini(sizes), "ACCL": (train.nnz - kept) / pairs if pairs else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def common_unit(data: Interactions, weights: np.ndarray) -> float:
    """What one co-cluster of everything would pay per interaction at γ = 1: W_U(all)·W_V(all) / |E|. γ times it compares weightings."""
    users, items = np.split(np.asarray(weights, dtype=np.float64), [data.n_users])
    return float(users.sum() * items.sum() / data.n_train)


def measures(data: Interactions, found: Mapping[str, Sharing], dim: int) -> pd.DataFrame:
    """One row per clustering.

    Columns: weights (its name), γ, user rows, item rows, second (users with two), size (% of a full table's parameters), nodes on the
    largest row of users and of items, alone (% of nodes with a first row of their own), inside (% of interactions within a label).
    """
    users, items = data.pairs("train")
    rows = []
    for name, c in found.items():
        sizes = np.bincount(c.users[:, 0]), np.bincount(c.items[:, 0])
        alone = 100 * sum(int((size == 1).sum()) for size in sizes) / data.n_nodes
        inside = 100 * (c.found.labels[users] == c.found.labels[data.n_users + items]).mean()
        largest = [int(size.max()) for size in sizes]
        rows.append((name, c.found.gamma, c.n_user_rows, c.n_item_rows, c.n_extra, 100 * c.ratio(dim), *largest, alone, inside))
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

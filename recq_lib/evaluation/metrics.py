"""Ranking metrics per user from a hit matrix, in every convention the three papers use.

`hits` [n, Kmax] says whether the item at rank k is relevant, `n_relevant` [n] is |T_u| ≥ 1. Values are fractions.

recall@K        hits / |T|                      (LightGCN, L²Q-GCN, HQ-GNN)
recall_min@K    hits / min(K, |T|)              (BACO, GraphHash)
precision@K     hits / K
ndcg@K          DCG / ideal DCG of min(K, |T|) hits
ndcg_authors@K  DCG / ideal DCG of min(K, hits@Kmax) hits: the ideal list holds only what was retrieved in the top Kmax
                (official BiGeaR code with Kmax = 100). Larger than ndcg@K, changes with Kmax, not comparable across papers.
"""

from __future__ import annotations

import numpy as np

from recq_lib.errors import ConfigError

NAMES = ("recall", "recall_min", "precision", "ndcg", "ndcg_authors")


def per_user(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """All metrics at cutoff `k` as float64 arrays [n]. Raises `ConfigError` if `k` exceeds the ranked length."""
    if not 1 <= k <= hits.shape[1]:
        raise ConfigError(f"K is {k}, but must lie between 1 and the ranked length {hits.shape[1]}")
    if n_relevant.size and n_relevant.min() < 1:
        raise ConfigError("a user without relevant items has no Recall; leave such users out")
    discount = 1.0 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])  # ideal[m]: DCG of m hits on top
    found = hits[:, :k].sum(axis=1).astype(np.float64)
    gain = hits[:, :k] @ discount[:k]
    retrieved = np.minimum(hits.sum(axis=1), k)
    own_ideal = ideal[retrieved]
    return {
        "recall": found / n_relevant,
        "recall_min": found / np.minimum(k, n_relevant),
        "precision": found / k,
        "ndcg": gain / ideal[np.minimum(k, n_relevant)],
        "ndcg_authors": np.divide(gain, own_ideal, out=np.zeros_like(gain), where=own_ideal > 0),
    }


def coverage(top: np.ndarray, n_items: int) -> float:
    """Share of the catalogue that appears in at least one list; `top` [n, K] holds item ids, -1 is padding."""
    return float(np.unique(top[top >= 0]).size / n_items)

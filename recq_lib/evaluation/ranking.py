"""Full ranking over the catalogue, in blocks, with known items masked; metrics per user and their means.

Ties are broken by a seeded permutation of the items (`kernels.topk.tie_order`): among equal scores the item that comes first in it wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.evaluation import metrics
from recq_lib.evaluation.ranking_device import rank_on_device
from recq_lib.kernels import topk

# scores of one tile stay in the cache near a core between the product and the scan
_TILE_USERS, _TILE_ITEMS = 512, 1024


class BlockScorer(Protocol):
    """What the simple baselines offer: scores [b, n_items] (float32) for a block of users."""

    def score_block(self, users: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    values : metric name such as "recall@20" → mean over users, a fraction
    users : [n] int32, users with at least one relevant item
    n_relevant : [n] int32
    top : [n, Kmax] int32 item ids, best first, -1 where the catalogue was exhausted
    hits : [n, Kmax] bool
    """

    values: dict[str, float]
    users: np.ndarray
    n_relevant: np.ndarray
    top: np.ndarray
    hits: np.ndarray

    def per_user(self, metric: str) -> np.ndarray:
        """Values of e.g. "recall@20" for each of `users`."""
        name, _, k = metric.partition("@")
        if name not in metrics.NAMES or not k.isdigit():
            raise ConfigError(f"metric is {metric!r}, but must be one of {', '.join(metrics.NAMES)} followed by @K")
        return metrics.per_user(self.hits, self.n_relevant, int(k))[name]

    def hit_counts(self, ks: Sequence[int]) -> dict[str, np.ndarray]:
        """Arrays a record keeps: user ids, |T| and hits@K."""
        counts = {f"hits@{k}": self.hits[:, :k].sum(axis=1).astype(np.int32) for k in ks}
        return {"users": self.users, "n_test": self.n_relevant, **counts}


def evaluate(
    model,
    data: Interactions,
    *,
    ks: Sequence[int] = (20,),
    split: str = "test",
    mask: Sequence[str] = ("train", "val"),
    tie_seed: int = 0,
) -> Evaluation:
    """Rank all items for every user with an interaction in `split`.

    Parameters
    ----------
    model : anything with `embeddings()` → (users [U, D], items [I, D]), a pair of such tensors, `Codes`, or a `BlockScorer`
    ks : cutoffs; Kmax = max(ks) also defines `ndcg_authors`
    mask : splits whose items are never recommended to their users (BACO masks train only when it validates)
    """
    ks = _check_cutoffs(ks, data.n_items)
    relevant = data.split(split)
    counts = np.diff(relevant.indptr)
    users = np.flatnonzero(counts).astype(np.int32)
    if users.size == 0:
        raise ConfigError(f"{data.name}: split {split!r} is empty; choose another split or carve one with data.splits.with_validation")
    masks = [data.split(name) for name in mask if name != split and data.split(name).nnz]
    top = rank(model, users, data.n_items, max(ks), masks, tie_seed=tie_seed)
    hits = _contains(relevant, users, top)
    n_relevant = counts[users].astype(np.int32)
    values: dict[str, float] = {}
    for k in ks:
        values.update({f"{name}@{k}": float(array.mean()) for name, array in metrics.per_user(hits, n_relevant, k).items()})
        values[f"coverage@{k}"] = metrics.coverage(top[:, :k], data.n_items)
    return Evaluation(values, users, n_relevant, top, hits)


def rank(model, users: np.ndarray, n_items: int, k: int, masks: Sequence, *, tie_seed: int = 0) -> np.ndarray:
    """Item ids [len(users), k] (int32), best first, items in any of the CSR `masks` left out; `model` as in `evaluate`."""
    position_to_item = topk.tie_order(n_items, tie_seed)
    if hasattr(model, "tiles"):  # scores in the order that they are asked for, such as `Codes`
        return _rank_tiles(model.tiles(position_to_item), users, k, masks, position_to_item)
    if hasattr(model, "score_block"):
        return _rank_tiles(_BaselineTiles(model, position_to_item), users, k, masks, position_to_item)
    user_vectors, item_vectors = model.embeddings() if hasattr(model, "embeddings") else model
    if user_vectors.shape[1] != item_vectors.shape[1]:
        raise ConfigError(f"user vectors have width {user_vectors.shape[1]}, item vectors {item_vectors.shape[1]}; they must agree")
    if not (torch.isfinite(user_vectors).all() and torch.isfinite(item_vectors).all()):
        raise ConfigError("the embeddings hold NaN or infinity; training has diverged, lower the learning rate")
    if user_vectors.device.type == "cpu":
        tiles = _DotTiles(user_vectors.float(), item_vectors.float()[torch.from_numpy(position_to_item).long()])
        return _rank_tiles(tiles, users, k, masks, position_to_item)
    return rank_on_device(user_vectors, item_vectors, users, k, masks, position_to_item)


class _DotTiles:
    """Scores of inner products, a tile of users × items at a time."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        self.users = users
        self.tiles = [part.t().contiguous() for part in items.split(_TILE_ITEMS)]
        self.buffers = [torch.empty(_TILE_USERS, tile.shape[1]) for tile in (self.tiles[0], self.tiles[-1])]

    def __call__(self, users: np.ndarray) -> Iterator[np.ndarray]:
        rows = self.users[torch.from_numpy(users).long()]
        for tile in self.tiles:
            out = self.buffers[tile.shape[1] != _TILE_ITEMS][: rows.shape[0]]
            yield torch.mm(rows, tile, out=out).numpy()


class _BaselineTiles:
    """Scores of a `BlockScorer`: one tile as wide as the catalogue."""

    def __init__(self, model: BlockScorer, position_to_item: np.ndarray) -> None:
        self.model, self.position_to_item = model, position_to_item

    def __call__(self, users: np.ndarray) -> Iterator[np.ndarray]:
        block = np.ascontiguousarray(self.model.score_block(users)[:, self.position_to_item], dtype=np.float32)
        if np.isnan(block).any():
            raise ConfigError(f"scores of users {users[0]}…{users[-1]} hold NaN; check the model's input")
        yield block


def _rank_tiles(tiles: topk.Tiles, users: np.ndarray, k: int, masks: Sequence, position_to_item: np.ndarray) -> np.ndarray:
    return topk.best(tiles, users, k, masks, position_to_item, block=_TILE_USERS)[0]


def _contains(matrix: sp.csr_matrix, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """bool [n, K]: is `items[r, k]` (-1 never is) in row `users[r]` of the binary CSR `matrix`?"""
    width = np.int64(matrix.shape[1] + 1)
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    known = rows * width + matrix.indices  # sorted, because CSR rows and their indices are
    wanted = np.where(items >= 0, users.astype(np.int64)[:, None] * width + items, -1)
    return known[np.minimum(np.searchsorted(known, wanted), known.size - 1)] == wanted


def _check_cutoffs(ks: Sequence[int], n_items: int) -> tuple[int, ...]:
    ks = tuple(sorted({int(k) for k in ks}))
    if not ks:
        raise ConfigError("ks is empty; give at least one cutoff, such as (20,)")
    if ks[0] < 1 or ks[-1] > n_items:
        raise ConfigError(f"K is {ks[0] if ks[0] < 1 else ks[-1]}, but must lie between 1 and the catalogue size {n_items}")
    return ks

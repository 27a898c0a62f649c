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
TILE_USERS, _TILE_ITEMS = topk.USERS, 1024


class BlockScorer(Protocol):
    """What the simple baselines offer: scores [b, n_items] (float32) for a block of users."""

    def score_block(self, users: np.ndarray) -> np.ndarray: ...


class Embedder(Protocol):
    """What models offer: (users [U, D], items [I, D]) as they are searched."""

    def embeddings(self) -> tuple[torch.Tensor, torch.Tensor]: ...


class Tiled(Protocol):
    """What codes offer: scores tile by tile, items in the order given."""

    def tiles(self, order: np.ndarray) -> topk.Tiles: ...


Scorer = Embedder | Tiled | BlockScorer | tuple[torch.Tensor | np.ndarray, torch.Tensor | np.ndarray]


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
    scorer: Scorer,
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
    scorer : a model, a pair of vectors (users [U, D], items [I, D]; torch or numpy), `Codes`, or a `BlockScorer`
    ks : cutoffs; Kmax = max(ks) also defines `ndcg_authors`
    mask : splits whose items are never recommended to their users (BACO masks train only when it validates)
    tie_seed : of the order of items that decides between equal scores

    Raises `ConfigError` for cut-offs outside the catalogue, an empty split, and vectors of other shapes or not finite.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic-tiny")
    >>> result = recq.evaluate(recq.build("mostpop", data), data, ks=(5, 20))
    >>> sorted(result.values)[:2], 0 < result.values["recall@20"] < 1
    (['coverage@20', 'coverage@5'], True)
    >>> result.per_user("recall@20").shape == result.users.shape  # one value per user with test items
    True
    """
    ks = _check_cutoffs(ks, data.n_items)
    relevant = data.split(split)
    counts = np.diff(relevant.indptr)
    users = np.flatnonzero(counts).astype(np.int32)
    if users.size == 0:
        raise ConfigError(f"{data.name}: split {split!r} is empty; choose another split or carve one with data.splits.with_validation")
    masks = [data.split(name) for name in mask if name != split and data.split(name).nnz]
    top = rank(scorer, users, data.n_items, max(ks), masks, tie_seed=tie_seed)
    hits = _contains(relevant, users, top)
    n_relevant = counts[users].astype(np.int32)
    values: dict[str, float] = {}
    for k in ks:
        values.update({f"{name}@{k}": float(array.mean()) for name, array in metrics.per_user(hits, n_relevant, k).items()})
        values[f"coverage@{k}"] = metrics.coverage(top[:, :k], data.n_items)
    return Evaluation(values, users, n_relevant, top, hits)


def rank(scorer: Scorer, users: np.ndarray, n_items: int, k: int, masks: Sequence, *, tie_seed: int = 0) -> np.ndarray:
    """Item ids [len(users), k] (int32), best first, items in any of the CSR `masks` left out; `scorer` as in `evaluate`."""
    order = topk.tie_order(n_items, tie_seed)
    scorer = _vectors_of(scorer)
    if isinstance(scorer, tuple) and scorer[0].device.type != "cpu":
        return rank_on_device(*scorer, users, k, masks, order)
    return topk.best(_tiles(scorer, order), users, k, masks, order, block=TILE_USERS)[0]


def tiles_of(scorer: Scorer, order: np.ndarray) -> topk.Tiles:
    """Scores of `scorer` (as in `evaluate`) on the CPU, tile by tile, items in the `order` of ties."""
    return _tiles(_vectors_of(scorer), order)


def _tiles(scorer: Scorer, order: np.ndarray) -> topk.Tiles:
    if isinstance(scorer, tuple):
        users, items = (side.cpu().float() for side in scorer)
        return _DotTiles(users, items[torch.from_numpy(order).long()])
    if hasattr(scorer, "tiles"):  # scores in the order that they are asked for, such as `Codes`
        return scorer.tiles(order)
    return _BaselineTiles(scorer, order)


def _vectors_of(scorer: Scorer) -> Scorer:
    """A model or pair of vectors as a checked pair of tensors; what scores by itself as it is."""
    if hasattr(scorer, "tiles") or hasattr(scorer, "score_block"):
        return scorer
    users, items = (torch.as_tensor(side).detach() for side in (scorer.embeddings() if hasattr(scorer, "embeddings") else scorer))
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        shapes = f"{tuple(users.shape)} and {tuple(items.shape)}"
        raise ConfigError(f"user and item vectors have shapes {shapes}, but must be [users, d] and [items, d] of one width d")
    if not (torch.isfinite(users).all() and torch.isfinite(items).all()):
        raise ConfigError("the embeddings hold NaN or infinity; training has diverged, lower the learning rate")
    return users, items


class _DotTiles:
    """Scores of inner products, a tile of users × items at a time."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        self.users = users
        self.tiles = [part.t().contiguous() for part in items.split(_TILE_ITEMS)]
        self.buffers = [torch.empty(TILE_USERS, tile.shape[1]) for tile in (self.tiles[0], self.tiles[-1])]

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

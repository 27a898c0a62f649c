"""What can be ranked and searched, and `scores_of`, which turns any of it into sizes and tiles of scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from recq_lib.errors import ConfigError
from recq_lib.kernels import topk

# scores of one tile stay in the cache near a core between the product and the scan
TILE_USERS, _TILE_ITEMS = topk.USERS, 1024
_LARGEST = float(np.finfo(np.float32).max)


class BlockScorer(Protocol):
    """What the simple baselines offer: scores [b, n_items] (float32) for a block of users.

    It may also tell `n_users` and `n_items`, or `user_ids` and `item_ids`; then numbers of users are held against them.
    """

    def score_block(self, users: np.ndarray) -> np.ndarray: ...


class Embedder(Protocol):
    """What models offer: (users [U, D], items [I, D]) as they are searched."""

    def embeddings(self) -> tuple[torch.Tensor, torch.Tensor]: ...


class Tiled(Protocol):
    """What codes offer: scores tile by tile, items in the order given; sizes as a `BlockScorer`."""

    def tiles(self, order: np.ndarray) -> topk.Tiles: ...


Vectors = torch.Tensor | np.ndarray
Scorer = Embedder | Tiled | BlockScorer | tuple[Vectors, Vectors]


@dataclass(frozen=True)
class Scores:
    """A scorer in the one form that ranking and search know.

    Attributes
    ----------
    name : for messages
    n_users, n_items : None where the scorer does not tell
    tiles : order of items → scores of a block of users on the CPU, tile by tile
    vectors : checked pair (users [U, D], items [I, D]) where scores are their inner products, else None
    """

    name: str
    n_users: int | None
    n_items: int | None
    tiles: Callable[[np.ndarray], topk.Tiles]
    vectors: tuple[torch.Tensor, torch.Tensor] | None = None

    def sizes(self, n_users: int | None, n_items: int | None, whose: str) -> tuple[int | None, int]:
        """(users, items) where `whose` sizes, as far as they are known, agree with the scorer's; else `ConfigError` with both."""
        for side, own, other in (("users", self.n_users, n_users), ("items", self.n_items, n_items)):
            if None not in (own, other) and own != other:
                raise ConfigError(f"{self.name} has {own} {side}, but {whose} {other}; a scorer and its data must have the same sizes")
        items = self.n_items if n_items is None else n_items
        if items is None:
            raise ConfigError(f"{self.name} does not tell the size of the catalogue; pass n_items, e.g. data.n_items")
        return self.n_users if n_users is None else n_users, items


def scores_of(scorer: Scorer) -> Scores:
    """`scorer` as `Scores`. Raises `ConfigError` for what is none, and for vectors that cannot be multiplied in float32."""
    name = type(scorer).__name__
    if hasattr(scorer, "tiles"):  # scores in the order that they are asked for, such as `Codes`
        return Scores(name, _size(scorer, "user"), _size(scorer, "item"), scorer.tiles)
    if hasattr(scorer, "score_block"):
        return Scores(name, _size(scorer, "user"), _size(scorer, "item"), partial(_BlockTiles, scorer))
    pair = scorer.embeddings() if hasattr(scorer, "embeddings") else scorer
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        got = f"a {name} of {len(pair)}" if isinstance(pair, (tuple, list)) else f"of type {name}"
        raise ConfigError(f"scorer is {got}, but must be a model, Codes, a pair (user vectors, item vectors) or offer score_block")
    users, items = _checked(*pair)
    return Scores(name, len(users), len(items), partial(_DotTiles, users, items), (users, items))


def _size(scorer: Any, side: str) -> int | None:
    size, ids = getattr(scorer, f"n_{side}s", None), getattr(scorer, f"{side}_ids", None)
    return len(ids) if size is None and ids is not None else size


# ---- vectors ------------------------------------------------------------------------------------------------------------------


def _checked(users: Vectors, items: Vectors) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float32 on one device, after checks of shape and size."""
    users, items = _tensor("user", users), _tensor("item", items)
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        shapes = f"{tuple(users.shape)} and {tuple(items.shape)}"
        raise ConfigError(f"user and item vectors have shapes {shapes}, but must be [users, d] and [items, d] of one width d")
    users, items = _finite("user", users), _finite("item", items)
    # sums of products are at most the product of two norms (Cauchy-Schwarz), and that is at most d times the largest product
    if _largest(users) * _largest(items) * users.shape[1] > _LARGEST and _largest_norm(users) * _largest_norm(items) > _LARGEST:
        cause = "divide them by a constant, or, if a model made them, training has diverged: lower the learning rate"
        raise ConfigError(f"inner products of these vectors can exceed float32 ({_LARGEST:.2g}); {cause}")
    if users.device != items.device:
        users, items = users.cpu(), items.cpu()
    return users, items


def _tensor(side: str, vectors: Vectors) -> torch.Tensor:
    try:
        tensor = torch.as_tensor(vectors if isinstance(vectors, torch.Tensor) else np.asarray(vectors)).detach()
    except (TypeError, ValueError):  # text, objects, rows of several lengths
        raise ConfigError(f"{side} vectors are of type {type(vectors).__name__}, but must be a table of numbers [{side}s, d]") from None
    if tensor.is_complex():
        raise ConfigError(f"{side} vectors are {tensor.dtype}, but must be real numbers")
    return tensor


def _finite(side: str, vectors: torch.Tensor) -> torch.Tensor:
    """`vectors` as float32. Raises `ConfigError` where a value is not finite, or is not in float32."""
    narrow = vectors.float()
    if not np.isfinite(_largest(narrow)):
        row = int((~torch.isfinite(narrow)).any(dim=1).nonzero()[0])
        if torch.isfinite(vectors[row]).all():
            raise ConfigError(f"{side} vectors hold values in row {row} that float32 cannot hold; divide the vectors by a constant")
        cause = "if a model made them, training has diverged: lower the learning rate"
        raise ConfigError(f"{side} vectors hold NaN or infinity in row {row}; {cause}")
    return narrow


def _largest(vectors: torch.Tensor) -> float:
    """Largest absolute value, in one pass without a copy; NaN where one is."""
    return max(abs(float(end)) for end in torch.aminmax(vectors)) if vectors.numel() else 0.0


def _largest_norm(vectors: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).max())


# ---- tiles --------------------------------------------------------------------------------------------------------------------


class _DotTiles:
    """Scores of inner products, a tile of users × items at a time."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor, order: np.ndarray) -> None:
        self.users = users.cpu()
        self.tiles = [part.t().contiguous() for part in items.cpu()[torch.from_numpy(order).long()].split(_TILE_ITEMS)]
        self.buffers = [torch.empty(TILE_USERS, tile.shape[1]) for tile in (self.tiles[0], self.tiles[-1])]

    def __call__(self, users: np.ndarray) -> Iterator[np.ndarray]:
        rows = self.users[torch.from_numpy(users).long()]
        for tile in self.tiles:
            out = self.buffers[tile.shape[1] != _TILE_ITEMS][: rows.shape[0]]
            yield torch.mm(rows, tile, out=out).numpy()


class _BlockTiles:
    """Scores of a `BlockScorer`: one tile as wide as the catalogue."""

    def __init__(self, scorer: BlockScorer, order: np.ndarray) -> None:
        self.scorer, self.order = scorer, order

    def __call__(self, users: np.ndarray) -> Iterator[np.ndarray]:
        scores = np.asarray(self.scorer.score_block(users))
        if scores.shape != (users.size, self.order.size):
            wanted = f"[users, items] = {(users.size, self.order.size)}"
            raise ConfigError(f"{type(self.scorer).__name__}.score_block gives scores of shape {scores.shape}, but must give {wanted}")
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(scores[:, self.order], dtype=np.float32)
        # minus infinity is a scorer's way to rule an item out; what became infinite here was a score
        if np.isnan(block).any() or np.isinf(block).sum() > np.isinf(scores).sum():
            raise ConfigError(f"scores of users {users[0]}…{users[-1]} hold NaN or exceed float32; check the scorer's input")
        yield block

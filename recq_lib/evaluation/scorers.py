"""What can be ranked and searched, and `scores_of`, which turns any of it into sizes and `best`, which ranks."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from recq_lib.errors import ConfigError
from recq_lib.kernels import topk
from recq_lib.kernels.dots import AT_ONCE, dots

if TYPE_CHECKING:
    import scipy.sparse as sp

_TILE_SCORES, _LEAST_ITEMS = 1 << 21, 4096  # scores in memory at once (8 MB), so long as a user's tile has 4,096 items at least
_LARGEST = float(np.finfo(np.float32).max)


class BlockScorer(Protocol):
    """What the simple baselines offer: scores [b, n_items] (float32) for a block of users.

    It may also tell `n_users` and `n_items`, or `user_ids` and `item_ids`; then numbers of users are held against them.
    """

    def score_block(self, users: np.ndarray) -> np.ndarray: ...


class Embedder(Protocol):
    """What models offer: (users [U, D], items [I, D]) as they are searched."""

    def embeddings(self) -> tuple[torch.Tensor, torch.Tensor]: ...


class Ranker(Protocol):
    """What codes and indexes offer: the best items by themselves, as `kernels.topk.best`; sizes as a `BlockScorer`."""

    def best(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]: ...


Vectors = torch.Tensor | np.ndarray
Scorer = Embedder | Ranker | BlockScorer | tuple[Vectors, Vectors]


@dataclass(frozen=True)
class Scores:
    """A scorer in the one form that ranking and search know.

    Attributes
    ----------
    name : for messages
    n_users, n_items : None where the scorer does not tell
    best : (users [n], k, CSR masks, tie_seed) → items [n, k] and scores on the CPU, as `kernels.topk.best`; requests are checked before
    vectors : pair (users [U, D], items [I, D]), float32 on one device, where scores are their inner products, else None
    """

    name: str
    n_users: int | None
    n_items: int | None
    best: Callable[[np.ndarray, int, Sequence[sp.csr_matrix], int], tuple[np.ndarray, np.ndarray]]
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


def scores_of(scorer: Scorer, n_items: int | None = None) -> Scores:
    """`scorer` as `Scores`; `n_items` is asked only where it does not tell. Raises `ConfigError` for what is none.

    Vectors are looked at when they are multiplied: a score that is no finite number ends the ranking with its cause. `check_vectors` looks
    at all of them.
    """
    name = type(scorer).__name__
    if callable(getattr(scorer, "best", None)):  # codes and indexes
        return Scores(name, _size(scorer, "user"), _size(scorer, "item"), scorer.best)
    if hasattr(scorer, "score_block"):
        size = _size(scorer, "item")
        return Scores(name, _size(scorer, "user"), size, _BlockRanker(scorer, n_items if size is None else size))
    pair = scorer.embeddings() if hasattr(scorer, "embeddings") else scorer
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        got = f"a {name} of {len(pair)}" if isinstance(pair, (tuple, list)) else f"of type {name}"
        raise ConfigError(f"scorer is {got}, but must be a model, Codes, a pair (user vectors, item vectors) or offer score_block")
    users, items = _pair(*pair)
    return Scores(name, len(users), len(items), _DotRanker(users, items), (users, items))


def _size(scorer: Any, side: str) -> int | None:
    size, ids = getattr(scorer, f"n_{side}s", None), getattr(scorer, f"{side}_ids", None)
    return len(ids) if size is None and ids is not None else size


# ---- vectors ------------------------------------------------------------------------------------------------------------------


def check_vectors(users: torch.Tensor, items: torch.Tensor) -> None:
    """Raises `ConfigError` where a value is not finite, and where inner products can exceed float32."""
    for side, vectors in (("user", users), ("item", items)):
        if not np.isfinite(_largest(vectors)):
            row = int((~torch.isfinite(vectors)).any(dim=1).nonzero()[0])
            cause = "if a model made them, training has diverged: lower the learning rate"
            raise ConfigError(f"{side} vectors hold NaN or infinity in row {row}; {cause}")
    # sums of products are at most the product of two norms (Cauchy-Schwarz), and that is at most d times the largest product
    if _largest(users) * _largest(items) * users.shape[1] > _LARGEST and _largest_norm(users) * _largest_norm(items) > _LARGEST:
        cause = "divide them by a constant, or, if a model made them, training has diverged: lower the learning rate"
        raise ConfigError(f"inner products of these vectors can exceed float32 ({_LARGEST:.2g}); {cause}")


def _pair(users: Vectors, items: Vectors) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float32 on one device, after checks of shape."""
    users, items = _tensor("user", users), _tensor("item", items)
    if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1]:
        shapes = f"{tuple(users.shape)} and {tuple(items.shape)}"
        raise ConfigError(f"user and item vectors have shapes {shapes}, but must be [users, d] and [items, d] of one width d")
    users, items = _narrow("user", users), _narrow("item", items)
    return (users, items) if users.device == items.device else (users.cpu(), items.cpu())


def _tensor(side: str, vectors: Vectors) -> torch.Tensor:
    try:
        with warnings.catch_warnings():  # of arrays that cannot be written to, such as a table's columns: nobody writes here
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            tensor = torch.as_tensor(vectors if isinstance(vectors, torch.Tensor) else np.asarray(vectors)).detach()
    except (TypeError, ValueError):  # text, objects, rows of several lengths
        raise ConfigError(f"{side} vectors are of type {type(vectors).__name__}, but must be a table of numbers [{side}s, d]") from None
    if tensor.is_complex():
        raise ConfigError(f"{side} vectors are {tensor.dtype}, but must be real numbers")
    return tensor


def _narrow(side: str, vectors: torch.Tensor) -> torch.Tensor:
    """`vectors` as float32. Raises `ConfigError` for numbers that float32 cannot hold."""
    narrow = vectors.float()
    if narrow.dtype != vectors.dtype and not np.isfinite(_largest(narrow)):
        lost = (torch.isfinite(vectors) & ~torch.isfinite(narrow)).any(dim=1).nonzero()
        if len(lost):
            rule = "that float32 cannot hold; divide the vectors by a constant"
            raise ConfigError(f"{side} vectors hold values in row {int(lost[0])} {rule}")
    return narrow


def _largest(vectors: torch.Tensor) -> float:
    """Largest absolute value, in one pass without a copy; NaN where one is."""
    return max(abs(float(end)) for end in torch.aminmax(vectors)) if vectors.numel() else 0.0


def _largest_norm(vectors: torch.Tensor) -> float:
    return float(torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64).max())


# ---- rankings -----------------------------------------------------------------------------------------------------------------


class _DotRanker:
    """Inner products, a tile of users × items at a time."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        self.users, self.items = users, items

    def __call__(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            return topk.best(self.tiles, users, k, masks, len(self.items), tie_seed, finite=True)
        except topk.NotFinite:
            check_vectors(self.users, self.items)
            raise

    def tiles(self, users: np.ndarray) -> Iterator[np.ndarray]:
        rows, items = self.users.cpu()[torch.from_numpy(users).long()].contiguous(), self.items.cpu().contiguous()
        if len(rows) == 1:
            padded = items if len(items) >= AT_ONCE else torch.cat([items, items.new_zeros(AT_ONCE, items.shape[1])])
            out = np.empty((1, len(padded)), np.float32)
            dots(rows[0].numpy(), padded.numpy(), out[0])
            yield out[:, : len(items)]
            return
        width = max(_LEAST_ITEMS, _TILE_SCORES // max(1, len(rows)) // 64 * 64)
        buffer = torch.empty(len(rows) * min(width, len(items)))
        for part in items.split(width):
            out = buffer[: len(rows) * len(part)].view(len(rows), len(part))
            yield torch.mm(rows, part.t(), out=out).numpy()


class _BlockRanker:
    """Scores of a `BlockScorer`: one tile as wide as the catalogue."""

    def __init__(self, scorer: BlockScorer, n_items: int | None) -> None:
        self.scorer, self.n_items = scorer, n_items

    def __call__(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        return topk.best(self.tiles, users, k, masks, self.n_items, tie_seed)

    def tiles(self, users: np.ndarray) -> Iterator[np.ndarray]:
        scores = np.asarray(self.scorer.score_block(users))
        if scores.shape != (users.size, self.n_items):
            wanted = f"[users, items] = {(users.size, self.n_items)}"
            raise ConfigError(f"{type(self.scorer).__name__}.score_block gives scores of shape {scores.shape}, but must give {wanted}")
        with np.errstate(over="ignore"):
            block = np.ascontiguousarray(scores, dtype=np.float32)
        # minus infinity is a scorer's way to rule an item out; what became infinite here was a score
        if np.isnan(block).any() or np.isinf(block).sum() > np.isinf(scores).sum():
            raise ConfigError(f"scores of users {users[0]}…{users[-1]} hold NaN or exceed float32; check the scorer's input")
        yield block

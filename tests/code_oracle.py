"""Random codes and, slowly and plainly, their bit planes, scores and rankings: what the search kernels are compared with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recq_lib.kernels import code_scores
from recq_lib.kernels.item_groups import ItemGroups, Users, group_items, lay_users


class Side(NamedTuple):
    """Codes of users or items: odd integers levels [S, n, d], the same as planes uint64 [S, n, b, W], factors float32 [S, n]."""

    levels: np.ndarray
    planes: np.ndarray
    factors: np.ndarray

    @property
    def dim(self) -> int:
        return self.levels.shape[2]


def planes_of(levels: np.ndarray, bits: int) -> np.ndarray:
    """Bit m of q = (c + L)/2 of column k is bit k mod 64 of word k // 64 of plane m."""
    n_segments, n, dim = levels.shape
    planes = np.zeros((n_segments, n, bits, -(-dim // 64)), np.uint64)
    for m in range(bits):
        for k in range(dim):
            bit = (levels[:, :, k] + 2**bits - 1) // 2 >> m & 1
            planes[:, :, m, k // 64] |= bit.astype(np.uint64) << np.uint64(k % 64)
    return planes


def side_of(levels: np.ndarray, bits: int, factors: np.ndarray | None = None) -> Side:
    """Without `factors` all are 1."""
    return Side(levels, planes_of(levels, bits), np.ones(levels.shape[:2], np.float32) if factors is None else factors)


def random_side(rng: np.random.Generator, n_segments: int, n: int, dim: int, bits: int = 1, *, ones: bool = False) -> Side:
    """Factors of either sign, or `ones`: then scores are integers, full of ties."""
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n, dim)) - (2**bits - 1)
    return side_of(levels, bits, None if ones else rng.normal(size=(n_segments, n)).astype(np.float32))


def laid(user: Side, item: Side, rows: np.ndarray | None = None) -> tuple[Users, ItemGroups]:
    """Both in the kernel's form, the items those of `rows`."""
    factors = item.factors if rows is None else item.factors[:, rows]
    return lay_users(user.planes, user.factors, user.dim), group_items(item.planes, factors, item.dim, rows)


def kernel_scores(user: Side, item: Side) -> np.ndarray:
    users, items = laid(user, item)
    out = np.full((user.planes.shape[1], item.planes.shape[1]), np.nan, np.float32)
    code_scores.scores(users, items, out)
    return out


def naive_scores(user: Side, item: Side) -> tuple[np.ndarray, np.ndarray]:
    """Sums over segments of scaled products of codes in float64, and of their absolute values (the scale of rounding errors)."""
    total, size = 0.0, 0.0
    for u, su, i, si in zip(user.levels, user.factors, item.levels, item.factors, strict=True):
        part = su[:, None].astype(np.float64) * si[None, :].astype(np.float64) * (u.astype(np.float64) @ i.T.astype(np.float64))
        total, size = total + part, size + np.abs(part)
    return total, size


def float32_scores(user: Side, item: Side) -> np.ndarray:
    """As the kernel promises them, to the bit: exact integers rounded once, factors and sums in float32, segments in their order."""
    total = np.zeros((user.levels.shape[1], item.levels.shape[1]), np.float32)
    for u, su, i, si in zip(user.levels, user.factors, item.levels, item.factors, strict=True):
        total += (su[:, None] * si[None, :]) * (u @ i.T).astype(np.float32)
    return total


def naive_best(scores: np.ndarray, k: int, order: np.ndarray, banned: list[set[int]] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(items [B, K], scores): all allowed items sorted by score, equal ones as they stand in `order`; -1 and minus infinity behind."""
    items, best = np.full((len(scores), k), -1), np.full((len(scores), k), -np.inf, np.float32)
    place = {item: position for position, item in enumerate(order.tolist())}
    for u, row in enumerate(scores):
        allowed = [item for item in place if row[item] > -np.inf and not (banned and item in banned[u])]
        found = sorted(allowed, key=lambda item: (-row[item], place[item]))[:k]  # noqa: B023
        items[u, : len(found)], best[u, : len(found)] = found, row[found]
    return items, best

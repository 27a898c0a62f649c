"""Scores of b-bit codes from bits and popcounts alone, equal to the inner products of the odd codes.

A code c in {-L, -L+2, …, L} is stored as q = (c + L)/2 in {0, …, L}, split into b bit planes of 64-bit words:

    <q_u, q_i> = Σ_{m,n} 2^(m+n) popcount(plane_m(u) AND plane_n(i))
    <c_u, c_i> = 4<q_u, q_i> - 2L·(Σ_k q_uk + Σ_k q_ik) + D·L²          one bit: D - 2·popcount(u XOR i)

so search stores one small integer per item beside the planes. Ranking by <q_u, q_i> alone is another ranking, because Σ_k q_ik differs
between items. Since Q = (s/L)·c with one s for all users and one for all items, integer scores rank exactly as Q does. (Derived from
Q's definition; the paper's own arithmetic is not known.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from recq_lib.errors import ConfigError
from recq_lib.papers.hq_gnn.quantizer import top_level

if TYPE_CHECKING:
    from recq_lib.parts.model import Recommender

_EXACT_FLOAT32 = 2**24  # integers up to here, and sums that stay below, are exact in float32
_TILE_WORDS = 1 << 18  # words of one intermediate AND: stays in a core's cache


@dataclass(frozen=True)
class IntegerCodes:
    """Bit planes of users and items, and what scores need beside them; a `BlockScorer` for `evaluation.evaluate`.

    users, items : [b, n, W] uint64 planes, lowest bit first, column k of a row at bit k % 64 of word k // 64
    user_sums, item_sums : [n] int32, Σ_k q of a row
    dim : columns D, at most 64·W; bits beyond are 0
    """

    bits: int
    dim: int
    users: np.ndarray
    items: np.ndarray
    user_sums: np.ndarray
    item_sums: np.ndarray

    @classmethod
    def pack(cls, users: np.ndarray, items: np.ndarray, bits: int) -> IntegerCodes:
        """From odd codes [U, D] and [I, D] (integers). Raises `ConfigError` for other values or widths."""
        top = top_level(bits)
        if users.ndim != 2 or items.ndim != 2 or users.shape[1] != items.shape[1] or users.shape[1] == 0:
            raise ConfigError(f"codes have shapes {users.shape} and {items.shape}, but must be [users, D] and [items, D] with D at least 1")
        dim = users.shape[1]
        if 4 * dim * top**2 >= 2**31:
            raise ConfigError(f"{dim} columns of {bits} bits give scores beyond 32-bit integers; use fewer bits or columns")
        for name, codes in (("user", users), ("item", items)):
            _check_codes(name, codes, top)
        q_users, q_items = ((codes.astype(np.int32) + top) // 2 for codes in (users, items))
        sums = (q.sum(axis=1, dtype=np.int32) for q in (q_users, q_items))
        return cls(bits, dim, _planes(q_users, bits), _planes(q_items, bits), *sums)

    @property
    def n_items(self) -> int:
        return self.items.shape[1]

    @property
    def n_bytes(self) -> int:
        """Bytes that search needs: planes, and from 2 bits on the items' sums (users' sums shift all scores of a user alike)."""
        return self.users.nbytes + self.items.nbytes + (self.item_sums.nbytes if self.bits > 1 else 0)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """<c_u, c_i> [len(users), I], int32, exact."""
        users = np.asarray(users)
        out = np.empty((users.size, self.n_items), np.int32)
        rows = max(1, _TILE_WORDS // self.n_items)
        for begin in range(0, users.size, rows):
            self._score_into(users[begin : begin + rows], out[begin : begin + rows])
        return out

    def score_block(self, users: np.ndarray) -> np.ndarray:
        """`scores` as float32. Raises `ConfigError` where D·L² > 2^24, from where on float32 would round them."""
        largest = self.dim * top_level(self.bits) ** 2
        if largest > _EXACT_FLOAT32:
            raise ConfigError(f"scores reach {largest}, but float32 holds integers up to {_EXACT_FLOAT32} only; rank by `scores`")
        return self.scores(users).astype(np.float32)

    def _score_into(self, users: np.ndarray, out: np.ndarray) -> None:
        top = top_level(self.bits)
        mine = self.users[:, users]
        if self.bits == 1:
            np.subtract(self.dim, 2 * _popcounts(np.bitwise_xor, mine[0], self.items[0]), out=out)
            return
        out[:] = self.dim * top**2 - 2 * top * (self.user_sums[users, None] + self.item_sums)
        for m in range(self.bits):
            for n in range(self.bits):
                out += _popcounts(np.bitwise_and, mine[m], self.items[n]) << (m + n + 2)


@dataclass(frozen=True)
class WeightedCodes:
    """Codes of column blocks that have scales of their own: score = Σ_k weights[k]·<c_u, c_i> over blocks k; a `BlockScorer`."""

    parts: tuple[IntegerCodes, ...]
    weights: tuple[float, ...]

    @property
    def n_bytes(self) -> int:
        return sum(part.n_bytes for part in self.parts) + 8 * len(self.weights)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """[len(users), I] float64: weighted sums of exact integers, so equal blocks give equal scores."""
        return sum(weight * part.scores(users) for weight, part in zip(self.weights, self.parts))

    def score_block(self, users: np.ndarray) -> np.ndarray:
        return self.scores(users).astype(np.float32)


@torch.no_grad()
def export_codes(model: Recommender) -> IntegerCodes | WeightedCodes:
    """Packed codes of a model whose readout is a `SidedQuantizer`, in evaluation mode. Raises `ConfigError` for another readout."""
    from recq_lib.papers.hq_gnn.readout import SidedQuantizer

    if not isinstance(model.readout, SidedQuantizer):
        raise ConfigError(f"readout is {type(model.readout).__name__}, but only b-bit codes can be packed into bit planes")
    was_training = model.training
    model.eval()
    try:
        sides = model.readout.tables(model.layers())
        blocks = list(zip(sides["users"], sides["items"]))
        parts = tuple(
            IntegerCodes.pack(quantize_u.codes(u).cpu().numpy(), quantize_i.codes(i).cpu().numpy(), model.readout.bits)
            for (quantize_u, u), (quantize_i, i) in blocks
        )
        weights = tuple(quantize_u.step(u) * quantize_i.step(i) for (quantize_u, u), (quantize_i, i) in blocks)
    finally:
        model.train(was_training)
    return parts[0] if len(parts) == 1 else WeightedCodes(parts, weights)


def _check_codes(name: str, codes: np.ndarray, top: int) -> None:
    if not np.issubdtype(codes.dtype, np.signedinteger):
        raise ConfigError(f"{name} codes have type {codes.dtype}, but must be signed integers")
    if codes.size and (np.abs(codes.astype(np.int64)).max() > top or (codes % 2 == 0).any()):
        raise ConfigError(f"{name} codes must be odd integers from {-top} to {top}; make them with UniformQuantizer.codes")


def _planes(q: np.ndarray, bits: int) -> np.ndarray:
    """[b, n, W] uint64 from unsigned codes [n, D]."""
    n, dim = q.shape
    words = -(-dim // 64)
    planes = np.zeros((bits, n, 64 * words), np.uint8)
    for m in range(bits):
        planes[m, :, :dim] = (q >> m) & 1
    packed = np.packbits(planes, axis=2, bitorder="little")
    return packed.view("<u8").astype(np.uint64)


def _popcounts(operation: np.ufunc, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Bits set in `operation(user, item)` for words [u, W] and [I, W], as int32 [u, I]."""
    total = np.zeros((users.shape[0], items.shape[0]), np.int32)
    for word in range(users.shape[1]):
        total += np.bitwise_count(operation(users[:, word, None], items[:, word]))
    return total

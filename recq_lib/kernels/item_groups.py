"""Codes as the scoring kernel reads them: equal words of 64 items side by side, and users' codes in the form that fits (ours).

One vector instruction then serves 8 or 16 items, and their sums come out ready for their factors. Three forms, by the bits b of a code
c = 2q - L, q in {0, …, L = 2^b - 1}:

    planes   b <= 3   a 32-bit word holds one bit of 32 columns; products by XOR and a count of bits, for every pair of planes
    nibbles  b  = 4   a word holds q of 8 columns: byte k has column k in its low half and column k + 4 in its high half
    bytes    b >= 5   a word holds q of 4 columns

In the last two the user's codes are signed, t = (c - 1)/2, and items' unsigned, because that is what processors multiply fast:

    <c_u, c_i> = Σ (2t_u + 1)(2q_i - L) = 4·Σ t_u q_i + 2·Σ q_i - L·Σ (2t_u + 1)

The word behind the last holds what depends on one side alone (the second and the third term).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from recq_lib.errors import ConfigError
from recq_lib.kernels.compiled import compiled, read_only
from recq_lib.kernels.instructions import GROUP

PLANES, NIBBLES, BYTES = 0, 1, 2
_MAX_BITS = 8


class Form(NamedTuple):
    """How codes of `bits` and `dim` columns a segment lie in words; `n_words` 64-bit words a plane before that."""

    bits: int
    dim: int
    n_words: int

    @property
    def kind(self) -> int:
        return PLANES if self.bits <= 3 else NIBBLES if self.bits == 4 else BYTES

    @property
    def item_words(self) -> int:
        """32-bit words that an item takes, a segment."""
        return (2 * self.bits * self.n_words, -(-self.dim // 8) + 1, -(-self.dim // 4) + 1)[self.kind]

    @property
    def user_words(self) -> int:
        return (2 * self.bits * self.n_words, 2 * -(-self.dim // 8) + 1, -(-self.dim // 4) + 1)[self.kind]

    @property
    def largest(self) -> int:
        """d·L², the largest product of two codes."""
        return self.dim * (2**self.bits - 1) ** 2


class ItemGroups(NamedTuple):
    """Codes of items as the kernel reads them; zeros behind the last item.

    words : uint32 [⌈I/64⌉, S, item_words, 64]; factors : float32 [⌈I/64⌉, S, 64]; n_items : I; form
    """

    words: np.ndarray
    factors: np.ndarray
    n_items: int
    form: Form


class Users(NamedTuple):
    """Codes of users as the kernel reads them: words uint32 [B, S, user_words], factors float32 [B, S], form."""

    words: np.ndarray
    factors: np.ndarray
    form: Form


def group_items(planes: np.ndarray, factors: np.ndarray, dim: int, rows: np.ndarray | None = None) -> ItemGroups:
    """Lay items side by side.

    Parameters
    ----------
    planes : uint64 [S, N, b, W], the lowest plane first, b at most 8; bits behind the `dim`-th are 0
    factors : float32 [S, I], of each of `rows`
    dim : d, columns a segment; d·L² must stay below 2^31
    rows : int [I], which of the N to take, in this order; default: all

    Raises `ConfigError` on other shapes, types or sizes.
    """
    form, rows = _checked("item", planes, factors, dim, rows)
    shape = -(-rows.size // GROUP), planes.shape[0]
    words, grouped = np.zeros((*shape, form.item_words, GROUP), np.uint32), np.zeros((*shape, GROUP), np.float32)
    _lay_items(read_only(planes), read_only(factors), read_only(rows), form.kind, form.dim, words, grouped)
    return ItemGroups(words, grouped, rows.size, form)


def lay_users(planes: np.ndarray, factors: np.ndarray, dim: int, rows: np.ndarray | None = None) -> Users:
    """Users' codes for the kernel; parameters and errors as in `group_items`."""
    form, rows = _checked("user", planes, factors, dim, rows)
    words = np.zeros((rows.size, planes.shape[0], form.user_words), np.uint32)
    _lay_users(read_only(planes.take(rows, axis=1)), form.kind, form.dim, words)
    return Users(words, np.ascontiguousarray(factors.T), form)


def _checked(side: str, planes: np.ndarray, factors: np.ndarray, dim: int, rows: np.ndarray | None) -> tuple[Form, np.ndarray]:
    """(form, rows as int64). Raises `ConfigError` where the kernel could not read them."""
    fits = planes.ndim == 4 and planes.dtype == np.uint64 and 0 not in (planes.shape[0], *planes.shape[2:])
    if not fits or planes.shape[2] > _MAX_BITS:
        rule = f"uint64 [S, n, b, W] with S, b and W at least 1 and b at most {_MAX_BITS}"
        raise ConfigError(f"{side} planes are {planes.dtype} of shape {planes.shape}, but must be {rule}")
    rows = np.arange(planes.shape[1]) if rows is None else np.asarray(rows)
    fits = rows.ndim == 1 and (not rows.size or rows.dtype.kind in "iu")
    if not fits or (rows.size and not 0 <= rows.min() <= rows.max() < planes.shape[1]):
        rule = f"integers [n] from 0 to {planes.shape[1] - 1}"
        raise ConfigError(f"{side} rows are {rows.dtype} of shape {rows.shape}, but must be {rule}")
    shape = planes.shape[0], rows.size
    if factors.dtype != np.float32 or factors.shape != shape:
        raise ConfigError(f"{side} factors are {factors.dtype} of shape {factors.shape}, but must be float32 of shape {shape}")
    form = Form(planes.shape[2], dim, planes.shape[3])
    if not 64 * (form.n_words - 1) < dim <= 64 * form.n_words:
        rule = f"hold {64 * form.n_words - 63} to {64 * form.n_words} columns per segment"
        raise ConfigError(f"dim is {dim}, but codes of {form.n_words} words {rule}")
    if form.largest >= 2**31:
        raise ConfigError(f"{dim} columns of {form.bits} bits give scores beyond 32-bit integers; use fewer bits or columns")
    return form, rows.astype(np.int64, copy=False)


@compiled(parallel=True)
def _lay_items(planes, factors, rows, kind, dim, words, grouped):
    """Fill `words` [G, S, item_words, 64] and `grouped` [G, S, 64]."""
    n_segments, bits, n_words = planes.shape[0], planes.shape[2], planes.shape[3]
    last = words.shape[2] - 1
    for g in prange(words.shape[0]):
        for k in range(min(64, rows.size - 64 * g)):
            row = rows[64 * g + k]
            for s in range(n_segments):
                grouped[g, s, k] = factors[s, 64 * g + k]
                if kind == 0:
                    for m in range(bits):
                        for w in range(n_words):
                            low, high = _halves(planes[s, row, m, w])
                            words[g, s, 2 * (m * n_words + w), k] = low
                            words[g, s, 2 * (m * n_words + w) + 1, k] = high
                    continue
                total = np.int64(0)
                for column in range(dim):
                    q = np.int64(_unsigned(planes, s, row, column))
                    total += q
                    if kind == 1:
                        words[g, s, column // 8, k] |= np.uint32(q << (8 * (column % 4) + 4 * (column % 8 // 4)))
                    else:
                        words[g, s, column // 4, k] |= np.uint32(q << (8 * (column % 4)))
                words[g, s, last, k] = np.uint32((2 * total) & 0xFFFFFFFF)


@compiled(parallel=True)
def _lay_users(planes, kind, dim, words):
    """Fill `words` [B, S, user_words] from `planes` [S, B, b, W]."""
    bits, n_words = planes.shape[2], planes.shape[3]
    top, middle = np.int64(2**bits - 1), np.int64(2 ** (bits - 1))
    last = words.shape[2] - 1
    for u in prange(words.shape[0]):
        for s in range(planes.shape[0]):
            if kind == 0:
                for m in range(bits):
                    for w in range(n_words):
                        low, high = _halves(planes[s, u, m, w])
                        words[u, s, 2 * (m * n_words + w)] = low
                        words[u, s, 2 * (m * n_words + w) + 1] = high
                continue
            total = np.int64(0)
            for column in range(dim):
                t = np.int64(_unsigned(planes, s, u, column)) - middle  # c = 2q - L = 2t + 1
                total += 2 * t + 1
                words[u, s, column // 4] |= np.uint32((t & 0xFF) << (8 * (column % 4)))
            words[u, s, last] = np.uint32((-top * total) & 0xFFFFFFFF)


@njit(inline="always")
def _halves(word):
    return np.uint32(word & np.uint64(0xFFFFFFFF)), np.uint32(word >> np.uint64(32))


@njit(inline="always")
def _unsigned(planes, s, row, column):
    """q of one column."""
    q = np.uint64(0)
    for m in range(planes.shape[2]):
        q |= ((planes[s, row, m, column >> 6] >> np.uint64(column & 63)) & np.uint64(1)) << np.uint64(m)
    return q

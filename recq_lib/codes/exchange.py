"""Codes in the hands of other programs: as plain arrays and back, and in FAISS, re-ranked exactly (ours).

FAISS knows codes of 1 bit by their Hamming distance alone. That is not the model's order: an item's own scale counts (`Codes`). So
`HammingFirst` takes some candidates by Hamming distance and ranks them by their scores; with all items as candidates nothing is lost.

Vectors of any origin come in by `pack(users, items, bits)`, signs in segments by `Codes.from_signs`, and `Index.of` takes what comes out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes.codes import Codes, as_array
from recq_lib.codes.index import Index
from recq_lib.codes.planes import MAX_BITS, planes_of
from recq_lib.codes.search import checked_request
from recq_lib.errors import ConfigError, whole
from recq_lib.io.optional import optional
from recq_lib.kernels import code_topk, topk
from recq_lib.kernels.item_groups import NIBBLES, PLANES, ItemGroups, group_items, lay_users

_USERS = 256  # whose candidates are in memory at once

# ---- plain arrays ---------------------------------------------------------------------------------------------------------------


def to_arrays(source: Codes | Index) -> dict[str, np.ndarray]:
    """All that scoring needs, without bits to unpack, rows in the order of the numbers 0, 1, …

    user_levels, item_levels : odd integers [S, n, d], int8 (int16 from 8 bits on); -1 and +1 where there is 1 bit
    user_factors, item_factors : float32 [S, n]
    bits : int64 [], of a code
    user_ids, item_ids : own ids, int64 or text; only of an `Index` that has some

    The score of user u and item i is Σ_s user_factors[s, u]·item_factors[s, i]·<user_levels[s, u], item_levels[s, i]>. numpy's `savez`
    keeps them without pickle.

    >>> import numpy as np
    >>> from recq_lib.codes.exchange import to_arrays
    >>> from recq_lib.codes.packing import pack
    >>> arrays = to_arrays(pack(users=np.array([[1.0, -3.0]]), items=np.array([[2.0, 2.0], [0.5, -4.0]])))
    >>> arrays["item_levels"].tolist(), arrays["item_factors"].tolist()
    ([[[1, 1], [1, -1]]], [[2.0, 2.25]])
    """
    codes = to_codes(source) if isinstance(source, Index) else source
    levels, factors, n = codes.values(), codes.factors(), codes.n_users
    levels = levels.astype(np.int8) if codes.bits < 8 else levels
    arrays = {"user_levels": levels[:, :n], "item_levels": levels[:, n:], "user_factors": factors[:, :n], "item_factors": factors[:, n:]}
    arrays["bits"] = np.array(codes.bits)
    if isinstance(source, Index):
        ids = {"user_ids": source.user_ids, "item_ids": source.item_ids}
        arrays |= {side: _plain(values) for side, values in ids.items() if values is not None}
    return arrays


def from_arrays(arrays: Mapping[str, ArrayLike]) -> Codes:
    """Inverse of `to_arrays`, for arrays from anywhere; ids are for `Index.of`. Raises `ConfigError` for what is missing or unfit."""
    names = "user_levels", "item_levels", "user_factors", "item_factors", "bits"
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ConfigError(f"the arrays lack {', '.join(missing)}; see codes.exchange.to_arrays for what they hold")
    sides = [as_array(arrays[name]) for name in names[:4]]
    for name, side in zip(names, sides):
        wanted = sides[0].ndim if name.endswith("levels") else 2
        if side.ndim != wanted or side.shape[0] != sides[0].shape[0]:
            raise ConfigError(f"{name} have shape {side.shape}, but must be [S, n, d] (levels) or [S, n] (factors) with one number S")
    if sides[0].shape[2:] != sides[1].shape[2:]:
        raise ConfigError(f"levels of users and items have shapes {sides[0].shape} and {sides[1].shape}; they must have one width")
    levels, factors = (np.concatenate(pair, axis=1) for pair in (sides[:2], sides[2:]))
    return Codes.from_levels(levels, whole("bits", np.asarray(arrays["bits"])[()], 1, MAX_BITS), factors, n_users=sides[0].shape[1])


def to_codes(index: Index) -> Codes:
    """The codes an index was made from, items in the order of their numbers, weights multiplied into the scales: scores are equal."""
    n_items, form = index.n_items, index.items.form
    planes = np.empty((index.planes.shape[0], index.n_users + n_items, form.bits, form.n_words), np.uint64)
    planes[:, : index.n_users], rows = index.planes, index.n_users + index.order.astype(np.int64)
    planes[:, rows] = _planes(index.items)
    scales = np.empty(planes.shape[:2], np.float32)
    scales[:, : index.n_users] = index.factors
    scales[:, rows] = index.items.factors.transpose(1, 0, 2).reshape(len(scales), -1)[:, :n_items]
    return Codes(planes, scales, np.ones(len(scales), np.float32), form.dim, index.n_users)


def _planes(items: ItemGroups) -> np.ndarray:
    """uint64 [S, I, b, W] from codes laid out by `group_items`."""
    form, n_segments = items.form, items.words.shape[1]
    words = items.words.transpose(1, 0, 3, 2).reshape(n_segments, -1, form.item_words)[:, : items.n_items]  # [S, I, words]
    if form.kind == PLANES:
        return np.ascontiguousarray(words.astype("<u4")).view("<u8").reshape(n_segments, items.n_items, form.bits, form.n_words)
    codes = np.ascontiguousarray(words[..., :-1].astype("<u4")).view(np.uint8)
    if form.kind == NIBBLES:  # low halves of a word's four bytes, then the high ones
        quads = codes.reshape(*codes.shape[:2], -1, 1, 4)
        codes = np.concatenate([quads & 15, quads >> 4], axis=3).reshape(*codes.shape[:2], -1)
    return planes_of(2 * codes[..., : form.dim].astype(np.int16) - (2**form.bits - 1), form.bits)


def _plain(ids: np.ndarray) -> np.ndarray:
    return ids if ids.dtype != object else ids.astype(str)


# ---- FAISS ----------------------------------------------------------------------------------------------------------------------


def binary_rows(codes: Codes, rows: slice | np.ndarray) -> np.ndarray:
    """uint8 [n, S·⌈d/8⌉]: bits of some nodes, segments side by side, as FAISS, usearch and others take them. Raises unless b = 1."""
    if codes.bits != 1:
        raise ConfigError(f"codes have {codes.bits} bits, but a Hamming distance compares codes of 1 bit; make them with pack(…, bits=1)")
    stored = np.ascontiguousarray(codes.planes[:, rows, 0]).astype("<u8", copy=False).view(np.uint8)  # [S, n, 8·W]
    return np.ascontiguousarray(stored[..., : -(-codes.dim // 8)].transpose(1, 0, 2)).reshape(stored.shape[1], -1)


def to_faiss(codes: Codes) -> Any:
    """`faiss.IndexBinaryFlat` over the items' bits, item number = place; `faiss.write_index_binary` saves it.

    Queries are `binary_rows(codes, users)`. Its order leaves scales and weights out; `HammingFirst` mends that. Raises `ConfigError` for
    codes of more than 1 bit, and where FAISS is not installed (extra `search`).
    """
    faiss = optional("faiss", "search", "the export to FAISS")
    bits = binary_rows(codes, slice(codes.n_users, None))
    index = faiss.IndexBinaryFlat(8 * bits.shape[1])
    index.add(bits)
    return index


@dataclass(frozen=True, eq=False)
class HammingFirst:
    """Search in two steps: candidates by Hamming distance in FAISS, ranked by their scores.

    Attributes
    ----------
    codes : 1-bit codes; faiss : an index of their items' bits, from `to_faiss` or another binary index of FAISS with the same numbers
    tie_seed : of the order between equal scores, as in `Codes.search`
    """

    codes: Codes
    faiss: Any
    tie_seed: int = 0

    @classmethod
    def of(cls, codes: Codes, tie_seed: int = 0) -> HammingFirst:
        return cls(codes, to_faiss(codes), whole("tie_seed", tie_seed, 0))

    def search(
        self, users: ArrayLike, k: int = 20, exclude: sp.csr_matrix | None = None, *, candidates: int = 200
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The best `k` of the `candidates` items nearest by Hamming distance, as `Codes.search` gives them.

        With `candidates` = all items this is `Codes.search`, ties included. Which of equally distant items become candidates is FAISS's
        choice. What `exclude` holds takes no candidate's place. Raises `ConfigError` as `Codes.search`, and for fewer candidates than k.
        """
        codes, order = self.codes, topk.tie_positions(self.codes.n_items, self.tie_seed)
        numbers, k, masks = checked_request(users, k, () if exclude is None else (exclude,), codes.n_users, codes.n_items)
        wanted = min(whole("candidates", candidates, k), codes.n_items)
        items: list[np.ndarray] = []
        scores: list[np.ndarray] = []
        for begin in range(0, numbers.size, _USERS):
            block = numbers[begin : begin + _USERS]
            start, taken = topk.excluded(masks, block, codes.n_items)
            near = min(codes.n_items, wanted + int(np.diff(start).max()))
            _, found = self.faiss.search(binary_rows(codes, block), near)
            for r, user in enumerate(block):
                left = found[r][(found[r] >= 0) & ~np.isin(found[r], taken[start[r] : start[r + 1]])][:wanted]
                best = self._ranked(user, left[np.argsort(order[left])], k)
                items.append(best[0])
                scores.append(best[1])
        return items, scores

    def _ranked(self, user: int, items: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best k of `items`, which stand in the order of ties."""
        codes, rows, nobody = self.codes, self.codes.n_users + items, topk.excluded((), np.zeros(1, np.int64), 0)
        if not items.size:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        of_user = lay_users(codes.planes, codes.factors(np.array([user])), codes.dim, np.array([user]))
        of_items = group_items(codes.planes, codes.factors(rows), codes.dim, rows)
        best, scores = code_topk.best_of_few(of_user, of_items, nobody, min(k, items.size), items.astype(np.int32))
        return best[0], scores[0]

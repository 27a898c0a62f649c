"""`pack`: codes of 1 to 8 bits from any vectors, each row with the scale that fits it best (ours).

Row v becomes s·c, c odd integers in {-L, …, L}, L = 2^b - 1. Given the codes, s = <v, c>/<c, c> makes ‖v - s·c‖² smallest, and what is
left is ‖v‖² - <v, c>²/<c, c>. One bit: c = sign(v), so s = ‖v‖₁/d (as in XNOR-Net and L²Q-GCN). More bits: c is the odd integer nearest to
L·v/β, cut at ±L, with the clip range β out of a few shares of the row's largest entry, whichever leaves the least. A wide range wastes
levels on rare large entries, a narrow one cuts them off; at 8 bits the best range is nearly the whole row, at 2 bits about half of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recq_lib.codes.codes import Codes, Vectors, as_array
from recq_lib.codes.planes import top_level
from recq_lib.errors import ConfigError

_SHARES = np.geomspace(1.0, 0.25, 13)  # of a row's largest entry, 11 % apart: the error is flat around its minimum
_ROWS_BYTES = 1 << 21  # of float64 vectors in work at once: they and their temporaries stay in a cache


def pack(users: Vectors, items: Vectors, bits: int = 1) -> Codes:
    """Codes of `users` [U, d] and `items` [I, d] (numpy or torch), one segment, a float32 scale per row: 8·⌈d/64⌉·bits + 4 bytes each.

    The inner products of the codes' vectors stand for those of the vectors given; a row of zeros gets scale 0. What is lost shrinks with
    the bits: 36 % of a Gaussian row's square with 1 bit, about 12 % with 2, 1 % with 4, less than 0.01 % with 8.

    Raises `ConfigError` for vectors that are not two tables of one width, for NaN or infinity, and for bits outside 1…8.

    >>> import numpy as np
    >>> from recq_lib.codes.packing import pack
    >>> users, items = np.array([[1.0, -3.0]]), np.array([[2.0, 2.0], [0.5, -4.0], [0.0, 0.0]])
    >>> pack(users, items)
    Codes(1 bit, 1 segment of 2 columns, 1 user, 3 items, scaled, 48 bytes)
    >>> pack(users, items).vectors()[0]  # sign times mean absolute value
    array([ 2., -2.], dtype=float32)
    >>> pack(users, items, bits=8).vectors()[0].round(2)
    array([ 1., -3.], dtype=float32)
    >>> pack(users, items).search([0], k=2)
    ([array([1, 2], dtype=int32)], [array([9., 0.], dtype=float32)])
    """
    top, sides = top_level(bits), [_table(name, side) for name, side in (("user", users), ("item", items))]
    if sides[0].shape[1] != sides[1].shape[1]:
        raise ConfigError(f"user vectors have width {sides[0].shape[1]}, item vectors {sides[1].shape[1]}; they must agree")
    coded = [_quantized(block, top) for side in sides for block in _blocks(side)]
    levels = np.concatenate([codes for codes, _ in coded])
    scales = np.concatenate([scale for _, scale in coded])
    return Codes.from_levels(levels[None], bits, scales=scales[None], n_users=len(sides[0]))


def _quantized(x: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    """(odd codes int16 [n, d], scales float64 [n]) of rows x [n, d], float64."""
    if top == 1:
        return np.where(x >= 0, 1, -1).astype(np.int16), np.abs(x).mean(axis=1)
    largest = np.abs(x).max(axis=1, keepdims=True)
    unit = x / np.where(largest > 0, largest, 1.0)  # in [-1, 1], so that no square overflows
    best, kept = np.empty(x.shape, np.int16), np.full(len(x), -1.0)
    scales = np.empty(len(x))
    for share in _SHARES:
        codes = _nearest_odd(np.clip(unit * (top / share), -top, top))
        products, squares = (unit * codes).sum(axis=1), np.square(codes).sum(axis=1)
        explained = products**2 / squares  # of ‖unit‖²
        better = explained > kept
        best[better], kept[better], scales[better] = codes[better], explained[better], (products / squares)[better]
    return best, scales * largest[:, 0]


def _nearest_odd(v: np.ndarray) -> np.ndarray:
    """Odd integers nearest to `v`, ties up: 0 → 1."""
    return 2 * np.floor(v / 2) + 1


def _table(name: str, vectors) -> np.ndarray:
    vectors = as_array(vectors)
    if vectors.ndim != 2 or vectors.shape[1] < 1:
        raise ConfigError(f"{name} vectors have shape {vectors.shape}, but must be [n, d] with d at least 1")
    if vectors.dtype.kind not in "fiu":
        raise ConfigError(f"{name} vectors are {vectors.dtype}, but must be numbers")
    if not np.isfinite(vectors).all():
        row = int((~np.isfinite(vectors)).any(axis=1).argmax())
        raise ConfigError(f"{name} vectors hold NaN or infinity in row {row}; if a model made them, training has diverged")
    return vectors


def _blocks(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Rows as float64, in pieces small enough that their temporaries stay small."""
    rows = max(1, _ROWS_BYTES // (8 * vectors.shape[1]))
    return (vectors[begin : begin + rows].astype(np.float64) for begin in range(0, max(1, len(vectors)), rows))

"""Bit planes: odd integers of b bits as 64-bit words, and back; and the bytes that they take (ours).

An odd code c in {-L, -L+2, …, L}, L = 2^b - 1, is kept as q = (c + L)/2 in {0, …, L}. Plane m holds bit m of q; bit k of its word w
belongs to column 64·w + k, and bits behind the last column are 0. So 1 bit is set where c = +1.
"""

from __future__ import annotations

import numpy as np

from recq_lib.errors import whole

MAX_BITS = 8


def top_level(bits: int) -> int:
    """L = 2^bits - 1. Raises `ConfigError` unless bits is a whole number from 1 to 8."""
    return 2 ** whole("bits", bits, 1, MAX_BITS) - 1


def n_words(dim: int) -> int:
    """Words of 64 bits that `dim` columns take."""
    return -(-dim // 64)


def stored_bytes(n_nodes: int, dim: int, *, bits: int = 1, n_segments: int = 1, scaled: bool = False) -> int:
    """Bytes of a codes file without its header: b·⌈d/64⌉ words, and a float32 scale where there are scales, per node and segment."""
    return n_nodes * n_segments * (8 * bits * n_words(dim) + (4 if scaled else 0))


def planes_of(levels: np.ndarray, bits: int) -> np.ndarray:
    """Odd codes [S, N, d] (integers, already checked) as uint64 [S, N, bits, W], read-only."""
    n_segments, n_nodes, dim = levels.shape
    packed = np.zeros((n_segments, n_nodes, bits, 8 * n_words(dim)), np.uint8)
    for place, segment in zip(packed, levels, strict=True):  # one at a time: a byte per bit takes 8 times the room of the planes
        unsigned = ((segment.astype(np.int16) + (2**bits - 1)) // 2).astype(np.uint8)
        for m in range(bits):
            place[:, m, : -(-dim // 8)] = np.packbits(unsigned >> m & 1, axis=1, bitorder="little")
    return _as_words(packed)


def planes_of_signs(values: np.ndarray) -> np.ndarray:
    """Signs of [S, N, d] as one plane, uint64 [S, N, 1, W], read-only: set where a value is >= 0, also where it is -0.0."""
    n_segments, n_nodes, dim = values.shape
    packed = np.zeros((n_segments, n_nodes, 1, 8 * n_words(dim)), np.uint8)
    for place, segment in zip(packed, values, strict=True):
        place[:, 0, : -(-dim // 8)] = np.packbits(segment >= 0, axis=1, bitorder="little")
    return _as_words(packed)


def _as_words(packed: np.ndarray) -> np.ndarray:
    packed.setflags(write=False)  # nobody else has it, so that `Codes` can take it as it is
    words = packed.view("<u8").astype(np.uint64, copy=False)
    words.setflags(write=False)
    return words


def levels_of(planes: np.ndarray, dim: int) -> np.ndarray:
    """The odd codes int16 [S, N, d] in `planes` [S, N, b, W]."""
    stored = np.ascontiguousarray(planes).astype("<u8", copy=False).view(np.uint8)
    levels = np.full((*planes.shape[:2], dim), 1 - 2 ** planes.shape[2], np.int16)
    for m in range(planes.shape[2]):
        levels += np.unpackbits(stored[:, :, m], axis=2, count=dim, bitorder="little").astype(np.int16) << np.int16(m + 1)
    return levels

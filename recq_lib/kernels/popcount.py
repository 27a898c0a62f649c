"""Scores and Hamming distances of packed 1-bit codes, for the CPU: XOR and a count of bits in place of multiplications.

    y_ui = Σ_l s_u^(l) · s_i^(l) · (d - 2·popcount(b_u^(l) XOR b_i^(l)))

Source: elementary; the official code of L²Q-GCN's family (BiGeaR) scores with floats. The kernel is ours.

Items are first laid side by side (`group_items`): equal 32-bit words of 32 items are neighbours, so that one vector instruction serves
8 items and their counts come out ready for their scales. A tile of items stays in the cache nearest to a core while all users pass.
Threads share the items, so a single query uses all of them; each score is computed by one thread in the order of the segments, so
results do not depend on the number of threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from recq_lib.errors import ConfigError
from recq_lib.kernels.compiled import compiled

_LANES = 8  # 32-bit words of a 256-bit vector: every x86-64 since 2013; LLVM splits or joins them elsewhere
_VECTORS = 4  # vectors per group: enough independent work to hide latencies, few enough to stay in registers
_GROUP = _LANES * _VECTORS  # items scored at once
_TILE = 8  # groups per tile: 24 kB at three segments of 256 bits
_SUMMED = 31  # words whose bit counts (0 to 8 per byte) are sure to fit in a byte

_WORD, _INDEX = ir.IntType(32), ir.IntType(64)
_WORDS, _FLOATS, _BYTES = ir.VectorType(_WORD, _LANES), ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.IntType(8), 4 * _LANES)


class ItemGroups(NamedTuple):
    """Codes of items as the kernel reads them; zeros behind the last item.

    words : uint32 [⌈I/32⌉, S, 2W, 32]; scales : float32 [⌈I/32⌉, S, 32]; n_items : I
    """

    words: np.ndarray
    scales: np.ndarray
    n_items: int


def group_items(bits: np.ndarray, scales: np.ndarray) -> ItemGroups:
    """Lay items side by side: bits uint64 [S, I, W] and scales float32 [S, I]. Raises `ConfigError` on other shapes or types."""
    _check("item", bits, scales)
    words = np.ascontiguousarray(bits).view(np.uint32)  # whichever half of a word is first: users are split the same way
    return ItemGroups(_side_by_side(words), _side_by_side(scales[:, :, None])[:, :, 0], bits.shape[1])


def scores_grouped(user_bits: np.ndarray, user_scales: np.ndarray, items: ItemGroups, dim: int, out: np.ndarray) -> None:
    """As `scores`, for items that are already side by side: what a search engine keeps."""
    _check("user", user_bits, user_scales)
    n_segments, n_users, n_words = user_bits.shape
    if items.words.shape[1:3] != (n_segments, 2 * n_words):
        other = f"{items.words.shape[1]} × {items.words.shape[2] // 2}"
        raise ConfigError(f"user codes have {n_segments} × {n_words} segments × words, item codes {other}; they must agree")
    if not 64 * (n_words - 1) < dim <= 64 * n_words:
        raise ConfigError(f"dim is {dim}, but codes of {n_words} words hold {64 * n_words - 63} to {64 * n_words} bits per segment")
    _check_out(out, np.float32, n_users, items.n_items)
    _score(*_contiguous(user_bits, user_scales), items.words, items.scales, dim, out)


def scores(
    user_bits: np.ndarray, user_scales: np.ndarray, item_bits: np.ndarray, item_scales: np.ndarray, dim: int, out: np.ndarray
) -> None:
    """Fill `out` [B, I] (float32) with y_ui.

    Parameters
    ----------
    user_bits, item_bits : uint64 [S, B, W] and [S, I, W]; bits behind the `dim`-th are 0 in both
    user_scales, item_scales : float32 [S, B] and [S, I], weights of the segments folded in
    dim : d, bits per segment

    Raises `ConfigError` on other shapes or types.
    """
    scores_grouped(user_bits, user_scales, group_items(item_bits, item_scales), dim, out)


def hamming(user_bits: np.ndarray, item_bits: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` [B, I] (int32) with the number of bits in which codes of one segment differ; bits are uint64 [B, W] and [I, W]."""
    if user_bits.ndim != 2 or item_bits.ndim != 2 or user_bits.shape[1] != item_bits.shape[1]:
        raise ConfigError(f"codes have shapes {user_bits.shape} and {item_bits.shape}, but must be [B, W] and [I, W]")
    n_users, n_items = user_bits.shape[0], item_bits.shape[0]
    items = group_items(item_bits[None], np.ones((1, n_items), np.float32))
    halves = np.full((1, n_users), -0.5, np.float32)  # -½·(0 - 2·count) is the count
    _check("user", user_bits[None], halves)
    _check_out(out, np.int32, n_users, n_items)
    _score(*_contiguous(user_bits[None], halves), items.words, items.scales, 0, out)


@compiled(parallel=True)
def _score(user_words, user_scales, item_words, item_scales, dim, out):
    """`user_words` [S, B, 2W] and `user_scales` [S, B] against the arrays of `ItemGroups`, all contiguous."""
    n_users, n_items = out.shape
    for t in prange((item_words.shape[0] + _TILE - 1) // _TILE):
        first, last = t * _TILE, min((t + 1) * _TILE, item_words.shape[0])
        begin, row = first * _GROUP, np.empty(_TILE * _GROUP, np.float32)
        for u in range(n_users):
            for g in range(first, last):
                _score_group(user_words, user_scales, u, item_words, item_scales, g, dim, row, (g - first) * _GROUP)
            for k in range(min(last * _GROUP, n_items) - begin):
                out[u, begin + k] = row[k]


@intrinsic
def _score_group(typing_context, user_words, user_scales, u, item_words, item_scales, g, dim, row, column):
    """`row[column : column + 32]` = scores of user u and the items of group g; the arrays are those of `_score`.

    Plain numba loops over the codes as they lie took three times as long.
    """

    def generate(context, builder, signature, arguments):
        def array(k):
            return context.make_array(signature.args[k])(context, builder, arguments[k])

        def integer(k):
            return context.cast(builder, arguments[k], signature.args[k], types.intp)

        user_words, user_scales, item_words, item_scales = array(0), array(1), array(3), array(4)
        n_segments, n_users, n_words = cgutils.unpack_tuple(builder, user_words.shape)
        dim = _splat(builder, _WORDS, builder.trunc(integer(6), _WORD))
        sums = _zeros(builder, _FLOATS)
        with cgutils.for_range(builder, n_segments) as segment:
            user = builder.add(builder.mul(segment.index, n_users), integer(2))
            group = builder.add(builder.mul(integer(5), n_segments), segment.index)
            code = builder.gep(user_words.data, [builder.mul(user, n_words)])
            codes = builder.gep(item_words.data, [builder.mul(group, builder.mul(n_words, _INDEX(_GROUP)))])
            scales = builder.gep(item_scales.data, [builder.mul(group, _INDEX(_GROUP))])
            user_scale = _splat(builder, _FLOATS, builder.load(builder.gep(user_scales.data, [user])))
            for k, (place, count) in enumerate(zip(sums, _differences(builder, code, codes, n_words), strict=True)):
                agreement = builder.sitofp(builder.sub(dim, builder.add(count, count)), _FLOATS)
                scale = builder.fmul(user_scale, _load(builder, scales, _FLOATS, k))
                _add_to(builder, place, builder.fmul(scale, agreement))
        for k, place in enumerate(sums):
            begin = builder.gep(array(7).data, [integer(8)])
            builder.store(builder.load(place), _vector(builder, begin, _FLOATS, k)).align = 4
        return context.get_dummy_value()

    return types.void(user_words, user_scales, u, item_words, item_scales, g, dim, row, column), generate


def _differences(builder, code, codes, n_words) -> list:
    """Hamming distances of the code at `code` [n_words] to those of a group at `codes` [n_words, 32], as vectors of 32-bit integers.

    Bits are counted in bytes, which are added up once per `_SUMMED` words: counting whole lanes takes more instructions per word.
    """
    ctpop = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_BYTES, [_BYTES]), f"llvm.ctpop.v{_BYTES.count}i8")
    totals, sums = _zeros(builder, _WORDS), _zeros(builder, _BYTES)
    with cgutils.for_range_slice(builder, _INDEX(0), n_words, _INDEX(_SUMMED)) as (begin, _):
        for place in sums:
            builder.store(ir.Constant(_BYTES, None), place)
        end = builder.add(begin, _INDEX(_SUMMED))
        end = builder.select(builder.icmp_signed("<", end, n_words), end, n_words)
        with cgutils.for_range_slice(builder, begin, end, _INDEX(1)) as (j, _):
            word = _splat(builder, _WORDS, builder.load(builder.gep(code, [j])))
            words = builder.gep(codes, [builder.mul(j, _INDEX(_GROUP))])
            for k, place in enumerate(sums):
                differ = builder.bitcast(builder.xor(word, _load(builder, words, _WORDS, k)), _BYTES)
                _add_to(builder, place, builder.call(ctpop, [differ]))
        for place, total in zip(sums, totals, strict=True):
            _add_to(builder, total, _sum_of_bytes(builder, builder.bitcast(builder.load(place), _WORDS)))
    return [builder.load(total) for total in totals]


def _sum_of_bytes(builder, x):
    """Sum of the four bytes of each lane."""
    pairs = _constant(0x00FF00FF)
    x = builder.add(builder.and_(x, pairs), builder.and_(builder.lshr(x, _constant(8)), pairs))
    return builder.and_(builder.add(x, builder.lshr(x, _constant(16))), _constant(0xFFFF))


def _zeros(builder, kind) -> list:
    """Places for the vectors of a group, set to zero; LLVM turns them into registers."""
    places = [cgutils.alloca_once(builder, kind) for _ in range(_VECTORS)]
    for place in places:
        builder.store(ir.Constant(kind, None), place)
    return places


def _add_to(builder, place, value) -> None:
    add = builder.fadd if value.type == _FLOATS else builder.add
    builder.store(add(builder.load(place), value), place)


def _vector(builder, base, kind, k: int):
    return builder.bitcast(builder.gep(base, [_INDEX(k * _LANES)]), kind.as_pointer())


def _load(builder, base, kind, k: int):
    value = builder.load(_vector(builder, base, kind, k))
    value.align = 4  # numpy aligns rows to their items only
    return value


def _constant(value: int):
    return ir.Constant(_WORDS, [value] * _LANES)


def _splat(builder, kind, scalar):
    empty = ir.Constant(kind, ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(empty, scalar, _WORD(0)), empty, _constant(0))


def _side_by_side(values: np.ndarray) -> np.ndarray:
    """[S, I, n] as [⌈I/32⌉, S, n, 32], contiguous."""
    n_segments, n_items, n = values.shape
    n_groups = -(-n_items // _GROUP)
    padded = np.zeros((n_segments, n_groups * _GROUP, n), values.dtype)
    padded[:, :n_items] = values
    return np.ascontiguousarray(padded.reshape(n_segments, n_groups, _GROUP, n).transpose(1, 0, 3, 2))


def _contiguous(bits: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.ascontiguousarray(bits).view(np.uint32), np.ascontiguousarray(scales)


def _check(name: str, bits: np.ndarray, scales: np.ndarray) -> None:
    if bits.ndim != 3 or bits.dtype != np.uint64 or 0 in (bits.shape[0], bits.shape[2]):
        raise ConfigError(f"{name} bits are {bits.dtype} of shape {bits.shape}, but must be uint64 [S, n, W] with S and W at least 1")
    if scales.dtype != np.float32 or scales.shape != bits.shape[:2]:
        raise ConfigError(f"{name} scales are {scales.dtype} of shape {scales.shape}, but must be float32 of shape {bits.shape[:2]}")


def _check_out(out: np.ndarray, dtype: type, n_users: int, n_items: int) -> None:
    if out.dtype != dtype or out.shape != (n_users, n_items):
        raise ConfigError(f"out is {out.dtype} of shape {out.shape}, but must be {np.dtype(dtype)} of shape {(n_users, n_items)}")

"""Scores of codes of 1 to 8 bits, for the CPU: XOR and a count of bits in place of multiplications.

An odd code c in {-L, -L+2, …, L}, L = 2^b - 1, lies in b bit planes. A plane m read as s^(m) in {-1, +1}^d gives c = Σ_m 2^m·s^(m), so

    <c_u, c_i> = Σ_{m,n} 2^(m+n)·(d - 2·popcount(p_u^(m) XOR p_i^(n)))
    y_ui = Σ_l f_u^(l)·f_i^(l)·<c_u^(l), c_i^(l)>

and one kernel serves all widths; one bit is b = 1. Source: elementary; the official code of L²Q-GCN's family (BiGeaR) scores with floats,
HQ-GNN's arithmetic is not known. The kernel is ours.

Inner products of codes are exact 32-bit integers; as float32 they are exact up to 2^24, so always where d·L² <= 2^24, and beyond that
rounded once, by at most 6e-8 of themselves. Factors and the sum over segments are float32, added in the order of the segments.

Items are first laid side by side (`group_items`): equal 32-bit words of 32 items are neighbours, so that one vector instruction serves
8 items and their counts come out ready for their factors. A tile of items stays in the cache nearest to a core while all users pass.
Threads share the items, so a single query uses all of them; each score is computed by one thread, so results do not depend on the
number of threads.
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
_TILE, _TILE_BYTES = 8, 24_576  # most groups per tile and most bytes of their codes; one group at least
_SUMMED = 31  # words whose bit counts (0 to 8 per byte) are sure to fit in a byte

_WORD, _INDEX = ir.IntType(32), ir.IntType(64)
_WORDS, _FLOATS, _BYTES = ir.VectorType(_WORD, _LANES), ir.VectorType(ir.FloatType(), _LANES), ir.VectorType(ir.IntType(8), 4 * _LANES)


class ItemGroups(NamedTuple):
    """Codes of items as the kernel reads them; zeros behind the last item.

    words : uint32 [⌈I/32⌉, S, b, 2W, 32]; factors : float32 [⌈I/32⌉, S, 32]; n_items : I
    """

    words: np.ndarray
    factors: np.ndarray
    n_items: int

    def part(self, first: int, n: int) -> ItemGroups:
        """Up to `n` items from the `first` on, without a copy; `first` is a multiple of 32."""
        last = min(first + n, self.n_items)
        groups = slice(first // _GROUP, -(-last // _GROUP))
        return ItemGroups(self.words[groups], self.factors[groups], last - first)


def group_items(planes: np.ndarray, factors: np.ndarray) -> ItemGroups:
    """Lay items side by side: planes uint64 [S, I, b, W], factors float32 [S, I]. Raises `ConfigError` on other shapes or types."""
    _check("item", planes, factors)
    words = np.ascontiguousarray(planes).view(np.uint32)  # whichever half of a word is first: users are split the same way
    return ItemGroups(_side_by_side(words), _side_by_side(factors), planes.shape[1])


def scores(user_planes: np.ndarray, user_factors: np.ndarray, items: ItemGroups, dim: int, out: np.ndarray) -> None:
    """Fill `out` [B, I] (float32) with y_ui.

    Parameters
    ----------
    user_planes : uint64 [S, B, b, W], the lowest plane first; bits behind the `dim`-th are 0, in users and items
    user_factors : float32 [S, B]
    items : from `group_items`
    dim : d, columns per segment; d·L² must stay below 2^31

    Raises `ConfigError` on other shapes, types or sizes.
    """
    _check("user", user_planes, user_factors)
    n_segments, n_users, bits, n_words = user_planes.shape
    if items.words.shape[1:4] != (n_segments, bits, 2 * n_words):
        other = f"{items.words.shape[1]} × {items.words.shape[2]} × {items.words.shape[3] // 2}"
        raise ConfigError(f"user codes have {n_segments} × {bits} × {n_words} segments × bits × words, item codes {other}; they must agree")
    if not 64 * (n_words - 1) < dim <= 64 * n_words:
        raise ConfigError(f"dim is {dim}, but codes of {n_words} words hold {64 * n_words - 63} to {64 * n_words} columns per segment")
    largest = dim * (2**bits - 1) ** 2
    if largest >= 2**31:
        raise ConfigError(f"{dim} columns of {bits} bits give scores beyond 32-bit integers; use fewer bits or columns")
    if out.dtype != np.float32 or out.shape != (n_users, items.n_items):
        raise ConfigError(f"out is {out.dtype} of shape {out.shape}, but must be float32 of shape {(n_users, items.n_items)}")
    tile = max(1, min(_TILE, _TILE_BYTES // (4 * _GROUP * n_segments * bits * 2 * n_words)))
    words, factors = np.ascontiguousarray(user_planes).view(np.uint32), np.ascontiguousarray(user_factors)
    _score(words, factors, items.words, items.factors, largest, tile, out)


@compiled(parallel=True)
def _score(user_words, user_factors, item_words, item_factors, largest, tile, out):
    """`user_words` [S, B, b, 2W] and `user_factors` [S, B] against the arrays of `ItemGroups`, all contiguous; `largest` is d·L²."""
    n_users, n_items = out.shape
    for t in prange((item_words.shape[0] + tile - 1) // tile):
        first, last = t * tile, min((t + 1) * tile, item_words.shape[0])
        begin, row = first * _GROUP, np.empty(tile * _GROUP, np.float32)
        for u in range(n_users):
            for g in range(first, last):
                column = (g - first) * _GROUP
                if user_words.shape[2] == 1:  # said where the compiler sees it: the loops over planes and their shifts fall away
                    _score_group(user_words, user_factors, u, item_words, item_factors, g, 1, largest, row, column)
                else:
                    _score_group(user_words, user_factors, u, item_words, item_factors, g, user_words.shape[2], largest, row, column)
            for k in range(min(last * _GROUP, n_items) - begin):
                out[u, begin + k] = row[k]


@intrinsic
def _score_group(typing_context, user_words, user_factors, u, item_words, item_factors, g, bits, largest, row, column):
    """`row[column : column + 32]` = scores of user u and the items of group g; the arrays are those of `_score`.

    Plain numba loops over the codes as they lie took three times as long.
    """

    def generate(context, builder, signature, arguments):
        def array(k):
            return context.make_array(signature.args[k])(context, builder, arguments[k])

        def integer(k):
            return context.cast(builder, arguments[k], signature.args[k], types.intp)

        user_words, user_factors, item_words, item_factors = array(0), array(1), array(3), array(4)
        n_segments, n_users, _, n_words = cgutils.unpack_tuple(builder, user_words.shape)
        bits, largest = integer(6), _splat(builder, _WORDS, builder.trunc(integer(7), _WORD))
        code_words = builder.mul(bits, n_words)
        sums = _zeros(builder, _FLOATS)
        with cgutils.for_range(builder, n_segments) as segment:
            user = builder.add(builder.mul(segment.index, n_users), integer(2))
            group = builder.add(builder.mul(integer(5), n_segments), segment.index)
            code = builder.gep(user_words.data, [builder.mul(user, code_words)])
            codes = builder.gep(item_words.data, [builder.mul(group, builder.mul(code_words, _INDEX(_GROUP)))])
            factors = builder.gep(item_factors.data, [builder.mul(group, _INDEX(_GROUP))])
            user_factor = _splat(builder, _FLOATS, builder.load(builder.gep(user_factors.data, [user])))
            for k, (place, count) in enumerate(zip(sums, _differences(builder, code, codes, bits, n_words), strict=True)):
                product = builder.sitofp(builder.sub(largest, builder.add(count, count)), _FLOATS)
                factor = builder.fmul(user_factor, _load(builder, factors, _FLOATS, k))
                _add_to(builder, place, builder.fmul(factor, product))
        for k, place in enumerate(sums):
            begin = builder.gep(array(8).data, [integer(9)])
            builder.store(builder.load(place), _vector(builder, begin, _FLOATS, k)).align = 4
        return context.get_dummy_value()

    return types.void(user_words, user_factors, u, item_words, item_factors, g, bits, largest, row, column), generate


def _differences(builder, code, codes, bits, n_words) -> list:
    """Σ_{m,n} 2^(m+n)·(differing bits of plane m at `code` [b, n_words] and plane n at `codes` [b, n_words, 32]), vectors of integers.

    Bits are counted in bytes, which are added up once per `_SUMMED` words: counting whole lanes takes more instructions per word.
    """
    totals = _zeros(builder, _WORDS)
    with cgutils.for_range(builder, bits) as left, cgutils.for_range(builder, bits) as right:
        weight = _splat(builder, _WORDS, builder.trunc(builder.add(left.index, right.index), _WORD))
        plane = builder.gep(code, [builder.mul(left.index, n_words)])
        planes = builder.gep(codes, [builder.mul(right.index, builder.mul(n_words, _INDEX(_GROUP)))])
        with cgutils.for_range_slice(builder, _INDEX(0), n_words, _INDEX(_SUMMED)) as (begin, _):
            for total, counts in zip(totals, _byte_counts(builder, plane, planes, begin, n_words), strict=True):
                _add_to(builder, total, builder.shl(_sum_of_bytes(builder, counts), weight))
    return [builder.load(total) for total in totals]


def _byte_counts(builder, plane, planes, begin, n_words) -> list:
    """Differing bits in the bytes of at most `_SUMMED` words from `begin` on, four counts to a lane."""
    ctpop = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_BYTES, [_BYTES]), f"llvm.ctpop.v{_BYTES.count}i8")
    sums = _zeros(builder, _BYTES)
    end = builder.add(begin, _INDEX(_SUMMED))
    end = builder.select(builder.icmp_signed("<", end, n_words), end, n_words)
    with cgutils.for_range_slice(builder, begin, end, _INDEX(1)) as (j, _):
        word = _splat(builder, _WORDS, builder.load(builder.gep(plane, [j])))
        words = builder.gep(planes, [builder.mul(j, _INDEX(_GROUP))])
        for k, place in enumerate(sums):
            differ = builder.bitcast(builder.xor(word, _load(builder, words, _WORDS, k)), _BYTES)
            _add_to(builder, place, builder.call(ctpop, [differ]))
    return [builder.bitcast(builder.load(place), _WORDS) for place in sums]


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
    """[S, I, …] as [⌈I/32⌉, S, …, 32], contiguous."""
    n_segments, n_items, *rest = values.shape
    n_groups = -(-n_items // _GROUP)
    padded = np.zeros((n_segments, n_groups * _GROUP, *rest), values.dtype)
    padded[:, :n_items] = values
    grouped = padded.reshape(n_segments, n_groups, _GROUP, *rest)
    return np.ascontiguousarray(np.moveaxis(grouped, (1, 2), (0, -1)))


def _check(name: str, planes: np.ndarray, factors: np.ndarray) -> None:
    if planes.ndim != 4 or planes.dtype != np.uint64 or 0 in (planes.shape[0], *planes.shape[2:]):
        rule = "uint64 [S, n, b, W] with S, b and W at least 1"
        raise ConfigError(f"{name} planes are {planes.dtype} of shape {planes.shape}, but must be {rule}")
    if factors.dtype != np.float32 or factors.shape != planes.shape[:2]:
        raise ConfigError(f"{name} factors are {factors.dtype} of shape {factors.shape}, but must be float32 of shape {planes.shape[:2]}")

"""Scores of codes of 1 to 8 bits with the items of a group, for the CPU: counts of bits or products of bytes (ours).

    y_ui = Σ_l f_u^(l)·f_i^(l)·<c_u^(l), c_i^(l)>

Up to 3 bits lie in planes; a plane m read as s^(m) in {-1, +1}^d gives c = Σ_m 2^m·s^(m), so

    <c_u, c_i> = Σ_{m,n} 2^(m+n)·(d - 2·popcount(p_u^(m) XOR p_i^(n)))

From 4 bits on, products of bytes take less time (`item_groups` has the formula). Source: elementary; the official code of L²Q-GCN's family
(BiGeaR) scores with floats, HQ-GNN's arithmetic is not known.

Inner products of codes are exact 32-bit integers; as float32 they are exact up to 2^24, so always where d·L² <= 2^24, and beyond that
rounded once, by at most 6e-8 of themselves. Factors and the sum over segments are float32, added in the order of the segments, so a score
does not depend on the form, the instructions, the number of threads, or what else is scored.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from recq_lib.errors import ConfigError
from recq_lib.kernels import instructions as on
from recq_lib.kernels.compiled import compiled, read_only
from recq_lib.kernels.instructions import BYTES, CHOSEN, FLOATS, GROUP, INDEX, LANES, VECTORS, WORD, WORDS
from recq_lib.kernels.item_groups import ItemGroups, Users

_SUMMED = 30  # words whose bit counts (0 to 8 a byte) are sure to fit in a byte; even
_TILE_BYTES = 24_576  # of items' codes that stay in the cache nearest to a core while all users pass; one group at least


def scores(users: Users, items: ItemGroups, out: np.ndarray) -> None:
    """Fill `out` [B, I] (float32) with y_ui. Raises `ConfigError` where users, items and `out` do not fit together."""
    check_pair(users, items)
    wanted = users.words.shape[0], items.n_items
    if out.dtype != np.float32 or out.shape != wanted:
        raise ConfigError(f"out is {out.dtype} of shape {out.shape}, but must be float32 of shape {wanted}")
    _fill(*arrays_of(users, items), tile_of(items), out)


def check_pair(users: Users, items: ItemGroups) -> None:
    """Raises `ConfigError` unless both sides have the same form and number of segments."""
    sides = [(side.form, side.words.shape[1]) for side in (users, items)]
    if sides[0] != sides[1]:
        user, item = (f"{n} × {form.bits} × {form.n_words} segments × bits × words and {form.dim} columns" for form, n in sides)
        raise ConfigError(f"user codes have {user}, item codes {item}; they must agree")


def arrays_of(users: Users, items: ItemGroups) -> tuple:
    """What `score_group` reads of both, and the form of codes: the first arguments of every kernel around it."""
    arrays = users.words, users.factors, items.words, items.factors
    return *map(read_only, arrays), items.form.bits, items.form.kind, items.form.largest


def tile_of(items: ItemGroups) -> int:
    """Groups that a core goes through with all its users before it takes the next ones."""
    return max(1, _TILE_BYTES // max(1, items.words[:1].nbytes))


@compiled(parallel=True)
def _fill(user_words, user_factors, item_words, item_factors, bits, kind, largest, tile, out):
    n_items = out.shape[1]
    for t in prange((item_words.shape[0] + tile - 1) // tile):
        row = np.empty(GROUP, np.float32)
        for u in range(out.shape[0]):
            for g in range(t * tile, min((t + 1) * tile, item_words.shape[0])):
                score_group(user_words, user_factors, u, item_words, item_factors, g, bits, kind, largest, np.float32(np.inf), row)
                for k in range(min(GROUP, n_items - g * GROUP)):
                    out[u, g * GROUP + k] = row[k]


@njit(inline="always")
def score_group(user_words, user_factors, u, item_words, item_factors, g, bits, kind, largest, threshold, row):
    """`row` [64] = scores of user u and the items of group g; returns a 64-bit mask of those above `threshold`."""
    above = np.uint64(0)
    for part in range(on.PASSES):
        if kind == 1:
            above |= _nibbles(user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row)
        elif kind == 2 and bits < 8:
            above |= _small_bytes(user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row)
        elif kind == 2:
            above |= _bytes(user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row)
        elif bits == 1:  # said where the compiler sees it: the loops over planes and their shifts fall away
            above |= _planes(user_words, user_factors, u, item_words, item_factors, g, part, 1, largest, threshold, row)
        else:
            above |= _planes(user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row)
    return above


def _written_by(products, name: str):
    """An intrinsic with the arguments of `score_group` and the `part` of the group; `products` writes what gives <c_u, c_i>.

    Plain numba loops over the codes as they lie took three times as long.
    """

    def scored(typing_context, user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row):
        def generate(context, builder, signature, arguments):
            return _write_group(context, builder, signature, arguments, products)

        arguments = user_words, user_factors, u, item_words, item_factors, g, part, bits, largest, threshold, row
        return types.uint64(*arguments), generate

    scored.__name__ = scored.__qualname__ = name
    return intrinsic(scored)


def _write_group(context, builder, signature, arguments, products):
    def array(k):
        return context.make_array(signature.args[k])(context, builder, arguments[k])

    def integer(k):
        return context.cast(builder, arguments[k], signature.args[k], types.intp)

    on.allow_wide_vectors(builder)
    user_words, user_factors, item_words, item_factors = array(0), array(1), array(3), array(4)
    _, n_segments, n_user = cgutils.unpack_tuple(builder, user_words.shape)
    n_item = cgutils.unpack_tuple(builder, item_words.shape)[2]
    first = builder.mul(integer(6), INDEX(LANES * VECTORS))
    largest, sums = on.splat(builder, WORDS, builder.trunc(integer(8), WORD)), on.zeros(builder, FLOATS, VECTORS)
    with cgutils.for_range(builder, n_segments) as segment:
        user = builder.add(builder.mul(integer(2), n_segments), segment.index)
        group = builder.add(builder.mul(integer(5), n_segments), segment.index)
        code = builder.gep(user_words.data, [builder.mul(user, n_user)])
        codes = builder.gep(item_words.data, [builder.add(builder.mul(group, builder.mul(n_item, INDEX(GROUP))), first)])
        factors = builder.gep(item_factors.data, [builder.add(builder.mul(group, INDEX(GROUP)), first)])
        user_factor = on.splat(builder, FLOATS, builder.load(builder.gep(user_factors.data, [user])))
        for k, (place, product) in enumerate(zip(sums, products(builder, code, codes, integer(7), n_user, n_item, largest), strict=True)):
            factor = builder.fmul(user_factor, on.load(builder, factors, FLOATS, k))
            on.add_to(builder, place, builder.fmul(factor, builder.sitofp(product, FLOATS)))
    threshold, row = on.splat(builder, FLOATS, arguments[9]), builder.gep(array(10).data, [first])
    above = ir.Constant(INDEX, 0)
    for k, place in enumerate(sums):
        value = builder.load(place)
        on.store(builder, value, row, k)
        flags = builder.bitcast(builder.fcmp_ordered(">", value, threshold), ir.IntType(LANES))
        above = builder.or_(above, builder.shl(builder.zext(flags, INDEX), INDEX(k * LANES)))
    return builder.shl(above, first)


# ---- products of codes: vectors of 32-bit integers ------------------------------------------------------------------------------


def _by_planes(builder, code, codes, bits, n_user, n_item, largest) -> list:
    """d·L² - 2·Σ_{m,n} 2^(m+n)·(differing bits of plane m at `code` and plane n at `codes`)."""
    n_words = builder.udiv(n_item, bits)
    totals = on.zeros(builder, WORDS, VECTORS)
    with cgutils.for_range(builder, bits) as left, cgutils.for_range(builder, bits) as right:
        weight = on.splat(builder, WORDS, builder.trunc(builder.add(left.index, right.index), WORD))
        plane = builder.gep(code, [builder.mul(left.index, n_words)])
        planes = builder.gep(codes, [builder.mul(right.index, builder.mul(n_words, INDEX(GROUP)))])
        if CHOSEN.word_counts:
            counted = _counts(builder, plane, planes, INDEX(0), n_words, WORDS)
            for total, counts in zip(totals, counted, strict=True):
                on.add_to(builder, total, builder.shl(counts, weight))
        else:
            with cgutils.for_range_slice(builder, INDEX(0), n_words, INDEX(_SUMMED)) as (begin, _):
                end = builder.add(begin, INDEX(_SUMMED))
                end = builder.select(builder.icmp_signed("<", end, n_words), end, n_words)
                for total, counts in zip(totals, _counts(builder, plane, planes, begin, end, BYTES), strict=True):
                    on.add_to(builder, total, builder.shl(_sum_of_bytes(builder, counts), weight))
    return [builder.sub(largest, builder.add(total, total)) for total in map(builder.load, totals)]


def _counts(builder, plane, planes, begin, end, kind) -> list:
    """Differing bits of the words from `begin` to `end`, an even number of them, counted in numbers of `kind` and returned as words."""
    ctpop = on.intrinsic_function(builder, f"llvm.ctpop.v{kind.count}i{kind.element.width}", kind, kind)
    sums = on.zeros(builder, kind, VECTORS)

    def count(j):
        word = on.splat(builder, WORDS, builder.load(builder.gep(plane, [j])))
        words = builder.gep(planes, [builder.mul(j, INDEX(GROUP))])
        for k, place in enumerate(sums):
            differ = builder.bitcast(builder.xor(word, on.load(builder, words, WORDS, k)), kind)
            on.add_to(builder, place, builder.call(ctpop, [differ]))

    with cgutils.for_range_slice(builder, begin, end, INDEX(2)) as (j, _):
        for k in range(2):
            count(builder.add(j, INDEX(k)))
    return [builder.bitcast(builder.load(place), WORDS) for place in sums]


def _sum_of_bytes(builder, x):
    """Sum of the four bytes of each lane."""
    pairs = on.constant(0x00FF00FF)
    x = builder.add(builder.and_(x, pairs), builder.and_(builder.lshr(x, on.constant(8)), pairs))
    return builder.and_(builder.add(x, builder.lshr(x, on.constant(16))), on.constant(0xFFFF))


def _by_nibbles(builder, code, codes, bits, n_user, n_item, largest) -> list:
    """Words of 8 columns: bytes of the low halves, then of the high ones, with two words of the user."""
    low = on.constant(0x0F0F0F0F)

    def halves(words):
        return builder.and_(words, low), builder.and_(builder.lshr(words, on.constant(4)), low)

    return _by_bytes_of(builder, code, codes, n_user, n_item, halves, small=True)


def _by_small_bytes(builder, code, codes, bits, n_user, n_item, largest) -> list:
    return _by_bytes_of(builder, code, codes, n_user, n_item, lambda words: (words,), small=True)


def _by_bytes(builder, code, codes, bits, n_user, n_item, largest) -> list:
    return _by_bytes_of(builder, code, codes, n_user, n_item, lambda words: (words,), small=False)


def _by_bytes_of(builder, code, codes, n_user, n_item, parts, *, small: bool) -> list:
    """4·Σ t_u·q_i and the words behind the last, of both sides."""
    sums = on.zeros(builder, WORDS, VECTORS)
    n_codes = builder.sub(n_item, INDEX(1))
    with cgutils.for_range(builder, n_codes) as column:
        words = builder.gep(codes, [builder.mul(column.index, INDEX(GROUP))])
        loaded = [parts(on.load(builder, words, WORDS, k)) for k in range(VECTORS)]
        for p in range(len(loaded[0])):
            j = builder.add(builder.mul(column.index, INDEX(len(loaded[0]))), INDEX(p))
            user = on.splat(builder, WORDS, builder.load(builder.gep(code, [j])))
            for place, of_item in zip(sums, loaded, strict=True):
                builder.store(_dot(builder, builder.load(place), of_item[p], user, small), place)
    ends = builder.gep(codes, [builder.mul(n_codes, INDEX(GROUP))])
    of_user = on.splat(builder, WORDS, builder.load(builder.gep(code, [builder.sub(n_user, INDEX(1))])))
    return [
        builder.add(builder.shl(builder.load(place), on.constant(2)), builder.add(of_user, on.load(builder, ends, WORDS, k)))
        for k, place in enumerate(sums)
    ]


def _dot(builder, total, unsigned, signed, small: bool):
    """`total` + Σ of the four products of unsigned and signed bytes, a lane; `small`: unsigned ones are below 128."""
    if CHOSEN.dot == "vnni":
        function = on.intrinsic_function(builder, "llvm.x86.avx512.vpdpbusd.512", *([WORDS] * 4))
        return builder.call(function, [total, unsigned, signed])
    if CHOSEN.dot == "maddubs" and small:
        return builder.add(total, _pairs_of_products(builder, unsigned, signed, 1))
    if CHOSEN.dot == "maddubs":  # q = low + 16·high: sums of two products by bytes of 8 bits exceed 16
        low = on.constant(0x0F0F0F0F)
        halves = builder.and_(unsigned, low), builder.and_(builder.lshr(unsigned, on.constant(4)), low)
        for half, factor in zip(halves, (1, 16), strict=True):
            total = builder.add(total, _pairs_of_products(builder, half, signed, factor))
        return total
    for k in range(4):
        left = builder.and_(builder.lshr(unsigned, on.constant(8 * k)), on.constant(0xFF))
        right = builder.ashr(builder.shl(signed, on.constant(24 - 8 * k)), on.constant(24))
        total = builder.add(total, builder.mul(left, right))
    return total


def _pairs_of_products(builder, unsigned, signed, factor: int):
    """`factor` times the sum of the four products, a lane; two of them are added up in 16 bits."""
    pairs = on.intrinsic_function(builder, "llvm.x86.avx2.pmadd.ub.sw", on.HALVES, BYTES, BYTES)
    sums = on.intrinsic_function(builder, "llvm.x86.avx2.pmadd.wd", WORDS, on.HALVES, on.HALVES)
    products = builder.call(pairs, [builder.bitcast(unsigned, BYTES), builder.bitcast(signed, BYTES)])
    return builder.call(sums, [products, on.constant(factor, on.HALVES)])


_planes = _written_by(_by_planes, "planes_of_group")
_nibbles = _written_by(_by_nibbles, "nibbles_of_group")
_small_bytes = _written_by(_by_small_bytes, "small_bytes_of_group")
_bytes = _written_by(_by_bytes, "bytes_of_group")

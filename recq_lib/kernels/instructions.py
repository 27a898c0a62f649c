"""Which vector instructions this machine has, and small helpers that write them (LLVM's intermediate language) into kernels.

Numba compiles for the machine it runs on, so most choices are made by LLVM: a count of bits becomes VPOPCNT, a table look-up (AVX2) or CNT
(NEON). Two must be made here: how wide vectors are (LLVM splits 512 bits into halves unless a function asks for them), and which
instruction multiplies bytes, for which LLVM has no name of its own. Everything has a portable form; `NUMBA_CPU_NAME=generic
NUMBA_CPU_FEATURES=` makes any machine use it.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import get_host_cpu_features

GROUP = 64  # items that lie side by side; a mask of them is one 64-bit integer
WORD, INDEX, FLOAT = ir.IntType(32), ir.IntType(64), ir.FloatType()


class Instructions(NamedTuple):
    """lanes : 32-bit numbers a vector; vectors : in work at once, so that latencies hide and all stay in registers
    word_counts : VPOPCNTDQ counts the bits of whole words; elsewhere bytes are counted and added up now and then
    dot : "vnni" (4 products of bytes a lane, summed in 32 bits), "maddubs" (in 16 bits, so 8-bit codes take two), or "" (portable)
    """

    lanes: int
    vectors: int
    word_counts: bool
    dot: str

    @property
    def wide(self) -> bool:
        return self.lanes == 16


def instructions_of(features: set[str]) -> Instructions:
    """The best for a CPU with these features, as LLVM names them."""
    if {"avx512f", "avx512bw", "avx512vpopcntdq"} <= features:
        return Instructions(16, 4, True, "vnni" if "avx512vnni" in features else "")
    return Instructions(8, 4, False, "maddubs" if "avx2" in features else "")


def features_in_use() -> set[str]:
    """Features for which numba compiles: those it is told of, else this machine's without what is switched off (NUMBA_ENABLE_AVX)."""
    told = numba.config.CPU_FEATURES
    features = get_host_cpu_features() if told is None else told
    return {name[1:] for name in features.split(",") if name.startswith("+")}


CHOSEN = instructions_of(features_in_use())
LANES, VECTORS = CHOSEN.lanes, CHOSEN.vectors
PASSES = GROUP // (LANES * VECTORS)  # times that a group is gone through
WORDS, FLOATS = ir.VectorType(WORD, LANES), ir.VectorType(FLOAT, LANES)
HALVES, BYTES = ir.VectorType(ir.IntType(16), 2 * LANES), ir.VectorType(ir.IntType(8), 4 * LANES)


def allow_wide_vectors(builder) -> None:
    """Let the function in work use 512-bit vectors, which LLVM else splits. llvmlite knows no such attribute, but prints what is there."""
    if CHOSEN.wide:
        for attribute in ('"min-legal-vector-width"="512"', '"prefer-vector-width"="512"'):
            set.add(builder.function.attributes, attribute)


def constant(value: int, kind=WORDS):
    return ir.Constant(kind, [value] * kind.count)


def splat(builder, kind, scalar):
    """A vector of `kind` (words or floats) with `scalar` in every lane."""
    empty = ir.Constant(kind, ir.Undefined)
    return builder.shuffle_vector(builder.insert_element(empty, scalar, WORD(0)), empty, constant(0))


def zeros(builder, kind, n: int) -> list:
    """`n` places for vectors, set to zero; LLVM turns them into registers."""
    places = [cgutils.alloca_once(builder, kind) for _ in range(n)]
    for place in places:
        builder.store(ir.Constant(kind, None), place)
    return places


def add_to(builder, place, value) -> None:
    add = builder.fadd if value.type == FLOATS else builder.add
    builder.store(add(builder.load(place), value), place)


def vector_at(builder, base, kind, k: int):
    """Pointer to the k-th vector behind `base`, a pointer to its numbers."""
    return builder.bitcast(builder.gep(base, [INDEX(k * LANES)]), kind.as_pointer())


def load(builder, base, kind, k: int):
    value = builder.load(vector_at(builder, base, kind, k))
    value.align = 4  # numpy aligns rows to their items only
    return value


def store(builder, value, base, k: int) -> None:
    builder.store(value, vector_at(builder, base, value.type, k)).align = 4


def intrinsic_function(builder, name: str, kind, *arguments):
    """LLVM's function `name`."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, list(arguments)), name)

"""Asking for memory ahead of its use: the one place that knows the processor's prefetch instruction."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64  # bytes of a cache line

_WORD, _BYTE = ir.IntType(32), ir.IntType(8).as_pointer()


def emit(builder, place) -> None:
    """The instruction itself, for code that is written in LLVM: ask for the cache line of the pointer `place`."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTE, _WORD, _WORD, _WORD])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(prefetch, [builder.bitcast(place, _BYTE), _WORD(0), _WORD(3), _WORD(1)])  # to read, keep in all levels, data


@intrinsic
def ask_for(typing_context, array, position):
    """Ask for the cache line of `array[position]` (contiguous, counted flat) without waiting for it; a position outside is harmless."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        emit(builder, builder.gep(data, [context.cast(builder, arguments[1], signature.args[1], types.intp)]))
        return context.get_dummy_value()

    return types.void(array, position), generate

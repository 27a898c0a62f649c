"""`row += Σ_e values[e] · x[indices[e]]`, the inner loop of every sparse product, with the sums held in vector registers.

Written as plain loops, numba stores the output row to memory every few neighbours. Here a block of 64 float32 columns
(eight 256-bit registers; fewer at the end of a row) stays in registers over all neighbours, and the rows of `x` that
come next are asked for early.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from recq_lib.kernels import prefetch
from recq_lib.kernels.prefetch import LINE, ask_for

REGISTER_BYTES = 32  # 256-bit vectors: every x86-64 since 2013; LLVM splits them where the machine is narrower
WIDE = 8  # registers per block: half of the sixteen there are, the other half serves loads and the broadcast value
_AHEAD = 16  # neighbours asked for ahead of their use
_INDEX, _WORD = ir.IntType(64), ir.IntType(32)


def _block(registers: int, spread: bool = False):
    """An intrinsic that adds neighbours to `registers` vectors of a row, starting at one column; or, to `spread`, the row to neighbours."""

    @intrinsic
    def add_block(typing_context, x, indices, values, begin, end, last, column, row):
        def generate(context, builder, signature, arguments):
            emit = _Emitter(context, builder, signature, arguments)
            (emit.spread if spread else emit.loop)(registers)
            return context.get_dummy_value()

        return types.void(x, indices, values, begin, end, last, column, row), generate

    return add_block


class _Emitter:
    """LLVM instructions of one block; the names follow the parameters of `add_block`."""

    def __init__(self, context, builder, signature, arguments) -> None:
        def array(k):
            return context.make_array(signature.args[k])(context, builder, arguments[k])

        x = array(0)
        self.builder = builder
        self.x, self.width = x.data, builder.extract_value(x.shape, 1)
        self.indices, self.values, self.row = array(1).data, array(2).data, array(7).data
        self.begin, self.end, self.last, self.column = (
            context.cast(builder, arguments[k], signature.args[k], types.intp) for k in range(3, 7)
        )
        itemsize = signature.args[0].dtype.bitwidth // 8
        self.lanes, self.per_line = REGISTER_BYTES // itemsize, LINE // itemsize
        self.vector = ir.VectorType(self.x.type.pointee, self.lanes)
        suffix = f"v{self.lanes}f{8 * itemsize}"
        self.fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(self.vector, [self.vector] * 3), f"llvm.fma.{suffix}")

    def loop(self, registers: int) -> None:
        builder, row = self.builder, self._vectors(self.row, self.column)
        sums = [cgutils.alloca_once(builder, self.vector) for _ in range(registers)]  # LLVM turns these into registers
        for k, place in enumerate(sums):
            builder.store(self._load(row, k), place)
        with cgutils.for_range_slice(builder, self.begin, self.end, _INDEX(1)) as (edge, _):
            self._ask_for(edge, registers)
            source = self._vectors(self.x, self._position(edge))
            value = self._broadcast(builder.load(builder.gep(self.values, [edge])))
            for k, place in enumerate(sums):
                builder.store(builder.call(self.fma, [value, self._load(source, k), builder.load(place)]), place)
        for k, place in enumerate(sums):
            builder.store(builder.load(place), builder.gep(row, [_INDEX(k)])).align = 4

    def spread(self, registers: int) -> None:
        builder, row = self.builder, self._vectors(self.row, self.column)
        vectors = [self._load(row, k) for k in range(registers)]
        with cgutils.for_range_slice(builder, self.begin, self.end, _INDEX(1)) as (edge, _):
            self._ask_for(edge, registers)
            target = self._vectors(self.x, self._position(edge))
            value = self._broadcast(builder.load(builder.gep(self.values, [edge])))
            for k, vector in enumerate(vectors):
                moved = builder.call(self.fma, [value, vector, self._load(target, k)])
                builder.store(moved, builder.gep(target, [_INDEX(k)])).align = 4

    def _position(self, edge):
        """Where row `indices[edge]` of x has this block's first column."""
        builder = self.builder
        j = builder.sext(builder.load(builder.gep(self.indices, [edge])), _INDEX)
        return builder.add(builder.mul(j, self.width), self.column)

    def _ask_for(self, edge, registers: int) -> None:
        builder = self.builder
        later = builder.add(edge, _INDEX(_AHEAD))
        later = builder.select(builder.icmp_signed("<", later, self.last), later, self.last)
        place = builder.gep(self.x, [self._position(later)])
        for start in range(0, registers * self.lanes, self.per_line):
            prefetch.emit(builder, builder.gep(place, [_INDEX(start)]))

    def _vectors(self, base, offset):
        return self.builder.bitcast(self.builder.gep(base, [offset]), self.vector.as_pointer())

    def _load(self, base, k: int):
        value = self.builder.load(self.builder.gep(base, [_INDEX(k)]))
        value.align = 4  # numpy aligns rows to their items only
        return value

    def _broadcast(self, scalar):
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, scalar, _WORD(0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(_WORD, self.lanes), [0] * self.lanes))


_add_8, _add_4, _add_2, _add_1 = (_block(registers) for registers in (WIDE, 4, 2, 1))


@njit(inline="always")
def ask_for_row(indices, values, begin, end):
    """Ask early for entries `begin` to `end` of a sparse matrix: rows that a batch picks lie anywhere, so no hardware foresees them."""
    for e in range(begin, end, LINE // 4):
        ask_for(indices, e)
        ask_for(values, e)


@njit(inline="always")
def add_neighbours(x, indices, values, begin, end, row):
    """Add to `row` [d] the rows `indices[begin:end]` of `x` [n, d] times `values[begin:end]`; x, row and values share one float type."""
    add_columns(x, indices, values, begin, end, row, 0, row.shape[0])


@njit(inline="always")
def add_columns(x, indices, values, begin, end, row, start, stop):
    """`add_neighbours` for the columns from `start` to `stop` alone."""
    lanes = REGISTER_BYTES // row.itemsize
    last = indices.shape[0] - 1
    column = start
    while column + WIDE * lanes <= stop:
        _add_8(x, indices, values, begin, end, last, column, row)
        column += WIDE * lanes
    if column + 4 * lanes <= stop:
        _add_4(x, indices, values, begin, end, last, column, row)
        column += 4 * lanes
    if column + 2 * lanes <= stop:
        _add_2(x, indices, values, begin, end, last, column, row)
        column += 2 * lanes
    if column + lanes <= stop:
        _add_1(x, indices, values, begin, end, last, column, row)
        column += lanes
    for e in range(begin, end):
        for k in range(column, stop):
            row[k] += values[e] * x[indices[e], k]


_spread_8, _spread_4, _spread_2, _spread_1 = (_block(registers, spread=True) for registers in (WIDE, 4, 2, 1))


@njit(inline="always")
def spread_columns(row, indices, values, begin, end, out, start, stop):
    """The transpose: add `row` [d] times `values[begin:end]` to the rows `indices[begin:end]` of `out` [n, d], for the same columns."""
    lanes = REGISTER_BYTES // row.itemsize
    last = indices.shape[0] - 1
    column = start
    while column + WIDE * lanes <= stop:
        _spread_8(out, indices, values, begin, end, last, column, row)
        column += WIDE * lanes
    if column + 4 * lanes <= stop:
        _spread_4(out, indices, values, begin, end, last, column, row)
        column += 4 * lanes
    if column + 2 * lanes <= stop:
        _spread_2(out, indices, values, begin, end, last, column, row)
        column += 2 * lanes
    if column + lanes <= stop:
        _spread_1(out, indices, values, begin, end, last, column, row)
        column += lanes
    for e in range(begin, end):
        for k in range(column, stop):
            out[indices[e], k] += values[e] * row[k]

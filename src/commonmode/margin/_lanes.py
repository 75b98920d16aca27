"""Operations on eight doubles at once, for the reductions of accounts; imports numba.

LLVM would find these by itself, but only behind a run-time check that the arrays do not overlap,
which for five registers costs as much as the work. Nothing is reassociated or contracted: the bits
are those of the same operations on scalars. A processor without such registers splits them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["VECTOR", "add_scaled", "load", "operation", "scale", "store"]

VECTOR: Final = ir.VectorType(ir.DoubleType(), 8)
_LANE_BYTES: Final = 8


def _at(context: Any, builder: Any, kind: Any, array: Any, first: Any) -> Any:
    """Pointer to eight entries of a contiguous array from `first` on."""
    data = context.make_array(kind)(context, builder, array).data
    place = cgutils.gep_inbounds(builder, data, first)  # type: ignore[no-untyped-call]
    return builder.bitcast(place, VECTOR.as_pointer())


def load(builder: Any, pointer: Any) -> Any:
    return builder.load(pointer, align=_LANE_BYTES)


def store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer, align=_LANE_BYTES)


def _all(builder: Any, scalar: Any) -> Any:
    """The scalar in every lane."""
    one = builder.insert_element(
        ir.Constant(VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
    return builder.shuffle_vector(one, one, mask)


def operation(kinds: tuple[Any, ...], generate: Callable[..., None]) -> tuple[Any, Any]:
    """Signature and code of an operation that only writes to memory."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = [
            _at(context, builder, kind, args[n], args[n + 1])
            for n, kind in enumerate(signature.args)
            if isinstance(kind, types.Array)
        ]
        scalars = [
            _all(builder, arg)
            for kind, arg in zip(signature.args, args, strict=True)
            if kind == types.float64
        ]
        generate(builder, arrays, scalars)
        return context.get_dummy_value()

    return types.void(*kinds), code


def _add_scaled(typing_context: Any, y: Any, at: Any, x: Any, other: Any, q: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x = arrays
        scaled = builder.fmul(scalars[0], load(builder, x))
        store(builder, builder.fadd(load(builder, y), scaled), y)

    return operation((y, types.int64, x, types.int64, types.float64), generate)


def _scale(typing_context: Any, y: Any, at: Any, x: Any, other: Any, q: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x = arrays
        store(builder, builder.fmul(scalars[0], load(builder, x)), y)

    return operation((y, types.int64, x, types.int64, types.float64), generate)


scale: Final = cast(Callable[..., None], intrinsic(_scale))
"""``y = q x``; y, its place, x, its place, q."""
add_scaled: Final = cast(Callable[..., None], intrinsic(_add_scaled))
"""``y += q x``; y, its place, x, its place, q."""

"""Operations on eight doubles at once, for the reduction; imports numba.

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

__all__ = ["add_change", "add_linear", "add_scaled", "scale", "take_least"]

_LANES: Final = ir.VectorType(ir.DoubleType(), 8)
_LANE_BYTES: Final = 8


def _at(context: Any, builder: Any, kind: Any, array: Any, first: Any) -> Any:
    """Pointer to eight entries of a contiguous array from `first` on."""
    data = context.make_array(kind)(context, builder, array).data
    place = cgutils.gep_inbounds(builder, data, first)  # type: ignore[no-untyped-call]
    return builder.bitcast(place, _LANES.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    return builder.load(pointer, align=_LANE_BYTES)


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer, align=_LANE_BYTES)


def _all(builder: Any, scalar: Any) -> Any:
    """The scalar in every lane."""
    one = builder.insert_element(
        ir.Constant(_LANES, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
    )
    mask = ir.Constant(ir.VectorType(ir.IntType(32), 8), [0] * 8)
    return builder.shuffle_vector(one, one, mask)


def _operation(kinds: tuple[Any, ...], generate: Callable[..., None]) -> tuple[Any, Any]:
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
        scaled = builder.fmul(scalars[0], _load(builder, x))
        _store(builder, builder.fadd(_load(builder, y), scaled), y)

    return _operation((y, types.int64, x, types.int64, types.float64), generate)


def _scale(typing_context: Any, y: Any, at: Any, x: Any, other: Any, q: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x = arrays
        _store(builder, builder.fmul(scalars[0], _load(builder, x)), y)

    return _operation((y, types.int64, x, types.int64, types.float64), generate)


def _add_linear(typing_context: Any, y: Any, at: Any, x: Any, other: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x = arrays
        _store(builder, builder.fadd(_load(builder, y), _load(builder, x)), y)

    return _operation((y, types.int64, x, types.int64), generate)


def _add_change(
    typing_context: Any,
    y: Any,
    at: Any,
    x: Any,
    other: Any,
    skews: Any,
    third: Any,
    long: Any,
    short: Any,
    mark: Any,
) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x, skews = arrays
        long, short, mark = scalars
        zero = ir.Constant(_LANES, [0.0] * 8)
        value = _load(builder, x)
        factor = builder.select(builder.fcmp_ordered(">=", value, zero), long, short)
        change = builder.fsub(builder.fmul(value, factor), mark)
        falls = builder.fcmp_ordered("<", change, zero)
        lost = builder.select(falls, change, builder.fneg(change))
        is_skew = builder.fcmp_ordered("!=", _load(builder, skews), zero)
        change = builder.select(is_skew, lost, change)
        _store(builder, builder.fadd(_load(builder, y), change), y)

    kinds = (y, types.int64, x, types.int64, skews, types.int64, *(3 * (types.float64,)))
    return _operation(kinds, generate)


def _take_least(
    typing_context: Any,
    y: Any,
    at: Any,
    x: Any,
    other: Any,
    damping: Any,
    third: Any,
    beyond: Any,
    fourth: Any,
    least: Any,
    fifth: Any,
) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x, damping, beyond, least = arrays
        pnl = builder.fmul(_load(builder, damping), _load(builder, x))
        pnl = builder.fadd(pnl, _load(builder, beyond))
        _store(builder, pnl, y)
        before = _load(builder, least)
        lower = builder.fcmp_ordered("<", pnl, before)
        _store(builder, builder.select(lower, pnl, before), least)

    arrays = (y, x, damping, beyond, least)
    return _operation(tuple(kind for a in arrays for kind in (a, types.int64)), generate)


scale: Final = cast(Callable[..., None], intrinsic(_scale))
"""``y = q x``; y, its place, x, its place, q."""
add_scaled: Final = cast(Callable[..., None], intrinsic(_add_scaled))
"""``y += q x``; y, its place, x, its place, q."""
add_linear: Final = cast(Callable[..., None], intrinsic(_add_linear))
"""``y += x``; y, its place, x, its place."""
add_change: Final = cast(Callable[..., None], intrinsic(_add_change))
"""``y +=`` the change of an expiry's value x: discounted by its sign, less its mark, counted as a
loss where `skews` is not 0; y, x, skews with their places, long, short, mark."""
take_least: Final = cast(Callable[..., None], intrinsic(_take_least))
"""``y = damping x + beyond`` and ``least = min(least, y)``; y, x, damping, beyond, least with
their places."""

"""Operations on eight doubles at once that Deribit's method alone needs; imports numba.

Each keeps NaN, as numpy's minimum and maximum do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from commonmode.margin._lanes import VECTOR, load, operation, store

__all__ = ["add_kept", "put_kept", "take_least"]

_ZERO: Final = ir.Constant(VECTOR, [0.0] * 8)


def _kept(builder: Any, arrays: Any, scalars: Any) -> Any:
    """Loss less what is forgiven, and in the standard table the gain in part, in USD."""
    pnl, forgiven, standard = (load(builder, array) for array in arrays)
    offset, limit, price = scalars
    damped = builder.fadd(pnl, forgiven)
    loss = builder.select(builder.fcmp_ordered(">=", damped, _ZERO), _ZERO, damped)
    gain = builder.select(builder.fcmp_ordered("<=", pnl, _ZERO), _ZERO, pnl)
    gain = builder.fmul(gain, offset)
    gain = builder.select(builder.fcmp_ordered(">=", gain, limit), limit, gain)
    counts = builder.fcmp_ordered("!=", standard, _ZERO)
    kept = builder.fadd(loss, builder.select(counts, gain, _ZERO))
    return builder.fmul(price, kept)


def _kinds(*arrays: Any) -> tuple[Any, ...]:
    return tuple(kind for array in arrays for kind in (array, types.int64))


def _kept_code(*, added: bool) -> Callable[..., Any]:
    """Numba's code generator for :data:`put_kept`, or for :data:`add_kept`."""

    def code(
        typing_context: Any,
        y: Any,
        at: Any,
        pnl: Any,
        other: Any,
        forgiven: Any,
        third: Any,
        standard: Any,
        fourth: Any,
        offset: Any,
        limit: Any,
        price: Any,
    ) -> Any:
        def generate(builder: Any, arrays: Any, scalars: Any) -> None:
            kept = _kept(builder, arrays[1:], scalars)
            if added:
                kept = builder.fadd(load(builder, arrays[0]), kept)
            store(builder, kept, arrays[0])

        return operation((*_kinds(y, pnl, forgiven, standard), *(3 * (types.float64,))), generate)

    return code


def _take_least(typing_context: Any, least: Any, at: Any, x: Any, other: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        least, x = arrays
        before, value = load(builder, least), load(builder, x)
        lower = builder.fcmp_ordered("<", value, before)
        lower = builder.or_(lower, builder.fcmp_unordered("uno", value, value))
        store(builder, builder.select(lower, value, before), least)

    return operation(_kinds(least, x), generate)


put_kept: Final = cast(Callable[..., None], intrinsic(_kept_code(added=False)))
"""``y =`` what of a ledger's profit x enters the worst case; y, x, what is forgiven and the
standard table with their places, offset, limit, price."""
add_kept: Final = cast(Callable[..., None], intrinsic(_kept_code(added=True)))
"""As :data:`put_kept`, but ``y +=``."""
take_least: Final = cast(Callable[..., None], intrinsic(_take_least))
"""``least = min(least, x)``; least, its place, x, its place."""

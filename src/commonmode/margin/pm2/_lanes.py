"""Operations on eight doubles at once that PM2 alone needs; imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from commonmode.margin._lanes import VECTOR, load, operation, store

__all__ = ["add_change", "add_linear", "take_least"]


def _add_linear(typing_context: Any, y: Any, at: Any, x: Any, other: Any) -> Any:
    def generate(builder: Any, arrays: Any, scalars: Any) -> None:
        y, x = arrays
        store(builder, builder.fadd(load(builder, y), load(builder, x)), y)

    return operation((y, types.int64, x, types.int64), generate)


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
        zero = ir.Constant(VECTOR, [0.0] * 8)
        value = load(builder, x)
        factor = builder.select(builder.fcmp_ordered(">=", value, zero), long, short)
        change = builder.fsub(builder.fmul(value, factor), mark)
        falls = builder.fcmp_ordered("<", change, zero)
        lost = builder.select(falls, change, builder.fneg(change))
        is_skew = builder.fcmp_ordered("!=", load(builder, skews), zero)
        change = builder.select(is_skew, lost, change)
        store(builder, builder.fadd(load(builder, y), change), y)

    kinds = (y, types.int64, x, types.int64, skews, types.int64, *(3 * (types.float64,)))
    return operation(kinds, generate)


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
        pnl = builder.fmul(load(builder, damping), load(builder, x))
        pnl = builder.fadd(pnl, load(builder, beyond))
        store(builder, pnl, y)
        before = load(builder, least)
        lower = builder.fcmp_ordered("<", pnl, before)
        store(builder, builder.select(lower, pnl, before), least)

    arrays = (y, x, damping, beyond, least)
    return operation(tuple(kind for a in arrays for kind in (a, types.int64)), generate)


add_linear: Final = cast(Callable[..., None], intrinsic(_add_linear))
"""``y += x``; y, its place, x, its place."""
add_change: Final = cast(Callable[..., None], intrinsic(_add_change))
"""``y +=`` the change of an expiry's value x: discounted by its sign, less its mark, counted as a
loss where `skews` is not 0; y, x, skews with their places, long, short, mark."""
take_least: Final = cast(Callable[..., None], intrinsic(_take_least))
"""``y = damping x + beyond`` and ``least = min(least, y)``; y, x, damping, beyond, least with
their places."""

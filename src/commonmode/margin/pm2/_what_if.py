"""Compiled what-if for one account; imports numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.margin._compiled import IN_FLOAT, IN_INT, IN_TABLE, stamp_of
from commonmode.margin.pm2._reduce import GRID, OUT, finish, sum_group
from commonmode.pricing.kernels._compile import widest_vectors

__all__ = ["what_if_loop"]

Int32Array = NDArray[np.int32]

_STALE: Final = types.Array(types.boolean, 1, "C", readonly=True)
_SIGNATURE: Final = types.int64(
    *GRID,
    *(IN_INT, IN_FLOAT, IN_INT, IN_FLOAT, IN_TABLE),
    *(IN_INT, IN_FLOAT, _STALE, types.float64, types.float64, IN_TABLE),
    *(types.int32[::1], types.float64[::1], types.int32[::1], types.int32[::1]),
    *(types.float64[::1], types.float64[:, ::1]),
    *OUT,
)


def what_if_loop(width: int) -> Callable[..., Any]:
    """A compiled function that adds trades to an account and margins it again.

    Its arguments: the arrays of a grid and the number of scenarios; the account's positions
    (instrument, quantity), the place of every group's vector (-1 for none), vectors and scalars;
    the trades, one per instrument, in the order of the table; which groups are stale, theirs among
    them; cash, unrealised, collateral (1, C); and what it fills in: positions, places, room for the
    list of groups, vectors and scalars after the trades, margin (13, 1), binding scenario (1,). It
    gives the number of positions.

    Only stale groups are summed, by the code that sums all accounts.
    """
    stamp = stamp_of(__file__)

    @njit(_SIGNATURE, cache=True, nogil=True, error_model="numpy", boundscheck=False)
    def loop(
        rows: FloatArray,
        kind: Int32Array,
        linear_oracle: FloatArray,
        groups: FloatArray,
        group_underlying: Int32Array,
        scenarios: FloatArray,
        underlyings: FloatArray,
        assets: FloatArray,
        follows: IntArray,
        terms: FloatArray,
        count: int,
        old_instrument: Int32Array,
        old_quantity: FloatArray,
        old_slot: Int32Array,
        old_values: FloatArray,
        old_scalars: FloatArray,
        trade_instrument: Int32Array,
        trade_quantity: FloatArray,
        stale: BoolArray,
        cash: float,
        unrealised: float,
        collateral: FloatArray,
        instrument: Int32Array,
        quantity: FloatArray,
        slot: Int32Array,
        ids: Int32Array,
        values: FloatArray,
        scalars: FloatArray,
        out: FloatArray,
        worst: NDArray[np.int16],
    ) -> int:
        i = widest_vectors(stamp) - stamp
        j = 0
        n = 0
        n_old = old_instrument.shape[0]
        n_new = trade_instrument.shape[0]
        while i < n_old or j < n_new:
            if j == n_new or (i < n_old and old_instrument[i] < trade_instrument[j]):
                instrument[n] = old_instrument[i]
                quantity[n] = old_quantity[i]
                i += 1
            elif i == n_old or old_instrument[i] > trade_instrument[j]:
                instrument[n] = trade_instrument[j]
                quantity[n] = trade_quantity[j]
                j += 1
            else:
                instrument[n] = old_instrument[i]
                quantity[n] = old_quantity[i] + trade_quantity[j]
                i += 1
                j += 1
            n += 1 if quantity[n] != 0.0 else 0
        for g in range(slot.shape[0]):
            slot[g] = -1
        used = 0
        p = 0
        while p < n:
            g = kind[instrument[p], 0]
            old = old_slot[g]
            if stale[g] or old < 0:
                p = sum_group(
                    rows, kind, linear_oracle, instrument, quantity, p, n, count + 3, width, values,
                    used, scalars,
                )  # fmt: skip
            else:
                while p < n and kind[instrument[p], 0] == g:
                    p += 1
                for s in range(width):
                    values[used * width + s] = old_values[old * width + s]
                for s in range(4):
                    scalars[used, s] = old_scalars[old, s]
            ids[used] = g
            slot[g] = used
            used += 1
        finish(
            used, ids, values, scalars, groups, group_underlying, scenarios, underlyings, assets,
            follows, terms, count, width, cash, unrealised, collateral, np.empty(width + 8),
            np.empty(underlyings.shape[0], np.bool_), out, worst, 0,
        )  # fmt: skip
        return n

    return loop

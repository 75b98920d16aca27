"""Compiled reduction of accounts over a Deribit grid; imports numba.

An account's positions are summed ledger by ledger into vectors over the scenarios, and its deltas
expiry by expiry. Nothing is ever shared between accounts, every sum runs in the order of the
account's positions, ledgers and expiries, and no operation is reassociated: the bits depend neither
on the number of threads nor on how accounts are cut into chunks, and the numpy twin has the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin._compiled import (
    IN_FLOAT,
    IN_INT,
    IN_LONG,
    IN_PAIRS,
    IN_TABLE,
    helper,
    stamp_of,
)
from commonmode.margin._lanes import add_scaled, scale
from commonmode.margin.deribit._lanes import add_kept, put_kept, take_least
from commonmode.margin.deribit.grid import COINS, DELTA, MARK, WIDTH
from commonmode.pricing.kernels._compile import widest_vectors

__all__ = ["accounts_loop"]

_GRID: Final = (
    IN_FLOAT,
    IN_PAIRS,
    IN_TABLE,
    IN_FLOAT,
    IN_FLOAT,
    IN_LONG,
    IN_LONG,
    IN_FLOAT,
    IN_TABLE,
    IN_FLOAT,
)
_SIGNATURE: Final = types.int64(
    *_GRID,
    *(IN_LONG, IN_INT, IN_FLOAT, IN_FLOAT, IN_FLOAT, IN_TABLE),
    *(types.float64[:, ::1], types.int64, types.int64),
)


@helper
def worst_of(total: FloatArray) -> float:
    """Largest loss in the scenarios of `total`, not below 0; the last register is scratch."""
    for lane in range(8):
        total[WIDTH + lane] = 0.0
    for s in range(0, WIDTH, 8):
        take_least(total, WIDTH, total, s)
    least = 0.0
    for lane in range(8):
        value = total[WIDTH + lane]
        if value < least or value != value:
            least = value
    return -least


@helper
def roll_of(net: FloatArray, rates: FloatArray, low: int, high: int) -> float:
    """Roll shock of a ledger from the net deltas of its expiries, which are cleared."""
    roll = 0.0
    for e in range(low, high):
        roll += abs(net[e]) * rates[e]
        net[e] = 0.0
    return roll


def accounts_loop() -> Callable[..., Any]:
    """The compiled loop over accounts ``low .. high - 1``.

    It takes the arrays of a grid, those of the accounts, the output (10, A), low and high. It gives
    -1, or the first account that holds a row that the grid does not have.
    """
    stamp = stamp_of(__file__)

    @njit(_SIGNATURE, cache=True, nogil=True, error_model="numpy", boundscheck=False)
    def loop(
        rows: FloatArray,
        kind: NDArray[np.int32],
        ledgers: FloatArray,
        forgiven: FloatArray,
        standard: FloatArray,
        alone: IntArray,
        first_expiry: IntArray,
        rates: FloatArray,
        assets: FloatArray,
        terms: FloatArray,
        offsets: IntArray,
        instrument: NDArray[np.int32],
        quantity: FloatArray,
        cash: FloatArray,
        unrealised: FloatArray,
        collateral: FloatArray,
        out: FloatArray,
        low: int,
        high: int,
    ) -> int:
        first = low + widest_vectors(stamp) - stamp
        n = ledgers.shape[0]
        values = np.empty(n * WIDTH)
        total = np.empty(WIDTH + 8)
        net = np.zeros(rates.shape[0])
        # The account that last had a position in the ledger.
        seen = np.full(n, -1, np.int64)
        for a in range(first, high):
            marks = 0.0
            for p in range(offsets[a], offsets[a + 1]):
                i = instrument[p]
                if i < 0 or i >= kind.shape[0]:
                    return a
                row = i * WIDTH
                q = quantity[p] * rows[row + COINS]
                ledger = kind[i, 0]
                at = ledger * WIDTH
                if seen[ledger] == a:
                    for s in range(0, WIDTH, 8):
                        add_scaled(values, at + s, rows, row + s, q)
                else:
                    # Not cleared first: LLVM would call memset, which costs more than the sum.
                    seen[ledger] = a
                    for s in range(0, WIDTH, 8):
                        scale(values, at + s, rows, row + s, q)
                net[kind[i, 1]] += q * rows[row + DELTA]
                marks += q * rows[row + MARK]
            worst = 0.0
            roll = 0.0
            shock = 0.0
            fresh = True
            for k in range(n):
                if seen[k] != a:
                    continue
                at = k * WIDTH
                price = ledgers[k, 0]
                offset = ledgers[k, 1]
                limit = ledgers[k, 2]
                if fresh:
                    for s in range(0, WIDTH, 8):
                        put_kept(
                            total, s, values, at + s, forgiven, at + s, standard, s,
                            offset, limit, price,
                        )  # fmt: skip
                else:
                    for s in range(0, WIDTH, 8):
                        add_kept(
                            total, s, values, at + s, forgiven, at + s, standard, s,
                            offset, limit, price,
                        )  # fmt: skip
                fresh = alone[k] != 0
                if fresh:
                    worst += worst_of(total)
                roll += roll_of(net, rates, first_expiry[k], first_expiry[k + 1]) * price
                size = abs(values[at + DELTA])
                rate = max(size - ledgers[k, 3], 0.0) * ledgers[k, 4]
                shock += size * min(rate, ledgers[k, 5]) * ledgers[k, 6]
            if not fresh:
                worst += worst_of(total)
            worth = 0.0
            lost = 0.0
            for c in range(assets.shape[0]):
                worth += collateral[a, c] * assets[c, 0]
                lost += collateral[a, c] * assets[c, 1]
            out[0, a] = (cash[a] + unrealised[a]) * terms[0] + marks + worth
            out[3, a] = worst
            out[4, a] = roll
            out[5, a] = shock
            out[6, a] = lost
            out[7, a] = terms[1] * worst
            out[8, a] = terms[1] * roll
            out[9, a] = terms[1] * shock
            out[1, a] = worst + roll + shock + lost
            out[2, a] = out[7, a] + out[8, a] + out[9, a] + lost
        return -1

    return loop

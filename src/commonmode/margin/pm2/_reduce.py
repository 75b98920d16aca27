"""Compiled reduction of accounts over a PM2 grid; imports numba.

An account is summed group by group (an expiry's options, an underlying's linear contracts) into
one vector over the scenarios; then the groups are discounted by the sign of their value, added up
and the worst scenario is taken. Nothing is ever shared between accounts, every sum runs in the
order of the account's positions, and no operation is reassociated: the bits depend neither on the
number of threads nor on how accounts are cut into chunks, and the numpy twin has the same ones.

Vectors over the scenarios are flat, `width` doubles each, and worked on eight at a time.
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
from commonmode.margin.pm2._lanes import add_change, add_linear, take_least
from commonmode.pricing.kernels._compile import widest_vectors

__all__ = ["GRID", "OUT", "accounts_loop", "finish", "sum_group"]

Int32Array = NDArray[np.int32]

GRID: Final = (
    IN_FLOAT,
    IN_PAIRS,
    IN_FLOAT,
    IN_TABLE,
    IN_INT,
    IN_FLOAT,
    IN_TABLE,
    IN_TABLE,
    IN_LONG,
    IN_FLOAT,
    types.int64,
)
OUT: Final = (types.float64[:, ::1], types.int16[::1])
_ACCOUNTS: Final = types.int64(
    *GRID, IN_LONG, IN_INT, IN_FLOAT, IN_FLOAT, IN_FLOAT, IN_TABLE, *OUT, types.int64, types.int64
)


@helper
def sum_group(
    rows: FloatArray,
    kind: Int32Array,
    linear_oracle: FloatArray,
    instrument: Int32Array,
    quantity: FloatArray,
    low: int,
    high: int,
    coins_at: int,
    width: int,
    values: FloatArray,
    place: int,
    scalars: FloatArray,
) -> int:
    """Sum the positions from `low` on that are in the group of the first; gives the next one.

    Vector `place` of `values` gets the sum; `scalars` the naked shorts and gross size in coins, the
    linear contracts' charge for doubtful feeds in USD and the gross size of perpetuals. It stops
    where the positions are not in the order of the table.
    """
    group = kind[instrument[low], 0]
    strike = np.int32(-1)
    before = np.int32(-1)
    naked = 0.0
    net = 0.0
    gross = 0.0
    oracle = 0.0
    perp = 0.0
    first = place * width
    empty = True
    p = low
    while p < high:
        i = instrument[p]
        if i < before or i >= kind.shape[0] or kind[i, 0] != group:
            break
        before = i
        q = quantity[p]
        p += 1
        if q == 0.0:
            continue
        row = i * width
        if empty:
            # Not cleared first: LLVM would call memset, which costs more than all of the rest.
            for s in range(0, width, 8):
                scale(values, first + s, rows, row + s, q)
            empty = False
        else:
            for s in range(0, width, 8):
                add_scaled(values, first + s, rows, row + s, q)
        coins = q * rows[row + coins_at]
        if kind[i, 1] != strike:
            naked += max(-net, 0.0)
            net = 0.0
            strike = kind[i, 1]
        net += coins
        gross += abs(coins)
        oracle += abs(q) * linear_oracle[i]
        if kind[i, 2] == 1:
            perp += abs(coins)
    scalars[place, 0] = naked + max(-net, 0.0)
    scalars[place, 1] = gross
    scalars[place, 2] = oracle
    scalars[place, 3] = perp
    return p


@helper
def finish(
    used: int,
    ids: Int32Array,
    values: FloatArray,
    scalars: FloatArray,
    groups: FloatArray,
    group_underlying: Int32Array,
    scenarios: FloatArray,
    underlyings: FloatArray,
    assets: FloatArray,
    follows: IntArray,
    terms: FloatArray,
    count: int,
    width: int,
    cash: float,
    unrealised: float,
    collateral: FloatArray,
    total: FloatArray,
    home: NDArray[np.bool_],
    out: FloatArray,
    worst: NDArray[np.int16],
    a: int,
) -> None:
    """The account's margin from the sums of its groups, into column `a` of `out`."""
    expiries = groups.shape[0] - underlyings.shape[0]
    n_assets = assets.shape[0]
    homes = 0
    for u in range(home.shape[0]):
        home[u] = False
    for k in range(used):
        u = group_underlying[ids[k]]
        homes += 0 if home[u] else 1
        home[u] = True
    if homes == 0:
        # Without a position: the underlyings that the collateral follows.
        for c in range(n_assets):
            u = follows[c]
            if u >= 0 and collateral[a, c] != 0.0 and not home[u]:
                home[u] = True
                homes += 1
        if homes == 0 and home.shape[0] == 1:
            home[0] = True
    loss = 0.0
    marks = 0.0
    naked = 0.0
    perps = 0.0
    oracle = 0.0
    deepest = 0.0
    binding = -1
    confidence = 1.0
    k = 0
    for u in range(home.shape[0]):
        if not home[u]:
            continue
        spot = underlyings[u, 0]
        if underlyings[u, 1] < confidence:
            confidence = underlyings[u, 1]
        elif underlyings[u, 1] != underlyings[u, 1]:
            oracle = np.nan
        delta = 0.0
        for c in range(n_assets):
            if follows[c] == u and collateral[a, c] != 0.0:
                delta += collateral[a, c] * assets[c, 0]
        for s in range(0, width, 8):
            scale(total, s, scenarios, width + s, delta)
        basis = 0.0
        plain = 0.0
        doubtful = 0.0
        perp = 0.0
        while k < used and group_underlying[ids[k]] == u:
            g = ids[k]
            first = k * width
            mark = values[first + count + 2]
            marks += mark
            if g >= expiries:
                for s in range(0, width, 8):
                    add_linear(total, s, values, first + s)
                perps += scalars[k, 1] * spot
                oracle += scalars[k, 2]
                perp += scalars[k, 3]
            else:
                long = groups[g, 0]
                short = groups[g, 1]
                for s in range(0, width, 8):
                    add_change(
                        total, s, values, first + s, scenarios, 2 * width + s, long, short, mark
                    )
                up = values[first + count] - mark
                lost = min(up, values[first + count + 1] - mark)
                basis += min(lost, 0.0) * groups[g, 2]
                naked += scalars[k, 0] * spot
                plain += scalars[k, 1] * groups[g, 3]
                doubtful += scalars[k, 1] * groups[g, 4]
            k += 1
        for lane in range(8):
            total[width + lane] = basis
        for s in range(0, width, 8):
            take_least(total, s, total, s, scenarios, s, scenarios, 3 * width + s, total, width)
        least = basis
        for lane in range(8):
            least = min(least, total[width + lane])
        at = count
        if least < basis:
            at = 0
            while total[at] != least:
                at += 1
        loss -= least
        oracle += doubtful if perp != 0.0 else plain
        if binding < 0 or least < deepest:
            deepest = least
            binding = at
    held = 0.0
    kept = 0.0
    more = 0.0
    for c in range(n_assets):
        if collateral[a, c] == 0.0:
            continue
        worth = collateral[a, c] * assets[c, 0]
        u = follows[c]
        first = 3 if u >= 0 and home[u] else 5
        held += worth
        kept += worth * assets[c, first]
        more += worth * assets[c, first + 1]
        sure = confidence if confidence < assets[c, 1] else assets[c, 1]
        if sure < assets[c, 2]:
            oracle += (1.0 - sure) * terms[8] * worth
    out[0, a] = cash + unrealised + held + marks
    out[3, a] = terms[0] * loss
    out[4, a] = terms[2] * loss
    out[5, a] = naked * (terms[5] + terms[6])
    out[6, a] = perps * (terms[3] + terms[4])
    out[7, a] = kept + more
    out[8, a] = oracle
    out[9, a] = terms[1] * loss
    out[10, a] = naked * terms[5]
    out[11, a] = perps * terms[3]
    out[12, a] = kept
    out[1, a] = out[3, a] + out[4, a] + out[5, a] + out[6, a] + out[7, a] + out[8, a]
    out[2, a] = out[9, a] + out[10, a] + out[11, a] + out[12, a]
    worst[a] = binding


def accounts_loop(width: int) -> Callable[..., Any]:
    """The compiled loop over accounts ``low .. high - 1``, for rows of `width` columns.

    It takes the arrays of a grid and the number of scenarios, those of the accounts, the output
    (13, A) and the binding scenarios (A,), low and high. It gives -1, or the first account whose
    positions are not in the order of the instrument table.
    """
    stamp = stamp_of(__file__)

    @njit(_ACCOUNTS, cache=True, nogil=True, error_model="numpy", boundscheck=False)
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
        offsets: IntArray,
        instrument: Int32Array,
        quantity: FloatArray,
        cash: FloatArray,
        unrealised: FloatArray,
        collateral: FloatArray,
        out: FloatArray,
        worst: NDArray[np.int16],
        low: int,
        high: int,
    ) -> int:
        first = low + widest_vectors(stamp) - stamp
        n = groups.shape[0] + 1
        values = np.empty(n * width)
        scalars = np.empty((n, 4))
        ids = np.empty(n, np.int32)
        total = np.empty(width + 8)
        home = np.empty(underlyings.shape[0], np.bool_)
        for a in range(first, high):
            p = offsets[a]
            end = offsets[a + 1]
            used = 0
            last = -1
            while p < end:
                if instrument[p] < last or instrument[p] >= kind.shape[0]:
                    return a
                g = kind[instrument[p], 0]
                p = sum_group(
                    rows, kind, linear_oracle, instrument, quantity, p, end, count + 3, width,
                    values, used, scalars,
                )  # fmt: skip
                last = instrument[p - 1]
                if scalars[used, 1] != 0.0:
                    ids[used] = g
                    used += 1
            finish(
                used, ids, values, scalars, groups, group_underlying, scenarios, underlyings,
                assets, follows, terms, count, width, cash[a], unrealised[a], collateral, total,
                home, out, worst, a,
            )  # fmt: skip
        return -1

    return loop

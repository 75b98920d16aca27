"""Exact attribution of a PM2 requirement to what an account holds.

Under the scenario that sets the requirement, the discount factor of each expiry is fixed by the
sign of its value, so the loss is linear in the positions and Euler's rule splits it without a
remainder: a leg's part is its own change in value, discounted with its expiry. Charges go to what
causes them: naked shorts to all legs of that strike (a long one lowers it), the rest to the leg by
its own size.
"""

from __future__ import annotations

import math

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.margin.accounts import Accounts
from commonmode.margin.method import Legs
from commonmode.margin.pm2 import faults
from commonmode.margin.pm2.grid import PM2Grid
from commonmode.margin.pm2.reduce import (
    GroupSums,
    Profile,
    group_sums,
    home_underlyings,
    reduce_numpy,
    scenario_profits,
)

__all__ = ["account_legs"]


def _option_change(
    grid: PM2Grid, value: FloatArray, group: int, rows: FloatArray, at: int
) -> FloatArray:
    """Change in value of an expiry's positions, (n, W), in scenario `at`; sums to the expiry's."""
    mark = grid.count + 2
    if at == grid.count:
        side = grid.count if value[grid.count] <= value[grid.count + 1] else grid.count + 1
        if value[side] - value[mark] >= 0.0:
            return np.zeros(len(rows))
        return np.asarray((rows[:, side] - rows[:, mark]) * grid.groups[group, 2])
    factor = grid.groups[group, 0 if value[at] >= 0.0 else 1]
    change = rows[:, at] * factor - rows[:, mark]
    if grid.scenarios[2, at] != 0.0 and value[at] * factor - value[mark] > 0.0:
        change = -change
    return np.asarray(change * grid.scenarios[0, at])


def _charges(
    grid: PM2Grid, sums: GroupSums, k: int, rows: FloatArray, strike: FloatArray, doubtful: bool
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(maintenance, initial on top, oracle) charges of one expiry's positions."""
    group = int(sums.group[k])
    spot = grid.underlyings[grid.group_underlying[group], 0]
    coins = rows[:, grid.count + 3]
    _, where = np.unique(strike, return_inverse=True)
    net = np.bincount(where, weights=coins)
    naked = np.where(net[where] < 0.0, -coins, 0.0) * spot
    oracle = np.abs(coins) * grid.groups[group, 4 if doubtful else 3]
    return naked * grid.terms[5], naked * grid.terms[6], oracle


def _exact(parts: FloatArray, whole: float) -> FloatArray:
    """The parts with the last bits of rounding put on one, so that their exact sum is `whole`.

    On the largest that can carry them: a large number may be too coarse.
    """
    for at in np.argsort(-np.abs(parts), kind="stable"):
        if math.fsum(parts.tolist()) == whole:
            break
        moved = parts.copy()
        moved[at] += math.fsum([whole, *(-parts).tolist()])
        if math.fsum(moved.tolist()) == whole:
            parts = moved
    return parts


def _setting(grid: PM2Grid, pairs: Profile) -> list[int]:
    """The scenario that sets each underlying's loss; S is the basis contingency."""
    found = []
    for pnl, basis in zip(pairs.pnl, pairs.basis, strict=True):
        at = int(np.argmin(pnl))
        found.append(at if pnl[at] < basis else grid.count)
    return found


def account_legs(grid: PM2Grid, account: Accounts) -> Legs:
    """Split the requirement of one account over its contracts and collateral.

    Parameters
    ----------
    grid : PM2Grid
    account : Accounts
        Of one row.

    Returns
    -------
    Legs
        One entry per position that is not zero, in the account's order, then one per asset held;
        ``math.fsum`` of the parts is the requirement. With several underlyings `scenario` names
        one for each.

    Raises
    ------
    DataError
        If the account cannot be margined.
    """
    out, _ = reduce_numpy(grid, account)
    if account.failures or not np.isfinite(out[:3]).all():
        why = faults.account_failure(account, grid.market, grid.parameters, grid.fault, 0)
        raise DataError(f"account {account.ids[0]}: {why.message}", remedy=why.remedy)
    kept = account.quantity != 0.0
    instrument, quantity = account.instrument[kept].astype(np.int64), account.quantity[kept]
    rows = quantity[:, None] * grid.rows[instrument]
    group, strike, perp = grid.kind[instrument].T
    sums = group_sums(grid, account)
    home = home_underlyings(grid, account, sums)
    pairs, _ = scenario_profits(grid, account, sums, home)
    setting = _setting(grid, pairs)
    assets = np.flatnonzero(account.collateral[0] != 0.0)
    worth = account.collateral[0, assets] * grid.assets[assets, 0]
    n = len(instrument)
    profit, mm, im, oracle = (np.zeros(n + len(assets)) for _ in range(4))
    for u, at in zip(pairs.underlying.tolist(), setting, strict=True):
        held = bool(np.any((grid.group_underlying[group] == u) & (perp == 1)))
        for k in np.flatnonzero(grid.group_underlying[sums.group] == u):
            own = np.flatnonzero(group == sums.group[k])
            if sums.group[k] >= len(grid.market.expiries):
                notional = np.abs(rows[own, grid.count + 3]) * grid.underlyings[u, 0]
                if at < grid.count:
                    profit[own] = rows[own, at] * grid.scenarios[0, at]
                mm[own], im[own] = notional * grid.terms[3], notional * grid.terms[4]
                oracle[own] = np.abs(quantity[own]) * grid.linear_oracle[instrument[own]]
            else:
                profit[own] = _option_change(
                    grid, sums.values[k], int(sums.group[k]), rows[own], at
                )
                mm[own], im[own], oracle[own] = _charges(
                    grid, sums, int(k), rows[own], strike[own], held
                )
        if at < grid.count:
            follows = grid.asset_follows[assets] == u
            shock = grid.scenarios[0, at] * grid.scenarios[1, at]
            profit[n:] += np.where(follows, worth * shock, 0.0)
    confidence = min(1.0, *grid.underlyings[home[0], 1]) if home.any() else 1.0
    for at, c in enumerate(assets.tolist(), start=n):
        follows_u = int(grid.asset_follows[c])
        first = 3 if follows_u >= 0 and home[0, follows_u] else 5
        mm[at], im[at] = worth[at - n] * grid.assets[c, first : first + 2]
        sure = min(confidence, grid.assets[c, 1])
        if sure < grid.assets[c, 2]:
            oracle[at] = (1.0 - sure) * grid.terms[8] * worth[at - n]
    initial = -(grid.terms[0] + grid.terms[2]) * profit + mm + im + oracle
    names = np.concatenate(
        (grid.market.instruments.instrument[instrument], grid.market.assets.name[assets])
    ).astype(np.str_)
    return Legs(
        leg=names,
        initial=_exact(initial, float(out[1, 0])),
        maintenance=_exact(-grid.terms[1] * profit + mm, float(out[2, 0])),
        scenario="; ".join(
            f"{grid.market.underlyings.name[u]}: {grid.labels[at]}"
            for u, at in zip(pairs.underlying.tolist(), setting, strict=True)
        ),
    )

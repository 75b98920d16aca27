"""Accounts over a PM2 grid in numpy: the twin of the compiled loop, operation by operation.

Sums run in the order of the positions (the r-th position of every group at once), so that the
result has the bits of the compiled loop, not only its value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.margin.accounts import Accounts
from commonmode.margin.pm2.grid import PM2Grid

__all__ = [
    "OUTPUTS",
    "GroupSums",
    "Profile",
    "group_sums",
    "home_underlyings",
    "out_of_order",
    "profile",
    "reduce_numpy",
    "scenario_profits",
]

OUTPUTS: Final = (
    "equity",
    "initial",
    "maintenance",
    "initial.scenario_loss",
    "initial.peg",
    "initial.naked_shorts",
    "initial.perpetuals",
    "initial.collateral",
    "initial.oracle",
    "maintenance.scenario_loss",
    "maintenance.naked_shorts",
    "maintenance.perpetuals",
    "maintenance.collateral",
)
"""Rows of the output of a reduction."""

_BLOCK: Final = 8192


@dataclass(frozen=True, slots=True, eq=False)
class GroupSums:
    """Positions of the accounts summed by (account, group); K of them.

    Attributes
    ----------
    account, group : int64, shape (K,)
    values : float64, shape (K, W)
        Weighted rows of the grid, USD.
    naked, gross, perp : float64, shape (K,)
        Naked shorts, gross size and gross size of perpetuals, coins.
    oracle : float64, shape (K,)
        What linear contracts are charged for doubtful feeds, USD.
    """

    account: IntArray
    group: IntArray
    values: FloatArray
    naked: FloatArray
    gross: FloatArray
    oracle: FloatArray
    perp: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Scenario profits of the (account, underlying) pairs; N of them.

    Attributes
    ----------
    account, underlying : int64, shape (N,)
    pnl : float64, shape (N, S)
        Damped profit in each scenario, USD.
    basis : float64, shape (N,)
        The basis contingency, <= 0, USD.
    """

    account: IntArray
    underlying: IntArray
    pnl: FloatArray
    basis: FloatArray


def out_of_order(account: str) -> DataError:
    """The error for positions that a reduction cannot read."""
    return DataError(
        f"account {account}: its positions are not in the order of the instrument table",
        remedy="build the accounts with margin.portfolio, against this market",
    )


def _summed(into: IntArray, weights: FloatArray, n: int) -> FloatArray:
    """Weights summed by row, in their order, shape (n,)."""
    return np.bincount(into, weights=weights, minlength=n).astype(np.float64, copy=False)


def _rank(starts: IntArray, n: int) -> IntArray:
    """Position within its run, for runs that begin at `starts` and end at n."""
    return np.arange(n) - np.repeat(starts, np.diff(np.append(starts, n)))


def _starts(*keys: IntArray) -> IntArray:
    """Where one of the columns changes."""
    n = len(keys[0])
    change = np.zeros(n, dtype=np.bool_)
    change[:1] = True
    for key in keys:
        change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)


def _ordered(terms: FloatArray, rank: IntArray, into: IntArray, out: FloatArray) -> FloatArray:
    """``out[into] += terms``, in ascending rank, each rank at once; terms of shape (n, W)."""
    for r in range(int(rank.max()) + 1 if len(rank) else 0):
        rows = rank == r
        out[into[rows]] += terms[rows]
    return out


def group_sums(grid: PM2Grid, accounts: Accounts) -> GroupSums:
    """Positions that are not zero, summed by account and group in their order."""
    kept = accounts.quantity != 0.0
    account, quantity = accounts.row[kept], accounts.quantity[kept]
    instrument = accounts.instrument[kept].astype(np.int64)
    group, strike, perp = grid.kind[instrument].T.astype(np.int64)
    starts = _starts(account, group)
    n, k = len(account), len(starts)
    run = np.repeat(np.arange(k), np.diff(np.append(starts, n)))
    rows = grid.rows[instrument]
    values = _ordered(quantity[:, None] * rows, _rank(starts, n), run, np.zeros((k, rows.shape[1])))
    coins = quantity * rows[:, grid.count + 3]
    strikes = _starts(account, group, strike)
    net = _summed(
        np.repeat(np.arange(len(strikes)), np.diff(np.append(strikes, n))),
        coins,
        len(strikes),
    )
    return GroupSums(
        account=account[starts],
        group=group[starts],
        values=values,
        naked=_summed(run[strikes], np.maximum(-net, 0.0), k),
        gross=_summed(run, np.abs(coins), k),
        oracle=_summed(run, np.abs(quantity) * grid.linear_oracle[instrument], k),
        perp=_summed(run, np.abs(coins) * (perp == 1), k),
    )


def home_underlyings(grid: PM2Grid, accounts: Accounts, groups: GroupSums) -> BoolArray:
    """Underlyings that each account is margined on, shape (A, U)."""
    home = np.zeros((len(accounts), len(grid.underlyings)), dtype=np.bool_)
    home[groups.account, grid.group_underlying[groups.group]] = True
    bare = ~home.any(axis=1)
    for c in np.flatnonzero(grid.asset_follows >= 0):
        home[bare & (accounts.collateral[:, c] != 0.0), grid.asset_follows[c]] = True
    if home.shape[1] == 1:
        home[:, 0] = True
    return home


def _changes(grid: PM2Grid, groups: GroupSums) -> FloatArray:
    """What each group adds to its account's scenarios, shape (K, S)."""
    s = grid.count
    value = groups.values[:, :s]
    factors = grid.groups[groups.group]
    factor = np.where(value >= 0.0, factors[:, 0, None], factors[:, 1, None])
    change = value * factor - groups.values[:, s + 2, None]
    change = np.where(grid.scenarios[2, :s] != 0.0, -np.abs(change), change)
    linear = groups.group >= len(grid.market.expiries)
    return np.where(linear[:, None], value, change)


def scenario_profits(
    grid: PM2Grid, accounts: Accounts, groups: GroupSums, home: BoolArray
) -> tuple[Profile, IntArray]:
    """Scenario profits per (account, underlying), and the pair of every group."""
    s = grid.count
    account, underlying = np.nonzero(home)
    number = np.full(home.shape, -1)
    number[account, underlying] = np.arange(len(account))
    own = number[groups.account, grid.group_underlying[groups.group]]
    delta = np.zeros(len(account))
    for c in np.flatnonzero(grid.asset_follows >= 0):
        amount = accounts.collateral[account, c]
        rows = (underlying == grid.asset_follows[c]) & (amount != 0.0)
        delta[rows] += amount[rows] * grid.assets[c, 0]
    total = delta[:, None] * grid.scenarios[1, :s]
    total = _ordered(_changes(grid, groups), _rank(_starts(own), len(own)), own, total)
    mark = groups.values[:, s + 2]
    lost = np.minimum(groups.values[:, s] - mark, groups.values[:, s + 1] - mark)
    basis = _summed(
        own,
        np.minimum(lost, 0.0) * grid.groups[groups.group, 2],
        len(account),
    )
    return Profile(account, underlying, grid.scenarios[0, :s] * total, basis), own


def profile(grid: PM2Grid, accounts: Accounts) -> Profile:
    """Profit of every account in every scenario; for a report, not for a million accounts.

    Collateral that follows the underlying and perpetuals are in it.
    """
    groups = group_sums(grid, accounts)
    return scenario_profits(grid, accounts, groups, home_underlyings(grid, accounts, groups))[0]


def _block(grid: PM2Grid, accounts: Accounts, out: FloatArray, worst: IntArray) -> None:
    terms, n = grid.terms, len(accounts)
    groups = group_sums(grid, accounts)
    home = home_underlyings(grid, accounts, groups)
    pairs, own = scenario_profits(grid, accounts, groups, home)
    linear = groups.group >= len(grid.market.expiries)
    spot = grid.underlyings[grid.group_underlying[groups.group], 0]

    def per_account(of: IntArray, weights: FloatArray) -> FloatArray:
        return _summed(of, weights, n)

    def per_pair(weights: FloatArray) -> FloatArray:
        return _summed(own, weights, len(pairs.account))

    least, at = pairs.basis.copy(), np.full(len(pairs.basis), grid.count)
    for s in range(grid.count):
        lower = pairs.pnl[:, s] < least
        least, at = np.where(lower, pairs.pnl[:, s], least), np.where(lower, s, at)
    loss = per_account(pairs.account, -least)
    deepest = np.full(n, np.inf)
    for pair in np.argsort(pairs.underlying, kind="stable"):
        a = pairs.account[pair]
        if not deepest[a] <= least[pair]:
            deepest[a], worst[a] = least[pair], at[pair]
    factors = grid.groups[groups.group]
    plain = per_pair(np.where(linear, 0.0, groups.gross * factors[:, 3]))
    doubtful = per_pair(np.where(linear, 0.0, groups.gross * factors[:, 4]))
    charge = np.where(per_pair(np.where(linear, groups.perp, 0.0)) != 0.0, doubtful, plain)
    contracts = per_pair(np.where(linear, groups.oracle, 0.0))
    oracle = per_account(np.repeat(pairs.account, 2), np.stack([contracts, charge], axis=1).ravel())
    known = np.where(home, grid.underlyings[:, 1], 1.0)
    oracle[np.isnan(known).any(axis=1)] = np.nan
    confidence = np.minimum(known.min(axis=1, initial=1.0), 1.0)
    held, kept, more = np.zeros(n), np.zeros(n), np.zeros(n)
    for c, asset in enumerate(grid.assets):
        amount = accounts.collateral[:, c]
        u = int(grid.asset_follows[c])
        shocked = home[:, u] if u >= 0 else np.zeros(n, dtype=np.bool_)
        worth = np.where(amount != 0.0, amount * asset[0], 0.0)
        used = amount != 0.0
        held = np.where(used, held + worth, held)
        kept = np.where(used, kept + worth * np.where(shocked, asset[3], asset[5]), kept)
        more = np.where(used, more + worth * np.where(shocked, asset[4], asset[6]), more)
        sure = np.where(confidence < asset[1], confidence, asset[1])
        unsure = used & (sure < asset[2])
        oracle = np.where(unsure, oracle + (1.0 - sure) * terms[8] * worth, oracle)
    naked = per_account(groups.account, np.where(linear, 0.0, groups.naked * spot))
    perps = per_account(groups.account, np.where(linear, groups.gross * spot, 0.0))
    marks = per_account(groups.account, groups.values[:, grid.count + 2])
    out[0] = accounts.cash + accounts.unrealised + held + marks
    out[3], out[4] = terms[0] * loss, terms[2] * loss
    out[5], out[6] = naked * (terms[5] + terms[6]), perps * (terms[3] + terms[4])
    out[7], out[8] = kept + more, oracle
    out[9], out[10] = terms[1] * loss, naked * terms[5]
    out[11], out[12] = perps * terms[3], kept
    out[1] = out[3] + out[4] + out[5] + out[6] + out[7] + out[8]
    out[2] = out[9] + out[10] + out[11] + out[12]


def reduce_numpy(grid: PM2Grid, accounts: Accounts) -> tuple[FloatArray, IntArray]:
    """Margin of every account.

    Returns
    -------
    out : float64, shape (13, A)
        The rows of :data:`OUTPUTS`; NaN for an account that holds what cannot be margined.
    worst : int64, shape (A,)
        The scenario that sets the requirement (S: the basis contingency; with several
        underlyings the one that loses most), -1 for none.

    Raises
    ------
    DataError
        If positions are not in the order of the instrument table.
    """
    n, instrument = len(accounts), accounts.instrument
    row = accounts.row
    steps = (np.diff(instrument) < 0) & (np.diff(row) == 0)
    outside = (instrument < 0) | (instrument >= len(grid.rows))
    wrong = np.flatnonzero(np.append(False, steps)[: len(row)] | outside)
    if len(wrong):
        raise out_of_order(str(accounts.ids[row[wrong[0]]]))
    out, worst = np.zeros((len(OUTPUTS), n)), np.full(n, -1, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        for low in range(0, n, _BLOCK):
            part = np.arange(low, min(low + _BLOCK, n))
            _block(grid, accounts.select(part), out[:, part[0] : part[-1] + 1], worst[part[0] :])
    return out, worst

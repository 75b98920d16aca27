"""Accounts summed ledger by ledger in numpy: for attribution, and for the compiled loop's twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin._columns import Columns, starts_of, sums
from commonmode.margin.deribit.aggregate import (
    WorstCase,
    aggregated_pnl,
    delta_shock,
    worst_case,
)
from commonmode.margin.deribit.grid import DELTA, DeribitGrid
from commonmode.margin.deribit.scenarios import SCENARIOS, scenario_grid

__all__ = ["Ledgers", "ledgers_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Ledgers:
    """One row per account and ledger that it has positions in; USD.

    Attributes
    ----------
    of : int64, shape (P,)
        Row of each position.
    account, ledger : int64, shape (N,)
    kept : float64, shape (N, S)
        Part of the profit that enters the worst case.
    pnl : float64, shape (N, S)
        Profit before dampener and offset.
    pool : int64, shape (N,)
        Row of ``worst``: ledgers whose profits are added scenario by scenario.
    pool_account : int64, shape (pools,)
    worst : WorstCase
        Of each pool.
    expiry_of : int64, shape (P,)
        Row of ``expiry_delta``: the expiry of a ledger.
    expiry_delta : float64
        Net delta, coins.
    delta : float64, shape (N,)
        Net delta, coins.
    roll, shock : float64, shape (N,)
    """

    of: IntArray
    account: IntArray
    ledger: IntArray
    kept: FloatArray
    pnl: FloatArray
    pool: IntArray
    pool_account: IntArray
    worst: WorstCase
    expiry_of: IntArray
    expiry_delta: FloatArray
    delta: FloatArray
    roll: FloatArray
    shock: FloatArray


def ledgers_of(grid: DeribitGrid, columns: Columns) -> Ledgers:
    """Sum positions; each sum in their order, so that the compiled loop has the same bits."""
    ledger, expiry = grid.kind[columns.instrument].T.astype(np.int64)
    # By ledger, then account: the rows of a ledger are one slice of the tables below.
    key = ledger * (int(columns.account[-1]) + 1 if len(columns.account) else 1)
    key = key + columns.account
    order = np.argsort(key, kind="stable")
    start = starts_of(key[order])
    group = np.empty(len(key), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(key))))
    at = order[start]
    account, own = columns.account[at], ledger[at]
    book = csr_array(
        (columns.coins[order], columns.instrument[order], np.append(start, len(key))),
        shape=(len(start), len(grid.rows)),
    )
    pnl = np.asarray(book @ grid.rows[:, :SCENARIOS], dtype=np.float64)
    deltas = columns.coins * grid.rows[columns.instrument, DELTA]
    delta = sums(group, deltas, len(start))
    keys, expiry_of = np.unique(group * len(grid.rates) + expiry, return_inverse=True)
    expiry_delta = sums(expiry_of, deltas, len(keys))
    owner, which = np.divmod(keys, max(len(grid.rates), 1))
    roll = sums(owner, np.abs(expiry_delta) * grid.rates[which], len(start))
    kept, shock = np.zeros_like(pnl), np.zeros(len(start))
    for one in np.unique(own).tolist():
        terms = grid.terms(one)
        if terms is None:
            continue
        pair, money = terms
        price, index = grid.ledgers[one, 0], grid.ledgers[one, 6]
        rows = slice(*np.searchsorted(own, [one, one + 1]).tolist())
        forgiven = grid.forgiven[one, :SCENARIOS]
        kept[rows] = price * aggregated_pnl(pnl[rows], scenario_grid(pair), forgiven, money, price)
        pnl[rows] *= price
        shock[rows] = delta_shock(delta[rows], index, pair) * index
    # A ledger that stands alone is a pool by itself; all others of an account are its last pool.
    pools = len(grid.number) + 1
    number = np.where(grid.alone[own], own, pools - 1)
    pool_keys, pool = np.unique(account * pools + number, return_inverse=True)
    members = csr_array(
        (np.ones(len(pool)), (pool, np.arange(len(pool)))), shape=(len(pool_keys), len(pool))
    )
    return Ledgers(
        of=group,
        account=account,
        ledger=own,
        kept=kept,
        pnl=pnl,
        pool=pool.astype(np.int64),
        pool_account=pool_keys // pools,
        worst=worst_case(np.asarray(members @ kept, dtype=np.float64)),
        expiry_of=expiry_of.astype(np.int64),
        expiry_delta=expiry_delta,
        delta=delta,
        roll=roll * grid.ledgers[own, 0],
        shock=shock,
    )

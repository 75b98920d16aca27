"""Thresholds of random accounts under PM2: real zeros, right signs, no account harms another."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.margin import Accounts
from commonmode.margin.gate_probes import probe_accounts, random_books, reference_market
from commonmode.margin.moves import carried
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import shipped_parameters
from commonmode.margin.roots import RootKind, RootSearch
from commonmode.margin.thresholds import find_thresholds

MARKET = reference_market(days=(7, 91), moneyness=(0.8, 1.0, 1.25))
METHOD = PM2(shipped_parameters("2026-09-24"), engine="numpy")
SEARCH = RootSearch(low=0.4, high=2.5, points=37, tolerance=1e-8)
SEEDS = st.integers(0, 2**31)


def drawn(seed: int, count: int) -> Accounts:
    rng = np.random.default_rng(seed)
    accounts = probe_accounts(random_books(MARKET, rng, count))
    cash = rng.uniform(-30_000.0, 120_000.0, count)
    return Accounts(
        accounts.ids,
        accounts.offsets,
        accounts.instrument,
        accounts.quantity,
        cash,
        accounts.unrealised,
        accounts.collateral,
    )


def balance(accounts: Accounts, row: int, factor: float) -> float:
    there = MARKET.shifted(spot=factor)
    one = carried(accounts.select(np.array([row])), MARKET, there)
    return float(METHOD.margin(one, there).maintenance_balance[0])


@given(SEEDS)
@settings(max_examples=8)
def test_zeros_are_zeros_and_signs_alternate(seed: int) -> None:
    accounts = drawn(seed, 4)
    found = find_thresholds(accounts, MARKET, METHOD, search=SEARCH)
    scale = 1e-5 * float(MARKET.underlyings.spot[0])
    for k in np.nonzero(found.kind == RootKind.ROOT.value)[0]:
        row = int(found.account[k])
        assert abs(balance(accounts, row, float(found.factor[k]))) < scale
        assert (balance(accounts, row, float(found.high[k])) >= 0) == found.rising[k]
        assert (balance(accounts, row, float(found.low[k])) < 0) == found.rising[k]
    for row in range(len(accounts)):
        mine = (found.account == row) & (found.kind != RootKind.TOUCH.value)
        healthy = [bool(found.balance[row] >= 0)]
        below = found.rising[mine & (found.factor < 1)]
        above = found.rising[mine & (found.factor > 1)]
        assert below.tolist()[::-1] == [healthy[0] ^ bool(i % 2) for i in range(len(below))]
        assert above.tolist() == [(not healthy[0]) ^ bool(i % 2) for i in range(len(above))]


@given(SEEDS)
@settings(max_examples=6)
def test_neither_order_nor_a_failed_account_matters(seed: int) -> None:
    accounts = drawn(seed, 4)
    found = find_thresholds(accounts, MARKET, METHOD, search=SEARCH)
    order = np.array([2, 0, 3, 1])
    mixed = find_thresholds(accounts.select(order), MARKET, METHOD, search=SEARCH)
    for new, old in enumerate(order):
        np.testing.assert_allclose(mixed.of(new), found.of(int(old)), rtol=1e-7)
    np.testing.assert_allclose(mixed.distance, found.distance[order], rtol=1e-6)
    cash = accounts.cash.copy()
    cash[1] = math.nan
    lost = find_thresholds(
        Accounts(
            accounts.ids,
            accounts.offsets,
            accounts.instrument,
            accounts.quantity,
            cash,
            accounts.unrealised,
            accounts.collateral,
        ),
        MARKET,
        METHOD,
        search=SEARCH,
    )
    assert list(lost.failures) == [1]
    assert not len(lost.of(1))
    for row in (0, 2, 3):
        np.testing.assert_allclose(lost.of(row), found.of(row), rtol=1e-7)

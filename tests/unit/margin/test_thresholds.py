"""Thresholds, liquidation surface and the accounts nearest to liquidation."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.margin.gate_probes import reference_market
from commonmode.margin.moves import carried
from commonmode.margin.nearest import MARKS, nearest
from commonmode.margin.roots import RootKind, RootSearch
from commonmode.margin.surface import liquidation_surface
from commonmode.margin.thresholds import Level, Side, daily_vol, find_thresholds
from linear_margin import ShareMargin, accounts_of

S = 100_000.0
MARKET = reference_market(spot=S, rate=0.0)
PERP = "BTC-PERPETUAL"
SEARCH = RootSearch(low=0.3, high=3.0, points=61)


def test_perpetual_against_the_formula() -> None:
    # Long: cash + S (f - 1) = share S f; short: cash + S (1 - f) = share S f.
    cash, share = 20_000.0, 0.05
    accounts = accounts_of(MARKET, [{PERP: 1.0}, {PERP: -1.0}, {}], cash=[cash, cash, 1.0])
    found = find_thresholds(accounts, MARKET, ShareMargin(share), search=SEARCH)
    down, up = (1.0 - cash / S) / (1.0 - share), (1.0 + cash / S) / (1.0 + share)
    np.testing.assert_allclose(found.factor, [down, up], rtol=1e-9)
    np.testing.assert_allclose(found.down, [down, math.nan, math.nan], rtol=1e-9)
    np.testing.assert_allclose(found.up, [math.nan, up, math.nan], rtol=1e-9)
    np.testing.assert_allclose(found.distance, [1.0 - down, up - 1.0, math.inf], rtol=1e-7)
    assert found.side.tolist() == [Side.DOWN.value, Side.UP.value, Side.NONE.value]
    sigma = daily_vol(accounts, MARKET)
    np.testing.assert_allclose(sigma[:2], 0.55 / math.sqrt(365.0), rtol=0.02)
    np.testing.assert_allclose(found.daily_vols[:2], np.abs(np.log([down, up])) / sigma[:2])
    assert found.spot == S


def test_collateral_in_the_same_asset_moves_with_the_zero() -> None:
    # A coin less its cut, against a debt of cash: healthy while 0.9 f S + cash >= 0.
    accounts = accounts_of(MARKET, [{}], cash=[-60_000.0], coins=[1.0])
    found = find_thresholds(accounts, MARKET, ShareMargin(cut=0.1), search=SEARCH)
    np.testing.assert_allclose(found.down, 0.6 / 0.9, rtol=1e-9)


def test_options_give_several_zeros_all_found() -> None:
    wings = {"BTC-30D-90000-P": -3.0, "BTC-30D-110000-C": -3.0, "BTC-30D-60000-P": 6.0}
    wings["BTC-30D-160000-C"] = 6.0
    accounts = accounts_of(MARKET, [wings], cash=[45_000.0])
    method = ShareMargin(0.02)
    found = find_thresholds(accounts, MARKET, method, search=SEARCH)

    def balance(x: float) -> float:
        there = MARKET.shifted(spot=math.exp(x))
        return float(method.margin(accounts, there).maintenance_balance[0])

    fine = np.linspace(math.log(0.3), math.log(3.0), 1500)
    values = np.array([balance(x) for x in fine])
    at = np.nonzero((values[1:] >= 0) != (values[:-1] >= 0))[0]
    answers = [math.exp(brentq(balance, fine[i], fine[i + 1], xtol=1e-13)) for i in at]
    assert len(answers) >= 4
    np.testing.assert_allclose(found.of(0), answers, rtol=1e-8)
    edges = [0.3, *found.of(0), 3.0]
    middles = [0.5 * (a + b) for a, b in itertools.pairwise(edges)]
    signs = [balance(math.log(m)) >= 0 for m in middles]
    assert all(a != b for a, b in itertools.pairwise(signs))
    assert signs[1:] == found.rising.tolist()
    assert found.side[0] == Side.BOTH.value


def test_failed_and_liquidated_accounts() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}, {PERP: 1.0}, {PERP: 1.0}], cash=[2e4, math.nan, 0])
    found = find_thresholds(accounts, MARKET, ShareMargin(), search=SEARCH)
    assert list(found.failures) == [1]
    assert found.account.tolist() == [0, 2]
    assert found.side.tolist() == [Side.DOWN.value, Side.NONE.value, Side.NOW.value]
    assert found.distance[2] == 0.0
    assert found.liquidatable.tolist() == [False, False, True]
    assert math.isnan(found.distance[1])
    assert found.up[2] == pytest.approx(1.0 / 0.95)
    assert found.gaps.tolist() == [0, len(SEARCH.grid), 0]
    alone = find_thresholds(accounts.select(np.array([0, 2])), MARKET, ShareMargin(), search=SEARCH)
    np.testing.assert_allclose(alone.factor, found.factor, rtol=1e-9)


def test_initial_is_reached_before_maintenance() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}], cash=[20_000.0])
    first = find_thresholds(accounts, MARKET, ShareMargin(), search=SEARCH, level=Level.INITIAL)
    later = find_thresholds(accounts, MARKET, ShareMargin(), search=SEARCH)
    assert later.down[0] < first.down[0] < 1.0
    assert later.balance[0] > first.balance[0]


def test_a_requirement_that_jumps_is_flagged() -> None:
    class Jumping(ShareMargin):
        def margin(self, accounts, market):  # type: ignore[no-untyped-def]
            table = ShareMargin.margin(self, accounts, market)
            step = np.where(market.underlyings.spot[0] < 0.8 * S, 10.0, 1.0)
            return replace(table, maintenance=table.maintenance * step)

    accounts = accounts_of(MARKET, [{PERP: 1.0}], cash=[50_000.0])
    found = find_thresholds(accounts, MARKET, Jumping(), search=SEARCH)
    assert found.kind.tolist() == [RootKind.JUMP.value]
    assert found.low[0] <= 0.8 <= found.high[0]


def test_profit_of_inverse_contracts_is_carried() -> None:
    market = reference_market(spot=S, rate=0.0, inverse=True)
    accounts = accounts_of(market, [{PERP: -S / 10.0}])  # one coin short, 10 USD a contract
    after = market.shifted(spot=2.0)
    # In coin: -S (1/S - 1/(2 S)) = -1/2, at the new price -S.
    np.testing.assert_allclose(carried(accounts, market, after).unrealised, -S)


def test_surface_has_the_zeros_of_each_slice() -> None:
    accounts = accounts_of(
        MARKET, [{"BTC-30D-100000-C": -1.0}, {PERP: 1.0}], cash=[30_000.0, 20_000.0]
    )
    method = ShareMargin()
    got = liquidation_surface(
        accounts, MARKET, method, vol=[0.5, 1.0, 2.0], seconds=[0.0, 31 * 86_400.0], search=SEARCH
    )
    assert got.balance.shape == (2, len(SEARCH.grid), 3, 2)
    down, up = got.nearest(0)
    assert np.all(np.isnan(down))
    assert np.all(np.diff(up[:, 0]) < 0)  # a dearer call is nearer to liquidation
    # After expiry only the payoff counts: cash = max(f S - K, 0) + share f S.
    np.testing.assert_allclose(up[:, 1], (30_000.0 + S) / (1.05 * S), rtol=1e-9)
    flat = find_thresholds(accounts, MARKET.shifted(vol=2.0), method, search=SEARCH)
    np.testing.assert_allclose(got.thresholds[2][0].factor, flat.factor, rtol=1e-9)
    zero = int(np.argmin(np.abs(SEARCH.grid)))
    np.testing.assert_array_equal(
        got.balance[:, zero, 1, 0], method.margin(accounts, MARKET).maintenance_balance
    )
    with pytest.raises(ConfigurationError, match="vol"):
        liquidation_surface(accounts, MARKET, method, vol=[])


def test_models_disagree_about_who_is_next() -> None:
    accounts = accounts_of(
        MARKET, [{"BTC-365D-100000-C": -1.0}, {PERP: -1.0}], cash=[50_000.0, 25_000.0]
    )
    calm = {ModelId("calm"): 0.4 * MARKET.vol, ModelId("wild"): 2.5 * MARKET.vol}
    got = nearest(accounts, MARKET, ShareMargin(), models=calm, top=1, search=SEARCH)
    assert got.models == (MARKS, "calm", "wild")
    assert got.next == {MARKS: "a1", "calm": "a1", "wild": "a0"}
    assert not got.unanimous
    assert sorted(got.disputed.tolist()) == [0, 1]
    np.testing.assert_array_equal(got.overlap, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert got.factor[2, 0] == 1.0  # fails already under the wild model
    assert got.distance[2, 0] == 0.0
    assert got.spread[1] == pytest.approx(0.0, abs=1e-6)
    assert got.spread[0] > 1.0
    alone = nearest(accounts, MARKET, ShareMargin(), models={}, search=SEARCH)
    assert alone.unanimous


def test_search_settings_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="root search"):
        RootSearch(low=1.5)
    with pytest.raises(ConfigurationError, match="positive"):
        RootSearch(tolerance=0.0)

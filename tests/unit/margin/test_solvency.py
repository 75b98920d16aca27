"""Liquidations and shortfalls in joint scenarios, and the fund that bears them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin import Accounts, Assets, MarginMarket, MarginTable
from commonmode.margin.gate_probes import reference_market
from commonmode.margin.moves import MarketMoves
from commonmode.margin.solvency import ProportionalCost, fund_adequacy, solvency
from linear_margin import ShareMargin, accounts_of

S = 100_000.0
MARKET = reference_market(spot=S, rate=0.0)
PERP = "BTC-PERPETUAL"
FREE, DEAR = ProportionalCost(0.0, 0.0), ProportionalCost(0.02, 0.05, 0.01)


def moves(spot: list[float], weights: list[float] | None = None) -> MarketMoves:
    column = np.array(spot)[:, None]
    w = np.ones(len(spot)) if weights is None else np.array(weights)
    return MarketMoves(column, np.ones_like(column), w)


def test_gap_against_the_formula() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}, {PERP: -2.0}], cash=[20_000.0, 60_000.0])
    spot = [0.7, 0.85, 1.0, 1.4]
    got = solvency(accounts, MARKET, ShareMargin(), moves(spot), cost=DEAR)
    # Long: equity 20 000 + S (f - 1), called where below 5 % of f S, cost 2 % of f S.
    long = [max(0.02 * f * S - (20_000.0 + S * (f - 1)), 0.0) for f in (0.7,)]
    short = [max(0.04 * 1.4 * S - (60_000.0 - 2 * S * 0.4), 0.0)]
    np.testing.assert_allclose(got.total, [long[0], 0.0, 0.0, short[0]], atol=1e-6)
    np.testing.assert_array_equal(got.liquidated, [1, 0, 0, 1])
    np.testing.assert_allclose(got.probability, [0.25, 0.25])
    np.testing.assert_allclose(got.standard_error, math.sqrt(0.25 * 0.75 / 4))
    np.testing.assert_allclose(got.loss_given_liquidation, [long[0], short[0]])
    np.testing.assert_allclose(got.cost_given_liquidation, [0.02 * 0.7 * S, 0.04 * 1.4 * S])
    np.testing.assert_allclose(got.liquidated_notional, [0.7 * S, 0, 0, 2.8 * S])
    np.testing.assert_allclose(got.protocol, (0.5, 0.25))


def test_looking_often_and_closing_at_once_loses_less() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}], cash=[20_000.0])
    run = [
        solvency(
            accounts, MARKET, ShareMargin(), moves([0.5]), cost=FREE, looks=looks, delay=delay
        ).total[0]
        for looks, delay in ((1, 0), (20, 0), (20, 3), (20, 20))
    ]
    assert run[0] == pytest.approx(30_000.0)
    assert run[1] == 0.0  # found above the bankruptcy price
    assert run[1] < run[2] < run[3]
    assert run[3] == pytest.approx(run[0])


def test_who_fails_now_is_closed_now_and_failed_accounts_harm_no_other() -> None:
    accounts = accounts_of(
        MARKET, [{PERP: 1.0}, {PERP: 1.0}, {PERP: 1.0}], cash=[1_000.0, math.nan, 20_000.0]
    )
    got = solvency(accounts, MARKET, ShareMargin(), moves([0.7, 1.3]), cost=DEAR)
    assert list(got.failures) == [1]
    np.testing.assert_allclose(got.liquidation, [1.0, math.nan, 0.5])
    np.testing.assert_allclose(got.expected_shortfall[0], 0.02 * S - 1_000.0)
    alone = solvency(
        accounts.select(np.array([0, 2])), MARKET, ShareMargin(), moves([0.7, 1.3]), cost=DEAR
    )
    np.testing.assert_array_equal(alone.total, got.total)
    np.testing.assert_array_equal(alone.probability, got.probability[[0, 2]])


def test_fund_covers_one_and_two_owners() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}] * 3, cash=[20_000.0, 25_000.0, 26_000.0])
    scenarios = moves([0.6, 0.7, 1.0], [0.01, 0.04, 0.95])
    got = solvency(accounts, MARKET, ShareMargin(), scenarios, cost=FREE)
    np.testing.assert_allclose(got.total, [49_000.0, 19_000.0, 0.0], atol=1e-6)
    fund = fund_adequacy(got, 30_000.0, level=0.95)
    assert (fund.cover_one, fund.cover_two) == (pytest.approx(20_000), pytest.approx(35_000))
    assert fund.covers_one
    assert not fund.covers_two
    assert fund.quantile == 0.0
    assert fund.quantile_low <= fund.quantile <= fund.quantile_high
    assert fund.depletion == pytest.approx(0.01)
    assert fund.expected_excess == pytest.approx(190.0)
    together = solvency(
        accounts, MARKET, ShareMargin(), scenarios, cost=FREE, owner=np.array([7, 7, 2])
    )
    assert fund_adequacy(together, 0.0).cover_one == pytest.approx(35_000)
    with pytest.raises(ConfigurationError, match="fund"):
        fund_adequacy(got, -1.0)


def test_standard_error_is_that_of_repeated_draws() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}], cash=[20_000.0])
    rng = np.random.default_rng(3)
    shares, errors = [], []
    for _ in range(60):
        drawn = np.exp(rng.normal(0.0, 0.25, 40))
        got = solvency(accounts, MARKET, ShareMargin(), moves(drawn.tolist()), cost=FREE)
        shares.append(got.probability[0])
        errors.append(got.standard_error[0])
    assert np.std(shares) == pytest.approx(np.mean(errors), rel=0.3)


def test_no_shortfall_seen_is_not_certainty() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}], cash=[90_000.0])
    got = solvency(accounts, MARKET, ShareMargin(), moves([1.0] * 100), cost=FREE)
    assert got.probability[0] == got.standard_error[0] == 0.0
    assert got.upper()[0] == pytest.approx(1.0 - 0.05 ** (1 / 100))


def test_named_returns_move_assets_of_their_own() -> None:
    class Joint:
        factors = ("BTC", "DOLLAR")
        log_returns: FloatArray = np.array([[-0.1, -0.4]])
        vol_moves: FloatArray = np.array([[0.5, 0.0]])
        weights: FloatArray = np.ones(1)

    assets = Assets(np.array(["BTC", "DOLLAR"]), np.array([S, 1.0]), np.ones(2), np.array([0, -1]))
    market = replace(MARKET, assets=assets)
    got = MarketMoves.from_joint(Joint(), market)
    there = got.market(market, 0)
    np.testing.assert_allclose(there.assets.price, [S * math.exp(-0.1), math.exp(-0.4)])
    np.testing.assert_allclose(there.underlyings.spot, S * math.exp(-0.1))
    np.testing.assert_allclose(there.vol[:-1], 1.5 * MARKET.vol[:-1])
    with pytest.raises(DataError, match="no scenario moves"):
        MarketMoves.from_joint(Joint(), reference_market(underlying="ETH"))


@pytest.mark.parametrize("unit", [1.0, 0.65])
def test_off_the_peg_all_figures_are_usd_whatever_the_method_counts_in(unit: float) -> None:
    """Cash is worth 65 cents, the loss of the perpetual its dollars."""

    class Counted(ShareMargin):
        def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
            table = super().margin(accounts, market)
            # Equity of the test method is in the unit of cash; here as USD or as that unit.
            factor = market.stable_price / unit
            return replace(
                table,
                equity=table.equity * factor,
                maintenance=table.maintenance * factor,
                unit_usd=unit,
            )

    market = replace(MARKET, stable_price=0.65)
    accounts = accounts_of(market, [{PERP: 1.0}], cash=[20_000.0])
    got = solvency(accounts, market, Counted(), moves([0.5]), cost=DEAR)
    lost, price = 50_000.0, 0.02 * 50_000.0
    np.testing.assert_allclose(got.total, [lost + price - 0.65 * 20_000.0])
    np.testing.assert_allclose(got.cost_given_liquidation, [price])


def test_the_stablecoin_moves_by_its_own_factor() -> None:
    scenarios = replace(moves([1.0, 1.0]), stable=np.array([0.5, 1.0]))
    there = scenarios.market(MARKET, 0, 0.5)
    assert there.stable_price == pytest.approx(math.sqrt(0.5))
    assert scenarios.market(MARKET, 1).stable_price == 1.0
    with pytest.raises(DataError, match="positive"):
        replace(scenarios, stable=np.array([0.0, 1.0]))


def test_bad_arguments() -> None:
    accounts = accounts_of(MARKET, [{PERP: 1.0}])
    with pytest.raises(ConfigurationError, match="looks"):
        solvency(accounts, MARKET, ShareMargin(), moves([1.0]), cost=FREE, looks=0)
    with pytest.raises(DataError, match="owners"):
        solvency(accounts, MARKET, ShareMargin(), moves([1.0]), cost=FREE, owner=np.array([-1]))
    with pytest.raises(DataError, match="positive"):
        moves([0.0])

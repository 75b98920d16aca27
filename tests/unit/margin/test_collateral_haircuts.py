"""Haircuts, lending terms, health factors and what portfolio margin saves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.collateral import (
    LendingTerms,
    capital_efficiency,
    collateral_health,
    haircuts,
    lending_terms,
)
from commonmode.margin.gate_probes import reference_market
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import shipped_parameters
from linear_margin import ShareMargin, accounts_of

NAMES = np.array(["BTC"])


def test_shock_is_the_smallest_that_covers_the_level() -> None:
    falls = np.arange(1, 101) / 200.0
    returns = np.log1p(-np.random.default_rng(0).permutation(falls))[:, None]
    got = haircuts(returns, NAMES, level=0.95, cost=0.1, confidence=0.9)
    assert got.shock[0] == pytest.approx(falls[94])
    assert got.haircut[0] == pytest.approx(1.0 - (1.0 - falls[94]) * 0.9)
    assert got.upper[0] > got.haircut[0]
    assert math.isnan(haircuts(returns, NAMES, level=0.999).upper[0])


@given(st.integers(0, 10_000), st.floats(0.5, 0.98), st.integers(1, 5))
def test_haircut_covers_its_level_and_grows_with_it(seed: int, level: float, horizon: int) -> None:
    returns = 0.03 * np.random.default_rng(seed).standard_t(4, (300, 1))
    got = haircuts(returns, NAMES, level=level, horizon=horizon)
    windows = np.lib.stride_tricks.sliding_window_view(returns[:, 0], horizon).sum(axis=1)
    assert np.mean(-np.expm1(windows) <= got.shock[0] + 1e-15) >= level
    assert haircuts(returns, NAMES, level=0.99, horizon=horizon).shock[0] >= got.shock[0]


def test_upper_limit_covers_the_true_quantile_as_often_as_it_says() -> None:
    rng, level, confidence = np.random.default_rng(11), 0.9, 0.8
    true = -math.expm1(-1.2815515594600038)  # ninety per cent of normal returns do not fall further
    hits = [
        haircuts(rng.standard_normal((150, 1)), NAMES, level=level, confidence=confidence).upper[0]
        >= true
        for _ in range(400)
    ]
    # Conservative by the discreteness of an order statistic; four standard errors below.
    assert np.mean(hits) >= confidence - 4.0 * math.sqrt(confidence * (1 - confidence) / 400)
    assert np.mean(hits) <= 0.95


def test_gaps_are_left_out_and_short_histories_refused() -> None:
    returns = np.full((60, 1), -0.01)
    returns[30] = np.nan
    assert haircuts(returns, NAMES, level=0.9, horizon=2).windows[0] == 57
    with pytest.raises(DataError, match="BTC: 9 windows"):
        haircuts(returns[:10], NAMES, level=0.9, horizon=2)
    with pytest.raises(ConfigurationError, match="level"):
        haircuts(returns, NAMES, level=1.0)


def test_threshold_keeps_the_lender_whole() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.03, (500, 1))
    sale = haircuts(returns, NAMES, level=0.99, horizon=1, cost=0.05)
    terms = lending_terms(sale, haircuts(returns, NAMES, level=0.95, horizon=3))
    assert 0.0 < terms.ltv[0] < terms.threshold[0] < 1.0
    debt = terms.threshold[0]  # against one unit of value
    left = (1.0 - sale.shock[0]) * (1.0 - 0.05)
    assert left == pytest.approx(debt)
    with pytest.raises(ConfigurationError, match="order"):
        LendingTerms(NAMES, np.array([0.5]), np.array([0.6]))


def test_health_factor() -> None:
    terms = LendingTerms(np.array(["A", "B"]), np.array([0.8, 0.5]), np.array([0.7, 0.4]))
    amounts = np.array([[1.0, 2.0], [1.0, 0.0], [0.0, 0.0], [np.nan, 1.0], [1.0, 0.0]])
    got = collateral_health(
        amounts, np.array([100.0, 10.0]), terms, np.array([45.0, 90.0, 0.0, 1.0, 120.0])
    )
    np.testing.assert_allclose(got.factor, [2.0, 80 / 90, math.inf, math.nan, 80 / 120])
    np.testing.assert_allclose(got.fall[:2], [0.5, 1.0 - 90 / 80])
    np.testing.assert_array_equal(got.liquidatable, [False, True, False, False, True])
    np.testing.assert_allclose(got.shortfall[[0, 4]], [0.0, 20.0])
    np.testing.assert_allclose(got.capacity[0], 78.0)
    with pytest.raises(DataError, match="negative"):
        collateral_health(-amounts, np.ones(2), terms, np.ones(5))


def test_isolated_margin_against_portfolio_margin() -> None:
    market = reference_market()
    books = [
        {"BTC-30D-100000-C": -1.0, "BTC-30D-110000-C": 1.0},
        {"BTC-PERPETUAL": 1.0},
        {"BTC-PERPETUAL": math.nan, "BTC-30D-100000-C": 1.0},
    ]
    accounts = accounts_of(market, books, cash=[1e5, 1e5, 1e5], coins=[0.0, 1.0, 0.0])
    got = capital_efficiency(accounts, market, PM2(shipped_parameters("2026-09-24")))
    assert got.legs.tolist() == [2, 2, 2]
    assert got.ratio[0] > 2.0
    assert got.saved[0] == pytest.approx(got.isolated_initial[0] - got.initial[0])
    assert math.isnan(got.ratio[2])
    additive = capital_efficiency(accounts, market, ShareMargin())
    np.testing.assert_allclose(additive.ratio[:2], 1.0)

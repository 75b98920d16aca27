"""Perpetuals against their published formulae, limits and differences."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.pricing import black76_price
from commonmode.pricing.perpetuals import (
    dated_future,
    everlasting_option,
    inverse_position,
    perpetual_future,
    power_perpetual,
    spot,
)

DAY = 1.0 / 365.0


def differences(price, at, step):
    """First and second central difference."""
    up, mid, down = price(at + step), price(at), price(at - step)
    return (up - down) / (2 * step), (up - 2 * mid + down) / step**2


def test_everlasting_basket_is_the_published_one():
    """White and Bankman-Fried: half of the one-day option, a quarter of the two-day option, ..."""
    basket = sum(0.5**i * float(black76_price(100.0, 105.0, i * DAY, 0.9)) for i in range(1, 60))
    ours = everlasting_option(100.0, 105.0, 0.9, funding_years=DAY, payments=1)
    assert float(ours.price) == pytest.approx(basket, rel=1e-14)
    assert float(ours.funding) == pytest.approx(basket / DAY)


def test_everlasting_at_the_strike_is_the_closed_form():
    """Time value K / sqrt(1 + 8 / (vol^2 f)) at the money, whatever the sign."""
    for sign in (1, -1):
        ours = everlasting_option(50.0, 50.0, 0.8, funding_years=7 * DAY, sign=sign)
        u = np.sqrt(1 + 8 / (0.64 * 7 * DAY))
        assert float(ours.price) == pytest.approx(50.0 / u, rel=1e-14)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("strike", [80.0, 100.0, 103.0, 130.0])
def test_frequent_funding_tends_to_the_closed_form(sign, strike):
    kw = {"funding_years": 30 * DAY, "sign": sign}
    limit = everlasting_option(100.0, strike, 0.9, **kw)
    gaps = [
        everlasting_option(100.0, strike, 0.9, payments=n, **kw).price - limit.price
        for n in (12, 24)
    ]
    # First order in the payment interval.
    assert gaps[1] == pytest.approx(gaps[0] / 2, rel=0.15)
    assert abs(gaps[1]) < 0.05 * limit.price


@pytest.mark.parametrize("payments", [None, 1, 4])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("strike", [85.0, 102.0])
def test_everlasting_greeks_are_derivatives(payments, sign, strike):
    kw = {"funding_years": 30 * DAY, "sign": sign, "payments": payments}
    ours = everlasting_option(100.0, strike, 0.9, **kw)
    delta, gamma = differences(
        lambda s: everlasting_option(s, strike, 0.9, **kw).price, 100.0, 0.01
    )
    vega, _ = differences(lambda v: everlasting_option(100.0, strike, v, **kw).price, 0.9, 1e-4)
    assert float(ours.delta) == pytest.approx(delta, rel=1e-6)
    assert float(ours.gamma) == pytest.approx(gamma, rel=1e-4)
    assert float(ours.vega) == pytest.approx(vega, rel=1e-5)
    assert float(ours.theta) == 0.0


def test_everlasting_parity_and_limits():
    """Call minus put is the perpetual future minus the strike; no vol leaves the payoff."""
    strikes = np.array([60.0, 99.0, 100.0, 101.0, 180.0])
    for payments in (None, 3):
        kw = {"funding_years": DAY, "payments": payments}
        call = everlasting_option(100.0, strikes, 0.7, **kw)
        put = everlasting_option(100.0, strikes, 0.7, sign=-1, **kw)
        np.testing.assert_allclose(call.price - put.price, 100.0 - strikes, atol=1e-12)
        np.testing.assert_allclose(call.delta - put.delta, 1.0, atol=1e-12)
        still = everlasting_option(100.0, strikes, 0.0, **kw)
        np.testing.assert_allclose(still.price, np.maximum(100.0 - strikes, 0.0), atol=1e-13)
        np.testing.assert_allclose(still.delta, [1, 1, 0.5, 0, 0], atol=1e-13)
        assert not np.isnan([getattr(still, f.name) for f in fields(still)]).any()
    assert np.isnan(everlasting_option(0.0, 1.0, 0.5, funding_years=1.0).price)
    with pytest.raises(ConfigurationError, match="positive"):
        everlasting_option(1.0, 1.0, 0.5, funding_years=0.0)


def test_power_perpetual_is_the_published_formula():
    """Paradigm: with r = 0 squeeth is ETH^2 / (2 exp(-f vol^2) - 1), a basket of squares."""
    f, vol = 17.5 * DAY, 0.9
    ours = power_perpetual(3000.0, vol, funding_years=f)
    assert float(ours.price) == pytest.approx(3000.0**2 / (2 * np.exp(-f * vol**2) - 1), rel=1e-14)
    basket = sum(0.5**i * 3000.0**2 * np.exp(vol**2 * f * i) for i in range(1, 200))
    assert float(ours.price) == pytest.approx(basket, rel=1e-12)


def test_power_one_is_the_perpetual_future_and_power_zero_is_cash():
    one = power_perpetual(3000.0, 0.9, power=1.0, funding_years=DAY)
    assert (float(one.price), float(one.delta), float(one.gamma)) == (3000.0, 1.0, 0.0)
    assert float(one.price) == float(perpetual_future(3000.0).price)
    nil = power_perpetual(3000.0, 0.9, power=0.0, funding_years=DAY)
    assert (float(nil.price), float(nil.delta)) == (1.0, 0.0)


@pytest.mark.parametrize("power", [-1.0, 0.5, 2.0, 3.0])
def test_power_perpetual_greeks_are_derivatives(power):
    kw = {"power": power, "funding_years": 7 * DAY, "rate": 0.03}
    ours = power_perpetual(30.0, 0.8, **kw)
    delta, gamma = differences(lambda s: power_perpetual(s, 0.8, **kw).price, 30.0, 0.003)
    vega, _ = differences(lambda v: power_perpetual(30.0, v, **kw).price, 0.8, 1e-5)
    assert float(ours.delta) == pytest.approx(delta, rel=1e-6)
    assert float(ours.gamma) == pytest.approx(gamma, rel=1e-4)
    assert float(ours.vega) == pytest.approx(vega, rel=1e-6)


def test_power_perpetual_without_a_price_is_nan():
    assert np.isnan(power_perpetual(30.0, 1.0, funding_years=0.7).price)
    assert np.isfinite(power_perpetual(30.0, 1.0, funding_years=0.69).price)


def test_futures_and_spot():
    future = dated_future(100.0, 0.5, rate=0.06, coin_rate=0.02)
    assert float(future.price) == pytest.approx(100.0 * np.exp(0.02))
    change, _ = differences(
        lambda t: dated_future(100.0, t, rate=0.06, coin_rate=0.02).price, 0.5, 1e-5
    )
    assert float(future.theta) == pytest.approx(-change, rel=1e-8)
    perpetual = perpetual_future(100.0, rate=0.06, coin_rate=0.02, intensity=365.0)
    # Funding paid equals the carry earned: 365 (F - S) = (r - q) F.
    assert float(perpetual.funding) == pytest.approx(0.04 * float(perpetual.price))
    even = perpetual_future(100.0, rate=0.06, coin_rate=0.02, interest=0.04)
    assert float(even.price) == pytest.approx(100.0)
    assert np.isnan(perpetual_future(100.0, rate=0.5, intensity=0.4).price)
    coin = spot([100.0, -1.0])
    assert coin.delta[0] == 1.0
    assert np.isnan([getattr(coin, f.name)[1] for f in fields(coin)]).all()


def test_inverse_position_by_hand_and_differences():
    """10 000 USD long at 50 000, marked at 60 000: 0.2 - 1/6 coin."""
    at = inverse_position(60_000.0, 50_000.0, 10_000.0)
    assert float(at.value_coin) == pytest.approx(0.2 - 1 / 6, rel=1e-13)
    assert float(at.value_usd) == pytest.approx(2_000.0)
    usd, _ = differences(lambda p: inverse_position(p, 50_000.0, 10_000.0).value_usd, 60_000.0, 1.0)
    coin, _ = differences(
        lambda p: inverse_position(p, 50_000.0, 10_000.0).value_coin, 60_000.0, 1.0
    )
    bend, _ = differences(
        lambda p: inverse_position(p, 50_000.0, 10_000.0).delta_coin, 60_000.0, 1.0
    )
    assert float(at.delta_usd) == pytest.approx(usd, rel=1e-8)
    assert float(at.delta_coin) == pytest.approx(60_000.0 * coin, rel=1e-6)
    assert float(at.gamma_coin) == pytest.approx(bend, rel=1e-6)

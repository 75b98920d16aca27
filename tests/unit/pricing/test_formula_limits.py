"""Limits and domains of the formulae: no time, no volatility, no strike, wrong input."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.pricing import (
    SviRaw,
    black76_greeks,
    black76_implied_vol,
    black76_price,
    bsm_greeks,
    butterfly_report,
    hagan_lognormal_vol,
    inverse_greeks,
    inverse_price,
    normalised_black_implied_vol,
)


def test_no_time_or_no_vol_leaves_the_discounted_payoff():
    for years, vol in ((0.0, 0.5), (2.0, 0.0), (0.0, 0.0)):
        discount = np.exp(-0.05 * years)
        price = black76_price(100.0, [80.0, 120.0], years, vol, sign=[1, -1], rate=0.05)
        np.testing.assert_allclose(price, discount * 20.0)
        greeks = black76_greeks(100.0, [80.0, 120.0], years, vol, sign=[1, -1], rate=0.05)
        np.testing.assert_allclose(greeks.delta, [discount, -discount])
        for name in ("gamma", "vega", "vanna", "volga", "speed", "color", "zomma", "ultima"):
            np.testing.assert_array_equal(getattr(greeks, name), 0.0)


def test_at_the_money_without_time_the_limits_are_stated():
    greeks = black76_greeks(100.0, 100.0, 0.0, 0.5)
    assert greeks.price == 0.0
    assert greeks.delta == 0.5
    assert greeks.vega == 0.0
    assert greeks.gamma == np.inf
    assert greeks.theta == -np.inf
    no_vol = black76_greeks(100.0, 100.0, 1.0, 0.0)
    assert no_vol.vega == pytest.approx(100.0 / np.sqrt(2 * np.pi))
    assert no_vol.theta == 0.0


def test_zero_strike_and_zero_forward():
    assert black76_price(100.0, 0.0, 1.0, 0.5) == 100.0
    assert black76_price(100.0, 0.0, 1.0, 0.5, sign=-1) == 0.0
    assert black76_price(0.0, 100.0, 1.0, 0.5) == 0.0
    assert black76_price(0.0, 0.0, 1.0, 0.5) == 0.0
    assert black76_greeks(100.0, 0.0, 1.0, 0.5).delta == 1.0
    assert black76_price(100.0, 1e-300, 1.0, 0.5) == 100.0


def test_negative_or_nan_input_gives_nan_in_its_own_cell():
    bad = [np.nan, -1.0, 100.0]
    for position in range(4):
        args = [100.0, 100.0, 1.0, 0.5]
        args[position] = bad
        price = black76_price(*args)
        greeks = black76_greeks(*args)
        assert np.isnan(price[:2]).all()
        assert np.isfinite(price[2])
        for field in fields(greeks):
            assert np.isnan(getattr(greeks, field.name)[:2]).all()
            assert np.isfinite(getattr(greeks, field.name)[2])


def test_shapes_broadcast():
    strikes = np.array([90.0, 100.0, 110.0])
    assert black76_price(np.full((2, 1), 100.0), strikes, 1.0, 0.5).shape == (2, 3)
    assert black76_greeks(np.full((2, 1), 100.0), strikes, 1.0, 0.5).ultima.shape == (2, 3)
    assert bsm_greeks(np.full((2, 1), 100.0), strikes, 1.0, 0.5).rho.shape == (2, 3)
    assert inverse_greeks(100.0, strikes, 1.0, 0.5).rho_coin.shape == (3,)
    assert black76_implied_vol([[10.0], [12.0]], 100.0, strikes, 1.0, sign=-1).shape == (2, 3)


def test_deep_wings_keep_relative_accuracy():
    # 60 digits (mpmath): d1 = -29.9.
    assert black76_price(1.0, 20.0, 1.0, 0.1) == pytest.approx(2.627567618298279e-199, rel=1e-13)


def test_inverse_greeks_hang_together():
    g = inverse_greeks(60_000.0, 65_000.0, 0.25, 0.65)
    assert g.delta_coin == pytest.approx(g.delta_usd - g.price_coin)
    assert g.theta_coin_per_day * 365 == pytest.approx(g.theta_coin_per_year)
    assert g.theta_usd_per_day * 365 == pytest.approx(g.theta_usd_per_year)
    assert g.rho_usd == pytest.approx(bsm_greeks(60_000.0, 65_000.0, 0.25, 0.65).rho)
    assert np.isnan(inverse_price(0.0, 65_000.0, 0.25, 0.65))


def test_implied_vol_is_nan_outside_the_bounds():
    price = [9.999, 10.0, 12.0, 100.0, 101.0, np.nan]
    vol = black76_implied_vol(price, 100.0, 90.0, 1.0)
    assert np.isnan(vol[[0, 3, 4, 5]]).all()
    assert vol[1] == 0.0
    assert vol[2] > 0
    assert np.isnan(black76_implied_vol(5.0, 100.0, 100.0, 0.0))
    assert np.isnan(black76_implied_vol(5.0, -100.0, 100.0, 1.0))
    assert np.isnan(normalised_black_implied_vol(-1.0, np.exp(-0.5)))
    assert normalised_black_implied_vol(-1.0, 0.0) == 0.0
    assert np.isnan(normalised_black_implied_vol(np.nan, 0.1))


def test_sabr_is_stable_at_the_money_and_nan_off_domain():
    near = hagan_lognormal_vol(
        100.0, 100.0 * (1 + np.array([0.0, 1e-14, 1e-9, 1e-6])), 1.0, 0.5, 1.0, -0.4, 1.2
    )
    np.testing.assert_allclose(near, near[0], rtol=1e-6)
    lognormal = hagan_lognormal_vol(100.0, [50.0, 100.0, 200.0], 1.0, 0.5, 1.0, 0.3, 0.0)
    np.testing.assert_allclose(lognormal, 0.5)
    assert np.isnan(hagan_lognormal_vol(100.0, -1.0, 1.0, 0.5, 1.0, 0.3, 0.5))


def test_svi_domain_errors_name_a_remedy():
    with pytest.raises(DataError) as caught:
        SviRaw(a=0.04, b=-0.1, rho=0.0, m=0.0, sigma=0.1)
    assert caught.value.remedy
    with pytest.raises(DataError):
        SviRaw(a=np.nan, b=0.1, rho=0.0, m=0.0, sigma=0.1)
    with pytest.raises(DataError):
        SviRaw(a=-1.0, b=0.1, rho=0.0, m=0.0, sigma=0.1).jump_wings(1.0)
    # Zero skew: the minimum is at the money, sigma is not determined.
    flat = SviRaw(a=0.04, b=0.1, rho=0.0, m=0.0, sigma=0.1).jump_wings(1.0)
    with pytest.raises(DataError, match="do not determine"):
        SviRaw.from_jump_wings(flat.v, flat.psi, flat.p, flat.c, flat.v_tilde, 1.0)
    with pytest.raises(DataError, match="no SVI slice"):
        SviRaw.from_jump_wings(0.04, 5.0, 0.1, 0.1, 0.03, 1.0)


def test_butterfly_report_sees_negative_variance_and_steep_wings():
    assert butterfly_report(SviRaw(a=-0.1, b=0.1, rho=0.0, m=0.0, sigma=0.1)).arbitrage
    assert butterfly_report(SviRaw(a=0.5, b=1.9, rho=0.3, m=0.0, sigma=1.0)).arbitrage
    assert not butterfly_report(SviRaw(a=0.04, b=0.05, rho=-0.3, m=0.0, sigma=0.2)).arbitrage

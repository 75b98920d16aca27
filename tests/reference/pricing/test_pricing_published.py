"""Published figures and 60-digit values, each with its source."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.pricing import (
    SviRaw,
    black76_greeks,
    black76_implied_vol,
    bsm_greeks,
    bsm_price,
    butterfly_report,
    hagan_lognormal_vol,
    inverse_price,
    normalised_black_implied_vol,
    ssvi_butterfly_free,
)


@pytest.mark.parametrize(
    ("sign", "strike", "spot", "q", "r", "years", "vol", "price"),
    [
        (1, 65, 60, 0.0, 0.08, 0.25, 0.30, 2.1334),
        (-1, 95, 100, 0.05, 0.10, 0.50, 0.20, 2.4648),
        (-1, 70, 75, 0.05, 0.10, 0.50, 0.35, 4.0870),
        (1, 1.6, 1.56, 0.08, 0.06, 0.50, 0.12, 0.0291),
    ],
)
def test_haug_prices(sign, strike, spot, q, r, years, vol, price):
    """Haug, The Complete Guide to Option Pricing Formulas (1998), pp. 2-8."""
    ours = bsm_price(spot, strike, years, vol, sign=sign, rate=r, dividend_yield=q)
    assert float(ours) == pytest.approx(price, abs=1e-4)


def test_haug_greeks():
    """Haug (1998), pp. 11-16."""
    put = bsm_greeks(105, 100, 0.5, 0.36, sign=-1, rate=0.1, dividend_yield=0.1)
    assert float(put.delta) == pytest.approx(-0.3566, abs=1e-4)
    call = bsm_greeks(55, 60, 0.75, 0.3, rate=0.1)
    assert float(call.gamma) == pytest.approx(0.0278, abs=1e-4)
    put = bsm_greeks(430, 405, 1 / 12, 0.2, sign=-1, rate=0.07, dividend_yield=0.05)
    assert float(put.theta) == pytest.approx(-31.1924, abs=1e-4)
    call = bsm_greeks(72, 75, 1.0, 0.19, rate=0.09)
    assert float(call.rho) == pytest.approx(38.7325, abs=1e-4)


@pytest.mark.parametrize(("strike", "price"), [(100, 3.659968453), (120, 0.044577814)])
def test_fang_oosterlee_prices(strike, price):
    """Fang and Oosterlee (2008), SIAM J. Sci. Comput. 31(2), table of geometric Brownian motion."""
    assert float(bsm_price(100, strike, 0.1, 0.25, rate=0.1)) == pytest.approx(price, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delta", 0.4619707032903527),
        ("gamma", 2.0184042072446135e-05),
        ("theta", -15119.909912295185),
        ("vanna", 0.24752816319011334),
        ("charm", -0.3033077840155332),
        ("speed", -2.4967633713262617e-10),
        ("zomma", -2.9988823182269665e-05),
        ("ultima", -5790.715018470905),
    ],
)
def test_black76_greeks_to_machine_precision(name, value):
    """Numerical differentiation of the price with 60 digits (mpmath), no closed-form Greek."""
    greeks = black76_greeks(60_000, 65_000, 0.25, 0.65, rate=0.04)
    assert float(getattr(greeks, name)) == pytest.approx(value, rel=2e-15)


def test_implied_vol_of_the_published_doctest():
    """Documentation of the `implied-vol` crate, a port of Jaeckel's reference implementation."""
    assert float(black76_implied_vol(20, 100, 90, 30)) == pytest.approx(
        0.07011701801482094, abs=1e-15
    )


@pytest.mark.parametrize(
    ("x", "beta", "total_vol"),
    [
        (-1.0, 6.847932680690497e-92, 0.05),
        (-1e-6, 0.00039844246324998676, 0.001),
        (-6.0, 0.010688699578227998, 3.0),
    ],
)
def test_normalised_implied_vol(x, beta, total_vol):
    """Prices with 60 digits (mpmath) at the stated total volatility."""
    assert float(normalised_black_implied_vol(x, beta)) == pytest.approx(total_vol, rel=2e-15)


def test_inverse_premium():
    """Black-76 with 60 digits (mpmath), undiscounted, over the forward."""
    coin = inverse_price(60_000, 65_000, 0.25, 0.65)
    assert float(coin) == pytest.approx(0.09681923574195327, rel=3e-15)


def test_hagan_formula():
    """QuantLib test-suite, interpolations.cpp, testSabrInterpolation."""
    vol = hagan_lognormal_vol(0.039, [0.03, 0.05, 0.07], 1.0, 0.3, 0.6, 0.01, 0.02)
    expected = [1.16725837321531, 1.05226642581503, 0.98110791455717]
    np.testing.assert_allclose(vol, expected, rtol=1e-13)


VOGT = SviRaw(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)


def test_vogt_smile():
    """Gatheral and Jacquier (2014), example 5.1: jump wings, and arbitrage near k = 0.88."""
    jw = VOGT.jump_wings(1.0)
    found = (jw.v, jw.psi, jw.p, jw.c, jw.v_tilde)
    assert found == pytest.approx(
        (0.01742625, -0.1752111, 0.6997381, 1.316798, 0.0116249), abs=1e-6
    )
    report = butterfly_report(VOGT)
    assert report.arbitrage
    assert report.argmin_g == pytest.approx(0.88, abs=0.005)
    assert report.min_g == pytest.approx(-0.0329, abs=5e-4)
    assert report.roots_of_g == pytest.approx((0.6424078778693807, 1.2569129919321274), abs=1e-12)


@pytest.mark.parametrize(
    ("c", "v_tilde"), [(0.3493158, 0.01548182), (0.8564763, 0.0116249)], ids=["ssvi", "optimal"]
)
def test_repairs_of_the_vogt_smile(c, v_tilde):
    """Gatheral and Jacquier (2014), section 5.1: both repaired slices are free of arbitrage."""
    raw = SviRaw.from_jump_wings(0.01742625, -0.1752111, 0.6997381, c, v_tilde, 1.0)
    assert not butterfly_report(raw).arbitrage


def test_ssvi_condition():
    """Gatheral and Jacquier (2014), theorem 4.2."""
    good = ssvi_butterfly_free(-0.3, 0.04, 4.0)
    assert float(good.theta_phi_1_abs_rho) == pytest.approx(0.208, abs=1e-15)
    assert float(good.theta_phi2_1_abs_rho) == pytest.approx(0.832, abs=1e-15)
    assert bool(good.free)
    assert not bool(ssvi_butterfly_free(-0.3, 0.04, 10.0).free)

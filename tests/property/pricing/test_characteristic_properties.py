"""What holds for every law with a characteristic function, whatever its parameters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from commonmode.pricing import black76_price
from commonmode.pricing.fourier import (
    Bates,
    Cgmy,
    Heston,
    Kou,
    Merton,
    VarianceGamma,
    cf_greeks,
    cf_implied_vol,
    cf_price,
)


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


variance = {
    "v0": numbers(0.02, 1.5),
    "kappa": numbers(0.2, 15.0),
    "theta": numbers(0.02, 1.5),
    "sigma": numbers(0.05, 4.0),
    "rho": numbers(-0.95, 0.95),
}
jumps = {
    "intensity": numbers(0.0, 30.0),
    "jump_mean": numbers(-0.2, 0.2),
    "jump_std": numbers(0.01, 0.2),
}
laws = st.one_of(
    st.builds(Heston, **variance),
    st.builds(Bates, **variance, **jumps),
    st.builds(Merton, vol=numbers(0.05, 1.5), **jumps),
    st.builds(
        Kou,
        vol=numbers(0.05, 1.5),
        intensity=numbers(0.0, 30.0),
        up_share=numbers(0.0, 1.0),
        up_rate=numbers(3.0, 60.0),
        down_rate=numbers(2.0, 60.0),
    ),
    st.builds(
        VarianceGamma, vol=numbers(0.1, 1.0), drift=numbers(-0.5, 0.4), nu=numbers(0.005, 0.5)
    ),
    st.builds(
        Cgmy,
        activity=numbers(0.05, 2.0),
        left=numbers(1.0, 20.0),
        right=numbers(2.0, 20.0),
        fineness=numbers(0.2, 0.8) | numbers(1.2, 1.7),
    ),
)
maturities = st.sampled_from([1 / 365, 7 / 365, 0.25, 1.0, 3.0])
few = settings(max_examples=40)


def smile_strikes(years):
    return 100.0 * np.exp(np.linspace(-1.5, 1.5, 31) * 0.5 * np.sqrt(years))


@given(laws, maturities)
def test_martingale(law, years):
    """E exp(X) = 1 and E exp(0) = 1: the forward is the forward."""
    log_cf = law.log_cf(np.array([-1j, 0j]), np.array(years))
    np.testing.assert_allclose(log_cf, 0.0, atol=2e-12)


@given(laws, maturities)
def test_characteristic_function_is_one(law, years):
    """|phi(u)| <= 1 and phi(-u) is the conjugate of phi(u)."""
    u = np.geomspace(0.01, 1e4, 60).astype(complex)
    log_cf = law.log_cf(u, np.array(years))
    assert np.all(log_cf.real <= 1e-12)
    with np.errstate(under="ignore"):
        phi, mirrored = np.exp(log_cf), np.exp(law.log_cf(-u, np.array(years)))
    np.testing.assert_allclose(mirrored, np.conj(phi), atol=1e-9)


@few
@given(laws, maturities)
def test_parity_bounds_monotone_convex(law, years):
    strikes = smile_strikes(years)
    call = cf_price(law, 100.0, strikes, years)
    put = cf_price(law, 100.0, strikes, years, sign=-1)
    np.testing.assert_allclose(call - put, 100.0 - strikes, atol=1e-11)
    assert np.all(call >= np.maximum(100.0 - strikes, 0.0) - 1e-11)
    assert np.all(call <= 100.0 + 1e-11)
    slope = np.diff(call) / np.diff(strikes)
    assert np.all(slope <= 1e-10)
    assert np.all(slope >= -1.0 - 1e-10)
    assert np.all(np.diff(slope) >= -1e-9)


@few
@given(laws, maturities)
def test_calendar(law, years):
    """A martingale's calls grow with maturity at fixed strike over forward."""
    strikes = smile_strikes(years)
    early, late = (cf_price(law, 100.0, strikes, t) for t in (years, 1.3 * years))
    assert np.all(late >= early - 1e-10)


@few
@given(laws, maturities)
def test_two_methods_agree(law, years):
    strikes = smile_strikes(years)
    series, contour = (cf_price(law, 100.0, strikes, years, method=m) for m in ("auto", "contour"))
    np.testing.assert_allclose(series, contour, atol=2e-10)


@few
@given(laws, maturities, numbers(0.001, 1e5))
def test_scale_invariance(law, years, unit):
    strikes = smile_strikes(years)
    one = cf_price(law, 100.0, strikes, years)
    other = cf_price(law, 100.0 * unit, strikes * unit, years)
    np.testing.assert_allclose(other / unit, one, atol=1e-10)


@few
@given(laws, maturities)
def test_a_row_does_not_depend_on_the_others(law, years):
    strikes = smile_strikes(years)
    maturity = years * np.linspace(1.0, 1.5, len(strikes))
    together = cf_price(law, 100.0, strikes, maturity)
    alone = [cf_price(law, 100.0, k, t) for k, t in zip(strikes, maturity, strict=True)]
    np.testing.assert_allclose(together, alone, atol=1e-12)


@few
@given(laws, maturities)
def test_greeks_are_derivatives(law, years):
    # Pure jumps at short maturities: the density has a pole and delta all but jumps at the money.
    assume(not isinstance(law, VarianceGamma) or years > 2 * law.nu)
    assume(not isinstance(law, Cgmy) or years >= 0.25)
    strikes = 100.0 * np.exp(np.array([-0.4, 0.0, 0.3]) * np.sqrt(years))
    h = 1e-5 * 100 * np.sqrt(years)  # a density near its pole bends within a thousandth
    greeks = cf_greeks(law, 100.0, strikes, years, rate=0.03)
    up, mid, down = (cf_price(law, 100.0 + s, strikes, years, rate=0.03) for s in (h, 0.0, -h))
    np.testing.assert_allclose(greeks.price, mid, atol=1e-10)
    np.testing.assert_allclose(greeks.delta, (up - down) / (2 * h), atol=2e-3)
    assert np.all(greeks.gamma >= -1e-8)
    np.testing.assert_allclose(greeks.rho, -years * mid, rtol=1e-9, atol=1e-9)


@few
@given(st.builds(Heston, **variance), maturities)
def test_heston_far_wings_have_a_vol(law, years):
    """The contour keeps the digits of prices that a series cannot see."""
    # Six deviations of the mean variance: v0 alone may be far from what the years bring, and far
    # enough out a price is below the smallest number.
    total = law.theta * years - (law.v0 - law.theta) * np.expm1(-law.kappa * years) / law.kappa
    strikes = 100.0 * np.exp(np.array([-6.0, 6.0]) * np.sqrt(total))
    vol = cf_implied_vol(law, 100.0, strikes, years)
    assert np.all(np.isfinite(vol))
    assert np.all(vol > 0)


@pytest.mark.parametrize("years", [0.02, 0.5])
@given(law=laws)
@few
def test_vol_returns_the_price(law, years):
    strikes = smile_strikes(years)
    vol = cf_implied_vol(law, 100.0, strikes, years)
    otm = np.where(strikes > 100, 1, -1)
    price = cf_price(law, 100.0, strikes, years, sign=otm)
    assert np.all(np.isfinite(vol) | (price < 1e-10))
    found = black76_price(100.0, strikes, years, np.nan_to_num(vol), sign=otm)
    np.testing.assert_allclose(found, price, atol=1e-9)

"""Algebra of the pricing formulae: parity, shape in strike, Greeks, round trips, scale."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commonmode.pricing import (
    SviRaw,
    black76_greeks,
    black76_implied_vol,
    black76_price,
    bsm_greeks,
    bsm_price,
    butterfly_report,
    durrleman_g,
    hagan_lognormal_vol,
    inverse_greeks,
    inverse_price,
    normalised_black_implied_vol,
)
from commonmode.pricing._normalised import normalised_black

forwards = st.floats(1e-3, 1e6)
moneyness = st.floats(-2.0, 2.0)
times = st.floats(1e-4, 5.0)
vols = st.floats(0.01, 3.0)
rates = st.floats(-0.05, 0.2)
signs = st.sampled_from([-1, 1])
anything = st.floats(0.0, 1e300, allow_subnormal=True)


@given(forwards, moneyness, times, vols, rates)
def test_parity(f, x, t, v, r):
    k = f * np.exp(x)
    call, put = black76_price(f, k, t, v, sign=[1, -1], rate=r)
    assert call - put == pytest.approx(np.exp(-r * t) * (f - k), rel=1e-12, abs=1e-13 * (f + k))
    coin = inverse_price(f, k, t, v, sign=[1, -1])
    assert coin[0] - coin[1] == pytest.approx(1 - k / f, rel=1e-12, abs=1e-13 * (1 + k / f))


@given(forwards, times, vols, signs)
def test_monotone_and_convex_in_strike(f, t, v, sign):
    k = f * np.linspace(0.2, 3.0, 200)
    price = black76_price(f, k, t, v, sign=sign)
    slope = np.diff(price)
    tiny = 1e-13 * f
    assert np.all(sign * slope <= tiny)
    assert np.all(np.diff(slope) >= -tiny)
    assert np.all(price >= np.maximum(sign * (f - k), 0.0))
    assert np.all(price <= (f if sign == 1 else k))


def central(function, at, step):
    """Fourth-order central difference."""
    values = [function(at + m * step) for m in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


@given(
    st.floats(-1.0, 1.0), st.floats(0.05, 2.0), st.floats(0.2, 1.5), st.floats(-0.02, 0.1), signs
)
def test_greeks_are_derivatives(x, t, v, r, sign):
    f, k = 100.0, 100.0 * np.exp(x)
    g = black76_greeks(f, k, t, v, sign=sign, rate=r)

    def of(name):
        def value(f=f, t=t, v=v, r=r):
            return float(getattr(black76_greeks(f, k, t, v, sign=sign, rate=r), name))

        return value

    h_f, h_v, h_t = 0.01 * f * v * np.sqrt(t), 0.005 * v, 0.005 * t
    # (Greek, the one below it, with respect to what, sign of the time derivative)
    checks = [
        (g.delta, central(lambda f: of("price")(f=f), f, h_f)),
        (g.gamma, central(lambda f: of("delta")(f=f), f, h_f)),
        (g.speed, central(lambda f: of("gamma")(f=f), f, h_f)),
        (g.vega, central(lambda v: of("price")(v=v), v, h_v)),
        (g.vanna, central(lambda v: of("delta")(v=v), v, h_v)),
        (g.volga, central(lambda v: of("vega")(v=v), v, h_v)),
        (g.zomma, central(lambda v: of("gamma")(v=v), v, h_v)),
        (g.ultima, central(lambda v: of("volga")(v=v), v, h_v)),
        (g.theta, -central(lambda t: of("price")(t=t), t, h_t)),
        (g.charm, -central(lambda t: of("delta")(t=t), t, h_t)),
        (g.color, -central(lambda t: of("gamma")(t=t), t, h_t)),
        (g.rho, central(lambda r: of("price")(r=r), r, 0.001)),
    ]
    s = v * np.sqrt(t)
    at_money = black76_greeks(f, f, t, v)
    # Scale of each Greek at this volatility: near a zero crossing relative errors mean nothing.
    scale = [1.0, at_money.gamma, at_money.gamma / (f * s), at_money.vega, 1 / v, at_money.vega / v]
    scale += [at_money.gamma / v, at_money.vega / v**2, f / t, 1 / t, at_money.gamma / t, f * t]
    for (value, expected), size in zip(checks, scale, strict=True):
        assert float(value) == pytest.approx(expected, rel=1e-5, abs=2e-6 * float(size))


@given(st.floats(-1.0, 1.0), st.floats(0.05, 2.0), st.floats(0.1, 1.5), rates, rates, signs)
def test_bsm_greeks_are_derivatives(x, t, v, r, q, sign):
    s, k = 100.0, 100.0 * np.exp(x)

    def price(s=s, t=t, v=v, r=r):
        return float(bsm_price(s, k, t, v, sign=sign, rate=r, dividend_yield=q))

    g = bsm_greeks(s, k, t, v, sign=sign, rate=r, dividend_yield=q)
    assert float(g.delta) == pytest.approx(central(lambda s: price(s=s), s, 0.1), abs=1e-6)
    assert float(g.vega) == pytest.approx(central(lambda v: price(v=v), v, 1e-3), abs=1e-4)
    assert float(g.rho) == pytest.approx(central(lambda r: price(r=r), r, 1e-3), abs=1e-4)
    theta = -central(lambda t: price(t=t), t, 1e-3 * t)
    assert float(g.theta) == pytest.approx(theta, rel=1e-5, abs=1e-4)


@given(st.floats(-1.0, 1.0), st.floats(0.05, 2.0), st.floats(0.1, 1.5), signs)
def test_inverse_greeks_are_derivatives_of_the_coin_price(x, t, v, sign):
    f, k = 100.0, 100.0 * np.exp(x)

    def coin(f=f, t=t, v=v):
        return float(inverse_price(f, k, t, v, sign=sign))

    g = inverse_greeks(f, k, t, v, sign=sign)
    assert float(g.price_coin * f) == pytest.approx(float(black76_price(f, k, t, v, sign=sign)))
    slope = central(lambda f: coin(f=f), f, 0.1)
    assert float(g.delta_coin) == pytest.approx(f * slope, abs=1e-6)
    assert float(g.vega_coin) == pytest.approx(central(lambda v: coin(v=v), v, 1e-3), abs=1e-6)
    theta = -central(lambda t: coin(t=t), t, 1e-3 * t)
    assert float(g.theta_coin_per_year) == pytest.approx(theta, rel=1e-5, abs=1e-6)
    bent = central(lambda f: float(inverse_greeks(f, k, t, v, sign=sign).delta_coin), f, 0.1)
    assert float(g.gamma_coin) == pytest.approx(bent, abs=1e-6)


@given(st.floats(-30.0, 30.0), st.floats(1e-3, 10.0))
def test_implied_vol_inverts_the_normalised_price(x, s):
    price, _ = normalised_black(np.array([-abs(x)]), np.array([s]))
    top = np.exp(-0.5 * abs(x))
    # Within 1e-9 of its upper bound the price no longer determines the volatility.
    assume(1e-290 < price[0] < top * (1 - 1e-9))
    back = float(normalised_black_implied_vol(x, price[0]))
    h, t = x / s, 0.5 * s
    vega = np.exp(-0.5 * (h * h + t * t)) / np.sqrt(2 * np.pi)
    condition = price[0] / (vega * s)
    assert back == pytest.approx(s, rel=1e-15 * (2 + condition))


@given(forwards, st.floats(-1.0, 1.0), st.floats(0.01, 2.0), st.floats(0.1, 2.0), rates, signs)
def test_implied_vol_inverts_the_price(f, x, t, v, r, sign):
    k = f * np.exp(x)
    price = black76_price(f, k, t, v, sign=sign, rate=r)
    vega = black76_greeks(f, k, t, v, rate=r).vega
    assume(vega > 1e-6 * f)
    back = black76_implied_vol(price, f, k, t, sign=sign, rate=r)
    # The intrinsic value that is taken off again costs digits of an in-the-money price.
    assert float(back) == pytest.approx(v, abs=1e-14 * v + 4e-15 * float((f + k) / vega))


@given(forwards, moneyness, times, vols, signs, st.floats(1e-3, 1e3))
def test_scale_invariance(f, x, t, v, sign, scale):
    k = f * np.exp(x)
    one = black76_greeks(f, k, t, v, sign=sign)
    two = black76_greeks(f * scale, k * scale, t, v, sign=sign)
    z = abs(x) / (v * np.sqrt(t))
    rel = 1e-13 * (1 + z * z + 1 / (v * np.sqrt(t)))
    assert float(two.price) == pytest.approx(float(one.price) * scale, rel=rel, abs=1e-280)
    assert float(two.delta) == pytest.approx(float(one.delta), rel=rel, abs=1e-280)
    assert float(two.gamma) == pytest.approx(float(one.gamma) / scale, rel=rel, abs=1e-280)


@given(anything, anything, st.floats(0.0, 1e3), st.floats(0.0, 1e3), rates, signs)
def test_no_nan_for_any_finite_input(f, k, t, v, r, sign):
    assert not np.isnan(black76_price(f, k, t, v, sign=sign, rate=r))
    greeks = black76_greeks(f, k, t, v, sign=sign, rate=r)
    for field in fields(greeks):
        assert not np.isnan(getattr(greeks, field.name)), field.name


@given(st.floats(-3.0, 3.0), st.floats(0.01, 3.0))
def test_price_increases_with_volatility(x, s):
    grid = s * np.array([1.0, 1.0 + 1e-6, 1.1, 2.0])
    price, log_price = normalised_black(np.full(4, -abs(x)), grid)
    assert np.all(np.diff(log_price) > 0)
    assert np.all(price < np.exp(-0.5 * abs(x)))


@given(st.floats(0.2, 1.5), st.floats(-0.9, 0.9), st.floats(0.01, 3.0), st.floats(0.0, 1.0))
def test_sabr_is_symmetric_under_reflection(alpha, rho, nu, x):
    # With beta = 1 swapping K/F for F/K is the same as changing the sign of rho in z / chi(z);
    # at rho = 0 the whole smile is symmetric.
    up, down = hagan_lognormal_vol(1.0, np.exp([x, -x]), 1.0, alpha, 1.0, 0.0, nu)
    assert up == pytest.approx(down, rel=1e-12)
    steps = hagan_lognormal_vol(1.0, np.exp(np.array([-1e-7, 0.0, 1e-7])), 1.0, alpha, 1.0, rho, nu)
    assert np.ptp(steps) < 1e-6 * (1 + nu)


slices = st.builds(
    SviRaw,
    a=st.floats(0.0, 0.2),
    b=st.floats(0.01, 0.8),
    rho=st.floats(-0.9, 0.9),
    m=st.floats(-0.5, 0.5),
    sigma=st.floats(0.05, 1.0),
)


@given(slices, st.floats(0.05, 3.0))
def test_jump_wings_round_trip(raw, years):
    jw = raw.jump_wings(years)
    # At zero skew the minimum is at the money and sigma is not determined.
    assume(jw.v - jw.v_tilde > 1e-3 * jw.v)
    back = SviRaw.from_jump_wings(jw.v, jw.psi, jw.p, jw.c, jw.v_tilde, years)
    k = np.linspace(-1.0, 1.0, 21)
    np.testing.assert_allclose(back.total_variance(k), raw.total_variance(k), rtol=1e-7)


@given(slices)
def test_g_agrees_with_the_density_of_the_prices(raw):
    # g(k) n(-d2) / sqrt(w) is the density of ln(S/F) (Gatheral-Jacquier, section 2.1).
    k, h = np.linspace(-0.6, 0.6, 13), 2e-3
    w = raw.total_variance(k)

    def call(at):
        return black76_price(1.0, np.exp(at), 1.0, np.sqrt(raw.total_variance(at)))

    up, mid, down = call(k + h), call(k), call(k - h)
    first, second = (up - down) / (2 * h), (up - 2 * mid + down) / h**2
    d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
    density = (second - first) * np.exp(-k) * np.exp(k)
    expected = durrleman_g(raw, k) * np.exp(k) * np.exp(-0.5 * d2**2) / np.sqrt(2 * np.pi * w)
    np.testing.assert_allclose(density, expected, atol=2e-3 * np.max(np.abs(expected)) + 1e-5)


@given(slices)
def test_butterfly_report_finds_the_minimum(raw):
    report = butterfly_report(raw)
    g = durrleman_g(raw, np.linspace(-5.0, 5.0, 401))
    assert report.min_g <= np.nanmin(g) + 1e-12
    if np.nanmin(g) < 0:
        assert report.arbitrage
    for root in report.roots_of_g:
        assert abs(float(durrleman_g(raw, root))) < 1e-6

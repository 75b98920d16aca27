"""Properties of the compiled kernels for any input Hypothesis finds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.pricing import black76_greeks, black76_implied_vol
from commonmode.pricing.kernels import black76, implied_vol, inverse76
from commonmode.pricing.kernels.columns import LINEAR

ROWS = 16
# Every finite double >= 0, and the sizes that occur.
ANY = st.one_of(
    st.just(0.0),
    st.floats(0.0, 1.7e308),
    st.floats(1e-3, 10.0),
)
SIGNS = arrays(np.float64, ROWS, elements=st.sampled_from([1.0, -1.0]))


def column(elements):
    return arrays(np.float64, ROWS, elements=elements)


def within(low, high):
    return column(st.floats(np.log(low), np.log(high))).map(np.exp)


@given(column(ANY), column(ANY), column(ANY), column(ANY), SIGNS)
def test_prices_are_never_nan_and_the_greeks_are_nan_only_where_the_twins_are(f, k, t, v, sign):
    got = black76(f, k, t, v, sign=sign, greeks="all", engine="numba")
    twin = black76_greeks(f, k, t, v, sign=sign)
    assert np.isfinite(got["price"]).all()
    for name in LINEAR:
        np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(getattr(twin, name)), name)


SANE = (within(1e-6, 1e6), within(1e-6, 1e6), within(1e-5, 30.0), within(1e-3, 10.0), SIGNS)


@given(*SANE)
def test_no_output_is_nan_for_an_input_that_occurs(f, k, t, v, sign):
    assert np.isfinite(black76(f, k, t, v, sign=sign, greeks="all", engine="numba").values).all()
    assert np.isfinite(inverse76(f, k, t, v, sign=sign, engine="numba").values).all()


@given(*SANE, st.floats(-0.2, 0.2))
def test_twins_agree_to_the_conditioning(f, k, t, v, sign, rate):
    got = black76(f, k, t, v, sign=sign, rate=rate, greeks="all", engine="numba")
    twin = black76_greeks(f, k, t, v, sign=sign, rate=rate)
    s = v * np.sqrt(t)
    d = np.abs(np.log(f / k)) / s + 0.5 * s
    # 64 units in the last place where d is small; an error of d is one of d^2 in the exponent.
    loose = 64 * 2.2e-16 * (1.0 + d * d)
    tiny = 1e-280
    density = twin.gamma * f * s
    # Size of the parts of the Greeks that change sign.
    scale = {
        "theta": np.abs(rate * twin.price) + 0.5 * twin.vega * v / t,
        "vanna": density * (1.0 + d) / v,
        "volga": twin.vega * (1.0 + d * d) / v,
        "charm": np.abs(rate * twin.delta) + 0.5 * density * (1.0 + d) / t,
        "speed": twin.gamma / f * (1.0 + d / s),
        "color": twin.gamma * (np.abs(rate) + (1.0 + d * d) / t),
        "zomma": twin.gamma * (1.0 + d * d) / v,
        "ultima": twin.vega * (1.0 + d**4) / (v * v),
    }
    for name in LINEAR:
        exact = getattr(twin, name)
        size = np.maximum(scale.get(name, np.abs(exact)), np.abs(exact))
        assert np.all(np.abs(got[name] - exact) <= loose * size + tiny * (1.0 + size)), name


@given(within(1e-3, 1e5), column(st.floats(-2.0, 2.0)), within(1e-3, 3.0), within(0.02, 3.0))
@settings(max_examples=60)
def test_implied_vol_inverts_the_price(f, x, t, v):
    k = f * np.exp(x)
    sign = np.where(k >= f, 1.0, -1.0)  # out of the money: the price holds the digits
    price = black76(f, k, t, v, sign=sign, greeks="price", engine="numba")["price"]
    got = implied_vol(price, f, k, t, sign=sign, engine="numba")
    s = v * np.sqrt(t)
    h = np.abs(np.log(f / k)) / s
    vega = black76_greeks(f, k, t, v, sign=sign).vega
    with np.errstate(divide="ignore", invalid="ignore"):
        # Relative error of the price (its own conditioning) times its elasticity to the vol.
        moved = 64 * 2.2e-16 * (1.0 + h * h) * price / (v * vega)
        live = (price > 1e-280) & (price < 0.99 * np.minimum(f, k))
    assert np.all(np.abs(got / v - 1.0)[live] <= 1.7e-14 + moved[live])


@given(*SANE)
def test_implied_vol_is_its_twin(f, k, t, v, sign):
    price = black76(f, k, t, v, sign=sign, greeks="price", engine="numba")["price"]
    got = implied_vol(price, f, k, t, sign=sign, engine="numba")
    twin = black76_implied_vol(price, f, k, t, sign=sign)
    otm = price - np.maximum(sign * (f - k), 0.0)
    bound = np.minimum(f, k)
    # The edges of the bounds are decided by the last bit of the quotient.
    inside = (otm > 1e-12 * price) & (otm < 0.999 * bound) & (otm > 1e-280)
    vega = black76_greeks(f, k, t, np.where(inside, twin, 1.0), sign=sign).vega
    with np.errstate(all="ignore"):
        slack = 64 * 2.2e-16 * (1.0 + np.maximum(price, otm) / (twin * vega))
        assert not np.isnan(got[inside]).any()
        assert np.all((np.abs(got / twin - 1.0) <= 1.7e-14 + slack)[inside])


@given(*SANE, st.integers(-20, 20))
def test_scale_invariance_to_the_bit(f, k, t, v, sign, power):
    """Prices have degree one in (F, K); a power of two changes exponents only."""
    unit = 2.0**power
    one = black76(f, k, t, v, sign=sign, engine="numba")
    two = black76(unit * f, unit * k, t, v, sign=sign, engine="numba")
    np.testing.assert_allclose(two["price"], unit * one["price"], rtol=1e-14, atol=1e-280)
    np.testing.assert_allclose(two["delta"], one["delta"], rtol=1e-14, atol=1e-280)
    np.testing.assert_allclose(two["gamma"], one["gamma"] / unit, rtol=1e-14, atol=1e-280)


@given(*SANE[:4])
def test_put_call_parity(f, k, t, v):
    call = black76(f, k, t, v, sign=1.0, engine="numba")
    put = black76(f, k, t, v, sign=-1.0, engine="numba")
    gap = np.abs(call["price"] - put["price"] - (f - k))
    assert np.all(gap <= 4 * 2.2e-16 * (call["price"] + put["price"] + np.maximum(f, k)))
    assert np.all(np.abs(call["delta"] - put["delta"] - 1.0) <= 1e-13)


STEPS = st.integers(-3, 3)


@given(
    within(1e-3, 1e6),
    column(st.sampled_from([0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 2.0**20])),
    column(STEPS),
    within(1e-9, 1.0),
    SIGNS,
)
def test_where_the_logarithm_changes_its_power_of_two(f, ratio, steps, s, sign):
    """Forwards a few units in the last place from a multiple of the strike, short-dated too."""
    k = f / ratio + steps * np.spacing(f / ratio)
    got = black76(f, k, 1.0, s, sign=sign, greeks="five", engine="numba")
    twin = black76_greeks(f, k, 1.0, s, sign=sign)
    d = np.abs(np.log(f / k)) / s + 0.5 * s
    loose = 64 * 2.2e-16 * (1.0 + d * d)
    for name in ("price", "delta", "gamma", "vega"):
        exact = getattr(twin, name)
        assert np.all(np.abs(got[name] - exact) <= loose * np.abs(exact) + 1e-280), name


@given(st.integers(1, 600), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_row_does_not_depend_on_what_stands_beside_it(n, seed):
    """Runs are not full, some rows are left to the twin, one value serves a whole column."""
    rng = np.random.default_rng(seed)
    f, k = rng.uniform(50.0, 150.0, (2, n))
    t, v = rng.uniform(0.0, 2.0, (2, n))
    t[rng.random(n) < 0.1], v[rng.random(n) < 0.1], k[rng.random(n) < 0.1] = 0.0, 0.0, 0.0
    sign = rng.choice([-1.0, 1.0], n)
    some = rng.integers(0, n, 5)
    for value in (black76, inverse76):
        for years, vol in ((t, v), (0.25, v), (t, 0.5)):
            whole = value(f, k, years, vol, sign=sign, greeks="all", engine="numba").values
            ys, vs = np.broadcast_to(years, n), np.broadcast_to(vol, n)
            alone = [
                value(f[i], k[i], ys[i], vs[i], sign=sign[i], greeks="all", engine="numba").values
                for i in some
            ]
            np.testing.assert_array_equal(np.concatenate(alone, axis=1), whole[:, some])

"""Greeks against differences, limits, and refusals of the models by characteristic function."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.pricing import black76_greeks, black76_price
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
from commonmode.pricing.fourier.book import PutBook
from commonmode.pricing.fourier.cos import CosGrid, cos_grid, put_coefficients
from commonmode.pricing.fourier.price import unit_prices

LAWS = [
    Heston(0.04, 4.0, 0.25, 1.0, -0.5),
    Bates(0.2, 2.0, 0.25, 0.9, -0.3, 3.0, -0.05, 0.12),
    Merton(0.2, 1.5, -0.1, 0.15),
    Kou(0.16, 1.0, 0.4, 10.0, 5.0),
    VarianceGamma(0.3, -0.14, 0.1),
    Cgmy(1.0, 5.0, 7.0, 0.5),
    Cgmy(0.3, 5.0, 7.0, 1.4),
]
STRIKES = np.array([70.0, 100.0, 130.0])
YEARS = 0.7


def name(law):
    return type(law).__name__


def central(function, at, h):
    return (function(at + h) - function(at - h)) / (2 * h)


@pytest.mark.parametrize("law", LAWS, ids=name)
@pytest.mark.parametrize("method", ["auto", "contour"])
@pytest.mark.parametrize("sign", [1, -1])
def test_greeks_match_differences(law, method, sign):
    def price(forward=100.0, years=YEARS, rate=0.04, law=law):
        return cf_price(law, forward, STRIKES, years, sign=sign, rate=rate, method=method)

    g = cf_greeks(law, 100.0, STRIKES, YEARS, sign=sign, rate=0.04, method=method)
    np.testing.assert_allclose(g.price, price(), rtol=1e-12)
    np.testing.assert_allclose(g.delta, central(lambda f: price(forward=f), 100.0, 0.01), atol=1e-7)
    gamma = central(
        lambda f: cf_greeks(law, f, STRIKES, YEARS, sign=sign, rate=0.04, method=method).delta,
        100.0,
        0.01,
    )
    np.testing.assert_allclose(g.gamma, gamma, atol=1e-7)
    theta = -central(lambda t: price(years=t), YEARS, 1e-4)
    np.testing.assert_allclose(g.theta, theta, atol=2e-6)
    np.testing.assert_allclose(g.rho, central(lambda r: price(rate=r), 0.04, 1e-4), atol=1e-6)
    for parameter in fields(law):
        value = getattr(law, parameter.name)

        def moved(x, parameter=parameter):
            return price(law=replace(law, **{parameter.name: x}))

        slope = central(moved, value, 1e-5 * max(abs(value), 0.1))
        np.testing.assert_allclose(g.parameters[parameter.name], slope, rtol=1e-5, atol=2e-6)


def test_greeks_of_a_lawless_limit_are_those_of_black():
    """Merton without jumps."""
    g = cf_greeks(Merton(0.5, 0.0, 0.0, 0.1), 100.0, STRIKES, YEARS, rate=0.03)
    b = black76_greeks(100.0, STRIKES, YEARS, 0.5, rate=0.03)
    for greek in ("price", "delta", "gamma", "theta", "rho"):
        np.testing.assert_allclose(getattr(g, greek), getattr(b, greek), rtol=1e-10)
    np.testing.assert_allclose(g.parameters["vol"], b.vega, rtol=1e-10)


@pytest.mark.parametrize(
    "law",
    [
        Heston(0.25, 2.0, 0.25, 1e-7, -0.5),
        Bates(0.25, 2.0, 0.25, 1e-7, 0.3, 0.0, 0.1, 0.1),
        Merton(0.5, 0.0, 0.3, 0.2),
        Merton(0.5, 10.0, 0.0, 0.0),
        Kou(0.5, 0.0, 0.5, 10.0, 10.0),
        VarianceGamma(0.5, 0.0, 1e-9),
    ],
    ids=name,
)
def test_limits_are_black(law):
    vols = cf_implied_vol(law, 100.0, [50.0, 100.0, 200.0], [[0.02], [1.0]])
    np.testing.assert_allclose(vols[1], 0.5, atol=1e-7)
    np.testing.assert_allclose(vols[0, 1], 0.5, atol=1e-7)


def test_heston_with_deterministic_variance():
    """As sigma goes to 0 the total variance is the integral of the mean."""
    v0, kappa, theta, years = 0.09, 3.0, 0.36, 0.5
    mean = theta * years + (v0 - theta) * -np.expm1(-kappa * years) / kappa
    vol = cf_implied_vol(Heston(v0, kappa, theta, 1e-6, 0.5), 100.0, STRIKES, years)
    np.testing.assert_allclose(vol, np.sqrt(mean / years), atol=1e-6)


def test_bates_without_variance_of_variance_is_merton():
    bates = Bates(0.04, 1.0, 0.04, 1e-7, 0.0, 1.5, -0.1, 0.15)
    merton = Merton(0.2, 1.5, -0.1, 0.15)
    ours, other = (cf_price(m, 100.0, STRIKES, YEARS) for m in (bates, merton))
    np.testing.assert_allclose(ours, other, rtol=1e-9)


def test_variance_gamma_is_the_limit_of_cgmy():
    """Carr, Geman, Madan and Yor (2002): Y = 0."""
    vol, drift, nu = 0.3, -0.14, 0.25
    root = np.sqrt(drift * drift + 2 * vol * vol / nu)
    cgmy = Cgmy(1 / nu, (root + drift) / vol**2, (root - drift) / vol**2, 1e-7)
    ours = cf_price(cgmy, 100.0, STRIKES, YEARS)
    np.testing.assert_allclose(
        ours, cf_price(VarianceGamma(vol, drift, nu), 100.0, STRIKES, YEARS), atol=1e-4
    )


def test_far_wings_keep_their_digits():
    """At twelve standard deviations a price is 1e-34 of the forward, and still exact."""
    strikes = 100.0 * np.exp(np.array([-12.0, 12.0]) * 0.5 * np.sqrt(0.1))
    unit = unit_prices(
        Merton(0.5, 0.0, 0.0, 0.1), np.log(strikes / 100.0), np.full(2, 0.1), relative=True
    )
    black = black76_price(1.0, strikes / 100.0, 0.1, 0.5, sign=[-1, 1])
    assert np.all(black < 1e-30)
    np.testing.assert_allclose(unit.value, black, rtol=1e-9)


def test_moments_explode_when_andersen_and_piterbarg_say():
    """The generating function just inside the strip is finite and large."""
    law = Heston(0.04, 0.5, 0.04, 1.0, 0.8)
    low, high = law.strip(5.0)
    assert low < 0 < 1 < high < 3
    for end in (low, high):
        inside = 0.5 + (end - 0.5) * (1 - 1e-4)
        assert law.explosion(np.array(inside)) > 5.0
        assert law.explosion(np.array(end + (end - 0.5) * 1e-2)) < 5.0
        assert law.log_cf(np.array(-1j * inside), np.array(5.0)).real > 5.0
    assert np.isinf(law.explosion(np.array([0.0, 0.5, 1.0]))).all()


def test_grid_meets_its_tolerance():
    law = Heston(0.04, 4.0, 0.25, 1.0, -0.5)
    exact = cf_price(law, 1.0, [0.8, 1.2], 1.0, method="contour")
    terms = []
    for tolerance in (1e-4, 1e-7, 1e-10):
        ours = cf_price(law, 1.0, [0.8, 1.2], 1.0, method="cos", tolerance=tolerance)
        np.testing.assert_allclose(ours, exact, atol=tolerance)
        terms.append(cos_grid(law, 1.0, 1.0, tolerance=tolerance).terms)
    assert terms == sorted(set(terms))


def test_payoffs_of_the_book_are_those_of_the_series():
    k, years = np.array([[-0.3, 0.0, 0.2], [-0.5, 0.1, 0.4]]), np.array([0.1, 0.5])
    book = PutBook.of(k, years, np.array([0.5, 0.6]), terms=150)
    for e in range(2):
        grid = CosGrid(float(book.left[e]), float(book.right[e]), 150)
        np.testing.assert_allclose(
            book.payoff[e, :, :3].T, put_coefficients(k[e], grid), atol=1e-13
        )


def test_impossible_input_is_nan_and_wrong_parameters_are_refused():
    law = LAWS[0]
    prices = cf_price(law, [100.0, -1.0, 100.0, 100.0], [100.0, 100.0, 0.0, 100.0], [1, 1, 1, 0.0])
    assert np.isfinite(prices[0])
    assert np.isnan(prices[1:]).all()
    assert cf_price(law, 100.0, np.empty(0), 1.0).shape == (0,)
    for build in (
        lambda: Heston(-0.04, 4.0, 0.25, 1.0, -0.5),
        lambda: Heston(0.04, 4.0, 0.25, 1.0, -1.5),
        lambda: Bates(0.04, 4.0, 0.25, 1.0, -0.5, -1.0, 0.0, 0.1),
        lambda: Merton(0.0, 1.0, 0.0, 0.1),
        lambda: Kou(0.2, 1.0, 0.5, 0.9, 5.0),
        lambda: Kou(0.2, 1.0, 1.5, 9.0, 5.0),
        lambda: VarianceGamma(0.2, 3.0, 0.5),
        lambda: Cgmy(1.0, 5.0, 0.5, 0.5),
        lambda: Cgmy(1.0, 5.0, 5.0, 1.0),
        lambda: cf_price(law, 100.0, 100.0, 1.0, method="fft"),
        lambda: cf_price(VarianceGamma(0.12, -0.14, 0.2), 100.0, 90.0, 0.1, method="cos"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            build()
        assert caught.value.remedy

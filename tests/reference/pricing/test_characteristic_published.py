"""Published prices of models with a characteristic function, and a second way to compute them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from commonmode.pricing import black76_price
from commonmode.pricing.fourier import (
    Bates,
    Cgmy,
    Heston,
    Kou,
    Merton,
    VarianceGamma,
    cf_implied_vol,
    cf_price,
)

METHODS = ("auto", "contour")


def price(model, spot, strike, years, rate, dividend=0.0, sign=1, **options):
    forward = spot * np.exp((rate - dividend) * years)
    return float(cf_price(model, forward, strike, years, sign=sign, rate=rate, **options))


LEWIS = Heston(v0=0.04, kappa=4.0, theta=0.25, sigma=1.0, rho=-0.5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("strike", "put", "call"),
    [
        (80, 7.958878113256768023, 26.774758743998854221),
        (90, 12.017966707346304987, 20.933349000596710388),
        (100, 17.055270961270109413, 16.070154917028834278),
        (110, 23.017825898442800538, 12.132211516709844867),
        (120, 29.811026202682471843, 9.024913483457835636),
    ],
)
def test_lewis_heston_prices(strike, put, call, method):
    """Alan Lewis, thread 90957 of wilmott.com; also QuantLib, testAlanLewisReferencePrices."""
    for sign, value in ((-1, put), (1, call)):
        ours = price(LEWIS, 100, strike, 1.0, 0.01, 0.02, sign, method=method)
        assert ours == pytest.approx(value, abs=3e-13)


FELLER_VIOLATED = Heston(v0=0.0175, kappa=1.5768, theta=0.0398, sigma=0.5751, rho=-0.5711)
MERTON = Merton(vol=0.25 * np.sqrt(0.75), intensity=1.0, jump_mean=-0.0078125, jump_std=0.125)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("model", "strike", "years", "rate", "value", "within"),
    [
        # The paper prints 5.785155450; the last digits of that are not right.
        (FELLER_VIOLATED, 100, 1.0, 0.0, 5.785155434376, 1e-11),
        (FELLER_VIOLATED, 100, 10.0, 0.0, 22.318945791, 1e-9),
        (VarianceGamma(0.12, -0.14, 0.2), 90, 0.1, 0.1, 10.993703187, 1e-9),
        (VarianceGamma(0.12, -0.14, 0.2), 90, 1.0, 0.1, 19.099354724, 1e-9),
        (Cgmy(1.0, 5.0, 5.0, 0.5), 100, 1.0, 0.1, 19.812948843, 1e-9),
        (Cgmy(1.0, 5.0, 5.0, 1.5), 100, 1.0, 0.1, 49.790905469, 1e-9),
        (Cgmy(1.0, 5.0, 5.0, 1.98), 100, 1.0, 0.1, 99.999905510, 1e-9),
        # Kou (2002), footnote 9.
        (Kou(0.16, 1.0, 0.4, 10.0, 5.0), 98, 0.5, 0.05, 9.14732, 5e-6),
        # Haug (1998), p. 9.
        (MERTON, 80, 0.1, 0.08, 20.67, 5e-3),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "cone") else None,
)
def test_published_prices(model, strike, years, rate, value, within, method):
    """Fang and Oosterlee (2008), tables of section 5, unless another source is named."""
    assert price(model, 100, strike, years, rate, method=method) == pytest.approx(value, abs=within)


def test_kahl_jaeckel_hard_case():
    """Far from Feller's condition for ten years; both methods and mpmath's integral agree."""
    model = Heston(v0=0.16, kappa=1.0, theta=0.16, sigma=2.0, rho=-0.8)
    ours = [price(model, 100, 200, 10.0, 0.0, method=method) for method in METHODS]
    assert ours[0] == pytest.approx(ours[1], abs=1e-11)
    assert ours[1] == pytest.approx(lewis_integral(model, 100.0, 200.0, 10.0), abs=1e-9)


def test_forde_implied_vols():
    """QuantLib, testExpansionOnFordeReference (80 and T = 10); the others by mpmath."""
    model = Heston(v0=0.04, kappa=1.15, theta=0.04, sigma=0.2, rho=-0.4)
    vols = cf_implied_vol(model, 100.0, [60, 80, 140, 100], [1.0, 1.0, 1.0, 10.0])
    expected = [0.2372179199069, 0.2127275920953156, 0.1817793287517, 0.1950420231354201]
    np.testing.assert_allclose(vols, expected, atol=1e-12)


def lewis_integral(model, forward, strike, years):
    """Lewis (2001), equation 3.11, by adaptive quadrature: a call, undiscounted."""
    k = np.log(strike / forward)

    def integrand(u):
        log_cf = model.log_cf(np.array(u - 0.5j), np.array(years))
        return (np.exp(log_cf - 1j * u * k)).real / (u * u + 0.25)

    whole = quad(integrand, 0.0, 20.0, epsabs=1e-13, limit=400)[0]
    whole += quad(integrand, 20.0, 4000.0, epsabs=1e-13, limit=2000)[0]
    return forward - np.sqrt(forward * strike) / np.pi * whole


@pytest.mark.parametrize(
    "model",
    [
        LEWIS,
        FELLER_VIOLATED,
        MERTON,
        Bates(0.2, 2.0, 0.25, 0.9, -0.3, 3.0, -0.05, 0.12),
        Kou(0.3, 20.0, 0.6, 30.0, 15.0),
        VarianceGamma(0.5, -0.3, 0.1),
        Cgmy(1.0, 5.0, 7.0, 0.7),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("years", [0.25, 2.0])
def test_quadrature_agrees(model, years):
    strikes = np.array([60.0, 95.0, 100.0, 160.0])
    ours = cf_price(model, 100.0, strikes, years)
    other = [lewis_integral(model, 100.0, strike, years) for strike in strikes]
    np.testing.assert_allclose(ours, other, atol=2e-9)


def test_merton_is_a_mixture_of_black():
    """Merton (1976), equation 19: prices given the number of jumps, weighted by Poisson."""
    years, strikes = 0.5, np.array([70.0, 100.0, 130.0])
    vol, rate, mean, std = 0.2, 3.0, -0.1, 0.15
    total, weight = np.zeros(3), np.exp(-rate * years)
    for n in range(60):
        drift = n * (mean + 0.5 * std * std) - rate * years * np.expm1(mean + 0.5 * std * std)
        smile = np.sqrt(vol * vol + n * std * std / years)
        total += weight * black76_price(100.0 * np.exp(drift), strikes, years, smile)
        weight *= rate * years / (n + 1)
    ours = cf_price(Merton(vol, rate, mean, std), 100.0, strikes, years)
    np.testing.assert_allclose(ours, total, rtol=1e-13)

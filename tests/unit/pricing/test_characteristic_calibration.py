"""Calibration of the models by characteristic function: planted laws, outliers, failures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason
from commonmode.pricing import SviRaw
from commonmode.pricing._normalised import normal_density
from commonmode.pricing.fourier import (
    Bates,
    BatesModel,
    Heston,
    HestonModel,
    Kou,
    KouModel,
    Merton,
    MertonModel,
    VarianceGamma,
    VarianceGammaModel,
    cf_implied_vol,
    fit_cf,
)
from commonmode.pricing.fourier.descent import descend
from commonmode.register.cards import Layer

DAYS = np.array([7, 14, 21, 30, 45, 60, 90, 120, 150, 180, 270, 365])
YEARS = DAYS / 365.0
HESTON = Heston(0.3, 3.0, 0.5, 1.5, -0.3)


def svi_smile(k, years):
    """A skewed smile that is none of the laws'."""
    unit = SviRaw(a=0.12, b=0.11, rho=-0.25, m=0.05, sigma=0.6)
    return np.sqrt(unit.total_variance(k / np.sqrt(years)))


def surface(law, years=YEARS, strikes=40):
    """Log-moneyness, vols and weights of a surface that the law made."""
    k = np.linspace(-1.6, 1.6, strikes) * 0.6 * np.sqrt(years)[:, None]
    vol = cf_implied_vol(law, 1.0, np.exp(k), years[:, None])
    s = vol * np.sqrt(years)[:, None]
    weight = normal_density(-k / s + 0.5 * s) ** 2
    return k, years, vol, weight * strikes / weight.sum(axis=1, keepdims=True)


def values(law):
    return np.array([getattr(law, name) for name in law.names])


@pytest.mark.parametrize(
    ("kind", "law", "within"),
    [
        ("heston", HESTON, 1e-6),
        ("bates", Bates(0.3, 3.0, 0.5, 1.5, -0.3, 5.0, -0.05, 0.08), 2e-3),
        ("merton", Merton(0.4, 6.0, -0.05, 0.12), 1e-3),
        ("kou", Kou(0.4, 8.0, 0.4, 20.0, 12.0), 2e-2),
        ("variance-gamma", VarianceGamma(0.5, -0.2, 0.05), 1e-3),
    ],
)
def test_one_planted_law_is_recovered(kind, law, within):
    k, years, vol, weight = surface(law, YEARS[3:9])
    fit = fit_cf(kind, k, years, vol, weight, scope="chain").value
    assert fit.converged.all()
    assert not fit.at_bound.any()
    np.testing.assert_allclose(fit.parameters[0], values(law), rtol=within, atol=within)
    assert np.max(np.abs(fit.residual)) < 1e-5


@pytest.mark.parametrize("kind", ["merton", "variance-gamma"])
def test_planted_laws_by_expiry_are_recovered(kind):
    years = YEARS[3:7]
    spread = 0.3 / np.sqrt(12 * years)
    laws = {
        "merton": [Merton(0.4, 0.5 / t, -0.3 * s, s) for t, s in zip(years, spread, strict=True)],
        "variance-gamma": [VarianceGamma(0.5, -0.3 / np.sqrt(t), 0.4 * t) for t in years],
    }[kind]
    rows = [surface(law, years[e : e + 1]) for e, law in enumerate(laws)]
    k, _, vol, weight = (np.concatenate(part) for part in zip(*rows, strict=True))
    fit = fit_cf(kind, k, years, vol, weight, scope="expiry").value
    assert fit.converged.all()
    np.testing.assert_allclose(fit.parameters, np.stack([values(m) for m in laws]), rtol=5e-3)


def random_start(rng):
    low = np.array([0.05, 0.3, 0.05, 0.2, -0.9])
    high = np.array([1.5, 10.0, 1.5, 4.0, 0.9])
    return rng.uniform(low, high)


def check_random_starts(count):
    rng = np.random.default_rng(0)
    k, years, vol, weight = surface(HESTON)
    for _ in range(count):
        fit = fit_cf("heston", k, years, vol, weight, start=random_start(rng)).value
        assert fit.converged.all()
        np.testing.assert_allclose(fit.parameters[0], values(HESTON), rtol=1e-4)
        assert fit.evaluations[0] <= 40


def test_heston_from_random_starts():
    check_random_starts(20)


@pytest.mark.slow
def test_heston_from_200_random_starts():
    check_random_starts(200)


def check_random_surfaces(count):
    rng = np.random.default_rng(1)
    for _ in range(count):
        law = Heston(
            rng.uniform(0.1, 1.0),
            rng.uniform(0.5, 8.0),
            rng.uniform(0.1, 1.0),
            rng.uniform(0.3, 3.0),
            rng.uniform(-0.8, 0.6),
        )
        k, years, vol, weight = surface(law)
        fit = fit_cf("heston", k, years, vol, weight).value
        assert fit.converged.all()
        assert np.max(np.abs(fit.residual)) < 2.5e-5
        np.testing.assert_allclose(fit.parameters[0], values(law), rtol=5e-3)


def test_random_heston_surfaces():
    check_random_surfaces(15)


@pytest.mark.slow
def test_200_random_heston_surfaces():
    check_random_surfaces(200)


def test_minimum_is_that_of_scipy():
    """A smile that no Heston makes: same cost as scipy's trust region from the same start."""
    k, years, vol, weight = surface(HESTON, YEARS[::3], 21)
    vol = vol + 0.01 * np.sin(40 * k)
    fit = fit_cf("heston", k, years, vol, weight, outlier=np.inf).value

    def miss(x):
        law = Heston(*np.exp(x[:4]), np.tanh(x[4]))
        return (
            np.sqrt(weight) * (cf_implied_vol(law, 1.0, np.exp(k), years[:, None]) - vol)
        ).ravel()

    p = fit.parameters[0]
    start = np.append(np.log(p[:4] * 1.1), np.arctanh(p[4]))
    other = least_squares(miss, start, xtol=1e-10, ftol=1e-10)
    # Ours is a fit of prices over vega, which is one of vols to first order.
    assert np.sum(fit.residual**2) == pytest.approx(2 * other.cost, rel=0.02)
    found = np.append(np.exp(other.x[:4]), np.tanh(other.x[4]))
    np.testing.assert_allclose(p, found, rtol=0.05)


def test_covariance_is_the_spread_over_repeated_noise():
    k, years, vol, weight = surface(HESTON, YEARS[::2], 21)
    rng = np.random.default_rng(3)
    even = np.ones_like(weight)  # equal weights: residuals are the noise itself
    fits = []
    for _ in range(60):
        noisy = vol + 0.003 * rng.standard_normal(vol.shape)
        fits.append(fit_cf("heston", k, years, noisy, even, outlier=np.inf).value)
    spread = np.std([fit.parameters[0] for fit in fits], axis=0, ddof=5)
    stated = np.sqrt(np.mean([np.diagonal(fit.covariance[0]) for fit in fits], axis=0))
    np.testing.assert_allclose(stated / spread, 1.0, atol=0.35)
    assert 5.0 < fits[0].condition[0] < 1e4


def test_a_short_term_structure_is_told_as_poorly_identified():
    """One expiry cannot tell kappa from theta: the condition number says so."""
    one, many = (
        fit_cf("heston", *surface(HESTON, years)).value.condition[0] for years in (YEARS[:1], YEARS)
    )
    assert one > 20 * many


def test_outliers_lose_their_weight():
    k, years, vol, weight = surface(HESTON)
    wrong = vol.copy()
    wrong[::2, 7] += 0.4
    wrong[1::2, 22] -= 0.2
    plain = fit_cf("heston", k, years, wrong, weight, outlier=np.inf).value
    robust = fit_cf("heston", k, years, wrong, weight, outlier=4.0).value
    miss = [np.max(np.abs(f.parameters[0] / values(HESTON) - 1)) for f in (plain, robust)]
    assert miss[1] < 0.2 * miss[0]
    assert np.all(robust.outlier_weight[::2, 7] < 0.1)
    assert np.all(plain.outlier_weight == 1.0)


def test_a_warm_start_takes_fewer_evaluations():
    k, years, vol, weight = surface(HESTON)
    cold = fit_cf("heston", k, years, vol, weight).value
    warm = fit_cf("heston", k, years, vol, weight, start=cold.parameters[0] * 1.02).value
    assert warm.evaluations[0] < cold.evaluations[0]
    np.testing.assert_allclose(warm.parameters, cold.parameters, rtol=1e-4)


def test_too_few_quotes_is_a_failure():
    k, years, vol, weight = surface(HESTON, YEARS[:1], 5)
    failed = fit_cf("heston", k, years, vol, weight)
    assert isinstance(failed, Failure)
    assert failed.reason is FailureReason.MISSING_DATA
    assert failed.remedy


def test_prices_that_cannot_be_computed_are_a_failure():
    k, years, vol, weight = surface(HESTON)
    failed = fit_cf("heston", k, years, np.full_like(vol, np.nan), weight)
    assert isinstance(failed, Failure)
    assert failed.reason is FailureReason.CALIBRATION_FAILED
    assert failed.remedy


def test_heston_surface_recovers_a_heston_chain(make_chain):
    def smile(k, years):
        return cf_implied_vol(HESTON, 1.0, np.exp(k), years)

    chain = make_chain(smile)
    fitted = HestonModel(id="heston").calibrate(chain).value
    vols = fitted.implied_vol(chain.strike, chain.years, chain.forward, chain.expiry_ms)
    np.testing.assert_allclose(vols, chain.mark_iv, atol=2e-5)
    np.testing.assert_allclose(fitted.parameters["kappa"], 3.0, rtol=1e-2)
    assert np.all(fitted.parameters["converged"] == 1.0)
    # Maturity is the quote's own: an hour later the same law, not the same smile.
    later = fitted.implied_vol(chain.strike, chain.years * 0.9, chain.forward, chain.expiry_ms)
    expected = smile(chain.log_moneyness, chain.years * 0.9)
    np.testing.assert_allclose(later, expected, atol=2e-5)


@pytest.mark.parametrize("model", [HestonModel, MertonModel], ids=["heston", "merton"])
def test_recalibration_starts_at_the_previous_surface(model, make_chain):
    first = model(id="m").calibrate(make_chain()).value
    later = make_chain(lambda k, years: svi_smile(k, years) + 0.004 + 0.01 * k, days=DAYS[:4])
    cold = model(id="m").calibrate(later).value
    if model is MertonModel:  # other expiries: from its own start
        again = model(id="m").recalibrate(later, first).value
        np.testing.assert_array_equal(again.fit.parameters, cold.fit.parameters)
        first = cold
    warm = model(id="m").recalibrate(later, first).value
    assert warm.fit.evaluations.sum() < cold.fit.evaluations.sum()
    assert np.all(warm.rmse <= cold.rmse * 1.05 + 1e-4)


@pytest.mark.parametrize("model", [HestonModel, KouModel], ids=["heston", "kou"])
def test_padding_of_shorter_expiries_counts_for_nothing(model, make_chain):
    chain = make_chain()
    thin = (chain.expiry_ms == chain.expiry_ms[-1]) & (np.arange(len(chain)) % 4 < 2)
    fitted = model(id="m").calibrate(chain.select(~thin)).value
    assert len(set(fitted.slices.count.tolist())) == 2
    assert np.all(fitted.rmse < 0.02)  # of an SVI smile, which neither law makes


def test_the_card_says_what_is_fitted_together():
    def calibration(model):
        uses = model.card.components
        return {use.component for use in uses if use.layer is Layer.CALIBRATION}

    for together in (HestonModel(id="m"), BatesModel(id="m"), KouModel(id="m", scope="chain")):
        assert "all expiries together" in calibration(together)
    for alone in (MertonModel(id="m"), KouModel(id="m"), VarianceGammaModel(id="m")):
        assert "each expiry on its own" in calibration(alone)
    assert "huber outlier weights" not in calibration(HestonModel(id="m", outlier=np.inf))


@pytest.mark.parametrize(
    ("constructor", "options"),
    [
        (HestonModel, {"scope": "slice"}),
        (HestonModel, {"outlier": 0.0}),
        (KouModel, {"min_quotes": 5}),
        (MertonModel, {"quotes": "last"}),
    ],
)
def test_wrong_options_are_refused(constructor, options):
    with pytest.raises(ConfigurationError) as caught:
        constructor(id="m", **options)
    assert caught.value.remedy
    with pytest.raises(ConfigurationError):
        fit_cf("black", *surface(HESTON, YEARS[:2], 9))


def test_levy_law_for_a_whole_chain(make_chain):
    law = Merton(0.4, 6.0, -0.05, 0.12)
    chain = make_chain(
        lambda k, years: cf_implied_vol(law, 1.0, np.exp(k), years), days=(7, 30, 90)
    )
    fitted = MertonModel(id="m", scope="chain").calibrate(chain).value
    assert len(fitted.fit.parameters) == 1
    np.testing.assert_allclose(fitted.parameters["intensity"], 6.0, rtol=0.02)
    shifted = replace(chain, forward=chain.forward * 1.03, strike=chain.strike * 1.03)
    vols = fitted.implied_vol(shifted.strike, shifted.years, shifted.forward, shifted.expiry_ms)
    np.testing.assert_allclose(vols, chain.mark_iv, atol=1e-4)


def test_descent_solves_a_batch_in_a_box():
    """Rosenbrock's valley, and one problem whose minimum lies outside the box."""

    def valley(x, _rows):
        r = np.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0]], axis=1)
        zero, one = np.zeros(len(x)), np.ones(len(x))
        j = np.stack([np.stack([-20 * x[:, 0], -one], 1), np.stack([10 * one, zero], 1)], axis=1)
        return r, j

    start = np.array([[-1.2, 1.0], [0.0, 0.0], [2.0, -1.0]])
    free = descend(valley, start, lower=np.full(2, -3.0), upper=np.full(2, 3.0))
    assert free.converged.all()
    np.testing.assert_allclose(free.x, 1.0, atol=1e-5)
    boxed = descend(valley, start, lower=np.full(2, -3.0), upper=np.array([0.5, 3.0]))
    np.testing.assert_allclose(boxed.x, [[0.5, 0.25]] * 3, atol=1e-5)
    lost = descend(
        valley, np.array([[np.nan, 0.0], [0.0, 0.0]]), lower=start[0] - 9, upper=start[0] + 9
    )
    assert lost.converged.tolist() == [False, True]

"""SVI and SABR fits of one slice against known parameters and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.core.errors import DataError
from commonmode.pricing import SviRaw, fit_sabr, fit_svi, hagan_lognormal_vol
from commonmode.pricing.least_squares import levenberg_marquardt

VOGT = SviRaw(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)


@pytest.mark.parametrize(
    "truth",
    [
        VOGT,
        SviRaw(a=0.04, b=0.1, rho=-0.5, m=0.0, sigma=0.1),
        SviRaw(a=0.001, b=0.02, rho=0.2, m=-0.02, sigma=0.03),
    ],
)
def test_svi_parameters_are_recovered(truth):
    k = np.linspace(truth.m - 4 * truth.sigma, truth.m + 4 * truth.sigma, 31)
    fit = fit_svi(k, truth.total_variance(k))
    assert fit.converged
    assert fit.rmse < 1e-7 * truth.total_variance(0.0)
    for name in ("a", "b", "rho", "m", "sigma"):
        assert getattr(fit.params, name) == pytest.approx(getattr(truth, name), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("seed", range(8))
def test_svi_is_no_worse_than_scipy_started_at_the_truth(seed):
    rng = np.random.default_rng(seed)
    truth = SviRaw(0.05 * rng.random(), 0.05 + 0.2 * rng.random(), rng.uniform(-0.7, 0.7), 0.1, 0.3)
    k = np.sort(rng.uniform(-1, 1, 30))
    w = truth.total_variance(k) * (1 + 0.01 * rng.standard_normal(30))

    def miss(p):
        a, b, rho, m, sigma = p
        return a + b * (rho * (k - m) + np.hypot(k - m, sigma)) - w

    start = [truth.a, truth.b, truth.rho, truth.m, truth.sigma]
    other = least_squares(miss, start, xtol=1e-14, ftol=1e-14, gtol=1e-14, max_nfev=2000)
    ours = fit_svi(k, w)
    assert 30 * ours.rmse**2 <= 2 * other.cost * (1 + 1e-5)


def test_svi_keeps_the_wings_within_lees_bound():
    k = np.linspace(-0.5, 0.5, 21)
    steep = 0.05 + 3.0 * np.abs(k)
    params = fit_svi(k, steep).params
    assert params.b * (1 + abs(params.rho)) <= 2.0 + 1e-9
    assert np.all(params.total_variance(np.linspace(-5, 5, 201)) > 0)


def test_svi_stays_positive_on_a_dip():
    k = np.linspace(-0.5, 0.5, 11)
    w = np.where(np.abs(k) < 0.06, 1e-5, 0.05 + 0.4 * np.abs(k))
    assert np.all(fit_svi(k, w).params.total_variance(np.linspace(-1, 1, 401)) > 0)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.4])
def test_sabr_parameters_are_recovered(beta, rho):
    strike = 100 * np.exp(np.linspace(-0.5, 0.5, 15))
    alpha = 0.5 * 100 ** (1 - beta)
    vol = hagan_lognormal_vol(100.0, strike, 0.5, alpha, beta, rho, 0.9)
    fit = fit_sabr(100.0, strike, 0.5, vol, beta=beta)
    assert fit.rmse < 1e-8
    assert (fit.alpha, fit.rho, fit.nu) == pytest.approx((alpha, rho, 0.9), rel=1e-5, abs=1e-6)


def test_bad_slices_are_refused():
    with pytest.raises(DataError) as caught:
        fit_svi([0.0, 0.1], [0.04, 0.05])
    assert caught.value.remedy
    with pytest.raises(DataError):
        fit_svi(np.linspace(-1, 1, 9), np.full(9, np.nan))
    with pytest.raises(DataError):
        fit_sabr(100.0, [90.0, 100.0], 1.0, [0.5, 0.5])
    with pytest.raises(DataError):
        fit_sabr(100.0, [90.0, 100.0, 110.0], 1.0, [0.5, -0.5, 0.5])


def test_levenberg_marquardt_solves_many_problems_and_respects_the_box():
    centre = np.array([[1.0, 1.0], [3.0, -2.0], [0.5, 0.25]])

    def rosenbrock(u):
        x, y = u[..., 0] - centre[:, 0] + 1, u[..., 1] - centre[:, 1] + 1
        return np.stack([10 * (y - x * x), 1 - x], axis=-1)

    wide = np.full((3, 2), 10.0)
    fit = levenberg_marquardt(
        rosenbrock, np.zeros((3, 2)), lower=-wide, upper=wide, max_iterations=200
    )
    np.testing.assert_allclose(fit.parameters, centre, atol=1e-6)
    assert fit.converged.all()
    tight = levenberg_marquardt(
        rosenbrock,
        np.zeros((3, 2)),
        lower=-wide,
        upper=np.array([[0.5, 10.0], [10.0, 10.0], [10.0, 10.0]]),
        max_iterations=200,
    )
    assert tight.parameters[0] == pytest.approx([0.5, 0.25], abs=1e-6)
    np.testing.assert_allclose(tight.parameters[1:], centre[1:], atol=1e-6)


def test_levenberg_marquardt_leaves_a_hopeless_problem_alone():
    def residuals(u):
        out = u - 2.0
        return np.where(np.arange(2)[:, None] == 1, np.nan, out)

    bound = np.full((2, 1), 9.0)
    fit = levenberg_marquardt(residuals, np.zeros((2, 1)), lower=-bound, upper=bound)
    assert fit.parameters[0, 0] == pytest.approx(2.0)
    assert np.isnan(fit.cost[1])
    assert not fit.converged[1]

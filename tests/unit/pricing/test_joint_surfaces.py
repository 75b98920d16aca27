"""SSVI and eSSVI over all expiries: recovery, freedom from arbitrage, twins, failures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.pricing import (
    EssviJoint,
    SsviJoint,
    SsviSlices,
    check_ssvi,
    fit_surface,
    heston_like_phi,
    power_law_phi,
    ssvi_derivatives,
    ssvi_total_variance,
    svi_total_variance,
)
from commonmode.pricing._surface_maps import essvi_map, ssvi_heston_map, ssvi_power_map

YEARS = np.array([1, 3, 7, 30, 90, 180, 365]) / 365
FAMILIES = ("essvi", "ssvi-power", "ssvi-heston")
ENGINES = [pytest.param("numba", marks=pytest.mark.skipif("numba" not in sys.modules and not
           __import__("importlib.util").util.find_spec("numba"), reason="needs numba")),
           "numpy"]  # fmt: skip
MAPS = {"essvi": essvi_map, "ssvi-power": ssvi_power_map, "ssvi-heston": ssvi_heston_map}


def essvi_slices():
    return SsviSlices(
        YEARS, 0.25 * YEARS * (1 + 0.3 * YEARS), -0.05 - 0.2 * np.sqrt(YEARS), 0.45 * np.sqrt(YEARS)
    )


def grid(slices):
    k = np.linspace(-1.2, 1.2, 25)[None, :] * np.sqrt(YEARS)[:, None]
    w = ssvi_total_variance(k, slices.theta[:, None], slices.rho[:, None], slices.psi[:, None])
    return k, w, 1.0 / (4 * w * YEARS[:, None])


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_of_the_maps(family):
    rng = np.random.default_rng(5)
    n = 6
    head = {"essvi": rng.uniform(-0.6, 0.4, n), "ssvi-power": [-0.3, 0.6, 0.4],
            "ssvi-heston": [-0.3, 5.0]}[family]  # fmt: skip
    tail = rng.uniform(0.1, 0.9, n) if family == "essvi" else []
    u = np.concatenate([head, rng.uniform(0.01, 0.05, n), tail])

    def slices_of(x):
        s, d = np.empty((3, n)), np.empty((n, 3, len(x)))
        MAPS[family](x, s[0], s[1], s[2], d)
        return s.T, d

    _, d = slices_of(u)
    for j in range(len(u)):
        h = np.zeros(len(u))
        h[j] = 1e-6
        slope = (slices_of(u + h)[0] - slices_of(u - h)[0]) / 2e-6
        np.testing.assert_allclose(d[:, :, j], slope, atol=3e-7, rtol=1e-6)


def test_derivatives_of_a_slice():
    k, x = np.linspace(-1, 1, 9), (0.05, -0.4, 0.3)
    d = ssvi_derivatives(k, *x)
    np.testing.assert_allclose(d.w, ssvi_total_variance(k, *x))
    h = 1e-5
    up, down = ssvi_derivatives(k + h, *x), ssvi_derivatives(k - h, *x)
    np.testing.assert_allclose(d.by_k, (up.w - down.w) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(d.by_kk, (up.by_k - down.by_k) / (2 * h), atol=1e-7)
    for j, name in enumerate(("by_theta", "by_rho", "by_psi")):
        more, less = list(x), list(x)
        more[j] += h
        less[j] -= h
        slope = (ssvi_total_variance(k, *more) - ssvi_total_variance(k, *less)) / (2 * h)
        np.testing.assert_allclose(getattr(d, name), slope, atol=1e-7)


def test_a_slice_in_raw_svi():
    slices = essvi_slices()
    k = np.linspace(-1, 1, 9)
    raw = slices.raw_svi(3)
    np.testing.assert_allclose(
        raw.total_variance(k),
        ssvi_total_variance(k, slices.theta[3], slices.rho[3], slices.psi[3]),
        rtol=1e-12,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_essvi_is_recovered(engine):
    true = essvi_slices()
    fit = fit_surface(YEARS, *grid(true), engine=engine).value
    assert fit.converged
    for name in ("theta", "rho", "psi"):
        np.testing.assert_allclose(
            getattr(fit.slices, name), getattr(true, name), rtol=2e-3, atol=1e-3
        )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", ["power", "heston"])
def test_ssvi_is_recovered(family, engine):
    theta = 0.3 * YEARS
    phi = power_law_phi(theta, 0.9, 0.4) if family == "power" else heston_like_phi(theta, 2.0)
    true = SsviSlices(YEARS, theta, np.full(7, -0.3), theta * phi)
    fit = fit_surface(YEARS, *grid(true), family=f"ssvi-{family}", engine=engine).value
    for name in ("theta", "rho", "psi"):
        np.testing.assert_allclose(
            getattr(fit.slices, name), getattr(true, name), rtol=2e-3, atol=1e-3
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_engines_agree(family):
    pytest.importorskip("numba")
    k, w, weight = grid(essvi_slices())
    w = w * (1 + 0.02 * np.random.default_rng(1).standard_normal(w.shape))
    fast, plain = (
        fit_surface(YEARS, k, w, weight, family=family, engine=e, tolerance=1e-12).value
        for e in ("numba", "numpy")
    )
    assert fast.cost == pytest.approx(plain.cost, rel=1e-7)
    np.testing.assert_allclose(fast.slices.psi, plain.slices.psi, rtol=1e-3)
    np.testing.assert_allclose(fast.covariance, plain.covariance, rtol=2e-2, atol=1e-9)


def test_no_other_optimiser_does_better():
    """scipy, in the same box from the same solution, finds nothing below."""
    k, w, weight = grid(essvi_slices())
    w = w * (1 + 0.03 * np.random.default_rng(2).standard_normal(w.shape))
    fit = fit_surface(YEARS, k, w, weight, tolerance=1e-12).value
    n = len(YEARS)

    def residuals(u):
        s, d = np.empty((3, n)), np.empty((n, 3, 3 * n))
        essvi_map(u, s[0], s[1], s[2], d)
        model = ssvi_total_variance(k, *(row[:, None] for row in s))
        return (np.sqrt(weight) * (model - w)).ravel()

    lower = np.concatenate([np.full(n, -0.98), np.full(n, 1e-9), np.full(n, 1e-4)])
    upper = np.concatenate([np.full(n, 0.98), np.full(n, 10.0), np.ones(n)])
    inside = np.clip(fit.free, lower + 1e-9, upper - 1e-9)
    peer = least_squares(residuals, inside, bounds=(lower, upper), x_scale="jac", xtol=1e-13)
    ours = np.sum(residuals(fit.free) ** 2)
    assert ours <= 2 * peer.cost * (1 + 1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_crossing_smiles_are_fitted_without_arbitrage(family):
    """Quotes full of calendar and butterfly arbitrage give an admissible surface."""
    rng = np.random.default_rng(11)
    k = np.linspace(-0.5, 0.5, 15)[None, :] * np.ones((7, 1))
    vol = 0.6 + 0.5 * rng.random((7, 1)) - 0.4 * k * rng.standard_normal((7, 1)) + k * k
    w = np.maximum(vol, 0.1) ** 2 * YEARS[rng.permutation(7)][:, None]
    fit = fit_surface(YEARS, k, w, np.ones_like(w), family=family).value
    report = check_ssvi(fit.slices, [(-0.5, 0.5)] * 7, between=2)
    assert report.free, report.violations


def test_warm_start_and_robustness():
    k, w, weight = grid(essvi_slices())
    w = w * (1 + 0.005 * np.random.default_rng(1).standard_normal(w.shape))
    cold = fit_surface(YEARS, k, w, weight).value
    assert fit_surface(YEARS, k, w, weight, start=cold.free).value.iterations <= 2
    broken = w.copy()
    broken[:, 5] *= 1.8
    far = {}
    for huber in (0.0, 1.345):
        fit = fit_surface(YEARS, k, broken, weight, huber=huber).value
        far[huber] = np.max(np.abs(fit.slices.rho - cold.slices.rho))
    assert far[1.345] < 0.3 * far[0.0]


def test_interpolated_expiries_on_the_model(make_chain):
    chain = make_chain()
    for model in (EssviJoint(id="e"), SsviJoint(id="s")):
        fitted = model.calibrate(chain).value
        assert check_ssvi(fitted.fit.slices, between=3).free
        days = np.array([0.5, 1, 3, 7, 15, 30, 60, 90, 180, 400]) * 86_400_000
        expiry = (chain.time_ms + days).astype(np.int64)
        forward = np.full(10, 30_000.0)
        total = []
        for k in (-0.2, 0.0, 0.2):
            t = fitted.years_at_calibration(expiry)
            vol = fitted.implied_vol(forward * np.exp(k), t, forward, expiry)
            assert np.isfinite(vol).all()
            total.append(vol**2 * t)
        assert np.all(np.diff(np.array(total), axis=1) > 0)
        past = np.array([chain.time_ms - 86_400_000])
        assert np.isnan(fitted.implied_vol(forward[:1], np.ones(1), forward[:1], past)).all()


def test_essvi_follows_an_svi_smile(make_chain):
    fitted = EssviJoint(id="e").calibrate(make_chain()).value
    assert np.all(fitted.rmse < 0.005)
    assert np.all(fitted.parameters["theta_se"] > 0)
    assert np.isfinite(fitted.fit.condition)


@pytest.mark.parametrize("model", [EssviJoint, SsviJoint])
def test_bad_options_are_named(model):
    for options in ({"huber": -1.0}, {"engine": "fast"}, {"min_quotes": 2}, {"quotes": "last"}):
        with pytest.raises(ConfigurationError):
            model(id="m", **options)
    with pytest.raises(ConfigurationError, match="phi"):
        SsviJoint(id="m", phi="cubic")


def test_bad_surfaces_are_failures_or_errors():
    k, w, weight = grid(essvi_slices())
    thin = weight.copy()
    thin[3, 2:] = 0.0
    result = fit_surface(YEARS, k, w, thin)
    assert isinstance(result, Failure)
    assert result.reason is FailureReason.MISSING_DATA
    assert "expiry 3" in result.message
    result = fit_surface(YEARS[::-1].copy(), k, w, weight)
    assert result.reason is FailureReason.INVALID_INPUT
    with pytest.raises(ConfigurationError, match="svi-5"):
        fit_surface(YEARS, k, w, weight, family="svi-5")
    with pytest.raises(DataError):
        fit_surface(YEARS, k[:3], w, weight)
    with pytest.raises(DataError):
        SsviSlices(YEARS, -np.ones(7), np.zeros(7), np.ones(7))


def test_one_expiry_alone():
    raw = (0.01, 0.05, -0.3, 0.02, 0.2)
    k = np.linspace(-0.4, 0.4, 15)[None, :]
    fit = fit_surface(np.array([0.1]), k, svi_total_variance(k, *raw), np.ones_like(k)).value
    assert check_ssvi(fit.slices).free


def test_importing_the_models_does_not_load_numba():
    code = (
        "import sys, numpy as np, commonmode.pricing as p\n"
        "p.EssviJoint(id='e')\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr

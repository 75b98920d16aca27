"""Batch fits of slices: both engines agree with each other and with scipy, and say what failed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import FailureReason
from commonmode.pricing import (
    fit_sabr_batch,
    fit_svi_batch,
    hagan_lognormal_vol,
    svi_total_variance,
)

pytest.importorskip("numba", reason="the compiled path needs numba")

YEARS = np.array([1, 7, 30, 90, 180, 365]) / 365
RAW = (0.12, 0.11, -0.25, 0.05, 0.6)
FORWARD = 30_000.0


@pytest.fixture(scope="module")
def quotes():
    """(k, vol) of noisy SVI smiles, shape (6, 31)."""
    rng = np.random.default_rng(7)
    k = np.linspace(-1.2, 1.2, 31)[None, :] * np.sqrt(YEARS)[:, None]
    w = YEARS[:, None] * svi_total_variance(k / np.sqrt(YEARS)[:, None], *RAW)
    return k, np.sqrt(w / YEARS[:, None]) * (1 + 0.005 * rng.standard_normal(k.shape))


def svi_input(quotes):
    k, vol = quotes
    t = YEARS[:, None]
    return k, vol**2 * t, 1.0 / (2 * vol * t) ** 2


def sabr_input(quotes):
    k, vol = quotes
    forward = FORWARD * (1 + 1e-4 * np.sin(np.arange(k.size)).reshape(k.shape))
    return forward, forward * np.exp(k), YEARS, vol, np.ones_like(vol)


def test_svi_engines_agree(quotes):
    fast, plain = (
        fit_svi_batch(*svi_input(quotes), engine=e, tolerance=1e-14) for e in ("numba", "numpy")
    )
    assert fast.converged.all()
    assert plain.converged.all()
    np.testing.assert_allclose(fast.cost, plain.cost, rtol=1e-8)
    np.testing.assert_allclose(fast.parameters, plain.parameters, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fast.covariance, plain.covariance, rtol=1e-3, atol=1e-14)
    np.testing.assert_allclose(fast.condition, plain.condition, rtol=1e-3)


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_sabr_engines_agree(quotes, beta):
    fast, plain = (
        fit_sabr_batch(*sabr_input(quotes), beta=beta, engine=e, tolerance=1e-14)
        for e in ("numba", "numpy")
    )
    assert fast.converged.all()
    np.testing.assert_allclose(fast.cost, plain.cost, rtol=1e-9)
    np.testing.assert_allclose(fast.parameters, plain.parameters, rtol=1e-6)
    np.testing.assert_allclose(fast.covariance, plain.covariance, rtol=1e-4, atol=1e-14)


def test_svi_reaches_the_minimum_that_scipy_finds(quotes):
    k, w, weight = svi_input(quotes)
    fit = fit_svi_batch(k, w, weight)
    for row in range(len(k)):

        def residuals(x, row=row):
            return np.sqrt(weight[row]) * (svi_total_variance(k[row], *x) - w[row])

        scale = np.maximum(np.abs(fit.parameters[row]), 1e-4)
        peer = least_squares(residuals, fit.parameters[row] * 1.05, x_scale=scale, xtol=1e-14)
        assert fit.cost[row] <= 2 * peer.cost * (1 + 1e-6)


def test_sabr_reaches_the_minimum_that_scipy_finds(quotes):
    forward, strike, years, vol, weight = sabr_input(quotes)
    fit = fit_sabr_batch(forward, strike, years, vol, weight)
    for row in range(len(years)):

        def residuals(x, row=row):
            model = hagan_lognormal_vol(forward[row], strike[row], years[row], x[0], 1.0, *x[1:])
            return model - vol[row]

        box = ([1e-3, -0.99, 1e-3], [5.0, 0.99, 50.0])
        peer = least_squares(residuals, [0.6, 0.0, 1.0], bounds=box, x_scale="jac", xtol=1e-14)
        assert fit.cost[row] <= 2 * peer.cost * (1 + 1e-6)
        spread = np.linalg.inv(peer.jac.T @ peer.jac) * 2 * peer.cost / (len(vol[row]) - 3)
        np.testing.assert_allclose(fit.covariance[row], spread, rtol=1e-2, atol=1e-12)


def test_standard_errors_cover_the_truth():
    """Over 300 noisy slices about 68 % of the estimates lie within one standard error."""
    rng = np.random.default_rng(3)
    k = np.tile(np.linspace(-0.4, 0.4, 41), (300, 1))
    true = (0.55, -0.3, 1.2)
    strike = FORWARD * np.exp(k)
    vol = hagan_lognormal_vol(FORWARD, strike, 0.1, true[0], 1.0, *true[1:])
    noisy = vol + 0.004 * rng.standard_normal(k.shape)
    fit = fit_sabr_batch(np.full_like(k, FORWARD), strike, np.full(300, 0.1), noisy,
                         np.ones_like(k))  # fmt: skip
    within = np.abs(fit.parameters - true) < fit.standard_error
    assert np.all(np.abs(within.mean(axis=0) - 0.68) < 0.09)


def test_a_warm_start_takes_fewer_steps_to_the_same_place(quotes):
    cold = fit_svi_batch(*svi_input(quotes))
    warm = fit_svi_batch(*svi_input(quotes), start=cold.parameters)
    assert warm.iterations.sum() < cold.iterations.sum()
    np.testing.assert_allclose(warm.cost, cold.cost, rtol=1e-9)


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_huber_resists_outliers(quotes, engine):
    k, w, weight = svi_input(quotes)
    clean = svi_total_variance(k, *fit_svi_batch(k, w, weight).parameters.T[..., None])
    broken = w.copy()
    broken[:, [4, 20]] *= 1.6
    far = {}
    for huber in (0.0, 1.345):
        fit = fit_svi_batch(k, broken, weight, huber=huber, engine=engine)
        model = svi_total_variance(k, *fit.parameters.T[..., None])
        far[huber] = np.sqrt(np.mean(weight * (model - clean) ** 2))
        if huber:
            assert np.all(fit.robust_weight[:, [4, 20]] < 0.2)
            assert np.median(fit.robust_weight) == 1.0
    assert far[1.345] < 0.2 * far[0.0]


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_lone_side_counts_only_where_it_is_violated(quotes, engine):
    k, w, weight = svi_input(quotes)
    side = np.zeros(k.shape, np.int64)
    side[:, 3], side[:, 27] = 1, -1
    loose, tight = w.copy(), w.copy()
    loose[:, 3] *= 0.5
    loose[:, 27] *= 2.0
    tight[:, 3] *= 1.1
    free = fit_svi_batch(k, loose, weight, side=side, engine=engine)
    without = fit_svi_batch(k, w, np.where(side == 0, weight, 0.0), engine=engine)
    np.testing.assert_allclose(free.parameters, without.parameters, rtol=1e-3, atol=1e-5)
    assert np.all(free.robust_weight[:, [3, 27]] == 0)
    bound = fit_svi_batch(k, tight, weight, side=side, engine=engine)
    assert np.all(bound.robust_weight[:, 3] == 1)
    models = [svi_total_variance(k, *f.parameters.T[..., None])[:, 3] for f in (free, bound)]
    assert np.all(models[1] > models[0])


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_a_row_without_quotes_fails_alone(quotes, engine):
    k, w, weight = svi_input(quotes)
    weight[2, 4:] = 0.0
    w[4] = np.nan
    fit = fit_svi_batch(k, w, weight, engine=engine)
    assert sorted(fit.failures) == [2, 4]
    assert fit.failures[2].reason is FailureReason.MISSING_DATA
    assert fit.failures[2].remedy
    assert np.isnan(fit.parameters[[2, 4]]).all()
    assert np.isinf(fit.condition[[2, 4]]).all()
    alone = fit_svi_batch(*svi_input(quotes), engine=engine)
    np.testing.assert_array_equal(fit.parameters[[0, 1, 3, 5]], alone.parameters[[0, 1, 3, 5]])


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_padding_changes_nothing(quotes, engine):
    k, w, weight = svi_input(quotes)
    pad = [(0, 0), (0, 5)]
    wide = fit_svi_batch(
        np.pad(k, pad, mode="edge"), np.pad(w, pad, mode="edge"), np.pad(weight, pad), engine=engine
    )
    np.testing.assert_allclose(
        wide.parameters, fit_svi_batch(k, w, weight, engine=engine).parameters, rtol=1e-6, atol=1e-9
    )


def test_running_out_of_iterations_is_a_failure_with_parameters(quotes):
    fit = fit_svi_batch(*svi_input(quotes), max_iterations=1, rescue=False)
    assert set(fit.failures) == set(range(6))
    assert fit.failures[0].reason is FailureReason.CALIBRATION_FAILED
    assert np.isfinite(fit.parameters).all()


def test_scipy_finishes_what_ran_out_of_iterations(quotes):
    fit = fit_svi_batch(*svi_input(quotes), max_iterations=1)
    assert fit.converged.all()
    assert fit.failures == {}
    full = fit_svi_batch(*svi_input(quotes))
    np.testing.assert_allclose(fit.cost, full.cost, rtol=1e-5)
    np.testing.assert_allclose(fit.covariance, full.covariance, rtol=0.2, atol=1e-9)


def test_an_exact_flat_smile_is_not_identified():
    k = np.tile(np.linspace(-0.3, 0.3, 21), (1, 1))
    fit = fit_svi_batch(k, np.full_like(k, 0.04), np.ones_like(k))
    np.testing.assert_allclose(svi_total_variance(k, *fit.parameters.T[..., None]), 0.04, rtol=1e-6)
    assert fit.condition[0] > 1e3 or np.isnan(fit.covariance).all()


def test_wrong_shapes_and_engines_are_errors(quotes):
    k, w, weight = svi_input(quotes)
    with pytest.raises(DataError, match="weight"):
        fit_svi_batch(k, w, weight[:, 1:])
    with pytest.raises(DataError, match="start"):
        fit_svi_batch(k, w, weight, start=np.zeros((6, 3)))
    with pytest.raises(ConfigurationError, match="fortran"):
        fit_svi_batch(k, w, weight, engine="fortran")


def test_without_numba_the_numpy_path_is_taken(quotes, monkeypatch):
    monkeypatch.setattr("commonmode.pricing._compiled.find_spec", lambda name: None)
    found, plain = (fit_svi_batch(*svi_input(quotes), engine=e) for e in ("auto", "numpy"))
    np.testing.assert_array_equal(found.parameters, plain.parameters)
    with pytest.raises(ConfigurationError, match="not installed"):
        fit_svi_batch(*svi_input(quotes), engine="numba")


def test_the_cache_of_machine_code_sees_every_source():
    """A change in a file that a kernel calls into makes its cached machine code stale."""
    from commonmode.pricing._compiled import _sources_stamp
    from commonmode.pricing._surface_kernels import joint_fit
    from commonmode.pricing._svi_kernels import svi_rows

    for kernel in (joint_fit, svi_rows):
        assert kernel._cache._cache_file._source_stamp == _sources_stamp()

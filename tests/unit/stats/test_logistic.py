"""Failure probabilities: the spline, the fit and the separation of spans of time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.stats.logistic import (
    cross_fitted_probability,
    fit_logistic,
    natural_cubic_basis,
)


def test_spline_is_linear_beyond_the_outer_knots() -> None:
    knots = np.array([-1.0, 0.0, 0.5, 2.0])
    for span in (np.linspace(-9, -1, 30), np.linspace(2, 9, 30)):
        basis = natural_cubic_basis(span, knots)
        assert basis.shape == (30, 4)
        assert np.abs(np.diff(basis, n=2, axis=0)).max() < 1e-9
    between = natural_cubic_basis(np.linspace(-1, 2, 30), knots)
    assert np.abs(np.diff(between, n=2, axis=0)).max() > 1e-3


def test_spline_has_continuous_curvature_at_the_knots() -> None:
    knots = np.array([-1.0, 0.0, 2.0])
    h = 1e-4
    for knot in knots:
        x = knot + h * np.arange(-2, 3)
        curvature = np.diff(natural_cubic_basis(x, knots), n=2, axis=0) / h**2
        assert np.abs(np.diff(curvature, axis=0)).max() < 1e-2


def test_recovers_a_known_probability() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal(40_000)
    truth = expit(np.stack([-1 + 0.8 * x, 0.5 - 0.3 * x], axis=1))
    design = np.stack([np.ones_like(x), x], axis=1)
    beta = fit_logistic(design, (rng.random(truth.shape) < truth).astype(float))
    np.testing.assert_allclose(beta, [[-1, 0.5], [0.8, -0.3]], atol=0.05)


def test_fitted_probabilities_add_up_to_the_failures() -> None:
    rng = np.random.default_rng(6)
    x = rng.standard_normal(2000)
    design = np.stack([np.ones_like(x), x, x**2], axis=1)
    outcome = (rng.random((2000, 3)) < 0.1).astype(float)
    fitted = expit(design @ fit_logistic(design, outcome))
    np.testing.assert_allclose(fitted.sum(axis=0), outcome.sum(axis=0), atol=1e-4)


def test_separated_data_stay_finite() -> None:
    x = np.linspace(-1, 1, 50)
    beta = fit_logistic(np.stack([np.ones(50), x], axis=1), (x > 0).astype(float)[:, None])
    assert np.isfinite(beta).all()


@pytest.mark.parametrize("seed", [4, 16, 29])
def test_newton_steps_do_not_diverge_where_the_surprise_is_noisy(seed: int) -> None:
    # Undamped steps lost up to half of the expected failures in these worlds.
    world = simulate_world(WorldConfig(benchmark_noise_sd=0.25), seed=seed)
    a, b = np.log(-world.benchmark_a), np.log(-world.benchmark_b)
    failed = world.outcome[:, None] < world.forecast
    with np.errstate(divide="ignore"):
        size = np.log(np.clip(-world.outcome, 0.0, None))
    for noisy in (a + 0.366 * (a - b), b + 0.366 * (b - a)):
        expected = cross_fitted_probability(size - noisy, failed).sum(axis=0)
        np.testing.assert_allclose(expected, failed.sum(axis=0), rtol=0.05)


def _failures(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    surprise = rng.standard_normal(1000)
    state = rng.standard_normal((1000, 2))
    return surprise, rng.random((1000, 3)) < expit(3 * surprise - 2)[:, None], state


@pytest.mark.parametrize("fold", range(5))
def test_a_span_is_never_fitted_on_its_own_failures(fold: int) -> None:
    surprise, failed, state = _failures(9)
    held = np.arange(1000) * 5 // 1000 == fold
    changed = failed.copy()
    changed[held] = ~changed[held]
    before = cross_fitted_probability(surprise, failed, state)
    after = cross_fitted_probability(surprise, changed, state)
    np.testing.assert_array_equal(before[held], after[held])
    assert np.abs(before[~held] - after[~held]).max() > 0.01


def test_tracks_the_law_of_the_deviation() -> None:
    surprise, failed, _ = _failures(2)
    probability = cross_fitted_probability(surprise, failed)
    assert np.all((probability >= 0) & (probability <= 1))
    assert np.abs(probability.mean(axis=1) - expit(3 * surprise - 2)).mean() < 0.04


def test_no_failure_is_possible_in_a_gain_nor_without_any_failure() -> None:
    surprise, failed, _ = _failures(3)
    surprise[::3] = -np.inf
    failed[::3] = False
    assert np.all(cross_fitted_probability(surprise, failed)[::3] == 0.0)
    assert np.all(cross_fitted_probability(surprise, np.zeros_like(failed)) == 0.0)


@pytest.mark.parametrize("threads", [1, 3])
def test_compiled_fits_stop_at_the_same_maximum(threads: int) -> None:
    rng = np.random.default_rng(11)
    x = rng.standard_normal(900)
    design = np.column_stack([natural_cubic_basis(x, np.array([-1.0, 0.0, 1.5])), rng.random(900)])
    outcome = rng.random((900, 5)) < expit(-2.0 + 1.5 * x)[:, None]
    # The last is separated: only the penalty keeps it finite, and full steps overshoot.
    outcome[:, 4] = x > 1.0
    plain = fit_logistic(design, outcome, engine="numpy")
    fast = fit_logistic(design, outcome, engine="numba", threads=threads)
    np.testing.assert_allclose(fast, plain, rtol=1e-6, atol=1e-8)

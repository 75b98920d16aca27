"""Parameter paths, identifiability and recalibration noise against worlds with known truth."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.pricing import (
    fit_sabr_batch,
    hagan_lognormal_vol,
    identifiability,
    parameter_path,
    recalibration_noise,
)

S = 4000


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(17)


def test_pure_noise_and_a_moving_market_are_told_apart(rng):
    error = np.full((S, 2), 0.1)
    noise = 5.0 + 0.1 * rng.standard_normal(S)
    walk = np.cumsum(rng.standard_normal(S)) + 0.1 * rng.standard_normal(S)
    path = parameter_path(np.stack([noise, walk], axis=1), error, names=("noise", "walk"))
    assert path.names == ("noise", "walk")
    assert path.median_z[0] == pytest.approx(0.674, abs=0.04)
    assert path.share_beyond_2[0] == pytest.approx(0.0455, abs=0.012)
    assert path.noise_share[0] == pytest.approx(1.0, abs=0.05)
    assert path.reversal[0] == pytest.approx(-0.5, abs=0.05)
    assert path.noise_share[1] == pytest.approx(0.02 / 1.02, abs=0.005)
    assert abs(path.reversal[1]) < 0.06
    assert path.share_beyond_2[1] > 0.7


def test_failed_fits_are_left_out(rng):
    x = rng.standard_normal((50, 1))
    x[[10, 11, 30]] = np.nan
    path = parameter_path(x, np.ones((50, 1)))
    assert path.names == ("p0",)
    assert path.steps[0] == 49 - 5
    assert np.isfinite(path.median_z[0])
    empty = parameter_path(np.full((5, 1), np.nan), np.ones((5, 1)))
    assert empty.steps[0] == 0
    assert np.isnan(empty.median_z[0])
    with pytest.raises(DataError):
        parameter_path(x, np.ones((50, 2)))


def test_a_sloppy_direction_is_named():
    direction = np.array([1.0, -1.0, 0.0]) / np.sqrt(2)
    correlation = np.eye(3) * 1e-7 + np.outer(direction, direction) + np.diag([0, 0, 0.5])
    found = identifiability(np.array([1.0, 2.0, 4.0]), correlation)
    assert found.sloppy >= 1
    assert found.condition > 1e3
    np.testing.assert_allclose(np.abs(found.sloppiest @ direction), 1.0, atol=1e-6)
    plain = identifiability(np.array([1.0, 2.0]), np.diag([0.01, 0.04]))
    assert plain.condition == pytest.approx(1.0)
    assert plain.sloppy == 0
    np.testing.assert_allclose(plain.relative_error, [0.1, 0.1])
    with pytest.raises(DataError, match="not finite"):
        identifiability(np.ones(2), np.full((2, 2), np.nan))


def test_fits_to_a_narrow_range_are_less_identified():
    """rho and nu of SABR need wings: without them the condition number rises."""
    found = []
    for width in (0.5, 0.05):
        k = np.linspace(-width, width, 41)[None, :]
        vol = hagan_lognormal_vol(1.0, np.exp(k), 0.1, 0.6, 1.0, -0.2, 1.0)
        vol = vol + 0.002 * np.random.default_rng(1).standard_normal(k.shape)
        fit = fit_sabr_batch(np.ones_like(k), np.exp(k), np.array([0.1]), vol, np.ones_like(k))
        found.append(identifiability(fit.parameters[0], fit.covariance[0]).relative_error[2])
    assert found[1] > 10 * found[0]


def world(rng, *, noise, move):
    """A book worth 3 p0 - 2 p1 in parameters that walk and are seen with noise."""
    exposure = np.array([3.0, -2.0])
    truth = np.cumsum(move * rng.standard_normal((S, 2)), axis=0)
    seen = truth + noise * rng.standard_normal((S, 2))
    new = seen @ exposure
    market = 0.5 * rng.standard_normal(S)
    level = np.cumsum(market)
    value = level + new
    carried = np.concatenate([[np.nan], level[1:] + new[:-1]])
    sensitivity = np.tile(exposure, (S, 1))
    covariance = np.tile(noise**2 * np.eye(2), (S, 1, 1))
    return recalibration_noise(value, carried, value, sensitivity, covariance)


def test_noise_of_refits_is_measured(rng):
    pure = world(rng, noise=0.1, move=0.0)
    assert pure.noise_share == pytest.approx(1.0, abs=0.05)
    assert pure.reversed_share == pytest.approx(1.0, abs=0.08)
    assert pure.noise_std == pytest.approx(np.sqrt(2 * 13) * 0.1, rel=1e-6)
    assert pure.share_of_variance == pytest.approx(0.26 / (0.26 + 0.25), abs=0.05)
    assert pure.share_by_reversal == pytest.approx(pure.share_of_variance, abs=0.08)
    moving = world(rng, noise=0.1, move=1.0)
    assert moving.noise_share == pytest.approx(0.26 / (0.26 + 13), rel=0.1)
    assert moving.reversed_share < 0.1
    assert moving.share_of_variance < 0.03


def test_the_parts_add_up(rng):
    found = world(rng, noise=0.1, move=0.2)
    assert found.total == pytest.approx(found.market + found.recalibration)
    assert found.steps == S - 1
    assert found.absolute_recalibration >= abs(found.recalibration)
    with pytest.raises(DataError, match="finite"):
        recalibration_noise(*(np.full(5, np.nan),) * 3, np.ones((5, 1)), np.ones((5, 1, 1)))
    with pytest.raises(DataError, match="agree"):
        recalibration_noise(*(np.ones(5),) * 3, np.ones((4, 1)), np.ones((4, 1, 1)))

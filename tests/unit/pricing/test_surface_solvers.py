"""Surfaces fitted by two searches: one minimum, reached in two ways."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.pricing import SURFACE_MODELS
from commonmode.pricing.least_squares import SOLVERS, levenberg_marquardt, trust_region
from commonmode.register.cards import Layer

FITTED = ("bates", "essvi", "heston", "kou", "merton", "sabr", "ssvi", "svi", "variance-gamma")
JUMPS = ("bates", "kou", "merton", "variance-gamma")  # parameters that a smile hardly tells apart


def _near(chain):
    return np.abs(chain.log_moneyness) <= 1.5 * chain.mark_iv * np.sqrt(chain.years)


@pytest.mark.parametrize("kind", FITTED)
def test_two_searches_give_one_surface(kind, make_chain):
    chain = make_chain(days=(7, 30, 90), strikes=15)
    rows = np.flatnonzero(_near(chain))
    vols = []
    for solver in SOLVERS:
        model = SURFACE_MODELS[kind](id=kind, solver=solver)
        fitted = model.calibrate(chain).value
        vols.append(
            fitted.implied_vol(
                chain.strike[rows], chain.years[rows], chain.forward[rows], chain.expiry_ms[rows]
            )
        )
        parts = {use.component for use in model.card.components if use.layer is Layer.TECHNIQUE}
        assert solver in parts
    # A tenth of a vol point where the smile leaves the law's parameters loose, else a hundredth.
    np.testing.assert_allclose(vols[1], vols[0], atol=1e-3 if kind in JUMPS else 1e-4)
    assert np.any(vols[1] != vols[0])


@pytest.mark.parametrize("kind", FITTED)
def test_an_unknown_solver_is_refused(kind):
    with pytest.raises(ConfigurationError, match="trust-region"):
        SURFACE_MODELS[kind](id=kind, solver="simplex")


def test_a_trust_region_solves_each_problem_and_respects_the_box():
    targets = np.array([[1.0, 2.0], [3.0, -1.0]])

    def residuals(u):
        x, y = u[..., 0], u[..., 1]
        return np.stack([x - targets[:, 0], x * y - targets[:, 0] * targets[:, 1]], axis=-1)

    wide = np.full((2, 2), 10.0)
    start = np.ones((2, 2))
    one = levenberg_marquardt(residuals, start, lower=-wide, upper=wide)
    other = trust_region(residuals, start, lower=-wide, upper=wide)
    assert other.converged.all()
    np.testing.assert_allclose(other.parameters, targets, atol=1e-6)
    np.testing.assert_allclose(other.parameters, one.parameters, atol=1e-6)
    tight = trust_region(residuals, start, lower=-wide, upper=np.full((2, 2), 1.5))
    assert np.all(tight.parameters <= 1.5)


def test_a_trust_region_leaves_a_hopeless_problem_alone():
    def residuals(u):
        return np.where(np.arange(2)[:, None] == 0, np.nan, u - 0.5)

    bound = np.ones((2, 1))
    fit = trust_region(residuals, np.zeros((2, 1)), lower=-bound, upper=bound)
    assert np.isnan(fit.cost[0])
    assert fit.converged.tolist() == [False, True]
    assert fit.parameters[1, 0] == pytest.approx(0.5)

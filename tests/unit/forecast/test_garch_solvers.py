"""The GARCH likelihood maximised by two solvers: one optimum, found by different searches."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Success
from commonmode.forecast import FilteredHistoricalSimulation, Garch
from commonmode.forecast.garch_fit import SOLVERS, Innovations, estimate_garch
from commonmode.register.cards import Layer


def _garch_returns(seed: int, n: int = 2000) -> np.ndarray:
    """GJR-GARCH with Student's innovations: every parameter of every fit is there to be found."""
    rng = np.random.default_rng(seed)
    out, variance = np.empty(n), 1.0
    for i, draw in enumerate(rng.standard_t(6.0, n) * np.sqrt(4.0 / 6.0)):
        out[i] = np.sqrt(variance) * draw
        variance = 0.03 + (0.05 + 0.04 * (out[i] < 0.0)) * out[i] ** 2 + 0.9 * variance
    return 0.01 * out


@pytest.mark.parametrize("innovations", ["normal", "student"])
@pytest.mark.parametrize("asymmetric", [False, True])
def test_both_solvers_find_one_optimum(innovations: Innovations, asymmetric: bool) -> None:
    returns = _garch_returns(41)
    fits = [
        estimate_garch(returns, asymmetric=asymmetric, innovations=innovations, solver=solver)
        for solver in SOLVERS
    ]
    assert all(isinstance(fit, Success) for fit in fits)
    one, other = (fit.value for fit in fits if isinstance(fit, Success))
    # The likelihood is flat at its top: a thousandth of a unit is far inside sampling error.
    assert other.log_likelihood == pytest.approx(one.log_likelihood, abs=1e-3)
    assert other.parameters != one.parameters
    assert other.parameters.persistence == pytest.approx(one.parameters.persistence, abs=2e-3)
    assert other.parameters.alpha == pytest.approx(one.parameters.alpha, abs=2e-3)


def test_a_warm_start_is_where_the_other_solver_begins() -> None:
    returns = _garch_returns(42)
    cold = estimate_garch(returns, asymmetric=False, innovations="student", solver="trust-constr")
    assert isinstance(cold, Success)
    warm = estimate_garch(
        returns,
        asymmetric=False,
        innovations="student",
        start=cold.value.parameters,
        solver="trust-constr",
    )
    assert isinstance(warm, Success)
    assert warm.value.log_likelihood == pytest.approx(cold.value.log_likelihood, abs=1e-3)


@pytest.mark.parametrize("kind", [Garch, FilteredHistoricalSimulation])
def test_the_card_names_a_solver_that_is_not_the_usual_one(kind: type) -> None:
    def parts(model: Garch | FilteredHistoricalSimulation) -> set[str]:
        return {str(u.component) for u in model.card.components if u.layer is Layer.CALIBRATION}

    assert "maximum likelihood, normal" in parts(kind())
    assert "maximum likelihood, normal, trust-constr" in parts(kind(solver="trust-constr"))
    with pytest.raises(ConfigurationError, match="slsqp"):
        kind(solver="newton")

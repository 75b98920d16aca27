"""Maximum-likelihood estimation of GARCH(1,1) and GJR-GARCH(1,1,1), by the package ``arch``."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, get_args

import numpy as np
from scipy.optimize import LinearConstraint, minimize

from commonmode.core.arrays import FloatArray
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.garch_filter import GarchParameters

__all__ = ["SOLVERS", "GarchEstimate", "GarchSolver", "Innovations", "estimate_garch"]

Innovations = Literal["normal", "student"]

GarchSolver = Literal["slsqp", "trust-constr"]
"""Who maximises the likelihood: arch's own sequential quadratic programming, or scipy's interior
point method in trust regions (Byrd, Hribar and Nocedal 1999), on the same likelihood and limits."""

SOLVERS: Final = get_args(GarchSolver)

# arch refuses starting values on the edge of stationarity, where many hourly fits end up.
_MAX_START_PERSISTENCE = 0.999
_MIN_START = 1e-6
# As many as one block of refits of two specifications needs; a cache of a pure function changes
# speed, never results.
_REMEMBERED_FITS = 256
_MAX_TRUST_STEPS = 1000


@dataclass(frozen=True, slots=True)
class GarchEstimate:
    """Estimated parameters and the backcast they were estimated with.

    Attributes
    ----------
    parameters : GarchParameters
    backcast : float
        Variance before the window, in units of squared returns.
    log_likelihood : float
        Of the returns in their own units.
    """

    parameters: GarchParameters
    backcast: float
    log_likelihood: float


def estimate_garch(
    returns: FloatArray,
    *,
    asymmetric: bool,
    innovations: Innovations,
    start: GarchParameters | None = None,
    solver: GarchSolver = "slsqp",
) -> Success[GarchEstimate] | Failure:
    """Fit a zero-mean GARCH(1,1), or GJR-GARCH(1,1,1) if ``asymmetric``.

    The estimate is a pure function of its arguments and is remembered: models that rest on the same
    fit (GARCH and filtered historical simulation) share it, and say so on their cards. A search
    that does not converge is repeated once from default starting values.

    Parameters
    ----------
    returns : float64, shape (m,)
        Finite, in decimals; scaled to unit variance for the search.
    asymmetric : bool
    innovations : "normal" (quasi-maximum likelihood) or "student"
    start : GarchParameters, optional
        Where to begin the search, usually the previous estimate.
    solver : {"slsqp", "trust-constr"}
    """
    sample = np.ascontiguousarray(returns, dtype=np.float64)
    return _remembered(sample.tobytes(), asymmetric, innovations, start, solver)


@lru_cache(maxsize=_REMEMBERED_FITS)
def _remembered(
    sample: bytes,
    asymmetric: bool,
    innovations: Innovations,
    start: GarchParameters | None,
    solver: GarchSolver,
) -> Success[GarchEstimate] | Failure:
    returns = np.frombuffer(sample, dtype=np.float64)
    unit = float(np.std(returns)) if len(returns) else 0.0
    if not unit > 0.0 or not np.isfinite(unit):
        return Failure(
            FailureReason.INVALID_INPUT,
            f"GARCH: {len(returns)} returns without movement or not finite",
            "check the feed for stale bars",
        )
    scaled = returns / unit
    message = ""
    for values in ([_start_values(start, unit, asymmetric, innovations)] if start else []) + [None]:
        estimate = _search(scaled, asymmetric, innovations, values, solver)
        if isinstance(estimate, _Estimate):
            return Success(_in_returns(estimate, unit, len(returns), asymmetric))
        message = estimate
    return Failure(
        FailureReason.CALIBRATION_FAILED,
        f"GARCH on {len(returns)} returns did not converge: {message}",
        "use a longer window or normal innovations",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Estimate:
    """What the search found, in units of the scaled sample."""

    values: FloatArray
    backcast: float
    log_likelihood: float


def _search(
    scaled: FloatArray,
    asymmetric: bool,
    innovations: Innovations,
    start: FloatArray | None,
    solver: GarchSolver,
) -> _Estimate | str:
    """One run of the optimiser: the estimate, or why there is none."""
    # Imported here: arch brings pandas and statsmodels, which the other models do not need.
    from arch.univariate import GARCH, Normal, StudentsT, ZeroMean

    model = ZeroMean(scaled, rescale=False)
    model.volatility = GARCH(p=1, o=int(asymmetric), q=1)
    model.distribution = Normal() if innovations == "normal" else StudentsT()
    backcast = float(np.asarray(model.volatility.backcast(scaled)))
    if solver == "trust-constr":
        return _trust_region(model, scaled, backcast, start)
    with warnings.catch_warnings():
        # The line search may touch a bound of the parameters; scipy clips it and says so.
        warnings.simplefilter("ignore", RuntimeWarning)
        result = model.fit(
            update_freq=0,
            disp="off",
            show_warning=False,
            starting_values=start,
            backcast=backcast,
        )
    if result.convergence_flag != 0:
        return str(result.optimization_result.message)
    values = np.asarray(result.params, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        return "parameters are not finite"
    return _Estimate(values, backcast, float(result.loglikelihood))


def _trust_region(
    model: Any, scaled: FloatArray, backcast: float, start: FloatArray | None
) -> _Estimate | str:
    """Arch's likelihood within arch's limits, maximised by ``scipy.optimize.minimize``."""
    volatility, distribution = model.volatility, model.distribution
    limits = volatility.variance_bounds(scaled)
    variance = np.zeros(len(scaled))
    first = volatility.starting_values(scaled) if start is None else start[: volatility.num_params]
    own = len(first)
    tail = distribution.starting_values(scaled) if start is None else start[own:]

    def loss(values: FloatArray) -> float:
        volatility.compute_variance(values[:own], scaled, variance, backcast, limits)
        return -float(distribution.loglikelihood(values[own:], scaled, variance))

    rows, least = volatility.constraints()
    within = np.zeros((len(rows), own + len(tail)))
    within[:, :own] = rows
    with warnings.catch_warnings():
        # A flat stretch of the likelihood gives the quasi-Newton update nothing: scipy skips it.
        warnings.simplefilter("ignore")
        found = minimize(
            loss,
            np.concatenate([first, tail]),
            method="trust-constr",
            bounds=[*volatility.bounds(scaled), *distribution.bounds(scaled)],
            constraints=LinearConstraint(within, least, np.inf),
            options={"maxiter": _MAX_TRUST_STEPS},
        )
    values = np.asarray(found.x, dtype=np.float64)
    if not found.success:
        return str(found.message)
    if not (np.all(np.isfinite(values)) and np.isfinite(found.fun)):
        return "parameters are not finite"
    return _Estimate(values, backcast, -float(found.fun))


def _start_values(
    start: GarchParameters, unit: float, asymmetric: bool, innovations: Innovations
) -> FloatArray:
    """Starting values in arch's order and in the sample's units, inside the constraints."""
    shrink = min(1.0, _MAX_START_PERSISTENCE / max(start.persistence, _MIN_START))
    omega = min(max(start.omega / unit**2, _MIN_START), 1.0)
    alpha = max(start.alpha * shrink, _MIN_START)
    values = [omega, alpha]
    if asymmetric:
        values.append(max(start.gamma * shrink, -0.999 * alpha))  # alpha + gamma >= 0
    values.append(max(start.beta * shrink, _MIN_START))
    if innovations == "student":
        values.append(min(max(start.dof, 2.1), 300.0))
    return np.array(values)


def _in_returns(estimate: _Estimate, unit: float, n: int, asymmetric: bool) -> GarchEstimate:
    values = [float(v) for v in estimate.values]
    gamma = values.pop(2) if asymmetric else 0.0
    omega, alpha, beta, *rest = values
    parameters = GarchParameters(
        omega=omega * unit**2,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        dof=rest[0] if rest else math.inf,
    )
    return GarchEstimate(
        parameters=parameters,
        backcast=estimate.backcast * unit**2,
        log_likelihood=estimate.log_likelihood - n * math.log(unit),
    )

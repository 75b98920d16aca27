"""Many small nonlinear least-squares problems at once (Levenberg-Marquardt).

All expiries of a chain are fitted in one loop over arrays of shape (problems, quotes): a slice
that has converged merely stands still. Marquardt's scaling; a box by projection; derivatives by
central differences, all columns in one call.

Beside it scipy's trust region reflective search, one problem after another: another way to the same
minimum, for those who want to know what the search itself contributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from scipy.optimize import least_squares

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError

__all__ = [
    "SOLVERS",
    "BatchFit",
    "Residuals",
    "Solver",
    "check_solver",
    "levenberg_marquardt",
    "minimise_squares",
    "trust_region",
    "trust_region_search",
]

Solver = Literal["levenberg-marquardt", "trust-region"]
"""Who searches: this project's Levenberg-Marquardt, or scipy's trust region reflective."""

SOLVERS: Final = get_args(Solver)

Residuals = Callable[[FloatArray], FloatArray]
"""Parameters (variants, problems, p) to residuals (variants, problems, n)."""

_INSIDE: Final = 1e-9  # share of the box that a trust region's start keeps from its edges
_STEP: Final = 6e-6  # about the cube root of the rounding unit: best for central differences


@dataclass(frozen=True, slots=True, eq=False)
class BatchFit:
    """Solutions of the problems.

    Attributes
    ----------
    parameters : float64, shape (problems, p)
    cost : float64, shape (problems,)
        Sum of squared residuals; NaN for a problem whose start is not finite.
    converged : bool, shape (problems,)
        False where the iterations ran out.
    """

    parameters: FloatArray
    cost: FloatArray
    converged: BoolArray


def levenberg_marquardt(
    residuals: Residuals,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    max_iterations: int = 60,
    tolerance: float = 1e-10,
) -> BatchFit:
    """Minimise the sum of squares of each problem within a box.

    Parameters
    ----------
    residuals : callable
        Maps parameters (variants, problems, p) to residuals (variants, problems, n), problem by
        problem.
    start, lower, upper : float64, shape (problems, p)
        Start (moved into the box) and bounds, in units in which a change of 1 matters.
    max_iterations : int
    tolerance : float
        A problem rests when a step promises less than this share of its cost.

    References
    ----------
    Marquardt (1963); Nocedal and Wright, "Numerical Optimization", section 10.3.
    """
    x = np.clip(start, lower, upper)
    problems, p = x.shape
    shifts = np.concatenate([np.eye(p), -np.eye(p)])[:, None, :] * _STEP
    r = residuals(x[None])[0]
    cost = np.sum(r * r, axis=1)
    damping = np.full(problems, 1e-3)
    resting = ~np.isfinite(cost)
    converged = np.zeros(problems, dtype=np.bool_)
    eye = np.eye(p)
    for _ in range(max_iterations):
        # One-sided at the bounds: the box is where the residuals are known to be finite.
        points = np.clip(x[None] + shifts, lower, upper)
        around = residuals(points)
        width = np.swapaxes(np.diagonal(points[:p] - points[p:], axis1=0, axis2=2), 0, 1)
        jacobian = (
            np.moveaxis(around[:p] - around[p:], 0, 1)
            / np.where(width.T > 0, width.T, 1.0)[..., None]
        )
        jacobian = np.where(np.isfinite(jacobian), jacobian, 0.0)
        gradient = np.einsum("epn,en->ep", jacobian, np.where(resting[:, None], 0.0, r))
        # A bound that the gradient presses against takes its parameter out of the step.
        held = ((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0))
        jacobian = np.where(held[..., None], 0.0, jacobian)
        gradient = np.where(held, 0.0, gradient)
        normal = np.einsum("epn,eqn->epq", jacobian, jacobian)
        scale = np.einsum("epp->ep", normal)
        floor = 1e-12 * np.max(scale, axis=1, keepdims=True) + 1e-300
        loaded = normal + eye * (damping[:, None] * scale + floor)[:, None, :]
        step = -np.linalg.solve(loaded, gradient[..., None])[..., 0]
        trial = np.clip(x + step, lower, upper)
        promise = -(2.0 * np.einsum("ep,ep->e", gradient, step)) - np.einsum(
            "ep,epq,eq->e", step, normal, step
        )
        r_trial = residuals(trial[None])[0]
        cost_trial = np.sum(r_trial * r_trial, axis=1)
        better = np.isfinite(cost_trial) & (cost_trial < cost) & ~resting
        done = promise <= tolerance * cost
        stuck = ~better & (damping > 1e10)
        x = np.where(better[:, None], trial, x)
        r = np.where(better[:, None], r_trial, r)
        cost = np.where(better, cost_trial, cost)
        damping = np.where(better, np.maximum(0.1 * damping, 1e-10), 10.0 * damping)
        converged |= (done | stuck) & ~resting
        resting = resting | done | stuck
        if resting.all():
            break
    return BatchFit(x, np.where(np.isfinite(cost), cost, np.nan), converged)


def trust_region_search(
    residuals: Callable[[FloatArray], FloatArray],
    jacobian: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    tolerance: float,
    max_evaluations: int,
) -> tuple[FloatArray, bool, int]:
    """One problem by ``scipy.optimize.least_squares``, method ``trf``.

    Parameters
    ----------
    residuals, jacobian : callable
        Parameters (p,) to residuals (n,) and their derivatives (n, p).
    start, lower, upper : float64, shape (p,)
    tolerance : float
        Of the cost, of the parameters and of the gradient.
    max_evaluations : int

    Returns
    -------
    float64 of shape (p,), bool, int
        Where it came to rest, whether a tolerance was met, and evaluations. Residuals that are not
        finite at the start give the start and False.

    References
    ----------
    Branch, Coleman and Li (1999), SIAM J. Sci. Comput. 21.
    """
    edge = _INSIDE * (upper - lower)
    x = np.clip(start, lower + edge, upper - edge)
    if not np.isfinite(residuals(x)).all():
        return x, False, 1

    def slope(u: FloatArray) -> FloatArray:
        made = jacobian(u)
        return np.where(np.isfinite(made), made, 0.0)

    found = least_squares(
        residuals,
        x,
        jac=slope,
        bounds=(lower, upper),
        ftol=tolerance,
        xtol=tolerance,
        gtol=tolerance,
        max_nfev=max_evaluations,
    )
    return np.asarray(found.x), bool(found.status > 0), int(found.nfev)


def trust_region(
    residuals: Residuals,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    max_iterations: int = 200,
    tolerance: float = 1e-10,
) -> BatchFit:
    """The same problems as :func:`levenberg_marquardt`, one after another by a trust region.

    Parameters
    ----------
    residuals, start, lower, upper
        As there.
    max_iterations : int
        Evaluations of each problem.
    tolerance : float
    """
    x = np.clip(start, lower, upper)
    problems, p = x.shape
    shifts = np.concatenate([np.eye(p), -np.eye(p)]) * _STEP
    converged = np.zeros(problems, dtype=np.bool_)
    for e in range(problems):

        def each(points: FloatArray, e: int = e) -> FloatArray:
            everywhere = np.repeat(x[None], len(points), axis=0)
            everywhere[:, e] = points
            return residuals(everywhere)[:, e]

        def one(u: FloatArray, each: Callable[[FloatArray], FloatArray] = each) -> FloatArray:
            return np.asarray(each(u[None])[0])

        def slope(
            u: FloatArray, e: int = e, each: Callable[[FloatArray], FloatArray] = each
        ) -> FloatArray:
            # One-sided at the bounds, as above.
            points = np.clip(u + shifts, lower[e], upper[e])
            around = each(points)
            width = np.diagonal(points[:p] - points[p:])
            return np.asarray((around[:p] - around[p:]).T / np.where(width > 0, width, 1.0))

        x[e], converged[e], _ = trust_region_search(
            one,
            slope,
            x[e],
            lower=lower[e],
            upper=upper[e],
            tolerance=tolerance,
            max_evaluations=max_iterations,
        )
    r = residuals(x[None])[0]
    cost = np.sum(r * r, axis=1)
    return BatchFit(x, np.where(np.isfinite(cost), cost, np.nan), converged)


def minimise_squares(
    residuals: Residuals,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    solver: Solver = "levenberg-marquardt",
) -> BatchFit:
    """The problems by the chosen solver; see :func:`levenberg_marquardt`."""
    search = trust_region if solver == "trust-region" else levenberg_marquardt
    return search(residuals, start, lower=lower, upper=upper)


def check_solver(solver: str, model: str) -> None:
    """Refuse a solver that is none.

    Raises
    ------
    ConfigurationError
    """
    if solver not in SOLVERS:
        raise ConfigurationError(
            f"solver={solver!r} of {model} is not known", remedy=f"use one of {', '.join(SOLVERS)}"
        )

"""Many small nonlinear least-squares problems at once (Levenberg-Marquardt).

All expiries of a chain are fitted in one loop over arrays of shape (problems, quotes): a slice
that has converged merely stands still. Marquardt's scaling; a box by projection; derivatives by
central differences, all columns in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray

__all__ = ["BatchFit", "Residuals", "levenberg_marquardt"]

Residuals = Callable[[FloatArray], FloatArray]
"""Parameters (variants, problems, p) to residuals (variants, problems, n)."""

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

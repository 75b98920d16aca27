"""Levenberg-Marquardt with a given Jacobian, many problems at once, in a box by projection.

Or scipy's trust region reflective, one problem after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.pricing.least_squares import trust_region_search

__all__ = ["Descent", "Residuals", "descend", "descend_by_trust_region"]

Residuals = Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]]
"""Parameters (m, p) of the problems at rows (m,) to residuals (m, n) and derivatives (m, p, n).

Rows ascend; only problems that have not come to rest are asked for.
"""

# Mean squared residual below which nothing is left to fit: for volatilities, 3e-5 vol points.
_PERFECT: Final = 1e-13
# A step moves no coordinate by more: a factor e of a positive parameter. Without it, far starts are
# thrown into corners of the box.
_LONGEST: Final = 1.0
_STUCK: Final = 1e8  # damping beyond which no step is left


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """Solutions of the problems.

    Attributes
    ----------
    x : float64, shape (problems, p)
    residual, jacobian : float64, shapes (problems, n), (problems, p, n)
    cost : float64, shape (problems,)
        Sum of squares; not finite for a problem that could not start.
    converged : bool, shape (problems,)
    evaluations : int64, shape (problems,)
    """

    x: FloatArray
    residual: FloatArray
    jacobian: FloatArray
    cost: FloatArray
    converged: BoolArray
    evaluations: IntArray


def descend(
    residuals: Residuals,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    max_evaluations: int = 100,
    tolerance: float = 1e-7,
) -> Descent:
    """Minimise each sum of squares.

    Parameters
    ----------
    residuals : callable
    start : float64, shape (problems, p)
        Moved into the box.
    lower, upper : float64, shape (p,)
    max_evaluations : int
    tolerance : float
        A problem rests when a step promises less than this share of its cost.

    References
    ----------
    Marquardt (1963), scaling; Nielsen (1999), "Damping parameter in Marquardt's method", IMM
    report 1999-05, control of the damping; a bound against which the gradient presses takes its
    parameter out of the step.
    """
    x = np.clip(start, lower, upper)
    count, p = x.shape
    r, jacobian = residuals(x, np.arange(count))
    n = r.shape[1]
    cost = np.einsum("bn,bn->b", r, r)
    resting = ~np.isfinite(cost)
    converged = np.zeros(count, dtype=np.bool_)
    damping, growth = np.full(count, 1e-3), np.full(count, 2.0)
    evaluations = np.ones(count, dtype=np.int64)
    eye = np.eye(p)
    for _ in range(max_evaluations):
        gradient = np.einsum("bpn,bn->bp", jacobian, r)
        held = ((x <= lower) & (gradient > 0)) | ((x >= upper) & (gradient < 0))
        normal = jacobian @ np.swapaxes(jacobian, 1, 2)
        usable = (np.isfinite(gradient).all(axis=1) & ~resting)[:, None]
        free = ~held & usable
        normal = np.where(free[:, :, None] & free[:, None, :], normal, 0.0)
        gradient = np.where(free, gradient, 0.0)
        scale = np.einsum("bpp->bp", normal)
        floor = 1e-10 * np.max(scale, axis=1, keepdims=True) + 1e-300
        loaded = normal + eye * (damping[:, None] * (scale + floor) + floor)[:, None, :]
        step = -np.linalg.solve(loaded, gradient[..., None])[..., 0]
        # What the step promises before the box and the limit cut it; a large damping promises
        # little wherever it is.
        reach = _promise(gradient, normal, step)
        little = (reach <= tolerance * cost) & (damping <= 1.0)
        over = (x + step < lower) | (x + step > upper)
        if over.any():
            # Those stop at the bound and the others are solved for again.
            short = np.where(over, np.clip(x + step, lower, upper) - x, 0.0)
            pull = np.where(over, 0.0, gradient + np.einsum("bpq,bq->bp", normal, short))
            loose = np.where(over[:, :, None] | over[:, None, :], eye * loaded, loaded)
            step = np.where(over, short, -np.linalg.solve(loose, pull[..., None])[..., 0])
        longest = np.max(np.abs(step), axis=1, keepdims=True)
        step *= np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-300))
        trial = np.clip(x + step, lower, upper)
        promise = _promise(gradient, normal, trial - x)
        done = little | (cost <= _PERFECT * n) | (damping > _STUCK)
        converged |= done & ~resting
        resting = resting | done
        if resting.all():
            break
        rows = np.flatnonzero(~resting)
        r_trial, j_trial = residuals(trial[rows], rows)
        evaluations[rows] += 1
        fresh = np.full(count, np.inf)
        fresh[rows] = np.einsum("bn,bn->b", r_trial, r_trial)
        with np.errstate(all="ignore"):
            gain = (cost - fresh) / np.where(promise > 0, promise, np.inf)
        better = np.isfinite(fresh) & (fresh < cost)
        kept = better[rows]
        x[better], r[better], jacobian[better] = trial[better], r_trial[kept], j_trial[kept]
        cost = np.where(better, fresh, cost)
        shrink = np.maximum(0.1, 1.0 - (2.0 * np.clip(gain, 0.0, 1.0) - 1.0) ** 3)
        damping = np.where(
            better, np.maximum(damping * shrink, 1e-12), np.minimum(damping * growth, 1e15)
        )
        growth = np.where(better, 2.0, 2.0 * growth)
    return Descent(x, r, jacobian, cost, converged, evaluations)


def descend_by_trust_region(
    residuals: Residuals,
    start: FloatArray,
    *,
    lower: FloatArray,
    upper: FloatArray,
    max_evaluations: int = 100,
    tolerance: float = 1e-7,
) -> Descent:
    """Minimise each sum of squares by scipy's trust region; arguments as :func:`descend`."""
    x = np.clip(start, lower, upper)
    count = len(x)
    converged = np.zeros(count, dtype=np.bool_)
    evaluations = np.zeros(count, dtype=np.int64)
    for e in range(count):
        row = np.array([e])
        seen: list[tuple[bytes, FloatArray, FloatArray]] = []

        def both(
            u: FloatArray,
            row: IntArray = row,
            seen: list[tuple[bytes, FloatArray, FloatArray]] = seen,
        ) -> tuple[FloatArray, FloatArray]:
            # Scipy asks for the residuals of a point and then for its derivatives: they come at
            # once.
            if not seen or seen[0][0] != u.tobytes():
                r, jacobian = residuals(u[None], row)
                seen[:] = [(u.tobytes(), r[0], jacobian[0].T)]
            return seen[0][1], seen[0][2]

        x[e], converged[e], evaluations[e] = trust_region_search(
            lambda u, both=both: both(u)[0],  # type: ignore[misc]
            lambda u, both=both: both(u)[1],  # type: ignore[misc]
            x[e],
            lower=lower,
            upper=upper,
            tolerance=tolerance,
            max_evaluations=max_evaluations,
        )
    r, jacobian = residuals(x, np.arange(count))
    return Descent(x, r, jacobian, np.einsum("bn,bn->b", r, r), converged, evaluations)


def _promise(gradient: FloatArray, normal: FloatArray, step: FloatArray) -> FloatArray:
    """Fall of the cost that the linearised residuals predict, shape (problems,)."""
    linear = np.einsum("bp,bp->b", gradient, step)
    return np.asarray(-2.0 * linear - np.einsum("bp,bpq,bq->b", step, normal, step))

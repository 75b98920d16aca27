"""Joint least-squares fit of SSVI and eSSVI surfaces over all expiries.

Free of butterfly and calendar arbitrage by construction: every point of the parameter box is an
admissible surface. Start: each slice on its own, projected onto the admissible set expiry by
expiry; or a warm start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, frozen
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.pricing._compiled import Engine, use_numba
from commonmode.pricing._surface_maps import (
    butterfly_bound,
    essvi_map,
    soft_maximum,
    soft_minimum,
    ssvi_heston_map,
    ssvi_power_map,
)
from commonmode.pricing.batch import huber_factor
from commonmode.pricing.least_squares import Solver, trust_region_search
from commonmode.pricing.ssvi import SsviSlices, ssvi_derivatives, ssvi_total_variance

__all__ = ["SurfaceFamily", "SurfaceFit", "fit_surface"]

SurfaceFamily = Literal["essvi", "ssvi-power", "ssvi-heston"]

SurfaceMap = Callable[[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray], None]

_FAMILIES: Final = ("essvi", "ssvi-power", "ssvi-heston")
_MAPS: Final[tuple[SurfaceMap, ...]] = (essvi_map, ssvi_power_map, ssvi_heston_map)
_MAX_RHO: Final = 0.98
# Share of the admissible interval that psi keeps from its calendar lower bound; of the bound
# itself for the first slice, where psi = 0 would be a flat smile without direction.
_LEAST_C: Final = 1e-4
# Least rise of theta per expiry, as a share of its mean: theta is strictly increasing.
_LEAST_RISE: Final = 1e-7
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceFit:
    """A fitted surface.

    Attributes
    ----------
    slices : SsviSlices
    free : float64, shape (P,)
        Parameters of the family; a warm start for the next fit.
    cost : float
        Weighted mean square error in units of the squared mean of ``total_variance`` errors'
        scale, see :func:`fit_surface`.
    iterations : int
    converged : bool
    covariance : float64, shape (N, 3, 3)
        Of (theta, rho, psi) by slice; parameters at a bound are taken as known. NaN: singular.
    condition : float
        Condition number of the weighted Jacobian over the parameters not at a bound, columns
        scaled to unit length; inf: singular.
    robust_weight : float64, shape (N, n)
    """

    slices: SsviSlices
    free: FloatArray
    cost: float
    iterations: int
    converged: bool
    covariance: FloatArray
    condition: float
    robust_weight: FloatArray


def _first_guess(k: FloatArray, w: FloatArray, om: FloatArray) -> FloatArray:
    """Level, lean and size from a weighted parabola of each slice, shape (N, 3)."""
    span = np.max(np.abs(k), axis=1)
    x = k / span[:, None]
    basis = np.stack([np.ones_like(x), x, x * x], axis=-1)
    normal = np.einsum("en,eni,enj->eij", om, basis, basis)
    normal += np.eye(3) * (1e-9 * np.einsum("eii->ei", normal) + 1e-300)[:, None, :]
    right = np.einsum("en,eni,en->ei", om, basis, w)
    level, slope, curve = np.linalg.solve(normal, right[..., None])[..., 0].T
    mean = np.sum(om * w, axis=1) / np.sum(om, axis=1)
    theta = np.clip(level, 0.3 * mean, 2.0 * mean)
    slope, curve = slope / span, curve / span**2
    # w = theta + rho psi k + psi^2 (1 - rho^2) k^2 / (4 theta) + ...
    psi = np.sqrt(slope**2 + np.maximum(4.0 * theta * curve, 0.01 * theta))
    rho = np.clip(slope / psi, -0.9, 0.9)
    lean = 1.0 + np.abs(rho)
    top = np.minimum(4.0 / lean, 2.0 * np.sqrt(theta / lean))
    return np.stack([theta, rho, np.clip(psi, 0.02 * top, 0.95 * top)], axis=1)


def _project(kind: int, slices: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Free parameters near the given slices, inside the box, shape (P,)."""
    n = len(slices)
    theta, rho, psi = slices.T
    if kind:
        total = np.maximum.accumulate(theta)
        rise = np.diff(total, prepend=0.0)
        lean = float(np.average(rho, weights=psi))
        if kind == 1:
            x = np.log(total / (1.0 + total))
            off = x - np.mean(x)
            bend = float(np.sum(off * off))
            slope = float(np.sum(off * np.log(psi))) / bend if bend > 1e-12 else 0.5
            gamma = float(np.clip(1.0 - slope, 0.02, 0.5))
            level = float(np.mean(np.log(psi) - (1.0 - gamma) * x))
            head = [lean, np.exp(level) * np.sqrt(1.0 + abs(lean)) / 2.0, gamma]
        else:
            # psi tends to 1/lam for large theta, to theta/2 for small.
            head = [lean, 4.0 / (1.0 + abs(lean)) / float(np.mean(psi))]
        return np.asarray(np.clip(np.concatenate([head, rise]), lower, upper))
    r = np.clip(rho, -_MAX_RHO, _MAX_RHO)
    p = np.ones(n)
    p[1:] = soft_maximum((1.0 + r[:-1]) / (1.0 + r[1:]), (1.0 - r[:-1]) / (1.0 - r[1:]))
    t, rise = theta.copy(), theta.copy()
    for i in range(1, n):
        rise[i] = max(theta[i] - p[i] * t[i - 1], 0.02 * theta[i])
        t[i] = p[i] * t[i - 1] + rise[i]
    bound = butterfly_bound(t, r)
    for i in range(n - 2, -1, -1):
        bound[i] = soft_minimum(bound[i], bound[i + 1] / p[i + 1])
    # Shares of the admissible interval, forward: psi_i bounds psi_(i + 1).
    share, low, width, before = np.empty(n), 0.0, float(bound[0]), 0.0
    for i in range(n):
        if i:
            low = before * p[i]
            width = soft_minimum(before * rise[i] / t[i - 1], bound[i] - low)
        share[i] = min(max((psi[i] - low) / width, 0.05), 0.95) if width > 0 else 0.5
        before = low + share[i] * width
    u = np.concatenate([r, rise, share])
    return np.asarray(np.clip(u, lower, upper))


def _box(kind: int, n: int, mean: float) -> tuple[FloatArray, FloatArray]:
    least, most = np.full(n, _LEAST_RISE * mean), np.full(n, 100.0 * mean)
    if kind == 0:
        low = [np.full(n, -_MAX_RHO), least, np.full(n, _LEAST_C)]
        return np.concatenate(low), np.concatenate([np.full(n, _MAX_RHO), most, np.ones(n)])
    if kind == 1:
        return np.array([-_MAX_RHO, 1e-3, 1e-2, *least]), np.array([_MAX_RHO, 1.0, 0.5, *most])
    return np.array([-_MAX_RHO, 1.0, *least]), np.array([_MAX_RHO, 1e6, *most])


def _by_slice(k: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total variance (E, n), and its derivatives by the three parameters of each slice."""
    f = ssvi_derivatives(k, s[0][:, None], s[1][:, None], s[2][:, None])
    return f.w, np.stack([f.by_theta, f.by_rho, f.by_psi], axis=1)


def _numpy_sums(
    kind: int, u: FloatArray, k: FloatArray, w: FloatArray, om: FloatArray
) -> tuple[float, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Cost, gradient, normal matrix, slices (N, 3) and their derivatives: twin of the kernel."""
    n = len(k)
    s = np.empty((3, n))
    d = np.empty((n, 3, len(u)))
    _MAPS[kind](u, s[0], s[1], s[2], d)
    made, j = _by_slice(k, s)
    miss = made - w
    g = np.einsum("en,epn,en->ep", om, j, miss)
    m = np.einsum("en,epn,eqn->epq", om, j, j)
    normal = np.einsum("eaP,eaQ->PQ", d, np.einsum("eab,ebQ->eaQ", m, d))
    return float(np.sum(om * miss * miss)), np.einsum("ea,eaP->P", g, d), normal, s, d


def _numpy_fit(
    kind: int,
    u: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    max_iterations: int,
    tolerance: float,
) -> tuple[FloatArray, float, int, FloatArray, FloatArray, FloatArray]:
    """Twin of the compiled ``joint_fit``."""
    cost, grad, normal, s, d = _numpy_sums(kind, u, k, w, om)
    damping, done, used = 1e-3, False, 0
    if not np.isfinite(cost):
        return u, np.nan, 0, s, d, normal
    while not done and used < max_iterations:
        used += 1
        held = ((u <= lower) & (grad > 0)) | ((u >= upper) & (grad < 0))
        live = np.flatnonzero(~held)
        inner = normal[np.ix_(live, live)]
        step = np.zeros(len(u))
        step[live] = -np.linalg.solve(
            inner + np.diag(damping * np.diagonal(inner) + 1e-300), grad[live]
        )
        promise = float(-2.0 * grad @ step - step @ normal @ step)
        trial = np.clip(u + step, lower, upper)
        new = _numpy_sums(kind, trial, k, w, om)
        done = promise <= tolerance * cost or cost < 1e-26
        if new[0] < cost:
            u = trial
            cost, grad, normal, s, d = new
            damping = max(0.1 * damping, 1e-10)
        else:
            damping *= 10.0
            done = done or damping > 1e10
    return u, cost, used if done else -used, s, d, normal


def _trust_fit(
    kind: int,
    u: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    max_iterations: int,
    tolerance: float,
) -> tuple[FloatArray, float, int, FloatArray, FloatArray, FloatArray]:
    """The same minimum as :func:`_numpy_fit`, by scipy's trust region."""
    n, root = len(k), np.sqrt(om)
    s, d = np.empty((3, n)), np.empty((n, 3, len(u)))

    def residuals(at: FloatArray) -> FloatArray:
        _MAPS[kind](at, s[0], s[1], s[2], d)
        made = ssvi_total_variance(k, s[0][:, None], s[1][:, None], s[2][:, None])
        return np.asarray(root * (made - w)).ravel()

    def jacobian(at: FloatArray) -> FloatArray:
        _MAPS[kind](at, s[0], s[1], s[2], d)
        made = np.einsum("en,epn,epP->enP", root, _by_slice(k, s)[1], d)
        return np.asarray(made).reshape(-1, len(at))

    found, done, used = trust_region_search(
        residuals, jacobian, u, lower=lower, upper=upper, tolerance=tolerance,
        max_evaluations=max_iterations,
    )  # fmt: skip
    cost, _, normal, slices, by_free = _numpy_sums(kind, found, k, w, om)
    return found, cost, used if done else -used, slices, by_free, normal


def _spread(
    normal: FloatArray, d: FloatArray, live: BoolArray, variance: float
) -> tuple[FloatArray, float]:
    """Covariance of the slices and the condition of the Jacobian."""
    covariance = np.full((len(d), 3, 3), np.nan)
    inner = normal[np.ix_(live, live)]
    root = np.sqrt(np.diagonal(inner))
    if not (len(root) and np.all(np.isfinite(root) & (root > 0))):
        return covariance, np.inf
    unit = inner / root[:, None] / root
    values = np.linalg.eigvalsh(unit)
    if values[0] <= 0:
        return covariance, np.inf
    condition = float(np.sqrt(values[-1] / values[0]))
    if condition < 1e7:
        inverse = np.linalg.inv(unit) / root[:, None] / root
        turned = d[:, :, live]
        covariance = variance * np.einsum("eaP,PQ,ebQ->eab", turned, inverse, turned)
    return covariance, condition


def fit_surface(
    years: FloatArray,
    k: FloatArray,
    total_variance: FloatArray,
    weight: FloatArray,
    *,
    family: SurfaceFamily = "essvi",
    start: FloatArray | None = None,
    huber: float = 0.0,
    max_iterations: int = 200,
    tolerance: float = 1e-7,
    engine: Engine = "auto",
    solver: Solver = "levenberg-marquardt",
) -> Success[SurfaceFit] | Failure:
    """Fit all expiries jointly.

    Parameters
    ----------
    years : float64, shape (N,)
        Ascending, > 0.
    k, total_variance, weight : float64, shape (N, n)
        Log-moneyness, each quote with its own forward; total variance; weights of squared
        total-variance errors, 0 for padding. Their relative size across slices counts.
    family : {"essvi", "ssvi-power", "ssvi-heston"}
        eSSVI has 3 parameters per expiry; SSVI one rho and one phi for all.
    start : float64, shape (P,), optional
        ``free`` of an earlier fit of the same family with as many expiries.
    huber : float
        As in :func:`~commonmode.pricing.batch.fit_svi_batch`, with one scale for the surface.
    max_iterations, tolerance
        A fit rests when a step promises less than this share of its cost.
    engine : {"auto", "numba", "numpy"}
    solver : {"levenberg-marquardt", "trust-region"}
        A trust region runs in numpy, whatever the engine.

    Returns
    -------
    Success of SurfaceFit, or Failure
        A fit that ran out of iterations is a Success with ``converged`` False: its surface is
        admissible all the same.

    Raises
    ------
    ConfigurationError, DataError
        If the family is not known or shapes do not agree.
    """
    if family not in _FAMILIES:
        raise ConfigurationError(
            f"family={family!r} is not known", remedy=f"use one of {', '.join(_FAMILIES)}"
        )
    kind, n = _FAMILIES.index(family), len(years)
    if not (k.shape == total_variance.shape == weight.shape and k.ndim == 2 and len(k) == n > 0):
        raise DataError(
            f"surface of {n} expiries with quotes of shape {k.shape}",
            remedy="give one row of k, total_variance and weight per expiry",
        )
    good = np.isfinite(k + total_variance + weight) & (total_variance > 0) & (weight > 0)
    thin = np.flatnonzero(np.sum(good, axis=1) < 3)
    if len(thin) or not np.all(np.isfinite(years) & (np.diff(years, prepend=0.0) > 0)):
        return Failure(
            FailureReason.MISSING_DATA if len(thin) else FailureReason.INVALID_INPUT,
            f"expiry {int(thin[0])} has fewer than 3 usable quotes"
            if len(thin)
            else "times to expiry do not ascend",
            "leave such expiries out, and order the others",
        )
    x = np.ascontiguousarray(np.where(good, k, 0.0), dtype=np.float64)
    w = np.ascontiguousarray(np.where(good, total_variance, 1.0), dtype=np.float64)
    base = np.where(good, weight, 0.0)
    # Errors relative to the typical weighted error scale: tolerances mean the same everywhere.
    base /= np.sum(base * w * w)
    mean = float(np.mean(np.sum(base * w, axis=1) / np.sum(base, axis=1)))
    lower, upper = _box(kind, n, mean)
    fast = use_numba(engine) and solver == "levenberg-marquardt"
    search = _numpy_fit if solver == "levenberg-marquardt" else _trust_fit
    if start is not None and start.shape == lower.shape and np.all(np.isfinite(start)):
        u = np.clip(start, lower, upper)
    else:
        guess = _first_guess(x, w, base)
        if fast:
            from commonmode.pricing._surface_kernels import slice_starts

            slice_starts(x, w, base, guess, 0.95, 30, 1e-4)
        u = _project(kind, guess, lower, upper)
    factor = np.where(good, 1.0, 0.0)
    used = 0
    side = np.zeros(x.shape, np.int64)
    for turn in range(_ROUNDS + 1 if huber > 0 else 1):
        om = base * factor
        om /= np.sum(om * w * w)
        if fast:
            from commonmode.pricing._surface_kernels import joint_fit

            s, d, normal = np.empty((3, n)), np.empty((n, 3, len(u))), np.empty((len(u),) * 2)
            cost, more = joint_fit(
                kind, u, lower, upper, x, w, om, max_iterations, tolerance, s[0], s[1], s[2], d,
                normal,
            )  # fmt: skip
        else:
            u, cost, more, s, d, normal = search(
                kind, u, lower, upper, x, w, om, max_iterations, tolerance
            )
        used += abs(more)
        if not np.isfinite(cost):
            return Failure(
                FailureReason.CALIBRATION_FAILED,
                f"{family}: the start of the fit is not finite",
                "look at the quotes, or leave the warm start out",
            )
        if huber <= 0 or turn == _ROUNDS:
            break
        f = ssvi_derivatives(x, s[0][:, None], s[1][:, None], s[2][:, None])
        fresh = huber_factor(
            (f.w - w).reshape(1, -1), base.reshape(1, -1), side.reshape(1, -1), huber
        ).reshape(x.shape)
        if np.max(np.abs(fresh - factor)) < 1e-3:
            break
        factor = fresh
    live = (u > lower) & (u < upper)
    spare = int(np.sum(good)) - int(np.sum(live))
    covariance, condition = _spread(normal, d, live, cost / spare if spare > 0 else np.nan)
    slices = SsviSlices(frozen(np.array(years, np.float64)), *(frozen(row) for row in s))
    return Success(
        SurfaceFit(
            slices, frozen(u), cost, used, more > 0, frozen(covariance), condition, frozen(factor)
        )
    )

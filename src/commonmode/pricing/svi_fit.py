"""Quasi-explicit SVI calibration, all expiries at once.

De Marco and Martini (2009), "Quasi-explicit calibration of Gatheral's SVI model", Zeliade white
paper: for fixed (m, sigma) the slice is linear in ``(a, d, c) = (a, rho b sigma, b sigma)`` with
``y = (k - m)/sigma``, ``w = a + d y + c sqrt(y^2 + 1)``, and the best admissible one is explicit.
What is left is a search in two dimensions, here from the best point of a grid by
Levenberg-Marquardt. Two changes to the paper: the wings keep Lee's bound ``b (1 + |rho|) <= 2``,
and a may be negative as long as the minimum of the slice is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError
from commonmode.pricing.least_squares import Solver, minimise_squares
from commonmode.pricing.svi import SviRaw, svi_total_variance

__all__ = ["SviFit", "SviSlices", "fit_svi", "fit_svi_slices", "polish_svi"]

# Start grid and box of (m, sigma), as shares of the quoted range of log-moneyness.
_GRID_M: Final = np.array([0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
_GRID_SIGMA: Final = np.array([0.02, 0.05, 0.12, 0.3, 0.8])
_BOX_M: Final = (-0.5, 1.5)
_BOX_SIGMA: Final = (0.002, 3.0)
# The minimum of a fitted slice stays above this share of the lowest quoted total variance.
_FLOOR: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class SviSlices:
    """Raw parameters of several slices, float64 of shape (E,) each.

    ``cost`` is the weighted sum of squared total-variance errors; ``converged`` is bool.
    """

    a: FloatArray
    b: FloatArray
    rho: FloatArray
    m: FloatArray
    sigma: FloatArray
    cost: FloatArray
    converged: BoolArray


@dataclass(frozen=True, slots=True)
class SviFit:
    """One fitted slice.

    Attributes
    ----------
    params : SviRaw
    rmse : float
        Weighted root mean square error in total variance.
    converged : bool
    """

    params: SviRaw
    rmse: float
    converged: bool


def _inner(
    k: FloatArray, w: FloatArray, weight: FloatArray, m: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Best admissible (a, d, c) for given (m, sigma), and the errors.

    ``k, w, weight`` have shape (E, n), weights sum to 1 per row; ``m, sigma`` shape (V, E).
    """
    y = (k - m[..., None]) / sigma[..., None]
    root = np.sqrt(y * y + 1.0)
    y_mean, r_mean = np.einsum("en,ven->ve", weight, y), np.einsum("en,ven->ve", weight, root)
    w_mean = np.einsum("en,en->e", weight, w)
    yc, rc, wc = y - y_mean[..., None], root - r_mean[..., None], w - w_mean[:, None]
    wy, wr = weight * yc, weight * rc
    yy, rr = np.einsum("ven,ven->ve", wy, yc), np.einsum("ven,ven->ve", wr, rc)
    yr = np.einsum("ven,ven->ve", wy, rc)
    yw, rw = np.einsum("ven,en->ve", wy, wc), np.einsum("ven,en->ve", wr, wc)
    det = yy * rr - yr * yr
    regular = det > 1e-13 * yy * rr
    safe = np.where(regular, det, 1.0)
    d = np.where(regular, (rr * yw - yr * rw) / safe, 0.0)
    c = np.where(regular, (yy * rw - yr * yw) / safe, -1.0)
    inside = (np.abs(d) <= c) & (c + np.abs(d) <= 2.0 * sigma)
    # Otherwise the best point lies on an edge of the diamond |d| <= c, c + |d| <= 2 sigma.
    corner = sigma * np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0], [-1.0, 1.0]])[:, :, None, None]
    along = np.roll(corner, -1, axis=0) - corner
    d0, c0, dd, dc = corner[:, 0], corner[:, 1], along[:, 0], along[:, 1]
    bend = yy * dd * dd + 2.0 * yr * dd * dc + rr * dc * dc
    pull = (yw - yy * d0 - yr * c0) * dd + (rw - yr * d0 - rr * c0) * dc
    share = np.clip(pull / np.where(bend > 0, bend, 1.0), 0.0, 1.0)
    de, ce = d0 + share * dd, c0 + share * dc
    value = yy * de * de + 2.0 * yr * de * ce + rr * ce * ce - 2.0 * (yw * de + rw * ce)
    edge = np.argmin(value, axis=0)[None]
    d = np.where(inside, d, np.take_along_axis(de, edge, axis=0)[0])
    c = np.where(inside, c, np.take_along_axis(ce, edge, axis=0)[0])
    floor = _FLOOR * np.min(np.where(weight > 0, w, np.inf), axis=1)
    a = w_mean - d * y_mean - c * r_mean
    a = np.maximum(a, floor - np.sqrt(np.maximum(c * c - d * d, 0.0)))
    miss = a[..., None] + d[..., None] * y + c[..., None] * root - w
    return a, d, c, np.asarray(miss * np.sqrt(weight))


def fit_svi_slices(
    k: FloatArray,
    total_variance: FloatArray,
    weight: FloatArray,
    *,
    solver: Solver = "levenberg-marquardt",
) -> SviSlices:
    """Fit every row.

    Parameters
    ----------
    k, total_variance, weight : float64, shape (E, n)
        Log-moneyness, total variance, weights of squared total-variance errors (0: padding).
        Each row needs two different k with positive weight.
    solver : {"levenberg-marquardt", "trust-region"}
    """
    total = np.sum(weight, axis=1, keepdims=True)
    share = weight / total
    low = np.min(np.where(weight > 0, k, np.inf), axis=1)
    span = np.max(np.where(weight > 0, k, -np.inf), axis=1) - low
    # Residuals in units of the slice's own variance: tolerances then mean the same everywhere.
    unit = np.einsum("en,en->e", share, total_variance)

    def start_grid() -> FloatArray:
        gm, gs = (g.ravel()[:, None] for g in np.meshgrid(_GRID_M, _GRID_SIGMA))
        miss = _inner(k, total_variance, share, low + gm * span, gs * span)[3]
        best = np.argmin(np.sum(miss * miss, axis=2), axis=0)
        return np.stack([gm[best, 0], np.log(gs[best, 0])], axis=1)

    def residuals(u: FloatArray) -> FloatArray:
        m, sigma = low + u[..., 0] * span, np.exp(u[..., 1]) * span
        return np.asarray(_inner(k, total_variance, share, m, sigma)[3] / unit[:, None])

    ones = np.ones((len(k), 1))
    fit = minimise_squares(
        residuals,
        start_grid(),
        lower=ones * np.array([_BOX_M[0], np.log(_BOX_SIGMA[0])]),
        upper=ones * np.array([_BOX_M[1], np.log(_BOX_SIGMA[1])]),
        solver=solver,
    )
    m, sigma = low + fit.parameters[:, 0] * span, np.exp(fit.parameters[:, 1]) * span
    a, d, c, miss = (value[0] for value in _inner(k, total_variance, share, m[None], sigma[None]))
    return SviSlices(
        a=a,
        b=c / sigma,
        rho=np.where(c > 0, d / np.where(c > 0, c, 1.0), 0.0),
        m=m,
        sigma=sigma,
        cost=np.sum(miss * miss, axis=1) * total[:, 0],
        converged=fit.converged,
    )


def polish_svi(
    k: FloatArray, total_variance: FloatArray, weight: FloatArray, m: float, sigma: float
) -> tuple[FloatArray, bool]:
    """Finish the search of one slice with ``scipy.optimize.least_squares`` (trust region).

    Parameters
    ----------
    k, total_variance, weight : float64, shape (n,)
        Quotes with positive weight.
    m, sigma : float
        Where to start.

    Returns
    -------
    float64, shape (5,), and bool
        ``a, b, rho, m, sigma``; whether a tolerance was met.
    """
    share = weight[None] / np.sum(weight)
    low, span = float(np.min(k)), float(np.ptp(k))
    w = total_variance[None]
    unit = float(np.sum(share * w))
    lower = np.array([_BOX_M[0], np.log(_BOX_SIGMA[0])])
    upper = np.array([_BOX_M[1], np.log(_BOX_SIGMA[1])])

    def inner(u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        at_m, at_sigma = low + u[0] * span, np.exp(u[1]) * span
        return _inner(k[None], w, share, np.array([[at_m]]), np.array([[at_sigma]]))

    def residuals(u: FloatArray) -> FloatArray:
        return np.asarray(inner(u)[3][0, 0] / unit)

    start = np.array([(m - low) / span, np.log(max(sigma, 1e-300) / span)])
    edge = 1e-9 * (upper - lower)
    found = least_squares(
        residuals, np.clip(start, lower + edge, upper - edge), bounds=(lower, upper)
    )
    a, d, c, _ = (value.item(0) for value in inner(found.x))
    at_sigma = float(np.exp(found.x[1]) * span)
    rho = d / c if c > 0 else 0.0
    raw = np.array([a, c / at_sigma, rho, low + float(found.x[0]) * span, at_sigma])
    return raw, bool(found.success)


def fit_svi(k: ArrayLike, total_variance: ArrayLike, *, weights: ArrayLike | None = None) -> SviFit:
    """Quasi-explicit least-squares fit of one raw SVI slice.

    Parameters
    ----------
    k, total_variance : array_like, shape (n,)
        Log-moneyness and total variance ``vol^2 T``, n >= 5.
    weights : array_like, shape (n,), optional
        Weights of squared total-variance errors. For weights ``omega`` of squared volatility
        errors (vega squared, over the squared spread) give ``omega / (2 vol T)^2``.

    Raises
    ------
    DataError
        If there are fewer than five points, or a value is not finite or not positive.
    """
    ks, w = np.asarray(k, np.float64), np.asarray(total_variance, np.float64)
    weight = np.ones_like(w) if weights is None else np.asarray(weights, np.float64)
    good = ks.shape == w.shape == weight.shape and ks.ndim == 1 and len(np.unique(ks)) >= 5
    if not (good and np.all(np.isfinite(ks + w + weight)) and np.all(w > 0) and np.all(weight > 0)):
        raise DataError(
            f"SVI cannot be fitted to k of shape {ks.shape} and variances of shape {w.shape}",
            remedy="give at least five different finite k with positive variances and weights",
        )
    fit = fit_svi_slices(ks[None], w[None], weight[None])
    params = SviRaw(*(float(getattr(fit, name)[0]) for name in ("a", "b", "rho", "m", "sigma")))
    miss = svi_total_variance(ks, params.a, params.b, params.rho, params.m, params.sigma) - w
    rmse = float(np.sqrt(np.sum(weight * miss * miss) / np.sum(weight)))
    return SviFit(params, rmse, bool(fit.converged[0]))

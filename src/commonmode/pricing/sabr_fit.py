"""SABR calibration by expiry, all expiries at once.

The start is explicit: to second order in log-moneyness Hagan's formula is a parabola (Hagan et al.
2002, eq. 3.1a), so alpha, rho and nu follow from a weighted quadratic fit; Levenberg-Marquardt does
the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError
from commonmode.pricing.least_squares import Solver, minimise_squares
from commonmode.pricing.sabr import hagan_lognormal_vol

__all__ = ["ALPHA_BOUNDS", "NU_BOUNDS", "SabrFit", "SabrSlices", "fit_sabr", "fit_sabr_slices"]

_MAX_RHO: Final = 0.999
# Bounds of alpha F^(beta-1) (a volatility) and of nu sqrt(T).
ALPHA_BOUNDS: Final = (1e-3, 30.0)
NU_BOUNDS: Final = (1e-3, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class SabrSlices:
    """Parameters of several slices, float64 of shape (E,) each; ``converged`` is bool."""

    alpha: FloatArray
    rho: FloatArray
    nu: FloatArray
    cost: FloatArray
    converged: BoolArray


@dataclass(frozen=True, slots=True)
class SabrFit:
    """One fitted slice.

    Attributes
    ----------
    alpha, beta, rho, nu : float
        As in :func:`~commonmode.pricing.sabr.hagan_lognormal_vol`; beta as given.
    rmse : float
        Weighted root mean square error in volatility (decimal).
    converged : bool
    """

    alpha: float
    beta: float
    rho: float
    nu: float
    rmse: float
    converged: bool


def _parabola(k: FloatArray, vol: FloatArray, weight: FloatArray) -> FloatArray:
    """Weighted least-squares coefficients (level, slope, curvature), shape (E, 3)."""
    basis = np.stack([np.ones_like(k), k, k * k], axis=-1)
    normal = np.einsum("en,eni,enj->eij", weight, basis, basis)
    right = np.einsum("en,eni,en->ei", weight, basis, vol)
    # A slight ridge: three quotes at almost one strike give the level and no curvature.
    ridge = 1e-9 * np.einsum("eii->ei", normal) + 1e-300
    return np.asarray(np.linalg.solve(normal + np.eye(3) * ridge[:, None, :], right[..., None]))[
        ..., 0
    ]


def fit_sabr_slices(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    weight: FloatArray,
    *,
    beta: float,
    solver: Solver = "levenberg-marquardt",
) -> SabrSlices:
    """Fit alpha, rho, nu of every row for a fixed beta.

    Parameters
    ----------
    forward, strike, vol, weight : float64, shape (E, n)
        Weights of squared volatility errors; 0 for padding.
    years : float64, shape (E,)
    beta : float
        In [0, 1].
    solver : {"levenberg-marquardt", "trust-region"}
    """
    share = weight / np.sum(weight, axis=1, keepdims=True)
    root = np.sqrt(years)
    scale = np.exp((1.0 - beta) * np.einsum("en,en->e", share, np.log(forward)))
    level, slope, curve = _parabola(np.log(strike / forward), vol, share).T
    # vol(k) = alpha + (rho nu - (1 - beta) alpha) k / 2 + (2 - 3 rho^2) nu^2 k^2 / (12 alpha) + ...
    a = np.clip(level, *ALPHA_BOUNDS)
    rho_nu = 2.0 * slope + (1.0 - beta) * a
    n = np.sqrt(np.maximum(6.0 * a * curve + 1.5 * rho_nu * rho_nu, (0.1 / root) ** 2))
    r = np.clip(rho_nu / n, -0.9, 0.9)
    start = np.stack([np.log(a), np.arctanh(r), np.log(np.clip(n * root, *NU_BOUNDS))], axis=1)
    unit = np.einsum("en,en->e", share, vol)
    weights = np.sqrt(share) / unit[:, None]

    def unpack(u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return np.exp(u[..., 0]) * scale, np.tanh(u[..., 1]), np.exp(u[..., 2]) / root

    def residuals(u: FloatArray) -> FloatArray:
        alpha, rho, nu = (value[..., None] for value in unpack(u))
        model = hagan_lognormal_vol(forward, strike, years[:, None], alpha, beta, rho, nu)
        return np.asarray(weights * (model - vol))

    ones = np.ones((len(years), 1))
    edge = np.arctanh(_MAX_RHO)
    fit = minimise_squares(
        residuals,
        start,
        lower=ones * np.array([np.log(ALPHA_BOUNDS[0]), -edge, np.log(NU_BOUNDS[0])]),
        upper=ones * np.array([np.log(ALPHA_BOUNDS[1]), edge, np.log(NU_BOUNDS[1])]),
        solver=solver,
    )
    alpha, rho, nu = unpack(fit.parameters)
    return SabrSlices(alpha, rho, nu, fit.cost, fit.converged)


def fit_sabr(
    forward: float,
    strike: ArrayLike,
    years: float,
    vol: ArrayLike,
    *,
    beta: float = 1.0,
    weights: ArrayLike | None = None,
) -> SabrFit:
    """Least-squares fit of one expiry for a fixed beta.

    Parameters
    ----------
    forward, years : float
        > 0.
    strike, vol : array_like, shape (n,)
        n >= 3, > 0.
    beta : float
        In [0, 1]; 1 is the usual choice in crypto.
    weights : array_like, shape (n,), optional
        Weights of squared volatility errors.

    Raises
    ------
    DataError
        If there are fewer than three strikes, or a value is not finite or out of range.
    """
    k, v = np.asarray(strike, np.float64), np.asarray(vol, np.float64)
    weight = np.ones_like(v) if weights is None else np.asarray(weights, np.float64)
    good = k.shape == v.shape == weight.shape and k.ndim == 1 and len(np.unique(k)) >= 3
    if not (
        good
        and np.all(np.isfinite(k + v + weight))
        and min(k.min(), v.min(), weight.min(), forward, years) > 0
        and 0.0 <= beta <= 1.0
    ):
        raise DataError(
            f"SABR cannot be fitted to strikes of shape {k.shape} and vols of shape {v.shape}",
            remedy="give three different strikes, all values finite and positive, 0 <= beta <= 1",
        )
    fit = fit_sabr_slices(
        np.full((1, len(k)), forward), k[None], np.array([years]), v[None], weight[None], beta=beta
    )
    alpha, rho, nu = float(fit.alpha[0]), float(fit.rho[0]), float(fit.nu[0])
    miss = hagan_lognormal_vol(forward, k, years, alpha, beta, rho, nu) - v
    rmse = float(np.sqrt(np.sum(weight * miss * miss) / np.sum(weight)))
    return SabrFit(alpha, beta, rho, nu, rmse, bool(fit.converged[0]))

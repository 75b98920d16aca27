"""Dupire's local volatility from an SSVI or eSSVI surface.

``sigma_loc^2(k, T) = (dw/dT) / g(k, T)`` at fixed log-moneyness (Gatheral 2006, "The Volatility
Surface", eq. 1.10; g is Durrleman's function). Calendar freedom makes the numerator, butterfly
freedom the denominator positive: on an eSSVI surface the local variance is positive everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, frozen
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.pricing.ssvi import SsviSlices, ssvi_derivatives

__all__ = ["LocalVolGrid", "dupire_variance", "local_variance", "local_vol_grid"]


def local_variance(slices: SsviSlices, k: ArrayLike, years: ArrayLike) -> FloatArray:
    """Local variance per year, broadcast.

    Parameters
    ----------
    slices : SsviSlices
    k : array_like
        Log-moneyness ``ln(K / F(0, T))``.
    years : array_like
        > 0. Between slices theta, psi and rho psi are linear in time, so local variance jumps at
        a slice (right-sided value there).

    Returns
    -------
    float64
        NaN for times that are not positive.
    """
    ks, t = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(years, np.float64))
    safe = np.where(t > 0, t, 1.0)
    d = ssvi_derivatives(ks, *slices.at(safe))
    value = dupire_variance(ks, d.w, d.by_k, d.by_kk, slices.time_derivative(ks, safe))
    return np.where(t > 0, value, np.nan)


def dupire_variance(
    k: ArrayLike, w: ArrayLike, by_k: ArrayLike, by_kk: ArrayLike, by_t: ArrayLike
) -> FloatArray:
    """Local variance from total variance and its derivatives, broadcast (any surface).

    Parameters
    ----------
    k : array_like
        Log-moneyness.
    w, by_k, by_kk, by_t : array_like
        Total variance, its first two derivatives in k, its derivative in time at fixed k.

    Returns
    -------
    float64
        Not positive, infinite or NaN where the surface has static arbitrage.
    """
    x, v, d1, d2, dt = (np.asarray(a, np.float64) for a in (k, w, by_k, by_kk, by_t))
    with np.errstate(all="ignore"):
        half = 1.0 - x * d1 / (2.0 * v)
        g = half * half - 0.25 * d1 * d1 * (1.0 / v + 0.25) + 0.5 * d2
        return np.asarray(dt / g)


@dataclass(frozen=True, slots=True, eq=False)
class LocalVolGrid:
    """Local volatility on a grid, bilinear between its nodes and flat beyond them.

    Attributes
    ----------
    k : float64, shape (n,)
        Log-moneyness.
    years : float64, shape (m,)
    vol : float64, shape (m, n)
        Annualised decimal.
    """

    k: FloatArray
    years: FloatArray
    vol: FloatArray

    def __call__(self, k: ArrayLike, years: ArrayLike) -> FloatArray:
        """Local volatility at any points, broadcast."""
        x, t = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(years, np.float64))
        (i, u), (j, v) = _cell(self.years, t), _cell(self.k, x)
        low = (1.0 - v) * self.vol[i, j] + v * self.vol[i, j + 1]
        high = (1.0 - v) * self.vol[i + 1, j] + v * self.vol[i + 1, j + 1]
        return np.asarray((1.0 - u) * low + u * high)


def _cell(node: FloatArray, x: FloatArray) -> tuple[IntArray, FloatArray]:
    left = np.clip(np.searchsorted(node, x, side="right") - 1, 0, len(node) - 2)
    share = (x - node[left]) / (node[left + 1] - node[left])
    return left.astype(np.int64), np.clip(share, 0.0, 1.0)


def local_vol_grid(
    slices: SsviSlices, k: FloatArray, years: FloatArray
) -> Success[LocalVolGrid] | Failure:
    """Local volatility of a surface on a grid.

    Parameters
    ----------
    slices : SsviSlices
    k : float64, shape (n,), ascending, n >= 2
    years : float64, shape (m,), ascending, > 0, m >= 2

    Returns
    -------
    Success of LocalVolGrid, or Failure
        Failure (arbitrage) naming the first node where local variance is not positive.
    """
    variance = local_variance(slices, k[None, :], years[:, None])
    bad: BoolArray = ~(np.isfinite(variance) & (variance > 0))
    if bad.any():
        i, j = np.argwhere(bad)[0].tolist()
        return Failure(
            FailureReason.ARBITRAGE,
            f"local variance is {variance[i, j]:.3g} at k={k[j]:.4g}, T={years[i]:.4g}",
            "the slices admit static arbitrage: check them, or project them onto eSSVI",
        )
    return Success(LocalVolGrid(frozen(k), frozen(years), frozen(np.sqrt(variance))))

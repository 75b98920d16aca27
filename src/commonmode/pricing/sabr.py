"""SABR: Hagan's lognormal volatility formula and its calibration to one expiry.

Hagan, Kumar, Lesniewski, Woodward (2002), "Managing smile risk", Wilmott, eq. 2.17.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray

__all__ = ["hagan_lognormal_vol"]


def hagan_lognormal_vol(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    alpha: ArrayLike,
    beta: ArrayLike,
    rho: ArrayLike,
    nu: ArrayLike,
) -> FloatArray:
    """Black volatility of the SABR model to first order in time, stable at the money.

    Parameters
    ----------
    forward, strike : array_like
        > 0, same currency.
    years : array_like
        Years to expiry, >= 0.
    alpha : array_like
        Initial volatility, > 0, in units of ``forward**(1 - beta)`` per sqrt(year).
    beta : array_like
        Backbone exponent in [0, 1].
    rho : array_like
        Correlation in (-1, 1).
    nu : array_like
        Volatility of volatility, >= 0, per sqrt(year).

    Returns
    -------
    float64, broadcast shape
        Annualised decimal. NaN where forward or strike is not positive or an input is NaN.
    """
    f, k, t, a, b, r, n = (
        np.asarray(v, np.float64) for v in (forward, strike, years, alpha, beta, rho, nu)
    )
    with np.errstate(all="ignore"):
        log_fk = np.log(f / k)
        lean = 1.0 - b
        power = np.exp(0.5 * lean * (np.log(f) + np.log(k)))  # (f K)^((1-beta)/2)
        square = (lean * log_fk) ** 2
        z = n / a * power * log_fk
        # chi(z; rho) = -chi(-z; -rho): only z >= 0 is evaluated, which does not cancel.
        w = np.abs(z)
        lean_rho = np.where(z < 0, -r, r)
        root = np.sqrt(1.0 + w * (w - 2.0 * lean_rho))
        chi = np.log1p(w * ((w - 2.0 * lean_rho) / (root + 1.0) + 1.0) / (1.0 - lean_rho))
        stretch = np.where(w > 0, w / np.where(w > 0, chi, 1.0), 1.0)
        time = (
            lean * lean / 24.0 * (a / power) ** 2
            + 0.25 * r * b * n * a / power
            + (2.0 - 3.0 * r * r) / 24.0 * n * n
        )
        vol = a / (power * (1.0 + square / 24.0 + square * square / 1920.0)) * stretch
        return np.asarray(vol * (1.0 + time * t))

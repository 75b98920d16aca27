"""From the free parameters of a surface to its slices (theta, rho, psi), with derivatives.

Plain array code without numba; the kernels compile the same functions, so that the numpy path and
the compiled one cannot differ in them.

eSSVI: Mingone (2022), "No arbitrage global parametrization for the eSSVI volatility surface",
Quantitative Finance 22(12). Minima and maxima are replaced by smooth ones that lie strictly inside
the admissible set, so the surface stays free of arbitrage and least squares sees no kink.
SSVI: Gatheral and Jacquier (2014), section 4.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray

__all__ = [
    "butterfly_bound",
    "essvi_map",
    "soft_maximum",
    "soft_minimum",
    "ssvi_heston_map",
    "ssvi_power_map",
]

# Smoothing: a soft maximum of two equal p lies EPS_P/2 above them, a soft minimum EPS_F/2 below,
# relative; |rho| is sqrt(rho^2 + EPS_RHO^2).
_EPS_P = 0.01
_EPS_F = 0.05
_EPS_RHO = 0.02


def soft_maximum(x: FloatArray, y: FloatArray) -> FloatArray:
    """Smooth function just above the larger of two positive values, as used for p."""
    return np.asarray(0.5 * (x + y + np.sqrt((x - y) ** 2 + _EPS_P**2 * x * y)))


def soft_minimum(x: float, y: float) -> float:
    """Smooth function just below the smaller of two positive values, as used for the bounds."""
    return float(0.5 * (x + y - np.sqrt((x - y) ** 2 + _EPS_F**2 * x * y)))


def butterfly_bound(theta: FloatArray, rho: FloatArray) -> FloatArray:
    """Largest psi admitted without butterfly arbitrage (GJ 2014, theorem 4.2), smoothed."""
    lean = 1.0 + np.sqrt(rho**2 + _EPS_RHO**2)
    x, y = 4.0 / lean, 2.0 * np.sqrt(theta / lean)
    return np.asarray(0.5 * (x + y - np.sqrt((x - y) ** 2 + _EPS_F**2 * x * y)))


def essvi_map(
    u: FloatArray, theta: FloatArray, rho: FloatArray, psi: FloatArray, d: FloatArray
) -> None:
    """Slices of ``u = (rho_1..N, a_1..N, c_1..N)`` and their derivatives.

    ``theta_i = p_i theta_(i-1) + a_i`` and ``psi_i`` between its calendar lower bound (c = 0) and
    the smallest of its calendar and butterfly upper bounds, those of later slices included (c = 1).

    Parameters
    ----------
    u : float64, shape (3 N,)
    theta, rho, psi : float64, shape (N,), written
    d : float64, shape (N, 3, 3 N), written
        Derivatives of (theta, rho, psi).
    """
    n = len(theta)
    many = len(u)
    p, dp = np.ones(n), np.zeros((n, 2))
    bound, dbound = np.zeros(n), np.zeros((n, many))
    d.fill(0.0)
    for i in range(n):
        rho[i] = u[i]
        d[i, 1, i] = 1.0
        theta[i] = u[n + i]
        d[i, 0, n + i] = 1.0
        if i > 0:
            up, down = 1.0 / (1.0 + u[i]), 1.0 / (1.0 - u[i])
            x, y = (1.0 + u[i - 1]) * up, (1.0 - u[i - 1]) * down
            root = np.sqrt((x - y) ** 2 + _EPS_P**2 * x * y)
            p[i] = 0.5 * (x + y + root)
            by_x = 0.5 + 0.5 * (x - y + 0.5 * _EPS_P**2 * y) / root
            by_y = 0.5 + 0.5 * (y - x + 0.5 * _EPS_P**2 * x) / root
            dp[i, 0] = by_x * up - by_y * down
            dp[i, 1] = -by_x * x * up + by_y * y * down
            theta[i] += p[i] * theta[i - 1]
            for j in range(many):
                d[i, 0, j] += p[i] * d[i - 1, 0, j]
            d[i, 0, i - 1] += dp[i, 0] * theta[i - 1]
            d[i, 0, i] += dp[i, 1] * theta[i - 1]
    for i in range(n - 1, -1, -1):
        size = np.sqrt(u[i] ** 2 + _EPS_RHO**2)
        lean = 1.0 + size
        x, y = 4.0 / lean, 2.0 * np.sqrt(theta[i] / lean)
        root = np.sqrt((x - y) ** 2 + _EPS_F**2 * x * y)
        by_x = 0.5 - 0.5 * (x - y + 0.5 * _EPS_F**2 * y) / root
        by_y = 0.5 - 0.5 * (y - x + 0.5 * _EPS_F**2 * x) / root
        bound[i] = 0.5 * (x + y - root)
        for j in range(many):
            dbound[i, j] = by_y * 0.5 * y / theta[i] * d[i, 0, j]
        dbound[i, i] -= (by_x * x + 0.5 * by_y * y) / lean * u[i] / size
        if i < n - 1:
            x, y = bound[i], bound[i + 1] / p[i + 1]
            root = np.sqrt((x - y) ** 2 + _EPS_F**2 * x * y)
            by_x = 0.5 - 0.5 * (x - y + 0.5 * _EPS_F**2 * y) / root
            by_y = 0.5 - 0.5 * (y - x + 0.5 * _EPS_F**2 * x) / root
            bound[i] = 0.5 * (x + y - root)
            for j in range(many):
                dbound[i, j] = by_x * dbound[i, j] + by_y / p[i + 1] * dbound[i + 1, j]
            dbound[i, i] -= by_y * y / p[i + 1] * dp[i + 1, 0]
            dbound[i, i + 1] -= by_y * y / p[i + 1] * dp[i + 1, 1]
    for i in range(n):
        c = u[2 * n + i]
        if i == 0:
            psi[0] = c * bound[0]
            for j in range(many):
                d[0, 2, j] = c * dbound[0, j]
            d[0, 2, 2 * n] += bound[0]
            continue
        low = psi[i - 1] * p[i]
        ratio = u[n + i] / theta[i - 1]
        x, y = psi[i - 1] * ratio, bound[i] - low
        root = np.sqrt((x - y) ** 2 + _EPS_F**2 * x * y)
        width = 0.5 * (x + y - root)
        by_x = 0.5 - 0.5 * (x - y + 0.5 * _EPS_F**2 * y) / root
        by_y = 0.5 - 0.5 * (y - x + 0.5 * _EPS_F**2 * x) / root
        psi[i] = low + c * width
        of_low, of_psi = 1.0 - c * by_y, (1.0 - c * by_y) * p[i] + c * by_x * ratio
        for j in range(many):
            d[i, 2, j] = (
                of_psi * d[i - 1, 2, j]
                + c * by_y * dbound[i, j]
                - c * by_x * x / theta[i - 1] * d[i - 1, 0, j]
            )
        d[i, 2, i - 1] += of_low * psi[i - 1] * dp[i, 0]
        d[i, 2, i] += of_low * psi[i - 1] * dp[i, 1]
        d[i, 2, n + i] += c * by_x * psi[i - 1] / theta[i - 1]
        d[i, 2, 2 * n + i] += width


def ssvi_power_map(
    u: FloatArray, theta: FloatArray, rho: FloatArray, psi: FloatArray, d: FloatArray
) -> None:
    """SSVI with power-law phi: ``u = (rho, e, gamma, a_1..N)``, ``eta = 2 e / sqrt(1 + |rho|)``.

    Other arguments as in :func:`essvi_map`.
    """
    n = len(theta)
    d.fill(0.0)
    size = np.sqrt(u[0] ** 2 + _EPS_RHO**2)
    eta = 2.0 * u[1] / np.sqrt(1.0 + size)
    total = 0.0
    for i in range(n):
        total += u[3 + i]
        theta[i], rho[i] = total, u[0]
        psi[i] = eta * (total / (1.0 + total)) ** (1.0 - u[2])
        for j in range(3, 4 + i):
            d[i, 0, j] = 1.0
            d[i, 2, j] = psi[i] * (1.0 - u[2]) / (total * (1.0 + total))
        d[i, 1, 0] = 1.0
        d[i, 2, 0] = -0.5 * psi[i] / (1.0 + size) * u[0] / size
        d[i, 2, 1] = psi[i] / u[1]
        d[i, 2, 2] = -psi[i] * np.log(total / (1.0 + total))


def ssvi_heston_map(
    u: FloatArray, theta: FloatArray, rho: FloatArray, psi: FloatArray, d: FloatArray
) -> None:
    """SSVI with Heston-like phi: ``u = (rho, v, a_1..N)``, ``lam = (1 + |rho|) v / 4``, v >= 1.

    Other arguments as in :func:`essvi_map`.
    """
    n = len(theta)
    d.fill(0.0)
    size = np.sqrt(u[0] ** 2 + _EPS_RHO**2)
    lam = 0.25 * (1.0 + size) * u[1]
    total = 0.0
    for i in range(n):
        total += u[2 + i]
        x = lam * total
        if x > 1e-3:
            fall = -np.expm1(-x) / x
            g, slope = 1.0 - fall, (fall - np.exp(-x)) / x
        else:
            g = x * (0.5 - x / 6.0 + x * x / 24.0)
            slope = 0.5 - x / 3.0 + x * x / 8.0
        theta[i], rho[i], psi[i] = total, u[0], g / lam
        by_lam = (slope * total - psi[i]) / lam
        for j in range(2, 3 + i):
            d[i, 0, j], d[i, 2, j] = 1.0, slope
        d[i, 1, 0] = 1.0
        d[i, 2, 0] = by_lam * 0.25 * u[1] * u[0] / size
        d[i, 2, 1] = by_lam * 0.25 * (1.0 + size)

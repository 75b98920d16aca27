"""SSVI slices: formula, the families of phi, and arbitrage-free interpolation between expiries.

Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces"; Hendriks and Martini (2019),
"The extended SSVI volatility surface"; Corbetta, Cohort, Laachir and Martini (2019), "Robust
calibration and arbitrage-free interpolation of SSVI slices".

A slice is ``(theta, rho, psi)`` with ``psi = theta phi(theta)``:
``w(k) = (theta + rho psi k + sqrt((psi k + theta rho)^2 + theta^2 (1 - rho^2))) / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.pricing.svi import SviRaw

__all__ = [
    "SsviDerivatives",
    "SsviSlices",
    "heston_like_phi",
    "power_law_phi",
    "ssvi_derivatives",
    "ssvi_total_variance",
]


def ssvi_total_variance(
    k: ArrayLike, theta: ArrayLike, rho: ArrayLike, psi: ArrayLike
) -> FloatArray:
    """Total implied variance of an SSVI slice (GJ 2014, eq. 4.1), broadcast.

    Parameters
    ----------
    k : array_like
        Log-moneyness.
    theta : array_like
        At-the-money total variance, > 0.
    rho : array_like
        In (-1, 1).
    psi : array_like
        ``theta phi(theta)`` >= 0.
    """
    ks, t, r, p = (np.asarray(value, np.float64) for value in (k, theta, rho, psi))
    z = p * ks
    return np.asarray(0.5 * (t + r * z + np.sqrt(z * z + 2.0 * z * t * r + t * t)))


@dataclass(frozen=True, slots=True, eq=False)
class SsviDerivatives:
    """Value and derivatives of a slice, float64 of the broadcast shape.

    Attributes
    ----------
    w, by_k, by_kk : by log-moneyness
    by_theta, by_rho, by_psi : by the parameters
    """

    w: FloatArray
    by_k: FloatArray
    by_kk: FloatArray
    by_theta: FloatArray
    by_rho: FloatArray
    by_psi: FloatArray

    def durrleman_g(self, k: ArrayLike) -> FloatArray:
        """``g(k)``; the slice is free of butterfly arbitrage where it is not negative."""
        half = 1.0 - np.asarray(k, np.float64) * self.by_k / (2.0 * self.w)
        square = 0.25 * self.by_k**2 * (1.0 / self.w + 0.25)
        return np.asarray(half * half - square + 0.5 * self.by_kk)


def ssvi_derivatives(
    k: ArrayLike, theta: ArrayLike, rho: ArrayLike, psi: ArrayLike
) -> SsviDerivatives:
    """Value and derivatives; parameters as in :func:`ssvi_total_variance`."""
    ks, t, r, p = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (k, theta, rho, psi)))
    z = p * ks
    root = np.sqrt(z * z + 2.0 * z * t * r + t * t)
    return SsviDerivatives(
        w=0.5 * (t + r * z + root),
        by_k=0.5 * p * (r + (z + t * r) / root),
        by_kk=0.5 * p * p * t * t * (1.0 - r * r) / root**3,
        by_theta=0.5 * (1.0 + (z * r + t) / root),
        by_rho=0.5 * z * (1.0 + t / root),
        by_psi=0.5 * ks * (r + (z + t * r) / root),
    )


def power_law_phi(theta: ArrayLike, eta: float, gamma: float) -> FloatArray:
    """``eta / (theta^gamma (1 + theta)^(1 - gamma))`` (GJ 2014, remark 4.4), same shape.

    With ``0 < gamma <= 1/2`` and ``eta^2 (1 + |rho|) <= 4`` the surface is free of static
    arbitrage: ``theta phi (1 + |rho|) <= 2 sqrt(2) < 4`` and ``theta phi^2 (1 + |rho|) <= 4``.
    """
    t = np.asarray(theta, np.float64)
    return np.asarray(eta * t**-gamma * (1.0 + t) ** (gamma - 1.0))


def heston_like_phi(theta: ArrayLike, lam: float) -> FloatArray:
    """``(1 - (1 - exp(-lam theta)) / (lam theta)) / (lam theta)`` (GJ 2014, eq. 4.5).

    Free of static arbitrage for ``lam >= (1 + |rho|) / 4``. As theta tends to 0, phi tends to
    1/2: short expiries are almost flat.
    """
    x = lam * np.asarray(theta, np.float64)
    safe = np.where(x > 1e-5, x, 1.0)
    return np.asarray(
        np.where(x > 1e-5, (1.0 + np.expm1(-safe) / safe) / safe, 0.5 - x / 6.0 + x * x / 24.0)
    )


@dataclass(frozen=True, slots=True, eq=False)
class SsviSlices:
    """Slices of a surface by time to expiry, and what lies between, before and after them.

    Between two slices theta, psi and rho psi are linear in time: where the slices themselves are
    free of butterfly and calendar arbitrage (wings ``psi (1 +- rho)`` and theta do not fall, phi
    does not rise) so is everything between. Before the first slice and after the last, theta is
    proportional to T and psi to sqrt(T), rho stays: one smile in ``k / sqrt(T)``; after the last,
    psi stops at the bounds ``4 / (1 + |rho|)``.

    Attributes
    ----------
    years : float64, shape (E,), ascending, > 0
    theta, rho, psi : float64, shape (E,)

    Raises
    ------
    DataError
        If shapes differ, years do not ascend, or a parameter is out of range.
    """

    years: FloatArray
    theta: FloatArray
    rho: FloatArray
    psi: FloatArray

    def __post_init__(self) -> None:
        """Check shapes and ranges."""
        shapes = {value.shape for value in (self.years, self.theta, self.rho, self.psi)}
        good = len(shapes) == 1 and self.years.ndim == 1 and len(self.years) > 0
        if not (
            good
            and self.years[0] > 0
            and np.all(np.diff(self.years) > 0)
            and np.all((self.theta > 0) & (np.abs(self.rho) < 1) & (self.psi >= 0))
        ):
            raise DataError(
                "not the slices of an SSVI surface",
                remedy="give equal shapes, ascending years, theta > 0, |rho| < 1 and psi >= 0",
            )

    def at(self, years: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """``(theta, rho, psi)`` at any times > 0, each of the shape of ``years``."""
        theta, turn, psi, _, _, _ = self._path(np.asarray(years, np.float64))
        return theta, turn / np.where(psi > 0, psi, 1.0), psi

    def total_variance(self, k: ArrayLike, years: ArrayLike) -> FloatArray:
        """Total variance at log-moneyness and time, broadcast; NaN for times that are not > 0."""
        t = np.asarray(years, np.float64)
        with np.errstate(invalid="ignore"):
            return np.where(t > 0, ssvi_total_variance(k, *self.at(np.abs(t))), np.nan)

    def time_derivative(self, k: ArrayLike, years: ArrayLike) -> FloatArray:
        """``dw/dT`` at fixed log-moneyness, per year, broadcast; right-sided at a slice."""
        theta, turn, psi, d_theta, d_turn, d_psi = self._path(np.asarray(years, np.float64))
        safe = np.where(psi > 0, psi, 1.0)
        rho = turn / safe
        d = ssvi_derivatives(k, theta, rho, psi)
        d_rho = (d_turn - rho * d_psi) / safe
        return np.asarray(d.by_theta * d_theta + d.by_rho * d_rho + d.by_psi * d_psi)

    def raw_svi(self, row: int) -> SviRaw:
        """A slice in raw SVI parameters (GJ 2014, eq. 3.3)."""
        theta, rho, psi = (float(x[row]) for x in (self.theta, self.rho, self.psi))
        root = np.sqrt(1.0 - rho * rho)
        return SviRaw(
            a=0.5 * theta * root * root,
            b=0.5 * psi,
            rho=rho,
            m=-rho * theta / psi,
            sigma=float(root * theta / psi),
        )

    def _path(self, t: FloatArray) -> tuple[FloatArray, ...]:
        """theta, rho psi, psi and their derivatives in time."""
        turn = self.rho * self.psi
        last = len(self.years) - 1
        left = np.clip(np.searchsorted(self.years, t, side="right") - 1, 0, max(last - 1, 0))
        right = np.minimum(left + 1, last)
        width = np.where(right > left, self.years[right] - self.years[left], 1.0)
        share = (t - self.years[left]) / width
        columns = (self.theta, turn, self.psi)
        slopes = [(x[right] - x[left]) / width for x in columns]
        values = [x[left] + share * (x[right] - x[left]) for x in columns]
        # Outside: the nearest slice, scaled.
        edge = np.where(t < self.years[0], 0, last)
        ratio = t / self.years[edge]
        root = np.sqrt(ratio)
        theta, rho, psi = self.theta[edge] * ratio, self.rho[edge], self.psi[edge] * root
        bound = 4.0 / (1.0 + np.abs(rho))
        capped = (psi > bound) & (edge == last) & (t > self.years[-1])
        rise = np.where(capped, 0.0, 0.5 * psi / np.where(t > 0, t, 1.0))
        psi = np.where(capped, np.maximum(bound, self.psi[edge]), psi)
        outer = (theta, rho * psi, psi, self.theta[edge] / self.years[edge], rho * rise, rise)
        outside = (t < self.years[0]) | (t >= self.years[last])
        inner = (*values, *slopes)
        return tuple(np.where(outside, o, i) for o, i in zip(outer, inner, strict=True))

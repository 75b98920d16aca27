"""Heston (1993) and Bates (1996): stochastic variance, with and without jumps of the price.

``dF/F = sqrt(v) dW``, ``dv = kappa (theta - v) dt + sigma sqrt(v) dB``, ``dW dB = rho dt``.

The characteristic function is in the form without branch jumps (Albrecher, Mayer, Schoutens and
Tistaert 2007, "The little Heston trap"), rewritten so that nothing is divided by a difference of
nearly equal numbers as sigma goes to zero; its derivatives follow Cui, del Bano Rollin and Germano
(2017), "Full and fast calibration of the Heston stochastic volatility model", EJOR 263.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.pricing.fourier.levy import jump_gradient, jump_log_cf
from commonmode.pricing.fourier.model import ComplexArray, log1p_complex, require

__all__ = ["Bates", "Heston"]

_FARTHEST: Final = 1e4  # moments of higher order are not looked for
_NO_ROOT: Final = 1e-9  # stands for a vanishing discriminant
_DISTANCES: Final = np.concatenate([[0.0], np.geomspace(1e-4, _FARTHEST, 80)])
_INSIDE: Final = np.arange(65) / 64.0


@dataclass(frozen=True, slots=True, eq=False)
class Heston:
    """Heston's model.

    Attributes
    ----------
    v0, theta : float or float64 array
        Variance now and in the long run, per year, > 0.
    kappa : float or float64 array
        Speed of mean reversion, per year, > 0.
    sigma : float or float64 array
        Volatility of variance, > 0 (the limit 0 is smooth: give a small number).
    rho : float or float64 array
        Correlation, in [-1, 1].
    """

    v0: FloatArray | float
    kappa: FloatArray | float
    theta: FloatArray | float
    sigma: FloatArray | float
    rho: FloatArray | float

    def __post_init__(self) -> None:
        """Check the domain."""
        for name in ("v0", "kappa", "theta", "sigma"):
            value = np.asarray(getattr(self, name))
            require((value > 0) & np.isfinite(value), f"Heston: {name}", "it is positive")
        require(np.abs(self.rho) <= 1.0, "Heston: rho", "a correlation lies in [-1, 1]")

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return ("v0", "kappa", "theta", "sigma", "rho")

    @property
    def cone(self) -> float:
        """Not bent: the function decays exponentially as it is."""
        return 0.0

    def _parts(self, u: ComplexArray, years: FloatArray) -> tuple[ComplexArray, ...]:
        iu = 1j * u
        m = u * u + iu
        beta = self.kappa - (self.rho * self.sigma) * iu
        d = np.sqrt(beta * beta + (self.sigma * self.sigma) * m)
        square = np.square(self.sigma)
        if np.all(beta.real > 0):  # as for real u
            root = -m / (beta + d)
        else:
            # At p = 1 the two may cancel; then their difference does not.
            d = np.where(np.abs(d) < _NO_ROOT, _NO_ROOT, d)
            with np.errstate(all="ignore"):
                root = np.where(beta.real > 0, -m / (beta + d), (beta - d) / square)
        decay = np.exp(-years * d)
        # ln(Q / 2d) = ln(1 + w), with Q = beta (1 - decay) + d (1 + decay).
        w = (0.5 * square) * root * (1.0 - decay) / d
        return m, beta, d, decay, root, w

    def log_cf(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """See the Protocol."""
        m, _, d, decay, root, w = self._parts(u, years)
        loading = -0.5 * m * (1.0 - decay) / (d * (1.0 + w))
        level = root * years - (2.0 / self.sigma**2) * log1p_complex(w)
        return np.asarray(self.v0 * loading + (self.kappa * self.theta) * level)

    def gradient(self, u: ComplexArray, years: FloatArray) -> tuple[ComplexArray, ...]:
        """See the Protocol."""
        sigma, pull = self.sigma, self.kappa * self.theta
        m, beta, d, decay, root, w = self._parts(u, years)
        lost = 1.0 - decay
        inv_d, inv_q = 1.0 / d, 0.5 / (d * (1.0 + w))  # Q = 2 d (1 + w)
        share = lost * inv_q
        loading = -m * share
        level = root * years - (2.0 / sigma**2) * log1p_complex(w)
        value = self.v0 * loading + pull * level
        # Partial derivatives to beta and d as if they were free, then along each parameter.
        aged = years * decay
        q_d = ((1.0 + decay) + (beta - d) * aged) * inv_q
        scale = pull / sigma**2
        by_beta = -self.v0 * loading * share + scale * (years - 2.0 * share)
        by_d = -self.v0 * (m * aged * inv_q + loading * q_d) + scale * (2.0 * (inv_d - q_d) - years)
        along = by_beta + by_d * beta * inv_d
        iu = 1j * u
        by_kappa = along + self.theta * level
        by_sigma = -2.0 * pull * level / sigma - self.rho * iu * along + by_d * (sigma * m * inv_d)
        by_rho = -sigma * iu * along
        return value, loading, by_kappa, self.kappa * level, by_sigma, by_rho

    def maturity_slope(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """Riccati's equation: ``D' = sigma^2 D^2 / 2 - beta D - m / 2``, ``C' = kappa theta D``."""
        m, beta, d, decay, _, w = self._parts(u, years)
        loading = -0.5 * m * (1.0 - decay) / (d * (1.0 + w))
        rate = 0.5 * self.sigma**2 * loading * loading - beta * loading - 0.5 * m
        return np.asarray(self.v0 * rate + (self.kappa * self.theta) * loading)

    def explosion(self, p: FloatArray) -> FloatArray:
        """Time at which ``E exp(p X)`` becomes infinite, for real p; years, inf where never.

        Andersen and Piterbarg (2007), "Moment explosions in stochastic volatility models",
        proposition 3.1.
        """
        beta = self.kappa - self.rho * self.sigma * p
        disc = beta * beta - self.sigma**2 * (p * p - p)
        with np.errstate(all="ignore"):
            root = np.sqrt(np.abs(disc))
            real = np.where(beta < 0, np.log((root - beta) / (-root - beta)) / root, np.inf)
            turning = 2.0 / root * np.arctan2(root, -beta)
            time = np.where(disc >= 0, real, turning)
        return np.asarray(np.where((p >= 0) & (p <= 1), np.inf, time))

    def strip(self, years: float) -> tuple[float, float]:
        """Real moments that are finite at the maturity: where the explosion time exceeds it."""

        return -self._reach(0.0, -1.0, years), 1.0 + self._reach(1.0, 1.0, years)

    def _reach(self, start: float, way: float, years: float) -> float:
        """How far from ``start`` the moments stay finite, by three nested grids."""
        grid = _DISTANCES
        for _ in range(3):
            # Finite up to the first explosion; the explosion time falls with the distance.
            finite = self.explosion(start + way * grid) > years
            if finite.all():
                return float(grid[-1])
            first = max(int(np.argmin(finite)), 1)
            low = grid[first - 1]
            grid = low + (grid[first] - low) * _INSIDE
        return float(low)


@dataclass(frozen=True, slots=True, eq=False)
class Bates:
    """Heston's variance with Merton's jumps.

    Attributes
    ----------
    v0, kappa, theta, sigma, rho
        As in :class:`Heston`.
    intensity, jump_mean, jump_std
        As in :class:`~commonmode.pricing.fourier.levy.Merton`.
    """

    v0: FloatArray | float
    kappa: FloatArray | float
    theta: FloatArray | float
    sigma: FloatArray | float
    rho: FloatArray | float
    intensity: FloatArray | float
    jump_mean: FloatArray | float
    jump_std: FloatArray | float

    def __post_init__(self) -> None:
        """Check the domain."""
        require(np.isfinite(self.diffusion.v0), "Bates: v0", "it is positive")
        good = (np.asarray(self.intensity) >= 0) & (np.asarray(self.jump_std) >= 0)
        require(good & np.isfinite(self.jump_mean), "Bates: jumps", "intensity and std are >= 0")

    @property
    def diffusion(self) -> Heston:
        """The part without jumps."""
        return Heston(self.v0, self.kappa, self.theta, self.sigma, self.rho)

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return (*self.diffusion.names, "intensity", "jump_mean", "jump_std")

    @property
    def cone(self) -> float:
        """Not bent."""
        return 0.0

    def log_cf(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """See the Protocol."""
        jumps = jump_log_cf(u, self.intensity, self.jump_mean, self.jump_std)
        return np.asarray(self.diffusion.log_cf(u, years) + years * jumps)

    def gradient(self, u: ComplexArray, years: FloatArray) -> tuple[ComplexArray, ...]:
        """See the Protocol."""
        value, *diffusion = self.diffusion.gradient(u, years)
        jumps, *rest = jump_gradient(u, self.intensity, self.jump_mean, self.jump_std)
        return (value + years * jumps, *diffusion, *(years * part for part in rest))

    def maturity_slope(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """See the Protocol."""
        jumps = jump_log_cf(u, self.intensity, self.jump_mean, self.jump_std)
        return np.asarray(self.diffusion.maturity_slope(u, years) + jumps)

    def strip(self, years: float) -> tuple[float, float]:
        """That of the diffusion: normal jumps have all moments."""
        return self.diffusion.strip(years)

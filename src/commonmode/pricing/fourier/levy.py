"""Lévy models: jump diffusions of Merton and Kou, variance gamma, CGMY.

Merton (1976), Journal of Financial Economics 3; Kou (2002), Management Science 48; Madan, Carr and
Chang (1998), European Finance Review 2; Carr, Geman, Madan and Yor (2002), Journal of Business 75.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import digamma, gamma

from commonmode.core.arrays import FloatArray
from commonmode.pricing.fourier.model import ComplexArray, log1p_complex, require

__all__ = ["Cgmy", "Kou", "Merton", "VarianceGamma", "jump_gradient", "jump_log_cf"]

_FARTHEST: Final = 1e4  # stands for "all moments exist"
_Number = FloatArray | float


def jump_log_cf(u: ComplexArray, rate: _Number, mean: _Number, std: _Number) -> ComplexArray:
    """Exponent per year of compensated normal jumps of the log price."""
    iu = 1j * u
    size = np.exp(iu * mean - 0.5 * (std * std) * u * u)
    gain = np.expm1(mean + 0.5 * std * std)
    return np.asarray(rate * (size - 1.0 - iu * gain))


def jump_gradient(
    u: ComplexArray, rate: _Number, mean: _Number, std: _Number
) -> tuple[ComplexArray, ...]:
    """:func:`jump_log_cf` and its derivatives to rate, mean and std."""
    iu = 1j * u
    size = np.exp(iu * mean - 0.5 * (std * std) * u * u)
    grown = np.exp(mean + 0.5 * np.square(std))
    unit = size - 1.0 - iu * (grown - 1.0)
    by_mean = rate * iu * (size - grown)
    by_std = -rate * std * (u * u * size + iu * grown)
    return np.asarray(rate * unit), unit, by_mean, by_std


class _Levy(ABC):
    """The exponent is proportional to time."""

    __slots__ = ()

    def exponent(self, u: ComplexArray) -> ComplexArray:
        """``log_cf`` of one year."""
        return self.exponent_gradient(u)[0]

    @abstractmethod
    def exponent_gradient(self, u: ComplexArray) -> tuple[ComplexArray, ...]:
        """The exponent and its derivatives."""

    def log_cf(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """See the Protocol."""
        return np.asarray(years * self.exponent(u))

    def gradient(self, u: ComplexArray, years: FloatArray) -> tuple[ComplexArray, ...]:
        """See the Protocol."""
        return tuple(years * part for part in self.exponent_gradient(u))

    def maturity_slope(self, u: ComplexArray, years: FloatArray) -> ComplexArray:
        """See the Protocol."""
        return np.asarray(self.exponent(u) + 0.0 * years)


@dataclass(frozen=True, slots=True, eq=False)
class Merton(_Levy):
    """Merton's jump diffusion.

    Attributes
    ----------
    vol : float or float64 array
        Volatility of the diffusion, annualised, > 0.
    intensity : float or float64 array
        Expected jumps per year, >= 0.
    jump_mean, jump_std : float or float64 array
        Mean and standard deviation of the jump of the log price.
    """

    vol: _Number
    intensity: _Number
    jump_mean: _Number
    jump_std: _Number

    def __post_init__(self) -> None:
        """Check the domain."""
        require(np.asarray(self.vol) > 0, "Merton: vol", "it is positive")
        good = (np.asarray(self.intensity) >= 0) & (np.asarray(self.jump_std) >= 0)
        require(good & np.isfinite(self.jump_mean), "Merton: jumps", "intensity and std are >= 0")

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return ("vol", "intensity", "jump_mean", "jump_std")

    @property
    def cone(self) -> float:
        """Not bent: the function decays like a normal one."""
        return 0.0

    def exponent_gradient(self, u: ComplexArray) -> tuple[ComplexArray, ...]:
        """See the base."""
        m = u * u + 1j * u
        jumps, *rest = jump_gradient(u, self.intensity, self.jump_mean, self.jump_std)
        return (jumps - 0.5 * np.square(self.vol) * m, -self.vol * m, *rest)

    def strip(self, years: float) -> tuple[float, float]:
        """All moments exist."""
        return -_FARTHEST, _FARTHEST


@dataclass(frozen=True, slots=True, eq=False)
class Kou(_Levy):
    """Kou's double-exponential jump diffusion.

    Attributes
    ----------
    vol : float or float64 array
        Volatility of the diffusion, > 0.
    intensity : float or float64 array
        Expected jumps per year, >= 0.
    up_share : float or float64 array
        Probability that a jump is upward, in [0, 1].
    up_rate, down_rate : float or float64 array
        Inverse of the mean jump of the log price upward (> 1) and downward (> 0).
    """

    vol: _Number
    intensity: _Number
    up_share: _Number
    up_rate: _Number
    down_rate: _Number

    def __post_init__(self) -> None:
        """Check the domain."""
        require(np.asarray(self.vol) > 0, "Kou: vol", "it is positive")
        require(np.asarray(self.intensity) >= 0, "Kou: intensity", "it is not negative")
        share = np.asarray(self.up_share)
        require((share >= 0) & (share <= 1), "Kou: up_share", "it is a probability")
        require(np.asarray(self.up_rate) > 1, "Kou: up_rate", "above 1, or the mean is infinite")
        require(np.asarray(self.down_rate) > 0, "Kou: down_rate", "it is positive")

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return ("vol", "intensity", "up_share", "up_rate", "down_rate")

    @property
    def cone(self) -> float:
        """Not bent."""
        return 0.0

    def exponent_gradient(self, u: ComplexArray) -> tuple[ComplexArray, ...]:
        """See the base."""
        p = 1j * u
        rate, q, up, down = self.intensity, self.up_share, self.up_rate, self.down_rate
        # E exp(p J) - 1 of an upward jump is p / (up - p), of a downward one -p / (down + p).
        rise = p / (up - p) - p / (up - 1.0)
        fall = p / (down + 1.0) - p / (down + p)
        unit = q * rise + (1.0 - q) * fall
        m = u * u + p
        by_up = rate * q * (p / np.square(np.asarray(up) - 1.0) - p / (up - p) ** 2)
        by_down = rate * (1.0 - q) * (p / (down + p) ** 2 - p / np.square(np.asarray(down) + 1.0))
        value = rate * unit - 0.5 * np.square(self.vol) * m
        return value, -self.vol * m, unit, rate * (rise - fall), by_up, by_down

    def strip(self, years: float) -> tuple[float, float]:
        """Up to the rates of the jumps, on the sides on which there are any."""
        share, jumps = np.asarray(self.up_share), np.asarray(self.intensity) > 0
        falls, rises = bool(np.any(jumps & (share < 1))), bool(np.any(jumps & (share > 0)))
        return (
            -float(np.min(self.down_rate)) if falls else -_FARTHEST,
            float(np.min(self.up_rate)) if rises else _FARTHEST,
        )


@dataclass(frozen=True, slots=True, eq=False)
class VarianceGamma(_Levy):
    """Variance gamma: Brownian motion with drift on a gamma clock.

    Attributes
    ----------
    vol : float or float64 array
        Volatility on the clock, > 0.
    drift : float or float64 array
        Drift on the clock; negative: skew to the left.
    nu : float or float64 array
        Variance of the clock per year, > 0; ``1 - drift nu - vol^2 nu / 2 > 0``.
    """

    vol: _Number
    drift: _Number
    nu: _Number

    def __post_init__(self) -> None:
        """Check the domain."""
        require(np.asarray(self.vol) > 0, "variance gamma: vol", "it is positive")
        require(np.asarray(self.nu) > 0, "variance gamma: nu", "it is positive")
        require(self._room() > 0, "variance gamma: nu", "1 - drift nu - vol^2 nu / 2 is positive")

    def _room(self) -> FloatArray:
        return np.asarray(1.0 - self.nu * (self.drift + 0.5 * np.square(self.vol)))

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return ("vol", "drift", "nu")

    @property
    def cone(self) -> float:
        """It decays only as a power, so bending helps; below an eighth of a turn it never grows."""
        return 0.6

    def exponent_gradient(self, u: ComplexArray) -> tuple[ComplexArray, ...]:
        """See the base."""
        p = 1j * u
        vol, nu = self.vol, self.nu
        slant = self.drift * p + 0.5 * np.square(vol) * p * p
        room = self._room()
        log_clock, log_room = log1p_complex(-nu * slant), np.log(room)
        value = (p * log_room - log_clock) / nu
        by_drift = p / (1.0 - nu * slant) - p / room
        by_vol = vol * (p * p / (1.0 - nu * slant) - p / room)
        by_nu = (slant / (1.0 - nu * slant) + p * (room - 1.0) / (nu * room) - value) / nu
        return value, by_vol, by_drift, by_nu

    def strip(self, years: float) -> tuple[float, float]:
        """Between the roots of ``1 - drift nu p - vol^2 nu p^2 / 2``."""
        half, slope = 0.5 * np.square(self.vol) * self.nu, self.drift * self.nu
        root = np.sqrt(slope * slope + 4.0 * half)
        low, high = (-slope - root) / (2.0 * half), (root - slope) / (2.0 * half)
        return float(np.max(low)), float(np.min(high))


@dataclass(frozen=True, slots=True, eq=False)
class Cgmy(_Levy):
    """CGMY: tempered stable jumps.

    Attributes
    ----------
    activity : float or float64 array
        C > 0.
    left, right : float or float64 array
        G > 0 and M > 1: tempering of falls and of rises.
    fineness : float or float64 array
        Y < 2, neither 0 (variance gamma) nor 1.
    """

    activity: _Number
    left: _Number
    right: _Number
    fineness: _Number

    def __post_init__(self) -> None:
        """Check the domain."""
        y = np.asarray(self.fineness)
        require(np.asarray(self.activity) > 0, "CGMY: activity", "C is positive")
        require(np.asarray(self.left) > 0, "CGMY: left", "G is positive")
        require(np.asarray(self.right) > 1, "CGMY: right", "M is above 1, or the mean is infinite")
        require((y < 2) & (y != 0) & (y != 1), "CGMY: fineness", "Y is below 2, neither 0 nor 1")

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the gradient."""
        return ("activity", "left", "right", "fineness")

    @property
    def cone(self) -> float:
        """Within a quarter turn over Y the function still decays; a part of that is used."""
        room = np.pi / max(float(np.max(self.fineness)), 1.0) - 0.5 * np.pi
        return min(0.5, 0.5 * room)

    def exponent_gradient(self, u: ComplexArray) -> tuple[ComplexArray, ...]:
        """See the base."""
        p = 1j * u
        c, g, m, y = self.activity, self.left, self.right, self.fineness
        scale = c * gamma(-np.asarray(y))

        def wing(base: ComplexArray | _Number) -> ComplexArray:
            return np.asarray(np.exp(y * np.log(np.asarray(base, dtype=np.complex128))))

        def shape(p: ComplexArray) -> ComplexArray:
            return np.asarray(wing(m - p) - wing(m) + wing(g + p) - wing(g))

        def slopes(p: ComplexArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
            logs = [np.log(np.asarray(b, dtype=np.complex128)) for b in (m - p, m, g + p, g)]
            powers = [np.exp(y * x) for x in logs]
            by_g = y * (powers[2] / (g + p) - powers[3] / g)
            by_m = y * (powers[0] / (m - p) - powers[1] / m)
            terms = [x * power for x, power in zip(logs, powers, strict=True)]
            return by_g, by_m, terms[0] - terms[1] + terms[2] - terms[3]

        one = np.ones_like(p)
        unit = shape(p) - p * shape(one)
        here, there = slopes(p), slopes(one)
        by_g, by_m, by_y = (scale * (x - p * x1) for x, x1 in zip(here, there, strict=True))
        value = scale * unit
        by_y = by_y - digamma(-np.asarray(y)) * value
        return value, value / c, by_g, by_m, by_y

    def strip(self, years: float) -> tuple[float, float]:
        """The tempering."""
        return -float(np.min(self.left)), float(np.min(self.right))

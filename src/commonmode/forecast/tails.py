"""Lower-tail quantile and expected shortfall of one unit of volatility."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ModelError

__all__ = ["Tail", "empirical_tail", "normal_tail", "student_tail"]


@dataclass(frozen=True, slots=True)
class Tail:
    """Lower tail of a standardised return.

    Attributes
    ----------
    quantile, shortfall : float
        In units of the standard deviation; negative for a loss.
    """

    quantile: float
    shortfall: float


def _check(level: float) -> None:
    if not 0.0 < level < 0.5:
        raise ModelError(
            f"tail level {level} is not in (0, 0.5)",
            remedy="give the probability of the lower tail, e.g. 0.025",
        )


def normal_tail(level: float) -> Tail:
    """Standard normal: ``q = Phi^-1(p)``, ``ES = -phi(q) / p`` (McNeil, Frey, Embrechts 2.14)."""
    _check(level)
    quantile = float(norm.ppf(level))
    return Tail(quantile, -float(norm.pdf(quantile)) / level)


def student_tail(level: float, dof: float) -> Tail:
    """Student t scaled to unit variance, ``dof`` > 2 (McNeil, Frey, Embrechts, eq. 2.15).

    ``ES = -sqrt((v-2)/v) * g(x)/p * (v + x^2)/(v - 1)`` with ``x`` the plain t quantile.
    """
    _check(level)
    if math.isinf(dof):
        return normal_tail(level)
    if dof <= 2.0:
        raise ModelError(
            f"Student t with {dof} degrees of freedom has no variance",
            remedy="use more than 2 degrees of freedom",
        )
    unit = math.sqrt((dof - 2.0) / dof)
    plain = float(t.ppf(level, dof))
    density = float(t.pdf(plain, dof))
    return Tail(unit * plain, -unit * density / level * (dof + plain**2) / (dof - 1.0))


def empirical_tail(sample: FloatArray, level: float) -> Tail:
    """Linearly interpolated sample quantile, and the mean of what lies at or below it.

    Parameters
    ----------
    sample : float64, shape (n,)
        Finite values, n >= 1.
    level : float
    """
    _check(level)
    quantile = float(np.quantile(sample, level))
    return Tail(quantile, float(sample[sample <= quantile].mean()))

"""The GARCH and GJR-GARCH variance recursions on plain arrays.

References: Bollerslev (1986), J. Econometrics 31; Glosten, Jagannathan and Runkle (1993), J.
Finance 48. ``sigma2_{t+1} = omega + (alpha + gamma 1[r_t < 0]) r_t^2 + beta sigma2_t``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import FloatArray

__all__ = ["GarchParameters", "garch_variance", "total_variance"]


@dataclass(frozen=True, slots=True)
class GarchParameters:
    """Parameters in units of the return itself (not percent).

    Attributes
    ----------
    omega, alpha, gamma, beta : float
        ``gamma`` is 0 for the symmetric model.
    dof : float
        Degrees of freedom of the Student t innovations; infinity for normal ones.
    """

    omega: float
    alpha: float
    gamma: float
    beta: float
    dof: float = math.inf

    @property
    def persistence(self) -> float:
        """``alpha + gamma/2 + beta``: what a variance shock keeps per bar."""
        return self.alpha + 0.5 * self.gamma + self.beta


def garch_variance(returns: FloatArray, parameters: GarchParameters, backcast: float) -> FloatArray:
    """Conditional variance of each bar before it is seen, and of the one after the last.

    The recursion is linear in the variance, so it runs as an IIR filter.

    Parameters
    ----------
    returns : float64, shape (m,)
        Finite.
    parameters : GarchParameters
    backcast : float
        Stands for both the squared return and the variance before the first bar.

    Returns
    -------
    float64, shape (m + 1,)
    """
    p = parameters
    out = np.empty(len(returns) + 1)
    out[0] = p.omega + p.persistence * backcast
    if len(returns):
        shock = p.omega + (p.alpha + p.gamma * (returns < 0.0)) * returns**2
        out[1:] = lfilter([1.0], [1.0, -p.beta], shock, zi=np.array([p.beta * out[0]]))[0]
    return out


def total_variance(
    next_variance: FloatArray, parameters: GarchParameters, horizon: int
) -> FloatArray:
    """Expected variance of the sum of the next ``horizon`` returns.

    ``E sigma2_{t+j+1} = omega + persistence E sigma2_{t+j}``; returns are uncorrelated, so the
    variances add up. Holds for an integrated model (persistence 1) as well.

    Parameters
    ----------
    next_variance : float64, shape (n,)
        Variance of the next bar at each origin.
    parameters : GarchParameters
    horizon : int
        Bars, >= 1.
    """
    step = np.asarray(next_variance, dtype=np.float64)
    total = step.copy()
    for _ in range(horizon - 1):
        step = parameters.omega + parameters.persistence * step
        total = total + step
    return total

"""What the indices would be in a forecast world if its history had no end.

Given the market's realised surprise ``u = log(y / q)`` in units of the true quantile, a model fails
when its log deviation lies below u. Deviations are Gaussian with standard deviation s, so a model
fails with probability ``Phi(u / s)`` and a pair that shares a part rho of its variance with
probability ``Phi_2(u / s, u / s; rho)``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import t as student

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.lab.worlds import WorldConfig

__all__ = ["share_at_cofailure_ratio", "true_cofailure_ratio", "true_effective_number"]

# Beyond 12 standard deviations a deviation decides nothing.
_REACH = 12.0


def _planted_pairs(config: WorldConfig) -> tuple[int, int]:
    """Pairs inside the planted group, and all pairs."""
    inside = config.planted_models * (config.planted_models - 1) // 2
    return inside, config.models * (config.models - 1) // 2


def true_effective_number(config: WorldConfig) -> float:
    """``N^2 / (N + 2 sum_{i<j} rho_ij^2)`` with rho the planted share inside the group, else 0."""
    inside, _ = _planted_pairs(config)
    n = config.models
    return n**2 / (n + 2.0 * inside * config.planted_share**2)


def _joint_excess(h: FloatArray, rho: float) -> FloatArray:
    """``Phi_2(h, h; rho) - Phi(h)^2`` by Plackett's identity, shape of h."""
    nodes, weights = np.polynomial.legendre.leggauss(96)
    angle = float(np.arcsin(rho))
    sine = np.sin(0.5 * angle * (nodes + 1.0))
    integrand = np.exp(-(h[:, None] ** 2) / (1.0 + sine))
    return np.asarray(0.5 * angle * (integrand @ weights) / (2.0 * np.pi))


def true_cofailure_ratio(config: WorldConfig) -> float:
    """C3 in the limit: ``E sum_{i<j} P(F_i F_j | u) / E sum_{i<j} P(F_i | u) P(F_j | u)``.

    The expectation over u is Gauss-Legendre over the law of the logarithm of a Student-t loss in
    units of its quantile; above 12 standard deviations of a deviation every model fails.
    """
    inside, pairs = _planted_pairs(config)
    s = config.deviation_sd
    quantile = -float(student.ppf(config.level, config.degrees_of_freedom))
    nodes, weights = np.polynomial.legendre.leggauss(800)
    u = _REACH * s * nodes
    loss = quantile * np.exp(u)
    density = student.pdf(loss, config.degrees_of_freedom) * loss
    mass = _REACH * s * weights * density
    tail = float(student.sf(quantile * np.exp(_REACH * s), config.degrees_of_freedom))
    independent = float(mass @ ndtr(u / s) ** 2) + tail
    excess = float(mass @ _joint_excess(u / s, config.planted_share))
    return 1.0 + inside / pairs * excess / independent


def share_at_cofailure_ratio(config: WorldConfig, ratio: float) -> float:
    """The planted share at which :func:`true_cofailure_ratio` is ``ratio``.

    Raises
    ------
    ConfigurationError
        No share of this world's planted models reaches the ratio.
    """

    def gap(share: float) -> float:
        return true_cofailure_ratio(replace(config, planted_share=share)) - ratio

    most = 0.999
    if ratio < 1.0 or gap(most) < 0:
        raise ConfigurationError(
            f"a co-failure ratio of {ratio:.3f} lies outside this world's range, 1 to"
            f" {gap(most) + ratio:.3f}",
            remedy="let more models use the planted component",
        )
    return float(brentq(gap, 0.0, most, xtol=1e-8))

"""Scoring functions that are consistent for a quantile, or for a quantile with its shortfall.

Sign convention throughout: outcomes are returns, a left-tail quantile and its expected shortfall
are negative numbers.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["fz0_loss", "pinball_loss"]


def pinball_loss(outcome: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """Tick loss ``(level - 1{y < q}) (y - q)`` per observation.

    Source: Koenker & Bassett (1978). The mean over time is the score of a quantile forecast.

    Parameters
    ----------
    outcome, quantile : float64, broadcastable
        In the same unit.
    level : float
        Probability of falling below the quantile, in (0, 1).

    Returns
    -------
    float64
        Non-negative.
    """
    y = np.asarray(outcome, dtype=np.float64)
    q = np.asarray(quantile, dtype=np.float64)
    return np.asarray((level - (y < q)) * (y - q), dtype=np.float64)


def fz0_loss(
    outcome: FloatArray, quantile: FloatArray, shortfall: FloatArray, level: float
) -> FloatArray:
    """Joint loss of a quantile and its expected shortfall, homogeneous of degree zero.

    ``-1{y <= v} (v - y) / (level e) + v / e + log(-e) - 1``: Patton, Ziegel & Chen (2019),
    J. Econometrics 211(2); a member of the Fissler-Ziegel (2016) class.

    Parameters
    ----------
    outcome, quantile, shortfall : float64, broadcastable
        ``shortfall <= quantile`` and ``shortfall < 0``.
    level : float
        In (0, 1).

    Raises
    ------
    DataError
        A shortfall that is not negative (the loss is not defined there).
    """
    y = np.asarray(outcome, dtype=np.float64)
    v = np.asarray(quantile, dtype=np.float64)
    e = np.asarray(shortfall, dtype=np.float64)
    if np.any(e >= 0):
        raise DataError(
            "the FZ0 loss needs negative expected shortfalls (left tail of returns)",
            remedy="pass returns, not losses: shortfall and quantile are negative numbers",
        )
    hit = y <= v
    return np.asarray(-(hit * (v - y)) / (level * e) + v / e + np.log(-e) - 1.0, dtype=np.float64)

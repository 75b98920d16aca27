"""Standard error and interval of a sum from the sums of its blocks of time."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["block_error", "block_interval"]


def block_error(contributions: FloatArray) -> FloatArray:
    """Standard error of the sum over blocks, about the sum itself.

    ``sqrt(B / (B - 1) sum_b (c_b - mean)^2)``. Tests studentise by ``sqrt(sum c_b^2)`` instead,
    which is right where the sum is zero and too large where it is not.

    Parameters
    ----------
    contributions : float64, shape (B, ...)
        Block sums that add up to the estimate; an estimate that is no sum, linearised.

    Returns
    -------
    float64, shape (...)

    Raises
    ------
    DataError
        Fewer than two blocks.
    """
    c = np.asarray(contributions, np.float64)
    blocks = len(c)
    if blocks < 2:
        raise DataError(f"{blocks} block(s) have no spread", remedy="cut the rows into two or more")
    return np.asarray(np.sqrt(blocks / (blocks - 1) * np.sum((c - c.mean(axis=0)) ** 2, axis=0)))


def block_interval(
    contributions: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Student interval of the sum over blocks, each block counted once.

    Parameters
    ----------
    contributions : float64, shape (B, ...)
    level : float

    Returns
    -------
    low, high : float64, shape (...)
    """
    c = np.asarray(contributions, np.float64)
    half = float(stdtrit(len(c) - 1, 0.5 + 0.5 * level)) * block_error(c)
    estimate = c.sum(axis=0)
    return np.asarray(estimate - half), np.asarray(estimate + half)

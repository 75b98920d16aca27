"""Standard error and interval of a sum from the sums of its blocks of time."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "block_error",
    "block_interval",
    "effective_degrees",
    "jackknife_error",
    "weighted_interval",
]


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


def jackknife_error(influence: FloatArray, leverage: FloatArray) -> FloatArray:
    """Standard error of an estimate from leaving out one block at a time.

    A block that holds much of the information pulls the estimate to itself and its own residuals
    to zero: ``influence / (1 - leverage)`` undoes that (the cluster-jackknife; Bell & McCaffrey
    2002, Survey Methodology 28(2)).

    Parameters
    ----------
    influence : float64, shape (B, ...)
        What the estimate is off by, to first order, block by block.
    leverage : float64, shape (B, ...)
        Share of the information that each block holds; adds up to 1.

    Returns
    -------
    float64, shape (...)
    """
    blocks = len(influence)
    without = influence / np.clip(1.0 - leverage, 1e-9, 1.0)
    return np.asarray(np.sqrt((without**2).sum(axis=0) * (blocks - 1) / blocks))


def effective_degrees(leverage: FloatArray) -> FloatArray:
    """Effective number of blocks less one, ``1 / sum h^2 - 1``, at least 1.

    Carter, Schnepel & Steigerwald (2017), Review of Economics and Statistics 99(4): a few blocks
    that hold most of the information are a small sample, however many others there are.

    Parameters
    ----------
    leverage : float64, shape (B, ...)

    Returns
    -------
    float64, shape (...)
    """
    weight = np.clip((leverage**2).sum(axis=0), 1.0 / len(leverage), None)
    return np.asarray(np.maximum(1.0 / weight - 1.0, 1.0))


def weighted_interval(
    estimate: FloatArray, influence: FloatArray, leverage: FloatArray, *, level: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Student interval of an estimate of which a few blocks may hold most.

    :func:`jackknife_error` with :func:`effective_degrees`.

    Parameters
    ----------
    estimate : float64, shape (...)
    influence, leverage : float64, shape (B, ...)
    level : float

    Returns
    -------
    low, high : float64, shape (...)
    """
    reach = np.asarray(stdtrit(effective_degrees(leverage), 0.5 + 0.5 * level))
    half = reach * jackknife_error(influence, leverage)
    return np.asarray(estimate - half), np.asarray(estimate + half)

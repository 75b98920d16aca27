"""Contiguous blocks of a dependent series, and how long they must be."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from commonmode.core.arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "autocorrelation_time_interval",
    "block_edges",
    "block_sums",
    "choose_block_count",
    "integrated_autocorrelation_time",
]


def integrated_autocorrelation_time(series: FloatArray) -> float:
    """``1 + 2 sum_k rho_k``, summed while the autocorrelation stays above its noise.

    The sum stops at the first lag whose autocorrelation is below ``2 / sqrt(T)``, so white noise
    gives 1. The variance of the mean of T dependent values is that of T / tau independent ones.

    Parameters
    ----------
    series : float64, shape (T,) or (T, M)
        NaN counts as missing and is replaced by the column's mean. With M columns the median of
        the columns' times is returned.

    Returns
    -------
    float
        At least 1, at most T.
    """
    return _time_and_lag(series)[0]


def autocorrelation_time_interval(
    series: FloatArray, *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of :func:`integrated_autocorrelation_time` of one series.

    The sum over W lags has the standard error ``tau sqrt(2 (2 W + 1) / T)`` (Madras and Sokal 1988,
    J. Statistical Physics 50, equation 4.16), taken on the logarithm; at least 1, at most T. What
    lies beyond the last lag of the sum it does not know of.

    Parameters
    ----------
    series : float64, shape (T,)
    level : float
        Of the interval.
    """
    tau, lags = _time_and_lag(series)
    t = len(series)
    spread = float(ndtri(0.5 + 0.5 * level)) * np.sqrt(2.0 * (2.0 * lags + 1.0) / max(t, 1))
    return max(tau * float(np.exp(-spread)), 1.0), min(tau * float(np.exp(spread)), float(t))


def _time_and_lag(series: FloatArray) -> tuple[float, float]:
    """Autocorrelation time, and how many lags it sums; medians over the columns."""
    x = np.atleast_2d(np.asarray(series, dtype=np.float64).T).T
    t = x.shape[0]
    if t < 4:
        return 1.0, 0.0
    centred = x - np.nanmean(x, axis=0)
    centred = np.where(np.isfinite(centred), centred, 0.0)
    size = 1 << (2 * t - 1).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[: t // 2]
    variance = covariance[0]
    times, lags = [], []
    for column in range(x.shape[1]):
        if variance[column] <= 0:
            continue
        rho = covariance[:, column] / variance[column]
        noise = np.flatnonzero(rho < 2.0 / np.sqrt(t))
        stop = int(noise[0]) if noise.size else len(rho)
        times.append(1.0 + 2.0 * float(rho[1:stop].sum()))
        lags.append(stop - 1)
    return (float(min(np.median(times), t)), float(np.median(lags))) if times else (1.0, 0.0)


def choose_block_count(
    rows: int, tau: float, *, spans: float = 10.0, fewest: int = 16, most: int = 40
) -> int:
    """How many contiguous blocks to cut ``rows`` into.

    Blocks of ``spans`` autocorrelation times are nearly independent; fewer than ``fewest`` blocks
    leave too few sign patterns for a 5 % test, more than ``most`` gain nothing.

    Parameters
    ----------
    rows : int
    tau : float
        Integrated autocorrelation time of the summed quantity, in rows.
    spans : float
    fewest, most : int

    Returns
    -------
    int
    """
    wanted = int(rows / max(spans * tau, 1.0))
    return int(min(max(wanted, fewest), most, max(rows, 1)))


def block_edges(rows: int, blocks: int) -> IntArray:
    """Edges of ``blocks`` contiguous blocks of nearly equal length, shape (blocks + 1,)."""
    return np.linspace(0, rows, blocks + 1).round().astype(np.int64)


def block_sums(values: FloatArray, edges: IntArray, *, mask: BoolArray | None = None) -> FloatArray:
    """Sum of ``values`` over each block along the first axis.

    Parameters
    ----------
    values : float64, shape (T, ...)
    edges : int64, shape (B + 1,)
    mask : bool, shape (T,), optional
        Rows that count; all by default.

    Returns
    -------
    float64, shape (B, ...)
    """
    x = (
        values
        if mask is None
        else np.where(mask.reshape(-1, *([1] * (values.ndim - 1))), values, 0)
    )
    return np.asarray(np.add.reduceat(x, edges[:-1], axis=0), dtype=np.float64)

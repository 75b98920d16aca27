"""Contiguous blocks of a dependent series, and how long they must be."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from commonmode.core.arrays import BoolArray, FloatArray, IntArray

__all__ = [
    "autocorrelation_time_interval",
    "block_dependence",
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
    times = [1.0 + 2.0 * float(rho.sum()) for rho in _autocorrelations(series)]
    return float(min(np.median(times), len(series))) if times else 1.0


def autocorrelation_time_interval(
    series: FloatArray, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Autocorrelation time of one series as a whole, with its interval.

    For a stated number of independent observations; :func:`integrated_autocorrelation_time`, which
    blocks are cut by, stops where a single autocorrelation is lost in noise, and misses most of a
    memory that is long and faint, as that of absolute returns is. Here autocorrelations are summed
    while pairs of them are positive: Geyer (1992), Statistical Science 7(4), initial positive
    sequence. A sum of W lags has the standard error
    ``tau sqrt(2 (2 W + 1) / T)`` (Madras and Sokal 1988, J. Statistical Physics 50, equation
    4.16), taken on the logarithm; it does not know what the sum stops short of.

    Parameters
    ----------
    series : float64, shape (T,)
        NaN counts as missing.
    level : float
        Of the interval.

    Returns
    -------
    (float, float, float)
        The time and both ends of its interval; at least 1, at most T.
    """
    t, every = len(series), _correlograms(series)
    if not every:
        return 1.0, 1.0, float(max(t, 1))
    rho = every[0]
    even = 2 * (len(rho) // 2)
    pairs = rho[:even:2] + rho[1:even:2]
    stop = np.flatnonzero(pairs <= 0)
    count = int(stop[0]) if stop.size else len(pairs)
    tau = 2.0 * float(pairs[:count].sum()) - 1.0
    spread = float(ndtri(0.5 + 0.5 * level)) * np.sqrt(2.0 * (4.0 * count - 1.0) / t)
    inside = (tau, tau * float(np.exp(-spread)), tau * float(np.exp(spread)))
    tau, low, high = (min(max(value, 1.0), float(t)) for value in inside)
    return tau, low, high


def block_dependence(series: FloatArray, blocks: int) -> float:
    """Variance of a sum over that of the sum of independent blocks like its own.

    Neighbouring blocks share what reaches over their common edge, so the spread between B block
    sums says too little of the variance of their total: by ``sum_k k rho_k / (n tau)`` twice, n the
    rows of a block (Kuensch 1989, Annals of Statistics 17(3)), a twentieth at ten autocorrelation
    times of a series whose memory fades geometrically. This is
    ``sum_k (1 - k/T) rho_k / sum_{k<n} (1 - k/n) rho_k`` over lags of both signs, with the
    autocorrelations that :func:`integrated_autocorrelation_time` sums.

    Parameters
    ----------
    series : float64, shape (T,) or (T, M)
        What is summed, row by row; with M columns the median of theirs is returned.
    blocks : int

    Returns
    -------
    float
        At least 1; 1 for white noise.
    """
    t = len(series)
    ratios = []
    for rho in _autocorrelations(series):
        lag = np.arange(1.0, len(rho) + 1.0)
        whole = 1.0 + 2.0 * float(rho @ (1.0 - lag / t))
        apart = 1.0 + 2.0 * float(rho @ np.clip(1.0 - lag * blocks / t, 0.0, None))
        ratios.append(whole / apart)
    return float(np.median(ratios)) if ratios else 1.0


def _autocorrelations(series: FloatArray) -> list[FloatArray]:
    """Of every column that moves, from lag 1 up to the first that is lost in its noise."""
    summed = []
    for rho in _correlograms(series):
        noise = np.flatnonzero(rho < 2.0 / np.sqrt(len(series)))
        stop = int(noise[0]) if noise.size else len(rho)
        summed.append(rho[1:stop])
    return summed


def _correlograms(series: FloatArray) -> list[FloatArray]:
    """Autocorrelations of every column that moves, lags 0 to T / 2 - 1.

    What is missing is put at the mean: of values missing at random the sums then are those of the
    values that are there.
    """
    x = np.atleast_2d(np.asarray(series, dtype=np.float64).T).T
    t = x.shape[0]
    if t < 4:
        return []
    centred = x - np.nanmean(x, axis=0)
    centred = np.where(np.isfinite(centred), centred, 0.0)
    size = 1 << (2 * t - 1).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[: t // 2]
    variance = covariance[0]
    moves = np.flatnonzero(variance > 0)
    return [np.asarray(covariance[:, c] / variance[c]) for c in moves]


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

"""Contiguous blocks of a dependent series, and how long they must be."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray

__all__ = ["block_edges", "block_sums", "choose_block_count", "integrated_autocorrelation_time"]


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
    x = np.atleast_2d(np.asarray(series, dtype=np.float64).T).T
    t = x.shape[0]
    if t < 4:
        return 1.0
    centred = x - np.nanmean(x, axis=0)
    centred = np.where(np.isfinite(centred), centred, 0.0)
    size = 1 << (2 * t - 1).bit_length()
    spectrum = np.fft.rfft(centred, size, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[: t // 2]
    variance = covariance[0]
    times = []
    for column in range(x.shape[1]):
        if variance[column] <= 0:
            continue
        rho = covariance[:, column] / variance[column]
        noise = np.flatnonzero(rho < 2.0 / np.sqrt(t))
        stop = int(noise[0]) if noise.size else len(rho)
        times.append(1.0 + 2.0 * float(rho[1:stop].sum()))
    return float(min(np.median(times), t)) if times else 1.0


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

"""The shape of any smile on a grid: Durrleman's function, whatever made the volatilities."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["durrleman_on_grid"]


def durrleman_on_grid(log_moneyness: FloatArray, total_variance: FloatArray) -> FloatArray:
    """``g(k) = (1 - k w'/(2 w))^2 - w'^2/4 (1/w + 1/4) + w''/2`` by central differences.

    Negative where the smile implies a negative density (butterfly arbitrage). For a surface known
    by its formula use that formula's own derivatives; this is for pictures and for black boxes.

    Parameters
    ----------
    log_moneyness : float64, shape (n,)
        Evenly spaced, ascending, n >= 5.
    total_variance : float64, shape (n,)
        ``sigma^2 T`` at those points; NaN gives NaN nearby.

    Returns
    -------
    float64, shape (n,)

    References
    ----------
    Gatheral & Jacquier (2014), Arbitrage-free SVI volatility surfaces, eq. 2.1.
    """
    k, w = np.asarray(log_moneyness), np.asarray(total_variance)
    if len(k) < 5 or not np.allclose(np.diff(k), k[1] - k[0]):
        raise DataError(
            "Durrleman's function needs an even grid of five points or more",
            remedy="evaluate the smile on np.linspace(low, high, 201)",
        )
    step = float(k[1] - k[0])
    first = np.gradient(w, step, edge_order=2)
    second = np.empty_like(w)
    second[1:-1] = (w[2:] - 2.0 * w[1:-1] + w[:-2]) / step**2
    second[0], second[-1] = second[1], second[-2]
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = (1.0 - k * first / (2.0 * w)) ** 2
        return np.asarray(bend - 0.25 * first**2 * (1.0 / w + 0.25) + 0.5 * second)

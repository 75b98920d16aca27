"""Published pseudo-random series, so that anybody can remake the inputs of known-answer cases.

The generator is exact in double arithmetic in every language: a 32-bit linear congruential step and
the normal quantile. It is for reproducing figures only; simulations use ``commonmode.core.random``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from commonmode.core.arrays import FloatArray

__all__ = [
    "PANEL_E_LOADINGS",
    "TailSeries",
    "lcg_normals",
    "lcg_uniforms",
    "one_factor_panel",
    "series_d1",
]

#: Loadings of the six series of panel E on their common factor.
PANEL_E_LOADINGS = (0.7, 0.7, 0.5, 0.5, 0.2, 0.0)


def lcg_uniforms(seed: int, count: int) -> FloatArray:
    """``u = (s + 0.5) / 2^32`` with ``s <- (1664525 s + 1013904223) mod 2^32``.

    The constants are those of Numerical Recipes, 2nd ed., section 7.1 ("quick and dirty").

    Returns
    -------
    float64, shape (count,)
        The first value belongs to the state after one step from ``seed``.
    """
    state = seed % 2**32
    states = np.empty(count, dtype=np.float64)
    for i in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        states[i] = state
    return (states + 0.5) / 2.0**32


def lcg_normals(seed: int, count: int) -> FloatArray:
    """Standard normals ``Phi^-1(u)`` of :func:`lcg_uniforms`."""
    return np.asarray(ndtri(lcg_uniforms(seed, count)), dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class TailSeries:
    """Returns with a tail forecast.

    Attributes
    ----------
    returns, sd, quantile, shortfall : float64, shape (T,)
        Realised return; forecast standard deviation, quantile and expected shortfall at ``level``
        (negative numbers).
    level : float
    """

    returns: FloatArray
    sd: FloatArray
    quantile: FloatArray
    shortfall: FloatArray
    level: float


def series_d1(count: int = 1500, seed: int = 12345, level: float = 0.025) -> TailSeries:
    """Series D1: GARCH(1,1) returns with the forecast of an EWMA that does not know the truth.

    ``r_t = sqrt(h_t) z_t``, ``h_1 = 1``, ``h_{t+1} = 0.05 + 0.10 r_t^2 + 0.85 h_t``; forecast
    ``w_1 = 1``, ``w_{t+1} = 0.94 w_t + 0.06 r_t^2``, Gaussian tail.
    """
    z = lcg_normals(seed, count)
    returns, variance = np.empty(count), np.empty(count)
    h = w = 1.0
    for t in range(count):
        returns[t], variance[t] = np.sqrt(h) * z[t], w
        square = returns[t] ** 2
        h = 0.05 + 0.10 * square + 0.85 * h
        w = 0.94 * w + 0.06 * square
    sd = np.sqrt(variance)
    cut = float(ndtri(level))
    density = float(np.exp(-0.5 * cut * cut) / np.sqrt(2.0 * np.pi))
    return TailSeries(returns, sd, sd * cut, -sd * density / level, level)


def one_factor_panel(
    observations: int = 400, loadings: tuple[float, ...] = PANEL_E_LOADINGS, seed: int = 2024
) -> FloatArray:
    """Panel E: ``e_i = l_i f + sqrt(1 - l_i^2) z_i``, normals filled row by row, f first.

    Returns
    -------
    float64, shape (observations, len(loadings))
        Unit-variance series in columns.
    """
    load = np.asarray(loadings, dtype=np.float64)
    normals = lcg_normals(seed, observations * (load.size + 1)).reshape(observations, load.size + 1)
    return np.asarray(
        normals[:, :1] * load + normals[:, 1:] * np.sqrt(1.0 - load**2), dtype=np.float64
    )

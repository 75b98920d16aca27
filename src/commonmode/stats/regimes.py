"""Calm and stress as they could be told at the time: ranks among what had been seen by then."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

import numpy as np

from commonmode.core.arrays import FloatArray

__all__ = ["expanding_rank", "trailing_volatility"]

_RISKMETRICS_DECAY = 0.94  # J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, 4th ed.


def expanding_rank(series: FloatArray, *, warmup: int = 100) -> FloatArray:
    """Share of the values up to and including each time that lie below it; ties count half.

    Parameters
    ----------
    series : float64, shape (T,)
        NaN has no rank and enters no other's.
    warmup : int
        Values that must have been seen before the first rank.

    Returns
    -------
    float64, shape (T,)
        In (0, 1); NaN during the warm-up. A constant series has rank 1/2 throughout.
    """
    seen: list[float] = []
    rank = np.full(len(series), np.nan)
    for t, value in enumerate(np.asarray(series, dtype=np.float64).tolist()):
        if value != value:  # NaN
            continue
        insort(seen, value)
        if len(seen) > warmup:
            below, upto = bisect_left(seen, value), bisect_right(seen, value)
            rank[t] = 0.5 * (below + upto) / len(seen)
    return rank


def trailing_volatility(
    outcome: FloatArray, lag: int, *, decay: float = _RISKMETRICS_DECAY
) -> FloatArray:
    """Exponentially weighted root-mean-square of the outcomes known at each time.

    Parameters
    ----------
    outcome : float64, shape (T,)
        Row t becomes known ``lag`` rows later; NaN is passed over.
    lag : int
        At least 1.
    decay : float
        Per row.

    Returns
    -------
    float64, shape (T,)
        NaN until the first outcome is known.
    """
    value = np.full(len(outcome), np.nan)
    weight = mean = 0.0
    squares = np.asarray(outcome, dtype=np.float64) ** 2
    for t in range(lag, len(squares)):
        if np.isfinite(squares[t - lag]):
            weight = decay * weight + 1.0 - decay
            mean = decay * mean + (1.0 - decay) * float(squares[t - lag])
        if weight > 0:
            value[t] = np.sqrt(mean / weight)
    return value

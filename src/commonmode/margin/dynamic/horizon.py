"""How long it takes to close a position, and what risk is run meanwhile.

``minutes = |size| / (participation x volume per minute)``. A position sold evenly over T minutes is
exposed to ``integral of (1 - t/T)^2 dt = T / 3`` minutes of variance (the timing risk of Almgren
and Chriss 2001, "Optimal execution of portfolio transactions", J. Risk 3, for linear execution); a
position that stays whole until it is closed in one block, to all T.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError

__all__ = ["at_horizon", "exposed_minutes", "horizon_scale", "liquidation_minutes"]

Schedule = Literal["block", "even"]


def liquidation_minutes(
    size: FloatArray, volume_per_minute: FloatArray, *, participation: float
) -> FloatArray:
    """Minutes to close a position without being more than a share of the market.

    Parameters
    ----------
    size : float64, broadcastable
        Position in the unit of the volume (coin, contracts, USD of delta or of vega); the sign does
        not matter.
    volume_per_minute : float64, broadcastable
        Measured turnover or replenished depth; 0 or NaN gives infinity for a position, nothing
        for none.
    participation : float
        Share of the volume, in (0, 1].

    Returns
    -------
    float64
        NaN where the size is NaN.
    """
    if not 0.0 < participation <= 1.0:
        raise ConfigurationError(
            f"participation {participation} is not in (0, 1]", remedy="0.1 is a tenth of the volume"
        )
    q, volume = np.broadcast_arrays(
        np.abs(np.asarray(size, dtype=np.float64)), np.asarray(volume_per_minute, dtype=np.float64)
    )
    if np.any(volume < 0.0):
        raise DataError("a negative market volume", remedy="check the feed of volumes")
    usable = np.where(np.isfinite(volume), volume, 0.0) * participation
    with np.errstate(divide="ignore", invalid="ignore"):
        minutes = q / usable
    return np.where(q == 0.0, 0.0, minutes)


def exposed_minutes(
    minutes: FloatArray, *, reaction: float = 0.0, schedule: Schedule = "even"
) -> FloatArray:
    """Minutes of full exposure with the same variance as a liquidation.

    Parameters
    ----------
    minutes : float64
        Time to close.
    reaction : float
        Minutes before closing begins: detection, auction, block time.
    schedule : "even" or "block"
        Even execution counts a third of its duration, a block at the end all of it.
    """
    if schedule not in ("even", "block") or not reaction >= 0.0:
        raise ConfigurationError(
            f"liquidation schedule {schedule!r} with a reaction of {reaction} minutes",
            remedy="use 'even' or 'block' and a reaction time of at least 0",
        )
    share = 1.0 / 3.0 if schedule == "even" else 1.0
    return np.asarray(reaction + share * np.asarray(minutes, dtype=np.float64))


def horizon_scale(minutes: FloatArray, base_minutes: float, *, exponent: float = 0.5) -> FloatArray:
    """Factor on a shortfall measured over ``base_minutes``, never below 1.

    ``max(1, minutes / base_minutes) ** exponent``: one half for independent increments (square root
    of time), one for a charge linear in the time to liquidate. It does not fall below the base
    horizon, because nothing was measured there.

    Parameters
    ----------
    minutes : float64
    base_minutes : float
    exponent : float
        In [0, 1].
    """
    if not base_minutes > 0.0 or not 0.0 <= exponent <= 1.0:
        raise ConfigurationError(
            f"base horizon of {base_minutes} minutes, exponent {exponent}",
            remedy="the base is positive and the exponent lies in [0, 1]",
        )
    ratio = np.asarray(minutes, dtype=np.float64) / base_minutes
    return np.asarray(np.maximum(ratio, 1.0) ** exponent)


def at_horizon(
    shortfall: FloatArray, horizons: FloatArray, minutes: FloatArray, *, exponent: float = 0.5
) -> FloatArray:
    """ES at each account's own horizon, from full revaluations at a few common ones.

    Between two horizons linear in ``minutes ** exponent``; below the shortest the value there;
    above the longest the value there times ``(minutes / longest) ** exponent``. This keeps what
    options do as moves grow, which scaling the ES of one horizon loses.

    Parameters
    ----------
    shortfall : float64, shape (A, H)
    horizons : float64, shape (H,)
        Minutes, increasing, positive.
    minutes : float64, shape (A,)
        Infinity gives infinity where the shortfall is positive: what cannot be closed cannot be
        margined by a horizon.
    exponent : float
        In (0, 1].
    """
    es = np.asarray(shortfall, dtype=np.float64)
    h = np.asarray(horizons, dtype=np.float64)
    want = np.asarray(minutes, dtype=np.float64)
    if es.ndim != 2 or h.shape != es.shape[1:] or want.shape != es.shape[:1] or not len(h):
        raise DataError(
            f"shortfalls {es.shape} at {h.shape} horizons for {want.shape} accounts",
            remedy="shortfalls are (accounts, horizons), minutes (accounts,)",
        )
    if not h[0] > 0.0 or np.any(np.diff(h) <= 0.0) or not 0.0 < exponent <= 1.0:
        raise ConfigurationError(
            "horizons must be positive and increasing, and the exponent in (0, 1]",
            remedy="sort the horizons",
        )
    knots = h**exponent
    inside = np.clip(want, h[0], h[-1])
    right = np.clip(np.searchsorted(h, inside, side="left"), 1, max(len(h) - 1, 1))
    right = np.minimum(right, len(h) - 1)
    left = np.maximum(right - 1, 0)
    rows = np.arange(len(es))
    span = np.where(right > left, knots[right] - knots[left], 1.0)
    part = (inside**exponent - knots[left]) / span
    value = es[rows, left] + part * (es[rows, right] - es[rows, left])
    beyond = np.maximum(want / h[-1], 1.0) ** exponent
    with np.errstate(invalid="ignore"):
        # A gain in the tail does not grow with the time that closing takes.
        return np.asarray(np.where(value > 0.0, value * beyond, value))

"""The formulas of PM2 that act on one instrument or one expiry: shocks, skew, discounts.

Source: the exchange's documentation of PM2 and its contracts' answers on 69 portfolios, which
``tests/reference/margin`` reads. Volatility is annualised, times are in years of 365 days.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.margin.pm2.parameters import Discount, Skew, VolShock

__all__ = ["AVERAGING_SECONDS", "discounts", "settlement_parts", "shocked_vol", "skew_multiplier"]

AVERAGING_SECONDS: Final = 1800.0
"""The settlement price is the average of the last half hour."""

_DAY_SECONDS: Final = 86_400.0
_PIVOT_DAYS: Final = 30.0


def settlement_parts(
    forward: FloatArray, settled: FloatArray, seconds: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(variable, fixed) parts of the settlement average, USD, any one shape.

    Parameters
    ----------
    forward : float64
        USD.
    settled : float64
        The part that is fixed already, USD; NaN: as if every fixing had been at the forward.
    seconds : float64
        To expiry.
    """
    share = np.clip(seconds / AVERAGING_SECONDS, 0.0, 1.0)
    fixed = np.where(np.isnan(settled), forward * (1.0 - share), settled)
    inside = seconds < AVERAGING_SECONDS
    return (
        np.where(inside, forward * share, forward),
        np.where(inside, fixed, 0.0),
    )


def shocked_vol(vol: FloatArray, seconds: FloatArray, shock: VolShock, move: str) -> FloatArray:
    """Volatility after the scenario's move ``up``, ``down`` or ``none``; any one shape."""
    if move == "none":
        return vol
    days = seconds / _DAY_SECONDS
    power = np.where(days <= _PIVOT_DAYS, shock.short_power, shock.long_power)
    scale = (_PIVOT_DAYS / np.maximum(days, shock.floor_days)) ** power
    if move == "up":
        # NaN (no vol) stays NaN under np.maximum.
        return np.asarray(np.maximum(vol * (1.0 + shock.up * scale), shock.least_up))
    return np.asarray(vol * np.maximum(1.0 - shock.down * scale, 0.0))


def skew_multiplier(
    forward: FloatArray, strike: FloatArray, years: FloatArray, skew: Skew, kind: str
) -> FloatArray:
    """Factor on volatility in a skew scenario, ``linear_skew`` or ``absolute_skew``; >= 0."""
    root = np.sqrt(years)
    linear = kind == "linear_skew"
    base, slope = (
        (skew.linear_cap, skew.linear_slope) if linear else (skew.absolute_cap, skew.absolute_slope)
    )
    cap = slope * root + base
    spread = np.maximum(
        skew.least_width, root * skew.width * (skew.vol_static + root * skew.vol_scale)
    )
    k = np.log(strike / forward)
    k = k if linear else np.abs(k)
    tilt = k * cap / spread
    # The branch is on the sign of k, not of the tilt: it matters once the cap is negative.
    tilt = np.where(k >= 0.0, np.minimum(tilt, cap), np.maximum(tilt, -cap))
    return np.asarray(np.maximum(0.0, 1.0 + tilt))


def discounts(
    rate: FloatArray, years: FloatArray, terms: Discount
) -> tuple[FloatArray, FloatArray]:
    """(long, short): factors on an expiry's value where it is >= 0 and where it is < 0.

    `rate` is the feed's, floored at 0; a short value is never raised above its undiscounted one.
    """
    long = terms.long_base * np.exp(
        -years * (rate * terms.long_rate_multiplier + terms.long_rate_add)
    )
    short = terms.short_base * np.exp(
        years * (rate * terms.short_rate_multiplier + terms.short_rate_add)
    )
    return long, np.minimum(np.exp(rate * years), short)

"""Funding of a perpetual: one rate per 8 hours, whatever interval the venue charges it in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.snapshot import DataNote

__all__ = ["FUNDING_BASE_MS", "FundingSeries", "funding_interval", "last_paid"]

FUNDING_BASE_MS: Final = 8 * HOUR_MS
"""Rates are quoted per 8 hours."""


@dataclass(frozen=True, slots=True, eq=False)
class FundingSeries:
    """Funding payments of one perpetual.

    Attributes
    ----------
    venue, underlying : VenueId, CurrencyCode
    interval_ms : int
        The venue's own interval.
    times_ms : int64, shape (T,)
        When it was paid, UTC milliseconds, strictly increasing.
    rate : float64, shape (T,)
        Decimal per ``interval_ms``, as the venue states it; longs pay when positive.
    rate_8h : float64, shape (T,)
        Decimal per 8 hours.
    notes : tuple of DataNote
    """

    venue: VenueId
    underlying: CurrencyCode
    interval_ms: int
    times_ms: IntArray
    rate: FloatArray
    rate_8h: FloatArray
    notes: tuple[DataNote, ...] = field(default=())


def funding_interval(times_ms: IntArray) -> int:
    """The venue's interval: the commonest whole number of hours between payments, in ms.

    Raises
    ------
    DataError
        Fewer than two payments.
    """
    if len(times_ms) < 2:
        raise DataError(
            "an interval needs two funding payments",
            remedy="read a longer period, or state the interval",
        )
    hours = np.maximum(1, np.rint(np.diff(times_ms) / HOUR_MS).astype(np.int64))
    values, counts = np.unique(hours, return_counts=True)
    return int(values[np.argmax(counts)]) * HOUR_MS


def last_paid(series: FundingSeries, times_ms: IntArray) -> FloatArray:
    """Funding per 8 hours as last paid at each time; NaN before the first and after a gap.

    Venues stamp payments up to seconds after the hour: a payment counts from the hour that it is
    of. One older than two intervals is no longer what the market pays.

    Parameters
    ----------
    series : FundingSeries
    times_ms : int64, shape (T,)

    Returns
    -------
    float64, shape (T,)
    """
    paid = series.times_ms // HOUR_MS * HOUR_MS
    row = np.searchsorted(paid, times_ms, side="right") - 1
    at = np.maximum(row, 0)
    if not len(paid):
        return np.full(len(times_ms), np.nan)
    fresh = (row >= 0) & (times_ms - paid[at] <= 2 * series.interval_ms)
    return np.where(fresh, series.rate_8h[at], np.nan)

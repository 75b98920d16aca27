"""Funding of seven venues 2020-2022 and of five venues in 2025, as one rate per 8 hours.

Intervals differ (8 h, 4 h and 1 h), so a rate means nothing without its own: the interval is read
off the payments and the rate is scaled to 8 hours. The older set mixes UTC+3 and UTC under one
label; ``ts_utc`` is its corrected time, and a note says by how much the source was off and how the
correction was verified.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.clock import utc_iso
from commonmode.market.funding import FUNDING_BASE_MS, FundingSeries, funding_interval
from commonmode.market.snapshot import DataNote

__all__ = ["funding_2020_2022", "funding_2025"]

_OLD: Final = "funding_7venues_2020_2023/funding_2020_2022.parquet"
_NEW: Final = "cross_venue_hourly_2025/funding_20250308_20251130.parquet"


def funding_2020_2022(root: Path, venue: str, underlying: str) -> FundingSeries:
    """Funding of BTC or ETH on binance, bybit, dydx, gate, htx, kucoin or mexc.

    Raises
    ------
    DataError
        The set holds no such venue or coin.
    """
    path = root / _OLD
    needed = ("venue", "pair", "ts_utc", "funding_rate", "raw_time", "utc_verified")
    frame = scan_table(path, needed).filter(
        (pl.col("venue") == venue) & (pl.col("pair") == f"{underlying}-USDT")
    )
    rows = collect(frame.sort("ts_utc"), path)
    series = _series(rows, path, venue, underlying, "ts_utc")
    raw = rows["raw_time"].str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S")
    gap_ms = raw.dt.epoch("ms").to_numpy() - milliseconds(rows, "ts_utc")
    # Some payments are stamped milliseconds after the hour and raw_time is cut to seconds.
    hours = np.rint(gap_ms / HOUR_MS).astype(np.int64)
    verified = ", ".join(sorted(rows["utc_verified"].unique().to_list()))
    notes = list(series.notes)
    off = int(np.count_nonzero(hours))
    if off:
        text = (
            f"{venue}: the source labels UTC+{int(hours.max())} as UTC in {off} rows; corrected "
            f"times are used ({verified})"
        )
        notes.append(DataNote("offset_labelled_utc", text, off))
    elif "unverified" in verified:
        text = f"{venue}: times are taken as UTC as the source has them; nothing confirms it"
        notes.append(DataNote("unverified_clock", text, len(rows)))
    return FundingSeries(
        series.venue,
        series.underlying,
        series.interval_ms,
        series.times_ms,
        series.rate,
        series.rate_8h,
        tuple(notes),
    )


def funding_2025(root: Path, venue: str, underlying: str) -> FundingSeries:
    """Funding of BTC, ETH, SOL, DOGE or HYPE on five venues, March to November 2025.

    Raises
    ------
    DataError
        The set holds no such venue or coin.
    """
    path = root / _NEW
    frame = scan_table(path, ("timestamp", "venue", "coin", "funding_rate")).filter(
        (pl.col("venue") == venue) & (pl.col("coin") == underlying)
    )
    rows = collect(frame.sort("timestamp"), path)
    return _series(rows, path, venue, underlying, "timestamp")


def _series(
    rows: pl.DataFrame, path: Path, venue: str, underlying: str, time: str
) -> FundingSeries:
    if rows.is_empty():
        raise DataError(
            f"{path.name} holds no funding of {underlying} on {venue}",
            remedy="see the list of recorded sets in docs/data.md",
        )
    times = milliseconds(rows, time)
    rate = floats(rows, "funding_rate")
    interval = funding_interval(times)
    notes = []
    if interval != FUNDING_BASE_MS:
        text = f"{venue}: funding is per {interval // HOUR_MS} h, scaled to 8 h in rate_8h"
        notes.append(DataNote("funding_interval", text, len(rate)))
    steps = np.rint(np.diff(times) / HOUR_MS).astype(np.int64) * HOUR_MS
    for i in np.flatnonzero(steps > interval):
        lost = int(steps[i]) // interval - 1
        text = f"{venue}: no funding from {utc_iso(int(times[i]))} to {utc_iso(int(times[i + 1]))}"
        notes.append(DataNote("gap", text, max(lost, 1)))
    off = int(np.count_nonzero(steps < interval))
    if off:
        text = f"{venue}: {off} payments come before their interval is over"
        notes.append(DataNote("irregular_steps", text, off))
    return FundingSeries(
        VenueId(venue),
        CurrencyCode(underlying),
        interval,
        times,
        rate,
        rate * (FUNDING_BASE_MS / interval),
        tuple(notes),
    )

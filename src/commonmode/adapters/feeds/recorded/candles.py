"""Bars of several venues: hourly 2023-2024 and 2025, 8-hourly 2023.

Labels of all three sets are the *open* of the bar. The 8-hour set keeps its source's own clock in
``raw_time``: UK local time that claims to be UTC, one hour off all summer; times here come from
the corrected ``ts_utc`` and a note counts the rows that differ. In the 2025 set a venue that stops
updating shows as gaps, repeated bars and bars that do not meet: all three are noted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.core.units import HOUR_MS
from commonmode.market.bars import clean_bars
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote

__all__ = ["cross_venue_8h", "cross_venue_hourly", "multi_asset_hourly"]

_PRICES: Final = ("open", "high", "low", "close", "volume")
_HOURLY_2025: Final = "cross_venue_hourly_2025/candles_20250306_20251130.parquet"
_HOURLY_2023: Final = "hourly_multiasset_2023_2024/hourly_20230101_20240430.parquet"
_EIGHT_HOURS: Final = "cross_venue_8h_2023_2024/all_exchanges_8h_2023.parquet"


def cross_venue_hourly(root: Path, venue: str, coin: str) -> History:
    """Hourly perpetual bars of ``coin`` on ``venue``, March to November 2025.

    Parameters
    ----------
    root : Path
    venue : str
        ``binance``, ``bybit``, ``hyperliquid`` (to April) or ``lighter`` (irregular).
    coin : str
        ``BTC``, ``ETH``, ``SOL``, ``DOGE`` or ``HYPE``.
    """
    path = root / _HOURLY_2025
    rows = _select(path, "timestamp", {"venue": venue, "coin": coin})
    return _bars(rows, "timestamp", f"{venue}:{coin}-PERP", HOUR_MS)


def multi_asset_hourly(root: Path, symbol: str) -> History:
    """Hourly Binance bars of one of 15 coins, January 2023 to April 2024 (one 2-hour gap)."""
    rows = _select(root / _HOURLY_2023, "timestamp", {"symbol": symbol})
    return _bars(rows, "timestamp", f"{symbol}USDT", HOUR_MS)


def cross_venue_8h(root: Path, exchange: str, pair: str) -> History:
    """8-hourly bars, and funding where there is any, of ``pair`` on ``exchange`` in 2023.

    Parameters
    ----------
    root : Path
    exchange : str
        ``binance``, ``bybit`` or ``okx``.
    pair : str
        ``BTC/USDT`` (spot), ``BTCUSDT`` (linear), ``BTCUSDCM`` (coin-margined), and ETH likewise.
        The set's column ``contract`` says "perpetual" of both perpetuals; only the pair tells.
    """
    path = root / _EIGHT_HOURS
    extra = ("funding_rate", "raw_time")
    rows = _select(path, "ts_utc", {"exchange": exchange, "pair": pair}, extra)
    raw = rows["raw_time"].str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("UTC")
    off = int((raw != rows["ts_utc"]).sum())
    notes: tuple[DataNote, ...] = ()
    if off:
        text = (
            f"{off} of {len(rows)} times of the source are UK local time labelled UTC (one hour "
            "ahead from 26 March to 29 October 2023); the corrected UTC times are used"
        )
        notes = (DataNote("local_time_labelled_utc", text, off),)
    funding = "funding_rate" if rows["funding_rate"].null_count() < len(rows) else ""
    return _bars(rows, "ts_utc", f"{exchange}:{pair}", 8 * HOUR_MS, notes, funding)


def _select(
    path: Path, time: str, where: dict[str, str], extra: tuple[str, ...] = ()
) -> pl.DataFrame:
    frame = scan_table(path, (time, *where, *_PRICES, *extra))
    keys = frame.select(pl.struct(list(where)).unique())
    for column, value in where.items():
        frame = frame.filter(pl.col(column) == value)
    rows = collect(frame.sort(time), path)
    if rows.is_empty():
        found = [tuple(key.values()) for key in collect(keys, path).to_series().to_list()]
        text = ", ".join(sorted(" ".join(str(part) for part in key) for key in found))
        raise DataError(
            f"{path.name} holds no {' '.join(where.values())}", remedy=f"it holds: {text}"
        )
    return rows


def _bars(
    rows: pl.DataFrame,
    time: str,
    instrument: str,
    step_ms: int,
    notes: tuple[DataNote, ...] = (),
    funding: str = "",
) -> History:
    columns = {name: floats(rows, name) for name in _PRICES}
    if funding:
        columns["funding"] = floats(rows, funding)
    ends = milliseconds(rows, time) + step_ms
    return clean_bars(InstrumentId(instrument), step_ms, ends, columns, notes=notes)
